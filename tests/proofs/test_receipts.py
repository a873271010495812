"""Receipts: what shows an outcome is accepted; what shows less, or something else, is refused by name."""

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
import rlp

from proofs.bundle import Bundle, BundleReceipt, decode_bundle, encode_bundle
from proofs.canonical import Value
from proofs.decision import block_value
from proofs.effects import ENDINGS, check_effect
from proofs.errors import ProofError
from proofs.kinds import Caip2, Digest, Gateway
from proofs.mandate import Op, Tier
from proofs.receipts import MAX_HEADER_BYTES, MAX_NODE_BYTES, parse_header, parse_receipt
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.blocks import GAS, Block, ended, extended, noop, receipt, started, word
from tests.proofs.conftest import HOME
from tests.proofs.shown import NOISE, UNTIL, Scene, alarm, with_receipts

if TYPE_CHECKING:
    from tests.proofs.conftest import Town


@pytest.fixture
def scene(town: "Town") -> Scene:
    return Scene(town)


# ---- what is accepted


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_the_event_of_an_act_is_shown_by_every_kind_of_receipt(scene: Scene, kind: int) -> None:
    block = Block(HOME, [NOISE, receipt(started(scene.mandate, scene.halt, UNTIL), kind=kind), NOISE])

    effect = check_effect(block.proof(1), scene.outcome(block.ref()), scene.mandate)

    assert (effect.index, effect.log, effect.names_mandate) == (1, 0, True)


def test_every_effect_is_shown_by_its_event(scene: Scene) -> None:
    mandate, halt = scene.mandate, scene.halt

    assert scene.shown(started(mandate, halt, UNTIL)) == ""
    assert scene.shown(extended(mandate, halt, UNTIL), effect="extended") == ""
    assert scene.shown(noop(mandate, halt), effect="noop", until=0) == ""
    assert scene.shown(ended(halt, "release", UNTIL, mandate), effect="release") == ""
    assert scene.shown(ended(halt, "close", UNTIL, mandate), effect="close") == ""
    for how in ("close", "expire", "adopt", "dismiss", "forced"):
        assert scene.shown(ended(halt, how, UNTIL), effect=how) == ""


def test_an_ending_that_names_no_mandate_says_so(scene: Scene) -> None:
    block = Block(HOME, [receipt(ended(scene.halt, "expire", UNTIL))])
    outcome = scene.outcome(block.ref(), effect="expire", gas_used=GAS)

    assert not check_effect(block.proof(0), outcome, scene.mandate).names_mandate


def test_the_event_is_found_among_others(scene: Scene) -> None:
    mandate, halt = scene.mandate, scene.halt
    elsewhere = replace(halt, gateway=Gateway(b"\x77".rjust(32, b"\0")))
    logs = [
        [b"\x99" * 20, [], b""],
        started(mandate, elsewhere, UNTIL),
        started(mandate, scene.disable, UNTIL),
        started(mandate, halt, UNTIL - 1),
        started(mandate, halt, UNTIL),
    ]
    block = Block(HOME, [receipt(*logs)])

    effect = check_effect(block.proof(0), scene.outcome(block.ref(), gas_used=GAS), mandate)

    assert effect.log == 4


@pytest.mark.parametrize("fields", [15, 16, 17, 20, 21])
def test_headers_of_every_fork_are_read(scene: Scene, fields: int) -> None:
    block = Block(HOME, [receipt(started(scene.mandate, scene.halt, UNTIL))], fields=fields)

    assert scene.check(block.proof(0), scene.outcome(block.ref(), gas_used=GAS)) == ""


def test_headers_with_fields_of_other_chains_are_read_up_to_a_bound(scene: Scene) -> None:
    logs = [receipt(started(scene.mandate, scene.halt, UNTIL))]

    for more, expected in (
        ((word(1), b"", [b"nested", []]), ""),
        ((b"",) * 19, ""),
        ((b"",) * 20, "header-form"),
    ):
        block = Block(HOME, logs, more=more)
        assert scene.check(block.proof(0), scene.outcome(block.ref(), gas_used=GAS)) == expected


# ---- another event than the outcome tells of


