"""The bodies of envelopes (SPEC 3): messages into maps of plain values, and back.

Reading a body checks every field once; whoever holds one of the types of `messages` need not look again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proofs.canonical import Value
from proofs.decision import block_value, decision_value, parse_block, parse_decision
from proofs.fields import FieldError, Fields, fields_of
from proofs.remarks import REMARK_READERS, remark_body
from proofs.reports import read_report, report_body
from relay.core.messages import (
    EFFECTS,
    MAX_REASON_BYTES,
    MAX_TIME,
    UNLANDED_REASONS,
    Absence,
    Accusation,
    Attestation,
    Equivocation,
    ForkShown,
    Header,
    Heartbeat,
    Message,
    Outcome,
    ReadinessChange,
    Recall,
    Recalled,
    Report,
    RotationSigned,
    Shadow,
    Signal,
    Unlanded,
    Verdict,
    Void,
)
from relay.core.rotations import STRUCT_BYTES
from relay.core.session_bodies import SESSION_READERS, session_body_of
from relay.core.types import (
    ActId,
    Caip2,
    DecisionId,
    EnvelopeDigest,
    Gateway,
    Identity,
    MandateDigest,
    Millis,
)
from relay.core.witnessing import (
    WITNESSING_READERS,
    AddCheckpointAsked,
    CheckpointAdded,
    Consistency,
    ProveConsistency,
    Witnessed,
    fork_body,
    read_fork_shown,
    witnessing_body,
)
from relay.threshold.bodies import CEREMONY_READERS, ceremony_body
from relay.threshold.messages import (
    Commitments,
    Complaint,
    Deal,
    Join,
    Proposal,
    SignatureShare,
    SigningRequest,
    ThresholdCertificate,
    Transcript,
)

__all__ = ["body_of", "read_body"]

MAX_NUMBER: Final = 1 << 53
MAX_CHAINS: Final = 64
MAX_NEWEST: Final = 64
_TEXT: Final = 128


# ---- writing


def body_of(message: Message) -> dict[str, Value]:  # noqa: C901  one case per kind, closed
    """Give the body of `message` (SPEC 3)."""
    match message:
        case Commitments() | SigningRequest() | SignatureShare() | ThresholdCertificate():
            return session_body_of(message)
        case Proposal() | Join() | Deal() | Complaint() | Transcript():
            return ceremony_body(message)
        case AddCheckpointAsked() | CheckpointAdded() | Witnessed() | ProveConsistency() | Consistency():
            return witnessing_body(message)
        case ForkShown():
            return fork_body(message)
        case Attestation():
            return {
                "decision": decision_value(message.decision),
                "digest": message.digest,
                "signature": message.signature,
                "trace": message.trace,
                "verdict": message.verdict.value,
            }
        case Outcome():
            return _outcome_value(message)
        case Equivocation():
            return {"first": message.first, "second": message.second}
        case Header() | Absence() | Accusation() | Signal() | Shadow() | ReadinessChange():
            return remark_body(message)
        case Report():
            return report_body(message)
        case Void():
            return {
                "anchor": block_value(message.anchor),
                "decision_id": message.decision_id,
                "landed": message.landed,
            }
        case Unlanded():
            return {
                "act_id": message.act_id,
                "chain": message.chain,
                "decision_id": message.decision_id,
                "gateway": message.gateway,
                "mandate_digest": message.mandate_digest,
                "reason": message.reason,
                "tries": message.tries,
            }
        case RotationSigned():
            return {
                "chain": message.chain,
                "rotation": message.rotation,
                "signature": message.signature,
                "verifier": message.verifier,
            }
        case Heartbeat():
            return {
                "boot": message.boot,
                "heads": {chain: block_value(block) for chain, block in message.heads.items()},
                "instance": message.instance,
                "log_size": message.log_size,
                "seq": message.seq,
            }
        case Recall():
            return {"boot": message.boot, "instance": message.instance, "nonce": message.nonce}
        case Recalled():
            return {
                "about": message.about,
                "boot": message.boot,
                "newest": message.newest,
                "newest_at_ms": message.newest_at_ms,
                "nonce": message.nonce,
                "statements": message.statements,
            }


def _outcome_value(outcome: Outcome) -> dict[str, Value]:
    return {
        "act_id": outcome.act_id,
        "block": block_value(outcome.block),
        "chain": outcome.chain,
        "decision_id": outcome.decision_id,
        "effect": outcome.effect,
        "gas_used": outcome.gas_used,
        "gateway": outcome.gateway,
        "mandate_digest": outcome.mandate_digest,
        "tx": outcome.tx,
        "until": outcome.until,
    }


# ---- reading


def read_body(kind: str, body: Value) -> Message:
    """Read the body of an envelope of `kind` (SPEC 3).

    Raises:
        FieldError: the kind is unknown, or a field is missing, unknown, of another type or out of bounds.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise FieldError("kind", f"one of {', '.join(sorted(_READERS))}", repr(kind))
    return reader(body)


