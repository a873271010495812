"""What this node says of its own readiness: a fact that flaps fills no log (SPEC 3, 6.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from proofs.remarks import ReadinessChange
from relay.core.effects import Effect, Notice, SignStatement
from relay.core.events import ReadinessChanged
from relay.core.sealing import readiness_of
from relay.core.types import Millis

__all__ = ["FACT_REST_MS", "HELD", "MAX_FACTS", "MAX_OWN_CHANGES", "Standings"]

HELD: Final = "held"
"""How a fact stands of which nothing was said."""
MAX_FACTS: Final = 1_024
"""The oldest makes room."""
MAX_FACT_BYTES: Final = 256
FACT_REST_MS: Final = 600_000
"""Between two words on one fact; what changes meanwhile is said then, as it stands then."""
MAX_OWN_CHANGES: Final = 48
"""An hour: below what others take, whose clocks are not ours."""
SPAN_MS: Final = 3_600_000


@dataclass(slots=True)
class Standings:
    """The standings that were said, and those that wait to be; fed by `Hearing`."""

    _said: dict[str, tuple[str, Millis]] = field(default_factory=dict)
    _waiting: dict[str, ReadinessChanged] = field(default_factory=dict)
    _times: deque[Millis] = field(default_factory=lambda: deque(maxlen=MAX_OWN_CHANGES))

    def newest(self, fact: str) -> str:
        """Give how a fact stands as far as we were told: what was said of it, or waits to be."""
        waiting = self._waiting.get(fact)
        return self._was_said(fact) if waiting is None else waiting.standing

    def changed(self, event: ReadinessChanged) -> list[Effect]:
        """Take how a fact stands now; say it if that differs from what was said of it."""
        if not 1 <= len(event.fact.encode()) <= MAX_FACT_BYTES or not event.fact.isprintable():
            return [Notice("readiness not said", {"reason": "no name of a fact"})]
        self._waiting.pop(event.fact, None)
        if event.standing != self._was_said(event.fact):
            self._waiting[event.fact] = event
            if len(self._waiting) > MAX_FACTS:
                del self._waiting[next(iter(self._waiting))]
        return self.due(event.at_ms)

    def due(self, now_ms: Millis) -> list[Effect]:
        """Say what waits and may be said now."""
        said: list[Effect] = []
        for event in self._ripe(now_ms):
            if len(self._times) == MAX_OWN_CHANGES and now_ms - self._times[0] < SPAN_MS:
                break
            del self._waiting[event.fact]
            self._note(event.fact, event.standing, now_ms)
            said.append(SignStatement(readiness_of(event)))
        return said

    def signed(self, change: ReadinessChange, now_ms: Millis) -> None:
        """Take note of our own word; a replay learns here what was said when time alone had passed."""
        waiting = self._waiting.get(change.fact)
        if waiting is not None and waiting.standing == change.standing:
            del self._waiting[change.fact]
        if self._was_said(change.fact) != change.standing:
            self._note(change.fact, change.standing, now_ms)

    def _ripe(self, now_ms: Millis) -> Iterator[ReadinessChanged]:
        for event in list(self._waiting.values()):
            said = self._said.get(event.fact)
            if said is None or now_ms - said[1] >= FACT_REST_MS:
                yield event

    def _note(self, fact: str, standing: str, at_ms: Millis) -> None:
        self._said.pop(fact, None)
        self._said[fact] = (standing, at_ms)
        self._times.append(at_ms)
        if len(self._said) > MAX_FACTS:
            del self._said[next(iter(self._said))]

    def _was_said(self, fact: str) -> str:
        return self._said.get(fact, (HELD,))[0]
