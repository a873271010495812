"""Metrics of one chain, block by block (SPEC 5.2): they can be read at any retained block.

A series is fed what concerns it of every block, in order, and answers for each of them; it is cut back when
the chain is, and forgets what no retained block needs. Answers depend on the blocks alone, not on earlier
questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.core.metrics import Reading
from relay.core.observations import CallQuery, CallValue, EventQuery, EventRow, GatewayEvent
from relay.core.plan import EventMetric, PlanMetric, StateMetric, Window

__all__ = ["Fed", "Given", "LocalMetric", "Place", "Query", "Series", "window_mark"]

Query = EventQuery | CallQuery
"""What a series is fed from."""
LocalMetric = EventMetric | StateMetric | PlanMetric
"""Metrics that the blocks of one chain decide."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands in its chain's view; `position` is the number of blocks observed before it."""

    position: int
    number: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Given:
    """What of one block concerns a series: rows and results by source, in the order of its sources."""

    events: Sequence[Sequence[EventRow]] = ()
    calls: Sequence[CallValue | None] = ()
    gateway_events: Sequence[GatewayEvent] = ()


class Fed(Protocol):
    """What a view feeds."""

    def append(self, place: Place, given: Given) -> None:
        """Take the block that follows; one in which nothing concerns events or gateways may be left out."""
        ...

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on: they have left the chain."""
        ...

    def forget(self, place: Place) -> None:
        """Nobody will ask about blocks before `place` again."""
        ...


class Series(Fed, Protocol):
    """What an evaluator reads."""

    def at(self, place: Place) -> Reading:
        """Give the metric as it stood after that block."""
        ...


def window_mark(window: Window, place: Place) -> tuple[int, int]:
    """Give a block's mark on the axis of a window (its timestamp, or its number), and the mark at which a
    window that ends there begins: what stands at that very mark is before it.
    """
    if window.seconds is not None:
        return place.timestamp, place.timestamp - window.seconds
    assert window.blocks is not None
    return place.number, place.number - window.blocks
