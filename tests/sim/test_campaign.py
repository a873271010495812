"""Seeded campaigns: bad weather, crashes, re-orgs, blindness and liars; then calm, and every promise is
kept.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.sim.host import Host, WriteFault
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.liars import Mallory, Silent
from tests.sim.plans import AWAY, HOME, REARM_S
from tests.sim.town import Town, Weather

SEEDS = range(int(os.environ.get("TOCSIN_SIM_SEEDS", "1")))
LATER_SEEDS = range(SEEDS.stop, 3)
MORE_SEEDS = range(int(os.environ.get("TOCSIN_SIM_MORE_SEEDS", "2")))
FIRST_SEED = int(os.environ.get("TOCSIN_SIM_FIRST_SEED", "1000"))


def storm(town: Town, seconds: int, *, crashes: bool = True) -> None:
    """Let `seconds` of bad luck pass."""
    chance = town.chance
    town.weather = Weather(drop=0.2, duplicate=0.2, max_delay_ms=chance.choice((800, 3_000, 8_000)))
    for _ in range(seconds):
        for host in town.hosts.values():
            if host.is_up and crashes and chance.random() < 0.01:
                host.fault = chance.choice(tuple(WriteFault))
            elif not host.is_up and host.keys.name not in town.late and chance.random() < 0.05:
                host.start()
            if chance.random() < 0.01:
                host.blind ^= {chance.choice((HOME, AWAY))}
            if chance.random() < 0.01:
                host.can_submit = not host.can_submit
        if chance.random() < 0.02:
            town.chains[chance.choice((HOME, AWAY))].reorg(chance.randrange(1, 4))
        town.step()


def calm(town: Town) -> None:
    """All hosts run and read; the network only delays."""
    town.weather = Weather(max_delay_ms=500)
    town.late = []
    for host in town.hosts.values():
        host.fault, host.can_submit = None, True
        host.blind.clear()
        if not host.is_up:
            host.start()


def slots_decided(town: Town, host: Host, subject: str) -> set[int]:
    """Give the slots in which a host knows a certified fast decision."""
    assert host.node is not None
    return {
        entry.tally.prepared.decision.anchor.timestamp // REARM_S
        for entry in host.node.book.entries.values()
        if entry.tally.certificate is not None
        and not entry.void
        and entry.tally.prepared.decision.subject == subject
        and entry.tally.prepared.decision.tier == 1
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", SEEDS)
def test_whatever_happens_no_promise_is_broken_and_calm_brings_protection_in_every_slot(number: int) -> None:
    campaign(FIRST_SEED + number, size=4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", LATER_SEEDS)
def test_so_it_is_in_other_storms(number: int) -> None:
    campaign(FIRST_SEED + number, size=4)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("number", MORE_SEEDS)
def test_so_it_is_with_seven_members_and_two_liars(number: int) -> None:
    campaign(FIRST_SEED + 500 + number, size=7)


def campaign(seed: int, *, size: int) -> None:
    """Run one town through a storm, a calm and the end of its incident."""
    print(f"TOCSIN_SIM_FIRST_SEED={seed} TOCSIN_SIM_SEEDS=1, {size} members")
    chance = random.Random(seed)
    liars = [chance.choice((Mallory, Mallory, Silent)) for _ in range((size - 1) // 3)]
    town = Town(chance, size=size, liars=liars, late=chance.choice((0, 1)))
    town.checks.append(Witness())
    town.burn(100)
    town.run(30)

    storm(town, 60)
    town.release(500)
    storm(town, 120)
    calm(town)
    town.run(75)  # the longest wait of a member whose peers lied to it about its own statements
    first = town.now_s // REARM_S + 1
    town.run_until(lambda: town.now_s >= (first + 2) * REARM_S + 20, within_s=999, what="two slots pass")

    for host in town.hosts.values():
        assert host.node is not None, f"{host.keys.name} stopped: {host.stopped}"
        assert host.node.is_released, f"{host.keys.name} is locked: {host.node.recall}"
        decided = slots_decided(town, host, "unbacked")
        assert {first, first + 1} <= decided, f"INV-C, INV-D: {host.keys.name} decided {decided} from {first}"
    assert_replay_is_equal(chance.choice(list(town.hosts.values())))
    assert town.state("halt") == 1, "the rule is true and the bridge is open"
    until = town.record_until("halt")
    assert until is not None
    assert until > town.now_s, "protection is not renewed before it ends"

    town.is_lying = (
        False  # their statements are still about, and so are those of the decisions that they spoilt
    )
    town.burn(400)
    town.run_until(
        lambda: all(town.record_until(act) is None for act in ("halt", "lower-cap", "freeze")),
        within_s=1_500,
        what="everything ends",
    )
    assert (town.state("halt"), town.state("lower-cap"), town.state("freeze")) == (0, 100, 0)
