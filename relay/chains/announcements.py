"""New heads as the endpoints' subscriptions announce them: a hint when to read, never a fact."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

from relay.core.errors import ChainError
from relay.core.ports import ChainSettings, Endpoint
from relay.core.types import Header

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 30.0
MAX_REMEMBERED = 64
"""Announced headers whose announcers are counted; the oldest is forgotten first."""

_log = logging.getLogger(__name__)


class Announcements:
    """Counts who announced which head; gives it on when as many announced it as must agree on reading it.

    While fewer subscriptions than that are alive, each head of theirs is given on at once.
    """

    def __init__(self, settings: ChainSettings, endpoints: Sequence[Endpoint]) -> None:
        self._settings = settings
        self._alive: set[str] = set()
        self._announcers: OrderedDict[Header, set[str]] = OrderedDict()
        self._newest: Header | None = None
        self._arrived = asyncio.Event()
        self._endpoints = tuple(endpoints)

    @property
    def alive(self) -> int:
        return len(self._alive)

    async def next(self) -> Header:
        """Wait for the next head; only the newest is kept."""
        await self._arrived.wait()
        self._arrived.clear()
        assert self._newest is not None
        return self._newest

    async def follow(self, endpoint: Endpoint) -> None:
        """Listen to one endpoint for ever, coming back after each end with growing pauses."""
        pause = FIRST_RETRY_S
        while True:
            try:
                async for header in endpoint.heads():
                    self._alive.add(endpoint.operator)
                    pause = FIRST_RETRY_S
                    self._announce(endpoint.operator, header)
            except ChainError as error:
                _log.info(
                    "subscription ended",
                    extra={"chain": error.chain, "operator": endpoint.operator, "reason": error.problem},
                )
            finally:
                self._alive.discard(endpoint.operator)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RETRY_S)

    def _announce(self, operator: str, header: Header) -> None:
        announcers = self._announcers.setdefault(header, set())
        before = len(announcers)
        announcers.add(operator)
        while len(self._announcers) > MAX_REMEMBERED:
            self._announcers.popitem(last=False)
        wanted = min(self._settings.need, len(self._alive))
        if before < wanted <= len(announcers):
            self._newest = header
            self._arrived.set()


__all__ = ["Announcements"]
