"""The longest time that anything could be frozen: the formula against every schedule that the book admits."""

from __future__ import annotations

import pytest

from relay.cli.gateway_exposure import Bound, bound, exposure, longest_run
from relay.core.gateway_report import BudgetReport, UndoKind
from tests.cli.gateways import act_report, gateway_report

WINDOWS = 8
"""A run that fills so many windows has no end."""


def _room(used: dict[int, int], window: int, cap: int) -> int:
    """The gateway's own rule (BudgetBook): what may still be booked in a window."""
    beside = max(used.get(window - 1, 0), used.get(window + 1, 0))
    return cap - used.get(window, 0) - beside


def _booked_run(cap: int, size: int, phase: int) -> int:
    """How long a run from second `phase` on can be, second by second; WINDOWS · size where it has no end."""
    used: dict[int, int] = {}
    for second in range(phase, phase + WINDOWS * size):
        window = second // size
        if _room(used, window, cap) <= 0:
            return second - phase
        used[window] = used.get(window, 0) + 1
    return WINDOWS * size


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_the_longest_run_is_what_the_book_admits(size: int) -> None:
    for cap in range(4 * size):
        longest = max(_booked_run(cap, size, phase) for phase in range(size))
        wanted = None if longest == WINDOWS * size else longest
        assert longest_run(cap, size) == wanted, (cap, size)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_no_schedule_of_the_book_exceeds_a_window_or_two(size: int) -> None:
    """Every set of frozen seconds over four windows, taken second by second where there is room."""
    span = 4 * size
    for cap in range(1, 3 * size):
        limits = bound(cap, size)
        for pattern in range(1 << min(span, 12)):
            used: dict[int, int] = {}
            frozen = [False] * span
            for second in range(span):
                if pattern >> (second % 12) & 1 and _room(used, second // size, cap) > 0:
                    used[second // size] = used.get(second // size, 0) + 1
                    frozen[second] = True
            one = max(sum(frozen[start : start + size]) for start in range(span))
            two = max(sum(frozen[start : start + 2 * size]) for start in range(span))
            assert one <= limits.window_s, (cap, size, pattern)
            assert two <= limits.two_windows_s, (cap, size, pattern)


def test_both_bounds_are_reached() -> None:
    assert bound(3, 5) == Bound(window_s=3, two_windows_s=6, run_s=3)
    assert bound(7, 5) == Bound(window_s=5, two_windows_s=10, run_s=9)
    assert bound(10, 5) == Bound(window_s=5, two_windows_s=10, run_s=None)
    assert bound(0, 5) == Bound(window_s=0, two_windows_s=0, run_s=0)


def test_fast_mandates_alone_reach_only_acts_that_they_may_use() -> None:
    light, heavy = act_report("light", tier=1, duration_s=600), act_report("heavy", tier=2, duration_s=900)
    report = gateway_report(acts=(light, heavy), budget=BudgetReport(1_000, 5_000, 3), window_s=10_000)

    found = exposure(report)

    assert (found.fast.run_s, found.both.run_s) == (1_000, 5_000)
    assert [(each.once_s, each.fast_run_s, each.run_s) for each in found.acts] == [
        (660, 1_000, 5_000),
        (960, 0, 5_000),
    ]

    only_heavy = exposure(gateway_report(acts=(heavy,), budget=BudgetReport(1_000, 5_000, 3)))
    assert only_heavy.fast == Bound(0, 0, 0)


def test_nothing_can_be_frozen_without_acts() -> None:
    off = act_report("light", is_on=False)

    found = exposure(gateway_report(acts=(off,)))

    assert (found.both, found.acts) == (Bound(0, 0, 0), ())


def test_one_mandate_is_clipped_to_the_budget_and_a_fast_budget_to_the_whole_one() -> None:
    report = gateway_report(acts=(act_report("light", duration_s=9_000),), budget=BudgetReport(800, 500, 3))

    found = exposure(report)

    assert found.acts[0].once_s == 500
    assert found.fast.run_s == 500


def test_what_the_gateway_does_not_undo_is_bounded_by_nothing() -> None:
    found = exposure(
        gateway_report(acts=(act_report("burn", undo=UndoKind.NONE), act_report("x", terms=None)))
    )

    assert [each.is_undone for each in found.acts] == [False, False]
