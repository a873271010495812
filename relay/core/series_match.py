"""Events on one chain that no event on another answers for (SPEC 5.2), also where both are one chain.

What is asked for is always a pair of places: a block of the reference chain, or its pins. All such pairs lie
on one line: events are in one order, by the reference time from which a pin shows them, and every pair has
seen a beginning of it. So events are matched once, in that order, as soon as a pair has seen them; a re-org
takes matches back; and pairs of events that every retained block has seen are forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from relay.core.metrics import MAX_SET, Fault, Mark, Reading, integer_of, is_meant, mark_of, saturated, scaled
from relay.core.plan import MatchMetric
from relay.core.series import Given, Place

__all__ = ["MatchSeries", "Seen", "SideFeed"]

Which = Literal[0, 1]
"""Found (0) or against (1)."""
Marks = tuple[Mark, ...]
_Order = tuple[int, bool, int, Which]
"""When a pin shows an event: reference time, the reference chain last, then the block of one chain."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a chain is seen from the reference chain: `lag_s` later, from block `since` on."""

    lag_s: int
    since: int
    is_reference: bool


@dataclass(frozen=True, slots=True)
class _Event:
    """One event of a side; `value` counts only where it was found, None where it is no integer."""

    order: _Order
    key: Marks
    value: int | None


@dataclass(frozen=True, slots=True)
class _Totals:
    """After some number of events: those found without partner, their values, partners that are not used yet.

    A fault stays.
    """

    open_found: int = 0
    value: int = 0
    open_against: int = 0
    fault: Fault | None = None


@dataclass(slots=True)
class _Key:
    """The events of one key: how many of each side were matched so far, and how many for good.

    `values` are those found from number `dropped` on: the first of them are answered first.
    """

    matched: list[int] = field(default_factory=lambda: [0, 0])
    settled: list[int] = field(default_factory=lambda: [0, 0])
    values: list[int] = field(default_factory=list)
    dropped: int = 0


@dataclass(slots=True, eq=False)
class SideFeed:
    """One side as its view feeds it. Events are numbered from the first one ever; `first` were dropped."""

    series: MatchSeries
    which: Which
    seen: Seen
    positions: list[int] = field(default_factory=list)
    events: list[_Event] = field(default_factory=list)
    first: int = 0
    retained: int = 0
    """Events that every retained block has seen."""

    def append(self, place: Place, given: Given) -> None:
        """Add the block's events."""
        if place.number < self.seen.since or self.series.is_broken_for_good:
            return
        metric = self.series.metric
        side, value = (metric.against, None) if self.which else (metric.found, metric.value)
        is_one_chain = metric.found.chain == metric.against.chain
        order = (
            place.timestamp + self.seen.lag_s,
            self.seen.is_reference,
            place.position if is_one_chain else 0,
            self.which,
        )
        for row in given.events[0]:
            if not is_meant(side.where, row):
                continue
            key = tuple([mark_of(row.fields[name]) for name in side.key])
            amount = 0 if value is None else integer_of(row.fields[value])
            self.positions.append(place.position)
            self.events.append(_Event(order, key, amount))

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self.positions, position)
        self.series.take_back(self.which, self.first + index)
        del self.positions[index:], self.events[index:]

    def forget(self, place: Place) -> None:
        """Nobody will ask about blocks before `place` again."""
        self.retained = max(self.retained, self.count(place))
        self.series.fold()

    def count(self, place: Place) -> int:
        """Give how many events there were up to a block."""
        return self.first + bisect_right(self.positions, place.position)

    def drop(self, number: int) -> None:
        """Drop the events before a number: they were matched for good."""
        del self.positions[: number - self.first], self.events[: number - self.first]
        self.first = number


