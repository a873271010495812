"""A node's database is rewritten and its log published again under the same key: a follower sees it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from proofs.forks import decode_fork
from proofs.hashes import sha256
from proofs.policy import Policy
from relay.api import Api, ApiOptions
from relay.audit.follow import FollowTerms, Look, look
from relay.audit.web import WebSource
from relay.core.errors import JournalError
from relay.core.types import Millis
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope
from tests.shells.api.quiet import quiet_ports
from tests.shells.audit.logs import NOW_S
from tests.shells.journal.logs import KEY, ORIGIN, VERIFIER, publish

POLICY = Policy((VERIFIER,))


class Node:
    """A journal, the log over it, and the node's own interface; stopped between any two calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "state" / "journal.sqlite"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Journal, AuditLog]]:
        limits = DiskLimits(min_free_bytes=0, ballast_bytes=4_096)
        async with Journal.open(self.database, clock=lambda: Millis(1_000), limits=limits) as journal:
            yield (
                journal,
                await AuditLog.open(
                    journal, self.folder / "log", origin=ORIGIN, log_key=bytes(KEY.verify_key)
                ),
            )

    async def log(self, count: int, first: int = 0) -> None:
        """Log entries, published at once."""
        raw = [b"statement %d" % number for number in range(first, first + count)]
        entries = [StoredEnvelope(each, sha256(each), Millis(2_000), LogEntry.RELEASED) for each in raw]
        async with self.running() as (journal, log):
            if entries:
                await journal.append([b"event"], entries)
            await publish(log)

    def rewrite(self, number: int, *, thoroughly: bool) -> None:
        """Change a statement in the database; thoroughly: also what the log remembers of having signed."""
        raw = b"statement that was never made"
        with closing(sqlite3.connect(self.database)) as database, database:
            changed = database.execute(
                "UPDATE envelope SET bytes = ?, digest = ? WHERE log_index = ?", (raw, sha256(raw), number)
            )
            assert changed.rowcount == 1
            if thoroughly:
                database.execute("DELETE FROM meta WHERE key = 'log/signed'")
        shutil.rmtree(self.folder / "log")

    async def visited(self, state: Path) -> Look:
        """Follow the node over its own HTTP interface."""
        async with Api(ApiOptions(self.folder / "log"), quiet_ports()) as api:
            with closing(WebSource(api.url)) as source:
                return await asyncio.to_thread(look, [source], FollowTerms(POLICY, state, NOW_S))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "followed"
    folder.mkdir()
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


@pytest.mark.asyncio
async def test_a_log_over_a_nodes_own_interface_is_followed(node: Node, state: Path) -> None:
    await node.log(300)
    first = await node.visited(state)
    await node.log(10, first=300)
    second = await node.visited(state)

    assert (first.answer, second.answer) == (True, True)
    assert second.logs[0].grown == 10


@pytest.mark.asyncio
async def test_a_rewritten_database_forks_the_log(node: Node, state: Path) -> None:
    await node.log(300)
    await node.visited(state)
    node.rewrite(7, thoroughly=True)
    await node.log(0)

    found = await node.visited(state)

    assert [each.alarm.value for each in found.alarms] == ["fork"]
    (fork,) = [decode_fork(path.read_bytes()) for path in found.alarms[0].evidence if path.suffix == ".json"]
    assert (fork.origin, fork.size) == (ORIGIN, 300)


@pytest.mark.asyncio
async def test_a_rewritten_database_that_went_on_is_inconsistent(node: Node, state: Path) -> None:
    await node.log(300)
    await node.visited(state)
    node.rewrite(7, thoroughly=True)
    await node.log(50, first=300)

    found = await node.visited(state)

    assert [each.alarm.value for each in found.alarms] == ["inconsistent"]
    assert found.answer is False


@pytest.mark.asyncio
async def test_an_older_copy_of_a_database_is_rolled_back(node: Node, state: Path, tmp_path: Path) -> None:
    await node.log(300)
    shutil.copytree(node.folder, tmp_path / "copy")
    await node.log(5, first=300)
    await node.visited(state)
    shutil.rmtree(node.folder)
    shutil.copytree(tmp_path / "copy", node.folder)

    found = await node.visited(state)

    assert [each.alarm.value for each in found.alarms] == ["rollback"]


@pytest.mark.asyncio
async def test_a_database_that_was_rewritten_carelessly_is_not_published_at_all(node: Node) -> None:
    await node.log(300)
    node.rewrite(7, thoroughly=False)

    with pytest.raises(JournalError, match="expected entries under root"):
        await node.log(0)
