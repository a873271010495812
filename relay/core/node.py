"""The node: one event in, the effects out (SPEC 7.1). No clock, no chance, no I/O; the same events give the
same state.

```
BlockObserved, ChainReorged, ChainFinalized   ▶ views ▶ rooms (evaluate, schedule) ▶ book: propose, judge ▶
SignAttestation
Received, Signed                              ▶ book: count ▶ certificate ▶ landing, links
Ticked, SubmissionEnded                       ▶ landing: Submit
Started, Received(recall, recalled)           ▶ recall: UnlockSigner
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef
from proofs.envelope import Envelope
from relay.core.book import Book
from relay.core.compiled import CompiledPlan, merge_queries
from relay.core.effects import (
    Changed,
    Effect,
    Facts,
    Forward,
    LogEntry,
    Notice,
    Page,
    PageKind,
    Releasable,
    SignStatement,
    Stop,
    UnlockSigner,
)
from relay.core.events import (
    BlockObserved,
    BlockUnread,
    ChainFinalized,
    ChainReorged,
    EndpointDisagreed,
    Event,
    OwnStatementFound,
    PeersSeen,
    Received,
    SignalTold,
    Signed,
    SigningRefused,
    Started,
    SubmissionEnded,
    Ticked,
)
from relay.core.landing import Landing, LandingSettings
from relay.core.messages import (
    Attestation,
    Equivocation,
    Heartbeat,
    Message,
    Outcome,
    Recall,
    Recalled,
    Signal,
    Verdict,
    Void,
)
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind
from relay.core.ports import Submission
from relay.core.recall import RecallState, answered, began, found
from relay.core.room import Room
from relay.core.types import Caip2, Digest, Identity, Millis, PlanHash
from relay.core.view import ChainView
from relay.core.wire import open_equivocation

__all__ = ["Node", "NodeSettings", "is_journalled"]

HEARTBEAT_MS: Final = 15_000
STALE_MS: Final = 60_000
RECALL_PATIENCE_MS: Final = 60_000
MAX_OWN: Final = 4_096
"""Own attestations that a node remembers by digest."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Who this node is, in which committee, with which plans and chains."""

    me: Identity
    committee: CommitteeDocument
    plans: tuple[CompiledPlan, ...]
    block_time_ms: Mapping[Caip2, int]


@dataclass(frozen=True, slots=True)
class Beat:
    """A member's newest heartbeat, when it came, and as it came."""

    heartbeat: Heartbeat
    at_ms: Millis
    raw: bytes


def is_journalled(event: Event) -> bool:
    """Tell whether an event goes to disk: all but what concerns only the running process (SPEC 7.1)."""
    match event:
        case BlockUnread() | EndpointDisagreed() | PeersSeen() | Ticked():
            return False
        case (
            Received(message=Heartbeat() | Recall() | Recalled())
            | Signed(message=Heartbeat() | Recall() | Recalled())
        ):
            return False
        case _:
            return True


