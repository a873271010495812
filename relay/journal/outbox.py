"""The outbox: transactions that were signed and are not yet final, by chain, key and nonce (SPEC 6.6).

A node that is killed between signing and a receipt finds here what may be in somebody's pool.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from relay.core.types import Address, Caip2
from relay.disk import Durable, Probe, Schema, no_probe

__all__ = ["Outbox", "OutboxShelf"]

_SCHEMA = Schema(
    application_id=0x74636F31,  # "tco1"
    version=1,
    statements=(
        "CREATE TABLE sent (chain TEXT NOT NULL, submitter BLOB NOT NULL, nonce INTEGER NOT NULL,"
        " bytes BLOB NOT NULL, PRIMARY KEY (chain, submitter, nonce)) STRICT, WITHOUT ROWID",
    ),
)


class Outbox:
    """One open file for all chains of a node; writers that wait together share one commit."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, probe: Probe = no_probe) -> AsyncIterator[Self]:
        """Open or create `path`.

        Raises:
            ConfigError: another process has it open, or it is a file of another kind.
            JournalError: the disk refuses.
        """
        async with Durable.open(path, _SCHEMA, probe=probe) as durable:
            yield cls(durable)

    def of(self, chain: Caip2, submitter: Address) -> OutboxShelf:
        """Give the rows of one key on one chain."""
        return OutboxShelf(self._durable, chain, submitter)


class OutboxShelf:
    """The port `relay.core.ports.SubmissionStore`."""

    def __init__(self, durable: Durable, chain: Caip2, submitter: Address) -> None:
        self._durable = durable
        self._owner = (chain, submitter)

    async def rows(self) -> Mapping[int, bytes]:
        """Give all rows, by nonce in ascending order."""
        query = "SELECT nonce, bytes FROM sent WHERE chain = ? AND submitter = ? ORDER BY nonce"
        return dict(
            await self._durable.read(lambda connection: connection.execute(query, self._owner).fetchall())
        )

    async def put(self, nonce: int, row: bytes) -> None:
        """Store a row, in the place of one with the same nonce; resolves when it is on disk."""

        def store(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?)", (*self._owner, nonce, row))

        await self._durable.write(store)

    async def drop(self, nonce: int) -> None:
        """Forget a row; one that is not there is no fault."""

        def forget(connection: sqlite3.Connection) -> None:
            query = "DELETE FROM sent WHERE chain = ? AND submitter = ? AND nonce = ?"
            connection.execute(query, (*self._owner, nonce))

        await self._durable.write(forget)
