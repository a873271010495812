"""The journal: events in order, the envelopes they brought, which of them the audit log holds (SPEC 7.1)."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from proofs.envelope import MAX_ENVELOPE_BYTES
from relay.core.errors import JournalError
from relay.core.types import EnvelopeDigest, Millis
from relay.disk import Durable, Probe, Schema, no_probe
from relay.journal.disk import DiskLimits, DiskState, check_disk, disk_state, keep_ballast

__all__ = ["Journal", "LogEntry", "StoredEnvelope"]

_SCHEMA = Schema(
    application_id=0x74636A31,  # "tcj1"
    version=1,
    statements=(
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
        # `log_index` counts from 0 and is null for what is no entry of the audit log.
        "CREATE TABLE envelope (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL,"
        " expires_at_ms INTEGER NOT NULL, log_index INTEGER) STRICT",
        "CREATE TABLE log_entry (log_index INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT",
        # Entries that may not be published yet; what comes after the first of them waits with it.
        "CREATE TABLE held_entry (log_index INTEGER PRIMARY KEY) STRICT",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    ),
)
_REPLAY_ROWS = 512
_RECENT = 16_384
"""Envelopes that anti-entropy may offer; those before them are still found by their digest."""
_LIMITS = DiskLimits()


class LogEntry(StrEnum):
    """What an envelope is to the audit log (SPEC 3, 7.3)."""

    NONE = "no entry"
    HELD = "entry, released later"
    RELEASED = "entry, may be published at once"


@dataclass(frozen=True, slots=True)
class StoredEnvelope:
    """An envelope to keep: its bytes as they came, its digest, and until when anti-entropy offers it."""

    raw: bytes
    digest: EnvelopeDigest
    expires_at_ms: Millis
    log_entry: LogEntry = LogEntry.NONE

    def __post_init__(self) -> None:
        assert len(self.raw) <= MAX_ENVELOPE_BYTES, "an envelope was measured when it was parsed"
        assert len(self.digest) == 32, "a digest is SHA-256"


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
        self._next_seq = 1
        self._next_index = 0
        self._log_size = 0
        self._recent: deque[tuple[EnvelopeDigest, Millis]] = deque(maxlen=_RECENT)

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
            journal._next_seq, journal._next_index = await durable.read(_ends)
            journal._log_size = journal._next_index
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

        new: list[tuple[EnvelopeDigest, Millis]] = []

        def store(connection: sqlite3.Connection) -> tuple[int, int]:
            first = self._next_seq
            connection.executemany("INSERT INTO event VALUES (?, ?)", enumerate(events, first))
            self._next_seq += len(events)
            for envelope in envelopes:
                if self._store_envelope(connection, envelope):
                    new.append((envelope.digest, envelope.expires_at_ms))
            return first, self._next_index

        first, log_size = await self.durable.write(store)
        self._log_size = max(self._log_size, log_size)
        self._recent.extend(new)
        return first

    async def replay(self, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Give the events that follow number `after`, in order, with their numbers.

        Raises:
            JournalError: one is missing: the file was altered.
        """
        while rows := await self.durable.read(partial(_events, after=after)):
            for seq, event in rows:
                if seq != after + 1:
                    raise JournalError(f"{self.durable.path}: expected event {after + 1}, got {seq}")
                after = seq
                yield seq, event

    async def recent_digests(self, limit: int) -> Sequence[bytes]:
        """Give the digests of envelopes that have not yet expired, newest first, at most `limit`."""
        now_ms = self._clock()
        alive = (digest for digest, expires_at_ms in reversed(self._recent) if expires_at_ms > now_ms)
        return tuple(islice(alive, limit))

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

    def _store_envelope(self, connection: sqlite3.Connection, envelope: StoredEnvelope) -> bool:
        """Store one envelope and its place in the log; tells whether it is new."""
        index = None if envelope.log_entry is LogEntry.NONE else self._next_index
        cursor = connection.execute(
            "INSERT INTO envelope (digest, bytes, expires_at_ms, log_index) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (envelope.digest, envelope.raw, envelope.expires_at_ms, index),
        )
        is_new = cursor.rowcount == 1
        number = cursor.lastrowid if is_new else None
        if index is not None:
            self._enter_log(connection, envelope, number)
        return is_new

    def _enter_log(
        self, connection: sqlite3.Connection, envelope: StoredEnvelope, number: int | None
    ) -> None:
        index = self._next_index
        if number is None:  # it is there already, perhaps as no entry
            row = connection.execute(
                "UPDATE envelope SET log_index = ? WHERE digest = ? AND log_index IS NULL RETURNING number",
                (index, envelope.digest),
            ).fetchone()
            if row is None:
                return
            (number,) = row
        connection.execute("INSERT INTO log_entry VALUES (?, ?)", (index, number))
        if envelope.log_entry is LogEntry.HELD:
            connection.execute("INSERT INTO held_entry VALUES (?)", (index,))
        self._next_index += 1


def write_meta(connection: sqlite3.Connection, key: str, value: bytes) -> None:
    """Set a meta value within a transaction of the writer."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
    )


def _ends(connection: sqlite3.Connection) -> tuple[int, int]:
    (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    (last_index,) = connection.execute("SELECT coalesce(max(log_index), -1) FROM log_entry").fetchone()
    return last_seq + 1, last_index + 1


def _recent(connection: sqlite3.Connection) -> list[tuple[EnvelopeDigest, Millis]]:
    query = "SELECT digest, expires_at_ms FROM envelope ORDER BY number DESC LIMIT ?"
    return connection.execute(query, (_RECENT,)).fetchall()[::-1]


def _events(connection: sqlite3.Connection, after: int) -> list[tuple[int, bytes]]:
    query = "SELECT seq, bytes FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
    return connection.execute(query, (after, _REPLAY_ROWS)).fetchall()


def _one(connection: sqlite3.Connection, query: str, key: bytes | str) -> bytes | None:
    row = connection.execute(query, (key,)).fetchone()
    if row is None:
        return None
    value: bytes = row[0]
    return value
