"""A response plan as values: what a protocol's governance has agreed to beforehand (SPEC 5.2 to 5.6).

What has the type `Plan` came through `plan_file`: bounds, names and cross references are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proofs.mandate import Tier
from relay.core.observations import Field
from relay.core.ports import ActText
from relay.core.types import Caip2, PlanHash

FORMAT = "tocsin/plan/1"
MAX_TEXT_BYTES = 256 * 1024
MAX_CHAINS = 16
MAX_METRICS = 64
MAX_RULES = 32
MAX_ACTS = 32
MAX_RUNGS = 8
MAX_LINKS = 16
MAX_KEYS = 64
MAX_BY = 4
MAX_CONTACTS = 16
MAX_SCALE = 77
"""10^77 is the greatest power of ten below 2^256."""
MAX_HOLD = 10_000
DAY_S = 86_400
FAST_CAP_S = DAY_S
"""The longest that a fast act may last."""
FULL_CAP_S = 5 * DAY_S


class Mode(StrEnum):
    """Whether the plan's decisions are signed for chains."""

    SHADOW = "shadow"
    ARMED = "armed"


class OnFault(StrEnum):
    """What a faulted metric does to a rule whose result is a fault (SPEC 5.2)."""

    FALSE = "false"
    TRIGGER = "trigger"


class Reduce(StrEnum):
    """How groups become one integer."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Clock:
    """The reference chain and the spans of a plan.

    `lag_s` is how far the anchor of a linked decision stays behind its parent's (SPEC 5.4).
    """

    reference: Caip2
    lag_s: int
    patience_s: int = 600
    rearm_s: int = 1_800
    fast_after: int = 1
    mandate_fast_s: int = 1_800
    mandate_full_s: int = 21_600
    frost_patience_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class PlanChain:
    """A chain that the plan reads or acts on.

    `gateway` is None where it only reads; `since` is the number of the first block that counts.
    """

    gateway: str | None
    lag_s: int
    since: int


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
class EventMetric:
    """The sum of a field (`value`), or the number (`value` None), of a contract's events (SPEC 5.2).

    `keys` maps the text of a field's value (`text_of_field`) to its key; empty means that every value counts.
    `where` maps fields to the text that their value must have.
    """

    name: str
    chain: Caip2
    address: str
    event: str
    value: str | None
    weight: Weight = Weight()
    by: tuple[str, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    window_s: int | None = None
    at_least: int = 1
    reduce: Reduce | None = None
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def is_map(self) -> bool:
        """Whether rules see a map from group to integer."""
        return bool(self.by) and self.reduce is None


@dataclass(frozen=True, slots=True)
class CallMetric:
    """Word number `word` of what a read-only call returns."""

    name: str
    chain: Caip2
    address: str
    call: str
    args: tuple[Field, ...] = ()
    word: int = 0
    weight: Weight = Weight()
    on_fault: OnFault = OnFault.FALSE
    unit: str = ""

    @property
    def is_map(self) -> bool:
        """Never: a call gives one integer."""
        return False


Metric = EventMetric | CallMetric


@dataclass(frozen=True, slots=True)
class Rung:
    """Acts that are decided together; all of one tier."""

    acts: tuple[str, ...]
    tier: Tier


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition in CEL and what follows when it is held; fast rungs stand before full ones."""

    name: str
    when: str
    hold: int
    ladder: tuple[Rung, ...]
    step_s: int
    rearm_s: int


@dataclass(frozen=True, slots=True)
class Act:
    """One protective call, how heavy it is, and how long it stands."""

    text: ActText
    verb: str
    tier: Tier
    lasts_s: int


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """When acts may end early; always of the full tier."""

    when: str
    hold: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What the gateways may spend per window: told to users here, enforced there."""

    window_s: int
    fast_time_s: int
    fast_records: int
    frozen_time_s: int


@dataclass(frozen=True, slots=True)
class Listen:
    """A link to another protocol's plan, which is named by its reference chain and the gateway there.

    `ladder` has exactly one rung, of the fast tier.
    """

    name: str
    chain: Caip2
    gateway: str
    shares: str
    when: str
    ladder: tuple[Rung, ...]
    max_hops: int

    @property
    def plan(self) -> str:
        """The listened plan as it is written: `CAIP-2:gateway`."""
        return f"{self.chain}:{self.gateway}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of one protocol's plan; every mapping is in ascending order of its keys."""

    protocol: str
    version: int
    mode: Mode
    reason: str
    contacts: tuple[str, ...]
    clock: Clock
    chains: Mapping[Caip2, PlanChain]
    metrics: Mapping[str, Metric]
    rules: Mapping[str, Rule]
    acts: Mapping[str, Act]
    release: ReleaseRule | None
    budget: Budget
    listen: tuple[Listen, ...]
    canonical: bytes = field(repr=False)
    hash: PlanHash

    @property
    def link(self) -> Mapping[str, Listen]:
        """The links by name."""
        return {link.name: link for link in self.listen}


def text_of_field(value: Field) -> str:
    """The text of an event field's value: what `keys`, `where` and group names are written in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


__all__ = [
    "DAY_S",
    "FAST_CAP_S",
    "FORMAT",
    "FULL_CAP_S",
    "MAX_ACTS",
    "MAX_BY",
    "MAX_CHAINS",
    "MAX_CONTACTS",
    "MAX_HOLD",
    "MAX_KEYS",
    "MAX_LINKS",
    "MAX_METRICS",
    "MAX_RULES",
    "MAX_RUNGS",
    "MAX_SCALE",
    "MAX_TEXT_BYTES",
    "Act",
    "Budget",
    "CallMetric",
    "Clock",
    "EventMetric",
    "Key",
    "Listen",
    "Metric",
    "Mode",
    "OnFault",
    "Plan",
    "PlanChain",
    "Reduce",
    "ReleaseRule",
    "Rule",
    "Rung",
    "Tier",
    "Weight",
    "text_of_field",
]
