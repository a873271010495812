"""Rules over pinned chains: the same bytes on every node, whatever came first (SPEC 5.2, 5.3, INV-B)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proofs.canonical import encode
from relay.core.compiled import CompiledPlan, first_blocks, merge_queries
from relay.core.evaluate import RELEASE, Evaluation, Outcome, PeerFacts, PlanEvaluator, trace_of
from relay.core.events import BlockObserved
from relay.core.metrics import INT64_MAX
from relay.core.observations import CallValue, PlanRegistered
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan
from relay.core.types import BlockRef, Caip2, PlanHash
from relay.core.view import ChainView

if TYPE_CHECKING:
    from tests.core.plan.conftest import SyntheticChain, World

HOME, AWAY = Caip2("eip155:900001"), Caip2("eip155:900002")
TEXT = """
format = "tocsin/plan/1"
protocol = "example"
version = 1
reason = "a test"
[clock]
reference = "eip155:900001"
patience_s = 300
[chains."eip155:900001"]
gateway = "0x1111111111111111111111111111111111111111"
targets = ["0x3333333333333333333333333333333333333333"]
since = 1
[chains."eip155:900002"]
lag_s = 60
since = 1
[metrics.released]
read = "event_sum"
chain = "eip155:900001"
from = "0x3333333333333333333333333333333333333333"
event = "Release(uint256 amount)"
value = "amount"
[metrics.burned]
read = "event_sum"
chain = "eip155:900002"
from = "0x2222222222222222222222222222222222222222"
event = "Burn(uint256 amount)"
value = "amount"
ON_FAULT
[rules.unbacked]
when = "WHEN"
ladder = [["halt"]]
[acts.halt]
verb = "pause"
chain = "eip155:900001"
target = "0x3333333333333333333333333333333333333333"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
[release]
when = "released <= burned"
"""
LOCAL_RULE = """
[rules.local]
when = "released > 1000"
ladder = [["halt"]]
"""


def plan_text(when: str = "released > burned", on_fault: str = "") -> str:
    return TEXT.replace("WHEN", when).replace("ON_FAULT", on_fault)


@pytest.fixture
def world(world_of: Callable[[str], World]) -> World:
    """Releases at home, burns away, 60 s of lag."""
    return world_of(plan_text())


def amount(value: int) -> Mapping[str, int]:
    return {"amount": value}


def only(evaluations: tuple[Evaluation, ...]) -> Evaluation:
    assert len(evaluations) == 1
    return evaluations[0]


# --- pins


def test_a_foreign_chain_is_read_at_its_last_block_before_the_lag(world: World) -> None:
    early = world.see(AWAY, 939, amount(5))
    pinned = world.see(AWAY, 940, amount(2))
    world.see(AWAY, 941, amount(100))
    block = world.see(HOME, 1_000, amount(8))

    found = only(world.evaluator.advance())

    assert found.pins == {HOME: block, AWAY: pinned}
    assert found.values == {"released": 8, "burned": 7}
    assert found.rules["unbacked"].outcome is Outcome.TRUE
    assert found.rules["unbacked"].effective
    assert found.agreement == {HOME: (2, 3), AWAY: (2, 3)}
    assert early.number < pinned.number


def test_a_block_waits_until_its_pin_is_settled(world: World) -> None:
    world.see(AWAY, 940, amount(5))
    world.see(HOME, 1_000, amount(5))
    assert world.evaluator.advance() == ()

    world.see(AWAY, 940, amount(1))
    assert world.evaluator.advance() == ()
    world.see(AWAY, 941)

    found = only(world.evaluator.advance())
    assert found.values == {"released": 5, "burned": 6}
    assert not found.abstains


def test_rules_of_a_silent_chain_abstain_after_patience_and_are_evaluated_later(world: World) -> None:
    world.see(AWAY, 900, amount(5))
    first = world.see(HOME, 1_000, amount(9))
    world.see(HOME, 1_259)
    assert world.evaluator.advance() == ()
    second = world.see(HOME, 1_260)

    abstained = world.evaluator.advance()

    assert [each.block.timestamp for each in abstained] == [1_000, 1_259, 1_260]
    assert all(each.rules["unbacked"].outcome is Outcome.ABSTAIN for each in abstained)
    assert not any(each.rules["unbacked"].effective for each in abstained)
    assert all(each.waiting == (AWAY,) for each in abstained)
    assert trace_of(abstained[0], "unbacked")["result"] is None
    later = world.see(HOME, 1_262)
    assert only(world.evaluator.advance()).block == later  # no second patience for the same silence
    world.see(AWAY, 1_201)
    again = world.evaluator.evaluate_at(first)
    assert again is not None
    assert again.rules["unbacked"].outcome is Outcome.TRUE
    assert not again.abstains
    still = world.evaluator.evaluate_at(second)
    assert still is not None
    assert not still.abstains


def test_a_rule_that_reads_no_silent_chain_does_not_wait(world_of: Callable[[str], World]) -> None:
    world = world_of(plan_text() + LOCAL_RULE)
    world.see(AWAY, 900, amount(5))
    block = world.see(HOME, 1_000, amount(1_001))

    found = only(world.evaluator.advance())

    assert found.rules["local"].outcome is Outcome.TRUE
    assert found.rules["unbacked"].outcome is Outcome.ABSTAIN
    assert found.release is not None
    assert found.release.outcome is Outcome.ABSTAIN
    assert found.abstains
    world.see(AWAY, 1_000)
    again = world.evaluator.evaluate_at(block)
    assert again is not None
    assert again.rules["unbacked"].outcome is Outcome.TRUE


def test_a_chain_that_is_only_read_late_is_waited_for_until_it_makes_no_progress(world: World) -> None:
    away, home = world.chains[AWAY], world.chains[HOME]
    seen = away.block(900, [(0, amount(5))])
    world.views[AWAY].observe(replace(seen, head=replace(seen.head, number=seen.head.number + 9)))
    far_ahead = home.block(1_000, [(0, amount(9))])
    beyond = home.block(50_000)
    world.views[HOME].observe(replace(far_ahead, head=beyond.head))
    world.views[HOME].observe(beyond)

    assert world.evaluator.advance() == ()  # the silence is ours: its next blocks are there to be read
    world.see(HOME, 50_000 + 299)
    assert world.evaluator.advance() == ()
    world.see(HOME, 50_000 + 300)
    abstained = world.evaluator.advance()

    assert [each.rules["unbacked"].outcome for each in abstained] == [Outcome.ABSTAIN] * 4


def test_where_a_chain_has_no_block_before_the_lag_rules_abstain_for_good(world: World) -> None:
    world.see(AWAY, 990)
    world.see(HOME, 1_000)

    found = only(world.evaluator.advance())

    assert found.rules["unbacked"].outcome is Outcome.ABSTAIN
    assert not found.abstains


def test_a_rule_follows_its_metrics_from_block_to_block(world: World) -> None:
    world.see(AWAY, 900, amount(5))
    world.see(AWAY, 945, amount(5))
    world.see(AWAY, 2_000)
    for timestamp, value in ((1_000, 5), (1_001, 1), (1_002, 0), (1_005, 4), (1_006, 1)):
        world.see(HOME, timestamp, amount(value))

    outcomes = [each.rules["unbacked"].outcome for each in world.evaluator.advance()]

    assert outcomes == [Outcome.FALSE, Outcome.TRUE, Outcome.TRUE, Outcome.FALSE, Outcome.TRUE]


def test_a_foreign_reorg_has_the_blocks_evaluated_anew_that_were_pinned_to_it(world: World) -> None:
    for timestamp in (900, 940, 950, 990):
        world.see(AWAY, timestamp, amount(1))
    blocks = [world.see(HOME, timestamp) for timestamp in (999, 1_000, 1_009, 1_010, 1_020)]
    assert [each.values["burned"] for each in world.evaluator.advance()] == [1, 2, 2, 3, 3]

    ancestor = world.chains[AWAY].back_to(2, "other")
    world.views[AWAY].rollback(ancestor)
    world.evaluator.rollback(ancestor)

    assert world.evaluator.evaluated_to == blocks[0].number
    assert world.evaluator.advance() == ()
    world.see(AWAY, 949, amount(7))
    world.see(AWAY, 991)
    again = world.evaluator.advance()
    assert [(each.block, each.values["burned"]) for each in again] == [
        (block, burned) for block, burned in zip(blocks[1:], [2, 9, 9, 9], strict=True)
    ]
    first = world.chains[AWAY].back_to(1, "third")
    world.views[AWAY].rollback(first)
    world.evaluator.rollback(first)
    assert world.evaluator.evaluated_to == 0


# --- faults


def test_a_faulted_metric_makes_a_false_rule_by_default(world: World) -> None:
    world.see(AWAY, 900, amount(5))
    world.see(AWAY, 990)
    world.see(HOME, 1_000, amount(1 << 64))

    found = only(world.evaluator.advance())

    assert found.values["released"] == INT64_MAX
    assert found.rules["unbacked"].outcome is Outcome.FAULT
    assert not found.rules["unbacked"].effective
    assert found.rules["unbacked"].faulted == ("released",)
    assert trace_of(found, "unbacked")["result"] == "fault"
    assert trace_of(found, "unbacked")["faulted"] == ["released"]


@pytest.mark.parametrize(
    ("released", "burned", "effective"), [(0, 1 << 64, True), (1 << 64, 0, False), (1 << 64, 1 << 64, False)]
)
def test_a_fault_triggers_only_where_every_faulted_metric_says_so(
    world_of: Callable[[str], World], released: int, burned: int, effective: bool
) -> None:
    world = world_of(plan_text(on_fault='on_fault = "trigger"'))
    world.see(AWAY, 900, amount(burned))
    world.see(AWAY, 990)
    world.see(HOME, 1_000, amount(released))

    found = only(world.evaluator.advance())

    assert found.rules["unbacked"].outcome is Outcome.FAULT
    assert found.rules["unbacked"].effective is effective
    assert found.release is not None
    assert found.release.outcome is Outcome.FAULT
    assert not found.release.effective


def test_a_rule_decided_without_the_faulted_metric_is_no_fault(world_of: Callable[[str], World]) -> None:
    world = world_of(plan_text("burned > 3 || released > 0"))
    world.see(AWAY, 900, amount(5))
    world.see(AWAY, 990)
    world.see(HOME, 1_000, amount(1 << 64))

    found = only(world.evaluator.advance())

    assert found.rules["unbacked"].outcome is Outcome.TRUE
    assert found.rules["unbacked"].faulted == ("released",)


def test_an_expression_that_fails_by_itself_is_a_fault_of_all_that_it_reads(
    world_of: Callable[[str], World],
) -> None:
    for on_fault, effective in (("", False), ('on_fault = "trigger"', True)):
        world = world_of(plan_text("burned + burned > 0", on_fault))
        world.see(AWAY, 900, amount(INT64_MAX))
        world.see(AWAY, 990)
        world.see(HOME, 1_000)

        outcome = only(world.evaluator.advance()).rules["unbacked"]

        assert (outcome.outcome, outcome.faulted, outcome.effective) == (Outcome.FAULT, (), effective)


# --- traces


def test_a_trace_tells_what_the_rule_read_and_encodes(world_of: Callable[[str], World]) -> None:
    world = world_of(plan_text() + LOCAL_RULE)
    world.see(AWAY, 900, amount(5))
    world.see(AWAY, 990)
    block = world.see(HOME, 1_000, amount(8))
    found = only(world.evaluator.advance())

    both, local, release = (trace_of(found, name) for name in ("unbacked", "local", RELEASE))

    assert both["values"] == {"burned": 5, "released": 8}
    assert both["result"] is True
    assert both["pins"].keys() == both["agreement"].keys() == {HOME, AWAY}
    assert local["values"] == {"released": 8}
    assert local["pins"] == {
        HOME: {"chain": HOME, "hash": block.hash, "number": block.number, "timestamp": 1_000}
    }
    assert release["result"] is False
    assert all(encode(each) for each in (both, local, release))


# --- plan in force


def test_the_plan_is_in_force_once_its_gateway_names_it(world: World) -> None:
    gateway = world.compiled.gateways[HOME]
    registered = PlanRegistered(gateway, 0, world.compiled.plan.hash, PlanHash(bytes(32)), 0)
    other = PlanRegistered(gateway, 0, PlanHash(b"\x07" * 32), PlanHash(bytes(32)), 0)
    world.see(AWAY, 1)
    world.see(AWAY, 2_000)
    world.see(HOME, 1_000)
    world.see(HOME, 1_012, plans=[registered])
    world.see(HOME, 1_024)
    world.see(HOME, 1_036, plans=[other])

    assert [each.plan_in_force for each in world.evaluator.advance()] == [False, True, True, False]


# --- links


def test_a_link_sees_its_peer_and_its_own_metrics(world_of: Callable[[str], World], market_text: str) -> None:
    world = world_of(market_text)
    market = Caip2("eip155:1284")
    link = world.compiled.plan.listen[0]
    calls = [CallValue(0, 3 * 10**18, None)], [CallValue(0, 0, None)], [CallValue(0, None, "reverted")]
    blocks = [world.see(market, 100 + index, calls=each) for index, each in enumerate(calls)]

    def outcome(at: BlockRef, verb: str) -> tuple[Outcome, bool]:
        found = world.evaluator.condition(link, at, PeerFacts(verb, "fast", "eip155:1", 1))
        assert found is not None
        return found.outcome, found.effective

    assert outcome(blocks[0], "pause") == (Outcome.TRUE, True)
    assert outcome(blocks[0], "cap") == (Outcome.FALSE, False)
    assert outcome(blocks[1], "pause") == (Outcome.FALSE, False)
    assert outcome(blocks[2], "lock") == (Outcome.FAULT, True)
    assert outcome(blocks[2], "cap") == (Outcome.FALSE, False)
    gone = BlockRef(chain=market, number=2, hash=bytes(32), timestamp=101)
    assert world.evaluator.condition(link, gone, PeerFacts("pause", "fast", "eip155:1", 1)) is None
    evaluation = world.evaluator.evaluate_at(blocks[0])
    found = world.evaluator.condition(link, blocks[0], PeerFacts("pause", "fast", "eip155:1", 1))
    assert evaluation is not None
    trace = trace_of(evaluation, "link:bridge", found)
    assert (trace["rule"], trace["result"], trace["values"]) == ("link:bridge", True, {"collateral": 3})


# --- several plans over one read


def test_plans_that_ask_the_same_share_one_read(
    compiled_from: Callable[[str], CompiledPlan], bridge_text: str
) -> None:
    one = compiled_from(bridge_text)
    two = compiled_from(
        bridge_text.replace("version = 1", "version = 2")
        .replace("0x2222222222222222222222222222222222222222", "0x1234567890123456789012345678901234567890")
        .replace("since = 1", "since = 9")
    )

    merged = merge_queries([one, two])

    assert merged == merge_queries([two, one])
    ethereum, moonbeam = merged[Caip2("eip155:1")], merged[Caip2("eip155:1284")]
    assert len(ethereum.events) == 1
    assert [query.address[:6] for query in moonbeam.events] == ["0x1234", "0x2222"]
    assert first_blocks([two, one]) == {"eip155:1": 1, "eip155:1284": 1}


def test_a_plan_counts_from_its_own_since_in_a_shared_view(
    compiled_from: Callable[[str], CompiledPlan], chain_of: Callable[[str], SyntheticChain]
) -> None:
    early, late = compiled_from(plan_text()), compiled_from(plan_text().replace("since = 1", "since = 3"))
    views = {chain: ChainView(asked, keep_s=10_000) for chain, asked in merge_queries([early, late]).items()}
    evaluators = [PlanEvaluator(compiled, views) for compiled in (early, late)]
    home, away = chain_of(HOME), chain_of(AWAY)
    for number in range(5):
        views[AWAY].observe(away.block(100 * number, [(0, amount(1))]))
    for number in range(4):
        views[HOME].observe(home.block(170 + number, [(0, amount(1))]))

    first, second = (evaluator.advance() for evaluator in evaluators)

    assert [each.values["released"] for each in first] == [1, 2, 3, 4]
    assert [each.values["released"] for each in second] == [1, 2]
    assert second[0].block.number == 3
    assert second[0].pins.keys() == {HOME}  # its pin would be a block that is none of this plan's


# --- the same bytes on every node


def results(evaluations: Mapping[int, Evaluation], plan: Plan) -> list[bytes]:
    """What INV-B compares, by block: rule, result, values and pins."""
    names = [*plan.rules, RELEASE]
    return [encode([trace_of(evaluations[number], name) for name in names]) for number in sorted(evaluations)]


def two_chains(chance: random.Random, chain_of: Callable[[str], SyntheticChain]) -> list[list[BlockObserved]]:
    made = []
    for name, period in ((HOME, 12), (AWAY, 7)):
        chain, now, blocks = chain_of(name), 1_000, []
        for _ in range(120):
            now += chance.randrange(1, 2 * period)
            rows = [(0, amount(chance.randrange(40))) for _ in range(chance.choice([0, 0, 1, 3]))]
            blocks.append(chain.block(now, rows))
        made.append(blocks)
    return made


def feed(world: World, chance: random.Random, streams: list[list[BlockObserved]]) -> dict[int, Evaluation]:
    """Let both chains be observed in an order of chance, and keep the last evaluation of each block."""
    left = [list(stream) for stream in streams]
    found: dict[int, Evaluation] = {}
    while any(left):
        stream = chance.choice([each for each in left if each])
        for _ in range(min(chance.randrange(1, 30), len(stream))):
            event = stream.pop(0)
            world.views[event.reads.header.block.chain].observe(event)
        for evaluation in world.evaluator.advance():
            found[evaluation.block.number] = evaluation
        for number, evaluation in found.items():
            again = world.evaluator.evaluate_at(evaluation.block) if evaluation.abstains else None
            found[number] = again or evaluation
    return found


@pytest.mark.parametrize("local", ["", LOCAL_RULE])
def test_nodes_that_see_the_chains_in_another_order_reach_the_same_bytes(
    chance: random.Random,
    world_of: Callable[[str], World],
    chain_of: Callable[[str], SyntheticChain],
    local: str,
) -> None:
    streams = two_chains(chance, chain_of)
    reference: list[bytes] | None = None
    for _ in range(6):
        world = world_of(plan_text() + local)
        found = feed(world, chance, streams)
        settled = {number: each for number, each in found.items() if not each.abstains}
        assert len(settled) > 50
        made = results(settled, world.compiled.plan)
        shared = min(len(made), len(reference)) if reference else len(made)
        assert reference is None or made[:shared] == reference[:shared]
        reference = made


def test_a_node_that_followed_reorgs_reaches_the_bytes_of_one_that_joined_late(
    chance: random.Random, world_of: Callable[[str], World], chain_of: Callable[[str], SyntheticChain]
) -> None:
    world, late = world_of(plan_text() + LOCAL_RULE), world_of(plan_text() + LOCAL_RULE)
    now = {HOME: 1_000, AWAY: 1_000}
    kept: dict[Caip2, list[BlockObserved]] = {HOME: [], AWAY: []}
    found: dict[int, Evaluation] = {}
    for turn in range(400):
        chain = chance.choice([HOME, AWAY])
        if kept[chain] and chance.random() < 0.1:
            depth = min(chance.randrange(1, 4), len(kept[chain]) - 1)
            del kept[chain][len(kept[chain]) - depth :]
            ancestor = world.chains[chain].back_to(kept[chain][-1].reads.header.block.number, str(turn))
            now[chain] = ancestor.timestamp
            world.views[chain].rollback(ancestor)
            world.evaluator.rollback(ancestor)
            found = {number: each for number, each in found.items() if number <= world.evaluator.evaluated_to}
        now[chain] += chance.randrange(1, 24 if chain == HOME else 16)
        event = world.chains[chain].block(now[chain], [(0, amount(chance.randrange(40)))])
        kept[chain].append(event)
        world.views[chain].observe(event)
        for evaluation in world.evaluator.advance():
            found[evaluation.block.number] = evaluation
        for number, evaluation in found.items():
            again = world.evaluator.evaluate_at(evaluation.block) if evaluation.abstains else None
            found[number] = again or evaluation

    joined = {each.block.number: each for each in (*feed(late, chance, list(kept.values())).values(),)}

    plan = world.compiled.plan
    common = sorted(n for n in found.keys() & joined.keys() if not (found[n].abstains or joined[n].abstains))
    assert len(common) > 20
    assert results({n: found[n] for n in common}, plan) == results({n: joined[n] for n in common}, plan)


def test_the_trace_does_not_depend_on_how_the_file_was_ordered(
    world_of: Callable[[str], World], chance: random.Random, chain_of: Callable[[str], SyntheticChain]
) -> None:
    head, *sections = (plan_text() + LOCAL_RULE).split("\n[")
    streams = two_chains(chance, chain_of)
    made = []
    for _ in range(3):
        chance.shuffle(sections)
        world = world_of("\n[".join([head, *sections]))
        made.append(results(feed(world, random.Random(1), streams), world.compiled.plan))

    assert made[0] == made[1] == made[2]
    assert parse_plan(plan_text(), where="x").release is not None
