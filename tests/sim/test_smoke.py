"""One incident from its first block to its last, on four honest nodes."""

from __future__ import annotations

import random

from relay.core.incidents import incidents
from relay.core.messages import Verdict
from relay.core.observations import GatewayEventKind
from tests.sim.town import Town


def test_a_drain_is_contained_on_both_chains_and_reopened_when_it_is_made_good() -> None:
    town = Town(random.Random(1))
    town.burn(100)
    town.run(60)
    assert all(host.node is not None and host.node.is_released for host in town.hosts.values())
    assert not town.certified(town.hosts["alice"], "unbacked")

    town.release(500)
    town.run_until(lambda: town.state("halt") == 1, within_s=40, what="the bridge is halted")
    town.run_until(lambda: town.state("freeze") == 1, within_s=60, what="the market follows")
    town.run_until(lambda: town.state("lower-cap") == 10, within_s=150, what="the full rung takes effect")
    town.burn(400)
    town.run_until(lambda: town.state("halt") == 0, within_s=700, what="the bridge is reopened")
    town.run_until(lambda: town.state("freeze") == 0, within_s=900, what="the market is reopened")
    town.run_until(lambda: town.state("lower-cap") == 100, within_s=900, what="the cap is restored")

    for host in town.hosts.values():
        assert host.node is not None
        assert not host.pages, host.pages
        assert {each.verdict for each in host.signed} == {Verdict.ATTEST}


def test_the_incident_is_one_view_over_decisions_links_and_effects() -> None:
    town = Town(random.Random(2))
    town.burn(100)
    town.run(60)

    town.release(500)
    town.run(150)

    for host in town.hosts.values():
        assert host.node is not None
        found = incidents(host.node.book, host.node.landing)
        assert [(each.protocol, each.rule) for each in found] == [("bridge", "unbacked")]
        assert found[0].is_contained
        subjects = {item.entry.tally.prepared.decision.subject for item in found[0].decisions}
        assert subjects == {"unbacked", "link:bridge"}
        started = [
            act.name
            for item in found[0].decisions
            for act in item.acts
            if act.event is not None and act.event.kind is GatewayEventKind.STARTED
        ]
        assert sorted(started) == ["freeze", "halt", "lower-cap"]
