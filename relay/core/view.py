"""What one node has seen of one chain: blocks, gateways and metrics, at any retained block (SPEC 5).

Blocks come in the order of the chain. A re-org takes the newest away again, exactly; what is older than
`keep_s` and final is folded, so that memory stays flat.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relay.core.errors import ChainError
from relay.core.events import BlockObserved
from relay.core.gateways import ActRecord, GatewayHistory
from relay.core.observations import BlockReads, ChainQueries, EventQuery, EventRow, GatewayEvent
from relay.core.plan import OnFault
from relay.core.series import Fed, Given, LocalMetric, Place, Query, Series
from relay.core.series_of import series_of
from relay.core.types import ActId, BlockRef, Caip2, Gateway, PlanHash

PRUNE_AT_ONCE = 256
"""Blocks that are forgotten together: folding costs the same for one as for many."""


@dataclass(frozen=True, slots=True)
class _Feed:
    """A series and the indices of the queries that it is fed from, in the order of its sources."""

    series: Fed
    events: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()


_Source = tuple[tuple[Query, ...], int, Gateway | None]
"""Where a series has its facts from: queries, the first block that counts, a gateway."""


class ChainView:
    """The observed part of one chain, from its first observed block to the tip.

    `keep_s` is how far behind the tip a block stays readable; blocks that are not final stay in any case.
    """

    def __init__(self, queries: ChainQueries, *, keep_s: int) -> None:
        self._queries = queries
        self._keep_s = keep_s
        self._blocks: list[BlockRef] = []
        self._numbers: list[int] = []
        self._timestamps: list[int] = []
        self._places: list[Place] = []
        self._agreement: list[tuple[int, int]] = []
        self._by_hash: dict[bytes, int] = {}
        self._forgotten = 0
        """Blocks that were folded: the position of the first retained one."""
        self._series: list[Fed] = []
        self._shared: dict[_Source, list[tuple[LocalMetric, Series]]] = {}
        """Series that plans may have in common: what feeds them, and what they make of it."""
        self._by_event: dict[int, list[_Feed]] = {}
        self._by_call: list[_Feed] = []
        self._by_gateway: dict[Gateway, list[Fed]] = {}
        self._gateways = GatewayHistory()
        self._finalized: BlockRef | None = None
        self._head: BlockRef | None = None

    @property
    def chain(self) -> Caip2:
        """The chain that is viewed."""
        return self._queries.chain

    @property
    def tip(self) -> BlockRef | None:
        """The newest observed block."""
        return self._blocks[-1] if self._blocks else None

    @property
    def finalized(self) -> BlockRef | None:
        """The newest block known to be final; it may not be observed yet."""
        return self._finalized

    @property
    def head(self) -> BlockRef | None:
        """The newest block that a quorum of endpoints had; at or after the tip."""
        return self._head

    def series(
        self, metric: LocalMetric, sources: tuple[Query, ...], since: int, gateway: Gateway | None = None
    ) -> Series:
        """Give the series of a metric, fed from the first observed block on; equal metrics have one.

        Raises:
            ValueError: blocks were observed already, or a source is none of this view's.
        """
        # What a metric is called and what its faults bring about is the plan's affair.
        plain = replace(metric, name="", unit="", on_fault=OnFault.FALSE)
        known = self._shared.setdefault((sources, since, gateway), [])
        for each, series in known:
            if each == plain:
                return series
        series = series_of(metric, since)
        self.attach(series, sources, gateway)
        known.append((plain, series))
        return series

    def attach(self, series: Fed, sources: tuple[Query, ...], gateway: Gateway | None = None) -> None:
        """Feed a series from the first observed block on.

        Raises:
            ValueError: blocks were observed already, or a source is none of this view's.
        """
        if self._blocks or self._forgotten:
            raise ValueError(f"expected a view without blocks, got one at {self.tip}")
        events = [source for source in sources if isinstance(source, EventQuery)]
        calls = [source for source in sources if not isinstance(source, EventQuery)]
        feed = _Feed(
            series,
            tuple(self._queries.events.index(query) for query in events),
            tuple(self._queries.calls.index(query) for query in calls),
        )
        for query in dict.fromkeys(feed.events):
            self._by_event.setdefault(query, []).append(feed)
        if feed.calls:
            self._by_call.append(feed)
        if gateway is not None:
            self._by_gateway.setdefault(gateway, []).append(series)
        self._series.append(series)

    def observe(self, event: BlockObserved) -> None:
        """Take the block that follows the tip.

        Raises:
            AssertionError: it does not follow: whoever feeds the view must report the re-org first.
        """
        block = event.reads.header.block
        self._assert_follows(event.reads)
        place = Place(self._forgotten + len(self._blocks), block.number, block.timestamp)
        self._by_hash[block.hash] = len(self._blocks) + self._forgotten
        self._blocks.append(block)
        self._numbers.append(block.number)
        self._timestamps.append(block.timestamp)
        self._places.append(place)
        self._agreement.append((event.agreeing, event.asked))
        self._feed(place, event.reads)
        self._gateways.append(place.position, block, event.reads)
        if self._head is None or event.head.number > self._head.number:
            self._head = event.head
        self._prune()

    def rollback(self, ancestor: BlockRef) -> tuple[BlockRef, ...]:
        """Take back all blocks above `ancestor`; give them in ascending order.

        Raises:
            ChainError: the ancestor is not retained: the sums after it are not known any more.
        """
        index = self._index_above(ancestor)
        removed = tuple(self._blocks[index:])
        position = index + self._forgotten
        for block in removed:
            del self._by_hash[block.hash]
        for kept in (self._blocks, self._numbers, self._timestamps, self._places, self._agreement):
            del kept[index:]
        if removed:
            for series in self._series:
                series.cut(position)
            self._gateways.cut(position)
        self._head = ancestor
        return removed

    def finalize(self, block: BlockRef) -> None:
        """Take note that `block` and all before it are final."""
        if self._finalized is None or block.number > self._finalized.number:
            self._finalized = block

    def at_or_before(self, timestamp: int) -> BlockRef | None:
        """Give the last retained block with a timestamp of at most `timestamp`."""
        index = bisect_right(self._timestamps, timestamp)
        return self._blocks[index - 1] if index else None

    def settled(self, timestamp: int) -> tuple[BlockRef, Place] | None:
        """Give the last retained block with a timestamp of at most `timestamp`, and where it stands, once a
        later one was observed.
        """
        times = self._timestamps
        if not times or times[-1] <= timestamp:
            return None
        index = bisect_right(times, timestamp) - 1
        return None if index < 0 else (self._blocks[index], self._places[index])

    def has_later_than(self, timestamp: int) -> bool:
        """Tell whether a block with a larger timestamp has been observed (a pin there is settled)."""
        return bool(self._timestamps) and self._timestamps[-1] > timestamp

    def after(self, number: int) -> Sequence[BlockRef]:
        """Give the retained blocks with a larger number, in order."""
        return self._blocks[bisect_right(self._numbers, number) :]

    def contains(self, block_hash: bytes) -> bool:
        """Tell whether the block is observed, retained and on the chain."""
        return block_hash in self._by_hash

    def block_of(self, block_hash: bytes) -> BlockRef | None:
        """Give the retained block of the chain that has this hash."""
        position = self._by_hash.get(block_hash)
        return None if position is None else self._blocks[position - self._forgotten]

    def is_final(self, block: BlockRef) -> bool:
        """Tell whether a retained block is final."""
        return (
            self._finalized is not None
            and block.number <= self._finalized.number
            and self.contains(block.hash)
        )

    def confirmations(self, block: BlockRef) -> int:
        """Give the number of observed blocks from `block` to the tip; 0 if it is not on the chain."""
        return self._numbers[-1] - block.number + 1 if self.contains(block.hash) else 0

    def agreement(self, block: BlockRef) -> tuple[int, int]:
        """Give (endpoints that agreed, endpoints asked) for a retained block."""
        return self._agreement[self._by_hash[block.hash] - self._forgotten]

    def place(self, block: BlockRef) -> Place | None:
        """Give where a block stands, for reading a series; None if it is not retained on the chain."""
        position = self._by_hash.get(block.hash)
        return None if position is None else self._places[position - self._forgotten]

    def record(self, gateway: Gateway, act_id: ActId, at: BlockRef) -> ActRecord | None:
        """Give the act's record in force after block `at`, if there is one and `at` is retained."""
        newest = self.last_record(gateway, act_id, at)
        return newest if newest is not None and newest.in_force else None

    def last_record(self, gateway: Gateway, act_id: ActId, at: BlockRef) -> ActRecord | None:
        """Give the act's newest record after block `at`, ended or not."""
        position = self._by_hash.get(at.hash)
        return None if position is None else self._gateways.record(gateway, act_id, position)

    def answered_at(self, gateway: Gateway, act_id: ActId, at: BlockRef) -> int | None:
        """Give when the act's gateway last gave an answer that is no record, up to block `at`
        (SPEC 5.4.1).
        """
        position = self._by_hash.get(at.hash)
        return None if position is None else self._gateways.answered_at(gateway, act_id, position)

    def plan_in_force(self, gateway: Gateway, at: BlockRef) -> frozenset[PlanHash]:
        """Give the plan hashes that the gateway names as valid at block `at` (SPEC 5.6)."""
        position = self._by_hash.get(at.hash)
        return frozenset() if position is None else self._gateways.plans(gateway, position, at.timestamp)

    def _assert_follows(self, reads: BlockReads) -> None:
        block, tip = reads.header.block, self.tip
        assert block.chain == self.chain, f"expected a block of {self.chain}, got {block.chain}"
        if tip is None:
            return
        assert block.number > tip.number, f"expected a block after {tip.number}, got {block.number}"
        assert block.timestamp >= tip.timestamp, (
            f"expected time {tip.timestamp} or later, got {block.timestamp}"
        )
        if block.number == tip.number + 1:
            assert reads.header.parent == tip.hash, f"expected a child of {tip.hash.hex()}"

    def _feed(self, place: Place, reads: BlockReads) -> None:
        if reads.rows:
            self._feed_events(place, reads.rows)
        if self._by_call:
            calls = {call.query: call for call in reads.calls}
            for feed in self._by_call:
                feed.series.append(place, Given(calls=[calls.get(query) for query in feed.calls]))
        if reads.gateway_events and self._by_gateway:
            self._feed_gateways(place, reads.gateway_events)

    def _feed_events(self, place: Place, given: Sequence[EventRow]) -> None:
        if len(given) == 1:  # as in most blocks that have any: no table is needed
            (row,) = given
            for feed in self._by_event.get(row.query, ()):
                events = [given if query == row.query else () for query in feed.events]
                feed.series.append(place, Given(events=events))
            return
        rows: dict[int, list[EventRow]] = {}
        for row in given:
            rows.setdefault(row.query, []).append(row)
        concerned = {id(feed): feed for query in rows for feed in self._by_event.get(query, ())}
        for feed in concerned.values():
            feed.series.append(place, Given(events=[rows.get(query, ()) for query in feed.events]))

    def _feed_gateways(self, place: Place, given: Sequence[GatewayEvent]) -> None:
        for gateway, fed in self._by_gateway.items():
            own = [event for event in given if event.gateway == gateway]
            if own:
                for series in fed:
                    series.append(place, Given(gateway_events=own))

    def _index_above(self, ancestor: BlockRef) -> int:
        position = self._by_hash.get(ancestor.hash)
        if position is not None:
            return position - self._forgotten + 1
        if not self._forgotten and (not self._blocks or ancestor.number < self._blocks[0].number):
            return 0
        raise ChainError(
            self.chain, f"expected a re-org back to a retained block, got one to {ancestor.number}"
        )

    def _prune(self) -> None:
        final = self._finalized.number if self._finalized else 0
        old_s, last = self._timestamps[-1] - self._keep_s, PRUNE_AT_ONCE - 1
        if len(self._blocks) <= last or self._timestamps[last] >= old_s or self._numbers[last] >= final:
            return
        old = min(bisect_left(self._timestamps, old_s), bisect_left(self._numbers, final))
        for block in self._blocks[:old]:
            del self._by_hash[block.hash]
        for kept in (self._blocks, self._numbers, self._timestamps, self._places, self._agreement):
            del kept[:old]
        self._forgotten += old
        first = self._blocks[0]
        place = Place(self._forgotten, first.number, first.timestamp)
        for series in self._series:
            series.forget(place)
        self._gateways.forget(self._forgotten)


__all__ = ["ActRecord", "ChainView"]


def newest_times(views: Mapping[Caip2, ChainView]) -> dict[str, int]:
    """Give each chain's newest time in seconds, of those that were seen."""
    return {chain: view.head.timestamp for chain, view in views.items() if view.head is not None}
