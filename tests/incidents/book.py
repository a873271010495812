"""The book of incidents: what the ready plans would have done, as the table that the README prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relay.plans.results import PlanResult, Rate
from tests.incidents import bridges, futures, markets, powers
from tests.incidents.diary import Scenario
from tests.incidents.judged import judge
from tests.incidents.quiet import Campaign, campaigns

RULES = Path(__file__).parents[2] / "relay" / "plans" / "RULES.md"
TABLE_HEAD = (
    "| shaped after | ready plan | first rule | found after | in fact | out by then, of all "
    "| false triggers before; on quiet days |",
    "|---|---|---|---|---|---|---|",
)
QUIET_HEAD = (
    "| ready plan | quiet days | rows | false triggers | at 95 % at most, in 1,000 h |",
    "|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Entry:
    """A scenario and what its plan did."""

    scenario: Scenario
    result: PlanResult

    def first_rules(self) -> tuple[str, ...]:
        """Give the rules that were held first, in ascending order of names; none where none was."""
        found = {name: rule.detection for name, rule in self.result.rules.items()}
        blocks = {name: each.block.number for name, each in found.items() if each is not None}
        return tuple(sorted(name for name, number in blocks.items() if number == min(blocks.values())))


def scenarios() -> tuple[Scenario, ...]:
    """Give all incidents, in the order of the table."""
    return (*bridges.scenarios(), *markets.scenarios(), *futures.scenarios(), *powers.scenarios())


def entry(scenario: Scenario) -> Entry:
    """Judge one incident."""
    return Entry(scenario, judge(scenario.plan, scenario.observations()))


def table_line(each: Entry) -> str:
    """Give an incident's line of the README's table."""
    plan, rate = each.result.plan, each.result.plan.rate
    assert rate is not None, "a scenario has quiet time"
    late, out = "–", "–"
    if plan.detection is not None:
        blocks, seconds = plan.detection.delay_blocks, plan.detection.delay_s
        late = "0 blocks" if blocks == 0 else f"{blocks} block{'s' * (blocks > 1)}, {seconds:,} s"
        out = f"{_millions(float(plan.detection.out_usd))} of {_millions(float(each.result.attack_usd))}"
        out += f" M USD, {100 * (plan.detection.share or 0):.1f} %"
    names = ", ".join(each.first_rules()) or "none, rightly"
    false = f"{len(plan.triggers)} in {each.result.quiet_hours:.0f} h; {quiet_words(each.scenario.ready)}"
    scenario = each.scenario
    cells = (scenario.name, f"`{scenario.ready}`", names, late, scenario.in_fact, out, false)
    return f"| {' | '.join(cells)} |"


def quiet_words(plan: str) -> str:
    """Give what the printed table of quiet days says of a plan: its own test holds it to what is made."""
    for line in RULES.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == f"`{plan}`" and len(cells) == len(QUIET_HEAD[0].strip("|").split("|")):
            days, triggers, bound = cells[1], cells[3], cells[4]
            return f"{triggers} in {days} d (≤ {bound} in 1,000 h)"
    raise AssertionError(f"expected a line of quiet days for {plan} in {RULES.name}")


def quiet_line(campaign: Campaign) -> str:
    """Give the line of a ready plan on long quiet time."""
    result = judge(campaign.text, campaign.observations())
    rate = result.plan.rate
    assert rate is not None, "a campaign has quiet time"
    triggers = len(result.plan.triggers)
    return f"| `{campaign.plan}` | {campaign.days:,} | {result.rows:,} | {triggers} | {_bound(rate)} |"


def table_lines() -> Iterator[str]:
    """Give the README's table."""
    yield from TABLE_HEAD
    for scenario in scenarios():
        yield table_line(entry(scenario))


def quiet_lines() -> Iterator[str]:
    """Give the table of quiet days; it takes minutes."""
    yield from QUIET_HEAD
    for campaign in campaigns().values():
        yield quiet_line(campaign)


def _bound(rate: Rate) -> str:
    return f"{rate.at_most:.2f}"


def _millions(usd: float) -> str:
    return f"{usd / 1_000_000:.1f}"
