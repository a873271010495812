"""Every ready plan, filled with its examples, is a plan that can be checked, compiled and priced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.core.plan import Plan
from relay.core.plan_file import survey_plan
from relay.plans.templates import ready_plan, ready_plans
from tests.cli.calls import tocsin
from tests.incidents.cases import CASES
from tests.incidents.diary import example_values, filled
from tests.incidents.judged import compiled
from tests.incidents.quiet import campaigns

RULES = Path(__file__).parents[2] / "relay" / "plans" / "RULES.md"
NAMES = [plan.name for plan in ready_plans()]
each_plan = pytest.mark.parametrize("name", NAMES)
WANTED = {
    "aave-v3",
    "bridge",
    "bridge-messages",
    "guard",
    "lending",
    "oracle",
    "pausable",
    "perps",
    "sentinel",
    "stablecoin",
    "supply",
}


def test_the_ready_plans_are_there() -> None:
    assert set(NAMES) >= WANTED
    assert set(campaigns()) == set(NAMES)


@each_plan
def test_a_filled_one_has_no_error(name: str) -> None:
    found = survey_plan(filled(name), where=name)

    assert isinstance(found, Plan), found
    compiled(filled(name))


@each_plan
def test_plan_check_takes_it_as_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.plan.toml"
    file.write_text(filled(name))

    said = tocsin("plan", "check", file, "--block-time", "12", "--json")

    assert said.code == 0, said.out + said.err


@each_plan
def test_it_begins_in_shadow_and_ends_by_itself(name: str) -> None:
    plan = compiled(filled(name)).plan

    assert plan.mode.value == "shadow"
    assert plan.release is not None
    assert plan.budget.frozen_time_s < plan.budget.window_s
    assert all(act.text.undo or act.text.restore for act in plan.acts.values())


@each_plan
def test_every_limit_is_used_and_explained(name: str) -> None:
    text = filled(name)

    for limit in compiled(text).plan.limits:
        assert len(re.findall(rf"\b{limit}\b", text)) > 1, limit
    lines = re.search(r"^\[limits\]\n(.*?)^\[", text, re.MULTILINE | re.DOTALL)
    assert lines is not None
    for line in lines[1].strip().splitlines():
        assert "#" in line or name == "guard", f"expected what it means behind {line}"


@each_plan
def test_every_place_has_an_example_that_fits(name: str) -> None:
    for place in ready_plan(name).placeholders:
        assert place.about, place.name
        assert place.default is not None or example_values(name)[place.name], place.name


@each_plan
def test_every_rule_has_a_case(name: str) -> None:
    judged = {case.rule for case in CASES if case.plan == name}

    # Silence cannot be told by rows, and the jumps of a market are rule 8 on another token.
    assert compiled(filled(name)).plan.rules.keys() - judged <= {"chain-stalled", *AAVE, *TWICE}


AAVE = {"supply-jump", "deposit-jump", "utilisation"}
"""Of Aave's market: told by the scenario after Kelp, and by rules 8 and 13."""
TWICE = {"drain"}
"""Of the bridge: told by the scenarios after Ronin and Nomad, and by rule 3."""


def test_every_rule_has_its_section() -> None:
    text = RULES.read_text()
    sections = re.findall(r"^## (\d+)\. (.+)$", text, re.MULTILINE)

    assert [int(number) for number, _ in sections] == list(range(1, 16))
    for heading in ("formula", "defaults", "source", "fires on", "quiet on", "who can ring it", "blind to"):
        assert text.count(f"| {heading} |") == 15, heading


def test_the_ready_plans_name_sections_that_are_there() -> None:
    for name in NAMES:
        assert "RULES.md" in ready_plan(name).about, name
