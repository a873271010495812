"""Views and series: re-orgs are exact, forgetting changes no answer, records follow events (SPEC 5)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

import relay.core.view as view_module
from relay.core.errors import ChainError
from relay.core.events import BlockObserved
from relay.core.metrics import INT64_MAX, INT64_MIN, MAX_GROUPS, Fault, Reading
from relay.core.observations import (
    CallQuery,
    CallValue,
    ChainQueries,
    EndedHow,
    EventQuery,
    Field,
    GatewayEvent,
    GatewayEventKind,
    PlanRegistered,
    ReadKind,
    StateRead,
)
from relay.core.plan import EventMetric, Key, Reduce, StateMetric, Weight, Window
from relay.core.series import Series
from relay.core.types import ActId, BlockRef, Caip2, DecisionId, Gateway, MandateDigest, PlanHash
from relay.core.view import ChainView

CHAIN = Caip2("test:1")
EVENTS = EventQuery(CHAIN, "0xaa", "Moved(uint256 kind,string token,int256 amount)")
CALL = CallQuery(CHAIN, "0xaa", "level()")
LEVEL = StateRead(CHAIN, ReadKind.CALL, "0xaa", "level()")
GATEWAY = Gateway(b"\x01" * 32)
QUERIES = ChainQueries(CHAIN, (EVENTS,), (CALL,), (GATEWAY,))
ACT = ActId(b"\x02" * 32)

BASE = EventMetric("total", CHAIN, "0xaa", EVENTS.event, "amount")
KEYS = {"a": Key("A", Weight(2, 3)), "b": Key("B", Weight(0, 1)), "never": Key("N", Weight())}
METRICS = {
    "total": BASE,
    "scaled": replace(BASE, weight=Weight(3, 7)),
    "count": replace(BASE, value=None),
    "by_token": replace(BASE, by=("token",)),
    "keyed": replace(BASE, by=("token",), keys=KEYS),
    "keyed_sum": replace(BASE, by=("token",), keys=KEYS, reduce=Reduce.SUM),
    "where": replace(BASE, where={"kind": "1"}),
    "window": replace(BASE, window=Window(seconds=50)),
    "window_max": replace(
        BASE, window=Window(seconds=90), by=("token", "kind"), reduce=Reduce.MAX, at_least=2
    ),
    "window_keyed": replace(BASE, window=Window(seconds=30), by=("token", "kind"), keys=KEYS),
    "window_count": replace(BASE, window=Window(seconds=70), value=None, by=("token",)),
}


def counted_amounts(
    metric: EventMetric, blocks: list[BlockObserved], at: BlockRef
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The (group, amount) of every event that the metric counts at `at`."""
    first_s = at.timestamp - (metric.window.seconds or 0) if metric.window is not None else -1
    until = [each for each in blocks if each.reads.header.block.number <= at.number]
    rows = [row for each in until if each.reads.header.block.timestamp > first_s for row in each.reads.rows]
    for row in rows:
        fields = {name: str(value) for name, value in row.fields.items()}
        group = tuple(fields[name] for name in metric.by)
        wanted = all(fields[name] == value for name, value in metric.where.items())
        if wanted and (not metric.keys or group[0] in metric.keys):
            amount = row.fields["amount"] if metric.value else 1
            assert isinstance(amount, int)
            yield group, amount


