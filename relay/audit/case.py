"""What is known of an incident once every source was read: bundles that verify, logs that add up (SPEC 4).

Statements of all bundles and logs are one set, by digest; each knows the logs it stands in and the earliest
time at which an honest cosigner can have seen it published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofs.bundle import Bundle
from proofs.checkpoint import SignedCheckpoint
from proofs.committee import CommitteeDocument, malicious_bound
from proofs.decision import decision_id
from proofs.envelope import Envelope, parse_envelope
from proofs.errors import ProofError
from proofs.kinds import DecisionId, Digest, Identity, NetworkId, PlanHash
from proofs.reports import subject_digest
from proofs.verdict import DecisionVerdict, Verdict
from relay.audit.plan_words import LINK_PREFIX, PlanWords, read_plan_words
from relay.core.bodies import read_body
from relay.core.errors import WireError
from relay.core.messages import (
    Absence,
    Accusation,
    Attestation,
    Equivocation,
    Header,
    Message,
    Outcome,
    Report,
    Shadow,
    Unlanded,
    Void,
)
from relay.core.wire import read_message

__all__ = [
    "Case",
    "LogRead",
    "OpenedBundle",
    "Said",
    "Scope",
    "Witnessed",
    "case_of",
    "scope_of",
    "witnessed_of",
]

_ABOUT_ONE = (Outcome, Header, Absence, Accusation, Void, Unlanded)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """When a checkpoint was seen, in seconds; of `cosigners` one is honest where `is_honest`."""

    at_s: int
    cosigners: int
    is_honest: bool


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A verified bundle; `places` are the checkpoint and the index of each of its records."""

    source: str
    verdict: Verdict
    bundle: Bundle
    documents: tuple[CommitteeDocument, ...]
    envelopes: tuple[Envelope, ...]
    places: tuple[tuple[SignedCheckpoint, int], ...]


@dataclass(frozen=True, slots=True)
class LogRead:
    """The newer end of a log, read under `signed`: everything from entry `first` on.

    `digests` are of every entry that was read; `found` are those about the incident, by index. It was so
    still at `seen_at_s` (our clock when a log was asked, an honest cosigner's for a copy, None where neither
    tells), and already at `held_by_s`. `strange` counts entries that are no envelope of a member.
    """

    source: str
    member: str
    keeper: Identity | None
    note: str
    signed: SignedCheckpoint
    first: int
    digests: Mapping[Digest, int]
    found: Mapping[int, Envelope]
    seen_at_s: int | None
    held_by_s: int
    strange: int = 0

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.signed.checkpoint.origin


@dataclass(slots=True)
class Said:
    """A statement about the incident: its author's name, and where it stands, by origin of the log."""

    envelope: Envelope
    message: Message
    member: str
    places: dict[str, int] = field(default_factory=dict)
    witnessed: Witnessed | None = None
    since_s: dict[str, int] = field(default_factory=dict)
    """By when it stood in each log for everybody: by an honest cosigner's clock, or by ours."""

    def is_in(self, origin: str, index: int, witnessed: Witnessed | None, held_by_s: int | None) -> None:
        """Note a log that it stands in, and when that was so at the latest."""
        self.places.setdefault(origin, index)
        if witnessed is not None and (self.witnessed is None or witnessed.at_s < self.witnessed.at_s):
            self.witnessed = witnessed
        proved = witnessed.at_s if witnessed is not None and witnessed.is_honest else held_by_s
        if proved is not None:
            self.since_s[origin] = min(proved, self.since_s.get(origin, proved))


@dataclass(frozen=True, slots=True)
class Scope:
    """What is about the incident: words on its certified decisions, reports that call for them, and whatever
    else the bundles hold (`records`, by digest), such as signals.
    """

    network: NetworkId
    decisions: frozenset[DecisionId]
    parents: frozenset[bytes]
    records: frozenset[Digest]

    def holds(self, message: Message) -> bool:
        """Tell whether a statement is about the incident."""
        match message:
            case Attestation(decision) | Shadow(decision):
                return decision_id(self.network, decision) in self.decisions
            case Equivocation(first):
                return self._holds_envelope(first)
            case Report(subject):
                return subject_digest(subject) in self.parents
            case _:
                return isinstance(message, _ABOUT_ONE) and message.decision_id in self.decisions

    def _holds_envelope(self, raw: bytes) -> bool:
        try:
            fields = parse_envelope(raw).fields
            message = read_body(fields.kind, fields.body)
        except ProofError:
            return False
        return isinstance(message, Attestation) and self.holds(message)


