"""What a plan of several rules costs: each false trigger as long as its own rule freezes (plans SPEC 4)."""

from __future__ import annotations

import pytest

from relay.plans.intervals import poisson_bounds
from tests.plans.test_backtest import RECENT, rule, run
from tests.plans.worlds import event, plan_text

HOURS = 1_000
CAP = """[acts.slow]
verb = "cap"
chain = "eip155:1"
target = "0x3333333333333333333333333333333333333333"
call = "cap(uint256 1)"
state = "capped()"
value = 1
undo = "uncap()"
tier = "fast"
lasts = "2h"
"""


def test_a_rule_that_never_rings_does_not_set_the_price_of_one_that_does() -> None:
    often = rule("gone > 10", name="often").replace("halt", "slow")
    text = plan_text(RECENT, often + rule("gone > 100", name="never") + CAP)
    rows = [event(at_h * 3_600, "out", 50) for at_h in (1, 200, 400)]

    result = run(text, event(0, "out"), *rows, event(HOURS * 3_600, "out"))

    frozen, own = result.plan.frozen, result.rules["often"].frozen
    assert frozen is not None
    assert own is not None
    assert result.quiet_hours == pytest.approx(HOURS, rel=1e-3)
    assert frozen.expected == own.expected == pytest.approx(3 * 2 * 8.76, rel=1e-3)
    bounds = poisson_bounds(3)
    expected = [2 * 8.76 * bounds.low, 6 * 8.76 * bounds.high, 6 * 8.76 * bounds.at_most]
    assert [frozen.low, frozen.high, frozen.at_most] == pytest.approx(expected, rel=1e-3)


def test_a_trigger_of_two_rules_freezes_as_long_as_the_longer_act() -> None:
    both = rule("gone > 10", name="one").replace("halt", "slow") + rule("gone > 10", name="two")

    result = run(
        plan_text(RECENT, both + CAP), event(0, "out"), event(3_600, "out", 50), event(36_000_000, "out")
    )

    assert result.plan.frozen is not None
    assert result.rules["two"].frozen is not None
    assert result.plan.frozen.expected == result.rules["two"].frozen.expected > 0
