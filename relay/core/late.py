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
from relay.core.entries import Entries, Entry, Key
from relay.core.evidence import SigningKey
from relay.core.messages import Attestation, Verdict
from relay.core.quota import SPAN_MS
from relay.core.tally import Taken, is_said, is_well_signed
from relay.core.types import DecisionId, Identity, Millis

__all__ = ["LateWords", "dropped", "judges"]

MAX_UNKNOWN: Final = 120
"""Of one member in an hour, on decisions that are not in the book."""
MAX_DECISIONS: Final = 512
"""Decisions beside the book, of each member that brought them up; its oldest make place."""


@dataclass(slots=True)
class LateWords:
    """What members said of decisions whose mandates are over, as it came here.

    Who heard some words in time and others after an outage would else look to an auditor as if he left those
    out. Of the same member a verdict and an abstention are taken. What is first heard of so late never enters
    the book; it is kept here, as is what the book has dropped, because what is remarked of it is logged too.
    """

    me: Identity
    _decisions: Entries = field(init=False)
    _brought: dict[Identity, dict[Key, None]] = field(default_factory=dict)
    """The decisions kept here by who brought them up: a liar pushes out none but his own."""
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
        """Log a word; `entry` is that of its decision in the book: without one there is a bound an hour."""
        (envelope, attestation), author = said, said[0].author
        about = entry or self._decisions.get(_key(prepared))
        if author != self.me and about is not None and _is_said(about, author, attestation.verdict):
            return []
        if not is_well_signed(prepared, author, attestation, committee):
            return [dropped(envelope, Taken.BAD_SIGNATURE.value)]
        if entry is None and author != self.me and not self._takes_unknown(author, now_ms):
            return [dropped(envelope, "too many stale attestations")]
        about = about or self._open(prepared, author)
        about.late.setdefault(author, set()).add(attestation.verdict)
        return [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]

    def keep(self, gone: Entry) -> None:
        """Keep in mind a decision that the book drops, and who has spoken of it."""
        late = self._open(gone.tally.prepared, gone.opener).late
        for member, slot in gone.tally.slots.items():
            late.setdefault(member, set()).add(slot.verdict)
            if slot.has_abstained:
                late[member].add(Verdict.ABSTAIN)
        for member, verdicts in gone.late.items():
            late.setdefault(member, set()).update(verdicts)

    def stated(self, decision: DecisionId) -> tuple[Prepared, ...]:
        """Give a decision that is kept here, as it was stated."""
        return self._decisions.stated(decision)

    def about(self, about: SigningKey) -> tuple[Entry, ...]:
        """Give the decisions kept here that one mandate signature may be given for."""
        return self._decisions.about(about)

    def _open(self, prepared: Prepared, opener: Identity) -> Entry:
        key = self._decisions.open(prepared, opener)
        entry = self._decisions[key]
        brought = self._brought.setdefault(entry.opener, {})
        brought[key] = None
        if len(brought) > MAX_DECISIONS:
            oldest = next(iter(brought))
            del brought[oldest]
            self._decisions.drop([oldest])
        return entry

    def _takes_unknown(self, member: Identity, now_ms: Millis) -> bool:
        times = self._unknown.setdefault(member, deque(maxlen=MAX_UNKNOWN))
        if len(times) == MAX_UNKNOWN and now_ms - times[0] < SPAN_MS:
            return False
        times.append(now_ms)
        return True


def judges(entry: Entry) -> Iterator[Identity]:
    """Give the members that have given a verdict, in time or late."""
    yield from (member for member, slot in entry.tally.slots.items() if slot.verdict is not Verdict.ABSTAIN)
    yield from (member for member, said in entry.late.items() if said - {Verdict.ABSTAIN})


def _key(prepared: Prepared) -> Key:
    return (prepared.id, prepared.decision.key_epoch, prepared.decision.anchor)


def _is_said(entry: Entry, member: Identity, verdict: Verdict) -> bool:
    late = entry.late.get(member, set())
    is_late = verdict in late if verdict is Verdict.ABSTAIN else bool(late - {Verdict.ABSTAIN})
    return is_late or is_said(entry.tally.slots.get(member), verdict)


def dropped(envelope: Envelope, reason: str) -> Notice:
    """Give the notice of a verdict that is not taken."""
    return Notice("attestation dropped", {"reason": reason, "signer": envelope.author.hex()[:16]})
