"""Decisions that no rule calls for: those that follow a link, and those of reports (SPEC 5.4, 5.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proofs.decision import BlockRef, Decision, decision_id
from relay.core.budgets import is_spent
from relay.core.committees import Committees
from relay.core.decisions import Prepared, link_of, report_of
from relay.core.effects import Facts, Notice
from relay.core.entries import Entries
from relay.core.links import Links
from relay.core.reports import Reports, decision_of
from relay.core.room import Ground, Room
from relay.core.schedule import Assessment
from relay.core.types import NetworkId, PlanHash

__all__ = ["Callers"]


@dataclass(slots=True)
class Callers:
    """Links and reports, and the budgets within which they may call for decisions; fed by the book."""

    network: NetworkId
    rooms: Mapping[PlanHash, Room]
    entries: Entries
    links: Links = field(init=False)
    reports: Reports = field(init=False)

    def __post_init__(self) -> None:
        self.links = Links(self.rooms)
        self.reports = Reports(self.network, self.rooms)

    def ground_of(self, prepared: Prepared) -> Ground | None:
        """Give what a decision rests on beside the chains, as far as we know it."""
        return self.links.parent_of(prepared) or self.reports.of(prepared.decision)

    def assess(self, room: Room, decision: Decision, ground: Ground | None) -> Assessment:
        """Tell whether the chains bear a decision out, and the budget of who calls for it has room."""
        found = room.assess(decision, ground)
        if found is Assessment.RIGHT and self._is_over_budget(room, decision):
            return Assessment.WRONG
        return found

    def due(self, committees: Committees) -> Iterator[tuple[Room, Decision] | Notice]:
        """Give what is to be proposed now, each once, and notices of what is not.

        We propose only what we find right; a peer that finds otherwise proposes it itself.
        """
        for waiting in list(self.links.waiting):
            room, parent = self.rooms[waiting.plan_hash], waiting.parent
            anchor = room.link_anchor(parent)
            if anchor is Assessment.LATER:
                continue
            self.links.waiting.remove(waiting)
            if isinstance(anchor, BlockRef):
                epoch = committees.in_force(anchor.timestamp).key_epoch
                decision = waiting.decision(room, anchor, epoch)
                wrong = self.assess(room, decision, parent) is Assessment.WRONG
                yield self._told(room, decision, "link not followed") if wrong else (room, decision)
        for room, reported, block in list(self.reports.ripe()):
            decision = decision_of(reported, block, committees.in_force(block.timestamp).key_epoch)
            found = self.assess(room, decision, reported)
            if found is Assessment.LATER:
                continue
            wrong = found is Assessment.WRONG
            self.reports.proposed(reported.subject, is_wrong=wrong)
            yield self._told(room, decision, "report not followed") if wrong else (room, decision)

    def _told(self, room: Room, decision: Decision, name: str) -> Notice:
        about: Facts = {"plan": room.compiled.plan.protocol, "subject": decision.subject}
        if self._is_over_budget(room, decision):
            about = {**about, "reason": "its decisions of this window are spent"}
        return Notice(name, about)

    def _is_over_budget(self, room: Room, decision: Decision) -> bool:
        caller = link_of(room.compiled, decision.subject) or report_of(room.compiled, decision.subject)
        if caller is None:
            return False
        known = self.entries.certified_of(decision.plan_hash, decision.subject)
        own = decision_id(self.network, decision)
        others = {each.id: each.decision.anchor.timestamp for each in known if each.id != own}
        window_s = room.compiled.plan.budget.window_s
        return is_spent(others.values(), decision.anchor.timestamp, window_s=window_s, records=caller.records)
