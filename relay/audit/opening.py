"""Opening what a source gave: a bundle, verified, with everything that it rests on (SPEC 4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proofs.bundle import decode_bundle
from proofs.checkpoint import SignedCheckpoint, open_checkpoint
from proofs.committee import CommitteeDocument, CommitteeMember, cosigner_key, parse_committee
from proofs.envelope import open_envelope
from proofs.note import VerifierKey, parse_verifier_key
from proofs.policy import Policy, open_checkpoint_under
from proofs.tlogproof import parse_tlog_proof
from proofs.verify import verify_bundle
from relay.audit.case import OpenedBundle

__all__ = ["Trust", "keeper_of", "open_bundle"]


@dataclass(frozen=True, slots=True)
class Trust:
    """What the auditor knew beforehand; `now_s` is our clock in seconds. What is pinned has 32 bytes."""

    raw_policy: bytes
    policy: Policy
    now_s: int
    policy_hash: bytes | None = None
    network: bytes | None = None
    plan_hashes: tuple[bytes, ...] = ()


def open_bundle(source: str, data: bytes, trust: Trust) -> OpenedBundle:
    """Verify a bundle under the auditor's policy, and keep what it was verified with.

    Raises:
        ProofError: with `.check`, the first check that failed (`proofs/SPEC.md` 10).
    """
    verdict = verify_bundle(
        data,
        policy=trust.raw_policy,
        policy_hash=trust.policy_hash,
        network=trust.network,
        plan_hashes=trust.plan_hashes,
        now_s=trust.now_s,
    )
    bundle = decode_bundle(data)
    documents = tuple(parse_committee(each.document) for each in bundle.committees)
    log = parse_verifier_key(bundle.log)
    opened: dict[str, SignedCheckpoint] = {}
    places: list[tuple[SignedCheckpoint, int]] = []
    for record in bundle.records:
        proof = parse_tlog_proof(record.tlog_proof)
        if proof.checkpoint not in opened:
            opened[proof.checkpoint] = _cosigned(proof.checkpoint, trust, log, documents)
        places.append((opened[proof.checkpoint], proof.index))
    envelopes = tuple(open_envelope(record.envelope) for record in bundle.records)
    return OpenedBundle(source, verdict, bundle, documents, envelopes, tuple(places))


def keeper_of(log: VerifierKey, documents: Collection[CommitteeDocument]) -> CommitteeMember | None:
    """Give the member that a log's key belongs to, by any document."""
    for document in documents:
        for member in document.members:
            if member.log == log.public_key:
                return member
    return None


def _cosigned(
    raw: str, trust: Trust, log: VerifierKey, documents: Sequence[CommitteeDocument]
) -> SignedCheckpoint:
    """Open a checkpoint under the policy; where that names no witness, with the members' own cosigners."""
    signed = open_checkpoint_under(raw, trust.policy, now_s=trust.now_s)
    if trust.policy.witnesses:
        return signed
    keys = [cosigner_key(document, member) for document in documents for member in document.members]
    return open_checkpoint(raw, [log], list(dict.fromkeys(keys)))
