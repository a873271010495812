"""What a plan's metrics need of a table of events or series (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from relay.core.compiled import CompiledPlan
from relay.core.plan import ChainMetric, EventMetric, MatchMetric, Metric, Plan, StateMetric, Watched
from relay.core.types import Caip2
from relay.plans.rows import UPDATED_AT

__all__ = ["EventNeed", "event_name", "needs_of", "needs_of_metric", "rules_only", "series_names"]


@dataclass(frozen=True, slots=True)
class EventNeed:
    """The fields that are read of one kind of event; those in `integers` are added up or compared."""

    chain: Caip2
    event: str
    """Its name, without parameters and in lower case."""
    fields: tuple[str, ...]
    integers: frozenset[str]


def event_name(signature: str) -> str:
    """Give the name by which rows call an event: without parameters, in lower case."""
    return signature.partition("(")[0].strip().lower()


def needs_of(plan: Plan) -> Mapping[tuple[Caip2, str], EventNeed]:
    """Give what all metrics together need of each kind of event, by chain and name."""
    needs: dict[tuple[Caip2, str], EventNeed] = {}
    for metric in plan.metrics.values():
        for need in needs_of_metric(metric):
            known = needs.get((need.chain, need.event), need)
            needs[(need.chain, need.event)] = EventNeed(
                need.chain,
                need.event,
                tuple(sorted({*known.fields, *need.fields})),
                known.integers | need.integers,
            )
    return needs


def needs_of_metric(metric: Metric) -> tuple[EventNeed, ...]:
    """Give what a metric needs of the events of each of its sources, in their order."""
    match metric:
        case EventMetric():
            return tuple(_of_events(metric))
        case MatchMetric(found=found, against=against):
            integers = frozenset({metric.value} if metric.value else ())
            fields = tuple(sorted({*found.key, *found.where, *integers}))
            other = tuple(sorted({*against.key, *against.where}))
            return (
                EventNeed(found.chain, event_name(found.event), fields, integers),
                EventNeed(against.chain, event_name(against.event), other, frozenset()),
            )
        case _:
            return ()


def _of_events(metric: EventMetric) -> Iterator[EventNeed]:
    shared = {*metric.by, *metric.where}
    own = {name for name in (metric.value, metric.per) if name is not None}
    yield EventNeed(metric.chain, event_name(metric.event), tuple(sorted(shared | own)), frozenset(own))
    if metric.minus is not None:
        taken = {metric.minus.value} if metric.minus.value else set[str]()
        fields = tuple(sorted(shared | taken))
        yield EventNeed(metric.chain, event_name(metric.minus.event), fields, frozenset(taken))


def series_names(plan: Plan) -> Mapping[str, str]:
    """Give the names under which a series may come, each with the metric that it is of."""
    names: dict[str, str] = {}
    for name, metric in plan.metrics.items():
        if isinstance(metric, StateMetric):
            names[name] = name
            if metric.is_map:
                names[name + UPDATED_AT] = name
        elif isinstance(metric, ChainMetric) and metric.watched is Watched.DISAGREEMENT:
            names[name] = name
    return names


def rules_only(compiled: CompiledPlan) -> CompiledPlan:
    """Leave out what no rule reads, and the conditions that are no rules: they make no trigger.

    A state that no rule reads stays where it is of the same reading as one that a rule reads: a series may
    come under its name.
    """
    named = {name for rule in compiled.rules.values() for name in rule.reads}
    asked = {query for name in named for query in compiled.sources[name]}
    states = {name for name, metric in compiled.plan.metrics.items() if isinstance(metric, StateMetric)}
    read = named | {name for name in states if asked.issuperset(compiled.sources[name])}
    sources = {name: compiled.sources[name] for name in compiled.sources if name in read}
    queries = {
        chain: replace(
            each,
            events=tuple(query for query in each.events if query in asked),
            calls=tuple(query for query in each.calls if query in asked),
        )
        for chain, each in compiled.queries.items()
    }
    metrics = {name: metric for name, metric in compiled.plan.metrics.items() if name in read}
    plan = replace(compiled.plan, metrics=metrics)
    return replace(compiled, plan=plan, queries=queries, sources=sources, release=None, links={}, reports={})
