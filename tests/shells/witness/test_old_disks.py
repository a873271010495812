"""A disk that is older than what its log has signed: a copy that was put back, or nothing left."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proofs.hashes import sha256
from relay.core.types import Millis
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
async def open_alice(home: Path) -> AsyncIterator[tuple[Journal, AuditLog]]:
    async with Journal.open(home / "journal.sqlite", clock=lambda: Millis(1), limits=LIMITS) as journal:
        key = bytes(Secrets("alice").log.verify_key)
        yield journal, await AuditLog.open(journal, home / "log", origin="net/alice", log_key=key)


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
        await until("what is signed is published", lambda: served(log) == log.signed_size)


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
