"""Which series a metric of one chain has (SPEC 5.2)."""

from __future__ import annotations

from typing import assert_never

from relay.core.plan import EventMetric, Measure, PlanMetric, StateMetric
from relay.core.series import LocalMetric, Series
from relay.core.series_acts import ActsSeries
from relay.core.series_events import CumulativeSeries, WindowSeries
from relay.core.series_most import MostSeries
from relay.core.series_state import OverSeries, StateSeries

__all__ = ["series_of"]


def series_of(metric: LocalMetric, since: int) -> Series:
    """Make the empty series of a metric that counts from block `since` on."""
    match metric:
        case StateMetric():
            return StateSeries(metric) if metric.over is None else OverSeries(metric, since, metric.over)
        case PlanMetric():
            return ActsSeries(metric, since)
        case EventMetric():
            return _of_events(metric, since)
        case _:
            assert_never(metric)


def _of_events(metric: EventMetric, since: int) -> Series:
    if metric.window is None:
        return CumulativeSeries(metric, since)
    if metric.measure is Measure.MAX:
        return MostSeries(metric, since, metric.window)
    return WindowSeries(metric, since, metric.window)
