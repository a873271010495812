"""The largest or smallest of any run of a list that grows and shrinks at its end, in logarithmic time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Runs"]


@dataclass(slots=True)
class Runs:
    """Items by their index since the beginning; `pick` is `max` or `min`.

    Level k holds one pick for each whole run of 2^k items that begins at a multiple of 2^k. What is forgotten
    at the beginning leaves its indices behind. Memory: twice the items that are kept.
    """

    pick: Callable[[int, int], int]
    _levels: list[list[int]] = field(default_factory=lambda: [[]])
    _begins: list[int] = field(default_factory=lambda: [0])
    """By level: runs that were forgotten."""

    def __len__(self) -> int:
        """Items ever appended that were not cut off, the forgotten ones included."""
        return self._begins[0] + len(self._levels[0])

    def append(self, item: int) -> None:
        """Add an item at the end."""
        level = 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
                self._begins.append(0)
            runs, begin = self._levels[level], self._begins[level]
            runs.append(item)
            if (begin + len(runs)) % 2:
                return
            # Where its first half was forgotten, a run is never asked for.
            item = self.pick(runs[-2], runs[-1]) if len(runs) > 1 else runs[-1]
            level += 1

    def cut(self, length: int) -> None:
        """Drop the items from index `length` on."""
        for level, (runs, begin) in enumerate(zip(self._levels, self._begins, strict=True)):
            del runs[max((length >> level) - begin, 0) :]

    def forget(self, index: int) -> None:
        """Nobody asks for the items before `index` again."""
        for level, runs in enumerate(self._levels):
            begin = index >> level
            del runs[: begin - self._begins[level]]
            self._begins[level] = begin

    def of(self, start: int, end: int) -> int:
        """Give the pick of the items from `start` up to, not including, `end`; there is at least one."""
        assert start < end, f"expected items, got none from {start} to {end}"
        picked: int | None = None
        level = 0
        while start < end:
            runs, begin = self._levels[level], self._begins[level]
            if start & 1:
                picked = runs[start - begin] if picked is None else self.pick(picked, runs[start - begin])
                start += 1
            if end & 1:
                end -= 1
                picked = runs[end - begin] if picked is None else self.pick(picked, runs[end - begin])
            start, end, level = start >> 1, end >> 1, level + 1
        assert picked is not None
        return picked