class MatchSeries:
    """The matches of one metric. `sides` are what the views of its chains feed: found, and against."""

    def __init__(self, metric: MatchMetric, found: Seen, against: Seen) -> None:
        self.metric = metric
        self.sides = (SideFeed(self, 0, found), SideFeed(self, 1, against))
        self._keys: dict[Marks, _Key] = {}
        self._line: list[tuple[Which, Marks]] = []
        self._totals: list[_Totals] = [_Totals()]
        """After each event of the line; the first is that before all of them."""
        self._folded = 0
        """Events of both sides that are not in the line any more."""
        self._matched = [0, 0]
        """Events of each side that were matched, the folded ones included."""

    @property
    def is_broken_for_good(self) -> bool:
        """Tell whether no retained block has a value, nor any to come."""
        return self._totals[0].fault is not None

    def at(self, found: Place, against: Place) -> Reading:
        """Give what stands without partner after a block of each side's chain."""
        if self.is_broken_for_good:
            return Reading(None, self._totals[0].fault)
        counts = self.sides[0].count(found), self.sides[1].count(against)
        seen = counts[0] + counts[1] - self._folded
        while len(self._line) < seen:
            self._match(self._next(counts))
        totals = self._totals[seen]
        if totals.fault is not None:
            return Reading(None, totals.fault)
        amount = totals.open_found if self.metric.value is None else totals.value
        return saturated(scaled(amount, self.metric.weight))

    def take_back(self, which: Which, number: int) -> None:
        """Undo the matches of a side's events from `number` on, and all after the newest event before them.

        The blocks that come instead may be older than those that went: then what the other side's events were
        matched with since comes too late.
        """
        while self._line and not (self._line[-1][0] == which and self._matched[which] <= number):
            self._totals.pop()
            side, marks = self._line.pop()
            key = self._keys[marks]
            key.matched[side] -= 1
            self._matched[side] -= 1
            if side == 0:
                key.values.pop()
            self._let_go([marks])

    def fold(self) -> None:
        """Forget the matches that every retained block has seen."""
        end = self._seen_by_all()
        touched = dict.fromkeys(marks for _, marks in self._line[:end])
        settled = [0, 0]
        for which, marks in self._line[:end]:
            self._keys[marks].settled[which] += 1
            settled[which] += 1
        for marks in touched:
            key = self._keys[marks]
            pairs = min(key.settled) - key.dropped
            if pairs > 0:
                del key.values[:pairs]
                key.dropped += pairs
        self._let_go(touched)
        del self._line[:end], self._totals[:end]
        self._folded += end
        for side, number in zip(self.sides, settled, strict=True):
            side.drop(side.first + number)
        if self.is_broken_for_good:
            self._stop()

    def _seen_by_all(self) -> int:
        """Give how many events of the line every retained block of their chain has seen: they stay."""
        left = [side.retained - side.first for side in self.sides]
        for at, (which, _) in enumerate(self._line):
            if not left[which]:
                return at
            left[which] -= 1
        return len(self._line)

    def _next(self, counts: tuple[int, int]) -> Which:
        """Tell from which side the next event of the line comes, of those that a pair of places has seen."""
        if self._matched[0] >= counts[0]:
            return 1
        if self._matched[1] >= counts[1]:
            return 0
        found = self.sides[0].events[self._matched[0] - self.sides[0].first]
        against = self.sides[1].events[self._matched[1] - self.sides[1].first]
        return 0 if found.order < against.order else 1

    def _match(self, which: Which) -> None:
        side = self.sides[which]
        event = side.events[self._matched[which] - side.first]
        key = self._keys.setdefault(event.key, _Key())
        changes = _found(key, event) if which == 0 else _answered(key)
        key.matched[which] += 1
        self._matched[which] += 1
        self._line.append((which, event.key))
        before = self._totals[-1]
        open_found, open_against = before.open_found + changes[0], before.open_against + changes[2]
        fault = before.fault
        if fault is None and event.value is None:
            fault = Fault.FIELD
        if fault is None and open_found + open_against > MAX_SET:
            fault = Fault.GROUPS
        self._totals.append(_Totals(open_found, before.value + changes[1], open_against, fault))

    def _let_go(self, keys: Iterable[Marks]) -> None:
        """Forget keys whose events are all matched for good, or were taken back."""
        for marks in keys:
            key = self._keys[marks]
            found, against = key.matched
            if found == against and key.settled == key.matched:
                del self._keys[marks]

    def _stop(self) -> None:
        """What has failed for good needs nothing any more."""
        self._keys.clear()
        self._line.clear()
        del self._totals[1:]
        for side in self.sides:
            side.positions.clear()
            side.events.clear()


def _found(key: _Key, event: _Event) -> tuple[int, int, int]:
    """Add an event that was found: it stands open, or uses a partner that came before."""
    value = event.value or 0
    key.values.append(value)
    return (1, value, 0) if key.matched[0] >= key.matched[1] else (0, 0, -1)


def _answered(key: _Key) -> tuple[int, int, int]:
    """Add a partner: it answers the first event that stands open, or waits for one."""
    found, against = key.matched
    return (-1, -key.values[against - key.dropped], 0) if found > against else (0, 0, 1)