def test_a_receipt_of_another_event_is_refused_by_what_it_lacks(scene: Scene) -> None:
    mandate, halt = scene.mandate, scene.halt
    stranger = replace(halt, gateway=Gateway(b"\x77".rjust(32, b"\0")))
    other = replace(mandate, not_after=mandate.not_after + 1)
    right = started(mandate, halt, UNTIL)

    assert scene.shown() == "receipt-gateway"
    assert scene.shown(started(mandate, stranger, UNTIL)) == "receipt-gateway"
    assert scene.shown(noop(mandate, halt)) == "receipt-event"
    assert scene.shown(extended(mandate, halt, UNTIL)) == "receipt-event"
    assert scene.shown(ended(halt, "expire", UNTIL), effect="release") == "receipt-event"
    assert scene.shown([right[0], right[1][:3], right[2]]) == "receipt-event"
    assert scene.shown([right[0], right[1], right[2] + word(0)]) == "receipt-event"
    assert scene.shown([right[0], [], right[2]]) == "receipt-event"
    assert scene.shown(right, effect="melted") == "receipt-event"
    assert scene.shown(started(mandate, replace(halt, act_id=scene.disable.act_id), UNTIL)) == "receipt-act"
    assert scene.shown(started(other, halt, UNTIL)) == "receipt-mandate"
    assert scene.shown(ended(halt, "release", UNTIL), effect="release") == "receipt-mandate"
    assert scene.shown(ended(halt, "expire", UNTIL, mandate), effect="expire") == "receipt-mandate"
    assert scene.shown(ended(halt, "close", UNTIL, other), effect="close") == "receipt-mandate"
    assert scene.shown([right[0], [*right[1][:3], word(5)], right[2]]) == "receipt-decision"
    assert scene.shown([right[0], right[1], word(2) + right[2][32:]]) == "receipt-tier"
    assert scene.shown(started(mandate, halt, UNTIL + 1)) == "receipt-until"
    assert scene.shown(noop(mandate, halt), effect="noop") == "receipt-until"
    assert scene.shown(right, gas_used=GAS + 1) == "receipt-gas"


def test_each_ending_is_shown_by_its_own_reason_alone(scene: Scene) -> None:
    for told in ENDINGS:
        for how in set(ENDINGS) - {told}:
            mandate = scene.mandate if how in ("release", "close") else None
            assert scene.shown(ended(scene.halt, how, UNTIL, mandate), effect=told) == "receipt-event"


def test_two_halves_do_not_make_an_event(scene: Scene) -> None:
    mandate, halt = scene.mandate, scene.halt
    other = replace(mandate, not_after=mandate.not_after + 1)

    logs = (started(other, halt, UNTIL), started(mandate, halt, UNTIL + 1))

    assert scene.shown(*logs) == "receipt-until"


def test_the_first_transaction_used_the_whole_of_its_block_s_gas_so_far(scene: Scene) -> None:
    block = Block(HOME, [receipt(started(scene.mandate, scene.halt, UNTIL))])

    assert scene.check(block.proof(0), scene.outcome(block.ref(), gas_used=GAS)) == ""
    assert scene.check(block.proof(0), scene.outcome(block.ref(), gas_used=GAS - 1)) == "receipt-gas"


def test_a_chain_that_is_no_evm_chain_has_no_such_receipt(scene: Scene) -> None:
    block = Block(Caip2("solana:mainnet"), [receipt(started(scene.mandate, scene.halt, UNTIL))])
    outcome = scene.outcome(block.ref(), chain=block.chain, gas_used=GAS)
    wide = scene.outcome(block.ref(), gateway=Gateway(b"\1" * 32), gas_used=GAS)

    assert scene.check(block.proof(0), outcome) == "receipt-chain"
    assert scene.check(block.proof(0), wide) == "receipt-chain"


# ---- another receipt, another header


