"""The bridge plan over real withdrawals: 4,857 quiet hours, then the attack (an optional input)."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relay.core.evaluate import Evaluation, Outcome, trace_of
from relay.core.types import Caip2

if TYPE_CHECKING:
    from tests.core.plan.conftest import World

REPOSITORY = Path(__file__).parents[3]
EVENTS = Path(
    os.environ.get("TOCSIN_NOMAD_EVENTS", REPOSITORY / ".." / "shared" / "data" / "nomad" / "events.csv")
)
RULES = ("unbacked", "repeated-withdrawals")
THRESHOLD_CENTS = 10_000_000
ETHEREUM, MOONBEAM = Caip2("eip155:1"), Caip2("eip155:1284")


@dataclass(frozen=True)
class Withdrawal:
    """One row of the data."""

    timestamp: int
    chain: Caip2
    token: str
    amount: int
    value_usd: float
    is_attack: bool


@pytest.fixture(scope="module")
def withdrawals() -> list[Withdrawal]:
    """All rows in order of time."""
    if not EVENTS.is_file():
        pytest.skip(f"no Nomad events at {EVENTS}: set TOCSIN_NOMAD_EVENTS")
    with EVENTS.open(newline="") as file:
        return [
            Withdrawal(
                int(row["timestamp"]),
                Caip2(row["chain"]),
                row["token"],
                int(row["amount"]),
                float(row["value_usd"] or 0),
                row["label"] == "attack",
            )
            for row in csv.DictReader(file)
        ]


def replay(world: World, withdrawals: list[Withdrawal]) -> Iterator[Evaluation]:
    """Feed one block of each chain for every distinct time in the data; on most only one has events."""
    by_time: dict[int, list[Withdrawal]] = {}
    for row in withdrawals:
        by_time.setdefault(row.timestamp, []).append(row)
    for timestamp, rows in by_time.items():
        for chain in (MOONBEAM, ETHEREUM):
            fields = [
                {"id": 0, "token": row.token, "amount": row.amount} for row in rows if row.chain == chain
            ]
            world.views[chain].finalize(world.see(chain, timestamp, *fields))
        yield from world.evaluator.advance()


@pytest.fixture(scope="module")
def attack_start(withdrawals: list[Withdrawal]) -> int:
    """The time of the first release of the attack."""
    return next(row.timestamp for row in withdrawals if row.is_attack)


@pytest.fixture(scope="module")
def evaluations(world_of: Callable[[str], World], withdrawals: list[Withdrawal]) -> list[Evaluation]:
    """The bridge plan at every block of Ethereum; its keys are the nine mapped tokens that have a price."""
    world = world_of((REPOSITORY / "tests" / "plans" / "bridge.plan.toml").read_text())
    started = time.perf_counter()
    made = list(replay(world, withdrawals))
    print(f"{len(made)} evaluations, {len(made) / (time.perf_counter() - started):.0f}/s")
    return made


def fired(evaluations: list[Evaluation], rule: str) -> list[Evaluation]:
    """The blocks at which a rule counts as true."""
    return [each for each in evaluations if each.rules[rule].effective]


@pytest.mark.parametrize("rule", RULES)
def test_the_first_attack_release_fires_and_no_quiet_hour_does(
    evaluations: list[Evaluation], withdrawals: list[Withdrawal], attack_start: int, rule: str
) -> None:
    first = fired(evaluations, rule)[0]

    out_usd = sum(row.value_usd for row in withdrawals if row.is_attack)
    gone_usd = sum(row.value_usd for row in withdrawals if row.is_attack and row.timestamp <= attack_start)
    print(f"{rule}: {first.block.timestamp - attack_start} s after the first attack release,", end=" ")
    print(f"{gone_usd / out_usd:.1%} of {out_usd:,.0f} USD out; {trace_of(first, rule)['values']}")
    assert first.block.timestamp == attack_start


def test_every_block_of_the_quiet_hours_was_judged(
    evaluations: list[Evaluation], withdrawals: list[Withdrawal], attack_start: int
) -> None:
    quiet = [each for each in evaluations if each.block.timestamp < attack_start]

    hours = (attack_start - withdrawals[0].timestamp) / 3_600
    print(
        f"{len(quiet)} evaluations in {hours:,.0f} quiet hours; at 95 % at most "
        f"{3_000 / hours:.2f} false alarms per 1,000 h"
    )
    assert len(quiet) > 9_000
    # The first block has no block of the other chain before it.
    unjudged = [each for each in quiet[1:] for rule in RULES if each.rules[rule].outcome is not Outcome.FALSE]
    assert unjudged == []


def test_the_threshold_of_repeated_withdrawals_stands_clear_of_both_sides(
    evaluations: list[Evaluation], attack_start: int
) -> None:
    values = [(each.block.timestamp, each.values["repeated"]) for each in evaluations]
    quiet = max(value for timestamp, value in values if timestamp < attack_start and isinstance(value, int))
    attack = next(value for timestamp, value in values if timestamp == attack_start)

    print(f"largest in the quiet hours {quiet / 100:,.0f} USD; first of the attack {attack / 100:,.0f} USD")
    assert isinstance(attack, int)
    assert 5 * quiet < THRESHOLD_CENTS < attack / 5


def test_the_threshold_is_that_of_the_plan(bridge_text: str) -> None:
    assert f'when = "repeated > {THRESHOLD_CENTS}"' in bridge_text
