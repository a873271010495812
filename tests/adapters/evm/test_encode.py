"""Texts of plans into bytes: one reading each, and every other text refused by name."""

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from adapters.evm import adapter
from adapters.evm.abi import parse_address, parse_call, parse_event, parse_type
from adapters.evm.encode import ACT_TYPES, gateway_calldata, sent_certificate
from adapters.evm.functions import parse_function
from adapters.evm.results import type_of_word
from adapters.evm.words import MAX_FIELD_BYTES, decode_log, decode_word, word_field
from proofs.hashes import keccak256
from proofs.mandate import Mandate, Op, Tier
from relay.core.errors import PlanError
from relay.core.observations import ReadKind, StateRead
from relay.core.ports import ActText, AnchorLog, Execute, Expire

TARGET = "0x" + "22" * 20
GATEWAY = "0x" + "11" * 20
CHAIN = "eip155:31337"


def act(**changes):
    fields = {
        "name": "halt-replica",
        "chain": CHAIN,
        "gateway": GATEWAY,
        "target": TARGET,
        "call": "pause()",
        "state": "paused()",
        "value": True,
        "undo": "unpause()",
        "gas": 150_000,
    }
    return ActText(**(fields | changes))


def test_the_act_hash_is_the_specified_one():
    encoded = adapter().encode_act(act())

    calls = [keccak256(text)[:4] for text in (b"pause()", b"paused()", b"unpause()")]
    target = bytes.fromhex("22" * 20)
    assert encoded.registration == (target, calls[0], target, calls[1], 0, 1, 0, 1, calls[2], 0, 150_000)
    types = [
        "address",
        "bytes32",
        "address",
        "bytes32",
        "uint8",
        "uint256",
        "uint8",
        "uint8",
        "bytes32",
        "uint16",
        "uint64",
    ]
    values = [
        target,
        keccak256(calls[0]),
        target,
        keccak256(calls[1]),
        0,
        1,
        0,
        1,
        keccak256(calls[2]),
        0,
        150_000,
    ]
    assert encoded.act_hash == keccak256(encode(types, values))
    assert encoded.act_id == keccak256(b"halt-replica")
    assert encoded.gateway == bytes(12) + b"\x11" * 20
    assert len(ACT_TYPES) == len(encoded.registration)


CHANGES = [
    {"target": "0x" + "23" * 20},
    {"call": "pauseAll()"},
    {"state_target": GATEWAY},
    {"state": "stopped()"},
    {"state_word": 1},
    {"value": 2},
    {"compare": "<="},
    {"compare": ">="},
    {"undo": None},
    {"undo": "resume()"},
    {"undo": None, "restore": "setCap(uint256 _)"},
    {"undo": None, "restore": "setCap(uint256 0, uint256 _)"},
    {"gas": 1},
]


def test_every_part_of_an_act_changes_its_hash():
    hashes = [adapter().encode_act(act(**change)).act_hash for change in [{}, *CHANGES]]

    assert len(set(hashes)) == len(hashes)


def test_arguments_are_written_with_their_types():
    call = parse_call(f"setCollateralEnabled(address {TARGET}, bool false)", "acts.a.call")

    assert call.calldata == keccak256(b"setCollateralEnabled(address,bool)")[:4] + encode(
        ["address", "bool"], [TARGET, False]
    )


def test_arrays_bytes_and_strings_are_literals_too():
    call = parse_call(
        f'seal(address[] [{TARGET}, {GATEWAY}], bytes16 0x{"01" * 16}, string "a b", int8 -5, uint 1_000)',
        "c",
    )

    assert call.calldata[:4] == keccak256(b"seal(address[],bytes16,string,int8,uint256)")[:4]
    types = ["address[]", "bytes16", "string", "int8", "uint256"]
    assert call.calldata[4:] == encode(types, [[TARGET, GATEWAY], b"\x01" * 16, "a b", -5, 1000])


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("setCap(uint256 _)", 4),
        (f"setCap(address {TARGET}, uint256 _)", 36),
        (f"setCap(address[2] [{TARGET}, {TARGET}], uint256 _)", 68),
        (f"setCap(address[] [{TARGET}], uint256 _)", 36),
        (f"setSources(address[] [{TARGET}], uint256[] [_])", 164),
        ("setLimits(uint256[2][] [[1, 2], [3, _]], bool true)", 196),
    ],
)
def test_restore_says_where_the_old_value_goes(text, offset):
    encoded = adapter().encode_act(act(undo=None, restore=text))

    undo_call, restore_at = encoded.registration[8:10]
    assert encoded.registration[7] == 2
    assert restore_at == offset
    filled = undo_call[:offset] + (77).to_bytes(32, "big") + undo_call[offset + 32 :]
    assert filled == parse_call(text.replace("_", "77"), "c").calldata


