"""Two chains with skewed clocks, stalls and re-orgs: pins, edges, rungs and bytes are what the blocks say."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relay.core.view as view_module
from proofs.canonical import Value, encode
from proofs.decision import Decision
from proofs.mandate import Op, Tier
from relay.core.evaluate import RELEASE, Evaluation, trace_of
from relay.core.events import BlockObserved
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.ladder import Place, Step
from relay.core.plan import MatchMetric
from relay.core.types import BlockRef, Caip2
from tests.core.plan import definition
from tests.core.plan.crossing import (
    AWAY,
    HOME,
    LAG_S,
    PATIENCE_S,
    REARM_S,
    Branch,
    Follower,
    branches,
    crossing_plan,
)

COMPILED = crossing_plan()
RULES = tuple(COMPILED.plan.rules)
Streams = Sequence[Sequence[BlockObserved]]
SEEDS = st.integers(0, 2**32)


@pytest.fixture(autouse=True, scope="module")
def _prune_often() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(view_module, "PRUNE_AT_ONCE", 8)
    yield
    patch.undo()


# --- by definition


def pin_of(at: BlockRef, away: Sequence[BlockObserved]) -> BlockRef | None:
    """The last block behind the lag, once a later one is there."""
    blocks = [each.reads.header.block for each in away]
    behind = [block for block in blocks if block.timestamp <= at.timestamp - LAG_S]
    is_settled = any(block.timestamp > at.timestamp - LAG_S for block in blocks)
    return behind[-1] if is_settled and behind and behind[-1].number >= 2 else None


def silence_of(at: BlockRef, away: Sequence[BlockObserved]) -> int | None:
    times = [each.reads.header.block.timestamp for each in away[1:]]
    behind = [time for time in times if time <= at.timestamp - LAG_S]
    silent_s = at.timestamp - LAG_S - behind[-1] if behind else None
    return 0 if silent_s is not None and silent_s < PATIENCE_S else silent_s


def assert_defined(found: Evaluation, chains: dict[Caip2, Branch], follower: Follower) -> None:
    home, away = chains[HOME].blocks, chains[AWAY].blocks
    pin = pin_of(found.block, away)
    assert found.pins.get(AWAY) == pin
    assert found.values.get("silent") == silence_of(found.block, away)
    seen = {HOME: (found.block, home, 3), AWAY: (pin, away, 2)}
    for name in ("unbacked", "undelivered", "unordered"):
        metric = COMPILED.plan.metrics[name]
        assert isinstance(metric, MatchMetric)
        rows = []
        for side, source in zip((metric.found, metric.against), COMPILED.sources[name], strict=True):
            at, blocks, since = seen[side.chain]
            query = follower.queries[side.chain].events.index(source)  # type: ignore[arg-type]
            rows.append(None if at is None else definition.rows_of(blocks, query, at, since))
        expected = None if None in rows else definition.unmatched(metric, *rows).value  # type: ignore[arg-type]
        assert found.values.get(name) == expected, (name, found.block)
    if pin is not None:
        agreeing = next(each.agreeing for each in away if each.reads.header.block == pin)
        assert found.values["quarrel"] == 3 - agreeing


@given(seed=SEEDS)
@settings(max_examples=6)
def test_every_value_at_every_block_is_its_definition_through_reorgs_of_both_chains(seed: int) -> None:
    chance = random.Random(seed)
    follower = Follower(COMPILED, keep_s=300)
    chains = branches(chance, follower)
    for turn in range(160):
        chain = chance.choice([HOME, AWAY])
        branch = chains[chain]
        retained = len(follower.views[chain].after(-1))
        if retained > 1 and chance.random() < 0.1:
            follower.go_back(branch.go_back(chance.randrange(1, min(retained, 6)), str(turn)))
        follower.see([branch.grow(chance.choice([0] * 12 + [300]))])
        if len(branch.blocks) > 12:
            follower.views[chain].finalize(branch.blocks[-12].reads.header.block)
        asked = [each for each in follower.views[HOME].after(-1) if each.number >= 3]
        for block in chance.choices(asked, k=2) if asked else ():
            first = follower.views[AWAY].after(-1)
            is_told = (bool(first) and first[0].timestamp <= block.timestamp - LAG_S) or len(first) == len(
                chains[AWAY].blocks
            )
            found = follower.room.evaluator.evaluate_at(block)
            assert found is not None
            if is_told:
                assert_defined(found, chains, follower)


def held_by_definition(rule: str, evaluations: Sequence[Evaluation], at: int) -> bool:
    hold = COMPILED.plan.rules[rule].hold
    newest = evaluations[max(at + 1 - hold, 0) : at + 1]
    return len(newest) == hold and all(each.rules[rule].effective for each in newest)


def anchors_by_definition(rule: str, rung: int, evaluations: Sequence[Evaluation]) -> set[tuple[int, int]]:
    """(slot, number) of all blocks that may anchor a rung: held, in time after the edge of the slot."""
    held = [each.block for at, each in enumerate(evaluations) if held_by_definition(rule, evaluations, at)]
    edges: dict[int, BlockRef] = {}
    for block in held:
        edges.setdefault(block.timestamp // REARM_S, block)
    step_s = COMPILED.plan.rules[rule].step_s
    return {
        (slot, block.number)
        for slot, edge in edges.items()
        for block in held
        if block.number >= edge.number
        and edge.timestamp + rung * step_s <= block.timestamp < edge.timestamp + REARM_S
        and (rung > 0 or block.timestamp // REARM_S == slot)
    }


@given(seed=SEEDS)
@settings(max_examples=6)
def test_edges_and_rungs_are_their_definition_whatever_the_clocks_do(seed: int) -> None:
    chance = random.Random(seed)
    follower = Follower(COMPILED)
    chains = branches(chance, follower)
    for turn in range(150):
        chain = chance.choice([HOME, HOME, AWAY])
        if len(chains[chain].blocks) > 8 and chance.random() < 0.06:
            follower.go_back(chains[chain].go_back(chance.randrange(1, 6), str(turn)))
        follower.see([chains[chain].grow(chance.choice([0] * 15 + [400]))])

    evaluations = follower.evaluations()
    schedule = follower.room.schedule
    for rule in COMPILED.plan.rules.values():
        final = {edge for edge in schedule._edges_from(0) if edge.rule == rule.name}
        edges = {(edge.slot, edge.block.number) for edge in final}
        assert final <= follower.edges
        first = anchors_by_definition(rule.name, 0, evaluations)
        assert edges == {(slot, min(number for each, number in first if each == slot)) for slot, _ in first}
        for rung in range(len(rule.ladder)):
            found = {
                (slot, step.block.number)
                for step in schedule.steps
                for slot, place in schedule._ladder.slots_of(rule, rung, step, Tier.FAST)
                if place is Place.YES
            }
            assert found == anchors_by_definition(rule.name, rung, evaluations), (rule.name, rung)


# --- the same bytes on every node


def streams_of(chance: random.Random) -> list[list[BlockObserved]]:
    chains = branches(chance, Follower(COMPILED))
    for branch in chains.values():
        for _ in range(70):
            branch.grow(chance.choice([0] * 20 + [300]))
    # Both end together, so that every pin is settled.
    end_s = max(branch.blocks[-1].reads.header.block.timestamp for branch in chains.values())
    for branch in chains.values():
        branch.grow(end_s + 1 - branch.blocks[-1].reads.header.block.timestamp)
    return [branch.blocks for branch in chains.values()]


def live(chance: random.Random, streams: Streams) -> Iterator[list[BlockObserved]]:
    """The blocks as they are made, each no later than the lag allows; of one chain in their order."""
    due = []
    for stream in streams:
        at_s = 0
        for event in stream:
            at_s = max(at_s, event.reads.header.block.timestamp + chance.randrange(LAG_S))
            due.append((at_s, event.reads.header.block.timestamp, event))
    # What is read of the reference chain comes no sooner than what its lag lets it see.
    yield from ([event] for _, _, event in sorted(due, key=lambda each: each[:2]))


def shuffled(chance: random.Random, streams: Streams, *, is_behind: bool) -> Iterator[list[BlockObserved]]:
    """The blocks of all chains, each in its order, in parcels of chance; `is_behind`: the heads are known."""
    heads = {id(stream): stream[-1].head for stream in streams}
    left = [
        [replace(each, head=heads[id(stream)]) for each in stream] if is_behind else list(stream)
        for stream in streams
    ]
    while any(left):
        stream = chance.choice([each for each in left if each])
        size = chance.choice([1, 1, 2, 5, 40])
        yield stream[:size]
        del stream[:size]


def verdict_bytes(follower: Follower, rules: Sequence[str]) -> bytes:
    """All that INV-B is about: traces, edges, and what is judged of each decision that one might make."""
    schedule, told = follower.room.schedule, []
    for step in schedule.steps:
        traces: list[Value] = [trace_of(step.evaluation, rule) for rule in (*rules, RELEASE)]
        judged: list[Value] = [str(schedule._assess_rule(each, step)) for each in decisions_at(step, rules)]
        told.append([traces, judged, step.release_streak])
    edges: list[Value] = [
        [edge.rule, edge.slot, edge.block.number] for edge in schedule._edges_from(0) if edge.rule in rules
    ]
    return encode([told, edges])


def decisions_at(step: Step, rules: Sequence[str]) -> Iterator[Decision]:
    for name in rules:
        for rung in range(len(COMPILED.plan.rules[name].ladder)):
            yield Decision(
                op=Op.PROTECT,
                plan_hash=COMPILED.plan.hash,
                subject=name,
                rung=rung,
                tier=Tier.FAST,
                anchor=step.block,
                key_epoch=1,
                parent=None,
            )


def node_of(parcels: Iterable[list[BlockObserved]], keep_s: int = 2_000) -> Follower:
    node = Follower(COMPILED, keep_s=keep_s)
    for parcel in parcels:
        node.see(parcel)
    return node


@given(seed=SEEDS)
@settings(max_examples=3)
def test_live_late_and_restarted_nodes_come_to_the_same_bytes(seed: int) -> None:
    chance = random.Random(seed)
    streams = streams_of(chance)
    journal = [event_to_bytes(event) for parcel in live(chance, streams) for event in parcel]

    nodes = [
        node_of(live(chance, streams)),
        node_of(live(chance, streams)),
        node_of(shuffled(chance, streams, is_behind=True)),
        node_of([*shuffled(chance, streams[::-1], is_behind=True)], keep_s=10**6),
        node_of([block_from(data)] for data in journal),
    ]

    assert len({verdict_bytes(node, RULES) for node in nodes}) == 1


@given(seed=SEEDS)
@settings(max_examples=3)
def test_in_whatever_order_chains_arrive_rules_over_pins_come_to_the_same_bytes(seed: int) -> None:
    chance = random.Random(seed)
    streams = streams_of(chance)
    pinned = [rule for rule in RULES if rule != "stalled"]

    nodes = [node_of(shuffled(chance, streams, is_behind=False)) for _ in range(3)]
    nodes += [node_of(streams, keep_s=10**6), node_of(streams[::-1], keep_s=10**6)]

    assert len({verdict_bytes(node, pinned) for node in nodes}) == 1


def block_from(data: bytes) -> BlockObserved:
    event = event_from_bytes(data)
    assert isinstance(event, BlockObserved)
    return event
