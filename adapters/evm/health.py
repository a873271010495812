"""How endpoints answer lately: one that fails is left alone for a while, ever longer, and tried again."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.ports import EndpointHealth

FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 60.0


@dataclass(slots=True)
class Health:
    """One endpoint's record; times are of one monotonic clock, in seconds."""

    operator: str
    failures: int = 0
    retry_at: float = 0.0
    problem: str = ""

    def answered(self) -> None:
        """It gave what it was asked for."""
        self.failures, self.retry_at, self.problem = 0, 0.0, ""

    def failed(self, problem: str, now: float) -> None:
        """It gave something else, or nothing: twice the pause of the time before."""
        pause_s = min(FIRST_BACK_OFF_S * 2 ** min(self.failures, 10), LONGEST_BACK_OFF_S)
        self.failures += 1
        self.retry_at = now + pause_s
        self.problem = problem

    def is_due(self, now: float) -> bool:
        """Whether it is to be asked again."""
        return now >= self.retry_at

    def shown(self, now: float) -> EndpointHealth:
        """What the application shows."""
        return EndpointHealth(
            operator=self.operator,
            is_up=self.failures == 0,
            failures=self.failures,
            retry_in_ms=max(0, round((self.retry_at - now) * 1_000)),
            problem=self.problem,
        )


__all__ = ["FIRST_BACK_OFF_S", "LONGEST_BACK_OFF_S", "Health"]