REFUSED = [
    ({"call": "pause"}, "acts.halt-replica.call"),
    ({"call": "pause("}, "call"),
    ({"call": "pause() " + "x"}, "call"),
    ({"call": "pause(uint256)"}, "type literal"),
    ({"call": "pause(uint7 1)"}, "no such ABI type"),
    ({"call": "pause(uint8 256)"}, "do not fit"),
    ({"call": "pause(uint8 -1)"}, "do not fit"),
    ({"call": "pause(uint8 true)"}, "literal of type uint8"),
    ({"call": "pause(bool 1)"}, "literal of type bool"),
    ({"call": "pause(bytes4 0x0102)"}, "expected 4 bytes"),
    ({"call": "pause((uint256,bool) 1)"}, "tuples"),
    ({"call": "setCap(uint256 _)"}, "expected no `_`"),
    ({"call": "pause(address 0x" + "00" * 20 + ")"}, "zero address"),
    ({"call": "pause(address 0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed)"}, "checksum"),
    ({"call": 'pause(string "' + "x" * 2000 + '")'}, "at most 1024"),
    ({"state": "paused(uint8)"}, "acts.halt-replica.state"),
    ({"undo": None, "restore": "setCap(uint256 1)"}, "expected one `_`"),
    ({"undo": None, "restore": "setCap(uint256 _, uint256 _)"}, "got 2"),
    ({"undo": None, "restore": "setText(string _)"}, "one word"),
    ({"undo": None, "restore": "setCaps(uint256[] [_, _])"}, "got 2"),
    ({"undo": None, "restore": "setCaps(uint256[] _)"}, "as [a, b]"),
    ({"call": "setCaps(uint256[] [_])"}, "expected no `_`"),
    ({"restore": "setCap(uint256 _)"}, "got both"),
    ({"compare": "<"}, "compare"),
    ({"value": -1}, "value"),
    ({"value": 1 << 256}, "value"),
    ({"state_word": 256}, "state_word"),
    ({"gas": 0}, "gas"),
    ({"gas": 10**9}, "gas"),
    ({"target": "0x12"}, "target"),
    ({"gateway": "bridge.eth"}, "gateway"),
    ({"state_target": "0x"}, "state_target"),
    ({"name": ""}, "1 to 64"),
    ({"name": "x" * 65}, "1 to 64"),
]


@pytest.mark.parametrize(("change", "named"), REFUSED)
def test_a_wrong_act_is_refused_with_the_key_at_fault(change, named):
    with pytest.raises(PlanError) as refusal:
        adapter().encode_act(act(**change))

    assert named in str(refusal.value)
    assert refusal.value.where.startswith("acts.")


EVENTS_REFUSED = [
    "Release",
    "Release(uint256)",
    "Release(uint256 indexed)",
    "Release(uint256 a, bool a)",
    "Release(uint256 a b c)",
    "Release(uint a, wat b)",
    "Release(uint8 indexed a, uint8 indexed b, uint8 indexed c, uint8 indexed d)",
    "Release((uint8 a) b)",
    "1Release(uint8 a)",
    "Release(uint256 a) anonymous",
    "R(" + ",".join(f"bool a{i}" for i in range(25)) + ")",
]


@pytest.mark.parametrize("text", EVENTS_REFUSED)
def test_a_wrong_event_is_refused(text):
    with pytest.raises(PlanError):
        adapter().event_query(CHAIN, TARGET, text)


def test_one_event_has_one_spelling_so_that_plans_share_a_read():
    spellings = ["Burn( uint  indexed  id ,uint amount )", "Burn(uint256 indexed id,uint256 amount)"]

    queries = {adapter().event_query(CHAIN, TARGET.upper().replace("X", "x"), text) for text in spellings}

    ((query, fields),) = queries
    assert query.event == "Burn(uint256 indexed id,uint256 amount)"
    assert query.address == TARGET
    assert fields == ("id", "amount")


def test_the_topic_is_the_hash_of_name_and_types():
    transfer = parse_event("Transfer(address indexed from, address indexed to, uint256 value)")

    assert transfer.topic.hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def test_a_field_of_an_array_type_is_not_carried_unless_it_is_indexed():
    _, fields = adapter().event_query(CHAIN, TARGET, "E(uint256[] indexed a, uint256[2] b, bytes c, uint8 d)")

    assert fields == ("a", "c", "d")


