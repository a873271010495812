"""Sums, numbers, largest values and different texts of events (SPEC 5.2), block by block."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.core.metrics import (
    MAX_GROUPS,
    MAX_SET,
    Fault,
    Group,
    Item,
    Mark,
    Reading,
    items_of,
    reading_of,
)
from relay.core.observations import EventRow
from relay.core.plan import EventMetric, Measure, Window
from relay.core.series import Given, Place, window_mark

__all__ = ["CumulativeSeries", "WindowSeries", "counted"]


def counted(metric: EventMetric, given: Given) -> list[Item]:
    """Give what a metric counts of a block: its second source is what it takes away."""
    taken: tuple[EventRow, ...] = tuple(given.events[1]) if metric.minus is not None else ()
    return items_of(metric, given.events[0], taken)


def _sum(one: int, other: int) -> int:
    return one + other


@dataclass(slots=True)
class _Steps:
    """The total of one group after each block that changed it: parallel lists, in the order of blocks."""

    positions: list[int] = field(default_factory=list)
    totals: list[tuple[int, int]] = field(default_factory=list)

    def add(self, position: int, amount: int, combine: Callable[[int, int], int]) -> None:
        total, events = self.totals[-1] if self.totals else (amount, 0)
        after = (combine(total, amount) if events else amount, events + 1)
        if self.positions and self.positions[-1] == position:
            self.totals[-1] = after
        else:
            self.positions.append(position)
            self.totals.append(after)

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
    """Over all events since block `since`; what was counted once is never taken out again."""

    metric: EventMetric
    since: int
    _groups: dict[Group, _Steps] = field(default_factory=dict)
    _changes: list[int] = field(default_factory=list)
    _first: dict[tuple[Group, Mark], int] = field(default_factory=dict)
    """Of different texts: the position at which each came first; in the order of positions."""
    _broken: tuple[int, Fault] | None = None
    """From this position on the metric cannot be told."""
    _newest: tuple[int, Reading] | None = None
    """The reading after the change at a position: most blocks change nothing. `_add` makes it void."""

    def append(self, place: Place, given: Given) -> None:
        """Add the block's events."""
        if place.number < self.since or self._broken:
            return
        combine = max if self.metric.measure is Measure.MAX else _sum
        for item in counted(self.metric, given):
            self._add(place.position, item, combine)

    def _add(self, position: int, item: Item, combine: Callable[[int, int], int]) -> None:
        fault, amount = self._fault(item), item.amount
        if fault is not None or amount is None:
            self._broken = self._broken or (position, fault or Fault.FIELD)
            return
        if self.metric.measure is Measure.DISTINCT:
            amount = 0 if (item.group, item.mark) in self._first else 1
            self._first.setdefault((item.group, item.mark), position)
        steps = self._groups.get(item.group)
        if steps is None:
            steps = self._groups[item.group] = _Steps()
        steps.add(position, amount, combine)
        if not self._changes or self._changes[-1] != position:
            self._changes.append(position)
        self._newest = None

    def _fault(self, item: Item) -> Fault | None:
        if item.amount is None:
            return Fault.FIELD
        if len(self._groups) >= MAX_GROUPS and item.group not in self._groups:
            return Fault.GROUPS
        is_distinct = self.metric.measure is Measure.DISTINCT
        if is_distinct and len(self._first) >= MAX_SET and (item.group, item.mark) not in self._first:
            return Fault.GROUPS
        return None

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        if self._broken and self._broken[0] >= position:
            self._broken = None
        if not self._changes or self._changes[-1] < position:
            return
        del self._changes[bisect_left(self._changes, position) :]
        while self._first and self._first[last := next(reversed(self._first))] >= position:
            del self._first[last]
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
        """Give the total after that block."""
        if self._broken and self._broken[0] <= place.position:
            return Reading(None, self._broken[1])
        changes = self._changes
        if changes and changes[-1] <= place.position:
            change = changes[-1]
        else:
            index = bisect_right(changes, place.position)
            change = changes[index - 1] if index else -1
        if self._newest is None or self._newest[0] != change:
            pairs = ((group, steps.at(place.position)) for group, steps in self._groups.items())
            groups = {group: total for group, total in pairs if total is not None}
            self._newest = (change, reading_of(self.metric, groups))
        return self._newest[1]


@dataclass(slots=True)
class WindowSeries:
    """Sums, numbers and different texts of the events in a window that ends with the block that is read.

    The parallel lists hold the events in order; `_from` and `_to` bound those that `_groups` adds up now.
    Moving the bounds costs what lies between: integers are exact, so what was added can be taken away again.
    """

    metric: EventMetric
    since: int
    window: Window
    _positions: list[int] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _items: list[Item] = field(default_factory=list)
    _groups: dict[Group, tuple[int, int]] = field(default_factory=dict)
    _texts: dict[tuple[Group, Mark], int] = field(default_factory=dict)
    """Of different texts: how many events within the bounds have each."""
    _broken: int = 0
    """Events within the bounds whose amount is no integer."""
    _from: int = 0
    _to: int = 0
    _newest: Reading | None = None

    def append(self, place: Place, given: Given) -> None:
        """Add the block's events."""
        if place.number < self.since:
            return
        mark, _ = window_mark(self.window, place)
        for item in counted(self.metric, given):
            self._positions.append(place.position)
            self._marks.append(mark)
            self._items.append(item)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        self._move(min(self._from, index), min(self._to, index))
        del self._positions[index:], self._marks[index:], self._items[index:]

    def forget(self, place: Place) -> None:
        """Drop the events that no block from `place` on has in its window."""
        index = bisect_right(self._marks, window_mark(self.window, place)[1])
        self._move(max(self._from, index), max(self._to, index))
        del self._positions[:index], self._marks[:index], self._items[:index]
        self._from, self._to = self._from - index, self._to - index

    def at(self, place: Place) -> Reading:
        """Give what the window that ends there adds up to."""
        positions, to = self._positions, len(self._positions)
        if to and positions[-1] > place.position:
            to = bisect_right(positions, place.position)
        self._move(bisect_right(self._marks, window_mark(self.window, place)[1], hi=to), to)
        if self._broken:
            return Reading(None, Fault.FIELD)
        if len(self._texts) > MAX_SET or len(self._groups) > MAX_GROUPS:
            return Reading(None, Fault.GROUPS)
        if self._newest is None:
            self._newest = reading_of(self.metric, self._groups)
        return self._newest

    def _move(self, start: int, end: int) -> None:
        if (start, end) == (self._from, self._to):
            return
        if start >= self._to or end <= self._from:
            self._groups, self._texts, self._broken, self._from, self._to = {}, {}, 0, start, start
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
        amount = (
            self._new_texts(item, sign) if self.metric.measure is Measure.DISTINCT else sign * item.amount
        )
        total, events = self._groups.get(item.group, (0, 0))
        if events + sign:
            self._groups[item.group] = (total + amount, events + sign)
        else:
            del self._groups[item.group]

    def _new_texts(self, item: Item, sign: int) -> int:
        """Count an event in or out, and give by how many different texts that changes its group."""
        key = (item.group, item.mark)
        before = self._texts.get(key, 0)
        after = before + sign
        if after:
            self._texts[key] = after
        else:
            del self._texts[key]
        return bool(after) - bool(before)