def naive(metric: EventMetric, blocks: list[BlockObserved], at: BlockRef) -> int | dict[str, int]:
    """The metric straight from its definition, over all blocks up to `at`."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for group, amount in counted_amounts(metric, blocks, at):
        groups.setdefault(group, []).append(amount)
    sums = {group: sum(amounts) for group, amounts in groups.items() if len(amounts) >= metric.at_least}
    weights = {group: metric.keys[group[0]].weight if metric.keys else metric.weight for group in sums}
    scaled = {g: total * weights[g].price // 10 ** weights[g].scale for g, total in sums.items()}
    if not metric.by:
        return scaled.get((), 0)
    if metric.reduce is Reduce.MAX:
        return max(scaled.values(), default=0)
    if metric.reduce is Reduce.SUM:
        return sum(sums[g] * weights[g].price * 10 ** (9 - weights[g].scale) for g in sums) // 10**9
    named = {key.name: 0 for key in metric.keys.values()} if len(metric.by) == 1 else {}
    firsts = {value: key.name for value, key in metric.keys.items()}
    return named | {"/".join((firsts.get(g[0], g[0]), *g[1:])): value for g, value in scaled.items()}


def random_rows(chance: random.Random) -> list[tuple[int, Mapping[str, Field]]]:
    """Up to three events; amounts of either sign and far beyond 64 bits now and then."""
    return [
        (
            0,
            {
                "kind": chance.randrange(3),
                "token": chance.choice("abc"),
                "amount": chance.choice([1, 5, 1234, -77, chance.randrange(10**15)]),
            },
        )
        for _ in range(chance.choice([0, 0, 0, 1, 1, 3]))
    ]


def test_every_answer_is_the_definition_through_reorgs_and_forgetting(
    chance: random.Random, chain_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "PRUNE_AT_ONCE", 10)
    view = ChainView(QUERIES, keep_s=200)
    series: dict[str, Series] = {name: view.series(each, (EVENTS,), 5) for name, each in METRICS.items()}
    level = view.series(StateMetric("level", LEVEL, Weight(1, 1)), (CALL,), 0)
    chain, blocks, now = chain_of(CHAIN), [], 1_000
    forgotten = 0
    for turn in range(350):
        if blocks and chance.random() < 0.08:
            depth = min(chance.randrange(6), len(view.after(-1)) - 1)
            ancestor = blocks[-1 - depth].reads.header.block if depth else blocks[-1].reads.header.block
            assert [b.number for b in view.rollback(ancestor)] == list(
                range(ancestor.number + 1, ancestor.number + depth + 1)
            )
            del blocks[len(blocks) - depth :]
            chain.back_to(ancestor.number, str(turn))
            now = ancestor.timestamp
        now += chance.choice([0, 1, 3, 12, 40])
        event = chain.block(now, random_rows(chance), calls=[CallValue(0, chance.randrange(50), None)])
        view.observe(event)
        blocks.append(event)
        if len(blocks) > 12:
            view.finalize(blocks[-12].reads.header.block)
        retained = view.after(-1)
        forgotten = len(blocks) - len(retained)
        for block in {retained[0], retained[-1], chance.choice(retained)}:
            place = view.place(block)
            assert place is not None
            for name in chance.sample(sorted(METRICS), 4):
                counted = [each for each in blocks if each.reads.header.block.number >= 5]
                assert series[name].at(place) == Reading(naive(METRICS[name], counted, block)), (name, turn)
            seen = blocks[block.number - 1].reads.calls[0].value
            assert seen is not None
            assert level.at(place) == Reading(seen // 10)
    assert forgotten > 100
    assert len(view.after(-1)) < 200


def test_memory_stays_flat_while_a_chain_grows(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    series = {name: view.series(each, (EVENTS,), 0) for name, each in METRICS.items()}
    chain, sizes = chain_of(CHAIN), []
    for number in range(2_500):
        event = chain.block(number * 12, [(0, {"kind": 1, "token": "a", "amount": 1})])
        view.observe(event)
        view.finalize(event.reads.header.block)
        cumulative, window = series["by_token"], series["window"]
        sizes.append(len(view.after(-1)) + len(cumulative._changes) + len(window._items))

    assert max(sizes[1_000:]) <= max(sizes[:1_000])
    assert series["total"].at(view.place(view.tip)) == Reading(2_500)


def test_blocks_that_are_not_final_are_never_forgotten(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=0)
    chain = chain_of(CHAIN)
    for number in range(1_000):
        view.observe(chain.block(number * 12))

    assert len(view.after(-1)) == 1_000
    view.finalize(chain.blocks[900])
    view.observe(chain.block(12_000))
    assert view.after(-1)[0] == chain.blocks[900]
    assert view.is_final(chain.blocks[900])
    assert not view.is_final(chain.blocks[901])
    assert not view.is_final(chain.blocks[3])


def test_a_reorg_below_what_is_retained_is_an_error_of_the_chain(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=0)
    chain = chain_of(CHAIN)
    for number in range(600):
        event = chain.block(number * 12)
        view.observe(event)
        view.finalize(event.reads.header.block)

    with pytest.raises(ChainError, match="expected a re-org back to a retained block, got one to 2"):
        view.rollback(chain.blocks[1])


def test_a_reorg_of_the_first_block_leaves_an_empty_view(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    series = view.series(BASE, (EVENTS,), 0)
    chain = chain_of(CHAIN)
    chain.first = 7
    view.observe(chain.block(100, [(0, {"kind": 1, "token": "a", "amount": 9})]))
    parent = BlockRef(chain=CHAIN, number=6, hash=bytes(32), timestamp=88)

    assert len(view.rollback(parent)) == 1
    assert view.tip is None
    chain.blocks.clear()
    chain.fork = "other"
    view.observe(chain.block(101, [(0, {"kind": 1, "token": "a", "amount": 4})]))
    assert series.at(view.place(view.tip)) == Reading(4)


def test_a_block_that_does_not_follow_is_our_own_bug(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    chain, other = chain_of(CHAIN), chain_of(CHAIN)
    other.fork = "other"
    view.observe(chain.block(100))
    other.block(100)

    with pytest.raises(AssertionError, match="expected a child of"):
        view.observe(other.block(112))
    with pytest.raises(AssertionError, match="expected a block after 1, got 1"):
        view.observe(chain_of(CHAIN).block(100))
    with pytest.raises(AssertionError, match="expected time 100 or later"):
        view.observe(chain.block(99))


def test_a_series_cannot_be_attached_once_blocks_were_seen(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    view.observe(chain_of(CHAIN).block(100))

    with pytest.raises(ValueError, match="expected a view without blocks"):
        view.series(BASE, (EVENTS,), 0)


def test_pins_and_confirmations_go_by_what_was_observed(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    chain = chain_of(CHAIN)
    for timestamp in (100, 112, 112, 124):
        view.observe(chain.block(timestamp))

    assert view.at_or_before(99) is None
    assert view.at_or_before(112) == chain.blocks[2]
    assert view.has_later_than(123)
    assert view.settled(123) == (chain.blocks[2], view.place(chain.blocks[2]))
    assert view.settled(124) is None  # another block of that time may come
    assert view.settled(99) is None
    assert not view.has_later_than(124)
    assert [view.confirmations(block) for block in chain.blocks] == [4, 3, 2, 1]
    assert view.agreement(chain.blocks[0]) == (2, 3)
    removed = view.rollback(chain.blocks[1])
    assert view.confirmations(removed[0]) == 0
    assert not view.contains(removed[1].hash)


# --- facts that leave a metric without a value


def test_an_endpoint_that_is_behind_takes_no_known_head_away(chain_of: Callable) -> None:
    chain = chain_of(CHAIN)
    view = ChainView(QUERIES, keep_s=600)
    first, second = chain.block(0), chain.block(12)
    ahead = replace(second.reads.header.block, number=9, timestamp=100)

    view.observe(replace(first, head=ahead))
    view.observe(second)

    assert view.head == ahead
    view.rollback(first.reads.header.block)
    assert view.head == first.reads.header.block, "what followed is another chain's"


def reading_of(
    chain_of: Callable, metric: EventMetric | StateMetric, *rows: Mapping[str, Field], **more: object
) -> Reading:
    view = ChainView(QUERIES, keep_s=600)
    series = view.series(metric, (CALL if isinstance(metric, StateMetric) else EVENTS,), 0)
    view.observe(chain_of(CHAIN).block(100, [(0, row) for row in rows], **more))
    place = view.place(view.tip)
    assert place is not None
    return series.at(place)


def row(amount: Field, token: str = "a", kind: int = 1) -> Mapping[str, Field]:
    return {"kind": kind, "token": token, "amount": amount}


def test_a_sum_out_of_range_saturates_and_faults(chain_of: Callable) -> None:
    assert reading_of(chain_of, BASE, row(INT64_MAX)) == Reading(INT64_MAX)
    assert reading_of(chain_of, BASE, row(INT64_MAX), row(1)) == Reading(INT64_MAX, Fault.OVERFLOW)
    assert reading_of(chain_of, BASE, row(INT64_MIN), row(-1)) == Reading(INT64_MIN, Fault.OVERFLOW)
    assert reading_of(chain_of, BASE, row(1 << 255), row(-(1 << 255)), row(3)) == Reading(3)
    by_token = replace(BASE, by=("token",))
    assert reading_of(chain_of, by_token, row(1 << 70), row(2, "b")) == Reading(
        {"a": INT64_MAX, "b": 2}, Fault.OVERFLOW
    )


def test_amounts_are_scaled_once_at_the_end_by_floor(chain_of: Callable) -> None:
    tenths = replace(BASE, weight=Weight(1, 1))
    assert reading_of(chain_of, tenths, row(6), row(6)) == Reading(1)
    assert reading_of(chain_of, tenths, row(-1)) == Reading(-1)
    keys = {"a": Key("A", Weight(1, 1)), "b": Key("B", Weight(2, 1))}
    summed = replace(BASE, by=("token",), keys=keys, reduce=Reduce.SUM)
    assert reading_of(chain_of, summed, row(9), row(10, "b")) == Reading(1)


def test_an_amount_that_is_no_integer_faults_from_there_on(chain_of: Callable) -> None:
    assert reading_of(chain_of, BASE, row(1), row("0x01")) == Reading(None, Fault.FIELD)
    assert reading_of(chain_of, BASE, row(True)) == Reading(None, Fault.FIELD)
    assert reading_of(chain_of, replace(BASE, window=Window(seconds=9)), row("0x01")) == Reading(
        None, Fault.FIELD
    )
    assert reading_of(chain_of, replace(BASE, value=None), row("0x01")) == Reading(1)


def test_groups_are_bounded_and_their_names_told_apart(chain_of: Callable) -> None:
    by_token = replace(BASE, by=("token",))
    assert reading_of(chain_of, by_token, *(row(1, f"t{i}") for i in range(64))).fault is None
    assert reading_of(chain_of, by_token, *(row(1, f"t{i}") for i in range(65))) == Reading(
        None, Fault.GROUPS
    )
    assert reading_of(chain_of, by_token, row(1, "x" * 129)) == Reading(None, Fault.GROUPS)
    pairs = replace(BASE, by=("token", "kind"))
    assert reading_of(chain_of, pairs, row(1, "a/b")) == Reading(None, Fault.GROUPS)
    largest = replace(BASE, by=("token",), reduce=Reduce.MAX)
    many = [row(i, f"t{i}") for i in range(MAX_GROUPS)]
    assert reading_of(chain_of, largest, *many) == Reading(MAX_GROUPS - 1)
    assert reading_of(chain_of, largest, *many, row(1, "one more")) == Reading(None, Fault.GROUPS)


def test_a_reorg_heals_a_broken_sum(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=600)
    series = view.series(BASE, (EVENTS,), 0)
    chain = chain_of(CHAIN)
    view.observe(chain.block(100, [(0, row(1))]))
    view.observe(chain.block(112, [(0, row("0x01"))]))
    assert series.at(view.place(view.tip)).fault is Fault.FIELD
    assert series.at(view.place(chain.blocks[0])) == Reading(1)

    view.rollback(chain.back_to(1, "other"))
    view.observe(chain.block(113, [(0, row(2))]))

    assert series.at(view.place(view.tip)) == Reading(3)


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        (CallValue(0, 12, None), Reading(12)),
        (CallValue(0, None, "reverted"), Reading(None, Fault.CALL)),
        (CallValue(0, 1 << 255, None), Reading(INT64_MAX, Fault.OVERFLOW)),
    ],
)
def test_what_a_call_gives_is_a_fact_also_a_revert(
    chain_of: Callable, value: CallValue, reading: Reading
) -> None:
    assert reading_of(chain_of, StateMetric("level", LEVEL), calls=[value]) == reading


# --- gateways


def gateway_event(kind: GatewayEventKind, decision: int = 1, **more: object) -> GatewayEvent:
    return GatewayEvent(
        gateway=GATEWAY,
        kind=kind,
        act_id=ACT,
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        mandate=MandateDigest(bytes([decision]) * 32),
        decision_id=DecisionId(bytes([decision]) * 32),
        **more,
    )


def test_an_acts_record_follows_its_gateway_and_its_reorgs(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=10_000)
    chain = chain_of(CHAIN)
    steps = [
        [],
        [gateway_event(GatewayEventKind.STARTED, 1, tier=1, until=700)],
        [gateway_event(GatewayEventKind.NOOP, 9)],
        [gateway_event(GatewayEventKind.EXTENDED, 2, tier=2, until=900)],
        [gateway_event(GatewayEventKind.ENDED, 3, how=EndedHow.RELEASE, ended_at=140, undone=True)],
        [gateway_event(GatewayEventKind.STARTED, 4, tier=1, until=800)],
    ]
    for index, events in enumerate(steps):
        view.observe(chain.block(100 + 10 * index, gateway_events=events))
    records = [view.record(GATEWAY, ACT, block) for block in chain.blocks]

    assert records[0] is None
    assert records[4] is None
    assert [(r.since, r.until, r.tier, r.decision_id[0]) for r in records if r] == [
        (110, 700, 1, 1),
        (110, 700, 1, 1),
        (110, 900, 2, 2),
        (150, 800, 1, 4),
    ]
    ended = view.last_record(GATEWAY, ACT, chain.blocks[4])
    assert ended is not None
    assert (ended.in_force, ended.how, ended.ended_at) == (False, EndedHow.RELEASE, 140)
    view.rollback(chain.back_to(4, "other"))
    view.observe(chain.block(200))
    assert view.record(GATEWAY, ACT, view.tip) == records[3]
    assert view.record(GATEWAY, ActId(bytes(32)), view.tip) is None


def test_a_plan_is_in_force_as_its_gateway_has_it(chain_of: Callable) -> None:
    view = ChainView(QUERIES, keep_s=10_000)
    chain = chain_of(CHAIN)
    one, two, none = PlanHash(b"\x01" * 32), PlanHash(b"\x02" * 32), PlanHash(bytes(32))
    view.observe(chain.block(100))
    view.observe(chain.block(110, plans=[PlanRegistered(GATEWAY, 0, one, none, 0)]))
    view.observe(chain.block(120, plans=[PlanRegistered(GATEWAY, 0, one, two, 140)]))
    view.observe(chain.block(140))
    view.observe(chain.block(141))
    view.observe(chain.block(150, plans=[PlanRegistered(GATEWAY, 0, none, none, 0)]))

    assert [view.plan_in_force(GATEWAY, block) for block in chain.blocks] == [
        frozenset(),
        {one},
        {one, two},
        {one, two},
        {two},
        frozenset(),
    ]
    assert view.plan_in_force(Gateway(bytes(32)), chain.blocks[1]) == frozenset()
