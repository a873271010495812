"""Token buckets: what one peer may make us do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Bucket", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` tokens a second, of which `burst` may be saved up."""

    per_s: float
    burst: float


class Bucket:
    """Tokens of one peer. `clock` gives seconds that never go back."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate.burst
        self._at_s = clock()

    def take(self, tokens: float) -> bool:
        """Take `tokens` if there are so many; otherwise take none and say no."""
        now_s = self._clock()
        self._tokens = min(self._rate.burst, self._tokens + (now_s - self._at_s) * self._rate.per_s)
        self._at_s = now_s
        if tokens > self._tokens:
            return False
        self._tokens -= tokens
        return True
