"""Every ready plan is in order once it is filled in."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.plans.templates import ready_plan, ready_plans
from tests.cli.calls import tocsin


def _examples(name: str) -> list[str]:
    places = {place.name: place.example for place in ready_plan(name).placeholders if place.default is None}
    return [word for key, value in places.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("name", [plan.name for plan in ready_plans()])
def test_a_ready_plan_filled_in_with_its_examples_is_in_order(name: str, tmp_path: Path) -> None:
    made = tocsin("plan", "new", "--from", name, *_examples(name), "-o", tmp_path / "a.plan.toml")
    checked = tocsin("plan", "check", tmp_path / "a.plan.toml")

    assert (made.code, checked.code) == (0, 0), made.out + checked.out
