"""The records of a bundle: whose log they are in, under which checkpoints (`proofs/SPEC.md` 10)."""

from dataclasses import dataclass

from proofs.bundle import Bundle
from proofs.checkpoint import SignedCheckpoint
from proofs.committee import cosigner_key
from proofs.envelope import open_envelope
from proofs.errors import ProofError
from proofs.ground import Ground, LoggedRecord
from proofs.kinds import Digest
from proofs.note import KeyKind, VerifierKey, format_verifier_key, parse_verifier_key
from proofs.policy import Policy, missing_witnesses, open_checkpoint_under
from proofs.tlogproof import parse_tlog_proof
from proofs.tree import leaf_digest, verify_inclusion
from proofs.verdict import LogAnchor

__all__ = ["LogError", "Records", "check_records"]


class LogError(ProofError):
    """The records are not of one log that the reader trusts; SPEC 10 lists the checks."""


@dataclass(frozen=True, slots=True)
class Records:
    """All records, in the bundle's order; the log; whether all stand under one size of it."""

    records: tuple[LoggedRecord, ...]
    log: LogAnchor
    is_of_one_size: bool


def check_records(bundle: Bundle, ground: Ground, policy: Policy | None, now_s: int | None) -> Records:
    """Check who signed each record and that it is in the log, which `policy` must name if there is one.

    Raises:
        ProofError: the first check that failed.
    """
    log_key, holder = _log_key(bundle, ground, policy)
    trusted = policy if policy is not None else _own_policy(log_key, ground)
    opened: dict[str, SignedCheckpoint] = {}
    roots: dict[int, Digest] = {}
    records: list[LoggedRecord] = []
    for record in bundle.records:
        envelope = open_envelope(record.envelope)
        ground.check_author(envelope)
        proof = parse_tlog_proof(record.tlog_proof)
        if proof.extra is not None:
            raise LogError("record-extra", "expected a proof without extra data, got some")
        signed = opened.get(proof.checkpoint)
        if signed is None:
            signed = opened[proof.checkpoint] = _open(proof.checkpoint, log_key, trusted, now_s)
        checkpoint = signed.checkpoint
        if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise LogError("log-fork", f"expected one root at size {checkpoint.size}, got two, both signed")
        verify_inclusion(leaf_digest(envelope.raw), proof.index, checkpoint.size, proof.path, checkpoint.root)
        records.append(LoggedRecord(envelope, signed))
    if not opened:
        raise LogError("record-none", "expected records, got none")
    if len({record.envelope.digest for record in records}) != len(records):
        raise LogError("record-twice", "expected each envelope once, got one twice")
    newest = max(opened.values(), key=lambda signed: (signed.checkpoint.size, len(signed.cosigned)))
    anchor = LogAnchor(
        vkey=bundle.log,
        member=holder,
        newest=newest.checkpoint,
        witnesses=tuple(signature.key.name for signature in newest.cosigned),
        missing=tuple(key.name for key in missing_witnesses(trusted, newest)),
        quorum=_quorum(trusted),
    )
    return Records(tuple(records), anchor, is_of_one_size=len(roots) == 1)


def _log_key(bundle: Bundle, ground: Ground, policy: Policy | None) -> tuple[VerifierKey, str | None]:
    """Give the key of the log and the name of the member that holds it."""
    key = parse_verifier_key(bundle.log)
    if key.kind is not KeyKind.ED25519:
        raise LogError("log-key", f"expected a key of kind 01, got {key.kind:02x}")
    holders = [
        member.name
        for document in ground.documents
        for member in document.members
        if member.log == key.public_key
    ]
    if policy is not None and key not in policy.logs:
        raise LogError("log-key", f"expected a log of the policy, got {format_verifier_key(key)}")
    if policy is None and not holders:
        raise LogError("log-key", f"expected the log key of a member, got {format_verifier_key(key)}")
    return key, holders[-1] if holders else None


def _own_policy(log_key: VerifierKey, ground: Ground) -> Policy:
    """Give what the bundle itself names: its log, and its newest members as witnesses; none must be."""
    newest = ground.documents[-1]
    cosigners = [cosigner_key(newest, member) for member in newest.members]
    return Policy(logs=(log_key,), witnesses={key.name: key for key in cosigners})


def _open(raw: str, log_key: VerifierKey, policy: Policy, now_s: int | None) -> SignedCheckpoint:
    signed = open_checkpoint_under(raw, policy, now_s=now_s)
    if signed.log != log_key:
        raise LogError("log-key", f"expected checkpoints of {log_key.name}, got one of {signed.log.name}")
    return signed


def _quorum(policy: Policy) -> str | None:
    """Say what the policy asks for in words."""
    if policy.quorum is None:
        return None
    group = policy.groups.get(policy.quorum)
    of = "" if group is None else f"{group.threshold} of {len(group.members)}, "
    # A name is any octets to the format: neither a terminal nor a JSON document may get them as they are.
    name = "".join(each if each.isprintable() else "�" for each in policy.quorum)
    return f"{of}{name}"
