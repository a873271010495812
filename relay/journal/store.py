"""The journal: events in order, the envelopes they brought, which of them the audit log holds (SPEC 7.1)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

from proofs.hashes import sha256
from relay.core.errors import JournalError
from relay.core.types import EnvelopeDigest, Millis
from relay.disk import Durable, Probe, Schema, no_probe
from relay.journal.disk import DiskLimits, DiskState, check_disk, disk_state, keep_ballast
from relay.journal.recent import MAX_RECENT, Recent
from relay.journal.rows import TABLES, Append, Ends, Stored, StoredEnvelope, insert

__all__ = ["Journal", "write_meta"]

_SCHEMA = Schema(
    application_id=0x74636A31,  # "tcj1"
    version=2,
    statements=(
        # An event that brought a new envelope is stored without it: `number` is the envelope's, which goes
        # back in at byte `at`. Both are null for an event that stands whole.
        *TABLES,
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    ),
)
_REPLAY_ROWS = 512
_LIMITS = DiskLimits()


class Journal:
    """One open journal. Everything that a call of `append` brings is in one commit: all of it, or none.

    It is the `EnvelopeStore` of the committee lane.
    """

    def __init__(self, durable: Durable, limits: DiskLimits, clock: Callable[[], Millis]) -> None:
        self.durable = durable
        """For the audit log, which shares this file and its commits."""
        self._limits = limits
        self._clock = clock
        # Owned by the writer thread once the journal is open.
        self._ends = Ends(seq=1, number=1, index=0)
        self._log_size = 0
        self._recent = Recent()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], Millis],
        limits: DiskLimits = _LIMITS,
        probe: Probe = no_probe,
    ) -> AsyncIterator[Self]:
        """Open or create `path`; the ballast lies beside it. `clock` tells which envelopes have expired.

        Raises:
            ConfigError: too little room, another process has it open, or another kind of file.
            JournalError: the disk refuses.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_disk(path.parent, limits)
            keep_ballast(path.parent, limits)
        except OSError as error:
            raise JournalError(f"{path.parent}: expected a directory to write to, got: {error}") from error
        async with Durable.open(path, _SCHEMA, probe=probe) as durable:
            journal = cls(durable, limits, clock)
            journal._ends = await durable.read(_ends)
            journal._log_size = journal._ends.index
            journal._recent.extend(await durable.read(_recent))
            yield journal

    @property
    def log_size(self) -> int:
        """Entries of the audit log on disk, published or not."""
        return self._log_size

    def disk_state(self) -> DiskState:
        """Look at the room that is left."""
        return disk_state(self.durable.path.parent, self._limits)

    async def append(self, events: Sequence[bytes], envelopes: Sequence[StoredEnvelope] = ()) -> int:
        """Store events and the envelopes they brought; resolves when all of it is on disk.

        Gives the sequence number of the first event (they count from 1). An envelope that is there already
        stays as it is, with its place in the log; if it had none it may get one. Callers that wait together
        share one commit.

        Raises:
            JournalError: the disk did not take it; nothing further will be taken.
        """

        append: Append = (events, envelopes)
        first, log_size, new = await self.durable.write_each(self._store, append)
        self._log_size = max(self._log_size, log_size)
        self._recent.extend(new)
        return first

    async def replay(self, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Give the events that follow number `after`, in order, with their numbers.

        Raises:
            JournalError: one is missing, or its envelope is another than it was: the file was altered.
        """
        while rows := await self.durable.read(partial(_events, after=after)):
            for seq, event in rows:
                if seq != after + 1 or event is None:
                    got = seq if event is not None else "it without its envelope, or with an altered one"
                    raise JournalError(f"{self.durable.path}: expected event {after + 1}, got {got}")
                after = seq
                yield seq, event

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        """Give places and digests of envelopes that have not yet expired, newest first, at most `limit`.

        Of the newest 65,536, and with `before` of those that were taken before that place.
        """
        return self._recent.alive(self._clock(), limit, before)

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Give those of the digests, in their order, that are not among the newest 65,536; from memory."""
        return self._recent.unknown(digests)

    async def get(self, digest: bytes) -> bytes | None:
        """Give the envelope with this digest, byte for byte, or None."""
        query = "SELECT bytes FROM envelope WHERE digest = ?"
        return await self.durable.read(lambda connection: _one(connection, query, digest))

    async def has(self, digest: bytes) -> bool:
        """Tell whether the envelope with this digest is stored."""
        query = "SELECT digest FROM envelope WHERE digest = ?"
        return await self.durable.read(lambda connection: _one(connection, query, digest)) is not None

    async def get_meta(self, key: str) -> bytes | None:
        """Give a small value stored under `key`, or None."""
        query = "SELECT value FROM meta WHERE key = ?"
        return await self.durable.read(lambda connection: _one(connection, query, key))

    async def set_meta(self, key: str, value: bytes) -> None:
        """Store a small value under `key`; resolves when it is on disk."""
        await self.durable.write(lambda connection: write_meta(connection, key, value))

    def _store(self, connection: sqlite3.Connection, appends: Sequence[Append]) -> list[Stored]:
        stored, self._ends = insert(connection, self._ends, appends)
        return stored


def write_meta(connection: sqlite3.Connection, key: str, value: bytes) -> None:
    """Set a meta value within a transaction of the writer."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
    )


def _ends(connection: sqlite3.Connection) -> Ends:
    query = (
        "SELECT (SELECT coalesce(max(seq), 0) FROM event), (SELECT coalesce(max(number), 0) FROM envelope),"
        " (SELECT coalesce(max(log_index), -1) FROM log_entry)"
    )
    seq, number, index = connection.execute(query).fetchone()
    return Ends(seq + 1, number + 1, index + 1)


def _recent(connection: sqlite3.Connection) -> list[tuple[EnvelopeDigest, Millis]]:
    query = "SELECT digest, expires_at_ms FROM envelope ORDER BY number DESC LIMIT ?"
    return connection.execute(query, (MAX_RECENT,)).fetchall()[::-1]


def _events(connection: sqlite3.Connection, after: int) -> list[tuple[int, bytes | None]]:
    """Give the next events as they were appended; None for one whose envelope is gone or altered."""
    query = (
        "SELECT seq, event.bytes, at, event.number, envelope.digest, envelope.bytes"
        " FROM event LEFT JOIN envelope USING (number) WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    rows = connection.execute(query, (after, _REPLAY_ROWS))
    return [(seq, _whole(around, at, number, (digest, raw))) for seq, around, at, number, digest, raw in rows]


def _whole(
    around: bytes, at: int | None, number: int | None, envelope: tuple[bytes | None, bytes | None]
) -> bytes | None:
    digest, raw = envelope
    if number is None or at is None:
        return around
    if raw is None or sha256(raw) != digest:
        return None
    return around[:at] + raw + around[at:]


def _one(connection: sqlite3.Connection, query: str, key: bytes | str) -> bytes | None:
    row = connection.execute(query, (key,)).fetchone()
    if row is None:
        return None
    value: bytes = row[0]
    return value
