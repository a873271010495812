"""A response plan as values: what a protocol's governance has agreed to beforehand (SPEC 5.2 to 5.6).

What has the type `Plan` came through `plan_file`: bounds, names and cross references are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proofs.mandate import Tier
from relay.core.metric_kinds import (
    ORACLE_FIELDS,
    ChainMetric,
    EventMetric,
    Key,
    MatchMetric,
    MatchSide,
    Measure,
    Metric,
    Minus,
    OnFault,
    Over,
    PlanMetric,
    Reduce,
    StateMetric,
    Take,
    Watched,
    Weight,
    Window,
    text_of_field,
)
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
MAX_HOPS = 8
"""The farthest down a chain of links that a plan may listen."""
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
    "MAX_HOPS",
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
