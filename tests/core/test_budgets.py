"""How many anchors a window may hold, against the plain definition (core SPEC 5.7.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.core.budgets import is_spent

times = st.integers(0, 40)


@given(st.lists(times, max_size=12), times, st.integers(1, 20), st.integers(1, 5))
def test_an_anchor_is_spent_where_some_window_that_holds_it_would_hold_too_many(
    others: list[int], at: int, window_s: int, records: int
) -> None:
    together = {at, *others}
    windows = [
        {each for each in together if begin <= each < begin + window_s}
        for begin in range(at - window_s + 1, at + 1)
    ]

    expected = any(len(window) > records for window in windows)

    assert is_spent(others, at, window_s=window_s, records=records) == expected


@given(st.lists(times, max_size=30), st.integers(1, 20), st.integers(1, 5))
def test_whatever_the_order_no_window_ever_holds_more(order: list[int], window_s: int, records: int) -> None:
    taken: list[int] = []
    for at in order:
        if not is_spent(taken, at, window_s=window_s, records=records):
            taken.append(at)

    for begin in range(-window_s, 41):
        assert len({each for each in taken if begin <= each < begin + window_s}) <= records


def test_anchors_that_run_backwards_spend_the_budget_as_those_that_run_on() -> None:
    assert is_spent([102, 101, 100], 99, window_s=10, records=3)
    assert not is_spent([102, 101, 100], 92, window_s=10, records=3)
    assert not is_spent([100, 100, 100], 100, window_s=10, records=1), "one time is one record"
