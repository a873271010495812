"""The blocks of a back-test are computed, not made: beside a list of all of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from hypothesis import given
from hypothesis import strategies as st

from relay.plans.grid import Grid

BEGIN_S = 1_000


@st.composite
def grids(draw: st.DrawFn) -> tuple[Grid, list[int]]:
    """Give a grid, and the times of its first blocks one by one."""
    step_s = draw(st.integers(1, 20))
    rows = draw(st.lists(st.integers(BEGIN_S, BEGIN_S + 200), max_size=12))
    grid = Grid(step_s, BEGIN_S, 7, rows)
    first_s = next(
        time for time in range(BEGIN_S, 0, -1) if not (time - (min(rows, default=BEGIN_S))) % step_s
    )
    return grid, sorted({*range(first_s, BEGIN_S + 500, step_s), *rows})


@given(grids(), st.integers(BEGIN_S, BEGIN_S + 300))
def test_every_question_has_the_answer_of_the_list(given_grid: tuple[Grid, list[int]], time_s: int) -> None:
    grid, blocks = given_grid
    following = bisect_left(blocks, time_s)

    assert grid.start_s == blocks[0] <= BEGIN_S
    assert grid.at_or_after(time_s) == blocks[following]
    assert grid.at_or_before(time_s) == blocks[bisect_right(blocks, time_s) - 1]
    assert grid.number(time_s) == 7 + following
    assert grid.time_of(7 + following) == blocks[following]


@given(grids(), st.integers(BEGIN_S, BEGIN_S + 200), st.integers(1, 5))
def test_the_next_evaluated_block_is_the_first_whose_number_is_divided(
    given_grid: tuple[Grid, list[int]], time_s: int, every: int
) -> None:
    grid, blocks = given_grid

    expected = next(
        block for place, block in enumerate(blocks) if block >= time_s and not (place + 7) % every
    )
    assert grid.evaluated(time_s, every) == expected


def test_blocks_are_in_line_with_the_first_row() -> None:
    grid = Grid(12, 1_000, 1, [1_007, 1_031, 1_033])

    assert [grid.time_of(number) for number in range(1, 6)] == [995, 1_007, 1_019, 1_031, 1_033]
