"""The one door by which a peer's bytes become a message (SPEC 1.2, 3): form, then signer, then signature."""

from __future__ import annotations

from typing import Final

from proofs.canonical import encode
from proofs.committee import CommitteeDocument
from proofs.envelope import (
    Envelope,
    PayloadFields,
    UnverifiedEnvelope,
    assemble_envelope,
    build_payload,
    parse_envelope,
    verify_envelope,
)
from proofs.errors import ProofError
from relay.core.bodies import body_of, read_body
from relay.core.committees import Committees
from relay.core.errors import WireError
from relay.core.messages import KIND, ON_DECISIONS, Equivocation, Message, Verdict
from relay.core.messages import Attestation as AttestationMessage
from relay.core.types import Identity, Millis

__all__ = [
    "contradict",
    "open_equivocation",
    "open_message",
    "payload_of",
    "read_message",
    "seal",
    "statement_key",
]


_ON_DECISIONS: Final = frozenset(KIND[kind] for kind in ON_DECISIONS)


def open_message(raw: bytes, committees: Committees, *, at_s: int) -> tuple[Envelope, Message]:
    """Open what a peer sent: a verified envelope of a member, and its message (SPEC 1.2, 2.4).

    `at_s` is our clock: it tells which committee documents are still listened to.

    Raises:
        WireError: `malformed`, `other network`, `unknown signer`, `other epoch`, `bad signature` or `bad
        evidence`.
    """
    envelope, message = _open(raw, committees, at_s)
    if isinstance(message, Equivocation):
        open_equivocation(message, committees)
    return envelope, message


def _open(raw: bytes, committees: Committees, at_s: int | None) -> tuple[Envelope, Message]:
    """Open an envelope; without a time that of any epoch: what convicts somebody does not age."""
    try:
        unverified = parse_envelope(raw)
        _check_sender(unverified, committees, at_s)
        message = read_body(unverified.fields.kind, unverified.fields.body)
    except ProofError as error:
        raise WireError("malformed", str(error)) from error
    # SECURITY: the signature comes last, so that garbage costs no curve arithmetic.
    try:
        return verify_envelope(unverified), message
    except ProofError as error:
        raise WireError("bad signature", str(error)) from error


def read_message(envelope: Envelope) -> Message:
    """Read the message of an envelope that was opened before; the journal's way back.

    Raises:
        WireError: `malformed`.
    """
    try:
        return read_body(envelope.kind, envelope.body)
    except ProofError as error:
        raise WireError("malformed", str(error)) from error


def open_equivocation(
    evidence: Equivocation, committees: Committees
) -> tuple[AttestationMessage, AttestationMessage, Identity]:
    """Check that two envelopes contradict each other (SPEC 6.4) and give both statements and their author.

    Raises:
        WireError: `bad evidence`, or what `open_message` raises for either half.
    """
    (first_envelope, first) = _open(evidence.first, committees, None)
    (second_envelope, second) = _open(evidence.second, committees, None)
    if not isinstance(first, AttestationMessage) or not isinstance(second, AttestationMessage):
        raise WireError("bad evidence", "expected two attestations")
    if first_envelope.author != second_envelope.author:
        raise WireError("bad evidence", "expected one author, got two")
    if not contradict(first, second):
        raise WireError("bad evidence", "expected two digests for one decision and key epoch")
    return first, second, first_envelope.author


def contradict(first: AttestationMessage, second: AttestationMessage) -> bool:
    """Tell whether two statements of one identity are an equivocation (SPEC 6.4)."""
    return (
        first.verdict is Verdict.ATTEST
        and second.verdict is Verdict.ATTEST
        and _decision_key(first) == _decision_key(second)
        and first.digest != second.digest
    )


def payload_of(message: Message, *, committee: CommitteeDocument, author: Identity, at_ms: Millis) -> bytes:
    """Give the payload that `author` signs to say `message`."""
    return build_payload(
        PayloadFields(
            network=committee.network,
            author=author,
            committee_epoch=committee.committee_epoch,
            kind=KIND[type(message)],
            at_ms=at_ms,
            body=body_of(message),
        )
    )


def statement_key(message: Message) -> bytes:
    """Give the bytes that two messages share exactly when they say the same."""
    return encode([KIND[type(message)], body_of(message)])


def seal(payload: bytes, signature: bytes) -> tuple[Envelope, Message]:
    """Join a payload with the signature that our own signer gave it, and read it as a peer will."""
    envelope = verify_envelope(parse_envelope(assemble_envelope(payload, signature)))
    return envelope, read_message(envelope)


def _check_sender(unverified: UnverifiedEnvelope, committees: Committees, at_s: int | None) -> None:
    fields = unverified.fields
    if fields.network != committees.network:
        raise WireError("other network", f"expected {committees.network.hex()}, got {fields.network.hex()}")
    document = committees.by_epoch(fields.committee_epoch)
    if document is None:
        known = committees.newest.committee_epoch
        raise WireError("other epoch", f"expected an epoch up to {known}, got {fields.committee_epoch}")
    on_decisions = fields.kind in _ON_DECISIONS
    if at_s is not None and not committees.is_heard(document, at_s, on_decisions=on_decisions):
        raise WireError("other epoch", f"expected an epoch that is not over, got {fields.committee_epoch}")
    if document.member(fields.author) is None:
        raise WireError("unknown signer", f"expected a member of {document.name}, got {fields.author.hex()}")


def _decision_key(attestation: AttestationMessage) -> tuple[object, ...]:
    """Give what the decision id and the key epoch are made of (SPEC 4.1)."""
    decision = attestation.decision
    return (
        decision.plan_hash,
        decision.op,
        decision.subject,
        decision.rung,
        decision.tier,
        decision.anchor.hash,
        decision.parent,
        decision.key_epoch,
    )
