"""The book of decisions: proposing, hearing and judging them, to their certificates (SPEC 5.4, 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from proofs.canonical import Value
from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision, decision_id
from proofs.envelope import Envelope
from relay.core.anchors import Anchors, Series
from relay.core.callers import Callers
from relay.core.committees import Committees
from relay.core.decisions import Prepared, prepare
from relay.core.effects import (
    Changed,
    Effect,
    LogEntry,
    Notice,
    Page,
    PageKind,
    Releasable,
    SignAttestation,
    SignStatement,
    Stop,
)
from relay.core.entries import Entries, Entry, Key, standing
from relay.core.errors import WireError
from relay.core.evidence import Convictions, SigningKey
from relay.core.late import LateWords, dropped
from relay.core.messages import Attestation, Equivocation, Verdict, Void
from relay.core.room import Room
from relay.core.schedule import MAX_PROPOSALS, Assessment, Due
from relay.core.shadows import Shadows, series_of
from relay.core.tally import Taken, Tally, is_well_signed, take
from relay.core.types import DecisionId, Identity, Millis, PlanHash

__all__ = ["Book", "Entry", "Key"]

KEEP_CERTIFIED_S: Final = 30 * 86_400
"""For how long a certified decision can still be asked for, in the reference chain's time."""
MAX_ATTESTATION_BYTES: Final = 32_000
"""Two of them fit into the evidence of an equivocation."""


