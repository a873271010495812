"""Counters, gauges and histograms in a registry of one node, in Prometheus' text form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

MAX_LABEL_SETS = 256
"""Of one metric. Labels are constant phrases and configured names; more means that a peer chose one."""
OVERFLOW_LABEL = "other"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared metric: `name` without the prefix `tocsin_`; a histogram's values are seconds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


CATALOGUE = (
    Metric("dropped", Kind.COUNTER, "Inputs dropped, by named reason.", ("reason",)),
    Metric("pages", Kind.COUNTER, "Pages, by kind.", ("kind",)),
    Metric("notices", Kind.COUNTER, "Notices, by phrase.", ("notice",)),
    Metric("log_lines", Kind.COUNTER, "Log lines of level warning and above, by level.", ("level",)),
    Metric("events", Kind.COUNTER, "Events applied to the node, by kind.", ("event",)),
    Metric("effects", Kind.COUNTER, "Effects done, by kind.", ("effect",)),
    Metric("signatures", Kind.COUNTER, "Signatures that left the signer, by what was signed.", ("kind",)),
    Metric(
        "submissions",
        Kind.COUNTER,
        "Calls to gateways, by chain and what became of them.",
        ("chain", "status"),
    ),
    Metric("endpoint_disagreements", Kind.COUNTER, "Answers unlike the quorum's.", ("chain", "operator")),
    Metric("head_number", Kind.GAUGE, "Newest block read by quorum.", ("chain",)),
    Metric("head_timestamp_seconds", Kind.GAUGE, "Its timestamp.", ("chain",)),
    Metric(
        "endpoint_up",
        Kind.GAUGE,
        "1 where an endpoint answered a submitter the last time, 0 where it is left alone for a while.",
        ("chain", "operator"),
    ),
    Metric("live_members", Kind.GAUGE, "Members heard of within the stale time, this one included."),
    Metric("open_incidents", Kind.GAUGE, "Incidents not yet closed."),
    Metric("journal_free_bytes", Kind.GAUGE, "Free space where the journal lives."),
    Metric("log_size", Kind.GAUGE, "Entries of the audit log."),
    Metric("log_signed_size", Kind.GAUGE, "Entries under the newest checkpoint that was signed."),
    Metric("log_published_size", Kind.GAUGE, "Entries under the newest published checkpoint."),
    Metric("log_cosignatures", Kind.GAUGE, "Witnesses that have cosigned the newest checkpoint."),
    Metric("log_stopped", Kind.GAUGE, "1 where this log signs nothing more, for its disk is an older one."),
    Metric("witness_debts", Kind.GAUGE, "Checkpoints of logs that nothing proves consistent yet."),
    Metric("witness_forks", Kind.GAUGE, "Logs that have signed two roots for one size."),
    Metric("edge_to_certificate_seconds", Kind.HISTOGRAM, "From our own verdict to the list of signatures."),
    Metric(
        "edge_to_threshold_signature_seconds",
        Kind.HISTOGRAM,
        "From our own verdict to the one signature by the group's key.",
    ),
    Metric("certificate_to_effect_seconds", Kind.HISTOGRAM, "From the certificate to the first effect read."),
    Metric("journal_commit_seconds", Kind.HISTOGRAM, "One group commit."),
)

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


class Metrics:
    """The metrics of one node. A name or label that was not declared is a bug of ours."""

    def __init__(self, catalogue: Iterable[Metric] = CATALOGUE) -> None:
        self._registry = CollectorRegistry()
        self._declared: dict[str, Metric] = {}
        self._seen: dict[str, set[tuple[str, ...]]] = {}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in catalogue:
            self._declare(metric)

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add `amount` to a counter."""
        counter = self._counters[name]
        values = self._labels(name, labels)
        (counter.labels(*values) if values else counter).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        values = self._labels(name, labels)
        (gauge.labels(*values) if values else gauge).set(value)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration to a histogram."""
        histogram = self._histograms[name]
        values = self._labels(name, labels)
        (histogram.labels(*values) if values else histogram).observe(seconds)

    def expose(self, metric: Metric, read: Callable[[], Mapping[str, int]]) -> None:
        """Take values from `read` at each scrape: a map from the metric's single label to its value."""
        assert metric.kind is not Kind.HISTOGRAM, metric
        assert len(metric.labels) == 1, metric
        self._registry.register(_Exposed(metric, read))

    def text(self) -> tuple[bytes, str]:
        """Give the exposition and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _declare(self, metric: Metric) -> None:
        assert metric.name not in self._declared, f"metric {metric.name} declared twice"
        self._declared[metric.name] = metric
        self._seen[metric.name] = set()
        name, labels = f"tocsin_{metric.name}", metric.labels
        match metric.kind:
            case Kind.COUNTER:
                self._counters[metric.name] = Counter(name, metric.help, labels, registry=self._registry)
            case Kind.GAUGE:
                self._gauges[metric.name] = Gauge(name, metric.help, labels, registry=self._registry)
            case Kind.HISTOGRAM:
                self._histograms[metric.name] = Histogram(
                    name, metric.help, labels, registry=self._registry, buckets=_BUCKETS
                )

    def _labels(self, name: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        declared = self._declared[name].labels
        assert frozenset(labels) == frozenset(declared), (
            f"metric {name} has labels {declared}, got {set(labels)}"
        )
        values = tuple(labels[label] for label in declared)
        seen = self._seen[name]
        if values not in seen and len(seen) >= MAX_LABEL_SETS:
            return (OVERFLOW_LABEL,) * len(values)
        seen.add(values)
        return values


class _Exposed(Collector):
    def __init__(self, metric: Metric, read: Callable[[], Mapping[str, int]]) -> None:
        self._metric = metric
        self._read = read

    def describe(self) -> Iterable[Family]:
        return [self._family()]

    def collect(self) -> Iterable[Family]:
        family = self._family()
        for label, value in sorted(self._read().items())[:MAX_LABEL_SETS]:
            family.add_metric([label], value)
        return [family]

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        build = CounterMetricFamily if self._metric.kind is Kind.COUNTER else GaugeMetricFamily
        return build(f"tocsin_{self._metric.name}", self._metric.help, labels=list(self._metric.labels))


__all__ = ["CATALOGUE", "MAX_LABEL_SETS", "OVERFLOW_LABEL", "Kind", "Metric", "Metrics"]
