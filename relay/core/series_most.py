"""The largest value of the events in a window (SPEC 5.2), by group."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from relay.core.metrics import MAX_GROUPS, Fault, Group, Reading, reading_of
from relay.core.plan import EventMetric, Window
from relay.core.runs import Runs
from relay.core.series import Given, Place, window_mark
from relay.core.series_events import counted

__all__ = ["MostSeries"]


@dataclass(slots=True)
class _Values:
    """The values of one group, and the index of each among all events."""

    events: list[int] = field(default_factory=list)
    runs: Runs = field(default_factory=lambda: Runs(max))
    forgotten: int = 0

    def add(self, event: int, value: int) -> None:
        self.events.append(event)
        self.runs.append(value)

    def cut(self, event: int) -> None:
        index = bisect_left(self.events, event)
        del self.events[index:]
        self.runs.cut(self.forgotten + index)

    def forget(self, event: int) -> None:
        index = bisect_left(self.events, event)
        del self.events[:index]
        self.forgotten += index
        self.runs.forget(self.forgotten)

    def of(self, start: int, end: int) -> tuple[int, int] | None:
        """Give the largest value of the events from `start` up to `end`, and their number."""
        first, last = bisect_left(self.events, start), bisect_left(self.events, end)
        if first == last:
            return None
        return self.runs.of(self.forgotten + first, self.forgotten + last), last - first


@dataclass(slots=True)
class MostSeries:
    """Every block's window is asked for by itself: no answer depends on the one before.

    Events are counted from the first one ever; the parallel lists begin with event number `_forgotten`.
    """

    metric: EventMetric
    since: int
    window: Window
    _positions: list[int] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _broken: list[int] = field(default_factory=list)
    """The events whose value is no integer."""
    _forgotten: int = 0
    _groups: dict[Group, _Values] = field(default_factory=dict)
    _newest: tuple[int, int, Reading] | None = None
    """The reading of the events between two numbers; void when the list is cut."""

    def append(self, place: Place, given: Given) -> None:
        """Add the block's events."""
        if place.number < self.since:
            return
        mark, _ = window_mark(self.window, place)
        for item in counted(self.metric, given):
            event = self._forgotten + len(self._positions)
            self._positions.append(place.position)
            self._marks.append(mark)
            if item.amount is None:
                self._broken.append(event)
            else:
                self._groups.setdefault(item.group, _Values()).add(event, item.amount)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        event = self._forgotten + index
        del self._positions[index:], self._marks[index:]
        del self._broken[bisect_left(self._broken, event) :]
        for values in self._groups.values():
            values.cut(event)
        self._drop_empty()
        self._newest = None

    def forget(self, place: Place) -> None:
        """Drop the events that no block from `place` on has in its window."""
        index = bisect_right(self._marks, window_mark(self.window, place)[1])
        self._forgotten += index
        del self._positions[:index], self._marks[:index]
        del self._broken[: bisect_left(self._broken, self._forgotten)]
        for values in self._groups.values():
            values.forget(self._forgotten)
        self._drop_empty()

    def at(self, place: Place) -> Reading:
        """Give the largest value in the window that ends there."""
        to = bisect_right(self._positions, place.position)
        start = self._forgotten + bisect_right(self._marks, window_mark(self.window, place)[1], hi=to)
        end = self._forgotten + to
        if self._newest is None or self._newest[:2] != (start, end):
            self._newest = (start, end, self._reading(start, end))
        return self._newest[2]

    def _reading(self, start: int, end: int) -> Reading:
        if bisect_left(self._broken, end) > bisect_left(self._broken, start):
            return Reading(None, Fault.FIELD)
        found: dict[Group, tuple[int, int]] = {}
        for group, values in self._groups.items():
            most = values.of(start, end)
            if most is None:
                continue
            if len(found) == MAX_GROUPS:
                return Reading(None, Fault.GROUPS)
            found[group] = most
        return reading_of(self.metric, found)

    def _drop_empty(self) -> None:
        self._groups = {group: values for group, values in self._groups.items() if values.events}
