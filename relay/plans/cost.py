"""What plans cost a node in requests and compute units: arithmetic over an adapter's own counts.

Counted is what one endpoint is asked: reads of each new block, the polls of its head and of finality, the
looks at readiness (core SPEC 8.1). Not counted are transactions, and what is read again after a re-org.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.core.compiled import CompiledPlan, merge_queries
from relay.core.errors import ConfigError
from relay.core.observations import ChainQueries
from relay.core.plan import Mode
from relay.core.types import Caip2

__all__ = ["ChainCost", "Pace", "Units", "chain_costs", "read_units"]

DAY_S = 86_400
LOOK_EVERY_S = 60
LOOK_CHAIN, LOOK_PLAN, LOOK_ACT = 6, 10, 5
"""Requests of a look at readiness: for the chain, each plan with a gateway there, each armed act."""
FINALITY_BOUNDS_S = (1.0, 12.0)
HEAD_BOUNDS_S = (0.2, 3.0)
BLOCK_METHOD, LOOK_METHOD = "eth_getBlockByNumber", "eth_call"
"""What polls and looks are priced as: a look is calls for the most part."""

BlockRequests = Callable[[Caip2, ChainQueries], Mapping[str, int]]
"""An adapter's count of requests, by method, for one new block."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a chain goes on, and how it is read: `polls_head` where no endpoint announces heads."""

    block_time_s: float
    endpoints: int
    polls_head: bool = False


@dataclass(frozen=True, slots=True)
class Units:
    """One provider's units by method; `other` for what it does not name."""

    provider: str
    unit: str
    methods: Mapping[str, int]
    other: int

    def of(self, requests: Mapping[str, float]) -> float:
        """Give the units of so many requests."""
        return sum(number * self.methods.get(method, self.other) for method, number in requests.items())


@dataclass(frozen=True, slots=True)
class ChainCost:
    """One chain: requests of one endpoint by method, for a block and a day. `distinct_reads` of a block."""

    chain: Caip2
    pace: Pace
    distinct_reads: int
    per_block: Mapping[str, int]
    per_day: Mapping[str, float]

    @property
    def requests_a_day(self) -> float:
        """Of one endpoint."""
        return sum(self.per_day.values())


def chain_costs(
    plans: Sequence[CompiledPlan], paces: Mapping[Caip2, Pace], block_requests: BlockRequests
) -> tuple[ChainCost, ...]:
    """Give the cost of plans together, by chain: what two ask alike is asked once."""
    return tuple(
        _cost(chain, queries, plans, paces[chain], block_requests(chain, queries))
        for chain, queries in merge_queries(plans).items()
    )


def _cost(
    chain: Caip2,
    queries: ChainQueries,
    plans: Iterable[CompiledPlan],
    pace: Pace,
    per_block: Mapping[str, int],
) -> ChainCost:
    blocks = DAY_S / pace.block_time_s
    per_day: dict[str, float] = defaultdict(
        float, {method: number * blocks for method, number in per_block.items()}
    )
    polls = DAY_S / _clamped(pace.block_time_s, FINALITY_BOUNDS_S)
    if pace.polls_head:
        polls += DAY_S / _clamped(pace.block_time_s / 4, HEAD_BOUNDS_S)
    per_day[BLOCK_METHOD] += polls
    per_day[LOOK_METHOD] += DAY_S // LOOK_EVERY_S * _look(chain, plans)
    reads = len(queries.events) + len(queries.calls) + len(queries.gateways)
    return ChainCost(chain, pace, reads, dict(sorted(per_block.items())), dict(sorted(per_day.items())))


def _look(chain: Caip2, plans: Iterable[CompiledPlan]) -> int:
    """Requests of one look at a chain."""
    found = LOOK_CHAIN
    for compiled in plans:
        if chain in compiled.gateways:
            found += LOOK_PLAN
        if compiled.plan.mode is Mode.ARMED:
            found += LOOK_ACT * sum(1 for act in compiled.plan.acts.values() if act.text.chain == chain)
    return found


def _clamped(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def read_units(text: str, where: str) -> tuple[Units, ...]:
    """Read a table of providers' units.

    Raises:
        ConfigError: no TOML, or a provider without `other`, or a number that is none.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"expected TOML, got {error}") from error
    return tuple(_units(name, table, where) for name, table in sorted(tables.items()))


def _units(name: str, table: object, where: str) -> Units:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: {name}", "expected a table of methods, got another value")
    methods = {str(key): value for key, value in table.items() if key != "unit"}
    for key, value in methods.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"{where}: {name}.{key}", f"expected a whole number, got {value!r}")
    if "other" not in methods:
        raise ConfigError(f"{where}: {name}.other", "expected this key, got nothing")
    other = methods.pop("other")
    return Units(name, str(table.get("unit", "units")), methods, other)
