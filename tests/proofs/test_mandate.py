"""Mandates, leaves, certificates: the same bytes as every other implementation (core SPEC 4)."""

import json
import runpy
from pathlib import Path
from random import Random

import coincurve
import pytest
from eth_abi import encode as abi_encode
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.decision import BlockRef, Decision, decision_id, decision_value, parse_decision
from proofs.errors import ProofError
from proofs.fields import FieldError
from proofs.kinds import ActHash, ActId, Address, Caip2, DecisionId, Digest, Gateway, NetworkId, PlanHash
from proofs.mandate import (
    MAX_ACTS,
    ActLeaf,
    CertificateError,
    LeafError,
    Mandate,
    MandateError,
    Op,
    Tier,
    acts_root,
    encode_certificate,
    leaf_hash,
    leaf_proof,
    mandate_digest,
    recover_address,
    split_certificate,
    verify_certificate,
    verify_leaf,
)

VECTORS = Path(__file__).parent.parent / "vectors"
CASES = json.loads((VECTORS / "mandate.json").read_text())["cases"]
FIELDS = (
    "bytes32 network,uint32 keyEpoch,uint8 tier,bytes32 planHash,uint8 op,bytes32 decisionId,"
    "bytes32 actsRoot,uint64 notBefore,uint64 notAfter"
)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def mandate_of(case: dict) -> Mandate:
    return Mandate(
        network=NetworkId(unhex(case["network"])),
        key_epoch=case["keyEpoch"],
        tier=Tier(case["tier"]),
        plan_hash=PlanHash(unhex(case["planHash"])),
        op=Op(case["op"]),
        decision_id=DecisionId(unhex(case["decisionId"])),
        acts_root=Digest(unhex(case["actsRoot"])),
        not_before=case["notBefore"],
        not_after=case["notAfter"],
    )


def leaf_of(case: dict) -> ActLeaf:
    return ActLeaf(
        chain=Caip2(case["chain"]),
        gateway=Gateway(unhex(case["gateway"])),
        act_id=ActId(unhex(case["actId"])),
        act_hash=ActHash(unhex(case["actHash"])),
        duration_s=case["durationS"],
    )


def some_leaf(number: int) -> ActLeaf:
    word = number.to_bytes(32, "big")
    return ActLeaf(Caip2("eip155:1"), Gateway(word), ActId(word), ActHash(word), number)


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    made = runpy.run_path(str(VECTORS / "make.py"))["document"]()

    assert made == (VECTORS / "mandate.json").read_text()


@pytest.mark.parametrize("case", CASES)
def test_digests_are_those_of_another_eip712_encoder(case: dict) -> None:
    types = {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "version", "type": "string"}],
        "Mandate": [dict(zip(("type", "name"), field.split(), strict=True)) for field in FIELDS.split(",")],
    }

    for signed in [case, *case["negatives"]]:
        message = {
            "types": types,
            "primaryType": "Mandate",
            "domain": {"name": "Tocsin", "version": "1"},
            "message": signed["mandate"],
        }
        typed = encode_typed_data(full_message=message)
        expected = keccak(b"\x19" + typed.version + typed.header + typed.body)
        assert mandate_digest(mandate_of(signed["mandate"])) == expected == unhex(signed["digest"])


@pytest.mark.parametrize("case", CASES)
def test_every_signed_field_changes_the_digest(case: dict) -> None:
    digests = {entry["field"]: entry["digest"] for entry in case["negatives"]}

    assert set(digests) == {field.split()[1] for field in FIELDS.split(",")}
    assert case["digest"] not in digests.values()
    assert len(set(digests.values())) == len(digests)