def test_a_reverted_transaction_shows_nothing(scene: Scene) -> None:
    log = started(scene.mandate, scene.halt, UNTIL)

    for status, check in (
        (b"", "receipt-status"),
        (b"\x02", "receipt-status"),
        (word(1), "receipt-status"),
        (b"\x00", "receipt-status"),
    ):
        block = Block(HOME, [NOISE, receipt(log, status=status)])
        assert scene.check(block.proof(1), scene.outcome(block.ref())) == check


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (b"\x00" + receipt(kind=0), "receipt-type"),
        (b"\x05" + receipt(kind=0), "receipt-type"),
        (b"\x7e" + receipt(kind=0), "receipt-type"),
        (b"\x80" * 300, "receipt-type"),
        (b"", "receipt-type"),
        (b"\x02", "rlp-truncated"),
        (b"\x02" + receipt(), "rlp-trailing"),
        (receipt() + b"\0", "rlp-trailing"),
        (receipt()[:-1], "rlp-truncated"),
        (b"\x02\x80", "receipt-form"),
        (rlp.encode([b"\1", 5, bytes(256)]), "receipt-form"),
        (rlp.encode([b"\1", 5, bytes(256), [], b""]), "receipt-form"),
        (rlp.encode([b"\1", b"\0\5", bytes(256), []]), "receipt-form"),
        (rlp.encode([b"\1", 1 << 64, bytes(256), []]), "receipt-form"),
        (rlp.encode([b"\1", [5], bytes(256), []]), "receipt-form"),
        (rlp.encode([b"\1", 5, bytes(255), []]), "receipt-form"),
        (rlp.encode([b"\1", 5, bytes(256), b"logs"]), "receipt-form"),
        (rlp.encode([[b"\1"], 5, bytes(256), []]), "receipt-status"),
        (receipt(b"log"), "receipt-form"),
        (receipt([b"\1" * 20, []]), "receipt-form"),
        (receipt([b"\1" * 19, [], b""]), "receipt-form"),
        (receipt([b"\1" * 20, b"", b""]), "receipt-form"),
        (receipt([b"\1" * 20, [], []]), "receipt-form"),
        (receipt([b"\1" * 20, [b"\1" * 31], b""]), "receipt-form"),
        (receipt([b"\1" * 20, [[]], b""]), "receipt-form"),
        (receipt([b"\1" * 20, [word(1)] * 5, b""]), "receipt-form"),
    ],
)
def test_a_receipt_of_another_form_is_refused_by_name(raw: bytes, check: str) -> None:
    with pytest.raises(ProofError) as caught:
        parse_receipt(raw)
    assert caught.value.check == check


def header_fields() -> list[object]:
    return list(rlp.decode(Block(HOME, [NOISE]).header()))


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (b"", "rlp-truncated"),
        (b"\x80", "header-form"),
        (rlp.encode(header_fields()) + b"\0", "rlp-trailing"),
        (rlp.encode(header_fields())[:-1], "rlp-truncated"),
        (rlp.encode(header_fields()[:14]), "header-form"),
        (rlp.encode([*header_fields()[:5], word(1)[1:], *header_fields()[6:]]), "header-form"),
        (rlp.encode([*header_fields()[:8], b"\0\1", *header_fields()[9:]]), "header-form"),
        (rlp.encode([*header_fields()[:8], [], *header_fields()[9:]]), "header-form"),
        (rlp.encode([*header_fields()[:11], b"\1" * 9, *header_fields()[12:]]), "header-form"),
        (rlp.encode([*header_fields()[:12], bytes(MAX_HEADER_BYTES), *header_fields()[13:]]), "rlp-size"),
    ],
)
def test_a_header_of_another_form_is_refused_by_name(raw: bytes, check: str) -> None:
    with pytest.raises(ProofError) as caught:
        parse_header(raw)
    assert caught.value.check == check


def test_a_header_is_read_only_if_members_named_it(scene: Scene) -> None:
    block = Block(HOME, [NOISE, receipt(started(scene.mandate, scene.halt, UNTIL))])
    proof, ref = block.proof(1), block.ref()
    other = Block(HOME, block.receipts, number=block.number + 1)

    assert scene.check(proof, scene.outcome(replace(ref, hash=Digest(bytes(32))))) == "receipt-block"
    assert scene.check(proof, scene.outcome(replace(ref, number=ref.number + 1))) == "header-number"
    assert scene.check(proof, scene.outcome(replace(ref, timestamp=ref.timestamp + 1))) == "header-timestamp"
    assert scene.check(other.proof(1), scene.outcome(ref)) == "receipt-block"
    long = replace(proof, header=proof.header + bytes(MAX_HEADER_BYTES))
    assert scene.check(long, scene.outcome(ref)) == "header-form"


def test_another_index_or_another_block_s_nodes_lead_nowhere(scene: Scene) -> None:
    mine = receipt(started(scene.mandate, scene.halt, UNTIL))
    block, twin = Block(HOME, [NOISE, mine, NOISE]), Block(HOME, [NOISE, mine, NOISE, NOISE])
    outcome, proof = scene.outcome(block.ref()), block.proof(1)

    assert scene.check(replace(proof, index=2), outcome) == "trie-hash"
    assert scene.check(replace(proof, index=0), outcome) in ("trie-hash", "trie-path")
    assert scene.check(block.proof(0), outcome) == "receipt-gas"
    assert scene.check(replace(proof, nodes=twin.proof(1).nodes), outcome) == "trie-hash"
    assert scene.check(replace(proof, index=1 << 24), outcome) == "receipt-index"
    assert scene.check(replace(proof, index=-1), outcome) == "receipt-index"
    assert scene.check(replace(proof, nodes=()), outcome) == "trie-nodes"


