"""What people may follow while it happens: updates for watchers, the times of a decision's steps, gauges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.core.effects import Effect
from relay.core.events import EndpointDisagreed, Event
from relay.core.incidents import incidents
from relay.core.node import Node
from relay.core.ports import Submitter
from relay.core.types import Caip2, DecisionId
from relay.gossip import Lane
from relay.journal import Journal
from relay.telemetry import Kind, Metric, Metrics

__all__ = [
    "Meter",
    "Timeline",
    "Watch",
    "expose_lane",
    "expose_readiness",
    "set_endpoint_gauges",
    "set_gauges",
]

READY: Final = Metric("ready", Kind.GAUGE, "1 while a fact of readiness holds, else 0.", ("fact",))
MAX_TIMELINE: Final = 4_096
LANE_DROPS: Final = Metric(
    "lane_drops", Kind.COUNTER, "Frames, streams and connections dropped, by reason.", ("reason",)
)


@dataclass(slots=True)
class Timeline:
    """When a decision was `judged`, `certified` and `threshold_signed`, its call `submitted` and `landed`,
    and its effect `seen`.

    Each the first time, in microseconds of our clock.
    """

    clock_us: Callable[[], int]
    at_us: dict[bytes, dict[str, int]] = field(default_factory=dict)

    def note(self, decision_id: bytes, step: str) -> None:
        """Keep the first time of a step; the oldest decision makes room."""
        if decision_id not in self.at_us and len(self.at_us) >= MAX_TIMELINE:
            del self.at_us[next(iter(self.at_us))]
        self.at_us.setdefault(decision_id, {}).setdefault(step, self.clock_us())


class Meter:
    """Counts what passes the pump."""

    def __init__(self, metrics: Metrics, clock_us: Callable[[], int]) -> None:
        self._metrics = metrics
        self.clock_us = clock_us

    def turned(self, batch: Sequence[Event], effects: Sequence[Effect], commit_us: int) -> None:
        """Take one turn of the pump; `commit_us` is 0 where nothing went to disk."""
        for event in batch:
            self._metrics.count("events", event=type(event).__name__)
            if isinstance(event, EndpointDisagreed):
                for operator in event.operators:
                    self._metrics.count("endpoint_disagreements", chain=event.chain, operator=operator)
        for effect in effects:
            self._metrics.count("effects", effect=type(effect).__name__)
        if commit_us:
            self._metrics.observe("journal_commit_seconds", commit_us / 1_000_000)


class Watch:
    """Turns the node's effects into updates and times."""

    def __init__(
        self, node: Node, timeline: Timeline, metrics: Metrics, publish: Callable[[str], None]
    ) -> None:
        self._node = node
        self._timeline = timeline
        self._metrics = metrics
        self._publish = publish

    def judged(self, decision_id: bytes) -> None:
        """Take note that our own verdict on a decision is known: the edge was seen."""
        self._timeline.note(decision_id, "judged")

    def counted(self, decision_id: bytes) -> None:
        """Take note of the certificates: of the list, if the word just counted was the last that it needed,
        and of the group's signature; and of the first effect that was read by quorum.
        """
        entry = self._node.book.entries.entry_of(DecisionId(decision_id))
        times = self._timeline.at_us.get(decision_id, {})
        if entry is None:
            return
        if entry.tally.certificate is not None and "certified" not in times:
            self._timeline.note(decision_id, "certified")
            self._took(decision_id, "judged", "certified", "edge_to_certificate_seconds")
        if entry.threshold_certificate is not None and "threshold_signed" not in times:
            self._timeline.note(decision_id, "threshold_signed")
            self._took(decision_id, "judged", "threshold_signed", "edge_to_threshold_signature_seconds")
        if "seen" not in times and self._node.landing.has_any_effect(entry.tally.prepared):
            self._timeline.note(decision_id, "seen")
            self._took(decision_id, "certified", "seen", "certificate_to_effect_seconds")

    def _took(self, decision_id: bytes, first: str, last: str, metric: str) -> None:
        times = self._timeline.at_us[decision_id]
        if first in times:
            self._metrics.observe(metric, (times[last] - times[first]) / 1_000_000)

    def reached(self, decision_id: bytes, step: str) -> None:
        """Take note that a decision's call was submitted, or landed."""
        self._timeline.note(decision_id, step)

    def changed(self, decision_id: bytes) -> None:
        """Tell watchers that a decision's state has changed."""
        self._publish(decision_id.hex())


def set_gauges(metrics: Metrics, node: Node, journal: Journal) -> None:
    """Set the gauges to what the node is now."""
    metrics.set("live_members", node.live_members())
    metrics.set("log_size", journal.log_size)
    metrics.set("journal_free_bytes", journal.disk_state().free_bytes)
    open_ones = [each for each in incidents(node.book, node.landing) if not each.is_contained]
    metrics.set("open_incidents", len(open_ones))
    for chain, view in node.views.items():
        if view.tip is not None:
            metrics.set("head_number", view.tip.number, chain=chain)
            metrics.set("head_timestamp_seconds", view.tip.timestamp, chain=chain)


def set_endpoint_gauges(metrics: Metrics, submitters: Mapping[Caip2, Submitter]) -> None:
    """Set what each submitter found of its endpoints lately."""
    for chain, submitter in submitters.items():
        for endpoint in submitter.health():
            metrics.set("endpoint_up", int(endpoint.is_up), chain=chain, operator=endpoint.operator)


def expose_readiness(metrics: Metrics, read: Callable[[], Sequence[tuple[str, bool]]]) -> None:
    """Show each fact of readiness as it is when somebody looks."""
    metrics.expose(READY, lambda: {name: int(is_ready) for name, is_ready in read()})


def expose_lane(metrics: Metrics, lane: Lane) -> None:
    """Count what the lane drops, floods above all, where the operator looks."""

    def read() -> dict[str, int]:
        return {drop.value: count for drop, count in lane.statistics().items()}

    metrics.expose(LANE_DROPS, read)
