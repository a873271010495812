"""What members remark beside verdicts and outcomes: headers, absences, accusations, signals (core SPEC 3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.canonical import Value
from proofs.decision import (
    MAX_CHAIN_BYTES,
    BlockRef,
    Decision,
    block_value,
    decision_value,
    parse_block,
    parse_decision,
)
from proofs.fields import FieldError, Fields, fields_of
from proofs.kinds import Caip2, DecisionId, Digest, Identity, PlanHash

__all__ = [
    "ACCUSATION_REASONS",
    "MAX_ABSENT",
    "REMARK_READERS",
    "STANDINGS",
    "Absence",
    "Accusation",
    "Header",
    "ReadinessChange",
    "Remark",
    "Shadow",
    "Signal",
    "remark_body",
]

ACCUSATION_REASONS: Final = ("bad signature share",)
STANDINGS: Final = ("held", "failed", "could not tell", "could not be tried")
"""Of a fact of readiness (core SPEC 8.1)."""
MAX_ABSENT: Final = 50
"""A committee has no more members."""
_MAX_NAME: Final = 128
_MAX_FACT: Final = 256
_TRACE_KEYS: Final = frozenset({"agreement", "faulted", "pins", "result", "rule", "values"})


@dataclass(frozen=True, slots=True)
class Header:
    """The author read, by RPC quorum, that a block in which it saw an outcome of the decision is final."""

    decision_id: DecisionId
    chain: Caip2
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Absence:
    """Members, ascending, of whom the author holds no verdict on a certified decision that is over."""

    decision_id: DecisionId
    absent: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Accusation:
    """A fault of `member` by the author's word alone; `evidence` is the digest of what it keeps of it."""

    decision_id: DecisionId
    member: Identity
    reason: str
    evidence: Digest


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a person or a monitor told the author; decides nothing by itself.

    `sealed` is the root over `note` and `reporter` (`proofs/SPEC.md` 13).
    """

    plan_hash: PlanHash
    subject: str
    sealed: Digest


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a plan in shadow mode would have decided, by the author's reading."""

    decision: Decision
    trace: Mapping[str, Value] = field(hash=False)


@dataclass(frozen=True, slots=True)
class ReadinessChange:
    """A fact of the author's readiness has changed; `sealed` is the root over `reason` and `remedy`."""

    fact: str
    standing: str
    sealed: Digest


Remark = Header | Absence | Accusation | Signal | Shadow | ReadinessChange


def remark_body(remark: Remark) -> dict[str, Value]:
    """Give the body of the message that says this (core SPEC 3)."""
    match remark:
        case Header(decision_id, chain, block):
            return {"block": block_value(block), "chain": chain, "decision_id": decision_id}
        case Absence(decision_id, absent):
            return {"absent": absent, "decision_id": decision_id}
        case Accusation(decision_id, member, reason, evidence):
            return {"decision_id": decision_id, "evidence": evidence, "member": member, "reason": reason}
        case Signal(plan_hash, subject, sealed):
            return {"plan_hash": plan_hash, "sealed": sealed, "subject": subject}
        case Shadow(decision, trace):
            return {"decision": decision_value(decision), "trace": trace}
        case ReadinessChange(fact, standing, sealed):
            return {"fact": fact, "sealed": sealed, "standing": standing}


def _header(body: Value) -> Header:
    fields = fields_of(body, "header", ("block", "chain", "decision_id"))
    return Header(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        chain=Caip2(fields.text("chain", max_bytes=MAX_CHAIN_BYTES)),
        block=parse_block(fields.raw("block"), fields.path("block")),
    )


def _absence(body: Value) -> Absence:
    fields = fields_of(body, "absence", ("absent", "decision_id"))
    listed = fields.array("absent", max_items=MAX_ABSENT)
    absent = tuple(Identity(each) for each in listed if isinstance(each, bytes) and len(each) == 32)
    if not absent or len(absent) != len(listed) or list(absent) != sorted(set(absent)):
        raise FieldError(fields.path("absent"), "identities of 32 bytes, ascending, one at least", "others")
    return Absence(DecisionId(fields.binary("decision_id", length=32)), absent)


def _accusation(body: Value) -> Accusation:
    fields = fields_of(body, "accusation", ("decision_id", "evidence", "member", "reason"))
    return Accusation(
        decision_id=DecisionId(fields.binary("decision_id", length=32)),
        member=Identity(fields.binary("member", length=32)),
        reason=_one_of(fields, "reason", ACCUSATION_REASONS),
        evidence=Digest(fields.binary("evidence", length=32)),
    )


def _signal(body: Value) -> Signal:
    fields = fields_of(body, "signal", ("plan_hash", "sealed", "subject"))
    return Signal(
        plan_hash=PlanHash(fields.binary("plan_hash", length=32)),
        subject=fields.text("subject", max_bytes=_MAX_NAME),
        sealed=Digest(fields.binary("sealed", length=32)),
    )


def _shadow(body: Value) -> Shadow:
    fields = fields_of(body, "shadow", ("decision", "trace"))
    trace = fields.raw("trace")
    fields_of(trace, fields.path("trace"), _TRACE_KEYS)
    return Shadow(
        decision=parse_decision(fields.raw("decision"), fields.path("decision")),
        trace=fields.mapping("trace", max_items=len(_TRACE_KEYS)),
    )


def _readiness(body: Value) -> ReadinessChange:
    fields = fields_of(body, "readiness", ("fact", "sealed", "standing"))
    return ReadinessChange(
        fact=fields.text("fact", max_bytes=_MAX_FACT),
        standing=_one_of(fields, "standing", STANDINGS),
        sealed=Digest(fields.binary("sealed", length=32)),
    )


def _one_of(fields: Fields, key: str, words: tuple[str, ...]) -> str:
    text = fields.text(key, max_bytes=_MAX_NAME)
    if text not in words:
        raise FieldError(fields.path(key), f"one of {', '.join(words)}", repr(text))
    return text


REMARK_READERS: Final[Mapping[str, Callable[[Value], Remark]]] = {
    "absence": _absence,
    "accusation": _accusation,
    "header": _header,
    "readiness": _readiness,
    "shadow": _shadow,
    "signal": _signal,
}
"""By the envelope's kind: what reads its body, raising `FieldError`."""
