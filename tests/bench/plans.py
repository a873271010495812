"""Plans at work: evaluations beside bare CEL, from block to edge with many plans, requests of many plans."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Sequence

from cel_expr_python import cel

from adapters.evm.reads import block_requests, compile_queries
from relay.core.compiled import CompiledPlan, merge_queries
from relay.core.effects import Notice
from relay.core.evaluate import Evaluation, PlanEvaluator
from relay.core.node import Node, NodeSettings
from relay.core.view import ChainView
from tests.bench.figure import Figure, Goal, quantile
from tests.bench.plan_texts import AWAY, BLOCK_S, HOME, THIRD, blocks_of, mixed_plan
from tests.sim.keys import Keys, genesis_of

__all__ = ["measure"]

PLANS, KINDS = 100, 10
BLOCKS = 3_000
LATENCY_BLOCKS = 150
ROUNDS = 5
GOAL_SHARE = 0.10


async def measure(seed: int = 1) -> list[Figure]:
    """Measure all of it; of rounds the median."""
    return [*_evaluations(seed), *_latency(seed), *_requests()]


# ---- evaluations


def _evaluations(seed: int) -> list[Figure]:
    compiled = mixed_plan(0, 0)
    runs = []
    for round_ in range(ROUNDS):
        per_s, whole_per_s, made = _evaluated(compiled, random.Random(seed + round_))
        runs.append((per_s, whole_per_s, _bare_per_s(compiled, made)))
    per_s, whole_per_s, bare_per_s = sorted(runs, key=lambda run: run[0] / run[2])[ROUNDS // 2]
    conditions = len(compiled.plan.rules) + 1
    return [
        Figure(
            f"plan evaluations, 10 metrics, {conditions} conditions",
            per_s,
            "1/s and core",
            floor=bare_per_s / conditions,
            floor_name=f"bare CEL evaluations of the same {conditions}",
            goal=GOAL_SHARE,
            side=Goal.AT_LEAST,
            judged="ratio",
        ),
        Figure(
            "the same, beside one condition alone",
            per_s,
            "1/s and core",
            floor=bare_per_s,
            floor_name="bare CEL evaluations",
        ),
        Figure(
            "the same, with the reading of 3 blocks for each",
            whole_per_s,
            "1/s and core",
            floor=bare_per_s / conditions,
            floor_name=f"bare CEL evaluations of the same {conditions}",
        ),
    ]


def _evaluated(compiled: CompiledPlan, chance: random.Random) -> tuple[float, float, list[Evaluation]]:
    """Give evaluations per second, without and with the feeding of the series, and the evaluations."""
    queries = merge_queries([compiled])
    streams = {chain: list(blocks_of(queries[chain], [compiled], BLOCKS, chance)) for chain in queries}
    views = {chain: ChainView(asked, keep_s=compiled.retention_s) for chain, asked in queries.items()}
    evaluator = PlanEvaluator(compiled, views)
    made: list[Evaluation] = []
    feeding_s = evaluating_s = 0.0
    gc.collect()
    for index in range(BLOCKS):
        began_s = time.process_time()
        for chain in (AWAY, THIRD, HOME):
            views[chain].observe(streams[chain][index])
            views[chain].finalize(streams[chain][max(index - 64, 0)].reads.header.block)
        fed_s = time.process_time()
        made += evaluator.advance()
        feeding_s, evaluating_s = feeding_s + fed_s - began_s, evaluating_s + time.process_time() - fed_s
    assert len(made) > BLOCKS - 10, f"expected {BLOCKS} evaluations, got {len(made)}"
    return len(made) / evaluating_s, len(made) / (feeding_s + evaluating_s), made


def _bare_per_s(compiled: CompiledPlan, made: Sequence[Evaluation]) -> float:
    """Evaluations per second of the plan's conditions, compiled once, each with the values that it had."""
    integer, text = cel.Type.INT, cel.Type.STRING
    metrics = compiled.plan.metrics.values()
    environment = cel.NewEnv(
        variables={each.name: cel.Type.Map(text, integer) if each.is_map else integer for each in metrics}
    )
    conditions = [*compiled.rules.values(), *([compiled.release] if compiled.release else [])]
    expressions = [environment.compile(condition.text) for condition in conditions]
    reads = [condition.reads for condition in conditions]
    whole = [each.values for each in made if len(each.values) == len(compiled.plan.metrics)]
    asked = [
        (expression, {name: values[name] for name in names})
        for values in whole
        for expression, names in zip(expressions, reads, strict=True)
    ]
    began_s = time.process_time()
    for expression, data in asked:
        expression.eval(data=data)
    return len(asked) / (time.process_time() - began_s)


# ---- from block to edge


def _latency(seed: int) -> list[Figure]:
    one_ms = _advance_ms([mixed_plan(0, 0)], random.Random(seed))
    many_ms = _advance_ms(
        [mixed_plan(number, number % KINDS) for number in range(PLANS)], random.Random(seed)
    )
    return [
        Figure(
            f"block to edges, {PLANS} plans, {share}",
            quantile(many_ms, quantile_),
            "ms",
            floor=quantile(one_ms, quantile_),
            floor_name="ms with 1 plan",
        )
        for share, quantile_ in (("p50", 0.5), ("p99", 0.99))
    ]


def _advance_ms(plans: Sequence[CompiledPlan], chance: random.Random) -> list[float]:
    """Processor time of `Node.advance` for each block of the reference chain, the others' read already."""
    keys = [Keys(f"member-{number:02d}") for number in range(4)]
    block_time_ms = dict.fromkeys((HOME, AWAY, THIRD), BLOCK_S * 1_000)
    node = Node(NodeSettings(keys[0].identity, genesis_of("bench", keys), tuple(plans), block_time_ms))
    streams = {
        chain: list(blocks_of(queries, plans, LATENCY_BLOCKS, chance))
        for chain, queries in merge_queries(plans).items()
    }
    taken_ms: list[float] = []
    edges = 0
    for index in range(LATENCY_BLOCKS):
        for chain in (AWAY, THIRD):
            node.advance(streams[chain][index])
        began_s = time.process_time()
        effects = node.advance(streams[HOME][index])
        taken_ms.append((time.process_time() - began_s) * 1_000)
        edges += sum(isinstance(effect, Notice) and effect.name == "rule edge" for effect in effects)
    assert edges >= len(plans), f"expected an edge of each plan, got {edges}"
    return taken_ms[LATENCY_BLOCKS // 3 :]


# ---- requests


def _requests() -> list[Figure]:
    """Requests for one block of all three chains, as an endpoint gets them in one batch each."""
    many = [mixed_plan(number, number % KINDS) for number in range(PLANS)]
    one_of_each, alone = _requests_of(many[:KINDS]), _requests_of(many[:1])
    return [
        Figure(
            f"requests a block of 3 chains, {PLANS} plans of {KINDS} kinds",
            _requests_of(many),
            "requests",
            floor=one_of_each,
            floor_name=f"with {KINDS} plans, one of each kind",
            goal=1.0,
            judged="ratio",
        ),
        Figure(
            f"the same, beside {PLANS} nodes of one plan each",
            _requests_of(many),
            "requests",
            floor=alone * PLANS,
            floor_name="requests",
        ),
    ]


def _requests_of(plans: Sequence[CompiledPlan]) -> int:
    asked = merge_queries(plans).values()
    return sum(sum(block_requests(compile_queries(queries)).values()) for queries in asked)