def test_a_receipt_beyond_the_bound_is_not_read(scene: Scene) -> None:
    log = started(scene.mandate, scene.halt, UNTIL)
    block = Block(HOME, [NOISE, receipt(log, [b"\x99" * 20, [], bytes(MAX_NODE_BYTES)])])

    assert scene.check(block.proof(1), scene.outcome(block.ref())) == "trie-size"


def flips(data: bytes, chance: Random, times: int) -> Sequence[bytes]:
    places = [chance.randrange(len(data)) for _ in range(times)]
    return [data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] for at in places]


def test_no_byte_of_header_node_or_receipt_can_be_changed(scene: Scene, seed: int) -> None:
    chance = Random(seed)
    block = Block(HOME, [NOISE] * 20 + [receipt(started(scene.mandate, scene.halt, UNTIL))] + [NOISE] * 20)
    proof = block.proof(20)
    outcome = scene.outcome(block.ref())
    assert scene.check(proof, outcome) == ""

    for changed in [*flips(proof.header, chance, 200), proof.header[:-1], proof.header + b"\0", b""]:
        assert scene.check(replace(proof, header=changed), outcome) == "receipt-block", f"seed {seed}"
    for place, node in enumerate(proof.nodes):
        for changed in [*flips(node, chance, 100), node[:-1], node[1:], node + b"\0", b"", node + node]:
            nodes = (*proof.nodes[:place], changed, *proof.nodes[place + 1 :])
            assert scene.check(replace(proof, nodes=nodes), outcome) == "trie-hash", f"seed {seed}"


# ---- in a bundle


def check_of(bundle: Bundle) -> str:
    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(bundle))
    return caught.value.check


def test_a_bundle_s_receipts_are_shown_with_the_members_that_name_their_blocks(town: "Town") -> None:
    bundle, _ = alarm(town)

    verdict = verify_bundle(encode_bundle(bundle))

    halt, disable = (
        next(act for act in verdict.decisions[0].acts if act.name == name).outcomes
        for name in ("halt", "disable")
    )
    assert (halt[0].receipt.tx_index, halt[0].receipt.log, halt[0].receipt.names_mandate) == (1, 0, True)
    assert halt[0].receipt.header_named_by == ("alice", "dave")
    assert halt[0].receipt.source == "the block's hash is signed by 2 of 4 members, one of them honest"
    assert disable[0].receipt.header_named_by == ("bob",)
    assert "1 of 4 members, too few to exclude lies (f = 1)" in disable[0].receipt.source
    assert not any("not shown" in limit for limit in verdict.not_proved)
    acts = verdict_value(verdict)["decisions"][0]["acts"]
    assert [act["outcomes"][0]["receipt"]["tx_index"] for act in acts] == [1, 1]
    assert decode_bundle(encode_bundle(bundle)).decisions[0].receipts == bundle.decisions[0].receipts


def test_an_outcome_without_a_receipt_is_said_to_be_without(town: "Town") -> None:
    bundle, (halt, _) = alarm(town)

    none = verify_bundle(encode_bundle(with_receipts(bundle)))
    one = verify_bundle(encode_bundle(with_receipts(bundle, halt)))

    said = [
        "not shown: receipt of act halt on chain eip155:31337 (started, block 101)",
        "not shown: receipt of act disable on chain eip155:31338 (started, block 101)",
    ]
    assert set(said) <= set(none.not_proved)
    assert said[0] not in one.not_proved
    assert said[1] in one.not_proved


def test_an_ending_s_verdict_says_that_its_event_names_no_mandate(town: "Town") -> None:
    scene = Scene(town)
    for name in ("bob", "carol"):
        town.attest(name, scene.decision, scene.mandate)
    block = Block(HOME, [receipt(ended(scene.halt, "expire", UNTIL))])
    seen: dict[str, Value] = {"block": block_value(block.ref()), "until": UNTIL, "gas_used": GAS}
    town.see("alice", scene.mandate, scene.halt, effect="expire", **seen)
    entry = replace(
        town.entry(scene.decision, ("bob", "carol"), (0, 1), (2,)),
        receipts=(BundleReceipt(2, block.proof(0)),),
    )

    verdict = verify_bundle(encode_bundle(town.bundle(entry)))

    shown = next(act for act in verdict.decisions[0].acts if act.name == "halt").outcomes[0].receipt
    assert not shown.names_mandate
    assert shown.source.endswith("the event names no mandate: whose record it ended is the members' word")


