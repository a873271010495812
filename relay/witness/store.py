"""What a witness holds, on disk: for each log the newest checkpoint it cosigned, and those seen (SPEC 1)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from proofs.checkpoint import Checkpoint
from proofs.kinds import Digest
from proofs.note import Note, VerifierKey, format_note, format_verifier_key
from proofs.witness import Accepted, Answer, Held, Opened, judge
from relay.core.errors import ConfigError
from relay.core.types import Millis, NetworkId
from relay.disk import Durable, Probe, Schema, no_probe

__all__ = [
    "MAX_DEBTS",
    "MAX_SEEN",
    "Added",
    "CosignedRow",
    "ForkRow",
    "SeenRow",
    "Sighting",
    "WitnessStore",
    "log_name",
    "plain_note",
    "two_roots",
]

MAX_SEEN: Final = 256
"""Checkpoints kept of one log; the oldest that is proved consistent makes room."""
MAX_DEBTS: Final = 4
"""Of them, those that no proof joins to what was cosigned."""
_SCHEMA: Final = Schema(
    application_id=0x74637731,  # "tcw1"
    version=1,
    statements=(
        "CREATE TABLE network (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL) STRICT",
        # `log` is the verifier key of a log: one origin under two keys is two logs. `at_s` is the time of the
        # cosignature, which the key makes again from note and time whenever it is asked for.
        "CREATE TABLE cosigned (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,"
        " note TEXT NOT NULL, at_s INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        # Every checkpoint with the log's signature; `is_proved` 1 where it is of the cosigned history.
        "CREATE TABLE seen (number INTEGER PRIMARY KEY, log TEXT NOT NULL, size INTEGER NOT NULL,"
        " root BLOB NOT NULL, note TEXT NOT NULL, at_ms INTEGER NOT NULL, is_proved INTEGER NOT NULL,"
        " UNIQUE (log, size)) STRICT",
        "CREATE TABLE fork (log TEXT PRIMARY KEY, first TEXT NOT NULL, second TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID",
    ),
)


@dataclass(frozen=True, slots=True)
class CosignedRow:
    """The newest checkpoint of a log that was cosigned, and the time in the cosignature."""

    held: Held
    note: str
    at_s: int


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A checkpoint that a log has signed; `at_ms` is when we saw it first."""

    checkpoint: Checkpoint
    note: str
    at_ms: Millis
    is_proved: bool


@dataclass(frozen=True, slots=True)
class ForkRow:
    """Two notes of one log, of one size with different roots, in the order in which they came."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A checkpoint with the signature of `key`, a log's; `note` has that line alone."""

    key: VerifierKey
    checkpoint: Checkpoint
    note: str
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class Added:
    """What came of a request: a row to cosign, or an answer; `is_proved` tells that its proof was right."""

    outcome: CosignedRow | Answer
    fork: ForkRow | None
    is_proved: bool


