"""The running process among its peers: heartbeats, twins, and what peers remember of us (SPEC 6.3).

Nothing here is rebuilt from the journal but the members' statements: it concerns the process, not the
decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef
from proofs.envelope import Envelope
from relay.core.committees import Committees
from relay.core.effects import Effect, Forward, Page, PageKind, SignStatement, Stop
from relay.core.events import OwnStatementFound, Started
from relay.core.messages import Heartbeat, Recall, Recalled
from relay.core.recall import RecallState, answered, began, circle_of, disowned, found, overdue
from relay.core.types import Caip2, Digest, Identity, Millis

__all__ = ["Beat", "Presence"]

HEARTBEAT_MS: Final = 15_000
STALE_MS: Final = 60_000
RECALL_PATIENCE_MS: Final = 60_000
MAX_STATEMENTS: Final = 4_096
"""Attestations of one member that a node remembers by digest."""
MAX_NEWEST: Final = 64
RECALL_PAUSE_MS: Final = 900
"""Nodes ask again after a second while they wait."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A member's newest heartbeat, when it came, and as it came."""

    heartbeat: Heartbeat
    at_ms: Millis
    raw: bytes


class Presence:
    """Who is there, whether we may sign, and what everybody has said; fed by the node."""

    def __init__(self, me: Identity, committees: Committees) -> None:
        self._me = me
        self.committees = committees
        self.recall: RecallState | None = None
        self.heartbeats: dict[Identity, Beat] = {}
        self.due_ms = Millis(0)
        """When the next heartbeat is to be said."""
        self._sequence = 0
        self._statements: dict[Identity, dict[Digest, Millis]] = {}
        self._paged_recall = False
        self._paged_members = False
        self._asked_ms: dict[Identity, Millis] = {}

    @property
    def is_released(self) -> bool:
        """Tell whether this node may sign attestations."""
        return self.recall is not None and self.recall.is_released

    def live_members(self, now_ms: Millis) -> int:
        """Give how many members of the committee in force, ourselves included, were heard of lately."""
        live = {author for author, beat in self.heartbeats.items() if now_ms - beat.at_ms <= STALE_MS}
        document = self.committees.in_force(now_ms // 1_000)
        return sum(1 for member in document.members if member.identity in live | {self._me})

    # ---- our own process

    def started(self, event: Started) -> list[Effect]:
        """Begin a run: ask everybody what they remember of us."""
        self.recall = began(
            boot=event.boot,
            instance=event.instance,
            at_ms=event.at_ms,
            circles=tuple(circle_of(document, self._me) for document in self._ours(event.at_ms)),
        )
        self.due_ms = event.at_ms
        self._paged_recall = self._paged_members = False
        return [SignStatement(Recall(event.boot, event.instance, self.recall.nonce))]

    def _ours(self, now_ms: Millis) -> Sequence[CommitteeDocument]:
        """Give the committees in which we may have signed what still counts; without any, that in force."""
        now = self.committees.in_force(now_ms // 1_000)
        begun = [
            document
            for document in self.committees.standing(now_ms // 1_000)
            if document.committee_epoch <= now.committee_epoch and document.member(self._me) is not None
        ]
        return begun or [now]

    def tick(self, now_ms: Millis, heads: Mapping[Caip2, BlockRef], log_size: int) -> list[Effect]:
        """Say that we live, when it is time to, and page for what has lasted too long."""
        recall = self.recall
        if recall is None or now_ms < self.due_ms:
            return []
        if now_ms - recall.began_ms > RECALL_PATIENCE_MS:
            recall = self.recall = overdue(recall)
        self.due_ms = Millis(now_ms + HEARTBEAT_MS)
        self._sequence += 1
        effects: list[Effect] = [
            SignStatement(Heartbeat(recall.boot, self._sequence, recall.instance, log_size, heads))
        ]
        if not recall.is_released:
            # Peers that were not there at the start are asked again with every beat.
            effects.append(SignStatement(Recall(recall.boot, recall.instance, recall.nonce)))
        return effects + self._pages(recall, now_ms)

    def _pages(self, recall: RecallState, now_ms: Millis) -> list[Effect]:
        effects: list[Effect] = []
        if not recall.is_released and recall.is_overdue and not self._paged_recall:
            self._paged_recall = True
            told = f"{len(recall.answers)} of {recall.need} peers answered"
            effects.append(
                Page(PageKind.CANNOT_SIGN, f"{told}, {len(recall.missing)} statements are missing here")
            )
        live, full = self.live_members(now_ms), self.committees.in_force(now_ms // 1_000).full
        are_few = live < full and now_ms - recall.began_ms > STALE_MS
        if are_few and not self._paged_members:
            text = f"expected {full} live members, heard of {live}"
            effects.append(Page(PageKind.FEW_LIVE_MEMBERS, text))
        self._paged_members = are_few
        return effects

    # ---- peers

    def peers(self, connected: frozenset[Identity]) -> list[Effect]:
        """Ask newly connected peers at once what they remember of us."""
        recall = self.recall
        if recall is None or recall.is_released or not connected - recall.answers:
            return []
        ask = Recall(recall.boot, recall.instance, recall.nonce)
        return [SignStatement(ask, to=peer) for peer in sorted(connected - recall.answers)]

    def beaten(self, envelope: Envelope, beat: Heartbeat, now_ms: Millis) -> list[Effect]:
        """Take a member's heartbeat; a change of instance is told to that member, who may have a twin."""
        before = self.heartbeats.get(envelope.author)
        if before is not None and before.heartbeat.instance == beat.instance:
            if beat.seq <= before.heartbeat.seq:
                return []  # said before: somebody repeats it
            before = None
        if before is None or beat.boot >= before.heartbeat.boot:
            self.heartbeats[envelope.author] = Beat(beat, now_ms, envelope.raw)
        return [] if before is None else [Forward(before.raw, to=envelope.author)]

    def twin_seen(self, beat: Heartbeat) -> list[Effect]:
        """Take a heartbeat under our own identity: a second instance with our keys stops both (SPEC 6.3)."""
        recall = self.recall
        if recall is None or beat.instance == recall.instance or beat.boot < recall.boot:
            return []
        return [Stop(f"another instance runs with our identity: {beat.instance.hex()}, boot {beat.boot}")]

    # ---- what members remember

    def note_statement(self, envelope: Envelope) -> None:
        """Remember an attestation, a member's or our own, by its digest."""
        statements = self._statements.setdefault(envelope.author, {})
        statements[envelope.digest] = envelope.at_ms
        if len(statements) > MAX_STATEMENTS:
            del statements[min(statements, key=lambda digest: statements[digest])]

    def statements_of(self, member: Identity) -> frozenset[Digest]:
        """Give the digests of the attestations that we hold of a member."""
        return frozenset(self._statements.get(member, ()))

    def may_ask(self, member: Identity, now_ms: Millis) -> bool:
        """Tell whether a member's question is to be answered: one in a second."""
        if now_ms - self._asked_ms.get(member, Millis(-RECALL_PAUSE_MS)) < RECALL_PAUSE_MS:
            return False
        self._asked_ms[member] = now_ms
        return True

    def remembered(self, about: Identity, question: Recall) -> Recalled:
        """Answer a member that asks what we remember of it."""
        statements = self._statements.get(about, {})
        newest = sorted(statements, key=lambda digest: (statements[digest], digest))[-MAX_NEWEST:]
        beat = self.heartbeats.get(about)
        return Recalled(
            about=about,
            nonce=question.nonce,
            boot=beat.heartbeat.boot if beat is not None else 0,
            statements=len(statements),
            newest_at_ms=max(statements.values(), default=Millis(0)),
            newest=tuple(newest),
        )

    def recalled(self, peer: Identity, answer: Recalled) -> None:
        """Take a peer's answer to our question."""
        if self.recall is not None and answer.about == self._me and not self.recall.is_released:
            self.recall = answered(self.recall, peer, answer, held=self.statements_of(self._me))

    def own_found(self, event: OwnStatementFound) -> list[Effect]:
        """Take back an attestation of ours that a peer held and this disk did not (SPEC 6.3)."""
        if self.recall is None:
            return []
        if event.is_held:
            self.recall = found(self.recall, event.digest)
            return []
        was_released = self.recall.is_released
        self.recall = disowned(self.recall)
        what = f"a peer holds our statement {event.digest.hex()[:16]}"
        text = f"{what}, which this disk never made: restored from an old copy?"
        return [Stop(text)] if was_released else [Page(PageKind.CANNOT_SIGN, text)]