class Node:
    """All state of a relay node. Feed it events one by one; nothing else changes it."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.queries = merge_queries(settings.plans)
        keep_s = max(plan.retention_s for plan in settings.plans)
        self.views: dict[Caip2, ChainView] = {
            chain: ChainView(asked, keep_s=keep_s) for chain, asked in self.queries.items()
        }
        self.rooms: dict[PlanHash, Room] = {plan.plan.hash: Room(plan, self.views) for plan in settings.plans}
        self.book = Book(settings.me, settings.committee, self.rooms)
        members = tuple(member.identity for member in settings.committee.members)
        self.landing = Landing(LandingSettings(settings.me, members, settings.block_time_ms), self.views)
        self.recall: RecallState | None = None
        self.now_ms = Millis(0)
        self.heartbeats: dict[Identity, Beat] = {}
        self.edges: dict[tuple[PlanHash, str], int] = {}
        """Edges seen per rule, also those that were over when they were seen."""
        self.log_size = 0
        self._statements: dict[Identity, dict[Digest, Millis]] = {}
        self._heartbeat_due_ms = Millis(0)
        self._sequence = 0
        self._outcomes: set[tuple[bytes, int]] = set()
        self._paged_recall = False

    @property
    def is_released(self) -> bool:
        """Tell whether this node may sign attestations."""
        return self.recall is not None and self.recall.is_released

    def next_deadline_ms(self) -> Millis | None:
        """Give the time at which a `Ticked` is wanted."""
        if self.recall is None:
            return None
        due = self.landing.next_due_ms()
        return self._heartbeat_due_ms if due is None else min(due, self._heartbeat_due_ms)

    def advance(self, event: Event) -> tuple[Effect, ...]:
        """Apply one event and give what is to be done (SPEC 7.1)."""
        match event:
            case Started():
                return (*self._started(event),)
            case BlockObserved():
                return (*self._observed(event),)
            case ChainReorged(chain, ancestor):
                return (*self._reorged(chain, ancestor),)
            case ChainFinalized(block):
                self.views[block.chain].finalize(block)
                return (*self._progress(),)
            case Received(envelope, message, at_ms):
                self._at(at_ms)
                return (*self._received(envelope, message), *self._settle())
            case Signed(envelope, message, at_ms):
                self._at(at_ms)
                return (*self._heard(envelope, message), *self._settle())
            case SubmissionEnded(key, submission):
                self.landing.ended(key, submission, self.now_ms)
                return (Notice("submission ended", _facts_of(submission)),)
            case SignalTold():
                self._at(event.at_ms)
                return (_told(event),)
            case Ticked(at_ms):
                self._at(at_ms)
                return (*self._ticked(),)
            case SigningRefused(decision_id, _, reason):
                text = f"decision {decision_id.hex()[:16]}: {reason}"
                return (Page(PageKind.CANNOT_SIGN, text),)
            case OwnStatementFound(digest, is_held):
                return (*self._own_found(digest, is_held),)
            case BlockUnread(chain, number, reason):
                return (Notice("block unread", {"chain": chain, "number": number, "reason": reason}),)
            case EndpointDisagreed(chain, operators, number):
                where: Facts = {"chain": chain, "operators": ", ".join(operators), "number": number}
                return (Notice("endpoints disagree", where),)
            case PeersSeen(connected, at_ms):
                self._at(at_ms)
                return (*self._peers(connected),)
            case _:
                assert_never(event)

    # ---- the process

    def _started(self, event: Started) -> list[Effect]:
        self._at(event.at_ms)
        need = self.settings.committee.f + 1
        self.recall = began(boot=event.boot, instance=event.instance, at_ms=event.at_ms, need=need)
        self._heartbeat_due_ms = event.at_ms
        self._paged_recall = False
        self.landing.rearm(event.at_ms)
        return [SignStatement(Recall(event.boot, event.instance, self.recall.nonce))]

    def _ticked(self) -> list[Effect]:
        effects: list[Effect] = []
        if self.recall is not None and self.now_ms >= self._heartbeat_due_ms:
            effects += self._beat(self.recall)
        effects += self.landing.due(self.now_ms)
        return effects

    def _beat(self, recall: RecallState) -> list[Effect]:
        self._heartbeat_due_ms = Millis(self.now_ms + HEARTBEAT_MS)
        self._sequence += 1
        heads = {chain: view.tip for chain, view in self.views.items() if view.tip is not None}
        beat = Heartbeat(recall.boot, self._sequence, recall.instance, self.log_size, heads)
        effects: list[Effect] = [SignStatement(beat)]
        if not recall.is_released:
            # Peers that were not there at the start are asked again with every beat.
            effects.append(SignStatement(Recall(recall.boot, recall.instance, recall.nonce)))
            overdue = self.now_ms - recall.began_ms > RECALL_PATIENCE_MS
            if overdue and not self._paged_recall:
                self._paged_recall = True
                text = f"{len(recall.answers)} of {recall.need} peers answered, {len(recall.missing)} statements missing"
                effects.append(Page(PageKind.CANNOT_SIGN, text))
        return effects

    def _peers(self, connected: frozenset[Identity]) -> list[Effect]:
        """Ask newly connected peers at once what they remember of us."""
        recall = self.recall
        if recall is None or recall.is_released or not connected - recall.answers:
            return []
        ask = Recall(recall.boot, recall.instance, recall.nonce)
        return [SignStatement(ask, to=peer) for peer in sorted(connected - recall.answers)]

    def live_members(self) -> int:
        """Give how many members, ourselves included, were heard of lately."""
        alive = [beat for beat in self.heartbeats.values() if self.now_ms - beat.at_ms <= STALE_MS]
        return 1 + len(alive)

    # ---- chains

    def _observed(self, event: BlockObserved) -> list[Effect]:
        block = event.reads.header.block
        self.views[block.chain].observe(event)
        effects: list[Effect] = []
        for gateway_event in event.reads.gateway_events:
            effects += self._landed(gateway_event, block)
        effects += self._progress()
        for room in self.rooms.values():
            self.landing.look_for_expired(room.compiled, block.chain, self.now_ms)
        return effects

    def _landed(self, event: GatewayEvent, block: BlockRef) -> list[Effect]:
        entry = None
        if event.decision_id is not None:
            entry = self.book.entry_of(event.decision_id)
        self.landing.observed(event, block, entry.tally.prepared if entry is not None else None)
        outcome = self._outcome(event, block)
        known = (event.tx, event.log_index)
        if outcome is None or known in self._outcomes:
            return []
        self._outcomes.add(known)
        return [SignStatement(outcome), Changed(outcome.decision_id)]

    def _outcome(self, event: GatewayEvent, block: BlockRef) -> Outcome | None:
        """Give what we say of a gateway's event, if it can be traced to a decision."""
        decision_id, mandate = event.decision_id, event.mandate
        if decision_id is None:
            record = self.views[block.chain].last_record(event.gateway, event.act_id, block)
            if record is None:
                return None
            decision_id, mandate = record.decision_id, record.mandate
        if decision_id is None or mandate is None:
            return None
        ended = event.kind is GatewayEventKind.ENDED and event.how is not None
        return Outcome(
            decision_id=decision_id,
            mandate_digest=mandate,
            chain=block.chain,
            gateway=event.gateway,
            act_id=event.act_id,
            block=block,
            tx=event.tx,
            effect=(event.how or EndedHow.CLOSE).value if ended else event.kind.value,
            until=event.ended_at if ended else event.until,
            gas_used=event.gas_used,
        )

    def _reorged(self, chain: Caip2, ancestor: BlockRef) -> list[Effect]:
        removed = self.views[chain].rollback(ancestor)
        for room in self.rooms.values():
            room.rollback(ancestor)
        had_landed = {decision_id for decision_id, _, _ in self.landing.landed}
        self.landing.removed(removed)
        effects = self.book.removed(removed, had_landed)
        effects.append(Notice("chain reorganised", {"chain": chain, "blocks": len(removed)}))
        return [*effects, *self._progress()]

    def _progress(self) -> list[Effect]:
        """Evaluate what has become readable, propose what is due, release and forget what is over."""
        effects: list[Effect] = []
        for plan_hash, room in self.rooms.items():
            for edge in room.advance():
                counted = (plan_hash, edge.rule)
                self.edges[counted] = self.edges.get(counted, 0) + 1
                seen: Facts = {
                    "plan": room.compiled.plan.protocol,
                    "rule": edge.rule,
                    "block": edge.block.number,
                }
                effects.append(Notice("rule edge", seen))
        effects += self.book.propose_due()
        now_s = self._chain_times()
        effects += self.book.abstain_overdue(now_s)
        effects += self._release(now_s)
        self.book.forget(now_s)
        return effects

    # ---- mail

    def _received(self, envelope: Envelope, message: Message) -> list[Effect]:
        if envelope.author == self.settings.me:
            # Our own word comes back as `OwnStatementFound`; only a heartbeat can tell of a twin.
            return self._twin_seen(message) if isinstance(message, Heartbeat) else []
        match message:
            case Heartbeat():
                return self._beaten(envelope, message)
            case Recall():
                return [SignStatement(self._remembered(envelope.author, message), to=envelope.author)]
            case Recalled():
                return self._recalled(envelope.author, message)
            case _:
                return self._heard(envelope, message)

    def _beaten(self, envelope: Envelope, beat: Heartbeat) -> list[Effect]:
        """Take a member's heartbeat; a change of instance is told to that member, who may have a twin."""
        before = self.heartbeats.get(envelope.author)
        self.heartbeats[envelope.author] = Beat(beat, self.now_ms, envelope.raw)
        if before is None or before.heartbeat.instance == beat.instance:
            return []
        return [Forward(before.raw, to=envelope.author)]

    def _twin_seen(self, beat: Heartbeat) -> list[Effect]:
        """Take a heartbeat under our own identity: another instance with our keys stops us both (SPEC 6.3).
        """
        recall = self.recall
        if recall is None or beat.instance == recall.instance or beat.boot < recall.boot:
            return []
        return [Stop(f"another instance runs with our identity: {beat.instance.hex()}, boot {beat.boot}")]

    def _heard(self, envelope: Envelope, message: Message) -> list[Effect]:
        """Take a statement that enters the audit log, a member's or our own."""
        match message:
            case Attestation():
                if message.verdict is Verdict.ATTEST:
                    self._note_statement(envelope)
                return self.book.hear(envelope, message)
            case Equivocation():
                first, _, author = open_equivocation(message, self.settings.committee)
                return [*self.book.accused(message, first, author), *_logged(envelope)]
            case Outcome():
                self.book.seen(envelope, message)
                return [*_logged(envelope), Changed(message.decision_id)]
            case Signal() | Void():
                return _logged(envelope)
            case Heartbeat() | Recall() | Recalled():
                return []
            case _:
                assert_never(message)

    def _settle(self) -> list[Effect]:
        """Follow up what the last messages have certified."""
        effects: list[Effect] = []
        certified, self.book.certified = self.book.certified, []
        for prepared, certificate in certified:
            self.landing.certified(prepared, certificate, self.now_ms)
            self.book.follow(prepared)
            what: Facts = {"subject": prepared.decision.subject, "tier": prepared.decision.tier.name.lower()}
            effects += [Notice("certificate complete", what), Changed(prepared.id)]
        if certified:
            effects += self.book.propose_due()
            effects += self.landing.due(self.now_ms)
        return effects

    # ---- what peers remember

    def _remembered(self, about: Identity, question: Recall) -> Recalled:
        statements = self._statements.get(about, {})
        newest = sorted(statements, key=lambda digest: statements[digest])[-64:]
        beat = self.heartbeats.get(about)
        return Recalled(
            about=about,
            nonce=question.nonce,
            boot=beat.heartbeat.boot if beat is not None else 0,
            statements=len(statements),
            newest_at_ms=max(statements.values(), default=Millis(0)),
            newest=tuple(newest),
        )

    def _recalled(self, peer: Identity, answer: Recalled) -> list[Effect]:
        if self.recall is None or answer.about != self.settings.me or self.recall.is_released:
            return []
        held = frozenset(self._statements.get(self.settings.me, {}))
        self.recall = answered(self.recall, peer, answer, held=held)
        return self._unlock()

    def _own_found(self, digest: Digest, is_held: bool) -> list[Effect]:
        if self.recall is None or digest not in self.recall.missing:
            return []
        if not is_held:
            text = f"a peer holds our statement {digest.hex()[:16]}, which this disk never made: restored from an old copy?"
            return [Page(PageKind.CANNOT_SIGN, text)]
        self.recall = found(self.recall, digest)
        return self._unlock()

    def _unlock(self) -> list[Effect]:
        if not self.is_released:
            return []
        return [UnlockSigner(), *self.book.ask_again()]

    def _note_statement(self, envelope: Envelope) -> None:
        statements = self._statements.setdefault(envelope.author, {})
        statements[envelope.digest] = envelope.at_ms
        if len(statements) > MAX_OWN:
            del statements[min(statements, key=lambda digest: statements[digest])]

    # ---- the audit log's release

    def _release(self, now_s: Mapping[str, int]) -> list[Effect]:
        digests: list[Digest] = []
        for entry in self.book.entries.values():
            if not entry.logged:
                continue
            prepared = entry.tally.prepared
            over = now_s.get(prepared.decision.anchor.chain, 0) > prepared.mandate.not_after
            if over or entry.void or self.landing.is_spent(prepared):
                digests += sorted(entry.logged)
                entry.logged.clear()
        return [Releasable(tuple(digests))] if digests else []

    def _chain_times(self) -> dict[str, int]:
        return {chain: view.head.timestamp for chain, view in self.views.items() if view.head is not None}

    def _at(self, at_ms: Millis) -> None:
        self.now_ms = max(self.now_ms, at_ms)


def _logged(envelope: Envelope) -> list[Effect]:
    return [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]


def _facts_of(submission: Submission) -> Facts:
    return {"status": submission.status.value, "reason": submission.reason, "gas_used": submission.gas_used}


def _told(event: SignalTold) -> Effect:
    signal = Signal(PlanHash(event.plan_hash), event.subject, event.reporter, event.note)
    return SignStatement(signal)


def replay(node: Node, events: Sequence[Event]) -> None:
    """Bring a new node to where its journal ends; nothing is done again (SPEC 6.7 INV-E)."""
    for event in events:
        node.advance(event)
