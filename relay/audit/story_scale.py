"""A row of moments drawn to scale, as SVG within a page; only numbers of ours stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relay.audit.story import Mark
from relay.core.words import span

__all__ = ["scale"]

_WIDTH: Final = 800
_EDGE: Final = 14
_STEP: Final = 13
_AXIS: Final = 58
_RADIUS: Final = 6
_MOST: Final = 3
"""Marks of one place that are stacked; of more, the others lie on the uppermost."""
_TICKS: Final = 4
_UNITS_MS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))
_TONES: Final = frozenset({"alarm", "acted", "ended", "refused", "said", "plain"})


def scale(marks: Sequence[Mark]) -> str:
    """Give the drawing; moments that fall on one place are stacked."""
    first = min(mark.moment.at_ms for mark in marks)
    length = max(mark.moment.at_ms for mark in marks) - first
    stacked: dict[int, int] = {}
    dots: list[str] = []
    for mark in marks:
        x = _place(mark.moment.at_ms - first, length)
        near = x // (2 * _RADIUS)
        height = min(stacked.get(near, 0), _MOST)
        stacked[near] = height + 1
        tone = mark.tone if mark.tone in _TONES else "plain"
        dots.append(f'<circle class="{tone}" cx="{x}" cy="{_AXIS - _STEP * height}" r="{_RADIUS}"/>')
    return (
        f'<svg class="scale" viewBox="0 0 {_WIDTH} {_AXIS + 26}" role="img" aria-label="The moments below,'
        f' drawn to scale over {_words(length)}"><line class="axis" x1="{_EDGE}" y1="{_AXIS}"'
        f' x2="{_WIDTH - _EDGE}" y2="{_AXIS}"/>{"".join(dots)}{_ticks(length)}</svg>'
    )


def _ticks(length: int) -> str:
    if length == 0:
        return f'<text x="{_EDGE}" y="{_AXIS + 22}">all at once</text>'
    ticks: list[str] = []
    for number in range(_TICKS + 1):
        at = length * number // _TICKS
        anchor = "start" if number == 0 else "end" if number == _TICKS else "middle"
        between = ' class="between"' if number % 2 else ""
        place = f'x="{_place(at, length)}" y="{_AXIS + 22}" text-anchor="{anchor}"'
        ticks.append(f"<text{between} {place}>+{_in_unit(at, length)}</text>")
    return "".join(ticks)


def _place(at: int, length: int) -> int:
    return _EDGE + (0 if length == 0 else at * (_WIDTH - 2 * _EDGE) // length)


def _in_unit(at_ms: int, length_ms: int) -> str:
    """A place on the axis: all of them in one unit, the largest of which four fit in, to a tenth."""
    name, size_ms = next(
        ((name, size) for name, size in _UNITS_MS if length_ms >= _TICKS * size), _UNITS_MS[-1]
    )
    tenths = (10 * at_ms + size_ms // 2) // size_ms
    return f"{tenths // 10:,}{f'.{tenths % 10}' if tenths % 10 else ''} {name}"


def _words(length_ms: int) -> str:
    """A span, in milliseconds where it is short."""
    return f"{length_ms:,} ms" if length_ms < 10_000 else span(length_ms // 1_000)
