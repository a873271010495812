"""From rows to the blocks that the core's views observe (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from relay.core.compiled import CompiledPlan
from relay.core.events import BlockObserved
from relay.core.observations import BlockReads, CallQuery, CallValue, ChainQueries, EventQuery, EventRow
from relay.core.plan import StateMetric
from relay.core.types import BlockRef, Caip2, Digest, Header
from relay.core.view import ChainView
from relay.plans.grid import Grid
from relay.plans.needs import event_name, needs_of_metric, series_names
from relay.plans.rows import UPDATED_AT, DataError, EventSeen, Observations, Sample

__all__ = ["ChainFeed", "ChainRows", "missing_data", "rows_by_chain"]

_UNKNOWN = "no data"
_NO_TX = bytes(32)
_FINALIZE_EVERY = 256
"""Blocks between two words of finality: a view forgets as many together."""


def fields_of_queries(compiled: CompiledPlan) -> Mapping[EventQuery, frozenset[str]]:
    """Give the fields that the plan's metrics need of each kind of event."""
    needed: dict[EventQuery, set[str]] = {}
    for name, metric in compiled.plan.metrics.items():
        for query, need in zip(compiled.sources[name], needs_of_metric(metric), strict=False):
            if isinstance(query, EventQuery):
                needed.setdefault(query, set()).update(need.fields)
    return {query: frozenset(fields) for query, fields in needed.items()}


def missing_data(compiled: CompiledPlan, data: Observations) -> Mapping[str, str]:
    """Give the metrics of a plan that no row is of, each with what is expected of it.

    Metrics of one reading share a series: it comes under any of their names.
    """
    kinds = {(row.chain, row.event, row.contract) for row in data.events}
    seen = {(chain, name.lower(), contract.lower()) for chain, name, contract in kinds}
    names = {row.metric for row in data.series} & compiled.sources.keys()
    given = {query for name in names for query in compiled.sources[name]}
    missing: dict[str, str] = {}
    for name, metric in compiled.plan.metrics.items():
        for query in compiled.sources[name]:
            if isinstance(query, EventQuery) and seen.isdisjoint(_rows_of(query)):
                missing.setdefault(
                    name, f"events {event_name(query.event)} of {query.address} on {query.chain}"
                )
        if isinstance(metric, StateMetric) and not given.issuperset(compiled.sources[name]):
            missing[name] = f"a series {name}"
    return missing


def _rows_of(query: EventQuery) -> Iterator[tuple[Caip2, str, str]]:
    """Give the chain, event and contract by which rows may be of a query; the contract may be left out."""
    for contract in ("", query.address.lower()):
        yield query.chain, event_name(query.event), contract


@dataclass(slots=True)
class ChainRows:
    """The rows of one chain that its queries ask for: events with the indices of their queries, and values of
    the chain's calls; both in ascending order of time.
    """

    queries: ChainQueries
    events: list[tuple[EventSeen, tuple[int, ...]]] = field(default_factory=list)
    values: list[tuple[int, int, int | None]] = field(default_factory=list)
    """Time, index of the call, value."""
    disagreeing: list[tuple[int, int]] = field(default_factory=list)
    """Time, and how many endpoints did not agree from then on."""
    fresh: set[int] = field(default_factory=set)
    """The calls that tell when an oracle was set: before the first row it was set just now."""

    def times(self) -> list[int]:
        """Give the times of all rows, in no order."""
        times = [row.timestamp for row, _ in self.events]
        times += [time for time, _, _ in self.values]
        times += [time for time, _ in self.disagreeing]
        return times


def rows_by_chain(compiled: CompiledPlan, data: Observations) -> dict[Caip2, ChainRows]:
    """Sort rows by the chain and the queries that they answer; rows that nothing asks for are left out.

    Raises:
        DataError: an event lacks a field, or could be of two contracts; names of one reading contradict each
            other.
    """
    rows = {chain: ChainRows(queries) for chain, queries in compiled.queries.items()}
    _add_events(compiled, data.events, rows)
    _add_series(compiled, data.series, rows)
    return rows


