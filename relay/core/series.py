"""Metrics of one chain, block by block (SPEC 5.2): they can be read at any retained block.

A series is fed every block in order and answers for each of them; it is cut back when the chain is, and
forgets what no retained block needs. Answers depend on the blocks alone, not on earlier questions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relay.core.metrics import (
    MAX_GROUPS,
    Fault,
    Group,
    Item,
    Reading,
    items_of,
    reading_of,
    saturated,
    scaled,
)
from relay.core.observations import CallQuery, CallValue, EventQuery, EventRow
from relay.core.plan import EventMetric, Metric, StateMetric, Window


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands in its chain's view; `position` is the number of blocks observed before it."""

    position: int
    number: int
    timestamp: int


class Series(Protocol):
    """What a view feeds and an evaluator reads."""

    def append(self, place: Place, rows: Sequence[EventRow], call: CallValue | None) -> None:
        """Take the block that follows."""
        ...

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on: they have left the chain."""
        ...

    def forget(self, place: Place) -> None:
        """Nobody will ask about blocks before `place` again."""
        ...

    def at(self, place: Place) -> Reading:
        """Give the metric as it stood after that block."""
        ...


def make_series(metric: Metric, since: int) -> Series:
    """Make the empty series of a metric that counts from block `since` on."""
    match metric:
        case StateMetric():
            return CallSeries(metric)
        case EventMetric(window=None):
            return CumulativeSeries(metric, since)
        case EventMetric(window=Window(seconds=int() as window_s)):
            return WindowSeries(metric, since, window_s)
        case _:
            raise AssertionError("a metric of no known kind")


@dataclass(slots=True)
class _Steps:
    """The total of one group after each block that changed it: parallel lists, in the order of blocks."""

    positions: list[int] = field(default_factory=list)
    totals: list[tuple[int, int]] = field(default_factory=list)

    def add(self, position: int, amount: int) -> None:
        total, events = self.totals[-1] if self.totals else (0, 0)
        if self.positions and self.positions[-1] == position:
            self.totals[-1] = (total + amount, events + 1)
        else:
            self.positions.append(position)
            self.totals.append((total + amount, events + 1))

    def at(self, position: int) -> tuple[int, int] | None:
        if self.positions and self.positions[-1] <= position:
            return self.totals[-1]
        index = bisect_right(self.positions, position)
        return self.totals[index - 1] if index else None

    def cut(self, position: int) -> None:
        index = bisect_left(self.positions, position)
        del self.positions[index:], self.totals[index:]

    def forget(self, position: int) -> None:
        index = max(bisect_right(self.positions, position) - 1, 0)
        del self.positions[:index], self.totals[:index]


@dataclass(slots=True)
class CumulativeSeries:
    """Sums and counts over all events since block `since`."""

    metric: EventMetric
    since: int
    _groups: dict[Group, _Steps] = field(default_factory=dict)
    _changes: list[int] = field(default_factory=list)
    _broken: tuple[int, Fault] | None = None
    """From this position on the sum cannot be told."""
    _newest: tuple[int, Reading] | None = None
    """The reading after the change at a position: most blocks change nothing. `_add` makes it void."""

    def append(self, place: Place, rows: Sequence[EventRow], call: CallValue | None) -> None:  # noqa: ARG002
        """Add the block's events."""
        if not rows or place.number < self.since or self._broken:
            return
        for item in items_of(self.metric, rows):
            self._add(place.position, item)

    def _add(self, position: int, item: Item) -> None:
        steps = self._groups.get(item.group)
        if item.amount is None or (steps is None and len(self._groups) == MAX_GROUPS):
            self._broken = self._broken or (position, Fault.FIELD if item.amount is None else Fault.GROUPS)
            return
        if steps is None:
            steps = self._groups[item.group] = _Steps()
        steps.add(position, item.amount)
        if not self._changes or self._changes[-1] != position:
            self._changes.append(position)
        self._newest = None

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        if self._broken and self._broken[0] >= position:
            self._broken = None
        if not self._changes or self._changes[-1] < position:
            return
        del self._changes[bisect_left(self._changes, position) :]
        for group, steps in list(self._groups.items()):
            steps.cut(position)
            if not steps.positions:
                del self._groups[group]

    def forget(self, place: Place) -> None:
        """Fold everything before `place` into one total per group."""
        del self._changes[: max(bisect_right(self._changes, place.position) - 1, 0)]
        for steps in self._groups.values():
            steps.forget(place.position)

    def at(self, place: Place) -> Reading:
        """Give the sum after that block."""
        if self._broken and self._broken[0] <= place.position:
            return Reading(None, self._broken[1])
        index = bisect_right(self._changes, place.position)
        change = self._changes[index - 1] if index else -1
        if self._newest is None or self._newest[0] != change:
            pairs = ((group, steps.at(place.position)) for group, steps in self._groups.items())
            groups = {group: total for group, total in pairs if total is not None}
            self._newest = (change, reading_of(self.metric, groups))
        return self._newest[1]


