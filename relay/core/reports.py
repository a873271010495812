"""Subjects that reporters have signed, by subject, until they are over (plans SPEC 1.6, core SPEC 6.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from proofs.decision import BlockRef, Decision
from proofs.mandate import Op, Tier
from proofs.reports import REPORT_PREFIX, Report, ReportError, Subject, subject_digest, verify_report
from relay.core.room import Reported, Room
from relay.core.types import DecisionId, Digest, Identity, NetworkId, PlanHash

__all__ = ["MAX_OPEN", "MAX_UNSEEN", "ReportDrop", "Reports", "decision_of"]

MAX_OPEN: Final = 8
"""Subjects of this slot and the one before that one reporter of a plan began, but those found wrong."""
MAX_UNSEEN: Final = 16
"""Subjects of blocks that we have not seen, for the member that told of them first."""


class ReportDrop(StrEnum):
    """Why a report is not taken."""

    OTHER_NETWORK = "other network"
    UNKNOWN_PLAN = "unknown plan"
    NOT_IN_FORCE = "plan not in force"
    UNKNOWN_NAME = "unknown report"
    UNKNOWN_REPORTER = "unknown reporter"
    OLD = "old subject"
    REPEATED = "already told"
    MANY_OPEN = "too many open subjects"
    MANY_UNSEEN = "too many unseen subjects"
    BAD_SIGNATURE = "bad report signature"


@dataclass(slots=True)
class _Told:
    """A subject with those who signed it.

    `came_s` is the reference chain's time when we were first told, by the member `teller`.
    """

    reported: Reported
    teller: Identity
    came_s: int
    is_proposed: bool = False
    is_wrong: bool = False
    """Its block did not bear it out: it takes no place, and the occasion may be told of anew."""


@dataclass(slots=True)
class Reports:
    """All subjects that still matter; deterministic, fed by the node."""

    network: NetworkId
    rooms: Mapping[PlanHash, Room]
    _told: dict[DecisionId, _Told] = field(default_factory=dict)

    # ---- taking

    def refusal(self, report: Report, teller: Identity) -> ReportDrop | None:
        """Tell why a report that a member tells of is not to be taken; None where it is.

        SECURITY: the reporter's signature comes last, so that nonsense costs no curve arithmetic.
        """
        unfit = self._unfit(report) or self._misplaced(report, teller)
        if unfit is not None:
            return unfit
        try:
            verify_report(report)
        except ReportError:
            return ReportDrop.BAD_SIGNATURE
        return None

    def take(self, report: Report, teller: Identity) -> None:
        """Count a report that `refusal` has nothing against."""
        subject = report.subject
        digest = subject_digest(subject)
        told = self._told.get(digest)
        if told is None:
            head = self.rooms[subject.plan_hash].reference_head()
            came_s = 0 if head is None else head.timestamp
            told = self._told[digest] = _Told(Reported(subject, ()), teller, came_s)
        told.reported = replace(told.reported, reporters=(*told.reported.reporters, report.reporter))

    def _unfit(self, report: Report) -> ReportDrop | None:
        """Tell what of the plan does not fit."""
        subject = report.subject
        room = self.rooms.get(subject.plan_hash)
        if subject.network != self.network:
            return ReportDrop.OTHER_NETWORK
        if room is None:
            return ReportDrop.UNKNOWN_PLAN
        reports = room.compiled.plan.reports.get(subject.name)
        if reports is None:
            return ReportDrop.UNKNOWN_NAME
        if report.reporter not in reports.reporters:
            return ReportDrop.UNKNOWN_REPORTER
        return None if room.is_in_force() else ReportDrop.NOT_IN_FORCE

    def _misplaced(self, report: Report, teller: Identity) -> ReportDrop | None:
        """Tell whether a report comes too late, twice, or is one too many."""
        subject = report.subject
        room, told = self.rooms[subject.plan_hash], self._told.get(subject_digest(subject))
        block = room.block_of(subject.block)
        if told is not None:
            return ReportDrop.REPEATED if report.reporter in told.reported.reporters else None
        if block is None:
            unseen = (each for each in self._told.values() if each.teller == teller and self._is_unseen(each))
            return ReportDrop.MANY_UNSEEN if sum(1 for _ in unseen) >= MAX_UNSEEN else None
        if not room.is_recent(block):
            return ReportDrop.OLD
        begun = (each for each in self.open(subject.plan_hash) if each.reporters[0] == report.reporter)
        return ReportDrop.MANY_OPEN if sum(1 for _ in begun) >= MAX_OPEN else None

    # ---- asking

    def of(self, decision: Decision) -> Reported | None:
        """Give who signed the subject that a decision names as its parent, if we were told of it."""
        return None if decision.parent is None else self.told(decision.parent)

    def told(self, digest: DecisionId) -> Reported | None:
        """Give who signed a subject, by its digest, if we were told of it."""
        told = self._told.get(digest)
        return None if told is None else told.reported

    def open(self, plan_hash: PlanHash) -> Iterator[Reported]:
        """Give the subjects of a plan that may still call for a decision, oldest first."""
        room = self.rooms[plan_hash]
        for told in self._told.values():
            subject = told.reported.subject
            if subject.plan_hash == plan_hash and not told.is_wrong:
                block = room.block_of(subject.block)
                if block is not None and room.is_recent(block):
                    yield told.reported

    def subject_for(
        self, plan_hash: PlanHash, name: str, report_id: Digest, reporter: bytes
    ) -> Subject | None:
        """Give the subject that a reporter is to sign for an occasion: of those that are open and that he has
        not signed the one that most have, else one that he has, else a new one.

        Of equal ones it is that of the first block, on every node: else one who opens several, told in
        different orders, would scatter those who see the same.
        """
        room = self.rooms[plan_hash]

        def rank(each: Reported) -> tuple[bool, int, int]:
            block = room.block_of(each.subject.block)
            return reporter in each.reporters, -len(each.reporters), 0 if block is None else block.number

        subjects = (each for each in self.open(plan_hash) if each.subject.name == name)
        same = [each for each in subjects if each.subject.report_id == report_id]
        if same:
            return min(same, key=rank).subject
        named = room.block_to_name()
        return None if named is None else Subject(self.network, plan_hash, name, named.hash, report_id)

    def ripe(self) -> Iterator[tuple[Room, Reported, BlockRef]]:
        """Give the subjects that enough reporters signed and that we have not proposed, with their block."""
        for told in self._told.values():
            reported = told.reported
            room = self.rooms[reported.subject.plan_hash]
            needed = room.compiled.plan.reports[reported.subject.name].need
            block = room.block_of(reported.subject.block)
            if not told.is_proposed and len(reported.reporters) >= needed and block is not None:
                yield room, reported, block

    def proposed(self, subject: Subject, *, is_wrong: bool) -> None:
        """Take note that what a subject calls for was proposed, or found wrong."""
        told = self._told[subject_digest(subject)]
        told.is_proposed, told.is_wrong = True, is_wrong

    def forget(self) -> None:
        """Drop what is over: no decision may be anchored there, and those that are have no time left."""
        self._told = {digest: told for digest, told in self._told.items() if not self._is_over(told)}

    def _is_unseen(self, told: _Told) -> bool:
        subject = told.reported.subject
        return self.rooms[subject.plan_hash].block_of(subject.block) is None

    def _is_over(self, told: _Told) -> bool:
        subject = told.reported.subject
        room = self.rooms[subject.plan_hash]
        clock, head, block = room.compiled.plan.clock, room.reference_head(), room.block_of(subject.block)
        if head is None:
            return False
        lasts_s = 2 * clock.rearm_s if block is None else clock.mandate_fast_s + clock.rearm_s
        return head.timestamp > (told.came_s if block is None else block.timestamp) + lasts_s


def decision_of(reported: Reported, block: BlockRef, key_epoch: int) -> Decision:
    """Give the decision that a subject calls for, anchored at its block."""
    subject = reported.subject
    return Decision(
        op=Op.PROTECT,
        plan_hash=subject.plan_hash,
        subject=f"{REPORT_PREFIX}{subject.name}",
        rung=0,
        tier=Tier.FAST,
        anchor=block,
        key_epoch=key_epoch,
        parent=subject_digest(subject),
    )