class WitnessStore:
    """One open file. What concerns a log is compared and stored within one transaction, one after another."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, network: NetworkId, *, probe: Probe = no_probe) -> AsyncIterator[Self]:
        """Open or create the file of a witness in `network`, for this process alone.

        Raises:
            ConfigError: another process has it open, another kind of file, or of another network.
            JournalError: the disk refuses.
        """
        async with Durable.open(path, _SCHEMA, probe=probe) as durable:
            known = await durable.read(_network)
            if known is None:
                await durable.write(partial(_set_network, network=network))
            elif known != network:
                raise ConfigError(
                    str(path),
                    f"expected a witness of network {network.hex()}, got {known.hex()}",
                    remedy="give the file back to its node, or move it away",
                )
            yield cls(durable)

    async def cosigned(self) -> dict[str, CosignedRow]:
        """Give the newest cosigned checkpoint of each log, by `log_name`."""
        return await self._durable.read(_all_cosigned)

    async def seen(self) -> dict[str, dict[int, SeenRow]]:
        """Give the kept checkpoints of each log, by size."""
        return await self._durable.read(_all_seen)

    async def forks(self) -> dict[str, ForkRow]:
        """Give the forks that were found here, by log."""
        return await self._durable.read(_all_forks)

    async def see(self, sighting: Sighting) -> ForkRow | None:
        """Keep a checkpoint that a log has signed; gives what it contradicts, if it does."""
        return await self._durable.write(partial(_see, sighting=sighting))

    async def add(self, opened: Opened, sighting: Sighting, now_s: int, refusal: Answer | None) -> Added:
        """Judge a request by what is held, and hold what is accepted; resolves when that is on disk.

        `refusal` is given in place of a cosignature. Gives what may be cosigned now, with a time that is
        never before the last one of this log, or the answer, and what else is known now.
        """

        def work(connection: sqlite3.Connection) -> Added:
            fork = _see(connection, sighting)
            log = log_name(sighting.key)
            row = _cosigned(connection, log)
            verdict = judge(opened, None if row is None else row.held)
            if not isinstance(verdict, Accepted):
                return Added(verdict, fork, is_proved=False)
            if _is_forked(connection, log):
                return Added(two_roots(sighting.key), fork, is_proved=False)
            if refusal is not None:
                _prove(connection, log, (sighting.checkpoint.size,))
                return Added(refusal, None, is_proved=True)
            at_s = now_s if row is None else max(now_s, row.at_s)
            accepted = CosignedRow(verdict.held, sighting.note, at_s)
            # DURABLE: what was cosigned is known before the cosignature exists: no later one goes back.
            _hold(connection, log, accepted)
            return Added(accepted, None, is_proved=True)

        return await self._durable.write(work)

    async def prove(self, log: str, sizes: tuple[int, ...]) -> None:
        """Take note that the seen checkpoints of these sizes are of the cosigned history."""
        await self._durable.write(partial(_prove, log=log, sizes=sizes))


def log_name(key: VerifierKey) -> str:
    """Give the name of a log in the file: its verifier key."""
    return format_verifier_key(key)


def plain_note(note: Note, key: VerifierKey) -> str:
    """Give a note with the line of `key` alone, the first that counts."""
    line = next(line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
    return format_note(Note(note.text, (line,)))


def two_roots(key: VerifierKey) -> Answer:
    """Give the answer to a log that has told two stories: nobody trusts its key any more."""
    return Answer(403, f"{key.name} has signed two roots for one size\n".encode())


def _is_forked(connection: sqlite3.Connection, log: str) -> bool:
    return connection.execute("SELECT 1 FROM fork WHERE log = ?", (log,)).fetchone() is not None


def _network(connection: sqlite3.Connection) -> bytes | None:
    row = connection.execute("SELECT id FROM network").fetchone()
    if row is None:
        return None
    found: bytes = row[0]
    return found


def _set_network(connection: sqlite3.Connection, network: bytes) -> None:
    connection.execute("INSERT INTO network VALUES (1, ?)", (network,))


def _cosigned(connection: sqlite3.Connection, log: str) -> CosignedRow | None:
    row = connection.execute("SELECT size, root, note, at_s FROM cosigned WHERE log = ?", (log,)).fetchone()
    return None if row is None else CosignedRow(Held(row[0], Digest(row[1])), row[2], row[3])


def _hold(connection: sqlite3.Connection, log: str, row: CosignedRow) -> None:
    connection.execute(
        "INSERT INTO cosigned VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size,"
        " root = excluded.root, note = excluded.note, at_s = excluded.at_s",
        (log, row.held.size, row.held.root, row.note, row.at_s),
    )
    _prove(connection, log, (row.held.size,))


def _prove(connection: sqlite3.Connection, log: str, sizes: tuple[int, ...]) -> None:
    statement = "UPDATE seen SET is_proved = 1 WHERE log = ? AND size = ?"
    connection.executemany(statement, [(log, size) for size in sizes])


def _see(connection: sqlite3.Connection, sighting: Sighting) -> ForkRow | None:
    """Keep a sighting within the bounds, unless it is there; a contradiction is kept as a fork, the first."""
    log, checkpoint = log_name(sighting.key), sighting.checkpoint
    query = "SELECT root, note FROM seen WHERE log = ? AND size = ?"
    row = connection.execute(query, (log, checkpoint.size)).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT root, note FROM cosigned WHERE log = ? AND size = ?", (log, checkpoint.size)
        ).fetchone()
    if row is not None and row[0] != checkpoint.root:
        fork = ForkRow(row[1], sighting.note)
        connection.execute(
            "INSERT INTO fork VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (log, fork.first, fork.second)
        )
        return fork
    if row is None and checkpoint.size and _has_room(connection, log):
        connection.execute(
            "INSERT INTO seen (log, size, root, note, at_ms, is_proved) VALUES (?, ?, ?, ?, ?, 0)",
            (log, checkpoint.size, checkpoint.root, sighting.note, sighting.at_ms),
        )
    return None


def _has_room(connection: sqlite3.Connection, log: str) -> bool:
    query = "SELECT count(*), coalesce(sum(1 - is_proved), 0) FROM seen WHERE log = ?"
    kept, debts = connection.execute(query, (log,)).fetchone()
    if kept >= MAX_SEEN:
        connection.execute(
            "DELETE FROM seen WHERE number = (SELECT min(number) FROM seen WHERE log = ? AND is_proved = 1)",
            (log,),
        )
    return bool(debts < MAX_DEBTS)


def _all_cosigned(connection: sqlite3.Connection) -> dict[str, CosignedRow]:
    rows = connection.execute("SELECT log, size, root, note, at_s FROM cosigned").fetchall()
    return {log: CosignedRow(Held(size, Digest(root)), note, at_s) for log, size, root, note, at_s in rows}


def _all_seen(connection: sqlite3.Connection) -> dict[str, dict[int, SeenRow]]:
    query = "SELECT log, size, root, note, at_ms, is_proved FROM seen ORDER BY number"
    found: dict[str, dict[int, SeenRow]] = {}
    for log, size, root, note, at_ms, is_proved in connection.execute(query).fetchall():
        checkpoint = Checkpoint(note.partition("\n")[0], size, Digest(root))
        found.setdefault(log, {})[size] = SeenRow(checkpoint, note, Millis(at_ms), bool(is_proved))
    return found


def _all_forks(connection: sqlite3.Connection) -> dict[str, ForkRow]:
    rows = connection.execute("SELECT log, first, second FROM fork").fetchall()
    return {log: ForkRow(first, second) for log, first, second in rows}
