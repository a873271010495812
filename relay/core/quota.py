"""How much a member may say beside its verdicts (SPEC 6.5): what decides nothing must not fill the disk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from relay.core.types import DecisionId, Identity, Millis

__all__ = ["Quota"]

MAX_WORDS: Final = 64
"""Outcomes and voids of one member on one decision: every act and effect, and a few re-orgs."""
MAX_COUNTED: Final = 65_536
MAX_SIGNALS: Final = 60
MAX_REPORTS: Final = 120
MAX_READINESS: Final = 60
MAX_STALE_SHADOWS: Final = 120
SPAN_MS: Final = 3_600_000


@dataclass(slots=True)
class Quota:
    """Counts what members have said; the oldest counts make room."""

    _words: dict[tuple[Identity, DecisionId], int] = field(default_factory=dict)
    _signals: dict[Identity, deque[Millis]] = field(default_factory=dict)
    _reports: dict[Identity, deque[Millis]] = field(default_factory=dict)
    _readiness: dict[Identity, deque[Millis]] = field(default_factory=dict)
    _stale_shadows: dict[Identity, deque[Millis]] = field(default_factory=dict)

    def takes_word(self, member: Identity, decision_id: DecisionId) -> bool:
        """Count an outcome or void; tell whether it is within the bound."""
        key = (member, decision_id)
        self._words[key] = self._words.get(key, 0) + 1
        if len(self._words) > MAX_COUNTED:
            del self._words[next(iter(self._words))]
        return self._words[key] <= MAX_WORDS

    def takes_signal(self, member: Identity, now_ms: Millis) -> bool:
        """Count a signal; tell whether it is within the bound per hour."""
        return _takes(self._signals.setdefault(member, deque(maxlen=MAX_SIGNALS)), now_ms)

    def takes_report(self, member: Identity, now_ms: Millis) -> bool:
        """Count a report that a member passes on; tell whether it is within the bound per hour."""
        return _takes(self._reports.setdefault(member, deque(maxlen=MAX_REPORTS)), now_ms)

    def takes_readiness(self, member: Identity, now_ms: Millis) -> bool:
        """Count a change of readiness; tell whether it is within the bound per hour."""
        return _takes(self._readiness.setdefault(member, deque(maxlen=MAX_READINESS)), now_ms)

    def takes_stale_shadow(self, member: Identity, now_ms: Millis) -> bool:
        """Count a shadow decision whose time is over; tell whether it is within the bound per hour."""
        return _takes(self._stale_shadows.setdefault(member, deque(maxlen=MAX_STALE_SHADOWS)), now_ms)


def _takes(times: deque[Millis], now_ms: Millis) -> bool:
    if len(times) == times.maxlen and now_ms - times[0] < SPAN_MS:
        return False
    times.append(now_ms)
    return True
