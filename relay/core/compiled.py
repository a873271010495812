"""A plan with the texts of its chains read by their adapters, and its conditions compiled (SPEC 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

from relay.core.errors import PlanError
from relay.core.expressions import Condition, Kind, Language
from relay.core.metrics import MAX_ENTRIES, MAX_ENTRY_BYTES
from relay.core.observations import CallQuery, ChainQueries, EventQuery, ReadKind, StateRead
from relay.core.plan import (
    ORACLE_FIELDS,
    Act,
    ChainMetric,
    EventMetric,
    Listen,
    MatchMetric,
    MatchSide,
    Metric,
    Plan,
    PlanMetric,
    StateMetric,
)
from relay.core.ports import ActText, EncodedAct
from relay.core.types import Caip2, Gateway

MAX_TRACE_BYTES = 30_000
"""Of the values that one attestation carries: an envelope is at most 65,535 bytes (SPEC 1.2)."""
_ENTRY_OVERHEAD_BYTES = 11
Query = EventQuery | CallQuery


class PlanCompiler(Protocol):
    """The pure part of an adapter: all that a plan needs. Refuses by `PlanError` with the offending text."""

    def event_query(self, chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
        """Give the query, and the names of the fields that its rows carry."""
        ...

    reads: frozenset[ReadKind]
    """What it can read of a contract's state."""

    def state_queries(self, read: StateRead) -> tuple[CallQuery, ...]:
        """Give the query of a reading of state; of an oracle two: its price, and when it was set (s)."""
        ...

    def encode_act(self, act: ActText) -> EncodedAct:
        """Give the act as its gateway knows it."""
        ...

    def gateway_address(self, text: str) -> Gateway:
        """Give a gateway's 32 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledLink:
    """A link with the gateway that registers the listened plan, on that plan's reference chain."""

    listen: Listen
    gateway: Gateway
    when: Condition


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A plan that can be evaluated and signed for.

    `gateways` has the chains of the plan that have one. `sources` says from which queries each metric is
    fed: of events one, or two where others are taken away or sought on the other side (in this order); of
    state one, of an oracle its price and its time; of other metrics none. `metric_gateways` has the gateway
    of each metric that counts another plan's acts.
    """

    plan: Plan
    acts: Mapping[str, EncodedAct]
    queries: Mapping[Caip2, ChainQueries]
    gateways: Mapping[Caip2, Gateway]
    sources: Mapping[str, tuple[Query, ...]]
    metric_gateways: Mapping[str, Gateway]
    rules: Mapping[str, Condition]
    release: Condition | None
    links: Mapping[str, CompiledLink]
    reports: Mapping[str, Condition]
    """By name, of the reports that have a condition."""

    def chains_of(self, condition: Condition) -> tuple[Caip2, ...]:
        """Give the chains that a condition reads, in ascending order."""
        return tuple(sorted({chain for name in condition.reads for chain in self.plan.metrics[name].chains}))

    @property
    def retention_s(self) -> int:
        """How long a block must stay readable: two slots, and all that a fast decision lives and waits."""
        clock = self.plan.clock
        rearm_s = max([clock.rearm_s, *(rule.rearm_s for rule in self.plan.rules.values())])
        lag_s = max([clock.lag_s, *(chain.lag_s for chain in self.plan.chains.values())])
        return 2 * rearm_s + clock.patience_s + lag_s + clock.mandate_fast_s


def compile_plan(plan: Plan, adapters: Mapping[str, PlanCompiler]) -> CompiledPlan:
    """Read a plan's chain texts with `adapters` (by CAIP-2 namespace) and compile its conditions.

    Raises:
        PlanError: an adapter is missing or refuses, a field is none of its event, a condition is refused.
    """
    gateways = {
        chain: _adapter(adapters, chain, f'chains."{chain}"').gateway_address(each.gateway)
        for chain, each in plan.chains.items()
        if each.gateway is not None
    }
    sources = {name: _sources(metric, adapters) for name, metric in plan.metrics.items()}
    metric_gateways = {
        name: _adapter(adapters, metric.chain, f"metrics.{name}.plan").gateway_address(metric.gateway)
        for name, metric in plan.metrics.items()
        if isinstance(metric, PlanMetric)
    }
    acts = {name: _act(act, adapters) for name, act in plan.acts.items()}
    _check_states(plan.acts)
    kinds = {name: Kind.MAP if metric.is_map else Kind.INTEGER for name, metric in plan.metrics.items()}
    language = Language(kinds, plan.limits)
    rules = {name: language.compile(rule.when, f"rules.{name}.when") for name, rule in plan.rules.items()}
    release = language.compile(plan.release.when, "release.when") if plan.release else None
    compiled = CompiledPlan(
        plan=plan,
        acts=acts,
        queries={
            chain: _queries(
                chain, each.since, sources.values(), _watched(chain, plan, gateways, metric_gateways)
            )
            for chain, each in plan.chains.items()
        },
        gateways=gateways,
        sources=sources,
        metric_gateways=metric_gateways,
        rules=rules,
        release=release,
        links={link.name: _link(link, adapters, language) for link in plan.listen},
        reports={
            name: language.compile(each.when, f"reports.{name}.when")
            for name, each in plan.reports.items()
            if each.when is not None
        },
    )
    _check_traces(compiled)
    return compiled


def merge_queries(plans: Iterable[CompiledPlan]) -> Mapping[Caip2, ChainQueries]:
    """Give one read per chain that serves all plans; what two plans ask alike is asked once."""
    merged: dict[Caip2, ChainQueries] = {}
    for compiled in plans:
        for chain, asked in compiled.queries.items():
            known = merged.get(chain, ChainQueries(chain))
            merged[chain] = _sorted_queries(
                chain,
                {*known.events, *asked.events},
                {*known.calls, *asked.calls},
                {*known.gateways, *asked.gateways},
                min([each.calls_since for each in (known, asked) if each.calls], default=0),
            )
    return {chain: merged[chain] for chain in sorted(merged)}


def first_blocks(plans: Iterable[CompiledPlan]) -> Mapping[Caip2, int]:
    """Give the first block to observe of each chain: the smallest `since` (SPEC 5.1)."""
    first: dict[Caip2, int] = {}
    for compiled in plans:
        for chain, each in compiled.plan.chains.items():
            first[chain] = min(first.get(chain, each.since), each.since)
    return {chain: first[chain] for chain in sorted(first)}


def _watched(
    chain: Caip2, plan: Plan, gateways: Mapping[Caip2, Gateway], metric_gateways: Mapping[str, Gateway]
) -> set[Gateway]:
    """Give the gateways on `chain` whose events the plan needs: its own, and those that its metrics count."""
    others = {gateway for name, gateway in metric_gateways.items() if plan.metrics[name].chain == chain}
    return others | ({gateways[chain]} if chain in gateways else set())


def _queries(
    chain: Caip2, since: int, sources: Iterable[tuple[Query, ...]], gateways: set[Gateway]
) -> ChainQueries:
    own = [query for each in sources for query in each if query.chain == chain]
    return _sorted_queries(
        chain,
        {query for query in own if isinstance(query, EventQuery)},
        {query for query in own if isinstance(query, CallQuery)},
        gateways,
        since,
    )


def _sorted_queries(
    chain: Caip2, events: set[EventQuery], calls: set[CallQuery], gateways: set[Gateway], calls_since: int
) -> ChainQueries:
    return ChainQueries(
        chain,
        tuple(sorted(events, key=lambda query: (query.address, query.event))),
        # Arguments of different types do not compare: their texts do, and `repr` tells 1, "1" and True apart.
        tuple(sorted(calls, key=_order_of_call)),
        tuple(sorted(gateways)),
        calls_since if calls else 0,
    )


def _order_of_call(query: CallQuery) -> tuple[str, str, str, str, int, tuple[int, ...]]:
    return (query.address, query.call, repr(query.args), query.kind, query.word, query.path)


def _adapter(adapters: Mapping[str, PlanCompiler], chain: Caip2, where: str) -> PlanCompiler:
    namespace = chain.partition(":")[0]
    adapter = adapters.get(namespace)
    if adapter is None:
        raise PlanError(
            where, f"expected a chain with an adapter ({', '.join(sorted(adapters)) or 'none'}), got {chain}"
        )
    return adapter


def _sources(metric: Metric, adapters: Mapping[str, PlanCompiler]) -> tuple[Query, ...]:
    where = f"metrics.{metric.name}"
    try:
        match metric:
            case EventMetric():
                return _event_sources(metric, adapters)
            case MatchMetric():
                sides = {"": metric.found, "against.": metric.against}
                return tuple(_match_source(metric, side, key, adapters) for key, side in sides.items())
            case StateMetric():
                return _state_sources(metric, adapters)
            case PlanMetric() | ChainMetric():
                return ()
            case _:
                assert_never(metric)
    except PlanError as error:
        if error.where.startswith(where):
            raise
        raise PlanError(where, f"{error.where}: {error.problem}", remedy=error.remedy) from error


def _event_sources(metric: EventMetric, adapters: Mapping[str, PlanCompiler]) -> tuple[EventQuery, ...]:
    where = f"metrics.{metric.name}"
    adapter = _adapter(adapters, metric.chain, f"{where}.chain")
    query, fields = adapter.event_query(metric.chain, metric.address, metric.event)
    _check_fields(f"{where}.value", fields, [metric.value] if metric.value else [])
    _check_fields(f"{where}.per", fields, [metric.per] if metric.per else [])
    _check_fields(f"{where}.by", fields, metric.by)
    _check_fields(f"{where}.where", fields, metric.where)
    if metric.minus is None:
        return (query,)
    minus = metric.minus
    second, taken = adapter.event_query(metric.chain, metric.address, minus.event)
    _check_fields(f"{where}.minus.value", taken, [minus.value] if minus.value else [])
    _check_fields(f"{where}.minus", taken, [*metric.by, *metric.where])
    return (query, second)


def _match_source(
    metric: MatchMetric, side: MatchSide, key: str, adapters: Mapping[str, PlanCompiler]
) -> EventQuery:
    where = f"metrics.{metric.name}.{key}"
    adapter = _adapter(adapters, side.chain, f"{where}chain")
    query, fields = adapter.event_query(side.chain, side.address, side.event)
    _check_fields(f"{where}key", fields, side.key)
    _check_fields(f"{where}where", fields, side.where)
    if side is metric.found and metric.value:
        _check_fields(f"{where}value", fields, [metric.value])
    return query


def _state_sources(metric: StateMetric, adapters: Mapping[str, PlanCompiler]) -> tuple[CallQuery, ...]:
    where = f"metrics.{metric.name}"
    adapter = _adapter(adapters, metric.chain, f"{where}.chain")
    if metric.read.kind not in adapter.reads:
        known = ", ".join(sorted(adapter.reads)) or "nothing"
        raise PlanError(
            f"{where}.read",
            f"expected what the adapter of {metric.chain} reads of state ({known}), got {metric.read.kind}",
        )
    return adapter.state_queries(metric.read)


def _check_fields(where: str, fields: tuple[str, ...], names: Iterable[str]) -> None:
    for name in names:
        if name not in fields:
            raise PlanError(where, f"expected a field of the event ({', '.join(fields)}), got {name}")


def _act(act: Act, adapters: Mapping[str, PlanCompiler]) -> EncodedAct:
    return _adapter(adapters, act.text.chain, f"acts.{act.text.name}.chain").encode_act(act.text)


def _check_states(acts: Mapping[str, Act]) -> None:
    """Refuse two acts of one gateway that read one state: each would take the other's work for its own."""
    seen: dict[tuple[str, str, str, int], str] = {}
    for name, act in acts.items():
        text = act.text
        target = text.target if text.state_target is None else text.state_target
        state = (text.chain, target.lower(), "".join(text.state.split()), text.state_word)
        if state in seen:
            raise PlanError(f"acts.{name}.state", f"expected a state of its own, got that of {seen[state]}")
        seen[state] = name


