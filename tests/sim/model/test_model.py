"""What decisions and gateways promise together, over thousands of schedules; and which rule keeps which
promise.
"""

from __future__ import annotations

import os
import random

import pytest

from proofs.mandate import Op
from tests.sim.gateway import Budget, Rule
from tests.sim.model.terms import (
    ALL_RULES,
    SLOT,
    AnyRule,
    Bring,
    Conditions,
    DecisionRule,
    Property,
    RuleTurns,
    Schedule,
    random_schedule,
)
from tests.sim.model.world import broken_by, first_broken

SCHEDULES = int(os.environ.get("TOCSIN_MODEL_SCHEDULES", "300"))
CALM = Conditions((0, -2), (2,), Budget(400, fast=70, all=200, fast_records=3))

WITHHELD_RELEASE = Schedule(
    (
        RuleTurns(2, True),
        RuleTurns(8, False),
        RuleTurns(19, True),
        Bring(26, 1, Op.RELEASE, False, False),
        RuleTurns(60, False),
    ),
    CALM,
)
"""A release is decided while the rule is quiet; the attack comes, and then somebody brings the release."""
DODGED_RUNG = Schedule(
    (
        RuleTurns(2, True),
        *(
            turn
            for slot in range(8)
            for turn in (
                RuleTurns(SLOT * slot + (3 if slot else 5), False),
                RuleTurns(SLOT * slot + (4 if slot else 6), True),
            )
        ),
        RuleTurns(60, False),
    ),
    CALM,
)
"""The attacker makes the rule false for one block per slot: the one at which the second rung would be due."""
DIRECTED = (WITHHELD_RELEASE, DODGED_RUNG)

KEEPS: dict[AnyRule, set[Property]] = {
    Rule.EXACT_UNDO: {Property.OTHERS},
    Rule.CLOSE_FOREIGN: {Property.OTHERS, Property.PROTECTED, Property.ENDS},
    Rule.VETO_AHEAD: {Property.DEAD},
    Rule.RELEASE_OVER_LAST: {Property.NO_GAP},
    Rule.EXTEND_DIES: {Property.DEAD},
    Rule.UNCAPPED_RECORD: {Property.PROTECTED, Property.NO_GAP},
    Rule.CLIP: {Property.PROTECTED, Property.NO_GAP},
    Rule.TWO_WINDOWS: {Property.POWER},
    DecisionRule.BOTH_TIERS: {Property.PROTECTED, Property.NO_GAP},
    DecisionRule.DODGED_RUNG: {Property.RUNG},
    DecisionRule.AFTER_RELEASE: {Property.NO_GAP},
}
"""What breaks first without each rule, in the schedules searched."""


@pytest.mark.timeout(600)
def test_no_schedule_breaks_a_property() -> None:
    for schedule in DIRECTED:
        assert not broken_by(schedule, ALL_RULES)

    broken = first_broken(ALL_RULES, seed=1, schedules=SCHEDULES)

    assert broken is None, f"seed 1, schedule {broken}"


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_schedule_of_a_long_search_breaks_a_property(seed: int) -> None:
    broken = first_broken(ALL_RULES, seed=seed % 10_000, schedules=20 * SCHEDULES)

    assert broken is None, f"seed {seed % 10_000}, schedule {broken}"


@pytest.mark.parametrize("rule", KEEPS, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed_without_it_a_property_breaks(rule: AnyRule) -> None:
    without = ALL_RULES - {rule}
    found = set[Property]()

    for schedule in DIRECTED:
        found |= broken_by(schedule, without).keys()
    number = 0
    while not found and number < 400:
        found |= broken_by(random_schedule(random.Random(10_000_000 + number)), without).keys()
        number += 1

    assert found, f"{rule} can be left out: nothing breaks in {number} schedules"
    assert found <= KEEPS[rule]
    assert set(KEEPS) == ALL_RULES
