"""Series of one reading under several names must agree: none of them silently decides (plans SPEC 4)."""

from __future__ import annotations

import pytest

from relay.plans.rows import DataError
from tests.plans.test_backtest import LEVEL, ORACLE, START_S, rule, run
from tests.plans.worlds import plan_text, sample

BEFORE = LEVEL.replace("metrics.level", "metrics.before") + 'window = "1h"\ntake = "first"\n'
TEXT = plan_text(LEVEL + BEFORE, rule("before - level > 10"))


def test_names_of_one_reading_that_say_the_same_are_one_series() -> None:
    quiet = run(TEXT, sample(0, "level", 50), sample(60, "level", 50))
    twice = run(TEXT, *(sample(at_s, name, 50) for at_s in (0, 60) for name in ("before", "level")))

    assert twice.plan == quiet.plan


@pytest.mark.parametrize("said", [40, None])
def test_a_column_that_was_computed_already_is_refused(said: int | None) -> None:
    rows = [sample(0, "level", 50), sample(60, "level", 30), sample(60, "before", said)]

    for given in (rows, rows[::-1]):
        with pytest.raises(DataError) as caught:
            run(TEXT, *given)

        assert caught.value.where == f"series before and level, time {START_S + 60}"
        shown = "fault" if said is None else said
        assert caught.value.problem == f"expected one value, for both are one reading, got {shown} and 30"
        assert "one column" in caught.value.remedy


def test_of_rows_of_one_name_and_time_the_last_counts() -> None:
    result = run(TEXT, sample(0, "level", 50), sample(60, "level", 30), sample(60, "level", 50))

    assert not result.plan.triggers


def test_two_oracles_of_one_feed_are_held_against_each_other_by_price_and_by_time() -> None:
    other = ORACLE.replace("metrics.feed", "metrics.slow")
    text = plan_text(ORACLE + other, rule("feed.price > 10 || slow.age_s > 600"))
    told = [sample(60, "feed", 5), sample(60, "slow", 5), sample(60, "feed.updated_at", START_S)]

    assert not run(text, *told).plan.triggers
    with pytest.raises(DataError, match="series feed and slow"):
        run(text, *told, sample(60, "slow", 6))
    with pytest.raises(DataError, match=r"series feed\.updated_at and slow\.updated_at"):
        run(text, *told, sample(60, "slow.updated_at", START_S + 1))
