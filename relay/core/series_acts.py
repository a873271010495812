"""How many acts a gateway has in force (SPEC 5.2), as its events tell from block `since` on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from proofs.hashes import keccak256
from relay.core.metrics import Reading
from relay.core.observations import GatewayEvent, GatewayEventKind
from relay.core.plan import PlanMetric
from relay.core.series import Given, Place
from relay.core.types import ActId

__all__ = ["ActsSeries"]


@dataclass(slots=True)
class ActsSeries:
    """The parallel lists hold every start and end of a record, and how many stand after it.

    A record whose time is over stands until the gateway says that it has ended: so long the act's state does.
    """

    metric: PlanMetric
    since: int
    _positions: list[int] = field(default_factory=list)
    _changes: list[tuple[ActId, bool]] = field(default_factory=list)
    """The act, and whether a record of it stood before."""
    _counts: list[int] = field(default_factory=list)
    _standing: set[ActId] = field(default_factory=set)
    _wanted: frozenset[ActId] = field(init=False)

    def __post_init__(self) -> None:
        self._wanted = frozenset(ActId(keccak256(name.encode())) for name in self.metric.acts)

    def append(self, place: Place, given: Given) -> None:
        """Take what the gateway said in the block."""
        if place.number < self.since:
            return
        for event in given.gateway_events:
            if not self._wanted or event.act_id in self._wanted:
                self._take(place.position, event)

    def _take(self, position: int, event: GatewayEvent) -> None:
        stood = event.act_id in self._standing
        match event.kind:
            case GatewayEventKind.STARTED:
                self._standing.add(event.act_id)
            case GatewayEventKind.ENDED:
                self._standing.discard(event.act_id)
            case _:
                return
        self._positions.append(position)
        self._changes.append((event.act_id, stood))
        self._counts.append(len(self._standing))

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        index = bisect_left(self._positions, position)
        for act_id, stood in reversed(self._changes[index:]):
            if stood:
                self._standing.add(act_id)
            else:
                self._standing.discard(act_id)
        del self._positions[index:], self._changes[index:], self._counts[index:]

    def forget(self, place: Place) -> None:
        """Drop what was replaced before `place`."""
        index = max(bisect_right(self._positions, place.position) - 1, 0)
        del self._positions[:index], self._changes[:index], self._counts[:index]

    def at(self, place: Place) -> Reading:
        """Give how many stand after that block."""
        index = bisect_right(self._positions, place.position)
        return Reading(self._counts[index - 1] if index else 0)
