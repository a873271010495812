"""A fortnight of the practice vault, made from a seed: what a plan is back-tested with before a practice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from adapters.evm.demo.practice_place import BLOCK_S, DECIMALS, PLACE
from adapters.evm.demo.practice_vault import DEPOSITS, STAKE, UNIT
from relay.core.errors import ConfigError
from relay.core.observations import ReadKind
from relay.core.plan import Plan, StateMetric

__all__ = ["history_of"]

START_S: Final = 1_797_552_000
"""Before the practice begins."""
DAYS: Final = 14
STEP_S: Final = 1_800
QUIET: Final = 0.012
"""Standard deviation of what comes or goes within half an hour, of what is there."""
BUSY: Final = 0.08
"""What leaves on the busiest occasions of honest people, of what is there; once in two days."""
THEFTS: Final = 6


@dataclass(frozen=True, slots=True)
class _Row:
    at_s: int
    held: int
    stolen: int = 0


def history_of(plan: Plan, seed: int) -> str:
    """Give the fortnight as CSV, with a column for each metric of `plan` that reads what the vault holds.

    Rows labelled `attack` are the theft at its end; `value_usd` is what each of them takes.

    Raises:
        ConfigError: the plan has no such metric.
    """
    names = [metric.name for metric in plan.metrics.values() if _is_of_vault(metric)]
    if not names:
        raise ConfigError(
            "metrics",
            f"expected a balance of {PLACE.vault}, got none: there is no history of other metrics",
            remedy="begin with tocsin plan new --from pausable --practice",
        )
    lines = [",".join(("timestamp", "label", "value_usd", *names))]
    for row in _rows(Random(seed)):
        label = "attack" if row.stolen else ""
        values = [str(row.held)] * len(names)
        lines.append(",".join((str(row.at_s), label, str(row.stolen // UNIT or ""), *values)))
    return "\n".join([*lines, ""])


def _is_of_vault(metric: object) -> bool:
    if not isinstance(metric, StateMetric) or metric.read.kind is not ReadKind.BALANCE:
        return False
    token = (metric.read.token or "").lower()
    return (metric.read.address.lower(), token) == (PLACE.vault, PLACE.token)


def _rows(chance: Random) -> Iterator[_Row]:
    """Give quiet weeks, and six thefts, a block each."""
    mean = held = DEPOSITS + STAKE
    at_s = START_S
    for number in range(DAYS * 86_400 // STEP_S):
        at_s = START_S + number * STEP_S + chance.randrange(0, STEP_S // 2) // BLOCK_S * BLOCK_S
        change = chance.gauss((mean - held) / mean / 50, QUIET)
        if chance.random() < STEP_S / (2 * 86_400):
            change = -chance.uniform(BUSY / 2, BUSY)
        held = max(mean // 2, int(held * (1 + change))) // 10**DECIMALS * 10**DECIMALS
        yield _Row(at_s, held)
    for _ in range(THEFTS):
        at_s += BLOCK_S
        taken = min(held, STAKE)
        held -= taken
        yield _Row(at_s, held, taken)
