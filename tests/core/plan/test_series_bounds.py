"""Series at their bounds: sets that grow too large, fields of another type, memory, blocks left out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

import relay.core.series_events as series_events
import relay.core.series_match as series_match
import relay.core.series_most as series_most
from relay.core.metrics import INT64_MAX, MAX_PLAIN_TEXT, Fault, Reading, mark_of
from relay.core.observations import ChainQueries, EventQuery, Field
from relay.core.plan import EventMetric, MatchMetric, MatchSide, Measure, Reduce, Window
from relay.core.runs import Runs
from relay.core.series import Place
from relay.core.series_match import MatchSeries, Seen
from relay.core.types import Caip2
from relay.core.view import ChainView
from tests.core.plan.conftest import SyntheticChain
from tests.core.plan.crossing import AWAY, HOME, Follower, branches, crossing_plan

CHAIN = Caip2("test:1")
FOUND = EventQuery(CHAIN, "0xaa", "Out(string id,int256 amount)")
AGAINST = EventQuery(CHAIN, "0xaa", "In(string id)")
QUERIES = ChainQueries(CHAIN, (FOUND, AGAINST))
METRIC = MatchMetric(
    "open",
    MatchSide(CHAIN, "0xaa", FOUND.event, ("id",)),
    MatchSide(CHAIN, "0xaa", AGAINST.event, ("id",)),
    value="amount",
)
DISTINCT = EventMetric("ids", CHAIN, "0xaa", FOUND.event, "id", measure=Measure.DISTINCT)
Row = tuple[int, Mapping[str, Field]]


class Matching:
    """One chain whose outs need an in each."""

    def __init__(self, keep_s: int = 600, metric: MatchMetric = METRIC) -> None:
        self.view = ChainView(QUERIES, keep_s=keep_s)
        self.series = MatchSeries(metric, Seen(0, 0, is_reference=True), Seen(0, 0, is_reference=True))
        for side, query in zip(self.series.sides, (FOUND, AGAINST), strict=True):
            self.view.attach(side, (query,))
        self.chain = SyntheticChain(CHAIN)

    def see(self, *rows: Row) -> Reading:
        """Let the next block be observed, final at once, and read it."""
        time_s = 12 * len(self.chain.blocks)
        event = self.chain.block(time_s, rows)
        self.view.observe(event)
        place = self.place()
        return self.series.at(place, place)

    def place(self) -> Place:
        assert self.view.tip is not None
        place = self.view.place(self.view.tip)
        assert place is not None
        return place


def out(name: str, amount: Field = 5) -> Row:
    return 0, {"id": name, "amount": amount}


def into(name: str) -> Row:
    return 1, {"id": name}


def test_events_that_where_leaves_out_are_neither_found_nor_partners_and_fill_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(series_match, "MAX_SET", 3)
    metric = replace(
        METRIC,
        found=replace(METRIC.found, where={"amount": "5"}),
        against=replace(METRIC.against, where={"id": "ours"}),
    )
    world = Matching(metric=metric)

    assert world.see(*[into(f"other {number}") for number in range(9)]) == Reading(0)
    assert world.see(out("ours", 5), out("ours", 6)) == Reading(5)
    assert world.see(into("ours"), out("theirs", 5), into("theirs")) == Reading(5)


def test_events_of_one_key_are_answered_in_their_order_each_partner_once() -> None:
    world = Matching()

    assert world.see(out("a", 5), out("a", 7)) == Reading(12)
    assert world.see(into("a")) == Reading(7)
    assert world.see(out("b", 1), into("b"), into("a")) == Reading(0)
    assert world.see(into("c"), out("a", 9)) == Reading(9)
    assert world.see(out("c", 2)) == Reading(9)


def test_more_open_events_than_a_set_holds_are_a_fault_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_match, "MAX_SET", 3)
    world = Matching()

    assert world.see(out("a"), into("x"), out("b")) == Reading(10)
    assert world.see(out("c")) == Reading(None, Fault.GROUPS)
    assert world.see(into("a"), into("b"), into("c")) == Reading(None, Fault.GROUPS)
    world.view.rollback(world.chain.back_to(1, "other"))
    assert world.see(into("a")) == Reading(5)


def test_what_has_failed_for_good_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_match, "MAX_SET", 3)
    world = Matching(keep_s=0)

    for number in range(600):
        world.see(out(f"{number}"))
        world.view.finalize(world.chain.blocks[-1])

    assert world.series.is_broken_for_good
    assert [len(side.events) for side in world.series.sides] == [0, 0]
    assert world.see(into("1")) == Reading(None, Fault.GROUPS)


def test_an_open_value_that_is_no_integer_is_a_fault() -> None:
    world = Matching()

    assert world.see(out("a", "many")) == Reading(None, Fault.FIELD)
    assert world.see(into("a")) == Reading(None, Fault.FIELD)


def test_values_out_of_range_saturate() -> None:
    assert Matching().see(out("a", 1 << 70)) == Reading(INT64_MAX, Fault.OVERFLOW)


def test_memory_of_matches_stays_flat_while_messages_go_back_and_forth() -> None:
    world, sizes = Matching(), []
    for number in range(2_500):
        assert world.see(out(f"{number}"), into(f"{number - 1}")) == Reading(5)
        world.view.finalize(world.chain.blocks[-1])
        sizes.append(len(world.series._keys) + len(world.series._line) + len(world.series.sides[0].events))

    assert max(sizes[1_000:]) <= max(sizes[:1_000])


@pytest.mark.parametrize("window", [None, Window(seconds=30)])
def test_more_different_texts_than_a_set_holds_are_a_fault(
    monkeypatch: pytest.MonkeyPatch, window: Window | None
) -> None:
    monkeypatch.setattr(series_events, "MAX_SET", 3)
    view, chain = ChainView(QUERIES, keep_s=600), SyntheticChain(CHAIN)
    series = view.series(replace(DISTINCT, window=window), (FOUND,), 0)

    given = [["a", "b"], ["c", "a"], ["d"], [], [], []]
    readings = []
    for number, names in enumerate(given):
        view.observe(chain.block(12 * number, [out(name) for name in names]))
        place = view.place(chain.blocks[-1])
        assert place is not None
        readings.append(series.at(place))

    fault = Reading(None, Fault.GROUPS)
    later = [fault, fault, fault] if window is None else [Reading(3), Reading(1), Reading(0)]
    assert readings == [Reading(2), Reading(3), fault, *later]


def test_the_largest_value_is_read_anew_after_a_reorg_to_as_many_events() -> None:
    view, chain = ChainView(QUERIES, keep_s=600), SyntheticChain(CHAIN)
    largest = replace(DISTINCT, value="amount", measure=Measure.MAX, window=Window(seconds=30))
    series = view.series(largest, (FOUND,), 0)
    readings = []
    for amount, fork in ((5, ""), (9, "here"), (7, "there")):
        if fork == "there":
            view.rollback(chain.back_to(1, fork))
        view.observe(chain.block(12, [out("a", amount)]))
        place = view.place(chain.blocks[-1])
        assert place is not None
        readings.append(series.at(place))

    assert readings == [Reading(5), Reading(9), Reading(7)]


def test_long_texts_are_told_apart_in_bounded_space() -> None:
    long = "x" * (MAX_PLAIN_TEXT + 1)

    assert mark_of("x" * MAX_PLAIN_TEXT) == "x" * MAX_PLAIN_TEXT
    assert mark_of(long) != mark_of(long + "y")
    assert len(mark_of(long * 1_000)) == 32


def test_runs_keep_twice_what_is_asked_for() -> None:
    runs = Runs(max)
    for number in range(10_000):
        runs.append(number % 97)
        runs.forget(max(number - 100, 0))

    assert sum(len(level) for level in runs._levels) < 2 * 101 + 20
    assert runs.of(9_950, 10_000) == max(number % 97 for number in range(9_950, 10_000))


def test_plans_share_the_series_of_equal_metrics_whatever_they_are_called() -> None:
    view = ChainView(QUERIES, keep_s=600)

    one = view.series(DISTINCT, (FOUND,), 3)

    assert view.series(replace(DISTINCT, name="other", unit="x"), (FOUND,), 3) is one
    assert view.series(DISTINCT, (FOUND,), 4) is not one
    assert view.series(replace(DISTINCT, by=("id",)), (FOUND,), 3) is not one


# --- every n-th block


def test_only_blocks_whose_number_the_clock_divides_are_evaluated(chance: random.Random) -> None:
    node = Follower(crossing_plan(every=3))
    chains = branches(chance, node)
    for branch in chains.values():
        branch.steps_s = (12,)
    for _ in range(40):
        node.see([chains[AWAY].grow(), chains[HOME].grow()])

    numbers = [each.block.number for each in node.evaluations()]

    assert numbers == list(range(3, 40, 3))
    node.go_back(chains[HOME].go_back(5, "other"))
    node.see([chains[HOME].grow() for _ in range(5)])
    assert [each.block.number for each in node.evaluations()] == numbers


@pytest.mark.parametrize("measure", [Measure.SUM, Measure.MAX, Measure.DISTINCT])
@pytest.mark.parametrize("window", [None, Window(seconds=30), Window(blocks=2)])
def test_more_groups_than_are_kept_are_a_fault_for_as_long_as_they_are_in_the_window(
    monkeypatch: pytest.MonkeyPatch, window: Window | None, measure: Measure
) -> None:
    for module in (series_events, series_most):
        monkeypatch.setattr(module, "MAX_GROUPS", 3)
    metric = EventMetric("by-id", CHAIN, "0xaa", FOUND.event, "amount", measure=measure, by=("id",))
    view, chain = ChainView(QUERIES, keep_s=600), SyntheticChain(CHAIN)
    series = view.series(replace(metric, window=window, reduce=Reduce.MAX), (FOUND,), 0)

    faults = []
    for number, names in enumerate(["abc", "d", "", "", ""]):
        view.observe(chain.block(12 * number, [out(name, 1) for name in names]))
        place = view.place(chain.blocks[-1])
        assert place is not None
        faults.append(series.at(place).fault)

    last = {None: 5, Window(seconds=30): 3, Window(blocks=2): 2}[window]
    assert faults == [None, *[Fault.GROUPS] * (last - 1), *[None] * (5 - last)]


def test_groups_of_blocks_that_left_the_chain_take_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_events, "MAX_GROUPS", 3)
    view, chain = ChainView(QUERIES, keep_s=600), SyntheticChain(CHAIN)
    grouped = EventMetric("by-id", CHAIN, "0xaa", FOUND.event, "amount", by=("id",), reduce=Reduce.MAX)
    series = view.series(grouped, (FOUND,), 0)
    view.observe(chain.block(0, [out("a")]))
    view.observe(chain.block(12, [out("b"), out("c")]))

    view.rollback(chain.back_to(1, "other"))
    view.observe(chain.block(12, [out("d"), out("e")]))

    place = view.place(chain.blocks[-1])
    assert place is not None
    assert series.at(place) == Reading(5)


def test_a_largest_value_is_told_again_once_the_block_of_another_type_left_the_chain() -> None:
    view, chain = ChainView(QUERIES, keep_s=600), SyntheticChain(CHAIN)
    largest = replace(DISTINCT, value="amount", measure=Measure.MAX, window=Window(seconds=60))
    series = view.series(largest, (FOUND,), 0)
    view.observe(chain.block(0, [out("a", 5)]))
    view.observe(chain.block(12, [out("a", "many")]))
    view.rollback(chain.back_to(1, "other"))
    view.observe(chain.block(12, [out("a", 7)]))

    place = view.place(chain.blocks[-1])
    assert place is not None
    assert series.at(place) == Reading(7)


def test_blocks_of_one_second_are_matched_in_the_order_of_the_chain_whichever_is_read_first() -> None:
    world = Matching()
    world.see(out("a", 5))
    first = world.place()
    for rows in ([into("b")], [out("b", 7)]):
        world.view.observe(world.chain.block(12, rows))
    second = world.view.place(world.chain.blocks[1])
    assert second is not None

    assert world.series.at(world.place(), world.place()) == Reading(5)
    assert world.series.at(second, second) == Reading(5)
    assert world.series.at(first, first) == Reading(5)


def test_what_the_other_chain_shows_at_one_second_comes_before_all_blocks_of_that_second() -> None:
    other = Caip2("test:2")
    answer = replace(AGAINST, chain=other)
    metric = replace(METRIC, against=replace(METRIC.against, chain=other))
    here = ChainView(ChainQueries(CHAIN, (FOUND,)), keep_s=600)
    there = ChainView(ChainQueries(other, (answer,)), keep_s=600)
    series = MatchSeries(metric, Seen(0, 0, is_reference=True), Seen(10, 0, is_reference=False))
    here.attach(series.sides[0], (FOUND,))
    there.attach(series.sides[1], (answer,))
    ours, theirs = SyntheticChain(CHAIN), SyntheticChain(other)
    for amount in (5, 7):
        here.observe(ours.block(10, [out("a", amount)]))
    there.observe(theirs.block(0, [(0, {"id": "a"})]))
    first, second, pin = here.place(ours.blocks[0]), here.place(ours.blocks[1]), there.place(theirs.blocks[0])
    assert first is not None
    assert second is not None
    assert pin is not None

    assert series.at(second, pin) == Reading(7)
    assert series.at(first, pin) == Reading(0)
