"""One chain's blocks as events: each block once and in order, re-organisations, finality (SPEC 7).

Between two announced heads that follow each other there is one round trip: the read itself, by the
announced hash. Everything else (no subscription, a gap, a fork, an endpoint that is behind) goes the long
way: head, headers, reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from relay.core.errors import ChainError, NoAgreement
from relay.core.events import BlockObserved, BlockUnread, ChainFinalized, ChainReorged, EndpointDisagreed
from relay.core.observations import BlockReads, ChainQueries
from relay.core.ports import AgreedChain, Agreement
from relay.core.types import BlockRef, Header
from relay.detectors.retained import MIN_RETAINED, Retained

DetectorEvent = BlockObserved | BlockUnread | ChainReorged | ChainFinalized | EndpointDisagreed
Sink = Callable[[DetectorEvent], Awaitable[None]]
"""Takes one event; may wait (the detector then waits too), must not fail."""

FAILURES_BEFORE_UNREAD = 3
"""Endpoints that are a moment behind each other are no event."""
FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 5.0
MIN_POLL_S = 0.2
MAX_POLL_S = 3.0
MIN_FINALITY_POLL_S = 1.0
MAX_FINALITY_POLL_S = 12.0
QUIET_BLOCKS = 3
"""With subscriptions alive, the head is asked for only after this many block times of silence."""
REORG_WINDOW = 32
"""Headers asked for at once on the way down to a common ancestor."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Where to go on: after `start` where it is a block, at it where it is a number.

    `recent` are the headers up to and including `start`, oldest first: what a fork that happened meanwhile
    is found by. `queries` gives what to read, asked before each read.
    """

    start: BlockRef | int
    queries: Callable[[], ChainQueries]
    recent: Sequence[Header] = ()


class Detector:
    """Feeds one chain's events to a sink, for ever."""

    def __init__(self, chain: AgreedChain, settings: DetectorSettings, sink: Sink) -> None:
        self._chain = chain
        self._queries = settings.queries
        self._sink = sink
        self._depth = _depth(chain.settings.finality)
        self._retained = Retained(_first_headers(settings), max(MIN_RETAINED, 2 * (self._depth or 0)))
        self._first = settings.start if isinstance(settings.start, int) else settings.start.number + 1
        self._final: BlockRef | None = None
        """The newest block that the endpoints call final, whether it was read or not."""
        self._confirmed = -1
        """The last number at which the agreed chain was seen to be final and to be ours."""
        self._told_final = -1
        self._failures = 0
        self._width = chain.settings.log_range
        """Blocks to read at once.

        Less after a run without agreement, which may just have been too much to answer.
        """
        self._unread = -1
        self._announced: Header | None = None
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            ChainError: if the chain was reorganised below the oldest retained header: the node's state is
            of another chain.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="announcements")
            group.create_task(self._alarm(), name="disagreements")
            if self._depth is None:
                group.create_task(self._poll_finality(), name="finality")
            group.create_task(self._follow(), name="blocks")

    # ---- when to look

    async def _listen(self) -> None:
        while True:
            self._announced = await self._chain.announced()
            self._wake.set()

    async def _alarm(self) -> None:
        while True:
            operators, number = await self._chain.disagreement()
            await self._sink(EndpointDisagreed(self._chain.settings.chain, operators, number))

    async def _poll_finality(self) -> None:
        block_time_s = self._chain.settings.block_time_ms / 1000
        while True:
            with suppress(ChainError):
                self._final = (await self._chain.finalized()).value.block
                self._wake.set()
            await asyncio.sleep(min(max(block_time_s, MIN_FINALITY_POLL_S), MAX_FINALITY_POLL_S))

    def _pause_s(self) -> float:
        """How long to wait for an announcement before asking for the head."""
        block_time_s = self._chain.settings.block_time_ms / 1000
        if self._failures:
            return min(FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        if self._chain.subscriptions >= self._chain.settings.need:
            return max(QUIET_BLOCKS * block_time_s, MAX_POLL_S)
        return min(max(block_time_s / 4, MIN_POLL_S), MAX_POLL_S)

    async def _follow(self) -> None:
        look = True
        while True:
            announced, self._announced = self._announced, None
            try:
                if announced is not None and self._retained.is_next(announced) and not self._failures:
                    await self._read((announced,), announced.block)
                    self._confirm(announced, self._final_number(announced))
                elif look or announced is not None:
                    await self._catch_up()
                self._failures = 0
            except NoAgreement as error:
                await self._failed(error)
            await self._tell_final()
            look = await self._sleep()

    async def _sleep(self) -> bool:
        """Wait for a reason to go on; True when it is time to ask for the head."""
        try:
            async with asyncio.timeout(self._pause_s()):
                await self._wake.wait()
        except TimeoutError:
            return True
        finally:
            self._wake.clear()
        return self._failures > 0

    async def _failed(self, error: NoAgreement) -> None:
        self._failures += 1
        number = self._next_number()
        if self._failures >= FAILURES_BEFORE_UNREAD and self._unread != number:
            self._unread = number
            _log.warning(
                "block unread", extra={"chain": error.chain, "number": number, "reason": error.problem}
            )
            await self._sink(BlockUnread(self._chain.settings.chain, number, error.problem))

    # ---- reading

    def _next_number(self) -> int:
        last = self._retained.last
        return self._first if last is None else last.block.number + 1

    async def _catch_up(self) -> None:
        """Read everything up to the head that a quorum has; follow a fork where there is one."""
        head = (await self._chain.head()).value
        while (first := self._next_number()) <= head.block.number:
            last = min(first + self._width - 1, head.block.number)
            final = self._final_number(head)
            headers = (await self._chain.headers(first, last)).value
            if self._retained.last is not None and not self._retained.is_next(headers[0]):
                await self._reorganise()
                continue
            self._confirm(headers[-1], final)
            await self._read(headers, head.block)
        known = self._retained.at(head.block.number)
        if known is not None and known.block.hash != head.block.hash:
            await self._reorganise()
        elif known is not None and self._depth is not None:
            self._confirm(head, self._final_number(head))

    async def _read(self, headers: Sequence[Header], head: BlockRef) -> None:
        """Read and tell consecutive blocks.

        Where a run finds no agreement its first half, down to one block.
        """
        reads = await self._observe(headers)
        for block in reads.value:
            self._retained.append(block.header)
            await self._sink(BlockObserved(block, reads.agreeing, reads.asked, head))
            await self._tell_final()

    async def _observe(self, headers: Sequence[Header]) -> Agreement[tuple[BlockReads, ...]]:
        try:
            agreed = await self._chain.observe(headers, self._queries())
        except NoAgreement:
            if len(headers) == 1:
                raise
        else:
            self._width = min(2 * self._width, self._chain.settings.log_range)
            return agreed
        self._width = len(headers) // 2
        return await self._observe(headers[: self._width])

    async def _reorganise(self) -> None:
        """Find the newest retained block that is still on the chain, and tell that those above it left."""
        ancestor = await self._common_ancestor()
        _log.warning(
            "chain reorganised",
            extra={"chain": ancestor.chain, "number": ancestor.number, "from": self._next_number() - 1},
        )
        self._retained.cut(ancestor)
        self._confirmed = min(self._confirmed, ancestor.number)
        await self._sink(ChainReorged(ancestor.chain, ancestor))

    async def _common_ancestor(self) -> BlockRef:
        last, oldest = self._retained.last, self._retained.oldest
        assert last is not None
        assert oldest is not None
        top = last.block.number
        while top >= oldest.block.number:
            bottom = max(oldest.block.number, top - REORG_WINDOW + 1)
            headers = (await self._chain.headers(bottom, top)).value
            for header in reversed(headers):
                ours = self._retained.at(header.block.number)
                if ours is not None and ours.block.hash == header.block.hash:
                    return ours.block
            top = bottom - 1
        raise ChainError(
            self._chain.settings.chain,
            f"reorganised below block {oldest.block.number}, oldest of {len(self._retained)} retained",
        )

    # ---- finality

    def _final_number(self, head: Header) -> int:
        """Up to which number the agreed chain is final: by depth, below a `head` that was agreed on."""
        if self._depth is not None:
            return head.block.number - self._depth
        return -1 if self._final is None else self._final.number

    def _confirm(self, header: Header, final: int) -> None:
        """Take in that the agreed chain has `header`, which is ours or stands on ours.

        It was read after the chain was known to be final up to number `final`.
        """
        self._confirmed = max(self._confirmed, min(header.block.number, final))

    async def _tell_final(self) -> None:
        """Tell the newest final block among those already told, once.

        That the chain is final up to some number says nothing of our block of that number: what was
        read before may have left the chain since. It is final once the agreed chain was seen to have it.
        """
        last = self._retained.last
        if last is None:
            return
        if self._final is not None:
            ours = self._retained.at(self._final.number)
            if ours is not None and ours.block.hash == self._final.hash:
                self._confirm(ours, self._final.number)
        header = self._retained.at(min(self._confirmed, last.block.number))
        if header is None or header.block.number <= self._told_final:
            return
        self._told_final = header.block.number
        await self._sink(ChainFinalized(header.block))


def _depth(finality: str) -> int | None:
    """N of `depth:N`: such finality needs no question, the blocks that were read tell it."""
    kind, _, depth = finality.partition(":")
    return int(depth) if kind == "depth" and depth.isdecimal() else None


def _first_headers(settings: DetectorSettings) -> Sequence[Header]:
    if isinstance(settings.start, int):
        return ()
    if settings.recent:
        assert settings.recent[-1].block.hash == settings.start.hash, (
            "recent headers end at another block than start"
        )
        return settings.recent
    return (Header(settings.start, b""),)


__all__ = ["Detector", "DetectorEvent", "DetectorSettings", "Sink"]