class Book:
    """All open decisions; deterministic, fed by the node."""

    def __init__(self, me: Identity, committees: Committees, rooms: Mapping[PlanHash, Room]) -> None:
        self.me = me
        self.committees = committees
        self.rooms = rooms
        self.entries = Entries(me)
        self.late = LateWords(me)
        self.certified: list[tuple[Prepared, bytes]] = []
        """Decisions certified since the node last took them."""
        self.attested: list[tuple[Prepared, Identity]] = []
        """Who attested to which mandate since the node last took them."""
        self._callers = Callers(committees.network, rooms, self.entries)
        self.links, self.reports = self._callers.links, self._callers.reports
        self._undecided: dict[Key, None] = {}
        self._tracks: dict[tuple[PlanHash, tuple[str, int, int, int]], list[Key]] = {}
        self._anchors = Anchors()
        self._shadows = Shadows()
        self._convictions = Convictions()

    # ---- proposing

    def propose_due(self) -> list[Effect]:
        """Propose what the plans' schedules and links have ripe, and judge again what had to wait."""
        effects: list[Effect] = []
        for room in self.rooms.values():
            begun: set[tuple[str, int, int, int]] = set()
            for due in room.schedule.due():
                # Finality comes in batches: the first anchor of a series has its chance before the next.
                if due.track not in begun:
                    begun.add(due.track)
                    effects += self._propose(room, due)
        for key in list(self._undecided):
            effects += self._judge(key)
        return effects + self.propose_called()

    def propose_called(self) -> list[Effect]:
        """Propose what links and reports call for, and judge again what rests on them."""
        effects: list[Effect] = []
        for called in self._callers.due(self.committees):
            effects += [called] if isinstance(called, Notice) else self._propose_one(*called)
        for key in [key for key in self._undecided if self._is_called(key)]:
            effects += self._judge(key)
        return effects

    def _is_called(self, key: Key) -> bool:
        return self.entries[key].tally.prepared.decision.parent is not None

    def _propose(self, room: Room, due: Due) -> list[Effect]:
        committee = self.committees.in_force(due.step.block.timestamp)
        if committee.member(self.me) is None:
            return []
        plan_hash = room.compiled.plan.hash
        if not room.is_armed:
            return self._say_shadow(room, due.decision(plan_hash, committee.key_epoch), due.track[1])
        track = self._tracks.setdefault((plan_hash, due.track), [])
        standing = [key for key in track if key not in self.entries or not self.entries[key].void]
        if len(standing) >= MAX_PROPOSALS or any(self._is_settled(key) for key in standing):
            return []
        decision = due.decision(plan_hash, committee.key_epoch)
        key = self.entries.open(prepare(committee.network, room.compiled, decision), self.me)
        if key not in track:
            track.append(key)
        return self._judge(key)

    def _propose_one(self, room: Room, decision: Decision) -> list[Effect]:
        committee = self.committees.in_force(decision.anchor.timestamp)
        if committee.member(self.me) is None:
            return []
        if not room.is_armed:
            return self._say_shadow(room, decision, series_of(room.compiled.plan, decision)[-1])
        return self._judge(self.entries.open(prepare(committee.network, room.compiled, decision), self.me))

    def _say_shadow(self, room: Room, decision: Decision, slot: int) -> list[Effect]:
        def trace() -> Mapping[str, Value]:
            prepared = prepare(self.committees.network, room.compiled, decision)
            return room.trace(decision, self._callers.ground_of(prepared))

        return self._shadows.tell(room.compiled.plan, decision, slot, trace)

    # ---- hearing

    def hear(self, envelope: Envelope, attestation: Attestation, now_ms: Millis) -> list[Effect]:
        """Take a member's word, ours included, on a decision that we may not know yet."""
        try:
            prepared = self._prepare(envelope, attestation.decision)
        except WireError as error:
            return [dropped(envelope, error.reason)]
        about: SigningKey = (prepared.id, attestation.decision.key_epoch)
        if self._convictions.holds(envelope.author, about):
            return [dropped(envelope, "convicted of two mandates")]
        other = self.entries.other_mandate(about, envelope.author, attestation)
        if other is not None:
            evidence = Equivocation(first=other.raw, second=envelope.raw)
            return self._convict(envelope.author, about, [SignStatement(evidence)])
        key = (*about, attestation.decision.anchor)
        if self.rooms[prepared.decision.plan_hash].is_over(prepared):
            said, committee = (envelope, attestation), self.committee_of(prepared)
            return self.late.take(self.entries.get(key), prepared, said, committee, now_ms)
        if key not in self.entries:
            if not self.entries.has_place_for(envelope.author):
                return [dropped(envelope, "too many open decisions")]
            if not is_well_signed(prepared, envelope.author, attestation, self.committee_of(prepared)):
                return [dropped(envelope, Taken.BAD_SIGNATURE.value)]
            self.entries.open(prepared, envelope.author)
        return self._count(key, envelope, attestation) + self._judge(key)

    def _prepare(self, envelope: Envelope, decision: Decision) -> Prepared:
        if len(envelope.raw) > MAX_ATTESTATION_BYTES:
            raise WireError("oversized attestation", f"expected at most {MAX_ATTESTATION_BYTES} bytes")
        room = self.rooms.get(decision.plan_hash)
        if room is None:
            raise WireError("unknown plan", decision.plan_hash.hex())
        committee = self.committees.in_force(decision.anchor.timestamp)
        if decision.key_epoch != committee.key_epoch:
            raise WireError("other key epoch", f"expected {committee.key_epoch}, got {decision.key_epoch}")
        if committee.member(envelope.author) is None:
            raise WireError("unknown signer", f"expected a member of epoch {committee.committee_epoch}")
        # A bundle's reader holds the signature against the document that the envelope names.
        if not self._has_same_attester(envelope, committee):
            raise WireError("other epoch", f"expected words under epoch {committee.committee_epoch}")
        # The id covers all of a decision but its epoch and what else is said of its anchor.
        key = (decision_id(committee.network, decision), decision.key_epoch, decision.anchor)
        known = self.entries.get(key)
        prepared = (
            known.tally.prepared if known is not None else prepare(committee.network, room.compiled, decision)
        )
        room.check_time(prepared)
        return prepared

    def _has_same_attester(self, envelope: Envelope, committee: CommitteeDocument) -> bool:
        """Tell whether the author has one attester key in the document that it names and in `committee`."""
        named = self.committees.by_epoch(envelope.committee_epoch)
        said_as = None if named is None else named.member(envelope.author)
        counts_as = committee.member(envelope.author)
        return said_as is not None and counts_as is not None and said_as.attester == counts_as.attester

    def _count(self, key: Key, envelope: Envelope, attestation: Attestation) -> list[Effect]:
        entry = self.entries[key]
        committee = self.committee_of(entry.tally.prepared)
        tally, taken = take(entry.tally, envelope, attestation, committee)
        entry.tally = tally
        if len(tally.attesters()) > committee.f:
            self.entries.back(key)
        if taken is Taken.REPEATED and envelope.author != self.me:
            return []  # of ours our log holds all: who heard one before a crash of ours may hold it
        if taken is Taken.BAD_SIGNATURE:
            return [dropped(envelope, taken.value)]
        entry.logged.add(envelope.digest)
        logged = LogEntry(envelope.digest, envelope.raw)
        if taken in (Taken.BAD_DIGEST, Taken.REPEATED):
            return [logged, dropped(envelope, taken.value)]
        if attestation.verdict is Verdict.ATTEST and not entry.void:
            self.attested.append((tally.prepared, envelope.author))
        if taken is Taken.CERTIFIED and tally.certificate is not None and not entry.void:
            self.certified.append((tally.prepared, tally.certificate))
        return [logged, Changed(tally.prepared.id)]

    # ---- contradictions

    def accused(self, envelope: Envelope, first: Attestation, author: Identity) -> list[Effect]:
        """Take evidence that `wire.open_equivocation` has checked; `first` and `author` are what it gave."""
        about = (decision_id(self.committees.network, first.decision), first.decision.key_epoch)
        record: list[Effect] = [
            LogEntry(envelope.digest, envelope.raw),
            Releasable((envelope.digest,)),
        ]
        if envelope.author == self.me and self._convictions.holds(author, about):
            return record  # our own record of what we saw ourselves
        if self._convictions.holds(author, about):
            return []
        return self._convict(author, about, record)

    def _convict(self, author: Identity, about: SigningKey, record: list[Effect]) -> list[Effect]:
        is_worth_telling = self._convictions.add(author, about)
        for entry in self.entries.about(about):
            if entry.tally.certificate is None:
                slots = {identity: slot for identity, slot in entry.tally.slots.items() if identity != author}
                entry.tally = Tally(entry.tally.prepared, slots)
        if not is_worth_telling:
            return [Changed(about[0])]  # an effect: what convicts must be in the journal
        text = f"member {author.hex()[:16]} signed two mandates for decision {about[0].hex()[:16]}"
        stop = [Stop(f"somebody else signs with our keys: {text}")] if author == self.me else []
        return [*record, Page(PageKind.FORK_EVIDENCE, text), *stop]

    # ---- judging

    def _judge(self, key: Key) -> list[Effect]:
        """Ask the signer for our verdict once it can be told; abstain at once when a peer asks too early."""
        entry = self.entries[key]
        if entry.void or entry.asked in (Verdict.ATTEST, Verdict.DISSENT):
            self._undecided.pop(key, None)
            return []
        decision = entry.tally.prepared.decision
        room = self.rooms[decision.plan_hash]
        if not room.is_armed or not self._is_ours(decision):
            self._undecided.pop(key, None)
            return []
        series = self._series_of(room, key)
        if entry.tally.certificate is None and self._anchors.has_sibling(
            series, key, self.entries.is_certified
        ):
            # One certificate does the work of all: a member must not make us sign every held block.
            self._undecided[key] = None
            return []
        ground = self._callers.ground_of(entry.tally.prepared)
        assessment = self._callers.assess(room, decision, ground)
        if assessment is Assessment.LATER:
            self._undecided[key] = None
            return []
        self._undecided.pop(key, None)
        if assessment is Assessment.RIGHT:
            self._anchors.note(series, key)
        entry.asked = Verdict.ATTEST if assessment is Assessment.RIGHT else Verdict.DISSENT
        return [SignAttestation(entry.tally.prepared, entry.asked, room.trace(decision, ground))]

    def _series_of(self, room: Room, key: Key) -> Series | None:
        """Give the series of anchors that a decision belongs to, where one anchor may stand for another."""
        decision = self.entries[key].tally.prepared.decision
        track = room.track_of(decision)
        return None if track is None else (decision.plan_hash, track)

    def ask_again(self, now_s: Mapping[str, int]) -> list[Effect]:
        """After a restart: ask the signer again for every verdict that has no envelope yet."""
        effects: list[Effect] = []
        for entry in self.entries.values():
            prepared = entry.tally.prepared
            over = now_s.get(prepared.decision.anchor.chain, 0) > prepared.mandate.not_after
            if entry.asked is None or entry.void or over or self._said(entry):
                continue
            if not self._is_ours(prepared.decision):
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

    # ---- the chain goes back, time goes on

    def removed(self, blocks: Iterable[BlockRef], has_landed: Callable[[Prepared], bool]) -> list[Effect]:
        """Void the decisions anchored in blocks that left the chain; what had landed is said with it."""
        gone = {block.hash for block in blocks}
        effects: list[Effect] = []
        for key, entry in self.entries.items():
            anchor = entry.tally.prepared.decision.anchor
            if anchor.hash in gone and not entry.void:
                entry.void = True
                self._undecided.pop(key, None)
                void = Void(decision_id=key[0], anchor=anchor, landed=has_landed(entry.tally.prepared))
                effects += [SignStatement(void), Changed(key[0])]
        return effects

    def forget(self, now_s: Mapping[str, int]) -> None:
        """Drop decisions whose mandate is over for a slot.

        What was certified stays for `KEEP_CERTIFIED_S`: people ask for an incident's evidence later.
        """
        self.reports.forget()
        over = [key for key, entry in self.entries.items() if self._is_over(entry, now_s)]
        if over:
            self._drop(over)
        self._convictions.keep(self.entries.ids)

    def _drop(self, over: Sequence[Key]) -> None:
        for key in over:
            self._undecided.pop(key, None)
            self.late.keep(self.entries[key])
        self.links.forget(self.entries.drop(over))
        self._tracks = {
            name: kept
            for name, keys in self._tracks.items()
            if (kept := [key for key in keys if key in self.entries])
        }
        self._anchors.keep(self.entries)

    # ---- small questions

    def has_convicted(self, member: Identity, about: SigningKey) -> bool:
        """Tell whether a member signed two mandates for one decision."""
        return self._convictions.holds(member, about)

    def _is_over(self, entry: Entry, now_s: Mapping[str, int]) -> bool:
        prepared = entry.tally.prepared
        keep_s = KEEP_CERTIFIED_S if entry.tally.certificate is not None else self._rearm_s(entry)
        return now_s.get(prepared.decision.anchor.chain, 0) > prepared.mandate.not_after + keep_s

    def stated(self, decision: DecisionId) -> tuple[Prepared, ...]:
        """Give a decision that is known as it was stated, in the book or beside it."""
        # SECURITY: what a liar states of it in time does not hide what others stated, and we heard too late.
        return (*self.entries.stated(decision), *self.late.stated(decision))

    def committees_about(self, decision: DecisionId, member: Identity) -> tuple[CommitteeDocument, ...]:
        """Give the committee of a known decision's time, if a member was in it; several of one that is beside
        the book, where no statement stands best.
        """
        entry = self.entries.entry_of(decision)
        best = () if entry is None else (entry.tally.prepared,)
        stated = (*best, *self.late.stated(decision))
        return tuple(each for each in map(self.committee_of, stated) if each.member(member) is not None)

    def concerns(self, member: Identity, decision: DecisionId) -> bool:
        """Tell whether a decision is known, and a member was in the committee of its time."""
        return bool(self.committees_about(decision, member))

    def visible(self) -> Iterator[Entry]:
        """Give what people are to see: what is certified, what we attest, what more than f members attest."""
        for entry in self.entries.values():
            f = self.committee_of(entry.tally.prepared).f
            if standing(entry) > 0 or len(entry.tally.attesters()) > f:
                yield entry

    def committee_of(self, prepared: Prepared) -> CommitteeDocument:
        """Give the committee of a decision in the book (SPEC 2.4)."""
        document = self.committees.of(prepared.decision)
        assert document is not None, "a decision enters the book by a document that is known"
        return document

    def _is_ours(self, decision: Decision) -> bool:
        """Tell whether our word on a decision counts: we are in the committee of its time.

        A document that became known only after it was active leaves decisions of the key epoch before, which
        nobody certifies any more.
        """
        committee = self.committees.in_force(decision.anchor.timestamp)
        return committee.key_epoch == decision.key_epoch and committee.member(self.me) is not None

    def _trace(self, entry: Entry) -> Mapping[str, Value]:
        prepared = entry.tally.prepared
        return self.rooms[prepared.decision.plan_hash].trace(
            prepared.decision, self._callers.ground_of(prepared)
        )

    def _is_settled(self, key: Key) -> bool:
        return key not in self.entries or self.entries.is_certified(key)

    def _said(self, entry: Entry) -> bool:
        slot = entry.tally.slots.get(self.me)
        return slot is not None and slot.verdict is entry.asked

    def _rearm_s(self, entry: Entry) -> int:
        return self.rooms[entry.tally.prepared.decision.plan_hash].compiled.plan.clock.rearm_s