@dataclass(slots=True)
class WindowSeries:
    """Sums and counts over the events of the last `window_s` seconds up to a block.

    The parallel lists hold the events in order; `_from` and `_to` bound those that `_groups` adds up now.
    Moving the bounds costs what lies between: integers are exact, so what was added can be taken away again.
    """

    metric: EventMetric
    since: int
    window_s: int
    _positions: list[int] = field(default_factory=list)
    _timestamps: list[int] = field(default_factory=list)
    _items: list[Item] = field(default_factory=list)
    _groups: dict[Group, tuple[int, int]] = field(default_factory=dict)
    _broken: int = 0
    """Events within the bounds whose amount is no integer."""
    _from: int = 0
    _to: int = 0
    _newest: Reading | None = None

    def append(self, place: Place, rows: Sequence[EventRow], call: CallValue | None) -> None:  # noqa: ARG002
        """Add the block's events."""
        if not rows or place.number < self.since:
            return
        for item in items_of(self.metric, rows):
            self._positions.append(place.position)
            self._timestamps.append(place.timestamp)
            self._items.append(item)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        self._move(min(self._from, index), min(self._to, index))
        del self._positions[index:], self._timestamps[index:], self._items[index:]

    def forget(self, place: Place) -> None:
        """Drop the events that no block from `place` on has in its window."""
        index = bisect_right(self._timestamps, place.timestamp - self.window_s)
        self._move(max(self._from, index), max(self._to, index))
        del self._positions[:index], self._timestamps[:index], self._items[:index]
        self._from, self._to = self._from - index, self._to - index

    def at(self, place: Place) -> Reading:
        """Give the sum over (T − window, T], T the block's timestamp."""
        to = bisect_right(self._positions, place.position)
        self._move(bisect_right(self._timestamps, place.timestamp - self.window_s, hi=to), to)
        if self._broken:
            return Reading(None, Fault.FIELD)
        if self._newest is None:
            self._newest = reading_of(self.metric, self._groups)
        return self._newest

    def _move(self, start: int, end: int) -> None:
        if (start, end) == (self._from, self._to):
            return
        if start >= self._to or end <= self._from:
            self._groups, self._broken, self._from, self._to = {}, 0, start, start
        for index in range(self._from, start):
            self._count(self._items[index], -1)
        for index in range(start, self._from):
            self._count(self._items[index], 1)
        for index in range(end, self._to):
            self._count(self._items[index], -1)
        for index in range(self._to, end):
            self._count(self._items[index], 1)
        self._from, self._to, self._newest = start, end, None

    def _count(self, item: Item, sign: int) -> None:
        if item.amount is None:
            self._broken += sign
            return
        total, events = self._groups.get(item.group, (0, 0))
        if events + sign:
            self._groups[item.group] = (total + sign * item.amount, events + sign)
        else:
            del self._groups[item.group]


@dataclass(slots=True)
class CallSeries:
    """The result of a read-only call after each block."""

    metric: StateMetric
    _positions: list[int] = field(default_factory=list)
    _readings: list[Reading] = field(default_factory=list)

    def append(self, place: Place, rows: Sequence[EventRow], call: CallValue | None) -> None:  # noqa: ARG002
        """Take the block's result; only changes are kept."""
        if call is None or call.value is None:
            reading = Reading(None, Fault.CALL)
        else:
            reading = saturated(scaled(call.value, self.metric.weight))
        if not self._readings or self._readings[-1] != reading:
            self._positions.append(place.position)
            self._readings.append(reading)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        del self._positions[index:], self._readings[index:]

    def forget(self, place: Place) -> None:
        """Drop the results that were replaced before `place`."""
        index = max(bisect_right(self._positions, place.position) - 1, 0)
        del self._positions[:index], self._readings[:index]

    def at(self, place: Place) -> Reading:
        """Give the result after that block."""
        index = bisect_right(self._positions, place.position)
        return self._readings[index - 1] if index else Reading(None, Fault.CALL)


Query = EventQuery | CallQuery
"""What a series is fed from."""

__all__ = [
    "CallSeries",
    "CumulativeSeries",
    "Place",
    "Query",
    "Series",
    "WindowSeries",
    "make_series",
]
