"""Hear theirs, decide mine: links follow certificates, once, and not in circles (SPEC 5.4)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

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


LENDER = """
format = "tocsin/plan/1"
protocol = "lender"
version = 1
mode = "armed"
reason = "the market was frozen"
contacts = ["mailto:lender@sim.example"]
[clock]
reference = "sim:home"
lag_s = 20
rearm_s = 120
patience_s = 60
mandate_fast_s = 480
mandate_full_s = 480
[chains."sim:home"]
gateway = "gateway-lender"
targets = ["lender"]
since = 1
[metrics.stake]
read = "call"
chain = "sim:home"
from = "oracle"
call = "price()"
[acts.shut]
verb = "lock"
chain = "sim:home"
target = "lender"
call = "shut()"
state = "shut()"
value = 1
undo = "open()"
tier = "fast"
lasts = "5m"
[[listen]]
name = "market"
plan = "sim:away:gateway-market"
shares = "stake"
when = "stake > 0"
ladder = [["shut"]]
max_hops = HOPS
"""


def ring(hops: int = 8) -> tuple[CompiledPlan, ...]:
    """Give three plans of which each listens to the one before: bridge, market, lender, bridge."""
    back = LISTENING_BRIDGE.replace("sim:away:gateway-market", "sim:home:gateway-lender")
    return compile_text(back), compile_text(MARKET), compile_text(LENDER.replace("HOPS", str(hops)))


def with_records(compiled: CompiledPlan, records: int) -> CompiledPlan:
    """Give a plan whose links have a budget of so many decisions."""
    listen = tuple(replace(link, records=records) for link in compiled.plan.listen)
    return replace(compiled, plan=replace(compiled.plan, listen=listen))


def certified(town: Town) -> dict[str, set[int]]:
    """Give the anchors' times of the decisions that some host has certified, by subject."""
    found: dict[str, set[int]] = {}
    for host in town.up():
        assert host.node is not None
        for entry in host.node.book.entries.values():
            decision = entry.tally.prepared.decision
            if entry.tally.certificate is not None:
                found.setdefault(decision.subject, set()).add(decision.anchor.timestamp)
    return found


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


def test_a_link_may_ask_for_one_of_several_verbs() -> None:
    market = MARKET.replace('on_fault = "trigger"', "")
    market = market.replace("peer.verb == 'pause'", "peer.verb in ['lock', 'pause']")
    town = Town(random.Random(33), plans=(compile_text(BRIDGE), compile_text(market)))
    town.burn(100)
    town.run(40)
    town.release(500)

    town.run(200)

    assert "in ['lock', 'pause']" in market
    assert all("link:bridge" in certified for certified in subjects(town))


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


@pytest.mark.parametrize(
    ("hops", "expected"), [(8, {"unbacked", "link:bridge", "link:market"}), (1, {"unbacked", "link:bridge"})]
)
def test_a_ring_of_three_is_gone_round_once_and_no_further_than_its_hops(
    hops: int, expected: set[str]
) -> None:
    town = Town(random.Random(35), plans=ring(hops))
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)

    town.run(110)

    assert subjects(town) == [expected] * 4
    roots = certified(town)["unbacked"]
    for link in expected - {"unbacked"}:
        assert len(certified(town)[link]) <= len(roots), "a link makes more of a decision than one"


def test_a_link_whose_parent_decides_in_every_slot_stops_at_its_budget() -> None:
    bridge, market = compile_text(BRIDGE), with_records(compile_text(MARKET), 1)
    town = Town(random.Random(36), plans=(bridge, market))
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)

    def slots() -> set[int]:
        return {at_s // 120 for at_s in certified(town).get("unbacked", ())}

    town.run_until(lambda: len(slots()) == 3, within_s=480, what="three slots")
    town.run(40)

    assert len(certified(town)["link:bridge"]) == 1
    reasons = [notice.facts.get("reason") for host in town.up() for notice in host.notices]
    assert "its decisions of this window are spent" in reasons
