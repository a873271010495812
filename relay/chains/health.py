"""Which endpoints to ask: a dead one is left alone for a while, a slow one is not buried in questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FAILURES_BEFORE_REST = 3
FIRST_REST_S = 0.5
LONGEST_REST_S = 15.0
MAX_UNDER_WAY = 8
"""Questions to one endpoint that nobody may wait for any more."""


@dataclass(slots=True)
class Health:
    """How one endpoint has been doing; `clock` gives seconds of a monotonic clock."""

    clock: Callable[[], float]
    failures: int = 0
    under_way: int = 0
    rests_until: float = 0.0

    def is_rested(self) -> bool:
        """Whether the endpoint may be asked now."""
        return self.under_way < MAX_UNDER_WAY and self.clock() >= self.rests_until

    def answered(self) -> None:
        self.failures = 0
        self.rests_until = 0.0

    def failed(self) -> None:
        """Count a failure; from the third in a row on, each rest is twice as long as the last."""
        self.failures += 1
        beyond = self.failures - FAILURES_BEFORE_REST
        if beyond >= 0:
            rest = min(FIRST_REST_S * 2.0 ** min(beyond, 10), LONGEST_REST_S)
            self.rests_until = self.clock() + rest


__all__ = ["FAILURES_BEFORE_REST", "FIRST_REST_S", "LONGEST_REST_S", "MAX_UNDER_WAY", "Health"]
