"""How rare false alarms are, by how many there were: exact Poisson bounds (plans SPEC 4).

Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936): the lower bound is the mean at
which so many or more have a chance of 2.5 %, the upper one that at which so many or fewer have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_TAIL: Final = 0.025
_ONE_SIDED: Final = 0.05
_HALVINGS: Final = 200
"""More than a double can tell: the search ends when both ends are neighbours."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The mean of a Poisson count: two-sided at 95 % from `low` to `high`; `at_most` alone at 95 %."""

    low: float
    high: float
    at_most: float


def poisson_bounds(count: int) -> Bounds:
    """Give the bounds of the mean that made `count` events.

    Raises:
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"expected 0 events or more, got {count}")
    return Bounds(
        0.0 if count == 0 else _root(lambda mean: at_least(count, mean), _TAIL, 0.0, float(count)),
        _upper(count, _TAIL),
        _upper(count, _ONE_SIDED),
    )


def at_most(count: int, mean: float) -> float:
    """Give the chance of `count` or fewer events where `mean` are expected; `mean` is `count` or more."""
    term, total = 1.0, 0.0
    for events in range(count, -1, -1):
        total += term
        term *= events / mean
        if term < total * 1e-17:
            break
    return _chance(count, mean) * total


def at_least(count: int, mean: float) -> float:
    """Give the chance of `count` or more events where `mean` are expected; `mean` is `count` or fewer."""
    term, total, events = 1.0, 0.0, count
    while term > total * 1e-17:
        total += term
        events += 1
        term *= mean / events
    return _chance(count, mean) * total


def _chance(count: int, mean: float) -> float:
    """Give the chance of exactly `count` events."""
    if mean == 0.0:
        return 0.0
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def _upper(count: int, tail: float) -> float:
    # Far beyond any bound: ten standard deviations and more.
    end = count + 10 * math.sqrt(count + 1) + 10
    return _root(lambda mean: -at_most(count, mean), -tail, float(count) or 1e-9, end)


def _root(rising: Callable[[float], float], goal: float, low: float, high: float) -> float:
    """Give where a rising function passes `goal`, by halving."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < goal else (low, middle)
    return (low + high) / 2


__all__ = ["Bounds", "at_least", "at_most", "poisson_bounds"]
