"""The pump keeps what peers may ask for as long as they may need it (core SPEC 7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.app.deeds import Foreseen
from relay.app.pump import Pump
from relay.app.watch import Meter
from relay.core.effects import Effect
from relay.core.types import Millis
from relay.journal import DiskLimits, Journal
from relay.telemetry import Metrics
from tests.core.stage import Stage

DAY_MS = 86_400_000


class Idle:
    """Does nothing, and says when there is something to do."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def foresee(self, effects: Sequence[Effect]) -> Foreseen:
        return Foreseen(asyncio.Event(), frozenset())

    async def perform(self, effects: Sequence[Effect], foreseen: Foreseen) -> None:
        if effects:
            self.asked.set()


@pytest.mark.asyncio
async def test_who_was_away_for_weeks_is_offered_what_was_said_meanwhile(tmp_path: Path) -> None:
    stage, idle, now_ms = Stage(), Idle(), 0
    said = stage.said("bob", stage.signal())
    limits = DiskLimits(min_free_bytes=0, ballast_bytes=0)

    def clock() -> Millis:
        return Millis(now_ms)

    async with Journal.open(tmp_path / "journal.sqlite", clock=clock, limits=limits) as journal:
        pump = Pump(stage.node, journal, lambda _: None, Meter(Metrics(), lambda: now_ms * 1_000))
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            pumping = group.create_task(pump.run([said], idle))
            await idle.asked.wait()
            pumping.cancel()

        now_ms = 29 * DAY_MS
        assert await journal.recent_digests(10) == [(1, said.envelope.digest)]
        now_ms = 31 * DAY_MS
        assert await journal.recent_digests(10) == []