@pytest.mark.parametrize("case", CASES)
def test_leaves_are_abi_encoded_words(case: dict) -> None:
    for entry in case["leaves"]:
        words = abi_encode(
            ["bytes32", "bytes32", "bytes32", "bytes32", "uint64"],
            [
                keccak(entry["chain"].encode()),
                unhex(entry["gateway"]),
                unhex(entry["actId"]),
                unhex(entry["actHash"]),
                entry["durationS"],
            ],
        )
        assert leaf_hash(leaf_of(entry)) == keccak(b"\0" + words) == unhex(entry["leaf"])
    assert unhex(case["leaves"][0]["leaf"]) not in [unhex(entry["leaf"]) for entry in case["leafNegatives"]]


@pytest.mark.parametrize("case", CASES)
def test_vector_proofs_lead_to_the_root(case: dict) -> None:
    leaves = [leaf_of(entry) for entry in case["leaves"]]

    assert acts_root(leaves) == unhex(case["root"])
    for leaf, proof in zip(leaves, case["proofs"], strict=True):
        verify_leaf(leaf, [unhex(node) for node in proof], unhex(case["root"]))


@pytest.mark.parametrize("case", CASES)
def test_vector_certificates_stand_and_their_negatives_fall(case: dict) -> None:
    certificate = case["certificate"]
    digest, threshold = unhex(case["digest"]), certificate["threshold"]
    attesters = [Address(unhex(address)) for address in certificate["attesters"]]

    signers = verify_certificate(digest, unhex(certificate["bytes"]), attesters, threshold)

    assert [f"0x{signer.hex()}" for signer in signers] == certificate["signers"]
    for negative in certificate["negatives"]:
        with pytest.raises(CertificateError):
            verify_certificate(digest, unhex(negative["bytes"]), attesters, threshold)
    for other in case["negatives"]:
        with pytest.raises(CertificateError):
            verify_certificate(unhex(other["digest"]), unhex(certificate["bytes"]), attesters, threshold)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, MAX_ACTS), st.randoms())
def test_every_leaf_of_every_size_is_proved_and_no_other(count: int, chance: Random) -> None:
    leaves = [some_leaf(number) for number in range(count)]
    chance.shuffle(leaves)
    root = acts_root(leaves)

    assert root == acts_root(sorted(leaves, key=leaf_hash))
    for leaf in chance.sample(leaves, min(count, 2)):
        proof = leaf_proof(leaves, leaf)
        verify_leaf(leaf, proof, root)
        with pytest.raises(LeafError, match="acts-proof"):
            verify_leaf(some_leaf(count), proof, root)
        for index in range(len(proof)):
            with pytest.raises(LeafError, match="acts-proof"):
                verify_leaf(leaf, (*proof[:index], Digest(bytes(32)), *proof[index + 1 :]), root)


@pytest.mark.parametrize(
    ("leaves", "check"),
    [
        ([], "acts-empty"),
        ([some_leaf(1), some_leaf(1)], "acts-duplicate"),
        ([some_leaf(number) for number in range(MAX_ACTS + 1)], "acts-many"),
    ],
)
def test_a_root_needs_different_acts_of_a_bounded_number(leaves: list[ActLeaf], check: str) -> None:
    with pytest.raises(LeafError) as caught:
        acts_root(leaves)
    assert caught.value.check == check


def test_a_leaf_of_another_decision_has_no_proof() -> None:
    with pytest.raises(LeafError, match="acts-leaf"):
        leaf_proof([some_leaf(1)], some_leaf(2))
    with pytest.raises(LeafError, match="acts-proof"):
        verify_leaf(some_leaf(1), [bytes(32)] * 9, bytes(32))


@pytest.mark.parametrize(
    ("field", "value"), [("key_epoch", 1 << 32), ("not_before", -1), ("not_after", 1 << 64), ("network", b"")]
)
def test_a_mandate_outside_its_solidity_types_cannot_be_made(field: str, value: object) -> None:
    fields = {name: getattr(mandate_of(CASES[0]["mandate"]), name) for name in Mandate.__dataclass_fields__}

    with pytest.raises(MandateError) as caught:
        Mandate(**{**fields, field: value})
    assert caught.value.check == "mandate-range"
    assert caught.value.facts == {"field": field}


