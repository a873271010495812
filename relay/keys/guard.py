"""The signing guard: what this member's attester key has said, for ever (SPEC 6.3)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from proofs.groupkeys import KeysDocument
from relay.core.errors import ConfigError, GuardRefusal, JournalError
from relay.core.rotations import RotationWords
from relay.core.types import DecisionId, Digest, MandateDigest, Seconds
from relay.disk import Durable, Probe, Schema, no_probe, sync_directory
from relay.keys.generations import permit_keys
from relay.keys.rotations import permit_rotation
from relay.keys.spent import SPENT_TABLES, Spending, begin_boot, raise_boot, spend

__all__ = ["Guard", "Statement", "require_held"]

_SCHEMA = Schema(
    application_id=0x74636731,  # "tcg1"
    version=2,
    statements=(
        "CREATE TABLE statement (decision_id BLOB NOT NULL, key_epoch INTEGER NOT NULL, digest BLOB NOT NULL,"
        " not_before INTEGER NOT NULL, PRIMARY KEY (decision_id, key_epoch)) STRICT, WITHOUT ROWID",
        # `watermark` is in seconds of chain time; `is_restored` 1 forbids attestations until it was raised.
        "CREATE TABLE guard (one INTEGER PRIMARY KEY CHECK (one = 1), watermark INTEGER NOT NULL,"
        " is_restored INTEGER NOT NULL) STRICT",
        "INSERT INTO guard VALUES (1, 0, 0)",
        *SPENT_TABLES,
    ),
    upgrades={1: SPENT_TABLES},
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a signature would say: this digest, for this decision under this key epoch.

    `not_before` is that of the mandate, seconds of chain time.
    """

    decision_id: DecisionId
    key_epoch: int
    digest: MandateDigest
    not_before: Seconds


class Guard:
    """An open guard; locked until `release` is called after the peers were asked what they remember of us."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable
        self._is_released = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, probe: Probe = no_probe) -> AsyncIterator[Self]:
        """Open or create the guard, for this process alone.

        Raises:
            ConfigError: another process has it open (named by its pid), or another kind of file.
            JournalError: the disk refuses.
        """
        async with Durable.open(path, _SCHEMA, probe=probe) as durable:
            yield cls(durable)

    async def permit(self, statement: Statement) -> None:
        """Let one statement out; resolves when it is on disk. The same statement again is let out again.

        Raises:
            GuardRefusal: `not yet released`, `conflicting digest`, or `older than the watermark`.
            JournalError: the disk did not take it: nothing may be signed.
        """
        self.require_release()
        await self._durable.write(lambda connection: _permit(connection, statement))

    async def permit_rotation(self, words: RotationWords, digest: Digest) -> None:
        """Let a rotation of a verifier out; resolves when it is on disk.

        Raises:
            GuardRefusal: `not yet released`, or as `permit_rotation` of `relay.keys.rotations`.
            JournalError: the disk did not take it: nothing may be signed.
        """
        self.require_release()
        await self._durable.write(lambda connection: permit_rotation(connection, words, digest))

    async def permit_keys(self, document: KeysDocument) -> None:
        """Let a signature under a keys document out, also while the guard is locked; resolves when it is on
        disk.

        Raises:
            GuardRefusal: as `permit_keys` of `relay.keys.generations`.
            JournalError: the disk did not take it: nothing may be signed.
        """
        await self._durable.write(lambda connection: permit_keys(connection, document))

    async def holds(self, decision_id: DecisionId, key_epoch: int) -> MandateDigest | None:
        """Give the digest that was let out for a decision under a key epoch, or None."""
        return await self._durable.read(lambda connection: _held(connection, decision_id, key_epoch))

    async def begin_boot(self) -> int:
        """Count a signer's start, durably; gives its number, from 1 on. Nonces of earlier ones are dead."""
        return await self._durable.write(begin_boot)

    async def spend(self, spending: Spending, said: tuple[DecisionId, int] | None) -> None:
        """Note that a nonce is used; resolves when that is on disk, and only then may its share leave.

        `said` is the decision and key epoch for which the digest must have been let out; None where the
        digest is of no mandate.

        Raises:
            GuardRefusal: `not yet released`, `unknown digest`, `conflicting digest`, `nonce dead`,
                `nonce spent`.
            JournalError: the disk did not take it: the share must not leave.
        """
        self.require_release()

        def work(connection: sqlite3.Connection) -> None:
            if said is not None:
                require_held(_held(connection, *said), spending.digest)
            spend(connection, spending)

        await self._durable.write(work)

    def require_release(self) -> None:
        """Raise `GuardRefusal` (`not yet released`) while the guard is locked."""
        if not self._is_released:
            raise GuardRefusal("not yet released", "the peers have not yet said what they remember")

    async def release(self) -> None:
        """Unlock: the caller has heard from f+1 peers, and none remembers more than this disk.

        Raises:
            GuardRefusal: `watermark required`: a backup was imported, and `restored_from_backup` not called.
        """
        if await self._durable.read(_is_restored):
            raise GuardRefusal("watermark required", "statements came from a backup")
        self._is_released = True

    async def watermark(self) -> Seconds:
        """Give the chain time before which no new mandate is signed."""
        return await self._durable.read(_watermark)

    async def set_watermark(self, watermark: Seconds) -> None:
        """Raise the watermark; a lower one changes nothing."""
        await self._durable.write(lambda connection: _raise_watermark(connection, watermark))

    async def restored_from_backup(self, at: Seconds, *, mandate_lifetime_s: Seconds) -> None:
        """State that this guard is an older copy, put back at chain time `at`.

        What the lost part let out is unknown, so nothing is signed for a decision older than `at` plus the
        longest lifetime of a mandate: whatever was signed before has then run out. The count of starts goes
        on from `at`, so a signer that runs meanwhile has to be started again before it gives shares.
        """

        def record(connection: sqlite3.Connection) -> None:
            _raise_watermark(connection, Seconds(at + mandate_lifetime_s))
            connection.execute("UPDATE guard SET is_restored = 0")
            # Peers take no commitment of a lower boot than one they saw; nobody starts a signer every second.
            raise_boot(connection, at)

        await self._durable.write(record)

    async def export(self, path: Path) -> None:
        """Write a copy of the guard to a new file `path`, while signing goes on.

        Raises:
            ConfigError: the file exists.
            JournalError: the disk refuses.
        """
        await self._durable.read(partial(_export, path=path))

    async def import_statements(self, path: Path) -> int:
        """Add the statements of an exported copy; gives how many were new. Nothing is ever taken away.

        Afterwards `restored_from_backup` must be called before the guard is released.

        Raises:
            ConfigError: no exported guard.
            GuardRefusal: `conflicting digest`: the copy contradicts this guard; nothing was added.
        """
        statements, watermark = _read_export(path)
        self._is_released = False
        return await self._durable.write(lambda connection: _import(connection, statements, watermark))


