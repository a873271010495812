"""Numbers of a contract's state (SPEC 5.2): after each block, and over windows of blocks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import assert_never

from relay.core.metrics import Fault, Reading, saturated, scaled
from relay.core.observations import CallValue
from relay.core.plan import ORACLE_FIELDS, Over, StateMetric, Take
from relay.core.runs import Runs
from relay.core.series import Given, Place, window_mark

__all__ = ["OverSeries", "StateSeries"]

BASIS_POINTS = 10_000
_AGE, _PRICE = ORACLE_FIELDS
_FAILED = Reading(None, Fault.CALL)


def _number(metric: StateMetric, call: CallValue | None) -> int | None:
    """Give the number of one answer before it is scaled; None where the call failed."""
    if call is None or call.value is None:
        return None
    return call.value if metric.equals is None else int(call.value == metric.equals)


def _weighed(metric: StateMetric, number: int) -> Reading:
    return saturated(number if metric.equals is not None else scaled(number, metric.weight))


def _of_oracle(price: Reading, set_at: int | None, place: Place) -> Reading:
    """Give what rules see of an oracle: its price, and how long ago it was set."""
    if price.value is None or set_at is None:
        return Reading(None, price.fault or Fault.CALL)
    assert isinstance(price.value, int)
    age = saturated(place.timestamp - set_at)
    assert isinstance(age.value, int)
    return Reading({_AGE: age.value, _PRICE: price.value}, price.fault or age.fault)


@dataclass(slots=True)
class StateSeries:
    """The number after each block; of an oracle also the time at which it was set. Only changes are kept."""

    metric: StateMetric
    _positions: list[int] = field(default_factory=list)
    _given: list[tuple[Reading, int | None]] = field(default_factory=list)
    _newest: tuple[int | None, ...] = ()
    """The newest answers as they came, to see that nothing has changed; void when the list is cut."""

    def append(self, place: Place, given: Given) -> None:
        """Take the block's answers."""
        newest = tuple([None if call is None else call.value for call in given.calls])
        if newest == self._newest and self._positions:
            return
        self._newest = newest
        number = _number(self.metric, given.calls[0])
        reading = _FAILED if number is None else _weighed(self.metric, number)
        answer = (reading, newest[1] if self.metric.is_map else None)
        if not self._given or self._given[-1] != answer:
            self._positions.append(place.position)
            self._given.append(answer)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        del self._positions[index:], self._given[index:]
        self._newest = ()

    def forget(self, place: Place) -> None:
        """Drop the numbers that were replaced before `place`."""
        index = max(bisect_right(self._positions, place.position) - 1, 0)
        del self._positions[:index], self._given[:index]

    def at(self, place: Place) -> Reading:
        """Give the number after that block."""
        positions = self._positions
        index = (
            len(positions)
            if positions and positions[-1] <= place.position
            else bisect_right(positions, place.position)
        )
        if not index:
            return _FAILED
        reading, set_at = self._given[index - 1]
        return _of_oracle(reading, set_at, place) if self.metric.is_map else reading


