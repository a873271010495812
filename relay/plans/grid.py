"""The blocks of a chain in a back-test: every so many seconds, and at the time of each of its rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

__all__ = ["Grid"]


class Grid:
    """All blocks of one chain, without making any: their times and numbers are computed.

    Blocks stand every `step_s` seconds, in line with the chain's first row, and at every row's time besides.
    The first one stands at or before `begin_s`, where `begin_s` is no later than any row, and has the number
    `first_number`; numbers follow without gap.
    """

    def __init__(self, step_s: int, begin_s: int, first_number: int, row_times: Iterable[int]) -> None:
        times = sorted(set(row_times))
        phase_s = times[0] if times else begin_s
        self.step_s = step_s
        self.start_s = begin_s - (begin_s - phase_s) % step_s
        self.first_number = first_number
        self.rows = times
        """The times of rows, ascending, each once."""
        self._between = [time for time in times if (time - self.start_s) % step_s]
        """Those off the even steps, and the place of each among all blocks."""
        self._places = [
            (time - self.start_s) // step_s + 1 + before for before, time in enumerate(self._between)
        ]

    def number(self, time_s: int) -> int:
        """Give the number of the first block at or after a time."""
        even = max(0, -((self.start_s - time_s) // self.step_s))
        return self.first_number + even + bisect_left(self._between, time_s)

    def time_of(self, number: int) -> int:
        """Give the time of the block with this number."""
        place = number - self.first_number
        before = bisect_left(self._places, place)
        if before < len(self._places) and self._places[before] == place:
            return self._between[before]
        return self.start_s + (place - before) * self.step_s

    def at_or_after(self, time_s: int) -> int:
        """Give the time of the first block at or after a time."""
        even = self.start_s + max(0, -((self.start_s - time_s) // self.step_s)) * self.step_s
        index = bisect_left(self._between, time_s)
        return min(even, self._between[index]) if index < len(self._between) else even

    def at_or_before(self, time_s: int) -> int:
        """Give the time of the last block at or before a time; one before the first block is refused."""
        assert time_s >= self.start_s, f"expected a time from {self.start_s} on, got {time_s}"
        even = time_s - (time_s - self.start_s) % self.step_s
        index = bisect_right(self._between, time_s)
        return max(even, self._between[index - 1]) if index else even

    def evaluated(self, time_s: int, every: int) -> int:
        """Give the time of the first block at or after a time whose number `every` divides."""
        if every == 1:
            return self.at_or_after(time_s)
        number = self.number(time_s)
        return self.time_of(number + -number % every)

    def all_between(self, after_s: int, until_s: int) -> Iterator[int]:
        """Give the times of all blocks after one time and up to another."""
        time_s = self.at_or_after(after_s + 1)
        while time_s <= until_s:
            yield time_s
            time_s = self.at_or_after(time_s + 1)

    def rows_between(self, after_s: int, until_s: int) -> list[int]:
        """Give the times of the rows after one time and up to another."""
        return self.rows[bisect_right(self.rows, after_s) : bisect_right(self.rows, until_s)]
