"""What scenarios are written in: rows in order of time, seeded chance in integers, and the plan that is
judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from relay.core.observations import Field
from relay.core.types import Caip2
from relay.plans.rows import ATTACK, EventSeen, Observations, Sample
from relay.plans.templates import ready_plan

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
HOME, AWAY = Caip2("eip155:1"), Caip2("eip155:1284")
"""The chains of the examples: the reference chain, and the other one."""


def at(moment: str) -> int:
    """Give the seconds since 1970 of a moment in UTC, like `2022-08-01T21:32`."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())


@dataclass
class Diary:
    """Collects the rows of a scenario, in any order."""

    events: list[EventSeen] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def event(self, time_s: int, chain: Caip2, name: str, **fields: Field) -> None:
        """Note an event of quiet times."""
        self.events.append(EventSeen(time_s, chain, name, fields))

    def attack(self, time_s: int, chain: Caip2, name: str, usd: int, **fields: Field) -> None:
        """Note an event of the incident, with what left by it in whole US dollars."""
        self.events.append(EventSeen(time_s, chain, name, fields, ATTACK, Decimal(usd)))

    def state(self, time_s: int, **values: int) -> None:
        """Note what states were from a time on, by metric."""
        self.samples += [Sample(time_s, metric, value) for metric, value in values.items()]

    def attack_state(self, time_s: int, usd: int, **values: int) -> None:
        """Note states that the incident made, with what left by it in whole US dollars: told once."""
        for place, (metric, value) in enumerate(values.items()):
            out_usd = Decimal(usd if place == 0 else 0)
            self.samples.append(Sample(time_s, metric, value, ATTACK, out_usd))

    def observations(self) -> Observations:
        """Give all rows."""
        return Observations.of(events=self.events, series=self.samples)


@dataclass(frozen=True)
class Noise:
    """Chance of a seed, in integers: the same on every machine."""

    rng: Random

    @classmethod
    def of(cls, seed: int) -> Noise:
        """Give the chance of a seed."""
        return cls(Random(seed))

    def between(self, low: int, high: int) -> int:
        """Give an integer from `low` to `high`, both included."""
        return self.rng.randint(low, high)

    def heavy(self, median: int, cap: int) -> int:
        """Give an amount as people move them: half below the median, each doubling half as likely."""
        amount = median
        while amount < cap and self.rng.randrange(2):
            amount *= 2
        return min(cap, amount * self.rng.randint(50, 100) // 100)

    def wobble(self, spread: int) -> int:
        """Give a deviation around 0 that is rarely beyond `2 · spread`, never beyond `3 · spread`."""
        return sum(self.rng.randint(-spread, spread) for _ in range(3))

    def often(self, start_s: int, end_s: int, mean_gap_s: int) -> list[int]:
        """Give times between two, about `mean_gap_s` apart."""
        times, time_s = [], start_s
        while (time_s := time_s + self.rng.randint(1, 2 * mean_gap_s)) < end_s:
            times.append(time_s)
        return times


@dataclass(frozen=True)
class Scenario:
    """One course of events, the ready plan that watches it (its name and its text), and what is known of it.

    `made` gives the rows: scenarios are data of megabytes, made where they are judged. `rules` are those that
    must fire, the first one first; none where nothing may.
    """

    name: str
    ready: str
    plan: str
    seed: int
    made: Callable[[Noise], Observations]
    rules: tuple[str, ...] = ()
    most_delay_s: int = 0
    in_fact: str = "–"
    """When somebody first acted, by public reports."""
    most_share: float = 0.0
    """The most of the value that may be out when the first rule fires."""

    def observations(self) -> Observations:
        """Give the rows: the same for the same seed."""
        return self.made(Noise.of(self.seed))


def example_values(name: str) -> dict[str, str]:
    """Give the example values of a ready plan, for the places that have no default."""
    return {place.name: place.example for place in ready_plan(name).placeholders if place.default is None}


def filled(name: str, changed: Mapping[str, str] | None = None, **limits: int) -> str:
    """Give the text of a ready plan with its examples, but for `changed`, and with other `limits`."""
    text = ready_plan(name).fill({**example_values(name), **(changed or {})})
    for limit, value in limits.items():
        text, count = re.subn(rf"^{limit} = [0-9_]+", f"{limit} = {value}", text, flags=re.MULTILINE)
        assert count == 1, f"expected limit {limit} in {name}, got {count}"
    return text
