"""What each metric of a plan gives at a block of its reference chain and that block's pins (SPEC 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from relay.core.compiled import CompiledPlan
from relay.core.metrics import Reading
from relay.core.plan import ChainMetric, EventMetric, MatchMetric, Metric, PlanMetric, StateMetric, Watched
from relay.core.series import Place, Series
from relay.core.series_match import MatchSeries, Seen
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView

__all__ = ["At", "Reader", "Silence", "readers_of"]


@dataclass(frozen=True, slots=True)
class At:
    """A block of the reference chain with its pins, its own included, and where they stand."""

    block: BlockRef
    pins: Mapping[Caip2, BlockRef]
    places: Mapping[Caip2, Place]


Reader = Callable[[At], Reading | None]
"""Gives a metric; None where it cannot be told, for lack of a settled pin."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a foreign chain has made no block, up to `lag_s` before a block of the reference chain.

    Less than `patience_s` is 0: so it is the same whether the chain has gone on since or not, and whoever
    evaluates the block while the chain stands still says what is said later.
    """

    view: ChainView
    lag_s: int
    patience_s: int
    since: int

    def __call__(self, at: At) -> Reading | None:
        """Give the seconds, as a reading."""
        seconds = self.seconds(at.block)
        return None if seconds is None else Reading(seconds)

    def seconds(self, block: BlockRef) -> int | None:
        """Give the seconds; None before the chain's first block, or where blocks that are known of and not
        read yet decide it.
        """
        until_s = block.timestamp - self.lag_s
        newest = self.view.at_or_before(until_s)
        if newest is None or newest.number < self.since:
            return None
        silent_s = until_s - newest.timestamp
        if silent_s < self.patience_s or self.is_settled(block):
            return self._told(silent_s)
        head, tip = self.view.head, self.view.tip
        if head is None or tip is None or head.number <= tip.number:
            return silent_s
        return None if head.timestamp > until_s else self._told(until_s - head.timestamp)

    def is_settled(self, block: BlockRef) -> bool:
        """Tell whether a later block has been read: nothing that is read from now on changes the answer."""
        return self.view.has_later_than(block.timestamp - self.lag_s)

    def _told(self, silent_s: int) -> int:
        return silent_s if silent_s >= self.patience_s else 0


@dataclass(frozen=True, slots=True)
class _Local:
    series: Series
    chain: Caip2

    def __call__(self, at: At) -> Reading | None:
        place = at.places.get(self.chain)
        return None if place is None else self.series.at(place)


@dataclass(frozen=True, slots=True)
class _Matched:
    series: MatchSeries
    found: Caip2
    against: Caip2

    def __call__(self, at: At) -> Reading | None:
        found, against = at.places.get(self.found), at.places.get(self.against)
        return None if found is None or against is None else self.series.at(found, against)


@dataclass(frozen=True, slots=True)
class _Disagreement:
    view: ChainView
    chain: Caip2

    def __call__(self, at: At) -> Reading | None:
        pin = at.pins.get(self.chain)
        if pin is None:
            return None
        agreeing, asked = self.view.agreement(pin)
        return Reading(asked - agreeing)


def readers_of(compiled: CompiledPlan, views: Mapping[Caip2, ChainView]) -> dict[str, Reader]:
    """Make the readers of a plan's metrics, fed by `views`, in the order of their names.

    Raises:
        ValueError: a view has seen blocks already.
    """
    return {name: _reader(metric, compiled, views) for name, metric in compiled.plan.metrics.items()}


def _reader(metric: Metric, compiled: CompiledPlan, views: Mapping[Caip2, ChainView]) -> Reader:
    view, chain = views[metric.chain], compiled.plan.chains[metric.chain]
    match metric:
        case EventMetric() | StateMetric() | PlanMetric():
            gateway = compiled.metric_gateways.get(metric.name)
            series = view.series(metric, compiled.sources[metric.name], chain.since, gateway)
            return _Local(series, metric.chain)
        case MatchMetric():
            return _matched(metric, compiled, views)
        case ChainMetric(watched=Watched.SILENCE):
            return Silence(view, chain.lag_s, compiled.plan.clock.patience_s, chain.since)
        case ChainMetric():
            return _Disagreement(view, metric.chain)
        case _:
            assert_never(metric)


def _matched(metric: MatchMetric, compiled: CompiledPlan, views: Mapping[Caip2, ChainView]) -> Reader:
    chains = metric.found.chain, metric.against.chain
    series = MatchSeries(metric, *(_seen(chain, compiled) for chain in chains))
    for chain, side, source in zip(chains, series.sides, compiled.sources[metric.name], strict=True):
        views[chain].attach(side, (source,))
    return _Matched(series, *chains)


def _seen(chain: Caip2, compiled: CompiledPlan) -> Seen:
    each, is_reference = compiled.plan.chains[chain], chain == compiled.plan.clock.reference
    return Seen(0 if is_reference else each.lag_s, each.since, is_reference)