@dataclass(frozen=True, slots=True)
class _Sums:
    """What has come together up to an entry; the difference of two is a window's.

    `faults` counts failed calls, `baseless` changes of what is not above zero; `area` is number times
    seconds, `squares` the sum of squared changes in basis points.
    """

    faults: int
    baseless: int
    area: int
    squares: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A number from a block on; `set_at` is of an oracle."""

    place: Place
    number: int | None
    set_at: int | None
    sums: _Sums


@dataclass(slots=True)
class OverSeries:
    """What the numbers in a window come to. Every window is asked for by itself, in logarithmic time.

    An entry is made where something changed, in a window of blocks for every block. What stood at a window's
    beginning belongs to it; where that is before all that is known, the oldest known does.
    """

    metric: StateMetric
    since: int
    over: Over
    _entries: list[_Entry] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _runs: Runs = field(init=False)
    """Of `min` and `max`, by entry since the first one ever."""
    _forgotten: int = 0

    def __post_init__(self) -> None:
        self._runs = Runs(min if self.over.take is Take.MIN else max)

    def append(self, place: Place, given: Given) -> None:
        """Take the block's answers."""
        if place.number < self.since:
            return
        number = _number(self.metric, given.calls[0])
        time = given.calls[1] if self.metric.is_map else None
        set_at = None if time is None else time.value
        last = self._entries[-1] if self._entries else None
        is_alike = last is not None and (last.number, last.set_at) == (number, set_at)
        if is_alike and self.over.window.blocks is None:
            return
        self._entries.append(_Entry(place, number, set_at, _sums_after(last, place, number)))
        self._positions.append(place.position)
        self._marks.append(window_mark(self.over.window, place)[0])
        if self.over.take in (Take.MIN, Take.MAX):
            self._runs.append(number or 0)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        del self._entries[index:], self._positions[index:], self._marks[index:]
        self._runs.cut(self._forgotten + index)

    def forget(self, place: Place) -> None:
        """Drop what no window that ends at `place` or later sees."""
        index = max(bisect_right(self._marks, window_mark(self.over.window, place)[1]) - 1, 0)
        del self._entries[:index], self._positions[:index], self._marks[:index]
        self._forgotten += index
        if self.over.take in (Take.MIN, Take.MAX):
            self._runs.forget(self._forgotten)

    def at(self, place: Place) -> Reading:
        """Give what the window that ends there comes to."""
        end = bisect_right(self._positions, place.position)
        if not end:
            return _FAILED
        mark = window_mark(self.over.window, place)[1]
        begin = max(bisect_right(self._marks, mark, hi=end) - 1, 0)
        first, last = self._entries[begin], self._entries[end - 1]
        faults = last.sums.faults - first.sums.faults
        if faults or first.number is None or last.number is None:
            return _FAILED
        reading = self._taken(begin, end, place)
        return _of_oracle(reading, last.set_at, place) if self.metric.is_map else reading

    def _taken(self, begin: int, end: int, place: Place) -> Reading:
        first, last = self._entries[begin], self._entries[end - 1]
        match self.over.take:
            case Take.FIRST:
                assert first.number is not None
                return _weighed(self.metric, first.number)
            case Take.MIN | Take.MAX:
                picked = self._runs.of(self._forgotten + begin, self._forgotten + end)
                return _weighed(self.metric, picked)
            case Take.MEAN:
                return self._mean(first, last, place)
            case Take.VARIANCE:
                if last.sums.baseless > first.sums.baseless:
                    return Reading(None, Fault.BASE)
                return saturated(last.sums.squares - first.sums.squares)
            case _:
                assert_never(self.over.take)

    def _mean(self, first: _Entry, last: _Entry, place: Place) -> Reading:
        """Weigh by time, with one floor at the end; where no time has gone by, the newest number."""
        assert first.number is not None and last.number is not None  # noqa: PT018
        began_s = first.place.timestamp
        if self.over.window.seconds is not None:
            began_s = max(began_s, place.timestamp - self.over.window.seconds)
        lasted_s = place.timestamp - began_s
        if not lasted_s:
            return _weighed(self.metric, last.number)
        area = last.sums.area + last.number * (place.timestamp - last.place.timestamp)
        area -= first.sums.area + first.number * (began_s - first.place.timestamp)
        if self.metric.equals is not None:
            return saturated(area // lasted_s)
        weight = self.metric.weight
        return saturated(scaled(area, weight, lasted_s))


def _sums_after(last: _Entry | None, place: Place, number: int | None) -> _Sums:
    is_fault = number is None
    if last is None:
        return _Sums(int(is_fault), 0, 0, 0)
    before = last.sums
    area = before.area + (last.number or 0) * (place.timestamp - last.place.timestamp)
    baseless, squares = before.baseless, before.squares
    if last.number is not None and number is not None and number != last.number:
        if last.number <= 0:
            baseless += 1
        else:
            squares += ((number - last.number) * BASIS_POINTS // last.number) ** 2
    return _Sums(before.faults + is_fault, baseless, area, squares)