def _attestation(body: Value) -> Attestation:
    fields = fields_of(body, "attestation", ("decision", "digest", "signature", "trace", "verdict"))
    verdict = _verdict(fields)
    attests = verdict is Verdict.ATTEST
    if attests == fields.is_nil("digest") or attests == fields.is_nil("signature"):
        raise FieldError(fields.path("digest"), "digest and signature exactly when attesting", verdict)
    trace = fields.raw("trace")
    fields_of(trace, fields.path("trace"), TRACE_KEYS)
    return Attestation(
        decision=parse_decision(fields.raw("decision"), fields.path("decision")),
        verdict=verdict,
        trace=fields.mapping("trace", max_items=len(TRACE_KEYS)),
        digest=MandateDigest(fields.binary("digest", length=32)) if attests else None,
        signature=fields.binary("signature", length=65) if attests else None,
    )


TRACE_KEYS: Final = ("agreement", "faulted", "pins", "result", "rule", "values")


def _verdict(fields: Fields) -> Verdict:
    text = fields.text("verdict", max_bytes=8)
    try:
        return Verdict(text)
    except ValueError as error:
        raise FieldError(fields.path("verdict"), "attest, abstain or dissent", repr(text)) from error


def _outcome(body: Value) -> Outcome:
    keys = (
        "act_id",
        "block",
        "chain",
        "decision_id",
        "effect",
        "gas_used",
        "gateway",
        "mandate_digest",
        "tx",
        "until",
    )
    fields = fields_of(body, "outcome", keys)
    effect = fields.text("effect", max_bytes=16)
    if effect not in EFFECTS:
        raise FieldError(fields.path("effect"), f"one of {', '.join(sorted(EFFECTS))}", repr(effect))
    return Outcome(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        mandate_digest=MandateDigest(fields.binary("mandate_digest", length=32)),
        chain=Caip2(fields.text("chain", max_bytes=_TEXT)),
        gateway=Gateway(fields.binary("gateway", length=32)),
        act_id=ActId(fields.binary("act_id", length=32)),
        block=parse_block(fields.raw("block"), fields.path("block")),
        tx=fields.binary("tx", length=32),
        effect=effect,
        until=fields.integer("until", maximum=MAX_TIME),
        gas_used=fields.integer("gas_used", maximum=MAX_NUMBER),
    )


def _equivocation(body: Value) -> Equivocation:
    fields = fields_of(body, "equivocation", ("first", "second"))
    half = (1 << 15) - 512
    return Equivocation(
        first=fields.binary("first", max_bytes=half), second=fields.binary("second", max_bytes=half)
    )


def _void(body: Value) -> Void:
    fields = fields_of(body, "void", ("anchor", "decision_id", "landed"))
    return Void(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        anchor=parse_block(fields.raw("anchor"), fields.path("anchor")),
        landed=fields.boolean("landed"),
    )


