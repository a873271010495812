"""What happens in the demonstration: bridge traffic with its times, recorded or made from a seed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from relay.core.errors import ConfigError

__all__ = ["Kind", "Scenario", "Step", "Token", "built_in", "load_events"]

COLUMNS: Final = ("timestamp", "chain", "event", "withdrawal_id", "token", "amount", "value_usd", "label")
MAX_ROWS: Final = 1_000_000
MAX_TOKENS: Final = 64
HOUR_S: Final = 3_600
TRANSIT_S: Final = 1_860
"""The bridge's shortest transit: a release follows its burn by at least so much."""
KNOWN_TOKENS: Final = {
    "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2": ("WETH", 18),
    "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": ("USDC", 6),
    "0xdac17f958d2ee523a2206206994597c13d831ec7": ("USDT", 6),
    "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599": ("WBTC", 8),
    "0x6b175474e89094c44da98b954eedeac495271d0f": ("DAI", 18),
    "0xd417144312dbf50465b1c641d016962017ef6240": ("CQT", 18),
    "0x853d955acef822db058eb8505911ed77f175b99e": ("FRAX", 18),
    "0x3432b6a60d23ca0dfca7761b7ab56459d9c964d0": ("FXS", 18),
    "0xba8d75baccc4d5c4bd814fde69267213052ea663": ("GLMR", 18),
}
"""Symbol and decimals by Ethereum address; a token not listed here is replayed, but not watched."""


class Kind(StrEnum):
    BURN = "burn"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Token:
    """A token. `price_cents` is US cents for a whole one, at least 1; `is_mapped`: the plan knows it."""

    address: str
    symbol: str
    decimals: int
    price_cents: int
    is_mapped: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A burn or release. `amount` in base units, `value_usd` at its time; an attack's release has no burn."""

    timestamp: int
    kind: Kind
    withdrawal_id: str
    token: str
    amount: int
    value_usd: float
    is_attack: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps in order of time, with the tokens that they move."""

    name: str
    tokens: tuple[Token, ...]
    steps: tuple[Step, ...]

    @property
    def attack_at(self) -> int:
        """Time of the first bad release."""
        return next(step.timestamp for step in self.steps if step.is_attack)

    @property
    def quiet_hours(self) -> float:
        """Hours from the first step to the attack."""
        return (self.attack_at - self.steps[0].timestamp) / HOUR_S

    def quiet(self) -> tuple[Step, ...]:
        """Everything before the attack."""
        return tuple(step for step in self.steps if step.timestamp < self.attack_at)

    def stormy(self) -> tuple[Step, ...]:
        """Everything from the attack's first release to its last; a recording may go on for weeks."""
        last = max(step.timestamp for step in self.steps if step.is_attack)
        return tuple(step for step in self.steps if self.attack_at <= step.timestamp <= last)