def _add_events(compiled: CompiledPlan, events: Sequence[EventSeen], rows: Mapping[Caip2, ChainRows]) -> None:
    needed = fields_of_queries(compiled)
    asked: dict[tuple[Caip2, str], list[EventQuery]] = {}
    for query in needed:
        asked.setdefault((query.chain, event_name(query.event)), []).append(query)
    known: dict[tuple[Caip2, str, str], tuple[tuple[int, ...], frozenset[str]]] = {}
    for place, row in enumerate(events):
        key = (row.chain, row.event, row.contract)
        found = known.get(key)
        if found is None:
            queries = _queries_of(row, asked, f"event {place + 1}")
            fields = frozenset[str]().union(*(needed[query] for query in queries))
            indices = tuple(rows[row.chain].queries.events.index(query) for query in queries)
            found = known[key] = (indices, fields)
        indices, fields = found
        if not indices:
            continue
        if not fields <= row.fields.keys():
            lacks = ", ".join(sorted(fields - row.fields.keys()))
            raise DataError(
                f"event {place + 1} ({row.event}, {row.timestamp})", f"expected {lacks}, got none"
            )
        rows[row.chain].events.append((row, indices))


def _queries_of(
    row: EventSeen, asked: Mapping[tuple[Caip2, str], Sequence[EventQuery]], where: str
) -> list[EventQuery]:
    queries = asked.get((row.chain, row.event.lower()), ())
    if row.contract:
        return [query for query in queries if query.address.lower() == row.contract.lower()]
    addresses = sorted({query.address for query in queries})
    if len(addresses) > 1:
        raise DataError(
            where,
            f"expected the contract of {row.event}, which the plan reads of {', '.join(addresses)}, got none",
            remedy="add a column `contract`, or name one by --map COLUMN=contract",
        )
    return list(queries)


def _add_series(compiled: CompiledPlan, series: Sequence[Sample], rows: Mapping[Caip2, ChainRows]) -> None:
    given = {row.metric for row in series}
    targets = _targets(compiled, given, rows)
    _check_alike({name: targets[name] for name in sorted(given & targets.keys())}, series)
    for row in series:
        target = targets.get(row.metric)
        if target is None:
            continue
        chain, indices = target
        if not indices:
            rows[chain].disagreeing.append((row.timestamp, row.value or 0))
        for index in indices:
            is_time = index in rows[chain].fresh and not row.metric.endswith(UPDATED_AT)
            rows[chain].values.append((row.timestamp, index, row.timestamp if is_time else row.value))


def _check_alike(targets: Mapping[str, tuple[Caip2, tuple[int, ...]]], series: Sequence[Sample]) -> None:
    """Refuse two names of one reading that say different things of one time.

    Else what was computed already, a mean or what stood an hour ago, would pass for what the chain gives.
    """
    names: dict[tuple[Caip2, int | None], list[str]] = {}
    for name, (chain, indices) in targets.items():
        # An oracle's price stands before the time at which it was set.
        names.setdefault((chain, indices[0] if indices else None), []).append(name)
    shared = [alike for alike in names.values() if len(alike) > 1]
    if not shared:
        return
    for time_s, rows in groupby(series, key=lambda row: row.timestamp):
        said = {row.metric: row.value for row in rows}
        for alike in shared:
            _check_said(time_s, said, alike)


def _check_said(time_s: int, said: Mapping[str, int | None], alike: Collection[str]) -> None:
    told = [(name, said[name]) for name in alike if name in said]
    for name, value in told[1:]:
        first_name, first = told[0]
        if value != first:
            shown = " and ".join("fault" if each is None else str(each) for each in (first, value))
            raise DataError(
                f"series {first_name} and {name}, time {time_s}",
                f"expected one value, for both are one reading, got {shown}",
                remedy="give one column of what the chain gives: windows, means and scales are the plan's",
            )


def _targets(
    compiled: CompiledPlan, given: set[str], rows: Mapping[Caip2, ChainRows]
) -> dict[str, tuple[Caip2, tuple[int, ...]]]:
    """Give the chain and the calls that each series speaks of; none of disagreement."""
    targets: dict[str, tuple[Caip2, tuple[int, ...]]] = {}
    for series, name in series_names(compiled.plan).items():
        metric, calls = compiled.plan.metrics[name], rows[compiled.plan.metrics[name].chain].queries.calls
        indices = [calls.index(query) for query in compiled.sources[name] if isinstance(query, CallQuery)]
        if metric.is_map:
            price, set_at = indices
            rows[metric.chain].fresh.add(set_at)
            if series.endswith(UPDATED_AT):
                indices = [set_at]
            elif name + UPDATED_AT in given:
                indices = [price]
        targets[series] = (metric.chain, tuple(indices))
    return targets


