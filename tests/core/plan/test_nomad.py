"""The bridge plan over real withdrawals: 4,857 quiet hours, then the attack (input beside the repository, optional)."""

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
ETHEREUM, MOONBEAM = Caip2("eip155:1"), Caip2("eip155:1284")
TICK_S = 120
"""After each event both chains make an empty block this much later, as living chains do: it settles the pins."""


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
    """Feed one block per distinct time and chain, and an empty one on each chain before and after it."""
    by_time: dict[int, list[Withdrawal]] = {}
    for row in withdrawals:
        by_time.setdefault(row.timestamp, []).append(row)
    for timestamp, rows in by_time.items():
        for chain in (MOONBEAM, ETHEREUM):
            fields = [
                {"id": 0, "token": row.token, "amount": row.amount} for row in rows if row.chain == chain
            ]
            block = world.see(chain, timestamp, *fields)
            world.views[chain].finalize(block)
        yield from world.evaluator.advance()


@pytest.fixture(scope="module")
def attack_start(withdrawals: list[Withdrawal]) -> int:
    """The time of the first release of the attack."""
    return next(row.timestamp for row in withdrawals if row.is_attack)


def test_both_rules_fire_on_the_first_attack_release_and_never_in_the_quiet_hours(
    world_of: Callable[[str], World], bridge_text: str, withdrawals: list[Withdrawal], attack_start: int
) -> None:
    world = world_of(bridge_text)

    started = time.perf_counter()
    evaluations = list(replay(world, withdrawals))
    spent_s = time.perf_counter() - started

    first = {}
    for name in ("unbacked", "repeated-withdrawals"):
        fired = [each for each in evaluations if each.rules[name].outcome is Outcome.TRUE]
        first[name] = fired[0].block.timestamp
        traced = trace_of(fired[0], name)
        print(name, "first at", first[name] - attack_start, "s; trace values", traced["values"])
    assert not any(
        rule.outcome in (Outcome.FAULT, Outcome.ABSTAIN)
        for each in evaluations[1:]
        for rule in each.rules.values()
    )
    quiet = [each for each in evaluations if each.block.timestamp < attack_start]
    hours = (attack_start - withdrawals[0].timestamp) // 3_600
    worst = max(each.values["repeated"] for each in quiet)
    print(
        f"{len(quiet)} quiet evaluations over {hours} h, {len(evaluations)} in all, {len(evaluations) / spent_s:.0f}/s"
    )
    print(f"largest `repeated` in the quiet: {worst / 100:.0f} USD")
    assert first == {"unbacked": attack_start, "repeated-withdrawals": attack_start}
