"""Rule 15: a chain that makes no block is told by the blocks of the other one, once patience is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relay.core.compiled import merge_queries
from relay.core.evaluate import PlanEvaluator
from relay.core.events import BlockObserved
from relay.core.observations import BlockReads
from relay.core.schedule import Edge, Schedule
from relay.core.types import BlockRef, Caip2, Header
from relay.core.view import ChainView
from tests.incidents.diary import HOME, HOUR_S, Noise, filled
from tests.incidents.judged import compiled
from tests.incidents.quiet import START_S

WATCHED = Caip2("eip155:8453")
LAG_S, PATIENCE_S, STALLED_S = 120, 600, 900
SEED = 5


def blocks(chain: Caip2, times: Iterator[int]) -> list[BlockObserved]:
    """Give blocks at some times."""
    made: list[BlockObserved] = []
    for number, time_s in enumerate(times, start=30_000_000):
        block = BlockRef(chain=chain, number=number, hash=number.to_bytes(32, "big"), timestamp=time_s)
        reads = BlockReads(Header(block, (number - 1).to_bytes(32, "big")))
        made.append(BlockObserved(reads, 3, 3, block))
    return made


def watched_times(noise: Noise, stop_s: int) -> Iterator[int]:
    """Give the times of a chain of blocks every two to twenty seconds, once four minutes, that then stops."""
    time_s, is_late = START_S, False
    while time_s < stop_s:
        yield time_s
        time_s += noise.between(2, 20)
        if not is_late and time_s > START_S + HOUR_S:
            time_s, is_late = time_s + 240, True


def edges(stop_s: int, *, stalled_s: int = STALLED_S, hours: int = 3) -> list[Edge]:
    """Let both chains go on, the watched one until it stops, and give the edges of the rule."""
    plan = compiled(filled("sentinel", stalled_s=stalled_s))
    views = {chain: ChainView(queries, keep_s=2 * HOUR_S) for chain, queries in merge_queries([plan]).items()}
    evaluator, schedule = PlanEvaluator(plan, views), Schedule(plan, views)
    events = blocks(HOME, iter(range(START_S, START_S + hours * HOUR_S, 12)))
    events += blocks(WATCHED, watched_times(Noise.of(SEED), stop_s))
    found: list[Edge] = []
    for event in sorted(events, key=lambda each: each.reads.header.block.timestamp):
        views[event.reads.header.block.chain].observe(event)
        found += schedule.extend(evaluator.advance())
    return [edge for edge in found if edge.rule == "chain-stalled"]


def test_a_chain_that_stops_rings_after_its_lag_and_the_limit() -> None:
    stop_s = START_S + 2 * HOUR_S

    first = edges(stop_s)[0].block.timestamp

    assert STALLED_S < first - stop_s <= LAG_S + STALLED_S + 60, f"seed {SEED}"


def test_a_chain_that_is_late_for_minutes_does_not_ring() -> None:
    assert edges(START_S + 4 * HOUR_S) == [], f"seed {SEED}"


@pytest.mark.parametrize(("stalled_s", "rings"), [(10 * HOUR_S, False), (650, True)])
def test_the_limit_decides(stalled_s: int, rings: bool) -> None:
    stop_s = START_S + 2 * HOUR_S

    assert bool(edges(stop_s, stalled_s=stalled_s)) is rings, f"seed {SEED}"
