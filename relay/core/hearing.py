"""Taking what members say for the audit log: verdicts, effects, complaints, evidence, signals (SPEC 3, 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from proofs.envelope import Envelope
from relay.core.book import Book
from relay.core.complaints import Complaints
from relay.core.effects import Changed, Effect, LogEntry, Notice, Releasable, SignStatement
from relay.core.errors import WireError
from relay.core.events import ForkFound, ReadinessChanged, ReportTold, SignalTold
from relay.core.forks import Forks
from relay.core.landing import Landing
from relay.core.messages import (
    Absence,
    Accusation,
    Attestation,
    Equivocation,
    ForkShown,
    Header,
    Outcome,
    ReadinessChange,
    Remark,
    Report,
    Shadow,
    Signal,
    Unlanded,
    Verdict,
    Void,
)
from relay.core.presence import Presence
from relay.core.quota import Quota
from relay.core.remarks import Remarks
from relay.core.sealing import signal_of
from relay.core.standings import Standings
from relay.core.types import DecisionId, Identity, Millis
from relay.core.wire import open_equivocation

__all__ = ["Hearing", "Statement"]

Statement = Attestation | Equivocation | Outcome | Void | Unlanded | Remark | Report | ForkShown


@dataclass(slots=True)
class Hearing:
    """Members' statements, ours included, on their way to the book and the log; fed by the node."""

    me: Identity
    book: Book
    landing: Landing
    presence: Presence
    complaints: Complaints = field(default_factory=Complaints)
    forks: Forks = field(default_factory=Forks)
    standings: Standings = field(default_factory=Standings)
    remarks: Remarks = field(init=False)
    _quota: Quota = field(default_factory=Quota)

    def __post_init__(self) -> None:
        self.remarks = Remarks(self.book, self._quota)

    def hear(self, envelope: Envelope, message: Statement, now_ms: Millis) -> list[Effect]:
        """Take a statement that enters the audit log, a member's or our own.

        Of our own all do, also one that has lost its place here: a crash makes us say it anew, or another
        told of the same in between. Who heard it first holds it, and our log must not look as if it hid it.
        """
        effects = self._take(envelope, message, now_ms)
        if envelope.author != self.me or isinstance(message, Attestation):
            return effects  # of verdicts the book takes care
        is_logged = any(isinstance(effect, LogEntry) for effect in effects)
        return effects if is_logged else [*effects, *_logged(envelope)]

    def _take(  # noqa: C901  one case per kind, closed
        self, envelope: Envelope, message: Statement, now_ms: Millis
    ) -> list[Effect]:
        match message:
            case Attestation():
                return self._attested(envelope, message, now_ms)
            case Equivocation():
                return self._accused(envelope, message)
            case Outcome() | Void():
                if not self._wants(envelope, message.decision_id):
                    return [_dropped(envelope, "not wanted")]
                return [*_logged(envelope), Changed(message.decision_id)]
            case Unlanded():
                return self._complained(envelope, message)
            case Header() | Absence() | Accusation() | Signal() | Shadow() | ReadinessChange():
                return self._remarked(envelope, message, now_ms)
            case Report():
                return self._reported(envelope, message, now_ms)
            case ForkShown():
                return self.forks.heard(envelope, message, self.book.committees)
            case _:
                assert_never(message)

    def keep(self) -> None:
        """Forget what was said about decisions that the book has forgotten."""
        self.complaints.keep(self.book.stated)
        self.remarks.keep()

    def _attested(self, envelope: Envelope, message: Attestation, now_ms: Millis) -> list[Effect]:
        effects = self.book.hear(envelope, message, now_ms)
        taken = any(isinstance(effect, LogEntry) for effect in effects)
        if message.verdict is Verdict.ATTEST and taken:
            self.presence.note_statement(envelope)
        return effects

    def _wants(self, envelope: Envelope, decision_id: DecisionId) -> bool:
        """Tell whether a member's word on a decision is about one we know, and not one too many."""
        is_theirs = self.book.concerns(envelope.author, decision_id)
        return is_theirs and self._quota.takes_word(envelope.author, decision_id)

    def _complained(self, envelope: Envelope, message: Unlanded) -> list[Effect]:
        if envelope.author == self.me:
            self.landing.stated(message)
        is_theirs = self.book.concerns(envelope.author, message.decision_id)
        stated = self.book.stated(message.decision_id) if is_theirs else ()
        if not self.complaints.take(envelope.author, message, stated):
            return [_dropped(envelope, "not wanted")]
        return [*_logged(envelope), Changed(message.decision_id)]

    def is_said(self, effect: Effect) -> bool:
        """Tell whether this accuses somebody as we did before: sessions begin anew with each process."""
        if not isinstance(effect, SignStatement) or not isinstance(effect.message, Accusation):
            return False
        return self.remarks.has_said(self.me, effect.message)

    def _remarked(self, envelope: Envelope, remark: Remark, now_ms: Millis) -> list[Effect]:
        if envelope.author == self.me and isinstance(remark, ReadinessChange):
            self.standings.signed(remark, now_ms)
        refusal = self.remarks.take(envelope, remark, now_ms)
        if refusal is not None:
            return [_dropped(envelope, refusal)]
        if isinstance(remark, Header | Absence | Accusation):
            return [*_logged(envelope), Changed(remark.decision_id)]
        return _logged(envelope)

    def told(self, event: SignalTold | ReadinessChanged | ReportTold | ForkFound) -> list[Effect]:
        """Say what was told to this node; of reports only what every member will take."""
        match event:
            case SignalTold():
                return [SignStatement(signal_of(event))]
            case ReadinessChanged():
                return self.standings.changed(event)
            case ReportTold(report, _):
                refusal = self.book.reports.refusal(report, self.me)
                if refusal is not None:
                    return [Notice("report refused", {"reason": refusal.value})]
                return [SignStatement(report)]
            case ForkFound():
                return self.forks.found(event, self.book.committees)

    def _reported(self, envelope: Envelope, report: Report, now_ms: Millis) -> list[Effect]:
        refusal = self.book.reports.refusal(report, envelope.author)
        if refusal is not None:
            return [_dropped(envelope, refusal.value)]
        if not self._quota.takes_report(envelope.author, now_ms):
            return [_dropped(envelope, "too many")]
        self.book.reports.take(report, envelope.author)
        return [*_logged(envelope), *self.book.propose_called()]

    def _accused(self, envelope: Envelope, evidence: Equivocation) -> list[Effect]:
        try:
            first, _, author = open_equivocation(evidence, self.book.committees)
        except WireError:
            # It was good when it was journalled, and what was known then is known now.
            return []
        return self.book.accused(envelope, first, author)


def _logged(envelope: Envelope) -> list[Effect]:
    return [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]


def _dropped(envelope: Envelope, reason: str) -> Notice:
    return Notice("statement dropped", {"reason": reason, "kind": envelope.kind})
