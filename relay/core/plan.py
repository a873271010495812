"""A response plan as values: what a protocol's governance has agreed to beforehand (SPEC 5.2 to 5.6).

What has the type `Plan` came through `plan_file`: bounds, names and cross references are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proofs.mandate import Tier
from relay.core.observations import Field, ReadKind, StateRead
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
MAX_LIMITS = 64
MAX_REPORTS = 8
MAX_REPORTERS = 32
MAX_TARGETS = 64
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


class Verb(StrEnum):
    """What an act does to its target, in the words of the field; least harm first (SPEC 5.5)."""

    DRILL = "drill"
    RATE_LIMIT = "rate-limit"
    CAP = "cap"
    MARGIN = "margin"
    DISABLE_COLLATERAL = "disable-collateral"
    DISCONNECT_ORACLE = "disconnect-oracle"
    LOCK = "lock"
    HALT_LIQUIDATIONS = "halt-liquidations"
    PAUSE = "pause"
    FAILOVER = "failover"


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
class Clock:
    """The reference chain and the spans of a plan.

    `lag_s` is how far the anchor of a linked decision stays behind its parent's (SPEC 5.4). Rules are
    evaluated at the blocks whose number `every` divides.
    """

    reference: Caip2
    lag_s: int
    patience_s: int = 600
    rearm_s: int = 1_800
    fast_after: int = 1
    mandate_fast_s: int = 1_800
    mandate_full_s: int = 21_600
    frost_patience_ms: int = 1_000
    every: int = 1


@dataclass(frozen=True, slots=True)
class PlanChain:
    """A chain that the plan reads or acts on.

    `gateway` is None where it only reads; `since` is the number of the first block that counts; `targets` are
    the contracts that acts on this chain may call or ask for their state, as the plan writes them.
    """

    gateway: str | None
    lag_s: int
    since: int
    targets: tuple[str, ...] = ()


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
    """Events of one contract, and the fields that together name one of them."""

    chain: Caip2
    address: str
    event: str
    key: tuple[str, ...]


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
    verb: Verb
    tier: Tier
    lasts_s: int


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """When acts may end early; always of the full tier.

    `stages` name acts in the order in which they end: one of a later stage only while none of an earlier
    stage is in force. What no stage names is of the first.
    """

    when: str
    hold: int
    stages: tuple[tuple[str, ...], ...] = ()


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

    `ladder` has exactly one rung, of the fast tier. `exposure` names a metric of this plan: how much it has
    at stake there. `records` is how many decisions of this link may be certified within a window of the
    budget.
    """

    name: str
    chain: Caip2
    gateway: str
    shares: str
    when: str
    ladder: tuple[Rung, ...]
    max_hops: int
    exposure: str | None = None
    records: int = 3

    @property
    def plan(self) -> str:
        """The listened plan as it is written: `CAIP-2:gateway`."""
        return f"{self.chain}:{self.gateway}"


@dataclass(frozen=True, slots=True)
class Reports:
    """An occasion on which outsiders may call for fast acts: `need` of the `reporters` must sign one subject
    (plans SPEC 1.6).

    Reporters are Ed25519 public keys, 32 bytes. `when` is a condition over the plan's metrics that must be
    true besides, or None. `records` is as for links; `ladder` has exactly one rung, of the fast tier.
    """

    name: str
    reporters: tuple[bytes, ...]
    need: int
    ladder: tuple[Rung, ...]
    when: str | None = None
    records: int = 3


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
    limits: Mapping[str, int] = field(default_factory=dict)
    """Named integers that conditions may use: what people argue about, and what a back-test sweeps."""
    reports: Mapping[str, Reports] = field(default_factory=dict)

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
    "MAX_LIMITS",
    "MAX_LINKS",
    "MAX_METRICS",
    "MAX_REPORTERS",
    "MAX_REPORTS",
    "MAX_RULES",
    "MAX_RUNGS",
    "MAX_SCALE",
    "MAX_TARGETS",
    "MAX_TEXT_BYTES",
    "ORACLE_FIELDS",
    "Act",
    "Budget",
    "ChainMetric",
    "Clock",
    "EventMetric",
    "Key",
    "Listen",
    "MatchMetric",
    "MatchSide",
    "Measure",
    "Metric",
    "Minus",
    "Mode",
    "OnFault",
    "Over",
    "Plan",
    "PlanChain",
    "PlanMetric",
    "Reduce",
    "ReleaseRule",
    "Reports",
    "Rule",
    "Rung",
    "StateMetric",
    "Take",
    "Tier",
    "Verb",
    "Watched",
    "Weight",
    "Window",
    "text_of_field",
]
