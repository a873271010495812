"""Acts in words: what a plan says comes back, and a stranger's calldata breaks nothing."""

from dataclasses import replace

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from adapters.evm import adapter
from adapters.evm.abi import parse_call, selector
from adapters.evm.office import EvmOffice
from adapters.evm.office.terms import act_terms, call_words
from relay.core.gateway_report import ActTerms, UndoKind
from relay.core.ports import ActText

TARGET, OTHER = "0x" + "22" * 20, "0x" + "33" * 20
CAP = ActText(
    "cap", "eip155:940902", "0x" + "11" * 20, TARGET, "setCap(uint256 0)", "cap()", 0,
    compare="<=", restore="setCap(uint256 _)", state_target=OTHER, state_word=2, gas=90_000,
)  # fmt: skip


def test_an_act_is_told_as_the_plan_wrote_it():
    terms = EvmOffice().terms(adapter().encode_act(CAP))

    assert terms == ActTerms(
        target=TARGET,
        call="setCap(uint256 0)",
        state=f"cap() of {OTHER}",
        state_word=2,
        getter=f"{OTHER}:0x{selector('cap', []).hex()}:2".replace(":0x", ":"),
        value=0,
        compare="<=",
        undo=UndoKind.RESTORE,
        undo_call="setCap(uint256 _)",
        gas=90_000,
    )


def test_two_acts_that_read_the_same_word_have_one_getter():
    office, one = EvmOffice(), adapter().encode_act(CAP)
    same = adapter().encode_act(replace(CAP, name="other", call="setCap(uint256 5)"))
    another = adapter().encode_act(replace(CAP, state_word=1))

    assert office.terms(one).getter == office.terms(same).getter
    assert office.terms(one).getter != office.terms(another).getter


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pause()", "pause()"),
        ("setTargetClosed(address 0x2222222222222222222222222222222222222222, bool true)",) * 2,
        ("seal(address[] [0x2222222222222222222222222222222222222222])",) * 2,
        ("curse(bytes16 0x01020304050607080910111213141516)",) * 2,
        (
            "execTransactionFromModule(address 0x2222222222222222222222222222222222222222, uint256 0,"
            " bytes 0x8456cb59, uint8 0)",
        ) * 2,
        (
            "nobodyKnows(uint256 1)",
            f"0x{selector('nobodyKnows', ['uint256']).hex()} with 32 bytes of arguments",
        ),
    ],
)  # fmt: skip
def test_known_calls_are_decoded_and_others_counted(text, words):
    assert call_words(parse_call(text, "call").calldata) == words


def test_a_hole_outside_the_known_arguments_is_told_by_its_place():
    assert call_words(parse_call("setCap(uint256 1)", "call").calldata, 8).endswith("the old value at byte 8")


def test_long_arguments_are_clipped():
    data = parse_call(
        f"execTransactionFromModule(address {TARGET}, uint256 0, bytes 0x{'ab' * 400}, uint8 0)", "call"
    ).calldata

    words = call_words(data)

    assert "… (400 bytes)" in words
    assert len(words) < 300

    many = selector("seal", ["address[]"]) + encode(["address[]"], [[TARGET] * 200])
    assert call_words(many).endswith(f"{TARGET}, … (200)])")


@given(data=st.binary(max_size=600), hole=st.none() | st.integers(0, 65_535))
def test_no_calldata_of_a_stranger_breaks_the_words(data, hole):
    known = [selector("seal", ["address[]"]), selector("pause", []), b""]
    for head in known:
        words = call_words(head + data, hole)
        assert words.isprintable()
        assert len(words) < 10_000


def test_values_out_of_range_are_no_terms():
    fields = (
        TARGET, b"\x00" * 4, TARGET, b"", 0, 0, 0, 0, b"", 0, 1,
    )  # fmt: skip
    names = (
        "target", "call", "stateTarget", "stateCall", "stateWord", "value", "compare", "undo", "undoCall",
        "restoreAt", "gasCap",
    )  # fmt: skip
    act = dict(zip(names, fields, strict=True))

    assert act_terms(act) is not None
    assert act_terms({**act, "compare": 3}) is None
    assert act_terms({**act, "undo": 3}) is None
