"""The bodies of those envelopes that stand in a bundle: what a member said (core SPEC 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from proofs.canonical import Value
from proofs.decision import MAX_CHAIN_BYTES, BlockRef, Decision, parse_block, parse_decision
from proofs.envelope import Envelope
from proofs.fields import FieldError, Fields, fields_of
from proofs.kinds import ActId, Caip2, DecisionId, Digest, Gateway
from proofs.mandate import SIGNATURE_BYTES

__all__ = [
    "AttestationStatement",
    "EquivocationStatement",
    "OutcomeStatement",
    "Stance",
    "UnlandedStatement",
    "VoidStatement",
    "read_attestation",
    "read_equivocation",
    "read_outcome",
    "read_unlanded",
    "read_void",
]

_U64 = (1 << 64) - 1
_ATTESTATION_KEYS = frozenset({"decision", "digest", "signature", "trace", "verdict"})
_TRACE_KEYS = frozenset({"agreement", "faulted", "pins", "result", "rule", "values"})
_OUTCOME_KEYS = frozenset(
    {
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
    }
)


_UNLANDED_KEYS = frozenset({"act_id", "chain", "decision_id", "gateway", "mandate_digest", "reason", "tries"})
_MAX_REASON_BYTES = 160
_MAX_HALF_BYTES = (1 << 15) - 512
"""Two attestations stand in one envelope."""


class Stance(StrEnum):
    """What a member says to a decision."""

    ATTEST = "attest"
    DISSENT = "dissent"
    ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True)
class AttestationStatement:
    """A member's verdict on a decision; `digest` and `signature` stand exactly when it attests."""

    decision: Decision
    stance: Stance
    digest: Digest | None
    signature: bytes | None
    trace: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class OutcomeStatement:
    """A gateway event that a member says it read; `until` in seconds of chain time."""

    decision_id: DecisionId
    mandate_digest: Digest
    chain: Caip2
    gateway: Gateway
    act_id: ActId
    block: BlockRef
    tx: bytes
    effect: str
    gas_used: int
    until: int


@dataclass(frozen=True, slots=True)
class VoidStatement:
    """A decision's anchor left its chain, as the author reads it; `landed` if an effect had been seen."""

    decision_id: DecisionId
    anchor: BlockRef
    landed: bool


@dataclass(frozen=True, slots=True)
class UnlandedStatement:
    """The author's own submissions of a certified call had no effect; `tries` counts them."""

    decision_id: DecisionId
    mandate_digest: Digest
    chain: Caip2
    gateway: Gateway
    act_id: ActId
    reason: str
    tries: int


@dataclass(frozen=True, slots=True)
class EquivocationStatement:
    """Two envelopes that are said to contradict each other."""

    first: bytes
    second: bytes


def read_attestation(envelope: Envelope) -> AttestationStatement:
    """Read the body of an attestation.

    Raises:
        FieldError: another kind or form.
    """
    fields = _body(envelope, "attestation", _ATTESTATION_KEYS)
    verdict = fields.text("verdict", max_bytes=16)
    if verdict not in tuple(Stance):
        raise FieldError(fields.path("verdict"), "attest, dissent or abstain", repr(verdict))
    stance = Stance(verdict)
    signs = stance is Stance.ATTEST
    if signs == fields.is_nil("digest") or signs == fields.is_nil("signature"):
        raise FieldError(fields.path("digest"), "digest and signature exactly when attesting", verdict)
    fields_of(fields.raw("trace"), fields.path("trace"), _TRACE_KEYS)
    return AttestationStatement(
        decision=parse_decision(fields.raw("decision"), fields.path("decision")),
        stance=stance,
        digest=Digest(fields.binary("digest", length=32)) if signs else None,
        signature=fields.binary("signature", length=SIGNATURE_BYTES) if signs else None,
        trace=fields.mapping("trace", max_items=len(_TRACE_KEYS)),
    )


def read_outcome(envelope: Envelope) -> OutcomeStatement:
    """Read the body of an outcome.

    Raises:
        FieldError: another kind or form.
    """
    fields = _body(envelope, "outcome", _OUTCOME_KEYS)
    outcome = OutcomeStatement(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        mandate_digest=Digest(fields.binary("mandate_digest", length=32)),
        chain=Caip2(fields.text("chain", max_bytes=MAX_CHAIN_BYTES)),
        gateway=Gateway(fields.binary("gateway", length=32)),
        act_id=ActId(fields.binary("act_id", length=32)),
        block=parse_block(fields.raw("block"), fields.path("block")),
        tx=fields.binary("tx", length=32),
        effect=fields.text("effect", max_bytes=32),
        gas_used=fields.integer("gas_used", maximum=_U64),
        until=fields.integer("until", maximum=_U64),
    )
    if outcome.block.chain != outcome.chain:
        raise FieldError(fields.path("block"), f"a block of {outcome.chain}", outcome.block.chain)
    return outcome


def read_void(envelope: Envelope) -> VoidStatement:
    """Read the body of a `void`.

    Raises:
        FieldError: another kind or form.
    """
    fields = _body(envelope, "void", frozenset({"anchor", "decision_id", "landed"}))
    return VoidStatement(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        anchor=parse_block(fields.raw("anchor"), fields.path("anchor")),
        landed=fields.boolean("landed"),
    )


def read_unlanded(envelope: Envelope) -> UnlandedStatement:
    """Read the body of an `unlanded`.

    Raises:
        FieldError: another kind or form.
    """
    fields = _body(envelope, "unlanded", _UNLANDED_KEYS)
    return UnlandedStatement(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        mandate_digest=Digest(fields.binary("mandate_digest", length=32)),
        chain=Caip2(fields.text("chain", max_bytes=MAX_CHAIN_BYTES)),
        gateway=Gateway(fields.binary("gateway", length=32)),
        act_id=ActId(fields.binary("act_id", length=32)),
        reason=fields.text("reason", max_bytes=_MAX_REASON_BYTES),
        tries=fields.integer("tries", maximum=_U64),
    )


def read_equivocation(envelope: Envelope) -> EquivocationStatement:
    """Read the body of an `equivocation`; what it holds is not opened.

    Raises:
        FieldError: another kind or form.
    """
    fields = _body(envelope, "equivocation", frozenset({"first", "second"}))
    return EquivocationStatement(
        first=fields.binary("first", max_bytes=_MAX_HALF_BYTES),
        second=fields.binary("second", max_bytes=_MAX_HALF_BYTES),
    )


def _body(envelope: Envelope, kind: str, keys: frozenset[str]) -> Fields:
    if envelope.kind != kind:
        raise FieldError("envelope.kind", kind, repr(envelope.kind))
    return fields_of(envelope.body, kind, keys)
