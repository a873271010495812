"""All witnesses of a committee behind doors, and a log that asks them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proofs.committee import CommitteeDocument
from relay.witness.desk import WitnessDesk
from relay.witness.pushing import Publisher
from tests.shells.witness.circle import (
    NAMES,
    Clock,
    Door,
    Heard,
    MemoryLog,
    committee_of,
    key_of_cosigner,
    open_desk,
    publisher_of,
)


@dataclass
class Circle:
    """The witnesses of a committee, each behind a door."""

    document: CommitteeDocument
    doors: list[Door]
    clock: Clock = field(default_factory=Clock)
    heard: Heard = field(default_factory=Heard)

    @property
    def desks(self) -> list[WitnessDesk]:
        return [door.desk for door in self.doors]

    def shut(self, count: int) -> None:
        """Let the last members be silent."""
        for place, door in enumerate(self.doors):
            door.is_shut = place >= len(self.doors) - count


@asynccontextmanager
async def open_circle(folder: Path, size: int) -> AsyncIterator[Circle]:
    document = committee_of(NAMES[:size])
    clock = Clock()
    async with AsyncExitStack() as stack:
        doors = []
        for name in NAMES[:size]:
            desk = await stack.enter_async_context(open_desk(folder / name, document, name, clock=clock))
            doors.append(Door(key_of_cosigner(document, name), desk))
        yield Circle(document, doors, clock)


@asynccontextmanager
async def publishing(circle: Circle, log: MemoryLog) -> AsyncIterator[Publisher]:
    async with asyncio.TaskGroup() as group:
        made = publisher_of(log, circle.document, circle.doors, group, clock=circle.clock, heard=circle.heard)
        running = asyncio.current_task()
        assert running is not None
        yield made
        for task in asyncio.all_tasks():
            if task.get_name().startswith("ask "):
                task.cancel()
