"""The book of decisions: proposing, hearing and judging them, until each has its certificate (SPEC 5.4, 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.canonical import Value
from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.envelope import Envelope
from proofs.mandate import Op
from relay.core.decisions import Prepared, prepare
from relay.core.effects import (
    Changed,
    Effect,
    Facts,
    LogEntry,
    Notice,
    Page,
    PageKind,
    SignAttestation,
    SignStatement,
)
from relay.core.errors import WireError
from relay.core.evaluate import PeerFacts
from relay.core.messages import Attestation, Equivocation, Outcome, Verdict, Void
from relay.core.room import Parent, Room
from relay.core.schedule import MAX_PROPOSALS, Assessment, Due
from relay.core.tally import Taken, Tally, take
from relay.core.types import DecisionId, Digest, Identity, PlanHash

__all__ = ["Book", "Entry", "Key"]

MAX_OPEN: Final = 4_096
MAX_OPEN_ALONE: Final = 64
"""Open decisions that only one member supports, per member (SPEC 6.5)."""
MAX_OUTCOMES: Final = 1_024
MAX_ATTESTATION_BYTES: Final = 32_000
"""Two of them fit into the evidence of an equivocation."""

Key = tuple[DecisionId, int]
"""A decision id and a key epoch: what one signature may be given for."""


@dataclass(slots=True)
class Entry:
    """A decision in the book. `asked` is the verdict that our signer was asked for, `opener` who brought it
    up.
    """

    tally: Tally
    opener: Identity
    asked: Verdict | None = None
    void: bool = False
    logged: set[Digest] = field(default_factory=set)
    """Entries of the audit log about it that are not released yet."""
    visited: tuple[PlanHash, ...] = ()
    outcomes: dict[Digest, bytes] = field(default_factory=dict)
    """Envelopes in which members say what they saw of it on a chain, by digest."""


class Book:
    """All open decisions; deterministic, fed by the node."""

    def __init__(self, me: Identity, committee: CommitteeDocument, rooms: Mapping[PlanHash, Room]) -> None:
        self.me = me
        self.committee = committee
        self.rooms = rooms
        self.entries: dict[Key, Entry] = {}
        self.certified: list[tuple[Prepared, bytes]] = []
        """Decisions certified since the node last took them."""
        self._undecided: dict[Key, None] = {}
        self._tracks: dict[tuple[PlanHash, tuple[str, int, int, int]], list[Key]] = {}
        self._parents: dict[DecisionId, Parent] = {}
        self._links: list[tuple[Parent, PlanHash, str]] = []
        self._accused: set[tuple[Identity, Key]] = set()

    # ---- proposing

    def propose_due(self) -> list[Effect]:
        """Propose what the plans' schedules and links have ripe, and judge again what had to wait."""
        effects: list[Effect] = []
        for room in self.rooms.values():
            for due in room.schedule.due():
                effects += self._propose(room, due)
        for parent, plan_hash, name in list(self._links):
            effects += self._propose_link(parent, plan_hash, name)
        for key in list(self._undecided):
            effects += self._judge(key)
        return effects

    def _propose(self, room: Room, due: Due) -> list[Effect]:
        decision = Decision(
            op=due.op,
            plan_hash=room.compiled.plan.hash,
            subject=due.subject,
            rung=due.rung,
            tier=due.tier,
            anchor=due.step.block,
            key_epoch=self.committee.key_epoch,
            parent=None,
        )
        if not room.is_armed:
            facts: Facts = {
                "plan": room.compiled.plan.protocol,
                "subject": due.subject,
                "block": due.step.block.number,
            }
            return [Notice("shadow decision", facts)]
        track = self._tracks.setdefault((room.compiled.plan.hash, due.track), [])
        if len(track) >= MAX_PROPOSALS or any(self._is_settled(key) for key in track):
            return []
        prepared = prepare(self.committee.network, room.compiled, decision)
        key = (prepared.id, decision.key_epoch)
        if key not in track:
            track.append(key)
        self._open(prepared, self.me, room.compiled.plan.hash)
        return self._judge(key)

    def _propose_link(self, parent: Parent, plan_hash: PlanHash, name: str) -> list[Effect]:
        room = self.rooms[plan_hash]
        anchor = room.link_anchor(parent)
        if anchor is Assessment.LATER:
            return []
        self._links.remove((parent, plan_hash, name))
        if not isinstance(anchor, BlockRef):
            return []
        link = room.compiled.plan.link[name]
        decision = Decision(
            op=Op.PROTECT,
            plan_hash=plan_hash,
            subject=f"link:{name}",
            rung=0,
            tier=link.ladder[0].tier,
            anchor=anchor,
            key_epoch=self.committee.key_epoch,
            parent=parent.prepared.id,
        )
        # We propose only what we find right; a peer that finds otherwise proposes it itself.
        if room.assess(decision, parent) is Assessment.WRONG:
            return [Notice("link not followed", {"plan": room.compiled.plan.protocol, "link": name})]
        prepared = prepare(self.committee.network, room.compiled, decision)
        self._open(prepared, self.me, plan_hash)
        return self._judge((prepared.id, decision.key_epoch))

    # ---- hearing

    def hear(self, envelope: Envelope, attestation: Attestation) -> list[Effect]:
        """Take a member's word, ours included, on a decision that we may not know yet."""
        decision = attestation.decision
        if len(envelope.raw) > MAX_ATTESTATION_BYTES:
            return [_dropped(envelope, "oversized attestation")]
        room = self.rooms.get(decision.plan_hash)
        if room is None:
            return [_dropped(envelope, "unknown plan")]
        try:
            prepared = prepare(self.committee.network, room.compiled, decision)
            _check_time(room, prepared)
        except WireError as error:
            return [_dropped(envelope, error.reason)]
        key = (prepared.id, decision.key_epoch)
        if key not in self.entries:
            if self._alone(envelope.author) >= MAX_OPEN_ALONE or len(self.entries) >= MAX_OPEN:
                return [_dropped(envelope, "too many open decisions")]
            self._open(prepared, envelope.author, decision.plan_hash)
        return self._count(key, envelope, attestation) + self._judge(key)

    def _count(self, key: Key, envelope: Envelope, attestation: Attestation) -> list[Effect]:
        entry = self.entries[key]
        tally, taken = take(entry.tally, envelope, attestation, self.committee)
        if taken is Taken.CONTRADICTS:
            held = tally.slots[envelope.author]
            return self._accuse(key, envelope.author, Equivocation(first=held.raw, second=envelope.raw))
        entry.tally = tally
        if taken is Taken.REPEATED:
            return []
        if taken is Taken.BAD_SIGNATURE:
            return [_dropped(envelope, taken.value)]
        entry.logged.add(envelope.digest)
        logged = LogEntry(envelope.digest, envelope.raw)
        if taken is Taken.BAD_DIGEST:
            return [logged, _dropped(envelope, taken.value)]
        if taken is Taken.CERTIFIED and tally.certificate is not None:
            self.certified.append((tally.prepared, tally.certificate))
        return [logged, Changed(tally.prepared.id)]

    def accused(self, evidence: Equivocation, first: Attestation, author: Identity) -> list[Effect]:
        """Take evidence that a peer sent, and that `wire.open_equivocation` has checked."""
        room = self.rooms.get(first.decision.plan_hash)
        if room is None:
            return []
        try:
            prepared = prepare(self.committee.network, room.compiled, first.decision)
        except WireError:
            return []
        return self._accuse((prepared.id, first.decision.key_epoch), author, evidence)

    def _accuse(self, key: Key, author: Identity, evidence: Equivocation) -> list[Effect]:
        if (author, key) in self._accused:
            return []
        self._accused.add((author, key))
        entry = self.entries.get(key)
        if entry is not None and entry.tally.certificate is None:
            slots = {identity: slot for identity, slot in entry.tally.slots.items() if identity != author}
            entry.tally = Tally(entry.tally.prepared, slots)
        text = f"member {author.hex()[:16]} signed two mandates for decision {key[0].hex()[:16]}"
        return [SignStatement(evidence), Page(PageKind.FORK_EVIDENCE, text)]

    def is_accused(self, author: Identity, key: Key) -> bool:
        """Tell whether this member's word on this decision is void."""
        return (author, key) in self._accused

    # ---- judging

    def _judge(self, key: Key) -> list[Effect]:
        """Ask the signer for our verdict once it can be told; abstain at once when a peer asks too early."""
        entry = self.entries[key]
        if entry.void or entry.asked in (Verdict.ATTEST, Verdict.DISSENT):
            self._undecided.pop(key, None)
            return []
        decision = entry.tally.prepared.decision
        room = self.rooms[decision.plan_hash]
        if not room.is_armed:
            return []
        parent = self._parents.get(decision.parent) if decision.parent is not None else None
        assessment = room.assess(decision, parent)
        if assessment is Assessment.LATER:
            self._undecided[key] = None
            return []
        self._undecided.pop(key, None)
        entry.asked = Verdict.ATTEST if assessment is Assessment.RIGHT else Verdict.DISSENT
        return [SignAttestation(entry.tally.prepared, entry.asked, room.trace(decision, parent))]

    def ask_again(self) -> list[Effect]:
        """After a restart: ask the signer again for every verdict that has no envelope yet."""
        effects: list[Effect] = []
        for entry in self.entries.values():
            if entry.asked is None or entry.void or self._said(entry):
                continue
            effects.append(SignAttestation(entry.tally.prepared, entry.asked, self._trace(entry)))
        return effects

    def abstain_overdue(self, now_s: Mapping[str, int]) -> list[Effect]:
        """Say that we cannot tell, where a peer's decision has waited for longer than the plan's patience."""
        effects: list[Effect] = []
        for key in self._undecided:
            entry = self.entries[key]
            decision = entry.tally.prepared.decision
            room = self.rooms[decision.plan_hash]
            patience = room.compiled.plan.clock.patience_s
            overdue = now_s.get(decision.anchor.chain, 0) > decision.anchor.timestamp + patience
            if overdue and entry.asked is None:
                entry.asked = Verdict.ABSTAIN
                effects.append(SignAttestation(entry.tally.prepared, Verdict.ABSTAIN, self._trace(entry)))
        return effects

    # ---- certificates and links

    def follow(self, prepared: Prepared) -> None:
        """Let the listening plans know of a certified protect decision."""
        if prepared.decision.op is not Op.PROTECT:
            return
        plan = self.rooms[prepared.decision.plan_hash].compiled
        entry = self.entries[(prepared.id, prepared.decision.key_epoch)]
        parent = Parent(
            prepared=prepared,
            reference=plan.plan.clock.reference,
            gateway=plan.gateways[plan.plan.clock.reference],
            facts=tuple(
                PeerFacts(
                    verb=plan.plan.acts[name].verb,
                    tier=prepared.decision.tier.name.lower(),
                    chain=plan.plan.acts[name].text.chain,
                    protocol=plan.plan.protocol,
                    rule=prepared.decision.subject,
                    hops=len(entry.visited),
                )
                for name in prepared.act_names
            ),
            visited=entry.visited,
        )
        self._parents[prepared.id] = parent
        for plan_hash, room in self.rooms.items():
            self._links += [(parent, plan_hash, link.name) for link in room.links_to(parent)]

    # ---- the chain goes back, time goes on

    def removed(self, blocks: Iterable[BlockRef], has_landed: set[DecisionId]) -> list[Effect]:
        """Void the decisions anchored in blocks that left the chain (design: the log says what had landed).
        """
        gone = {block.hash for block in blocks}
        effects: list[Effect] = []
        for key, entry in self.entries.items():
            anchor = entry.tally.prepared.decision.anchor
            if anchor.hash in gone and not entry.void:
                entry.void = True
                self._undecided.pop(key, None)
                void = Void(decision_id=key[0], anchor=anchor, landed=key[0] in has_landed)
                effects += [SignStatement(void), Changed(key[0])]
        return effects

    def forget(self, now_s: Mapping[str, int]) -> list[Key]:
        """Drop decisions whose mandate is over for a slot, and give their keys."""
        over = [
            key
            for key, entry in self.entries.items()
            if now_s.get(entry.tally.prepared.decision.anchor.chain, 0)
            > entry.tally.prepared.mandate.not_after + self._rearm_s(entry)
        ]
        for key in over:
            del self.entries[key]
            self._undecided.pop(key, None)
            self._parents.pop(key[0], None)
        if over:
            self._tracks = {
                name: kept
                for name, keys in self._tracks.items()
                if (kept := [key for key in keys if key in self.entries])
            }
            self._accused = {(author, key) for author, key in self._accused if key in self.entries}
        return over

    def entry_of(self, decision_id: DecisionId) -> Entry | None:
        """Give the entry of a decision under the key epoch in force."""
        return self.entries.get((decision_id, self.committee.key_epoch))

    # ---- small questions

    def _open(self, prepared: Prepared, opener: Identity, plan_hash: PlanHash) -> None:
        key = (prepared.id, prepared.decision.key_epoch)
        if key in self.entries:
            return
        parent = self._parents.get(prepared.decision.parent) if prepared.decision.parent is not None else None
        visited = (*parent.visited, plan_hash) if parent is not None else (plan_hash,)
        self.entries[key] = Entry(tally=Tally(prepared), opener=opener, visited=visited)

    def _trace(self, entry: Entry) -> Mapping[str, Value]:
        decision = entry.tally.prepared.decision
        parent = self._parents.get(decision.parent) if decision.parent is not None else None
        return self.rooms[decision.plan_hash].trace(decision, parent)

    def _is_settled(self, key: Key) -> bool:
        entry = self.entries.get(key)
        return entry is None or (entry.tally.certificate is not None and not entry.void)

    def _said(self, entry: Entry) -> bool:
        slot = entry.tally.slots.get(self.me)
        return slot is not None and slot.verdict is entry.asked

    def _alone(self, author: Identity) -> int:
        return sum(
            1
            for entry in self.entries.values()
            if entry.opener == author and author != self.me and len(entry.tally.slots) <= 1
        )

    def _rearm_s(self, entry: Entry) -> int:
        return self.rooms[entry.tally.prepared.decision.plan_hash].compiled.plan.clock.rearm_s


def _check_time(room: Room, prepared: Prepared) -> None:
    """Refuse what is over or far ahead (SPEC 6.5); relative to the decision's own time, not to arrival."""
    head, anchor = room.reference_head(), prepared.decision.anchor
    if head is None:
        return
    if head.timestamp > prepared.mandate.not_after:
        raise WireError(
            "stale attestation", f"over at {prepared.mandate.not_after}, head at {head.timestamp}"
        )
    if anchor.timestamp > head.timestamp + room.compiled.plan.clock.rearm_s:
        raise WireError("early attestation", f"anchor at {anchor.timestamp}, head at {head.timestamp}")


def _dropped(envelope: Envelope, reason: str) -> Notice:
    return Notice("attestation dropped", {"reason": reason, "signer": envelope.author.hex()[:16]})
