"""Words on decisions that are over: logged, and counted for nothing (SPEC 6.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from relay.core.decisions import Prepared
from relay.core.effects import Effect, LogEntry, Notice, Releasable
from relay.core.entries import Entries, Entry
from relay.core.evidence import SigningKey
from relay.core.messages import Attestation, Verdict
from relay.core.quota import SPAN_MS
from relay.core.tally import Taken, is_said, is_well_signed
from relay.core.types import DecisionId, Identity, Millis

__all__ = ["LateWords"]

MAX_UNKNOWN: Final = 120
"""Of one member in an hour, on decisions that are not known here."""
MAX_TOLD: Final = 65_536
MAX_DECISIONS: Final = 4_096
"""Decisions first heard of when they were over; the oldest make place."""


@dataclass(slots=True)
class LateWords:
    """What members said of decisions whose mandates are over, as it came here.

    Who heard some words in time and others after an outage would else look to an auditor as if he left those
    out. Of the same member a verdict is taken, and before it an abstention. Decisions first heard of so late
    never enter the book; they are kept here, because what is remarked of them is logged too.
    """

    me: Identity
    _decisions: Entries = field(init=False)
    _told: dict[tuple[Identity, SigningKey], Verdict] = field(default_factory=dict)
    _unknown: dict[Identity, deque[Millis]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._decisions = Entries(self.me)

    def take(
        self,
        entry: Entry | None,
        prepared: Prepared,
        said: tuple[Envelope, Attestation],
        committee: CommitteeDocument,
        now_ms: Millis,
    ) -> list[Effect]:
        """Log a word; `entry` is that of its decision, if we have one: else there is a bound an hour."""
        (envelope, attestation), author = said, said[0].author
        place = (author, (prepared.id, prepared.decision.key_epoch))
        slot = None if entry is None else entry.tally.slots.get(author)
        if is_said(slot, attestation.verdict) or _is_told(self._told.get(place), attestation.verdict):
            return []
        if not is_well_signed(prepared, author, attestation, committee):
            return [_dropped(envelope, Taken.BAD_SIGNATURE.value)]
        if entry is None and not self._takes_unknown(author, now_ms):
            return [_dropped(envelope, "too many stale attestations")]
        self._told[place] = attestation.verdict
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        if entry is None:
            self._note(prepared)
        return [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]

    def judged_by(self, about: SigningKey) -> Iterator[Identity]:
        """Give the members whose verdict on a decision came late."""
        found = ((member, verdict) for (member, key), verdict in self._told.items() if key == about)
        return (member for member, verdict in found if verdict is not Verdict.ABSTAIN)

    def stated(self, decision: DecisionId) -> tuple[Prepared, ...]:
        """Give a decision that was first heard of when it was over, as it was stated."""
        return self._decisions.stated(decision)

    def _note(self, prepared: Prepared) -> None:
        self._decisions.open(prepared, self.me)
        if len(self._decisions) > MAX_DECISIONS:
            self._decisions.drop([next(iter(self._decisions))])

    def _takes_unknown(self, member: Identity, now_ms: Millis) -> bool:
        times = self._unknown.setdefault(member, deque(maxlen=MAX_UNKNOWN))
        if len(times) == MAX_UNKNOWN and now_ms - times[0] < SPAN_MS:
            return False
        times.append(now_ms)
        return True


def _is_told(late: Verdict | None, verdict: Verdict) -> bool:
    return late is not None and (late is not Verdict.ABSTAIN or verdict is Verdict.ABSTAIN)


def _dropped(envelope: Envelope, reason: str) -> Notice:
    return Notice("attestation dropped", {"reason": reason, "signer": envelope.author.hex()[:16]})
