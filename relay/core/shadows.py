"""What a plan that signs nothing would have decided, told once per slot (SPEC 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from proofs.decision import Decision
from proofs.mandate import Op
from relay.core.effects import Effect, Facts, Notice
from relay.core.plan import Plan
from relay.core.schedule import Due
from relay.core.types import PlanHash

__all__ = ["Shadows", "shadow_track"]


def shadow_track(plan: Plan, decision: Decision) -> tuple[int, str, int, int, int]:
    """Give the series of a decision that is not signed: op, subject, rung, tier, slot of its anchor."""
    rule = plan.rules.get(decision.subject) if decision.op is Op.PROTECT else None
    rearm_s = plan.clock.rearm_s if rule is None else rule.rearm_s
    slot = decision.anchor.timestamp // rearm_s
    return int(decision.op), decision.subject, decision.rung, int(decision.tier), slot


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
