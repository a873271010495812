"""Which rules can be judged from a stretch of blocks (plans SPEC 2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from relay.core.compiled import CompiledPlan
from relay.core.plan import (
    ChainMetric,
    EventMetric,
    MatchMetric,
    Metric,
    Plan,
    PlanMetric,
    StateMetric,
    Window,
)
from relay.core.types import BlockRef, Caip2

__all__ = ["Stretch", "unjudged_rules", "unknown_metrics"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The blocks of one chain that were read, from `first` to `last`, and none left out."""

    first: BlockRef
    last: BlockRef

    def covers(self, window: Window | None, since: int, *, of_state: bool = False) -> bool:
        """Tell whether all that a window at `last` can hold, or all since block `since`, was read.

        A window of state begins with what stood before its first block.
        """
        if window is None:
            return self.first.number <= since
        if window.seconds is not None:
            return self.first.timestamp <= self.last.timestamp - window.seconds or self.first.number <= since
        begin = self.last.number - (window.blocks or 0) + (0 if of_state else 1)
        return self.first.number <= max(begin, since)


def unknown_metrics(plan: Plan, read: Mapping[Caip2, Stretch]) -> frozenset[str]:
    """Give the metrics whose values need blocks that were not read."""
    return frozenset(name for name, metric in plan.metrics.items() if not _is_known(metric, plan, read))


def unjudged_rules(compiled: CompiledPlan, unknown: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """Give the rules that read such metrics, each with them."""
    found = {
        name: tuple(metric for metric in condition.reads if metric in unknown)
        for name, condition in compiled.rules.items()
    }
    return {name: metrics for name, metrics in found.items() if metrics}


def _is_known(metric: Metric, plan: Plan, read: Mapping[Caip2, Stretch]) -> bool:
    if any(chain not in read for chain in metric.chains):
        return False
    since = {chain: plan.chains[chain].since for chain in metric.chains}
    match metric:
        case EventMetric():
            return read[metric.chain].covers(metric.window, since[metric.chain])
        case MatchMetric():
            return all(read[chain].covers(None, since[chain]) for chain in metric.chains)
        case StateMetric():
            stretch, begin = read[metric.chain], since[metric.chain]
            return metric.over is None or stretch.covers(metric.over.window, begin, of_state=True)
        case PlanMetric():
            # A record may have begun at any time.
            return read[metric.chain].covers(None, since[metric.chain])
        case ChainMetric():
            return True
        case _:
            assert_never(metric)
