"""A plan with the texts of its chains read by their adapters, and its conditions compiled (SPEC 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from relay.core.errors import PlanError
from relay.core.expressions import Condition, Kind, Language
from relay.core.metrics import MAX_ENTRIES, MAX_ENTRY_BYTES
from relay.core.observations import CallQuery, ChainQueries, EventQuery, ReadKind, StateRead
from relay.core.plan import Act, EventMetric, Listen, Metric, Plan, StateMetric
from relay.core.ports import ActText, EncodedAct
from relay.core.types import Caip2, Gateway

MAX_TRACE_BYTES = 30_000
"""Of the values that one attestation carries: an envelope is at most 65,535 bytes (SPEC 1.2)."""
_ENTRY_OVERHEAD_BYTES = 11


class PlanCompiler(Protocol):
    """The pure part of an adapter: all that a plan needs. Refuses by `PlanError` with the offending text."""

    def event_query(self, chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
        """Give the query, and the names of the fields that its rows carry."""
        ...

    reads: frozenset[ReadKind]
    """What it can read of a contract's state."""

    def state_queries(self, read: StateRead) -> tuple[CallQuery, ...]:
        """Give the query of a reading of state; of an oracle two: its price, and when it was set (seconds)."""
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

    `gateways` has the chains of the plan that have one; `sources` says from which query each metric is fed.
    """

    plan: Plan
    acts: Mapping[str, EncodedAct]
    queries: Mapping[Caip2, ChainQueries]
    gateways: Mapping[Caip2, Gateway]
    sources: Mapping[str, EventQuery | CallQuery]
    rules: Mapping[str, Condition]
    release: Condition | None
    links: Mapping[str, CompiledLink]

    def chains_of(self, condition: Condition) -> tuple[Caip2, ...]:
        """Give the chains that a condition reads, in ascending order."""
        return tuple(sorted({self.plan.metrics[name].chain for name in condition.reads}))

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
    sources = {name: _source(metric, adapters) for name, metric in plan.metrics.items()}
    acts = {name: _act(act, adapters) for name, act in plan.acts.items()}
    _check_states(plan.acts)
    kinds = {name: Kind.MAP if metric.is_map else Kind.INTEGER for name, metric in plan.metrics.items()}
    language = Language(kinds)
    rules = {name: language.compile(rule.when, f"rules.{name}.when") for name, rule in plan.rules.items()}
    release = language.compile(plan.release.when, "release.when") if plan.release else None
    compiled = CompiledPlan(
        plan=plan,
        acts=acts,
        queries={
            chain: _queries(chain, sources, gateways, each.since) for chain, each in plan.chains.items()
        },
        gateways=gateways,
        sources=sources,
        rules=rules,
        release=release,
        links={link.name: _link(link, adapters, language) for link in plan.listen},
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


def _queries(
    chain: Caip2,
    sources: Mapping[str, EventQuery | CallQuery],
    gateways: Mapping[Caip2, Gateway],
    since: int,
) -> ChainQueries:
    own = [source for source in sources.values() if source.chain == chain]
    return _sorted_queries(
        chain,
        {source for source in own if isinstance(source, EventQuery)},
        {source for source in own if isinstance(source, CallQuery)},
        {gateways[chain]} if chain in gateways else set(),
        since,
    )


def _sorted_queries(
    chain: Caip2, events: set[EventQuery], calls: set[CallQuery], gateways: set[Gateway], calls_since: int
) -> ChainQueries:
    return ChainQueries(
        chain,
        tuple(sorted(events, key=lambda query: (query.address, query.event))),
        # Arguments of different types do not compare: their texts do, and `repr` tells 1, "1" and True apart.
        tuple(sorted(calls, key=lambda query: (query.address, query.call, repr(query.args), query.word))),
        tuple(sorted(gateways)),
        calls_since if calls else 0,
    )


def _adapter(adapters: Mapping[str, PlanCompiler], chain: Caip2, where: str) -> PlanCompiler:
    namespace = chain.partition(":")[0]
    adapter = adapters.get(namespace)
    if adapter is None:
        raise PlanError(
            where, f"expected a chain with an adapter ({', '.join(sorted(adapters)) or 'none'}), got {chain}"
        )
    return adapter


def _source(metric: Metric, adapters: Mapping[str, PlanCompiler]) -> EventQuery | CallQuery:
    where = f"metrics.{metric.name}"
    adapter = _adapter(adapters, metric.chain, f"{where}.chain")
    try:
        if isinstance(metric, StateMetric):
            return adapter.state_queries(metric.read)[0]
        query, fields = adapter.event_query(metric.chain, metric.address, metric.event)
    except PlanError as error:
        raise PlanError(where, f"{error.where}: {error.problem}", remedy=error.remedy) from error
    _check_fields(metric, fields, where)
    return query


def _check_fields(metric: EventMetric, fields: tuple[str, ...], where: str) -> None:
    used = {"value": [metric.value] if metric.value else [], "by": metric.by, "where": metric.where}
    for key, names in used.items():
        for name in names:
            if name not in fields:
                raise PlanError(
                    f"{where}.{key}", f"expected a field of the event ({', '.join(fields)}), got {name}"
                )


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
    if isinstance(metric, StateMetric) or not metric.is_map:
        return len(metric.name) + _ENTRY_OVERHEAD_BYTES
    if metric.keys and len(metric.by) == 1:
        return sum(len(key.name.encode()) + _ENTRY_OVERHEAD_BYTES for key in metric.keys.values())
    return MAX_ENTRIES * (MAX_ENTRY_BYTES + _ENTRY_OVERHEAD_BYTES)


__all__ = ["CompiledLink", "CompiledPlan", "PlanCompiler", "compile_plan", "first_blocks", "merge_queries"]
