"""What a chain's gateways hold, block by block: records of acts and registered plans (SPEC 5.4, 5.6)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from relay.core.observations import BlockReads, EndedHow, GatewayEvent, GatewayEventKind, PlanRegistered
from relay.core.types import ActId, BlockRef, DecisionId, Gateway, MandateDigest, PlanHash

NO_PLAN = PlanHash(bytes(32))
"""What a gateway names where it names none."""
_DECIDED = (EndedHow.ADOPT, EndedHow.DISMISS, EndedHow.FORCED)
"""Ends that only guardian or owner can bring about."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ActRecord:
    """An act's record at a gateway; `tier`, `mandate`, `decision_id` are those of its newest mandate.

    `until` may be past while the record is in force: it ends when somebody expires it. `how` and `ended_at`
    are set once it ended; `since` and `until` are in the chain's seconds.
    """

    since: int
    until: int
    tier: int
    mandate: MandateDigest | None
    decision_id: DecisionId | None
    in_force: bool = True
    how: EndedHow | None = None
    ended_at: int = 0


@dataclass(slots=True)
class _Versions(Generic[_T]):
    """Values by the position of the block after which they hold."""

    positions: list[int] = field(default_factory=list)
    values: list[_T] = field(default_factory=list)

    def put(self, position: int, value: _T) -> None:
        self.positions.append(position)
        self.values.append(value)

    def at(self, position: int) -> _T | None:
        index = bisect_right(self.positions, position)
        return self.values[index - 1] if index else None

    def cut(self, position: int) -> None:
        index = bisect_left(self.positions, position)
        del self.positions[index:], self.values[index:]

    def forget(self, position: int) -> None:
        index = max(bisect_right(self.positions, position) - 1, 0)
        del self.positions[:index], self.values[:index]


class GatewayHistory:
    """The gateways of one chain, as their events tell."""

    def __init__(self) -> None:
        self._records: dict[tuple[Gateway, ActId], _Versions[ActRecord]] = {}
        self._answers: dict[tuple[Gateway, ActId], _Versions[int]] = {}
        """By act: times of the blocks in which its gateway gave an answer that is no record."""
        self._plans: dict[Gateway, _Versions[PlanRegistered]] = {}

    def append(self, position: int, block: BlockRef, reads: BlockReads) -> None:
        """Take a block's events, in the order of their logs."""
        for event in reads.gateway_events:
            act = (event.gateway, event.act_id)
            versions = self._records.setdefault(act, _Versions())
            record = _next_record(versions.values[-1] if versions.values else None, event, block)
            if record is not None:
                versions.put(position, record)
            if event.kind is GatewayEventKind.NOOP or event.how in _DECIDED:
                self._answers.setdefault(act, _Versions()).put(position, block.timestamp)
        for registered in reads.plans:
            self._plans.setdefault(registered.gateway, _Versions()).put(position, registered)

    def cut(self, position: int) -> None:
        """Drop all blocks from `position` on."""
        for records in self._records.values():
            records.cut(position)
        for answers in self._answers.values():
            answers.cut(position)
        for plans in self._plans.values():
            plans.cut(position)

    def forget(self, position: int) -> None:
        """Nobody will ask about blocks before `position` again."""
        for records in self._records.values():
            records.forget(position)
        for answers in self._answers.values():
            answers.forget(position)
        for plans in self._plans.values():
            plans.forget(position)

    def record(self, gateway: Gateway, act_id: ActId, position: int) -> ActRecord | None:
        """Give the act's newest record after the block at `position`."""
        versions = self._records.get((gateway, act_id))
        return None if versions is None else versions.at(position)

    def answered_at(self, gateway: Gateway, act_id: ActId, position: int) -> int | None:
        """Give the time of the newest block up to that at `position` in which the gateway said that the act
        would change nothing, or that guardian or owner ended it (SPEC 5.4.1).
        """
        versions = self._answers.get((gateway, act_id))
        return None if versions is None else versions.at(position)

    def plans(self, gateway: Gateway, position: int, timestamp: int) -> frozenset[PlanHash]:
        """Give the hashes that are valid after the block at `position`, whose time is `timestamp`.

        As the gateways have it: current and following during an overlap, following alone after it.
        """
        versions = self._plans.get(gateway)
        registered = None if versions is None else versions.at(position)
        if registered is None:
            return frozenset()
        if not registered.overlap_until:
            return frozenset({registered.current} - {NO_PLAN})
        during = timestamp <= registered.overlap_until
        return frozenset({registered.following, *((registered.current,) if during else ())} - {NO_PLAN})


def _next_record(record: ActRecord | None, event: GatewayEvent, block: BlockRef) -> ActRecord | None:
    """Give the record after `event`, or None where the event changes nothing."""
    match event.kind:
        case GatewayEventKind.STARTED:
            return ActRecord(block.timestamp, event.until, event.tier, event.mandate, event.decision_id)
        case GatewayEventKind.EXTENDED if record is not None:
            return replace(
                record,
                until=event.until,
                tier=event.tier,
                mandate=event.mandate,
                decision_id=event.decision_id,
            )
        case GatewayEventKind.ENDED if record is not None:
            return replace(record, in_force=False, how=event.how, ended_at=event.ended_at)
        case _:
            return None


__all__ = ["ActRecord", "GatewayHistory"]