class ChainFeed:
    """Makes the blocks of one chain and lets its view observe them.

    `times` are those of the blocks to make in any case, ascending; None stands for all blocks of the grid.
    """

    def __init__(self, rows: ChainRows, grid: Grid, view: ChainView, times: Sequence[int] | None) -> None:
        self.grid = grid
        self._rows = rows
        self._view = view
        self._times = times
        self._newest_s = grid.start_s - 1
        self._at, self._event, self._value, self._disagreement = 0, 0, 0, 0
        self._since_final = 0
        self._calls = self._first_calls()
        self._unset = {index for index in rows.fresh if self._calls[index].value is not None}
        self._current: tuple[CallValue, ...] = tuple(self._calls)
        self._disagreeing = rows.disagreeing[0][1] if rows.disagreeing else 0

    def _first_calls(self) -> list[CallValue]:
        """Before its first row a series has its first value."""
        first: dict[int, int | None] = {}
        for _, index, value in self._rows.values:
            first.setdefault(index, value)
            if len(first) == len(self._rows.queries.calls):
                break
        return [_call(index, first.get(index)) for index in range(len(self._rows.queries.calls))]

    def feed(self, until_s: int) -> BlockRef:
        """Let the view observe the blocks up to that at `until_s`, which is made in any case; give it."""
        following_s = self._following(until_s)
        while following_s < until_s:
            self._observe(following_s)
            following_s = self._following(until_s)
        block = self._observe(until_s)
        self._finalize(until_s)
        return block

    def settle(self, pin_s: int) -> None:
        """Let the view observe the blocks up to the first one after `pin_s`: the pin there is settled."""
        while self._newest_s <= pin_s:
            self._observe(self._following(pin_s + 1))
        self._finalize(pin_s)

    def _following(self, at_least_s: int) -> int:
        """Give the time of the next block to make; once nothing changes any more, one at or after a time."""
        if self._times is None:
            return self.grid.at_or_after(self._newest_s + 1)
        while self._at < len(self._times) and self._times[self._at] <= self._newest_s:
            self._at += 1
        if self._at < len(self._times):
            return self._times[self._at]
        return self.grid.at_or_after(at_least_s)

    def _finalize(self, pin_s: int) -> None:
        """Let the view forget what stands before a pin, now and then."""
        if self._since_final >= _FINALIZE_EVERY:
            pin = self._view.at_or_before(pin_s)
            if pin is not None:
                self._view.finalize(pin)
            self._since_final = 0

    def _observe(self, time_s: int) -> BlockRef:
        number = self.grid.number(time_s)
        block = BlockRef(self._view.chain, Digest(number.to_bytes(32, "big")), number, time_s)
        # The first block of all has no parent: it stands for itself.
        header = Header(block, max(0, number - 1).to_bytes(32, "big"))
        reads = BlockReads(header, self._events_at(time_s), self._calls_at(time_s))
        self._view.observe(BlockObserved(reads, 1, 1 + self._disagreeing_at(time_s), block))
        self._newest_s = time_s
        self._since_final += 1
        return block

    def _events_at(self, time_s: int) -> tuple[EventRow, ...]:
        events, at = self._rows.events, self._event
        found: list[EventRow] = []
        while at < len(events) and events[at][0].timestamp <= time_s:
            row, queries = events[at]
            for query in queries:
                found.append(EventRow(query, len(found), _NO_TX, row.fields))
            at += 1
        self._event = at
        return tuple(found)

    def _calls_at(self, time_s: int) -> tuple[CallValue, ...]:
        values, at = self._rows.values, self._value
        for index in self._unset:
            self._calls[index] = _call(index, time_s)
        while at < len(values) and values[at][0] <= time_s:
            _, index, value = values[at]
            self._calls[index] = _call(index, value)
            self._unset.discard(index)
            at += 1
        if at != self._value or self._unset:
            self._current = tuple(self._calls)
        self._value = at
        return self._current

    def _disagreeing_at(self, time_s: int) -> int:
        rows = self._rows.disagreeing
        while self._disagreement < len(rows) and rows[self._disagreement][0] <= time_s:
            self._disagreeing = rows[self._disagreement][1]
            self._disagreement += 1
        return self._disagreeing


def _call(index: int, value: int | None) -> CallValue:
    return CallValue(index, value, _UNKNOWN if value is None else None)