def test_a_signature_gives_the_address_that_ethereum_knows() -> None:
    # The first account of every development node.
    key = coincurve.PrivateKey(unhex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))
    signed = key.sign_recoverable(keccak(b"bell"), hasher=None)

    address = recover_address(keccak(b"bell"), signed[:64] + bytes([27 + signed[64]]))

    assert address == unhex("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")


@pytest.mark.parametrize(
    ("certificate", "check"),
    [
        (b"", "certificate-kind"),
        (b"\x02" + bytes(65), "certificate-kind"),
        (b"\x01", "certificate-length"),
        (b"\x01" + bytes(66), "certificate-length"),
        (b"\x01" + bytes(65), "certificate-threshold"),
        (b"\x01" + bytes(65 * 5), "certificate-threshold"),
        (b"\x01" + bytes(65 * 2), "signature-form"),
        (b"\x01" + (bytes(64) + b"\x1b") * 2, "signature-recover"),
        (b"\x01" + (b"\1" * 32 + b"\xff" * 32 + b"\x1b") * 2, "signature-form"),
    ],
)
def test_a_certificate_falls_by_name(certificate: bytes, check: str) -> None:
    with pytest.raises(CertificateError) as caught:
        verify_certificate(bytes(32), certificate, [Address(bytes(20))] * 4, 2)
    assert caught.value.check == check


def test_a_certificate_splits_into_what_it_was_made_of() -> None:
    signatures = {Address(bytes([n] * 20)): bytes([n] * 65) for n in (3, 1, 2)}

    assert split_certificate(encode_certificate(signatures)) == tuple(bytes([n] * 65) for n in (1, 2, 3))


DECISION = Decision(
    anchor=BlockRef(Caip2("eip155:1"), Digest(b"\1" * 32), 17, 1_700_000_000),
    key_epoch=2,
    op=Op.PROTECT,
    parent=None,
    plan_hash=PlanHash(b"\2" * 32),
    rung=1,
    subject="unbacked",
    tier=Tier.FAST,
)


def test_a_decision_comes_back_from_its_map() -> None:
    assert parse_decision(decision_value(DECISION)) == DECISION


def test_the_decision_id_covers_all_but_key_epoch_and_the_anchor_beyond_its_hash() -> None:
    network = NetworkId(b"\7" * 32)
    base = decision_value(DECISION)
    other_anchor = {"chain": "eip155:1", "hash": b"\3" * 32, "number": 17, "timestamp": 1_700_000_000}
    changed = [
        {**base, "op": 2, "rung": 0, "tier": 2},
        {**base, "parent": b"\4" * 32},
        {**base, "plan_hash": b"\4" * 32},
        {**base, "rung": 2},
        {**base, "subject": "other"},
        {**base, "tier": 2},
        {**base, "anchor": other_anchor},
    ]

    ids = {decision_id(network, parse_decision(value)) for value in [base, *changed]}

    assert len(ids) == len(changed) + 1
    assert decision_id(NetworkId(b"\6" * 32), DECISION) not in ids
    assert decision_id(network, parse_decision({**base, "key_epoch": 3})) == decision_id(network, DECISION)


@pytest.mark.parametrize(
    "change",
    [
        {"op": 0},
        {"op": 4},
        {"op": True},
        {"tier": 3},
        {"op": 2, "rung": 0},
        {"op": 3, "tier": 2},
        {"op": 3, "rung": 0, "tier": 2, "parent": bytes(32)},
        {"subject": ""},
        {"subject": "a\nb"},
        {"key_epoch": 0},
        {"parent": bytes(31)},
        {"anchor": None},
        {"more": 1},
    ],
)
def test_a_decision_of_another_form_is_refused(change: dict) -> None:
    with pytest.raises(FieldError) as caught:
        parse_decision({**decision_value(DECISION), **change})
    assert isinstance(caught.value, ProofError)
    assert caught.value.check == "shape"
