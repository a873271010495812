"""What members said beside verdicts and outcomes, in words; and sealed fields that were opened (SPEC 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.canonical import Value
from proofs.disclosure import decode_disclosure, open_fields, sealed_of
from proofs.envelope import open_envelope
from proofs.kinds import Digest, Identity
from proofs.remarks import Absence, Accusation, ReadinessChange, Shadow, Signal
from relay.audit.case import Case, Said
from relay.audit.story import Disclosed, Remark
from relay.audit.telling import said_moment
from relay.core.messages import Equivocation, Unlanded, Void

__all__ = ["Opened", "open_disclosure", "remarks_of"]


@dataclass(frozen=True, slots=True)
class Opened:
    """Fields of one record that its author has opened; `digest` is the envelope's."""

    digest: Digest
    author: Identity
    kind: str
    values: Mapping[str, Value]


def open_disclosure(data: bytes) -> Opened:
    """Read and check a disclosure file.

    Raises:
        ProofError: `sealed-form`, `sealed-root`, `sealed-record`, `sealed-twice`, or its envelope is none.
    """
    file = decode_disclosure(data)
    envelope = open_envelope(file.envelope)
    values = open_fields(sealed_of(envelope.kind, envelope.body), file.fields)
    return Opened(envelope.digest, envelope.author, envelope.kind, values)


def remarks_of(case: Case, opened: Sequence[Opened]) -> tuple[Remark, ...]:
    """Give the remarks of a case in order of time, with what bundles and their authors opened of them."""
    values: dict[Digest, dict[str, Value]] = {}
    for field in (field for bundle in case.bundles for field in bundle.verdict.disclosed):
        values.setdefault(field.record, {})[field.field] = field.value
    for each in opened:
        values.setdefault(each.digest, {}).update(each.values)
    found = [_remark(case, said, values.get(said.envelope.digest, {})) for said in case.said]
    return tuple(remark for remark in found if remark is not None)


def _remark(case: Case, said: Said, values: Mapping[str, Value]) -> Remark | None:
    told = _words(case, said)
    if told is None:
        return None
    words, decision = told
    sealed = said.envelope.body.get("sealed")
    return Remark(
        kind=said.envelope.kind,
        member=said.member,
        said=said_moment(said),
        digest=said.envelope.digest.hex(),
        words=words,
        decision=None if decision is None else decision.hex(),
        sealed=sealed.hex() if isinstance(sealed, bytes) else None,
        disclosed=tuple(Disclosed(name, _text(value)) for name, value in sorted(values.items())),
    )


def _words(case: Case, said: Said) -> tuple[str, bytes | None] | None:
    """Give what a remark says, and of which decision; None for other statements."""
    match said.message:
        case Signal(_, subject):
            return f"was told of “{subject}” by a person or a monitor", None
        case Absence(decision, absent):
            return f"heard no verdict of {', '.join(_name(case, each) for each in absent)}", decision
        case Accusation(decision, member, reason):
            return f"accuses {_name(case, member)}: {reason}", decision
        case Void(decision, anchor, landed):
            late = ", after it had landed" if landed else ""
            return f"saw block {anchor.number:,} of {anchor.chain} leave its chain{late}", decision
        case Unlanded(decision):
            message = said.message
            return (
                f"could not land a call on {message.chain} in {message.tries} tries: {message.reason}",
                decision,
            )
        case Equivocation():
            return "shows two signed verdicts of one member that contradict each other", None
        case _:
            return _own_words(said)


def _own_words(said: Said) -> tuple[str, bytes | None] | None:
    match said.message:
        case ReadinessChange(fact, standing):
            return f"says of its own readiness: {fact}: {standing}", None
        case Shadow():
            return "says what a plan in shadow mode would have decided", None
        case _:
            return None


def _name(case: Case, identity: Identity) -> str:
    for document in reversed(case.documents):
        member = document.member(identity)
        if member is not None:
            return member.name
    return identity.hex()


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return value if isinstance(value, str) else str(value)
