"""What a back-test is fed: events and series as values, in order of time (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from relay.core.errors import ConfigError
from relay.core.observations import Field
from relay.core.types import Caip2

ATTACK: Final = "attack"
"""The label of the rows of an incident; all other rows are quiet."""
UPDATED_AT: Final = ".updated_at"
"""Behind an oracle's name: the series of the times at which it was set."""
NOTHING: Final = Decimal(0)


class DataError(ConfigError):
    """A table does not fit; `where` names its file, row and column as far as they are known."""


@dataclass(frozen=True, slots=True)
class EventSeen:
    """One event of a contract.

    `timestamp` is in seconds since 1970, `event` the event's name without its parameters. `value_usd` is what
    left with it where it is an attack. `contract` tells events of one name apart, `block` orders rows of one
    time; both may be left out.
    """

    timestamp: int
    chain: Caip2
    event: str
    fields: Mapping[str, Field]
    label: str = ""
    value_usd: Decimal = NOTHING
    block: int = 0
    contract: str = ""

    @property
    def is_attack(self) -> bool:
        return self.label == ATTACK


@dataclass(frozen=True, slots=True)
class Sample:
    """What a metric's state was from `timestamp` on, unscaled as the chain gives it; None where it failed.

    `metric` is a metric's name, or an oracle's with `.updated_at`: then the value is in seconds since 1970.
    """

    timestamp: int
    metric: str
    value: int | None
    label: str = ""
    value_usd: Decimal = NOTHING

    @property
    def is_attack(self) -> bool:
        return self.label == ATTACK


@dataclass(frozen=True, slots=True)
class Attack:
    """The rows of the incident: when it began, and what went out when, ascending and added up."""

    start_s: int
    times: tuple[int, ...] = field(repr=False)
    out_usd: tuple[Decimal, ...] = field(repr=False)

    @property
    def total_usd(self) -> Decimal:
        return self.out_usd[-1]


@dataclass(frozen=True, slots=True)
class Observations:
    """All rows, each kind in ascending order of time. Made by `Observations.of` and `load_tables`."""

    events: Sequence[EventSeen] = field(repr=False)
    series: Sequence[Sample] = field(repr=False)

    @classmethod
    def of(cls, *, events: Iterable[EventSeen] = (), series: Iterable[Sample] = ()) -> Observations:
        """Put rows into their order; rows of one time keep theirs, by block where they name it."""
        return cls(
            tuple(sorted(events, key=lambda row: (row.timestamp, row.block))),
            tuple(sorted(series, key=lambda row: row.timestamp)),
        )

    def __len__(self) -> int:
        return len(self.events) + len(self.series)

    @property
    def first_s(self) -> int:
        """The time of the first row."""
        return min(rows[0].timestamp for rows in (self.events, self.series) if rows)

    @property
    def last_s(self) -> int:
        """The time of the last row."""
        return max(rows[-1].timestamp for rows in (self.events, self.series) if rows)

    def attack(self) -> Attack | None:
        """Give the incident among the rows, if there is one."""
        rows: list[EventSeen | Sample] = [row for row in self.events if row.is_attack]
        rows += [row for row in self.series if row.is_attack]
        if not rows:
            return None
        rows.sort(key=lambda row: row.timestamp)
        out: list[Decimal] = []
        for row in rows:
            out.append(row.value_usd + (out[-1] if out else NOTHING))
        return Attack(rows[0].timestamp, tuple(row.timestamp for row in rows), tuple(out))


__all__ = ["ATTACK", "NOTHING", "UPDATED_AT", "Attack", "DataError", "EventSeen", "Observations", "Sample"]
