"""A disk that is older than what its log has signed: a copy that was put back, or nothing left."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from proofs.hashes import sha256
from relay.core.errors import JournalError
from relay.core.types import Millis
from relay.disk import Probe, no_probe
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope
from relay.witness.logs import quorum_of
from relay.witness.pushing import PATIENCE_MS, Publisher, PublisherParts
from tests.shells.witness.circle import (
    Secrets,
    key_of_log,
    until,
)
from tests.shells.witness.ring import Circle, open_circle

pytestmark = pytest.mark.asyncio
LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)


async def sign(body: bytes) -> bytes:
    return bytes(Secrets("alice").log.sign(body).signature)


@asynccontextmanager
async def open_alice(home: Path, probe: Probe = no_probe) -> AsyncIterator[tuple[Journal, AuditLog]]:
    file = home / "journal.sqlite"
    async with Journal.open(file, clock=lambda: Millis(1), limits=LIMITS, probe=probe) as journal:
        key = bytes(Secrets("alice").log.verify_key)
        yield (
            journal,
            await AuditLog.open(journal, home / "log", origin="net/alice", log_key=key, probe=probe),
        )


async def enter(journal: Journal, *entries: bytes) -> None:
    items = [StoredEnvelope(raw, sha256(raw), Millis(2), LogEntry.RELEASED) for raw in entries]
    await journal.append([b"event"], items)


def parts_of(circle: Circle) -> PublisherParts:
    return PublisherParts(
        sign=sign,
        quorum=lambda: quorum_of(circle.document),
        witnesses=lambda: circle.doors,
        page=circle.heard.pages.append,
        notice=circle.heard.notice,
        clock=circle.clock,
    )


@asynccontextmanager
async def at_work(circle: Circle, log: AuditLog) -> AsyncIterator[Publisher]:
    async with asyncio.TaskGroup() as group:
        yield Publisher(log, parts_of(circle), group)
        for task in asyncio.all_tasks():
            if task.get_name().startswith("ask "):
                task.cancel()


def served(log: AuditLog) -> int:
    return -1 if log.published is None else log.published.checkpoint.size


async def published(publisher: Publisher, log: AuditLog, size: int) -> None:
    """Take turns until so much is published."""
    while served(log) != size:
        await publisher.turn()
        await until(
            "what is signed is published, with all cosignatures",
            lambda: served(log) == log.signed_size and len(publisher.cosigned_by()) == 4,
        )


@pytest.mark.parametrize("restored", ["journal and log", "nothing left"])
async def test_a_disk_from_an_older_copy_signs_nothing_new(tmp_path: Path, restored: str) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    async with open_circle(tmp_path / "witnesses", 4) as circle:
        async with open_alice(home) as (journal, log), at_work(circle, log) as publisher:
            await enter(journal, b"one", b"two")
            await published(publisher, log, 2)
            shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
            await enter(journal, b"three")
            await published(publisher, log, 3)
        shutil.rmtree(home)
        if restored == "journal and log":
            copy.rename(home)

        async with open_alice(home) as (journal, log), at_work(circle, log) as publisher:
            await enter(journal, b"another third")
            await publisher.turn()
            await until("all name a larger size", lambda: len(circle.heard.notices) == 4)
            for _ in range(3):
                circle.clock.forward(PATIENCE_MS)
                await publisher.turn()
            assert log.signed_size < 3  # a size that is named stops nobody; without a quorum it waits
            assert publisher.stopped == ""
            assert {name for name, _ in circle.heard.notices} == {"witness names a size above ours"}

            note = await circle.doors[1].desk.cosigned_note(key_of_log(circle.document, "alice"))
            assert note is not None
            await publisher.heard(note)
            await publisher.turn()
            assert "size 3 is shown" in publisher.stopped
            assert log.signed_size < 3
    assert len(circle.heard.pages) == 1
    assert "signs nothing more" in circle.heard.pages[0]


class FailAt:
    """Fails at the step of that number, counting from 0, once it is armed; counts them all."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = 0
        self.is_armed = False

    def __call__(self, step: str) -> None:
        if not self.is_armed:
            return
        self.steps += 1
        if self.steps == self.number + 1:
            raise OSError(f"injected at {step}")


async def test_a_crash_at_any_write_of_a_log_makes_no_second_history(tmp_path: Path) -> None:
    """What witnesses hold after it is what the log goes on from: no fork, no debt, nothing stopped."""
    begun = tmp_path / "begun"
    async with (
        open_circle(begun / "witnesses", 4) as circle,
        open_alice(begun / "home") as (journal, log),
        at_work(circle, log) as publisher,
    ):
        await enter(journal, b"one", b"two")
        await published(publisher, log, 2)

    for number in range(100):
        folder = tmp_path / str(number)
        shutil.copytree(begun, folder, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
        probe = FailAt(number)
        async with open_circle(folder / "witnesses", 4) as circle:
            with suppress_failures():
                async with (
                    open_alice(folder / "home", probe) as (journal, log),
                    at_work(circle, log) as publisher,
                ):
                    await enter(journal, b"three")
                    probe.is_armed = True
                    await published(publisher, log, 3)
            async with open_alice(folder / "home") as (journal, log), at_work(circle, log) as publisher:
                await enter(journal, b"four")
                await published(publisher, log, 4)
                assert publisher.stopped == ""
            for desk in circle.desks:
                assert (desk.forks(), [debt for debt in desk.debts() if debt.owes]) == ({}, [])
        if probe.steps <= number:
            break

    # A bundle, a tile, the journal's commit, the checkpoint before and after; each with a step on both sides.
    assert number >= 8


@contextmanager
def suppress_failures() -> Iterator[None]:
    """Let a process die of its disk."""
    try:
        yield
    except* JournalError:
        pass
