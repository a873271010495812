"""The blocks at which what a plan's rules see may change; at all others it is what it was (plans SPEC 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay.core.compiled import CompiledPlan
from relay.core.observations import CallQuery, EventQuery
from relay.core.plan import ChainMetric, EventMetric, Metric, StateMetric, Take, Watched, Window
from relay.core.types import Caip2
from relay.plans.feed import ChainRows
from relay.plans.grid import Grid

__all__ = ["Turns", "all_turns", "turns_of"]


@dataclass(frozen=True, slots=True)
class Turns:
    """The blocks to make of each chain, by their times (ascending); None stands for all of them.

    Those of the reference chain that `evaluated` names are evaluated; None again for all.
    """

    made: Mapping[Caip2, Sequence[int] | None]
    evaluated: Sequence[int] | None


def all_turns(grids: Mapping[Caip2, Grid]) -> Turns:
    """Make and evaluate every block."""
    return Turns(dict.fromkeys(grids), None)


def turns_of(compiled: CompiledPlan, grids: Mapping[Caip2, Grid], rows: Mapping[Caip2, ChainRows]) -> Turns:
    """Give the evaluated blocks of the reference chain at which some rule may change its answer.

    Something changes on a chain where a row comes, and where one leaves a window that a rule reads. The
    reference chain sees it at its own block, of another chain at the first block that is `lag_s` later. What
    moves with time itself (an oracle's age, a mean over time, a chain's silence) changes at every block.
    """
    plan = compiled.plan
    reference, every = plan.clock.reference, plan.clock.every
    read = {name: plan.metrics[name] for rule in compiled.rules.values() for name in rule.reads}
    if any(_moves_with_time(compiled, metric) for metric in read.values()):
        return all_turns(grids)
    made: dict[Caip2, Sequence[int] | None] = {}
    seen: set[int] = set()
    for chain, grid in grids.items():
        changes = {grid.start_s, *_changes(compiled, read, rows[chain], grid)}
        made[chain] = sorted(changes)
        lag_s = 0 if chain == reference else plan.chains[chain].lag_s
        seen.update(grids[reference].evaluated(time_s + lag_s, every) for time_s in changes)
    return Turns(made, sorted(seen))


def _moves_with_time(compiled: CompiledPlan, metric: Metric) -> bool:
    match metric:
        case ChainMetric(watched=Watched.SILENCE):
            return True
        case StateMetric(over=over) if over is not None and over.take is Take.MEAN:
            return True
        case StateMetric() if metric.is_map:
            return any(
                metric.name in rule.reads and not _reads_price_only(rule.text, metric.name)
                for rule in compiled.rules.values()
            )
        case _:
            return False


def _reads_price_only(text: str, name: str) -> bool:
    """Tell whether a condition asks an oracle for nothing but `NAME.price`."""
    named = re.findall(rf"\b{name}\b", text)
    return len(named) == len(re.findall(rf"\b{name}\s*\.\s*price\b", text))


def _changes(
    compiled: CompiledPlan, read: Mapping[str, Metric], rows: ChainRows, grid: Grid
) -> Iterator[int]:
    """Give the times of the chain's blocks at which something that rules read may change, in no order."""
    yield from grid.rows
    events, calls = _windows(compiled, read, rows)
    event_times = [(row.timestamp, set(indices)) for row, indices in rows.events] if events else []
    for window, queries in events.items():
        yield from _leaving(window, (time for time, indices in event_times if indices & queries), grid)
    for window, queries in calls.items():
        yield from _leaving(window, (time for time, index, _ in rows.values if index in queries), grid)


def _windows(
    compiled: CompiledPlan, read: Mapping[str, Metric], rows: ChainRows
) -> tuple[dict[Window, set[int]], dict[Window, set[int]]]:
    """Give the windows over the chain's events and over its calls, each with the indices of its queries."""
    events: dict[Window, set[int]] = {}
    calls: dict[Window, set[int]] = {}
    for name, metric in read.items():
        window = _window(metric)
        for query in compiled.sources[name] if window is not None else ():
            if query.chain != rows.queries.chain or window is None:
                continue
            if isinstance(query, EventQuery):
                events.setdefault(window, set()).add(rows.queries.events.index(query))
            elif isinstance(query, CallQuery):
                calls.setdefault(window, set()).add(rows.queries.calls.index(query))
    return events, calls


def _window(metric: Metric) -> Window | None:
    match metric:
        case EventMetric():
            return metric.window
        case StateMetric(over=over) if over is not None:
            return over.window
        case _:
            return None


def _leaving(window: Window, times: Iterable[int], grid: Grid) -> Iterator[int]:
    """Give the times of the blocks at which what came at `times` (ascending) is in the window no more."""
    last = None
    for time_s in times:
        if time_s == last:
            continue
        last = time_s
        if window.seconds is not None:
            yield grid.at_or_after(time_s + window.seconds)
        elif window.blocks is not None:
            yield grid.time_of(grid.number(time_s) + window.blocks)