CALLS_REFUSED = [
    ("balanceOf(address)", (), 0),
    ("balanceOf(address)", ("0x12",), 0),
    ("cap()", (), 1),
    ("cap() returns ()", (), 0),
    ("cap() returns (string)", (), 0),
    ("cap() returns (bytes)", (), 0),
    ("cap() return (uint256)", (), 0),
    ("f(uint8)", (256,), 0),
    ("f(bool)", (2,), 0),
    ("f(uint8)", (True,), 0),
    ("f(uint256", (1,), 0),
    ("cap()", (), -1),
    ("f(uint8)", ("_",), 0),
    ("f(address)", ("_",), 0),
]


@pytest.mark.parametrize(("call", "args", "word"), CALLS_REFUSED)
def test_a_wrong_call_is_refused(call, args, word):
    with pytest.raises(PlanError):
        adapter().state_queries(StateRead(CHAIN, ReadKind.CALL, TARGET, call, args, word))


def test_words_of_a_result_are_counted_over_static_arrays():
    results = parse_function("f() returns (uint256[3], bool, address)").results

    assert [type_of_word(results, word, "w") for word in range(5)] == ["uint256"] * 3 + ["bool", "address"]


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_signed_words_come_back(value):
    word = encode(["int64"], [value])

    assert word_field("int64", word) == value
    assert decode_word("int64", word) == (value, None)


@given(
    st.binary(min_size=32, max_size=32),
    st.sampled_from(["uint8", "int8", "bool", "address", "bytes4", "uint256"]),
)
def test_no_word_makes_a_field_unreadable(word, type_):
    assert word_field(type_, word) is not None


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for read in (parse_event, parse_function, lambda t: parse_call(t, "c"), lambda t: parse_type(t, "t")):
        try:
            read(text)
        except PlanError:
            continue


def test_checksums_of_eip_55_are_accepted():
    for good in ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"):
        assert parse_address(good, "a").hex() == good[2:].lower()


def test_expire_needs_the_act_alone():
    call = Expire(CHAIN, bytes(32), b"\x05" * 32)

    assert gateway_calldata(call) == keccak256(b"expire(bytes32)")[:4] + b"\x05" * 32


def test_an_anchor_names_incident_log_and_checkpoint():
    call = AnchorLog(CHAIN, bytes(32), b"\x05" * 32, b"\x06" * 32, 4_482, b"\x07" * 32)

    selected = keccak256(b"anchorLog(bytes32,bytes32,uint64,bytes32)")[:4]
    words = b"\x05" * 32 + b"\x06" * 32 + (4_482).to_bytes(32, "big") + b"\x07" * 32
    assert gateway_calldata(call) == selected + words


@pytest.mark.parametrize("certificate", [b"\x01" + bytes(130), b"\x02" + bytes(96), b""])
def test_the_certificate_that_was_sent_is_read_back(certificate):
    mandate = Mandate(bytes(32), 1, Tier.FAST, bytes(32), Op.PROTECT, bytes(32), bytes(32), 1, 2)
    call = Execute(CHAIN, bytes(32), b"\x05" * 32, 300, mandate, (bytes(32), bytes(32)), certificate)

    assert sent_certificate(gateway_calldata(call)) == certificate


def test_calldata_without_a_certificate_gives_none():
    expire = gateway_calldata(Expire(CHAIN, bytes(32), b"\x05" * 32))
    mandate = Mandate(bytes(32), 1, Tier.FAST, bytes(32), Op.PROTECT, bytes(32), bytes(32), 1, 2)
    whole = gateway_calldata(Execute(CHAIN, bytes(32), b"\x05" * 32, 300, mandate, (), b"\x02" + bytes(96)))

    for calldata in (b"", expire, whole[:-64], whole[:5]):
        assert sent_certificate(calldata) is None


@pytest.mark.parametrize("type_", ["bytes", "string"])
def test_long_fields_are_told_apart_by_what_is_behind_their_beginning(type_: str) -> None:
    event = parse_event(f"Sent({type_} message)")

    def field(content: bytes) -> str:
        value = content if type_ == "bytes" else content.decode()
        fields = decode_log(event, [event.topic], encode([type_], [value]))
        assert fields is not None
        return str(fields["message"])

    most = b"m" * MAX_FIELD_BYTES
    whole = most.decode() if type_ == "string" else "0x" + most.hex()
    assert field(most) == whole
    assert field(most + b"1") == f"{whole}#{keccak256(most + b'1').hex()}"
    assert len({field(most), field(most + b"1"), field(most + b"2"), field(most + b"1" * 9_000)}) == 4
