"""Exact Poisson bounds (plans SPEC 4), beside the published tables and straight sums of the distribution."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.plans.intervals import at_least, at_most, poisson_bounds

GARWOOD = {
    0: (0.0, 3.689),
    1: (0.0253, 5.572),
    2: (0.242, 7.225),
    3: (0.619, 8.767),
    5: (1.623, 11.668),
    10: (4.795, 18.390),
    20: (12.217, 30.888),
    50: (37.111, 65.919),
    100: (81.364, 121.627),
}
"""95 % limits of a Poisson mean, Garwood 1936; Pearson and Hartley, Biometrika Tables, table 40."""
ONE_SIDED = {0: 2.996, 1: 4.744, 2: 6.296, 3: 7.754, 10: 16.962}
"""95 % upper limits: the rule of three and what follows it."""


@pytest.mark.parametrize(("count", "expected"), GARWOOD.items())
def test_the_bounds_are_those_of_the_published_table(count: int, expected: tuple[float, float]) -> None:
    bounds = poisson_bounds(count)

    assert (bounds.low, bounds.high) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("count", "expected"), ONE_SIDED.items())
def test_the_one_sided_bound_is_the_published_one(count: int, expected: float) -> None:
    assert poisson_bounds(count).at_most == pytest.approx(expected, abs=6e-4)


def chance_up_to(count: int, mean: float) -> float:
    """P(X ≤ count), straight from the definition."""
    return math.fsum(
        math.exp(events * math.log(mean) - mean - math.lgamma(events + 1)) for events in range(count + 1)
    )


@given(st.integers(0, 300))
def test_at_each_bound_the_tail_has_what_is_promised(count: int) -> None:
    bounds = poisson_bounds(count)

    assert chance_up_to(count, bounds.high) == pytest.approx(0.025, rel=1e-9)
    assert chance_up_to(count, bounds.at_most) == pytest.approx(0.05, rel=1e-9)
    if count:
        assert 1 - chance_up_to(count - 1, bounds.low) == pytest.approx(0.025, rel=1e-9)


@given(st.integers(1, 200), st.floats(0.01, 1.0))
def test_the_two_tails_overlap_in_one_chance(count: int, share: float) -> None:
    mean = count * share
    exactly = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))

    assert at_least(count, mean) == pytest.approx(1 - chance_up_to(count, mean) + exactly, abs=1e-9)
    assert at_most(count, count / share) == pytest.approx(chance_up_to(count, count / share), rel=1e-9)


def test_a_count_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 events or more, got -1"):
        poisson_bounds(-1)