def require_held(held: MandateDigest | None, said: Digest) -> None:
    """Raise `GuardRefusal` (`unknown digest`, `conflicting digest`) unless `said` is what was let out."""
    if held is None:
        raise GuardRefusal("unknown digest", f"expected a digest that the guard holds, got {said.hex()}")
    if held != said:
        raise GuardRefusal("conflicting digest", f"expected {held.hex()}, got {said.hex()}")


def _permit(connection: sqlite3.Connection, statement: Statement) -> None:
    held = _held(connection, statement.decision_id, statement.key_epoch)
    if held == statement.digest:
        return
    if held is not None:
        raise _conflict(statement, held)
    watermark = _watermark(connection)
    if statement.not_before < watermark:
        raise GuardRefusal(
            "older than the watermark", f"expected at least {watermark}, got {statement.not_before}"
        )
    _insert(connection, statement)


def _import(connection: sqlite3.Connection, statements: list[Statement], watermark: Seconds) -> int:
    new: list[Statement] = []
    for statement in statements:
        held = _held(connection, statement.decision_id, statement.key_epoch)
        if held is None:
            new.append(statement)
        elif held != statement.digest:
            raise _conflict(statement, held)
    for statement in new:
        _insert(connection, statement)
    _raise_watermark(connection, watermark)
    connection.execute("UPDATE guard SET is_restored = 1")
    return len(new)


def _insert(connection: sqlite3.Connection, statement: Statement) -> None:
    connection.execute(
        "INSERT INTO statement VALUES (?, ?, ?, ?)",
        (statement.decision_id, statement.key_epoch, statement.digest, statement.not_before),
    )


def _conflict(statement: Statement, held: MandateDigest) -> GuardRefusal:
    return GuardRefusal(
        "conflicting digest",
        f"decision {statement.decision_id.hex()} epoch {statement.key_epoch}: "
        f"expected {held.hex()}, got {statement.digest.hex()}",
    )


def _held(connection: sqlite3.Connection, decision_id: DecisionId, key_epoch: int) -> MandateDigest | None:
    row = connection.execute(
        "SELECT digest FROM statement WHERE decision_id = ? AND key_epoch = ?", (decision_id, key_epoch)
    ).fetchone()
    return None if row is None else MandateDigest(row[0])


def _watermark(connection: sqlite3.Connection) -> Seconds:
    (watermark,) = connection.execute("SELECT watermark FROM guard").fetchone()
    return Seconds(watermark)


def _is_restored(connection: sqlite3.Connection) -> bool:
    (is_restored,) = connection.execute("SELECT is_restored FROM guard").fetchone()
    return bool(is_restored)


def _raise_watermark(connection: sqlite3.Connection, watermark: Seconds) -> None:
    connection.execute("UPDATE guard SET watermark = max(watermark, ?)", (watermark,))


def _export(connection: sqlite3.Connection, path: Path) -> None:
    try:
        path.touch(mode=0o600, exist_ok=False)  # SQLite fills a file that is empty
        connection.execute("VACUUM INTO ?", (str(path),))
        with path.open("rb") as file:
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except FileExistsError as error:
        raise ConfigError(str(path), "expected no file, got one", remedy="name a new one") from error
    except OSError as error:
        raise JournalError(f"{path}: expected to write a copy, got: {error}") from error


def _read_export(path: Path) -> tuple[list[Statement], Seconds]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (kind,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if kind != _SCHEMA.application_id or version not in (*_SCHEMA.upgrades, _SCHEMA.version):
                raise ConfigError(str(path), f"expected an exported guard, got a file of kind {kind:#x}")
            rows = connection.execute(
                "SELECT decision_id, key_epoch, digest, not_before FROM statement"
            ).fetchall()
            watermark = _watermark(connection)
    except sqlite3.Error as error:
        raise ConfigError(str(path), f"expected an exported guard, got: {error}") from error
    statements = [Statement(DecisionId(a), b, MandateDigest(c), Seconds(d)) for a, b, c, d in rows]
    return statements, watermark
