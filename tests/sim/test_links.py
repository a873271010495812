"""Hear theirs, decide mine: links follow certificates, once, and not in circles (SPEC 5.4)."""

from __future__ import annotations

import random

from relay.core.compiled import CompiledPlan
from tests.sim import plans as sim_plans
from tests.sim.invariants import Witness
from tests.sim.plans import BRIDGE, MARKET, compile_text
from tests.sim.town import Town

LISTENING_BRIDGE = (
    BRIDGE
    + """
[[listen]]
name = "market"
plan = "sim:away:gateway-market"
shares = "collateral"
when = "peer.hops <= 8"
ladder = [["halt"]]
max_hops = 8
"""
)


def circle() -> tuple[CompiledPlan, ...]:
    """Give two plans that listen to each other."""
    return compile_text(LISTENING_BRIDGE), compile_text(MARKET)


def subjects(town: Town) -> list[set[str]]:
    """Give what each host has certified."""
    return [
        {
            entry.tally.prepared.decision.subject
            for entry in host.node.book.entries.values()  # type: ignore[union-attr]  # all are up
            if entry.tally.certificate is not None
        }
        for host in town.up()
    ]


def test_two_plans_that_listen_to_each_other_do_not_go_round() -> None:
    town = Town(random.Random(31), plans=circle())
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)

    town.run(200)

    assert subjects(town) == [{"unbacked", "link:bridge"}] * 4


def test_a_child_that_is_certified_before_its_parent_is_known_is_followed_no_further_either() -> None:
    town = Town(random.Random(32), plans=circle())
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    alice = town.hosts["alice"]
    held: list[bytes] = []
    receive = alice.receive

    def without_parents(raw: bytes) -> None:
        """Let mail about the bridge's own decisions wait."""
        (held.append if b"unbacked" in raw and b"link:" not in raw else receive)(raw)

    alice.receive = without_parents  # type: ignore[method-assign]
    alice.blind = {sim_plans.HOME}
    town.release(500)
    town.run(40)
    assert alice.node is not None
    assert subjects(town)[0] == {"link:bridge"}
    assert not alice.node.book.links.waiting

    del alice.receive
    for raw in held:
        alice.receive(raw)
    alice.blind = set()
    town.run(100)

    assert subjects(town) == [{"unbacked", "link:bridge"}] * 4


def test_a_link_whose_condition_is_false_is_not_followed() -> None:
    town = Town(random.Random(33))
    town.chains[sim_plans.AWAY].set_call("collateral()", 0)
    town.burn(100)
    town.run(40)
    town.release(500)

    town.run(150)

    assert subjects(town) == [{"unbacked"}] * 4
    assert town.state("freeze") == 0


def test_a_link_whose_metric_faults_is_followed_if_the_plan_says_so() -> None:
    town = Town(random.Random(34))
    town.chains[sim_plans.AWAY].set_call("collateral()", None, "reverted")
    town.burn(100)
    town.run(40)
    town.release(500)

    town.run_until(lambda: town.state("freeze") == 1, within_s=90, what="the market follows")
