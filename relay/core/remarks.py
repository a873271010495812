"""What members remark beside verdicts and outcomes: what is taken, and kept for people (SPEC 3, 6.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, assert_never

from proofs.decision import Decision
from proofs.envelope import Envelope
from proofs.remarks import Absence, Accusation, Header, ReadinessChange, Remark, Shadow, Signal
from relay.core.book import MAX_ATTESTATION_BYTES, Book
from relay.core.decisions import prepare
from relay.core.errors import WireError
from relay.core.quota import Quota
from relay.core.room import Room
from relay.core.shadows import HOUR_S, MAX_SHADOWS_AN_HOUR, Series, series_of
from relay.core.types import DecisionId, Identity, Millis, PlanHash

__all__ = ["MAX_HEADERS", "MAX_SHADOWS", "OnDecision", "RemarkDrop", "Remarks"]

MAX_HEADERS: Final = 64
"""Of one member on one decision: as many as outcomes, in the worst case each in a block of its own."""
MAX_SHADOWS: Final = 2
"""Of one member on one plan, subject, rung, tier and slot: an anchor may lie in the slot after its edge's."""

OnDecision = Header | Absence | Accusation
_Place = tuple[Identity, str, bytes]
"""A member, what it remarks, and about what: it has one word there."""


class RemarkDrop(StrEnum):
    """Why a remark is not taken."""

    NOT_WANTED = "not wanted"
    """Of a decision that is not known, or by who was not in its committee."""
    REPEATED = "already told"
    MANY = "too many"
    NO_MEMBER = "of no member"
    UNKNOWN_PLAN = "unknown plan"
    NOT_SHADOW = "plan not in shadow mode"
    OVERSIZED = "oversized shadow"
    STALE = "too many stale shadows"
    OTHER_EPOCH = "other key epoch"
    UNKNOWN_SIGNER = "unknown signer"


@dataclass(slots=True)
class Remarks:
    """Members' remarks, ours included; fed by `Hearing`."""

    book: Book
    quota: Quota
    _words: dict[DecisionId, dict[_Place, OnDecision]] = field(default_factory=dict)
    _shadows: dict[tuple[Identity, PlanHash, int], dict[Series, set[bytes]]] = field(default_factory=dict)
    """By member, plan and hour of the anchors' time: the anchors told of."""

    def take(self, envelope: Envelope, remark: Remark, now_ms: Millis) -> str | None:
        """Take a remark; give why it is dropped, None where it is taken."""
        author = envelope.author
        match remark:
            case Signal():
                return None if self.quota.takes_signal(author, now_ms) else RemarkDrop.MANY
            case ReadinessChange():
                return None if self.quota.takes_readiness(author, now_ms) else RemarkDrop.MANY
            case Shadow():
                return self._take_shadow(envelope, remark, now_ms)
            case Header() | Absence() | Accusation():
                return self._take_word(author, remark)
            case _:
                assert_never(remark)

    def about(self, decision: DecisionId) -> Iterator[tuple[Identity, OnDecision]]:
        """Give what was remarked of a decision, by identity."""
        words = self._words.get(decision, {})
        return ((place[0], words[place]) for place in sorted(words))

    def has_said(self, author: Identity, remark: OnDecision) -> bool:
        """Tell whether a member has had its word there."""
        return _place(author, remark) in self._words.get(remark.decision_id, {})

    def keep(self) -> None:
        """Forget what was said of decisions that the book has forgotten, and of slots that are over."""
        for decision in [decision for decision in self._words if not self.book.stated(decision)]:
            del self._words[decision]
        for told in [told for told in self._shadows if self._is_over(told[1], told[2])]:
            del self._shadows[told]

    def _take_word(self, author: Identity, remark: OnDecision) -> str | None:
        decision = remark.decision_id
        documents = self.book.committees_about(decision, author)
        if not documents:
            return RemarkDrop.NOT_WANTED
        named = _named(remark)
        if not any(all(document.member(each) is not None for each in named) for document in documents):
            return RemarkDrop.NO_MEMBER
        words = self._words.setdefault(decision, {})
        place = _place(author, remark)
        if place in words:
            return RemarkDrop.REPEATED
        alike = sum(1 for other in words if other[:2] == place[:2])
        if alike >= MAX_HEADERS:
            return RemarkDrop.MANY
        words[place] = remark
        return None

    def _take_shadow(self, envelope: Envelope, shadow: Shadow, now_ms: Millis) -> str | None:
        decision, author = shadow.decision, envelope.author
        room = self.book.rooms.get(decision.plan_hash)
        if room is None:
            return RemarkDrop.UNKNOWN_PLAN
        if room.is_armed:
            return RemarkDrop.NOT_SHADOW
        if len(envelope.raw) > MAX_ATTESTATION_BYTES:
            return RemarkDrop.OVERSIZED
        committee = self.book.committees.in_force(decision.anchor.timestamp)
        if decision.key_epoch != committee.key_epoch:
            return RemarkDrop.OTHER_EPOCH
        if committee.member(author) is None:
            return RemarkDrop.UNKNOWN_SIGNER
        try:
            prepared = prepare(committee.network, room.compiled, decision)
            room.check_time(prepared)
        except WireError as error:
            return error.reason
        if room.is_over(prepared):
            # Said while we were away, perhaps; of hours that are over nobody counts the anchors any more.
            return None if self.quota.takes_stale_shadow(author, now_ms) else RemarkDrop.STALE
        return self._take_anchor(author, decision, room)

    def _take_anchor(self, author: Identity, decision: Decision, room: Room) -> str | None:
        at_s = decision.anchor.timestamp
        told = self._shadows.setdefault((author, decision.plan_hash, at_s // HOUR_S), {})
        series = series_of(room.compiled.plan, decision)
        anchors = told.get(series, set())
        if decision.anchor.hash in anchors:
            return RemarkDrop.REPEATED
        if len(anchors) >= MAX_SHADOWS or sum(map(len, told.values())) >= MAX_SHADOWS_AN_HOUR:
            return RemarkDrop.MANY
        told[series] = {*anchors, decision.anchor.hash}
        return None

    def _is_over(self, plan_hash: PlanHash, hour: int) -> bool:
        """Tell whether every decision anchored in an hour would be stale."""
        room = self.book.rooms[plan_hash]
        head, clock = room.reference_head(), room.compiled.plan.clock
        lasts_s = max(clock.mandate_fast_s, clock.mandate_full_s, clock.rearm_s)
        return head is not None and head.timestamp > (hour + 1) * HOUR_S + lasts_s


def _place(author: Identity, remark: OnDecision) -> _Place:
    match remark:
        case Header(_, chain, block):
            return author, "header", chain.encode() + block.hash
        case Absence():
            return author, "absence", b""
        case Accusation(_, member, _, _):
            return author, "accusation", member


def _named(remark: OnDecision) -> tuple[Identity, ...]:
    """Give the members that a remark speaks of."""
    match remark:
        case Header():
            return ()
        case Absence(_, absent):
            return absent
        case Accusation(_, member, _, _):
            return (member,)
