"""What a plan that signs nothing would have decided, said once per slot (SPEC 3, 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.canonical import Value
from proofs.decision import Decision
from proofs.mandate import Op
from proofs.remarks import Shadow
from relay.core.effects import Effect, Facts, Notice, SignStatement
from relay.core.plan import Plan
from relay.core.types import PlanHash

__all__ = ["HOUR_S", "MAX_SHADOWS_AN_HOUR", "Series", "Shadows", "series_of"]

HOUR_S: Final = 3_600
MAX_SHADOWS_AN_HOUR: Final = 120
"""Of one member on one plan, by the anchors' time."""

Series = tuple[int, str, int, int, int]
"""Op, subject, rung, tier and slot of decisions; what proposes knows the edge's slot, others the anchor's."""


@dataclass(slots=True)
class Shadows:
    """What was said of the newest slots and hours."""

    _slots: dict[tuple[PlanHash, int, str, int, int], int] = field(default_factory=dict)
    """The newest slot by plan, op, subject, rung and tier."""
    _hours: dict[PlanHash, tuple[int, int]] = field(default_factory=dict)
    """By plan: the newest hour of anchors, and how many we said of it."""

    def tell(
        self, plan: Plan, decision: Decision, slot: int, trace: Callable[[], Mapping[str, Value]]
    ) -> list[Effect]:
        """Say a decision that would be proposed, if its slot is new."""
        key = (plan.hash, int(decision.op), decision.subject, decision.rung, int(decision.tier))
        if self._slots.get(key) == slot:
            return []
        self._slots[key] = slot
        facts: Facts = {
            "plan": plan.protocol,
            "subject": decision.subject,
            "block": decision.anchor.number,
        }
        told: list[Effect] = [Notice("shadow decision", facts)]
        if self._may_say(plan.hash, decision.anchor.timestamp // HOUR_S):
            told.append(SignStatement(Shadow(decision, trace())))
        return told

    def _may_say(self, plan_hash: PlanHash, hour: int) -> bool:
        """Count one more of an hour of anchors; others would drop what is above the bound."""
        newest, count = self._hours.get(plan_hash, (hour, 0))
        if hour > newest:
            newest, count = hour, 0
        self._hours[plan_hash] = (newest, count + 1)
        return count < MAX_SHADOWS_AN_HOUR


def series_of(plan: Plan, decision: Decision) -> Series:
    """Give the series of a decision, by the slot of its anchor."""
    rule = plan.rules.get(decision.subject) if decision.op is Op.PROTECT else None
    rearm_s = plan.clock.rearm_s if rule is None else rule.rearm_s
    slot = decision.anchor.timestamp // rearm_s
    return int(decision.op), decision.subject, decision.rung, int(decision.tier), slot
