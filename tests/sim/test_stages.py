"""Release in stages on two simulated chains, to the end of an incident (plans SPEC 1.4)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.mandate import Op
from relay.core.compiled import CompiledPlan
from relay.core.plan import ReleaseRule
from tests.sim.invariants import Witness
from tests.sim.plans import BRIDGE, MARKET, REARM_S, compile_text
from tests.sim.town import Town


def staged(*stages: tuple[str, ...]) -> tuple[CompiledPlan, ...]:
    """Give the two plans; the bridge's acts last long and end in this order."""
    bridge, market = compile_text(BRIDGE.replace('lasts = "5m"', 'lasts = "40m"')), compile_text(MARKET)
    assert bridge.plan.release is not None
    release = ReleaseRule(bridge.plan.release.when, 2, stages)
    return replace(bridge, plan=replace(bridge.plan, release=release)), market


def slots(town: Town, act: str) -> list[int]:
    """Give the slots in which releases of an act are certified."""
    node = town.hosts["alice"].node
    assert node is not None
    found = [entry.tally for entry in node.book.entries.values() if entry.tally.certificate is not None]
    decisions = [tally.prepared.decision for tally in found]
    return sorted(
        each.anchor.timestamp // REARM_S for each in decisions if (each.op, each.subject) == (Op.RELEASE, act)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "first", "last"),
    [(1, "lower-cap", "halt"), (2, "halt", "lower-cap")],
)
def test_the_act_of_the_later_stage_is_released_a_slot_after_the_earlier_one_has_ended(
    seed: int, first: str, last: str
) -> None:
    town = Town(random.Random(seed), plans=staged((first,), (last,)))
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)
    town.run_until(lambda: town.state("lower-cap") == 10, within_s=200, what="both rungs take effect")
    assert town.state("halt") == 1

    town.burn(400)
    town.run_until(lambda: town.record_until(first) is None, within_s=700, what=f"{first} ends")
    assert town.record_until(last) is not None, f"{last} before {first}"
    town.run_until(lambda: town.record_until(last) is None, within_s=600, what=f"{last} ends")

    assert (town.state("halt"), town.state("lower-cap")) == (0, 100)
    assert min(slots(town, first)) < min(slots(town, last)), "stages are released at least a slot apart"
