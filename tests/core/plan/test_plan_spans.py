"""Spans that are too short for the chains that a plan lives on (plans SPEC 2)."""

from __future__ import annotations

import pytest

from relay.core.plan import Plan
from relay.core.plan_file import parse_plan
from relay.core.plan_spans import check_spans
from relay.core.types import Caip2
from tests.core.plan.conftest import PLANS

BRIDGE = (PLANS / "bridge.plan.toml").read_text()
ETHEREUM, MOONBEAM = Caip2("eip155:1"), Caip2("eip155:1284")
TIMES = {ETHEREUM: 12.0, MOONBEAM: 6.0}


def plan_with(old: str = "", new: str = "") -> Plan:
    """Give the bridge's plan with one text replaced."""
    assert old in BRIDGE
    return parse_plan(BRIDGE.replace(old, new, 1), where="x")


def told(plan: Plan, finality_s: dict[Caip2, int], times: dict[Caip2, float] = TIMES) -> list[str]:
    """Give the keys at fault."""
    return [error.where for error in check_spans(plan, times, finality_s)]


def test_a_sound_plan_has_no_span_that_is_too_short() -> None:
    assert told(plan_with(), {}) == []


@pytest.mark.parametrize(
    ("lasts", "finality_s", "keys"),
    [
        # 2 * (900 + 600 + 120) where nothing is known of the chains.
        ("3600s", {}, []),
        ("3600s", {ETHEREUM: 900, MOONBEAM: 1_081}, ["acts.halt-replica.lasts"]),
        ("3600s", {ETHEREUM: 900, MOONBEAM: 1_080}, []),
        ("3600s", {ETHEREUM: 1_081, MOONBEAM: 60}, ["acts.halt-replica.lasts"]),
        ("3600s", {ETHEREUM: 60}, []),
    ],
)
def test_full_protection_must_be_able_to_follow_a_fast_act(
    lasts: str, finality_s: dict[Caip2, int], keys: list[str]
) -> None:
    assert told(plan_with('lasts = "6h"', f'lasts = "{lasts}"'), finality_s) == keys


def test_where_finality_is_not_known_it_is_a_quarter_of_an_hour() -> None:
    text = BRIDGE.replace('reference = "eip155:1"', 'reference = "eip155:1"\nrearm_s = 600')

    for lasts_s, keys in ((3_239, ["acts.halt-replica.lasts"]), (3_240, [])):
        plan = parse_plan(text.replace('lasts = "6h"', f'lasts = "{lasts_s}s"'), where="x")
        assert told(plan, {}) == keys


def test_a_drill_and_a_full_act_may_be_as_short_as_they_like() -> None:
    text = BRIDGE.replace('lasts = "6h"', 'lasts = "3600s"')
    slow = {ETHEREUM: 5_000}

    assert told(parse_plan(text.replace('verb = "pause"', 'verb = "drill"'), where="x"), slow) == []
    assert told(parse_plan(text.replace('tier = "fast"', 'tier = "full"'), where="x"), slow) == []
    assert told(parse_plan(text, where="x"), slow) == ["acts.halt-replica.lasts"]


@pytest.mark.parametrize(
    ("hold", "every", "block_s", "keys"),
    [
        (150, 1, 12.0, []),
        (149, 1, 12.0, ["release.hold"]),
        (75, 2, 12.0, []),
        (300, 1, 2.0, ["release.hold"]),
        (7_200, 1, 0.25, []),
        (7_199, 1, 0.25, ["release.hold"]),
    ],
)
def test_a_release_must_be_held_as_long_as_a_fast_mandate_lives(
    hold: int, every: int, block_s: float, keys: list[str]
) -> None:
    text = BRIDGE.replace("hold = 300", f"hold = {hold}").replace(
        'reference = "eip155:1"', f'reference = "eip155:1"\nevery = {every}'
    )

    assert told(parse_plan(text, where="x"), {}, {ETHEREUM: block_s}) == keys


def test_without_the_block_time_of_the_reference_chain_the_hold_is_not_judged() -> None:
    assert told(plan_with("hold = 300", "hold = 1"), {}, {MOONBEAM: 1.0}) == []