def test_receipts_of_two_acts_or_chains_cannot_be_swapped(town: "Town") -> None:
    bundle, (halt, disable) = alarm(town)

    assert check_of(with_receipts(bundle, replace(halt, proof=disable.proof))) == "receipt-block"
    assert check_of(with_receipts(bundle, replace(disable, proof=halt.proof))) == "receipt-block"
    mixed = replace(halt.proof, nodes=disable.proof.nodes)
    assert check_of(with_receipts(bundle, replace(halt, proof=mixed))) == "trie-hash"


def test_receipts_of_two_acts_in_one_block_cannot_be_swapped(scene: Scene) -> None:
    other = replace(scene.disable, chain=scene.halt.chain, gateway=scene.halt.gateway)
    receipts = [receipt(started(scene.mandate, leaf, UNTIL)) for leaf in (scene.halt, other)]
    block = Block(HOME, [NOISE, *receipts])
    first, second = scene.outcome(block.ref()), scene.outcome(block.ref(), other)

    assert [scene.check(block.proof(at), said) for at, said in ((1, first), (2, second))] == ["", ""]
    assert scene.check(block.proof(2), first) == "receipt-act"
    assert scene.check(block.proof(1), second) == "receipt-act"


def test_receipts_of_two_bundles_cannot_be_swapped(town: "Town", other_town: "Town") -> None:
    ours, (halt, disable) = alarm(town)
    _, theirs = alarm(other_town)

    assert check_of(with_receipts(ours, theirs[0], disable)) == "receipt-block"
    assert check_of(with_receipts(ours, halt, theirs[1])) == "receipt-block"


def test_a_receipt_is_of_one_outcome_of_its_decision(town: "Town") -> None:
    bundle, (halt, disable) = alarm(town)

    for number in (0, 1, 5, 32_768):
        assert check_of(with_receipts(bundle, replace(halt, outcome=number))) == "receipt-outcome"
    assert check_of(with_receipts(bundle, halt, halt)) == "receipt-twice"
    assert check_of(with_receipts(bundle, halt, replace(halt, outcome=3))) == "receipt-twice"
    assert check_of(with_receipts(bundle, halt, replace(disable, outcome=3))) == "receipt-twice"
    either = with_receipts(bundle, replace(halt, outcome=3), disable)
    assert len(verify_bundle(encode_bundle(either)).decisions) == 1


def test_a_full_decision_is_not_shown_by_the_fast_one_s_event(town: "Town") -> None:
    fast, full = Scene(town), Scene(town, tier=Tier.FULL)
    block = Block(HOME, [NOISE, receipt(started(fast.mandate, fast.halt, UNTIL))])

    assert full.mandate.op is Op.PROTECT
    assert full.check(block.proof(1), full.outcome(block.ref())) == "receipt-mandate"


def test_no_flipped_bit_of_a_bundle_s_receipts_passes(town: "Town", seed: int) -> None:
    data = encode_bundle(alarm(town)[0])
    start = data.index(b'"receipts"')
    end = data.index(b'"log"', start)
    chance = Random(seed)

    for _ in range(60):
        place = chance.randrange(start, end)
        changed = data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
        with pytest.raises(ProofError):
            print(f"seed {seed}, byte {place}", verify_bundle(changed).checks)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("outcome", -1),
        ("outcome", 32_769),
        ("tx_index", 1 << 24),
        ("tx_index", "1"),
        ("header", None),
        ("header", "!"),
        ("nodes", {}),
        ("nodes", [7]),
        ("nodes", ["AA=="] * 10),
        ("more", 1),
    ],
)
def test_a_receipt_field_of_another_form_is_refused(town: "Town", key: str, value: object) -> None:
    parts = json.loads(encode_bundle(alarm(town)[0]))
    parts["decisions"][0]["receipts"][0][key] = value

    with pytest.raises(ProofError) as caught:
        decode_bundle(json.dumps(parts, indent=1, sort_keys=True).encode() + b"\n")
    assert caught.value.check == "shape"


def test_receipts_in_another_order_are_another_spelling(town: "Town") -> None:
    parts = json.loads(encode_bundle(alarm(town)[0]))
    parts["decisions"][0]["receipts"].reverse()

    with pytest.raises(ProofError) as caught:
        decode_bundle(json.dumps(parts, indent=1, sort_keys=True).encode() + b"\n")
    assert caught.value.check == "bundle-form"