def _link(link: Listen, adapters: Mapping[str, PlanCompiler], language: Language) -> CompiledLink:
    where = f"listen.{link.name}"
    gateway = _adapter(adapters, link.chain, f"{where}.plan").gateway_address(link.gateway)
    return CompiledLink(link, gateway, language.compile(link.when, f"{where}.when", of_link=True))


def _check_traces(compiled: CompiledPlan) -> None:
    """Refuse a condition whose values might not fit into an attestation."""
    conditions = {f"rules.{name}.when": condition for name, condition in compiled.rules.items()}
    conditions |= {f"listen.{name}.when": link.when for name, link in compiled.links.items()}
    conditions |= {f"reports.{name}.when": condition for name, condition in compiled.reports.items()}
    if compiled.release is not None:
        conditions["release.when"] = compiled.release
    for where, condition in conditions.items():
        size = sum(_longest_value(compiled.plan.metrics[name]) for name in condition.reads)
        if size > MAX_TRACE_BYTES:
            raise PlanError(
                where,
                f"expected metrics of at most {MAX_TRACE_BYTES} bytes together, got up to {size}",
                remedy="name the groups with `keys`, or `reduce` them",
            )


def _longest_value(metric: Metric) -> int:
    if isinstance(metric, StateMetric) and metric.is_map:
        entries = sum(len(name) + _ENTRY_OVERHEAD_BYTES for name in ORACLE_FIELDS)
        return len(metric.name) + _ENTRY_OVERHEAD_BYTES + entries
    if not isinstance(metric, EventMetric) or not metric.is_map:
        return len(metric.name) + _ENTRY_OVERHEAD_BYTES
    if metric.keys and len(metric.by) == 1:
        return sum(len(key.name.encode()) + _ENTRY_OVERHEAD_BYTES for key in metric.keys.values())
    return MAX_ENTRIES * (MAX_ENTRY_BYTES + _ENTRY_OVERHEAD_BYTES)


__all__ = ["CompiledLink", "CompiledPlan", "PlanCompiler", "compile_plan", "first_blocks", "merge_queries"]