def load_events(path: Path) -> Scenario:
    """Read recorded traffic: CSV with at least the columns of `COLUMNS`, sorted by time.

    Raises:
        ConfigError: naming file, line and column, what was expected and what came.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError(
                    str(path), f"expected the columns {', '.join(COLUMNS)}, {missing[0]} is missing"
                )
            steps = [_step(path, number, row) for number, row in enumerate(reader, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), f"expected a CSV file in UTF-8, got: {error}") from error
    if any(later.timestamp < earlier.timestamp for earlier, later in pairwise(steps)):
        raise ConfigError(str(path), "expected rows in order of time, got one earlier than the row before")
    if not any(step.is_attack for step in steps) or steps[0].is_attack:
        raise ConfigError(str(path), "expected benign rows and then rows labelled attack")
    return Scenario(path.stem, _tokens(path, steps), tuple(steps))


def built_in(seed: int) -> Scenario:
    """Make traffic of the recorded shape: 96 quiet hours, then a drain of copied, unproven releases."""
    chance = Random(seed)
    tokens = [(address, *KNOWN_TOKENS[address]) for address in list(KNOWN_TOKENS)[:5]]
    prices = {"WETH": 1_600.0, "USDC": 1.0, "USDT": 1.0, "WBTC": 23_000.0, "DAI": 1.0}
    start = 1_700_000_000 + chance.randrange(HOUR_S)
    steps: list[Step] = []
    at = start
    for number in range(140):
        at += chance.randrange(300, 4_000)
        address, symbol, decimals = chance.choice(tokens)
        usd = round(min(chance.lognormvariate(7.5, 1.6), 400_000.0), 2)
        amount = int(usd / prices[symbol] * 10**decimals)
        if amount == 0:
            continue
        released = at + TRANSIT_S + chance.randrange(0, 5_400)
        identity = str(number)
        steps.append(Step(at, Kind.BURN, identity, address, amount, usd, is_attack=False))
        steps.append(Step(released, Kind.RELEASE, identity, address, amount, usd, is_attack=False))
    attack_at = max(start + 96 * HOUR_S, max(step.timestamp for step in steps) + 600)
    steps += _drain(chance, attack_at, tokens, prices)
    steps.sort(key=lambda step: (step.timestamp, step.is_attack))
    return Scenario(f"built-in, seed {seed}", _tokens(Path("built-in"), steps), tuple(steps))


def _drain(
    chance: Random, at: int, tokens: Sequence[tuple[str, str, int]], prices: dict[str, float]
) -> list[Step]:
    """The first copies come within seconds; the crowd follows, and empties one token after another."""
    steps: list[Step] = []
    copies = {"WBTC": (100.0, 9), "WETH": (120.0, 20), "USDC": (200_000.0, 14), "DAI": (150_000.0, 8)}
    sizes = {symbol: (address, decimals) for address, symbol, decimals in tokens}
    when = at
    for symbol, (size, count) in copies.items():
        address, decimals = sizes[symbol]
        for number in range(count):
            amount = int(size * 10**decimals)
            steps.append(
                Step(
                    when,
                    Kind.RELEASE,
                    f"x{symbol}{number}",
                    address,
                    amount,
                    size * prices[symbol],
                    is_attack=True,
                )
            )
            when += chance.choice((0, 12, 12, 24, 36))
        when += chance.randrange(24, 120)
    return steps


def _tokens(path: Path, steps: Iterable[Step]) -> tuple[Token, ...]:
    """Give the tokens that the steps move, each with its newest price before the attack (or first in it)."""
    prices: dict[str, float] = {}
    order: dict[str, None] = {}
    for step in steps:
        order.setdefault(step.token)
        known = KNOWN_TOKENS.get(step.token)
        if known is not None and step.amount and (not step.is_attack or step.token not in prices):
            prices[step.token] = step.value_usd / (step.amount / 10 ** known[1])
    if len(order) > MAX_TOKENS:
        raise ConfigError(str(path), f"expected at most {MAX_TOKENS} tokens, got {len(order)}")
    tokens: list[Token] = []
    for number, address in enumerate(order):
        symbol, decimals = KNOWN_TOKENS.get(address, (f"TOKEN{number}", 18))
        cents = max(1, round(prices.get(address, 0.0) * 100))
        tokens.append(Token(address, symbol, decimals, cents, is_mapped=address in KNOWN_TOKENS))
    return tuple(tokens)


def _step(path: Path, line: int, row: dict[str, str]) -> Step:
    if line > MAX_ROWS:
        raise ConfigError(str(path), f"expected at most {MAX_ROWS} rows")
    try:
        return Step(
            timestamp=int(row["timestamp"]),
            kind=Kind(row["event"]),
            withdrawal_id=row["withdrawal_id"],
            token=row["token"].lower(),
            amount=int(row["amount"]),
            value_usd=float(row["value_usd"] or 0),  # some old rows have no price
            is_attack=row["label"] == "attack",
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: line {line}", f"expected the form of the first rows, got: {error}"
        ) from error
