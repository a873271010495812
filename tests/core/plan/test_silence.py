"""Silence of a chain: told without a pin, and never because a node itself reads late (plans SPEC 1.2)."""

from __future__ import annotations

import random
from dataclasses import replace

from relay.core.evaluate import Outcome, trace_of
from relay.core.events import BlockObserved
from relay.core.types import Caip2
from tests.core.plan.crossing import (
    AWAY,
    HOME,
    LAG_S,
    PATIENCE_S,
    Branch,
    Follower,
    branches,
    crossing_plan,
)


def steady(node: Follower) -> dict[Caip2, Branch]:
    """Both chains with a block every 12 s."""
    chains = branches(random.Random(1), node)
    for branch in chains.values():
        branch.steps_s = (12,)
    return chains


def ahead(event: BlockObserved, newest: BlockObserved) -> BlockObserved:
    """The block as it is seen by who knows of a newer one."""
    return replace(event, head=newest.head)


def stalled(node: Follower) -> dict[int, Outcome]:
    return {each.block.number: each.rules["stalled"].outcome for each in node.evaluations()}


def test_a_rule_about_silence_does_not_wait_for_the_silent_chain() -> None:
    node = Follower(crossing_plan())
    chains = steady(node)
    node.see([chains[AWAY].grow() for _ in range(3)])
    silent_from_s = chains[AWAY].blocks[-1].reads.header.block.timestamp
    for _ in range(30):
        node.see([chains[HOME].grow()])

    seen = {each.block.timestamp: each for each in node.evaluations()}

    assert [each.number for each in seen.values() for each in [each.block]] == list(range(3, 31))
    for time_s, each in seen.items():
        silent_s = time_s - LAG_S - silent_from_s
        if silent_s >= 0:
            assert each.values["silent"] == (silent_s if silent_s >= PATIENCE_S else 0)
            assert each.rules["stalled"].outcome is (Outcome.TRUE if silent_s > 150 else Outcome.FALSE)
            assert each.rules["unbacked"].outcome is Outcome.ABSTAIN
    before = {each.block: trace_of(each, "stalled") for each in seen.values()}
    node.see([chains[AWAY].grow(1_000)])
    assert {each.block: trace_of(each, "stalled") for each in node.evaluations()} == before


def test_a_chain_that_is_only_read_late_is_not_silent_and_who_reads_no_more_of_it_abstains() -> None:
    node = Follower(crossing_plan(is_deaf=True))
    chains = steady(node)
    away = [chains[AWAY].grow() for _ in range(60)]
    node.see([chains[HOME].grow() for _ in range(5)])
    node.see([ahead(event, away[-1]) for event in away[:2]])

    node.see([chains[HOME].grow() for _ in range(8)])
    assert max(stalled(node)) == 12  # from the 13th on, what is not read yet decides

    node.see([chains[HOME].grow() for _ in range(8)])
    assert {outcome for number, outcome in stalled(node).items() if number > 12} == {Outcome.ABSTAIN}
    assert node.evaluations()[-1].waiting == (AWAY,)

    node.see(away[2:])
    assert {outcome for number, outcome in stalled(node).items() if number > 4} == {Outcome.FALSE}
    assert max(stalled(node)) == 21


def test_a_chain_that_is_known_to_have_gone_on_is_silent_up_to_there() -> None:
    node = Follower(crossing_plan(is_deaf=True))
    chains = steady(node)
    away = [chains[AWAY].grow() for _ in range(5)]
    node.see([ahead(event, away[-1]) for event in away[:2]])
    for _ in range(60):
        node.see([chains[HOME].grow()])

    last = node.evaluations()[-1]

    assert last.values["silent"] == last.block.timestamp - LAG_S - away[-1].head.timestamp
    assert last.rules["stalled"].outcome is Outcome.TRUE


def test_a_chain_without_a_block_is_not_silent_but_unknown() -> None:
    node = Follower(crossing_plan(is_deaf=True))
    chains = steady(node)
    node.see([chains[HOME].grow() for _ in range(30)])
    assert set(stalled(node).values()) == {Outcome.ABSTAIN}

    node.see([chains[AWAY].grow() for _ in range(60)])

    found = stalled(node)
    assert {found[number] for number in range(6, 31)} == {Outcome.FALSE}
    assert found[3] is Outcome.ABSTAIN  # no block of that chain lies that far back