@dataclass(frozen=True, slots=True)
class Case:
    """Bundles, logs and statements of one incident; `documents` are the longest chain of epochs shown."""

    network: NetworkId
    documents: tuple[CommitteeDocument, ...]
    plans: Mapping[PlanHash, PlanWords]
    decisions: tuple[DecisionVerdict, ...]
    said: tuple[Said, ...]
    bundles: tuple[OpenedBundle, ...]
    logs: tuple[LogRead, ...]

    @property
    def f(self) -> int:
        """How many members may be malicious, by the newest document."""
        return malicious_bound(len(self.documents[-1].members))

    def keeper_of(self, origin: str) -> Identity | None:
        """Give the member that a log is of, by any document: a log's name never goes to another key."""
        for document in self.documents:
            for member in document.members:
                if origin == f"{document.name}/{member.name}":
                    return member.identity
        return None

    def document_of(self, key_epoch: int) -> CommitteeDocument:
        """Give the newest document of a key epoch: all of them have the same attesters."""
        return [document for document in self.documents if document.key_epoch == key_epoch][-1]


def scope_of(bundles: Sequence[OpenedBundle], also: Iterable[Digest] = ()) -> Scope:
    """Give what logs are to be searched for; `also` are digests of more records."""
    decisions = [decision for opened in bundles for decision in opened.verdict.decisions]
    return Scope(
        network=bundles[0].verdict.network,
        decisions=frozenset(each.decision_id for each in decisions),
        parents=frozenset(each.decision.parent for each in decisions if each.decision.parent is not None),
        records=frozenset(also).union(each.digest for opened in bundles for each in opened.envelopes),
    )


def case_of(bundles: Sequence[OpenedBundle], logs: Sequence[LogRead]) -> Case:
    """Put everything together; `bundles` are of one network, one at least."""
    documents = max((opened.documents for opened in bundles), key=len)
    f = malicious_bound(len(documents[-1].members))
    said: dict[Digest, Said] = {}
    for opened in bundles:
        _from_bundle(said, opened, documents, f)
    for log in logs:
        witnessed = witnessed_of(log.signed, f)
        for index, envelope in log.found.items():
            statement = _statement(said, envelope, documents)
            if statement is not None:
                statement.is_in(log.origin, index, witnessed, log.held_by_s)
    return Case(
        network=bundles[0].verdict.network,
        documents=documents,
        plans={
            plan.plan_hash: read_plan_words(plan.canonical) for each in bundles for plan in each.bundle.plans
        },
        decisions=_decisions(bundles),
        said=tuple(sorted(said.values(), key=lambda each: (each.envelope.at_ms, each.envelope.digest))),
        bundles=tuple(bundles),
        logs=tuple(logs),
    )


def witnessed_of(signed: SignedCheckpoint, f: int) -> Witnessed | None:
    """Give when a checkpoint was seen by its cosigners: the (f+1)-th earliest, since f of them may lie.

    Of fewer the latest, which may be a liar's; None where nobody cosigned.
    """
    times = sorted(each.at_s for each in signed.cosigned if each.at_s is not None)
    if not times:
        return None
    return Witnessed(times[min(f, len(times) - 1)], len(times), is_honest=len(times) > f)


def _from_bundle(
    said: dict[Digest, Said], opened: OpenedBundle, documents: Sequence[CommitteeDocument], f: int
) -> None:
    for envelope, (signed, index) in zip(opened.envelopes, opened.places, strict=True):
        statement = _statement(said, envelope, documents)
        if statement is not None:
            statement.is_in(signed.checkpoint.origin, index, witnessed_of(signed, f), None)


def _statement(
    said: dict[Digest, Said], envelope: Envelope, documents: Sequence[CommitteeDocument]
) -> Said | None:
    known = said.get(envelope.digest)
    if known is not None:
        return known
    member = documents[envelope.committee_epoch - 1].member(envelope.author)
    try:
        message = read_message(envelope)
    except WireError:
        return None
    assert member is not None, "the author was checked when the envelope was opened"
    said[envelope.digest] = Said(envelope, message, member.name)
    return said[envelope.digest]


def _decisions(bundles: Iterable[OpenedBundle]) -> tuple[DecisionVerdict, ...]:
    """Give each decision once, as the bundle has it that shows most of it; parents before their children."""
    best: dict[DecisionId, DecisionVerdict] = {}
    for opened in bundles:
        for verdict in opened.verdict.decisions:
            known = best.get(verdict.decision_id)
            if known is None or _shown(verdict) > _shown(known):
                best[verdict.decision_id] = verdict
    return tuple(sorted(best.values(), key=_rank))


def _rank(verdict: DecisionVerdict) -> tuple[int, int, int, DecisionId]:
    """Put decisions in the order of their anchors, links after what they follow, fast before full."""
    decision = verdict.decision
    is_linked = decision.subject.startswith(LINK_PREFIX)
    return int(is_linked), decision.anchor.timestamp, int(decision.tier), verdict.decision_id


def _shown(verdict: DecisionVerdict) -> tuple[int, int, int]:
    outcomes = [outcome for act in verdict.acts for outcome in act.outcomes]
    proved = sum(outcome.receipt is not None for outcome in outcomes)
    heard = len(verdict.attested) + len(verdict.dissented) + len(verdict.abstained)
    return proved, sum(len(outcome.seen_by) for outcome in outcomes), heard
