"""Bundles: a right one is accepted; every part changed, dropped, doubled or swapped is refused by name."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import coincurve
import pytest
from coincurve._libsecp256k1 import ffi

from proofs.bundle import (
    MAX_BUNDLE_BYTES,
    Bundle,
    BundleDecision,
    BundleDocument,
    BundleError,
    BundleRecord,
    decode_bundle,
    encode_bundle,
)
from proofs.canonical import decode, encode
from proofs.committee import CommitteeStatement, build_committee, committee_signing_bytes
from proofs.decision import decision_id
from proofs.errors import ProofError
from proofs.hashes import keccak256, sha256
from proofs.kinds import ActHash, Address, Caip2, DecisionId, Digest, NetworkId, PlanHash
from proofs.mandate import Op, Tier, acts_root, encode_certificate, mandate_digest
from proofs.note import (
    KeyKind,
    NoteSignature,
    cosignature,
    cosigned_bytes,
    format_note,
    parse_note,
    verifier_key,
)
from proofs.policy import Group, Policy, format_policy
from proofs.terms import hash_of_plan
from proofs.tlogproof import format_tlog_proof, parse_tlog_proof
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.conftest import attestation_body

if TYPE_CHECKING:
    from tests.proofs.conftest import Town


def check_of(data: bytes | Bundle, **pins: "bytes | Collection[bytes] | None") -> str:
    raw = encode_bundle(data) if isinstance(data, Bundle) else data
    with pytest.raises(ProofError) as caught:
        verify_bundle(raw, **pins)
    return caught.value.check


def with_decision(bundle: Bundle, number: int, **changes: object) -> Bundle:
    decisions = list(bundle.decisions)
    decisions[number] = replace(decisions[number], **changes)
    return replace(bundle, decisions=tuple(decisions))


def with_record(bundle: Bundle, number: int, **changes: object) -> Bundle:
    records = list(bundle.records)
    records[number] = replace(records[number], **changes)
    return replace(bundle, records=tuple(records))


def with_mandate(bundle: Bundle, number: int, **changes: object) -> Bundle:
    return with_decision(bundle, number, mandate=replace(bundle.decisions[number].mandate, **changes))


def with_anchor(bundle: Bundle, place: int, **changes: object) -> Bundle:
    decision = bundle.decisions[place].decision
    changed = replace(decision, anchor=replace(decision.anchor, **changes))
    return with_decision(bundle, place, decision=changed)


def with_proof(bundle: Bundle, number: int, **changes: object) -> Bundle:
    proof = replace(parse_tlog_proof(bundle.records[number].tlog_proof), **changes)
    return with_record(bundle, number, tlog_proof=format_tlog_proof(proof))


def with_checkpoints(bundle: Bundle, checkpoint: str) -> Bundle:
    for number in range(len(bundle.records)):
        bundle = with_proof(bundle, number, checkpoint=checkpoint)
    return bundle


def flipped(data: bytes, place: int = -1) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def test_a_right_bundle_is_verified_and_says_what_it_rests_on(town: "Town") -> None:
    verdict = verify_bundle(encode_bundle(town.alarm()))

    fast, full, linked = verdict.decisions
    assert (verdict.network, verdict.plans, verdict.records) == (town.network, (town.plan_hash,), 13)
    assert (verdict.policy_pinned, verdict.policy_hash) == (False, None)
    assert [(epoch.committee_epoch, epoch.members, epoch.f) for epoch in verdict.epochs] == [(1, 4, 1)]
    assert (verdict.log.member, verdict.log.newest.size) == ("alice", 13)
    assert (set(fast.certified_by), fast.threshold) == ({"bob", "carol"}, 2)
    assert (fast.attested, fast.dissented, fast.abstained, fast.silent) == (
        ("bob", "carol"),
        ("alice",),
        ("dave",),
        (),
    )
    assert (full.threshold, full.silent) == (3, ("dave",))
    assert (linked.attested, linked.abstained) == (("dave", "bob"), ()), (
        "who abstained first and attested later"
    )
    assert linked.decision.parent == fast.decision_id
    acts = {act.name: act for act in fast.acts}
    assert acts["halt"].outcomes[0].seen_by == ("alice", "dave")
    assert acts["halt"].outcomes[0].source.startswith("seen and signed by 2 of 4 members, one of them honest")
    assert "too few to exclude lies (f = 1)" in acts["disable"].outcomes[0].source
    assert any(limit.startswith("not shown: receipt of act disable on chain") for limit in verdict.not_proved)
    assert json.loads(json.dumps(verdict_value(verdict)))["verified"] is True


def test_a_bundle_comes_back(town: "Town") -> None:
    bundle = town.alarm()
    read = decode_bundle(encode_bundle(bundle))

    assert encode_bundle(read) == encode_bundle(bundle)
    assert read.records == bundle.records
    assert [entry.decision for entry in read.decisions] == [entry.decision for entry in bundle.decisions]


def test_a_pinned_policy_is_held_to_its_hash(town: "Town", other_town: "Town") -> None:
    data, policy = encode_bundle(town.alarm()), town.policy()

    assert verify_bundle(data, policy=policy, policy_hash=sha256(policy)).policy_pinned
    loose = verify_bundle(data, policy=policy)
    assert (loose.policy_pinned, loose.policy_hash) == (False, sha256(policy))
    assert check_of(data, policy=policy, policy_hash=bytes(32)) == "policy-pin"
    assert check_of(data, policy_hash=sha256(policy)) == "policy-missing"
    assert check_of(data, policy=other_town.policy()) == "log-key"
    assert check_of(data, policy=b"log nothing\n") == "policy-form"


def test_a_pinned_policy_does_not_carry_a_committee_that_its_log_keeper_made_up(
    town: "Town", other_town: "Town"
) -> None:
    """Whoever keeps a log of the policy may log what he likes: here the word of a committee of his own."""
    made_up, policy = encode_bundle(other_town.alarm()), other_town.policy()
    pins = {"policy": policy, "policy_hash": sha256(policy)}

    assert not verify_bundle(made_up, **pins).network_pinned
    assert check_of(made_up, **pins, network=town.network) == "network-pinned"
    assert verify_bundle(encode_bundle(town.alarm()), network=town.network).network_pinned


def test_every_plan_must_be_a_pinned_one(town: "Town") -> None:
    data, other = encode_bundle(town.alarm()), bytes(32)

    assert not verify_bundle(data).plans_pinned
    assert verify_bundle(data, plan_hashes=[other, town.plan_hash]).plans_pinned
    assert check_of(data, plan_hashes=[other]) == "plan-pinned"


def test_a_policy_with_witnesses_asks_for_their_cosignatures(town: "Town") -> None:
    bundle = town.alarm()
    witnesses = {
        name: verifier_key(f"witness/{name}", KeyKind.COSIGNATURE, bytes(tower.cosigner_key.verify_key))
        for name, tower in town.towers.items()
    }
    policy = format_policy(Policy((town.log,), witnesses, {"most": Group(3, tuple(witnesses))}, "most"))

    def cosigned(*names: str) -> bytes:
        note = parse_note(town.checkpoint())
        lines: list[NoteSignature] = [
            cosignature(
                witnesses[name],
                7,
                town.towers[name].cosigner_key.sign(cosigned_bytes(note.text, 7)).signature,
            )
            for name in names
        ]
        raw = format_note(replace(note, signatures=(*note.signatures, *lines)))
        return encode_bundle(with_checkpoints(bundle, raw))

    verdict = verify_bundle(cosigned("alice", "bob", "dave"), policy=policy)

    assert len(verdict.log.witnesses) == 3
    assert not any("witness" in limit for limit in verdict.not_proved)
    assert check_of(cosigned("alice", "bob"), policy=policy) == "policy-quorum"
    assert check_of(encode_bundle(bundle), policy=policy) == "policy-quorum"


TAMPERED: dict[str, list[Callable[["Town", Bundle], Bundle]]] = {
    "network": [lambda town, b: replace(b, network=NetworkId(flipped(b.network)))],
    "committee-genesis": [lambda town, b: replace(b, committees=())],
    "committee-epoch": [lambda town, b: replace(b, committees=b.committees * 2)],
    "committee-quorum": [
        lambda town, b: replace(b, committees=(town.signed_genesis("alice", "bob", "carol"),))
    ],
    "committee-signature": [
        lambda town, b: replace(
            b,
            committees=(
                replace(
                    b.committees[0],
                    signatures={key: flipped(sig) for key, sig in b.committees[0].signatures.items()},
                ),
            ),
        )
    ],
    "plan-unknown": [lambda town, b: replace(b, plans=())],
    "plan-twice": [lambda town, b: replace(b, plans=b.plans * 2)],
    "plan-hash": [
        lambda town, b: replace(b, plans=(replace(b.plans[0], plan_hash=PlanHash(bytes(32))),)),
        lambda town, b: replace(b, plans=(replace(b.plans[0], canonical=flipped(town.plan)),)),
    ],
    "note-key": [lambda town, b: replace(b, log="tower+00000000+AAAA")],
    "note-unsigned": [
        lambda town, b: with_checkpoints(b, town.checkpoint().replace("— town/", "— tawn/")),
    ],
    "note-signature": [
        lambda town, b: with_checkpoints(b, town.checkpoint(by="bob")),
        lambda town, b: with_checkpoints(b, town.checkpoint().replace("\n13\n", "\n14\n")),
    ],
    "note-form": [lambda town, b: with_checkpoints(b, "")],
    "tlog-proof-form": [lambda town, b: with_record(b, 0, tlog_proof="")],
    "record-extra": [lambda town, b: with_proof(b, 0, extra=b"more")],
    "tree-inclusion": [
        lambda town, b: with_proof(b, 0, index=1),
        lambda town, b: with_proof(b, 0, path=()),
        lambda town, b: with_record(b, 0, tlog_proof=b.records[1].tlog_proof),
        lambda town, b: with_record(b, 0, envelope=b.records[1].envelope),
        lambda town, b: with_checkpoints(b, town.checkpoint(12)),
    ],
    "record-twice": [
        lambda town, b: with_decision(b, 0, outcomes=(10, 10, 11, 12)),
        lambda town, b: replace(b, records=(*b.records, b.records[0])),
        lambda town, b: replace(b, decisions=(*b.decisions, b.decisions[1])),
    ],
    "record-unused": [
        lambda town, b: with_decision(b, 0, attestations=(0, 1, 2)),
        lambda town, b: with_decision(b, 0, outcomes=(10, 11)),
        lambda town, b: replace(b, decisions=b.decisions[:2]),
    ],
    "record-missing": [
        lambda town, b: replace(b, records=b.records[:-1]),
        lambda town, b: with_decision(b, 0, outcomes=(13,)),
    ],
    "decision-none": [lambda town, b: replace(b, decisions=())],
    "parent": [lambda town, b: without_parent(town)],
    "mandate-not-before": [
        lambda town, b: with_anchor(b, 0, timestamp=b.decisions[0].mandate.not_before + 1)
    ],
    "mandate-decision-id": [
        lambda town, b: with_anchor(b, 0, hash=Digest(bytes(32))),
        lambda town, b: with_mandate(b, 0, decision_id=DecisionId(bytes(32))),
    ],
    "mandate-network": [lambda town, b: with_mandate(b, 0, network=NetworkId(bytes(32)))],
    "mandate-key-epoch": [lambda town, b: with_mandate(b, 0, key_epoch=2)],
    "mandate-tier": [lambda town, b: with_mandate(b, 0, tier=Tier.FULL)],
    "mandate-op": [lambda town, b: with_mandate(b, 0, op=Op.EXTEND)],
    "mandate-plan-hash": [lambda town, b: with_mandate(b, 0, plan_hash=PlanHash(bytes(32)))],
    "mandate-acts-root": [
        lambda town, b: with_mandate(b, 0, acts_root=Digest(bytes(32))),
        lambda town, b: with_decision(b, 0, leaves=b.decisions[0].leaves[:1]),
        lambda town, b: with_decision(
            b, 0, leaves=tuple(replace(leaf, act_hash=ActHash(bytes(32))) for leaf in b.decisions[0].leaves)
        ),
    ],
    "mandate-lifetime": [lambda town, b: with_mandate(b, 0, not_after=b.decisions[0].mandate.not_after + 1)],
    "acts-empty": [lambda town, b: with_decision(b, 0, leaves=())],
    "acts-duplicate": [lambda town, b: with_decision(b, 0, leaves=(town.leaf("halt"), town.leaf("halt")))],
    "certificate-kind": [lambda town, b: with_decision(b, 0, certificate=b"")],
    "certificate-length": [
        lambda town, b: with_decision(b, 0, certificate=b.decisions[0].certificate[:-1]),
        lambda town, b: with_decision(b, 0, certificate=b"\x01"),
    ],
    "certificate-threshold": [
        lambda town, b: with_decision(b, 0, certificate=town.certificate(b.decisions[0].mandate, "bob")),
        lambda town, b: with_decision(
            b, 1, certificate=town.certificate(b.decisions[1].mandate, "bob", "carol")
        ),
    ],
    "certificate-signer": [
        lambda town, b: with_decision(b, 0, certificate=b.decisions[2].certificate),
    ],
    "certificate-attestation": [
        lambda town, b: with_decision(
            b, 0, certificate=town.certificate(b.decisions[0].mandate, "bob", "dave")
        ),
    ],
    "attestation-twice": [lambda town, b: with_decision(b, 0, attestations=(0, 0, 1, 2, 3))],
    "attestation-decision": [
        lambda town, b: with_decision(b, 0, attestations=(0, 1, 2, 3, 7)),
        lambda town, b: with_anchor(b, 0, number=101),
    ],
    "outcome-mandate": [lambda town, b: with_decision(b, 1, outcomes=(10,))],
}


def without_parent(town: "Town") -> Bundle:
    """Give a bundle of the linked decision alone, in order but for the parent."""
    town.entries.clear()
    linked = town.decide(subject="link:collateral", parent=DecisionId(bytes(32)))
    for name in ("alice", "bob"):
        town.attest(name, linked, town.mandate(linked))
    return town.bundle(town.entry(linked, ("alice", "bob"), (0, 1), ()))


@pytest.mark.parametrize(
    ("check", "tamper"), [(check, tamper) for check, tampers in TAMPERED.items() for tamper in tampers]
)
def test_a_changed_bundle_is_refused_by_name(
    town: "Town", check: str, tamper: Callable[["Town", Bundle], Bundle]
) -> None:
    assert check_of(tamper(town, town.alarm())) == check


def one_alarm(
    town: "Town", *, extra: Callable[["Town", BundleDecision], tuple[list[int], list[int]]] | None = None
) -> Bundle:
    """Give a bundle of one fast decision by alice and bob, with what `extra` says after it."""
    fast = town.decide()
    for name in ("alice", "bob"):
        town.attest(name, fast, town.mandate(fast))
    entry = town.entry(fast, ("alice", "bob"), (0, 1), ())
    attestations, outcomes = extra(town, entry) if extra is not None else ([], [])
    entry = replace(entry, attestations=(0, 1, *attestations), outcomes=tuple(outcomes))
    return town.bundle(entry)


def attestation_of(town: "Town", number: int) -> dict:
    envelope = decode(town.entries[number], limit_bytes=1 << 16)
    return dict(decode(envelope[1], limit_bytes=1 << 16)["body"])


def says(kind: str, change: Callable[["Town", BundleDecision], dict], **envelope: object):
    def extra(town: "Town", entry: BundleDecision) -> tuple[list[int], list[int]]:
        town.say("carol", kind, change(town, entry), **envelope)
        return ([2], []) if kind == "attestation" else ([], [2])

    return extra


def outcome_with(town: "Town", entry: BundleDecision, **changes: object) -> dict:
    mandate, leaf = entry.mandate, town.leaf("halt")
    anchor = entry.decision.anchor
    body: dict = {
        "act_id": leaf.act_id,
        "block": {"chain": leaf.chain, "hash": anchor.hash, "number": 1, "timestamp": 1},
        "chain": leaf.chain,
        "decision_id": mandate.decision_id,
        "effect": "started",
        "gas_used": 1,
        "gateway": leaf.gateway,
        "mandate_digest": mandate_digest(mandate),
        "tx": bytes(32),
        "until": 1,
    }
    return {**body, **changes}


STATEMENTS = [
    ("attestation-signer", says("attestation", lambda town, entry: attestation_of(town, 0))),
    (
        "signature-form",
        says("attestation", lambda town, entry: {**attestation_of(town, 0), "signature": bytes(65)}),
    ),
    ("shape", says("attestation", lambda town, entry: {**attestation_of(town, 0), "digest": None})),
    ("shape", says("attestation", lambda town, entry: {**attestation_of(town, 0), "verdict": "dissent"})),
    ("shape", says("attestation", lambda town, entry: {**attestation_of(town, 0), "verdict": "maybe"})),
    ("shape", says("attestation", lambda town, entry: {**attestation_of(town, 0), "trace": {}})),
    ("shape", says("attestation", lambda town, entry: {**attestation_of(town, 0), "more": 1})),
    ("shape", says("outcome", lambda town, entry: {"effect": "started"})),
    ("shape", says("outcome", lambda town, entry: outcome_with(town, entry, chain=Caip2("eip155:1")))),
    ("outcome-act", says("outcome", lambda town, entry: outcome_with(town, entry, act_id=bytes(32)))),
    ("outcome-act", says("outcome", lambda town, entry: outcome_with(town, entry, gateway=bytes(32)))),
    (
        "outcome-mandate",
        says("outcome", lambda town, entry: outcome_with(town, entry, mandate_digest=bytes(32))),
    ),
    (
        "outcome-mandate",
        says("outcome", lambda town, entry: outcome_with(town, entry, decision_id=bytes(32))),
    ),
    ("record-network", says("outcome", outcome_with, network=NetworkId(bytes(32)))),
    ("record-epoch", says("outcome", outcome_with, committee_epoch=2)),
    ("envelope-signature", says("outcome", outcome_with, author=bytes(32))),
]


@pytest.mark.parametrize(("check", "extra"), STATEMENTS)
def test_a_record_that_says_something_else_is_refused_by_name(town: "Town", check: str, extra) -> None:
    verify_bundle(encode_bundle(one_alarm(town)))
    town.entries.clear()

    assert check_of(one_alarm(town, extra=extra)) == check


def test_a_liar_that_attests_to_another_mandate_is_named_and_stops_nothing(town: "Town") -> None:
    extra = says("attestation", lambda here, entry: {**attestation_of(here, 0), "digest": bytes(32)})

    (verdict,) = verify_bundle(encode_bundle(one_alarm(town, extra=extra))).decisions

    assert (verdict.attested, verdict.astray, verdict.silent) == (("alice", "bob"), ("carol",), ("dave",))


def test_a_member_that_repeats_an_outcome_counts_once(town: "Town") -> None:
    def extra(here: "Town", entry: BundleDecision) -> tuple[list[int], list[int]]:
        for name in ("carol", "carol", "dave"):
            here.see(name, entry.mandate, here.leaf("halt"))
        return [], [2, 3, 4]

    (verdict,) = verify_bundle(encode_bundle(one_alarm(town, extra=extra))).decisions

    (outcome,) = next(act for act in verdict.acts if act.name == "halt").outcomes
    assert outcome.seen_by == ("carol", "dave")


def test_a_stranger_has_no_voice(town: "Town", other_town: "Town") -> None:
    mallory = other_town.towers["alice"]

    def extra(here: "Town", entry: BundleDecision) -> tuple[list[int], list[int]]:
        here.towers["mallory"] = mallory
        here.refuse("mallory", entry.decision, "dissent")
        return [2], []

    assert check_of(one_alarm(town, extra=extra)) == "record-author"


def test_two_signed_roots_of_one_size_are_a_fork(town: "Town") -> None:
    bundle = one_alarm(town)
    forked = with_proof(bundle, 1, checkpoint=town.checkpoint(root=Digest(bytes(32))))

    assert check_of(forked) == "log-fork"


def test_checkpoints_of_two_sizes_are_accepted_and_said(town: "Town") -> None:
    early = one_alarm(town).records[0]
    town.refuse("carol", town.decide(), "dissent")
    bundle = town.bundle(town.entry(town.decide(), ("alice", "bob"), (0, 1, 2), ()))

    verdict = verify_bundle(encode_bundle(replace(bundle, records=(early, *bundle.records[1:]))))

    assert verdict.log.newest.size == 3
    assert any("one history" in limit for limit in verdict.not_proved)


def test_a_decision_that_the_plan_does_not_give_is_refused(town: "Town") -> None:
    def decided(**changes: object) -> Bundle:
        town.entries.clear()
        leaves = changes.pop("leaves", None)
        decision = town.decide(**changes)
        leaves = leaves or (town.leaf("halt"), town.leaf("disable"))
        mandate = town.mandate(decision, leaves)
        for name in ("alice", "bob", "carol"):
            town.attest(name, decision, mandate)
        entry = BundleDecision(
            decision, mandate, leaves, town.certificate(mandate, "alice", "bob", "carol"), (0, 1, 2), ()
        )
        return town.bundle(entry)

    halt = town.leaf("halt")
    anchor = replace(town.decide().anchor, chain=Caip2("eip155:1"))
    verify_bundle(encode_bundle(decided()))
    assert check_of(decided(anchor=anchor)) == "plan-reference"
    assert check_of(decided(subject="quiet")) == "plan-subject"
    assert check_of(decided(rung=1)) == "plan-subject"
    assert check_of(decided(parent=DecisionId(bytes(32)))) == "plan-subject"
    assert check_of(decided(subject="link:collateral", leaves=(town.leaf("disable"),))) == "plan-subject"
    assert check_of(decided(subject="report:auditors", leaves=(town.leaf("disable"),))) == "plan-subject"
    assert check_of(decided(op=Op.EXTEND, tier=Tier.FULL, subject="quiet")) == "plan-subject"
    assert check_of(decided(leaves=(halt,))) == "plan-acts"
    assert check_of(decided(leaves=(replace(halt, duration_s=1), town.leaf("disable")))) == "plan-acts"
    assert (
        check_of(decided(leaves=(replace(halt, chain=Caip2("eip155:1")), town.leaf("disable"))))
        == "plan-acts"
    )
    verify_bundle(encode_bundle(decided(op=Op.EXTEND, tier=Tier.FULL, subject="halt", leaves=(halt,))))
    verify_bundle(encode_bundle(decided(op=Op.RELEASE, tier=Tier.FULL, subject="halt", leaves=(halt,))))


def test_a_plan_that_verifiers_cannot_read_is_refused(town: "Town") -> None:
    bundle = one_alarm(town)
    value = decode(town.plan, limit_bytes=1 << 20)
    assert isinstance(value, dict)
    for change in ({"format": "tocsin/plan/2"}, {"clock": {}}, {"acts": []}, {"rules": {"a": {"ladder": 1}}}):
        canonical = encode({**value, **change})
        plans = (replace(bundle.plans[0], canonical=canonical, plan_hash=hash_of_plan(canonical)),)
        assert check_of(replace(bundle, plans=plans)) == "plan-form"


def test_a_plan_of_no_decision_is_refused(town: "Town") -> None:
    bundle = one_alarm(town)
    value = decode(town.plan, limit_bytes=1 << 20)
    assert isinstance(value, dict)
    canonical = encode({**value, "version": 2})
    other = replace(bundle.plans[0], canonical=canonical, plan_hash=hash_of_plan(canonical))

    assert check_of(replace(bundle, plans=(*bundle.plans, other))) == "plan-unused"


def test_an_attester_of_another_key_epoch_attests_to_nothing(town: "Town") -> None:
    """Its author may be a member in both: by the key of the other one it says nothing of this decision."""
    newer = coincurve.PrivateKey(sha256(b"attester of the next epoch"))
    address = Address(keccak256(newer.public_key.format(compressed=False)[1:])[12:])
    carol = town.towers["carol"].identity
    members = tuple(
        replace(each, attester=address) if each.identity == carol else each for each in town.genesis.members
    )
    following = build_committee(CommitteeStatement("town", 2, 2, 1, False, town.network, members))
    message = committee_signing_bytes(following.raw)
    signatures = {
        tower.identity: tower.identity_key.sign(message).signature for tower in town.towers.values()
    }
    decision = town.decide()
    mandate = town.mandate(decision)
    for name in ("alice", "bob"):
        town.attest(name, decision, mandate)
    digest = mandate_digest(mandate)
    signature = newer.sign_recoverable(digest, hasher=None)
    said = attestation_body(decision, "attest", digest, signature[:64] + bytes([signature[64] + 27]))
    town.say("carol", "attestation", said, committee_epoch=2)
    bundle = town.bundle(town.entry(decision, ("alice", "bob"), (0, 1, 2), ()))
    bundle = replace(bundle, committees=(*bundle.committees, BundleDocument(following.raw, signatures)))

    assert check_of(bundle) == "attestation-signer"


def test_a_decision_of_a_key_epoch_that_never_was_is_refused(town: "Town") -> None:
    decision = town.decide(key_epoch=2)
    for name in ("alice", "bob"):
        town.attest(name, decision, town.mandate(decision))

    assert check_of(town.bundle(town.entry(decision, ("alice", "bob"), (0, 1), ()))) == "key-epoch"


def test_a_decision_stands_once(town: "Town") -> None:
    decision = town.decide()
    mandate = town.mandate(decision)
    for name in ("alice", "bob", "carol", "dave"):
        town.attest(name, decision, mandate)
    bundle = town.bundle(
        town.entry(decision, ("alice", "bob"), (0, 1), ()),
        town.entry(decision, ("carol", "dave"), (2, 3), ()),
    )

    assert check_of(bundle) == "decision-twice"


def test_a_signature_that_is_not_the_one_in_the_log_is_refused(town: "Town") -> None:
    bundle = one_alarm(town)
    digest = mandate_digest(bundle.decisions[0].mandate)
    alice, bob = town.towers["alice"], town.towers["bob"]
    # The same key over the same digest with another nonce: as valid for a chain, but said nowhere in the log.
    entropy = ffi.new("unsigned char [32]", bytes(31) + b"\1")
    signed = alice.attester_key.sign_recoverable(digest, hasher=None, custom_nonce=(ffi.NULL, entropy))
    another = signed[:64] + bytes([signed[64] + 27])

    recovered = {alice.address: another, bob.address: bob.sign_digest(digest)}

    assert another != alice.sign_digest(digest)
    assert (
        check_of(with_decision(bundle, 0, certificate=encode_certificate(recovered)))
        == "certificate-attestation"
    )


SWAPPED = {
    "network": "network",
    "committees": "network",
    "keys": None,
    "plans": None,
    "decisions": "mandate-network",
    "records": "record-network",
    "log": "log-key",
}


@pytest.mark.parametrize(("part", "check"), SWAPPED.items())
def test_parts_of_two_bundles_cannot_be_swapped(
    town: "Town", other_town: "Town", part: str, check: str | None
) -> None:
    ours, theirs = town.alarm(), other_town.alarm()
    swapped = replace(ours, **{part: getattr(theirs, part)})

    if check is None:
        assert getattr(ours, part) == getattr(theirs, part), "both towns have this"
    else:
        assert check_of(swapped) == check


def test_parts_of_two_alarms_of_one_town_cannot_be_swapped(town: "Town") -> None:
    first = one_alarm(town)
    town.entries.clear()
    second_decision = town.decide(anchor=replace(town.decide().anchor, hash=Digest(bytes(32))))
    for name in ("alice", "bob"):
        town.attest(name, second_decision, town.mandate(second_decision))
    second = town.bundle(town.entry(second_decision, ("alice", "bob"), (0, 1), ()))

    assert check_of(replace(first, decisions=second.decisions)) == "attestation-decision"
    assert check_of(replace(first, records=second.records)) == "attestation-decision"
    assert check_of(with_decision(first, 0, mandate=second.decisions[0].mandate)) == "mandate-decision-id"
    assert check_of(with_decision(first, 0, decision=second_decision)) == "mandate-decision-id"
    assert (
        check_of(with_decision(first, 0, certificate=second.decisions[0].certificate)) == "certificate-signer"
    )


def test_every_dropped_doubled_or_swapped_record_is_noticed(town: "Town") -> None:
    bundle = town.alarm()
    records = bundle.records

    for number in range(len(records)):
        check_of(replace(bundle, records=(*records[:number], *records[number + 1 :])))
        check_of(replace(bundle, records=(*records[:number], records[number], *records[number:])))
        other: BundleRecord = records[number - 1]
        check_of(with_record(bundle, number, envelope=other.envelope, tlog_proof=other.tlog_proof))


def test_no_flipped_bit_passes(town: "Town") -> None:
    data = encode_bundle(one_alarm(town))
    chance = Random(7)

    for _ in range(400):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        changed = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        with pytest.raises(ProofError):
            print(f"flipped bit {bit:02x} of byte {place}", verify_bundle(changed).checks)


def test_no_truncated_file_passes(town: "Town") -> None:
    data = encode_bundle(one_alarm(town))

    for end in [*range(0, len(data), 97), len(data) - 1]:
        assert check_of(data[:end]) in ("bundle-json", "bundle-form")
    assert check_of(data + b" ") == "bundle-form"


@pytest.mark.parametrize(
    ("data", "check"),
    [
        (b" " * (MAX_BUNDLE_BYTES + 1), "bundle-size"),
        (b"", "bundle-json"),
        (b"\xff", "bundle-json"),
        (b"[" * 1_000_000, "bundle-json"),
        (b'{"a":' * 1_000_000, "bundle-json"),
        (b"[]" * 8 + b"[" * 9, "bundle-json"),
        (b'"' + b'\\"' * 1_000_000, "bundle-json"),
        (b"[" + b"[]," * 600_000, "bundle-json"),
        (f'["\u2200", {"[" * 5_000}{"]" * 5_000}, "\u2200"]'.encode("utf-16-le"), "bundle-json"),
        (b"[1.5]", "bundle-json"),
        (b"[NaN]", "bundle-json"),
        (b'{"schema": 1, "schema": 1}', "bundle-json"),
        (b"[" + b"9" * 5_000 + b"]", "bundle-json"),
        (b"[]", "shape"),
        (b"{}", "shape"),
    ],
)
def test_a_file_of_another_form_is_refused(data: bytes, check: str) -> None:
    with pytest.raises(ProofError) as caught:
        decode_bundle(data)
    assert caught.value.check == check


FIELDS: list[tuple[str, Callable[[dict], None]]] = [
    ("shape", lambda value: value.update(more=1)),
    ("shape", lambda value: value.pop("log")),
    ("shape", lambda value: value.update(schema="tocsin/bundle/2")),
    ("shape", lambda value: value.update(network="00")),
    ("shape", lambda value: value.update(network="zz" * 32)),
    ("shape", lambda value: value.update(network=7)),
    ("shape", lambda value: value["log"].update(vkey="")),
    ("shape", lambda value: value["records"][0].update(envelope="!")),
    ("shape", lambda value: value["records"][0].update(tlog_proof=None)),
    ("shape", lambda value: value["committees"][0].update(signatures={"00": "AAAA"})),
    ("shape", lambda value: value["plans"][0].update(canonical=None)),
    ("shape", lambda value: value["decisions"][0].update(attestations=[-1])),
    ("shape", lambda value: value["decisions"][0].update(attestations=[True])),
    ("shape", lambda value: value["decisions"][0]["decision"].update(tier=3)),
    ("shape", lambda value: value["decisions"][0]["decision"].update(more=3)),
    ("shape", lambda value: value["decisions"][0]["decision"].update(parent="00")),
    ("shape", lambda value: value["decisions"][0]["decision"].update(plan_hash=None)),
    ("shape", lambda value: value["decisions"][0]["decision"]["anchor"].update(hash=None)),
    ("shape", lambda value: value["decisions"][0]["decision"]["anchor"].pop("number")),
    ("shape", lambda value: value["decisions"][0]["mandate"].update(op=0)),
    ("shape", lambda value: value["decisions"][0]["leaves"][0].update(duration_s=-1)),
    ("shape", lambda value: value["decisions"][0]["leaves"][0].update(chain="x" * 99)),
    ("bundle-form", lambda value: value.update(network=value["network"].upper())),
    ("bundle-form", lambda value: value["decisions"][0]["leaves"].reverse()),
]


@pytest.mark.parametrize(("check", "change"), FIELDS)
def test_a_bundle_field_of_another_form_is_refused(
    town: "Town", check: str, change: Callable[[dict], None]
) -> None:
    value = json.loads(encode_bundle(one_alarm(town)))
    change(value)

    with pytest.raises(ProofError) as caught:
        decode_bundle(json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
    assert caught.value.check == check


def test_another_spelling_of_the_same_json_is_refused(town: "Town") -> None:
    data = encode_bundle(one_alarm(town))

    other = json.dumps(json.loads(data)).encode()
    for spelling, check in ((other, "bundle-form"), (data.decode().encode("utf-16"), "bundle-json")):
        with pytest.raises(BundleError) as caught:
            decode_bundle(spelling)
        assert caught.value.check == check
    assert decision_id(town.network, town.decide()) == decode_bundle(data).decisions[0].mandate.decision_id
    assert acts_root(town.leaves(town.decide())) == decode_bundle(data).decisions[0].mandate.acts_root