def _unlanded(body: Value) -> Unlanded:
    keys = ("act_id", "chain", "decision_id", "gateway", "mandate_digest", "reason", "tries")
    fields = fields_of(body, "unlanded", keys)
    reason = fields.text("reason", max_bytes=MAX_REASON_BYTES)
    # SECURITY: an address of an endpoint holds its operator's key; nobody may log one for him.
    if reason.partition(": ")[0] not in UNLANDED_REASONS or not reason.isascii() or "/" in reason:
        known = ", ".join(sorted(UNLANDED_REASONS))
        raise FieldError(fields.path("reason"), f"one of {known}, then ASCII without a slash", repr(reason))
    return Unlanded(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        mandate_digest=MandateDigest(fields.binary("mandate_digest", length=32)),
        chain=Caip2(fields.text("chain", max_bytes=_TEXT)),
        gateway=Gateway(fields.binary("gateway", length=32)),
        act_id=ActId(fields.binary("act_id", length=32)),
        reason=reason,
        tries=fields.integer("tries", maximum=MAX_NUMBER),
    )


def _rotation(body: Value) -> RotationSigned:
    fields = fields_of(body, "rotation", ("chain", "rotation", "signature", "verifier"))
    return RotationSigned(
        chain=Caip2(fields.text("chain", max_bytes=_TEXT)),
        verifier=Gateway(fields.binary("verifier", length=32)),
        rotation=fields.binary("rotation", length=STRUCT_BYTES),
        signature=fields.binary("signature", length=65),
    )


def _heartbeat(body: Value) -> Heartbeat:
    fields = fields_of(body, "heartbeat", ("boot", "heads", "instance", "log_size", "seq"))
    heads = fields.mapping("heads", max_items=MAX_CHAINS)
    return Heartbeat(
        boot=fields.integer("boot", maximum=MAX_NUMBER),
        seq=fields.integer("seq", maximum=MAX_NUMBER),
        instance=fields.binary("instance", length=16),
        log_size=fields.integer("log_size", maximum=MAX_NUMBER),
        heads={
            Caip2(chain): parse_block(block, f"heartbeat.heads.{chain}") for chain, block in heads.items()
        },
    )


def _recall(body: Value) -> Recall:
    fields = fields_of(body, "recall", ("boot", "instance", "nonce"))
    return Recall(
        boot=fields.integer("boot", maximum=MAX_NUMBER),
        instance=fields.binary("instance", length=16),
        nonce=fields.binary("nonce", length=16),
    )


def _recalled(body: Value) -> Recalled:
    fields = fields_of(body, "recalled", ("about", "boot", "newest", "newest_at_ms", "nonce", "statements"))
    newest = fields.array("newest", max_items=MAX_NEWEST)
    digests = [item for item in newest if isinstance(item, bytes) and len(item) == 32]
    if len(digests) != len(newest):
        raise FieldError(fields.path("newest"), "digests of 32 bytes", "other items")
    return Recalled(
        about=Identity(fields.binary("about", length=32)),
        nonce=fields.binary("nonce", length=16),
        boot=fields.integer("boot", maximum=MAX_NUMBER),
        statements=fields.integer("statements", maximum=MAX_NUMBER),
        newest_at_ms=Millis(fields.integer("newest_at_ms", maximum=MAX_NUMBER)),
        newest=tuple(EnvelopeDigest(item) for item in digests),
    )


_READERS: Final[Mapping[str, Callable[[Value], Message]]] = {
    "attestation": _attestation,
    "outcome": _outcome,
    "equivocation": _equivocation,
    "report": read_report,
    "void": _void,
    "unlanded": _unlanded,
    "rotation": _rotation,
    "fork": read_fork_shown,
    "heartbeat": _heartbeat,
    "recall": _recall,
    "recalled": _recalled,
    **REMARK_READERS,
    **SESSION_READERS,
    **WITNESSING_READERS,
    **CEREMONY_READERS,
}
