"""What a node tells its operator: log lines, metrics, pages, notices. One object, passed as an argument."""

from relay.telemetry.log import Level, Log, LogStyle, style_for
from relay.telemetry.metrics import Kind, Metric, Metrics
from relay.telemetry.telemetry import Page, PageKind, Telemetry

__all__ = [
    "Kind",
    "Level",
    "Log",
    "LogStyle",
    "Metric",
    "Metrics",
    "Page",
    "PageKind",
    "Telemetry",
    "style_for",
]
