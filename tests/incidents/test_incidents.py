"""The book of incidents: how late each is found, what is out by then, and what never may ring."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.incidents.book import QUIET_HEAD, TABLE_HEAD, Entry, entry, quiet_line, scenarios, table_line
from tests.incidents.diary import Scenario
from tests.incidents.judged import judge
from tests.incidents.markets import plan_of_one_feed
from tests.incidents.quiet import campaigns

REPOSITORY = Path(__file__).parents[2]
SCENARIOS = scenarios()
INCIDENTS = [scenario for scenario in SCENARIOS if scenario.rules]
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
each_incident = pytest.mark.parametrize("scenario", INCIDENTS, ids=lambda scenario: scenario.name)


@pytest.fixture(scope="module")
def judged() -> Callable[[Scenario], Entry]:
    """Judge a scenario once for all tests."""
    return cache(entry)


@each_incident
def test_an_incident_is_found_in_time(scenario: Scenario, judged: Callable[[Scenario], Entry]) -> None:
    found = judged(scenario).result.plan.detection

    assert found is not None, f"seed {scenario.seed}"
    assert found.delay_s <= scenario.most_delay_s, f"seed {scenario.seed}"
    assert found.share is not None
    assert found.share <= scenario.most_share, f"seed {scenario.seed}"


@each_incident
def test_the_rules_that_are_meant_for_it_find_it(
    scenario: Scenario, judged: Callable[[Scenario], Entry]
) -> None:
    result = judged(scenario).result

    assert scenario.rules[0] in judged(scenario).first_rules(), f"seed {scenario.seed}"
    for rule in scenario.rules:
        assert result.rules[rule].detection is not None, f"{rule}, seed {scenario.seed}"


@each_scenario
def test_nothing_rings_before_it_or_where_nothing_happens(
    scenario: Scenario, judged: Callable[[Scenario], Entry]
) -> None:
    result = judged(scenario).result

    assert result.quiet_hours > 0
    assert result.plan.triggers == (), f"seed {scenario.seed}"


def test_a_plan_that_believes_one_feed_rings_where_nothing_happens() -> None:
    scenario = next(each for each in SCENARIOS if not each.rules)

    result = judge(plan_of_one_feed(), scenario.observations())

    assert result.plan.triggers != (), f"seed {scenario.seed}"


@each_scenario
def test_a_scenario_is_the_same_every_time(scenario: Scenario) -> None:
    assert scenario.observations() == scenario.observations()


def _table(path: Path, head: tuple[str, str]) -> list[str]:
    """Give the lines of the table with this head."""
    lines = path.read_text().splitlines()
    start = lines.index(head[0]) + len(head)
    end = next(place for place in range(start, len(lines)) if not lines[place].startswith("|"))
    return lines[start:end]


def test_the_readme_prints_the_table_as_it_is_made(judged: Callable[[Scenario], Entry]) -> None:
    assert _table(REPOSITORY / "README.md", TABLE_HEAD) == [table_line(judged(each)) for each in SCENARIOS]


def test_the_rules_print_a_line_of_quiet_days_for_every_ready_plan() -> None:
    lines = _table(REPOSITORY / "relay" / "plans" / "RULES.md", QUIET_HEAD)

    assert [line.split("|")[1].strip(" `") for line in lines] == list(campaigns())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", list(campaigns()))
def test_long_quiet_time_is_as_printed(name: str) -> None:
    line = quiet_line(campaigns()[name])

    assert line in _table(REPOSITORY / "relay" / "plans" / "RULES.md", QUIET_HEAD)
