"""The pump: inputs in, one commit, effects out (core SPEC 7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from relay.app.deeds import Foreseen
from relay.app.watch import Meter
from relay.core.ceremonies import MAX_DEADLINE_MS
from relay.core.effects import Effect, Notice
from relay.core.effects import LogEntry as Logged
from relay.core.events import Event, Received, Signed, Ticked
from relay.core.history import event_to_bytes
from relay.core.messages import CEREMONY, LOGGED
from relay.core.node import Node, is_journalled
from relay.core.types import Digest, Millis
from relay.journal import Journal, LogEntry, StoredEnvelope

__all__ = ["Doer", "Pump"]

MAX_WAITING: Final = 4_096
MAX_BATCH: Final = 256
KEEP_MS: Final = 30 * 86_400 * 1_000
"""For how long anti-entropy offers an envelope: so long are words on decisions heard (core SPEC 2.4)."""
KEEP_CEREMONY_MS: Final = 2 * MAX_DEADLINE_MS
"""So long, a ceremony's words: until its deadline, and some time for who has missed the last of them."""


class Doer(Protocol):
    """What effects are done by: begun before the commit where that is safe, done after it."""

    def foresee(self, effects: Sequence[Effect]) -> Foreseen: ...

    async def perform(self, effects: Sequence[Effect], foreseen: Foreseen) -> None: ...


class Pump:
    """Feeds one node. Inputs wait in a bounded queue: whoever puts waits while it is full."""

    def __init__(
        self,
        node: Node,
        journal: Journal,
        heard: Callable[[Event], None],
        meter: Meter,
    ) -> None:
        self.node = node
        self._journal = journal
        self._heard = heard
        self._meter = meter
        self._inputs: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)

    async def put(self, event: Event) -> None:
        """Hand an event to the node; waits while too many are waiting."""
        await self._inputs.put(event)

    async def run(self, first: Sequence[Event], deeds: Doer) -> None:
        """Feed the node for ever, beginning with `first`; `deeds` does the effects.

        Raises:
            JournalError: the disk does not take an event; the process must end.
        """
        await self._turn(first, deeds)
        while True:
            await self._turn(await self._batch(), deeds)

    def _clock(self) -> Millis:
        return Millis(self._meter.clock_us() // 1_000)

    async def _batch(self) -> list[Event]:
        """Take what is waiting, or the tick that the node wants, whichever comes first."""
        deadline = self.node.next_deadline_ms()
        wait_s = None if deadline is None else max(0, deadline - self._clock()) / 1_000
        try:
            async with asyncio.timeout(wait_s):
                batch = [await self._inputs.get()]
        except TimeoutError:
            return [Ticked(self._clock())]
        while len(batch) < MAX_BATCH and not self._inputs.empty():
            batch.append(self._inputs.get_nowait())
        if deadline is not None and self._clock() >= deadline:
            batch.append(Ticked(self._clock()))
        return batch

    async def _turn(self, batch: Sequence[Event], deeds: Doer) -> None:
        """Apply a batch, and do its effects once it is on disk."""
        effects: list[Effect] = []
        kept: list[Event] = []
        for event in batch:
            caused = self.node.advance(event)
            effects += caused
            if is_journalled(event) and _changed_anything(event, caused):
                kept.append(event)
                self._heard(event)
        envelopes = self._envelopes(kept, effects)
        foreseen = deeds.foresee(effects)
        # DURABLE: events and log entries in one commit, and nothing leaves before it.
        began_us = self._meter.clock_us()
        if kept or envelopes:
            await self._journal.append([event_to_bytes(event) for event in kept], envelopes)
        self._meter.turned(batch, effects, self._meter.clock_us() - began_us if kept else 0)
        await deeds.perform(effects, foreseen)

    def _envelopes(self, kept: Sequence[Event], effects: Sequence[Effect]) -> list[StoredEnvelope]:
        """Give what the journal is to keep by digest: log entries, and what peers may ask for."""
        entries = {effect.digest: effect.raw for effect in effects if isinstance(effect, Logged)}
        brought = {
            event.envelope.digest: place
            for place, event in enumerate(kept)
            if isinstance(event, Received | Signed)
        }
        stored = [
            self._stored(raw, digest, LogEntry.HELD, in_event=brought.get(digest))
            for digest, raw in entries.items()
        ]
        for place, event in enumerate(kept):
            if isinstance(event, Received | Signed) and isinstance(event.message, LOGGED + CEREMONY):
                raw, digest = event.envelope.raw, event.envelope.digest
                keep_ms = KEEP_CEREMONY_MS if isinstance(event.message, CEREMONY) else KEEP_MS
                if digest not in entries:
                    stored.append(self._stored(raw, digest, LogEntry.NONE, keep_ms, in_event=place))
        return stored

    def _stored(
        self,
        raw: bytes,
        digest: Digest,
        entry: LogEntry,
        keep_ms: int = KEEP_MS,
        *,
        in_event: int | None = None,
    ) -> StoredEnvelope:
        return StoredEnvelope(raw, digest, Millis(self._clock() + keep_ms), entry, in_event)

    async def restore(self, effects: Sequence[Effect]) -> None:
        """Make sure of the log entries that a replay has named again; those on disk stay as they are."""
        stored = self._envelopes((), effects)
        if stored:
            await self._journal.append((), stored)


def _changed_anything(event: Event, caused: Sequence[Effect]) -> bool:
    """Tell whether an event is worth the disk: what a peer said and the node dropped is not."""
    return not isinstance(event, Received) or any(not isinstance(effect, Notice) for effect in caused)
