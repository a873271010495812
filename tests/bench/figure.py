"""What a benchmark gives: figures, each with what it is measured against and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Figure", "Goal", "quantile"]


class Goal(StrEnum):
    """Which side of the goal is right."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `floor` is what it stands beside in the same run, `ratio` the value by the floor.

    The goal is about `judged`: "value" or "ratio". Without a goal the figure is for comparison only.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_name: str = ""
    goal: float | None = None
    side: Goal = Goal.AT_MOST
    judged: str = "value"

    @property
    def ratio(self) -> float | None:
        return None if not self.floor else self.value / self.floor

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        measured = self.ratio if self.judged == "ratio" else self.value
        if self.goal is None or measured is None:
            return None
        return measured <= self.goal if self.side is Goal.AT_MOST else measured >= self.goal

    @property
    def missed_by(self) -> float | None:
        """By which factor the goal is missed; 1 or less when it is met."""
        measured = self.ratio if self.judged == "ratio" else self.value
        if self.goal is None or not measured:
            return None
        return measured / self.goal if self.side is Goal.AT_MOST else self.goal / measured

    def document(self) -> dict[str, object]:
        """The JSON form."""
        ratio, missed_by = self.ratio, self.missed_by
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "floor": None if self.floor is None else round(self.floor, 4),
            "floor_name": self.floor_name or None,
            "ratio": None if ratio is None else round(ratio, 4),
            "goal": self.goal,
            "goal_side": self.side.value if self.goal is not None else None,
            "goal_of": self.judged if self.goal is not None else None,
            "met": self.met,
            "missed_by": None if missed_by is None else round(missed_by, 3),
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 100) * len(ordered) // 100) - 1))]
