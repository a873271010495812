"""What a plan may read, as values: one class for each kind of metric (SPEC 5.2, plans SPEC 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relay.core.observations import Field, ReadKind, StateRead
from relay.core.types import Caip2


class OnFault(StrEnum):
    """What a faulted metric does to a rule whose result is a fault (SPEC 5.2)."""

    FALSE = "false"
    TRIGGER = "trigger"


class Measure(StrEnum):
    """What an event metric makes of the events that it counts."""

    SUM = "event_sum"
    COUNT = "event_count"
    MAX = "event_max"
    DISTINCT = "event_distinct"


class Take(StrEnum):
    """What becomes of a state's values over a window (SPEC 5.2)."""

    FIRST = "first"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    VARIANCE = "variance"


class Reduce(StrEnum):
    """How groups become one integer."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Weight:
    """How an amount becomes the number that rules see: ⌊amount · price / 10^scale⌋."""

    scale: int = 0
    price: int = 1


@dataclass(frozen=True, slots=True)
class Key:
    """One allowed value of the first `by` field, under the name that rules see."""

    name: str
    weight: Weight


@dataclass(frozen=True, slots=True)
class Window:
    """A span that ends with the block at which a metric is read: of seconds, or of blocks; one of the two."""

    seconds: int | None = None
    blocks: int | None = None


@dataclass(frozen=True, slots=True)
class Minus:
    """Events of the same contract that are taken away: the same `by` fields, and `value` where it sums."""

    event: str
    value: str | None


@dataclass(frozen=True, slots=True)
class EventMetric:
    """What a contract's events add up to (SPEC 5.2).

    `measure` says how: the sum of the field `value`, the number of events (`value` None), the largest `value`
    (with `per`, the largest ⌊value · 10^ratio_scale / per⌋), or the number of different `value`s. `keys` maps
    the text of a field's value (`text_of_field`) to its key; empty means that every value counts. `where`
    maps fields to the text that their value must have.
    """

    name: str
    chain: Caip2
    address: str
    event: str
    value: str | None
    weight: Weight = Weight()
    measure: Measure = Measure.SUM
    per: str | None = None
    ratio_scale: int = 0
    minus: Minus | None = None
    by: tuple[str, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    window: Window | None = None
    at_least: int = 1
    reduce: Reduce | None = None
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def chains(self) -> tuple[Caip2, ...]:
        """The chains that it reads."""
        return (self.chain,)

    @property
    def is_map(self) -> bool:
        """Whether rules see a map from group to integer."""
        return bool(self.by) and self.reduce is None


@dataclass(frozen=True, slots=True)
class MatchSide:
    """Events of one contract, and the fields that together name one of them.

    `where` maps fields to the text that their value must have: events of another destination, say, are no
    partners of anything, and must not fill the set.
    """

    chain: Caip2
    address: str
    event: str
    key: tuple[str, ...]
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MatchMetric:
    """Events that no event on another side answers for: their number, or the sum of `value` (SPEC 5.2).

    Per message: every event of `found` needs one of its own on `against`, with equal texts of the key fields
    in their order.
    """

    name: str
    found: MatchSide
    against: MatchSide
    value: str | None = None
    weight: Weight = Weight()
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def chain(self) -> Caip2:
        """The chain of the events that are counted."""
        return self.found.chain

    @property
    def chains(self) -> tuple[Caip2, ...]:
        """The chains that it reads."""
        return (self.found.chain, self.against.chain)

    @property
    def is_map(self) -> bool:
        """Never: it gives one integer."""
        return False


@dataclass(frozen=True, slots=True)
class Over:
    """What a state's values in a window come to, instead of the newest alone."""

    take: Take
    window: Window


ORACLE_FIELDS = ("age_s", "price")
"""What rules see of an oracle: `NAME.price`, scaled, and the seconds since it was set."""


@dataclass(frozen=True, slots=True)
class StateMetric:
    """A number of a contract's state (SPEC 5.2); an oracle gives a map of `ORACLE_FIELDS`.

    With `equals` it is 1 where the unscaled number is exactly that, else 0. `over` is of the number, or of
    the oracle's price.
    """

    name: str
    read: StateRead
    weight: Weight = Weight()
    equals: int | None = None
    over: Over | None = None
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def chain(self) -> Caip2:
        """The chain that is read."""
        return self.read.chain

    @property
    def chains(self) -> tuple[Caip2, ...]:
        """The chains that it reads."""
        return (self.read.chain,)

    @property
    def is_map(self) -> bool:
        """Whether rules see a map: of an oracle."""
        return self.read.kind is ReadKind.ORACLE


@dataclass(frozen=True, slots=True)
class PlanMetric:
    """How many acts another plan has in force on a chain (SPEC 5.2).

    `gateway` is that plan's gateway on `chain`; `acts` are names of acts to count, none means all.
    """

    name: str
    chain: Caip2
    gateway: str
    acts: tuple[str, ...] = ()
    on_fault: OnFault = OnFault.FALSE
    unit: str = "acts"

    @property
    def chains(self) -> tuple[Caip2, ...]:
        """The chains that it reads."""
        return (self.chain,)

    @property
    def is_map(self) -> bool:
        """Never: it gives one integer."""
        return False


class Watched(StrEnum):
    """What is told of a chain itself."""

    SILENCE = "silence"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True, slots=True)
class ChainMetric:
    """How long a foreign chain has made no block, in seconds; or how many of this node's endpoints of a chain
    did not agree at a block (SPEC 5.2).
    """

    name: str
    chain: Caip2
    watched: Watched
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def chains(self) -> tuple[Caip2, ...]:
        """The chains whose pins it needs: silence is told without one."""
        return () if self.watched is Watched.SILENCE else (self.chain,)

    @property
    def is_map(self) -> bool:
        """Never: it gives one integer."""
        return False


Metric = EventMetric | MatchMetric | StateMetric | PlanMetric | ChainMetric


def text_of_field(value: Field) -> str:
    """The text of an event field's value: what `keys`, `where` and group names are written in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


__all__ = [
    "ORACLE_FIELDS",
    "ChainMetric",
    "EventMetric",
    "Key",
    "MatchMetric",
    "MatchSide",
    "Measure",
    "Metric",
    "Minus",
    "OnFault",
    "Over",
    "PlanMetric",
    "Reduce",
    "StateMetric",
    "Take",
    "Watched",
    "Weight",
    "Window",
    "text_of_field",
]
