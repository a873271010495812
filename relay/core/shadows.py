"""What a plan that signs nothing would have decided, told once per slot (SPEC 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.core.effects import Effect, Facts, Notice
from relay.core.plan import Plan
from relay.core.schedule import Due
from relay.core.types import PlanHash

__all__ = ["Shadows"]


@dataclass(slots=True)
class Shadows:
    """The newest slot that was told of, by plan, subject, rung and tier."""

    _told: dict[tuple[PlanHash, str, int, int], int] = field(default_factory=dict)

    def tell(self, plan: Plan, due: Due) -> list[Effect]:
        """Tell of a decision that is due, if its slot is new."""
        subject, slot, rung, tier = due.track
        series = (plan.hash, subject, rung, tier)
        if self._told.get(series) == slot:
            return []
        self._told[series] = slot
        facts: Facts = {"plan": plan.protocol, "subject": due.subject, "block": due.step.block.number}
        return [Notice("shadow decision", facts)]
