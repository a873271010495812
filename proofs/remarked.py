"""What members said of a decision beside verdicts and outcomes: their word, and no more (SPEC 9)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from proofs.bundledecision import BundleDecision
from proofs.canonical import Value
from proofs.decision import decision_id
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from proofs.ground import DecidingError, Ground, LoggedRecord, record_at
from proofs.kinds import Digest, Identity
from proofs.mandate import mandate_digest
from proofs.remarks import REMARK_READERS, Absence, Accusation, Signal
from proofs.statements import (
    AttestationStatement,
    Stance,
    read_attestation,
    read_equivocation,
    read_unlanded,
    read_void,
)
from proofs.verdict import MemberStatement

__all__ = ["MAX_STATEMENTS_OF_ONE", "STATEMENT_KINDS", "check_statement", "check_statements"]

MAX_STATEMENTS_OF_ONE: Final = 64
"""Of one member about one decision; a liar must not make a bundle that nobody wants to read."""


def check_statements(
    entry: BundleDecision, ground: Ground, records: Sequence[LoggedRecord]
) -> tuple[MemberStatement, ...]:
    """Check that each statement is of this decision, and give who says what.

    Raises:
        DecidingError: `statement-kind`, `statement-decision`, `statement-evidence`, `statement-many`.
        FieldError: `shape`.
    """
    said: list[MemberStatement] = []
    voices: Counter[Identity] = Counter()
    for number in entry.statements:
        envelope = record_at(records, number).envelope
        said.append(check_statement(envelope, entry, ground))
        voices[envelope.author] += 1
        if voices[envelope.author] > MAX_STATEMENTS_OF_ONE:
            raise DecidingError(
                "statement-many",
                f"expected at most {MAX_STATEMENTS_OF_ONE} statements of {said[-1].said_by}, got more",
            )
    return tuple(said)


def check_statement(envelope: Envelope, entry: BundleDecision, ground: Ground) -> MemberStatement:
    """Check that a statement by a member is of this decision, and give what it says.

    Raises:
        DecidingError: `statement-kind`, `statement-decision`, `statement-evidence`.
        FieldError: `shape`.
    """
    read = _READERS.get(envelope.kind)
    if read is None:
        wanted = ", ".join(STATEMENT_KINDS)
        raise DecidingError("statement-kind", f"expected one of {wanted}, got {envelope.kind}")
    words, facts = read(envelope, entry, ground)
    name = ground.name_of(envelope)
    return MemberStatement(envelope.kind, name, envelope.at_ms, envelope.digest, words, facts)


_Words = tuple[str, Mapping[str, Value]]
"""A statement in words, and its facts as JSON has them."""


def _void(envelope: Envelope, entry: BundleDecision, _ground: Ground) -> _Words:
    said = read_void(envelope)
    _check(said.decision_id == entry.mandate.decision_id and said.anchor == entry.decision.anchor)
    landed = "an effect had been seen" if said.landed else "no effect had been seen"
    return f"the anchor left its chain; {landed}", {"landed": said.landed}


def _unlanded(envelope: Envelope, entry: BundleDecision, _ground: Ground) -> _Words:
    said = read_unlanded(envelope)
    of_it = (said.decision_id, said.mandate_digest) == (
        entry.mandate.decision_id,
        mandate_digest(entry.mandate),
    )
    places = {(leaf.chain, leaf.gateway, leaf.act_id) for leaf in entry.leaves}
    _check(of_it and (said.chain, said.gateway, said.act_id) in places)
    words = f"its own call on {said.chain} had no effect after {said.tries} tries: {said.reason}"
    facts: dict[str, Value] = {
        "act_id": said.act_id.hex(),
        "chain": said.chain,
        "reason": said.reason,
        "tries": said.tries,
    }
    return words, facts


def _absence(envelope: Envelope, entry: BundleDecision, ground: Ground) -> _Words:
    said = REMARK_READERS["absence"](envelope.body)
    assert isinstance(said, Absence), "the reader of this kind"
    _check(said.decision_id == entry.mandate.decision_id)
    _member(envelope.author, entry, ground)
    names = [_member(identity, entry, ground) for identity in said.absent]
    return f"holds no verdict of {', '.join(names)}", {"absent": names}


def _accusation(envelope: Envelope, entry: BundleDecision, ground: Ground) -> _Words:
    said = REMARK_READERS["accusation"](envelope.body)
    assert isinstance(said, Accusation), "the reader of this kind"
    _check(said.decision_id == entry.mandate.decision_id)
    _member(envelope.author, entry, ground)
    name = _member(said.member, entry, ground)
    facts: dict[str, Value] = {"evidence": said.evidence.hex(), "member": name, "reason": said.reason}
    return f"accuses {name}: {said.reason}; its word alone", facts


def _signal(envelope: Envelope, entry: BundleDecision, _ground: Ground) -> _Words:
    said = REMARK_READERS["signal"](envelope.body)
    assert isinstance(said, Signal), "the reader of this kind"
    _check(said.plan_hash == entry.decision.plan_hash)
    facts: dict[str, Value] = {"sealed": said.sealed.hex(), "subject": said.subject}
    return f"was told of {said.subject}; by whom and what is sealed", facts


def _equivocation(envelope: Envelope, entry: BundleDecision, ground: Ground) -> _Words:
    evidence = read_equivocation(envelope)
    (author, first), (other, second) = (
        _half(raw, entry, ground) for raw in (evidence.first, evidence.second)
    )
    if author.author != other.author:
        raise DecidingError("statement-evidence", "expected two attestations of one member, got two members")
    if first == second:
        raise DecidingError("statement-evidence", "expected attestations to two mandates, got to one")
    name = ground.name_of(author)
    facts: dict[str, Value] = {"digests": [first.hex(), second.hex()], "member": name}
    return f"shows that {name} attested to two mandates", facts


def _half(raw: bytes, entry: BundleDecision, ground: Ground) -> tuple[Envelope, Digest]:
    """Open an attestation to this very decision: who attested, to which digest (core SPEC 6.4)."""
    try:
        envelope = open_envelope(raw)
        ground.check_author(envelope)
        said = read_attestation(envelope)
    except ProofError as error:
        raise DecidingError(
            "statement-evidence", f"expected attestations of members, got {error.check}: {error.message}"
        ) from error
    if said.stance is not Stance.ATTEST or said.digest is None:
        raise DecidingError("statement-evidence", f"expected an attestation, got {said.stance}")
    _check(_is_about(said, entry, ground))
    return envelope, said.digest


def _is_about(said: AttestationStatement, entry: BundleDecision, ground: Ground) -> bool:
    named = (decision_id(ground.network, said.decision), said.decision.key_epoch)
    return named == (entry.mandate.decision_id, entry.decision.key_epoch)


def _check(is_of_it: bool) -> None:  # noqa: FBT001  the one thing that is checked
    if not is_of_it:
        raise DecidingError("statement-decision", "expected a statement of this decision, got one of another")


def _member(identity: Identity, entry: BundleDecision, ground: Ground) -> str:
    member = ground.member_in(identity, entry.decision.key_epoch)
    if member is None:
        raise DecidingError(
            "statement-decision", f"expected a member of the decision's committee, got {identity.hex()}"
        )
    return member.name


_READERS: Final[Mapping[str, Callable[[Envelope, BundleDecision, Ground], _Words]]] = {
    "absence": _absence,
    "accusation": _accusation,
    "equivocation": _equivocation,
    "signal": _signal,
    "unlanded": _unlanded,
    "void": _void,
}
STATEMENT_KINDS: Final = tuple(sorted(_READERS))
