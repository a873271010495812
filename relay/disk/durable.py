"""One SQLite file, one writer thread, group commit: what the journal and the signing guard stand on."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from relay.core.errors import ConfigError, JournalError, TocsinError
from relay.disk.files import Probe, lock_file, no_probe, sync_directory

__all__ = ["MAX_PENDING", "CommitPoint", "Durable", "Schema"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

MAX_PENDING = 4_096
"""Callers waiting at once, and so works in one commit; more wait until some of these are done."""
_PRIVATE = 0o600
_CACHE_KIBIBYTES = 16_384
_CHECKPOINT_PAGES = 4_096


class CommitPoint(StrEnum):
    """The steps of which a probe is told: before it nothing of the batch is stored, after it everything."""

    BEFORE = "before commit"
    AFTER = "after commit"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file of one kind holds. `application_id` tells kinds apart, `version` is of `statements`.

    `upgrades` has for each older version that still opens what makes the next one of it.
    """

    application_id: int
    version: int
    statements: tuple[str, ...]
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class _Request(Protocol):
    def perform(self, connection: sqlite3.Connection) -> None: ...

    def settle(self, failure: JournalError | None) -> int:
        """Tell the callers; gives how many they are."""


class _Write(Generic[T]):
    """One caller's work, its outcome, and the future through which the caller learns it."""

    def __init__(self, work: Callable[[sqlite3.Connection], T], future: asyncio.Future[T]) -> None:
        self._work = work
        self._future = future
        self._outcome: tuple[T] | TocsinError | None = None

    def perform(self, connection: sqlite3.Connection) -> None:
        changes = connection.total_changes
        try:
            self._outcome = (self._work(connection),)
        except TocsinError as refusal:
            assert connection.total_changes == changes, "a work that refuses has written nothing"
            self._outcome = refusal

    def settle(self, failure: JournalError | None) -> int:
        if self._future.done():
            pass  # the caller was cancelled; its work is stored all the same
        elif failure is not None:
            self._future.set_exception(failure)
        elif isinstance(self._outcome, tuple):
            self._future.set_result(self._outcome[0])
        else:
            assert self._outcome is not None
            self._future.set_exception(self._outcome)
        return 1


class _Group(Generic[I, T]):
    """Items that several callers brought for one work, in the order of the calls."""

    def __init__(self, work: Callable[[sqlite3.Connection, Sequence[I]], Sequence[T]]) -> None:
        self.work = work
        self._items: list[I] = []
        self._futures: list[asyncio.Future[T]] = []
        self._outcomes: Sequence[T] = ()

    def add(self, item: I, future: asyncio.Future[T]) -> None:
        self._items.append(item)
        self._futures.append(future)

    def perform(self, connection: sqlite3.Connection) -> None:
        self._outcomes = self.work(connection, self._items)

    def settle(self, failure: JournalError | None) -> int:
        if failure is not None:
            for future in self._futures:
                if not future.done():
                    future.set_exception(failure)
        else:
            for future, outcome in zip(self._futures, self._outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
        return len(self._futures)


class Durable:
    """An open file. After a failed commit every further write is refused: what the disk holds is uncertain
    until the file has been opened and read again.
    """

    def __init__(self, path: Path, schema: Schema, probe: Probe) -> None:
        self.path = path
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._room = asyncio.Event()
        self._gathered: list[_Request] = []
        """Owned by the loop: what this turn of it has brought so far."""
        self._handed: queue.SimpleQueue[list[_Request]] = queue.SimpleQueue()
        """From the loop to the writer thread; an empty list is the last."""
        self._closing = False
        self._failure: JournalError | None = None
        self._writer = _open_writer(path, schema)
        self._reader = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"read {path.name}")
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, schema: Schema, *, probe: Probe = no_probe) -> AsyncIterator[Self]:
        """Open or create `path`, for this process alone.

        Raises:
            ConfigError: another process has it open (named by its pid), or it is a file of another kind.
            JournalError: the disk refuses.
        """
        with ExitStack() as held:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                held.enter_context(lock_file(path.with_name(f"{path.name}.lock")))
                durable = cls(path, schema, probe)
            except (sqlite3.Error, OSError) as error:
                raise JournalError(f"{path}: expected a database to write to, got: {error}") from error
            try:
                yield durable
            finally:
                durable._close()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writer thread within a transaction; resolves when that is on disk.

        Works run in the order of the calls; those that wait at the same time share one commit. A work may
        refuse with a `TocsinError` before it has written anything: only its own caller gets that. The work of
        a caller that is cancelled may be stored.

        Raises:
            JournalError: the commit failed; the work may or may not be stored, and no further one will be.
        """
        if self._waiting >= MAX_PENDING:
            await self._wait_for_room()
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._gather(_Write(work, future))
        self._waiting += 1
        return await future

    async def write_each(self, work: Callable[[sqlite3.Connection, Sequence[I]], Sequence[T]], item: I) -> T:
        """Like `write`, for a work that takes the items of many callers at once and gives each its outcome.

        Callers that follow each other with the same `work` share a call of it. It must not refuse.
        """
        if self._waiting >= MAX_PENDING:
            await self._wait_for_room()
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        group = self._gathered[-1] if self._gathered else None
        if not isinstance(group, _Group) or group.work != work:
            group = _Group(work)
            self._gather(group)
        group.add(item, future)
        self._waiting += 1
        return await future

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reader thread, on what is committed. It must not write."""

        def perform() -> T:
            try:
                return work(self._reader)
            except sqlite3.Error as error:
                raise JournalError(f"{self.path}: expected to read, got: {error}") from error

        return await self._loop.run_in_executor(self._readers, perform)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise JournalError(str(self._failure)) from self._failure
        if self._closing:
            raise JournalError(f"{self.path}: expected an open file, got one that is closing")

    async def _wait_for_room(self) -> None:
        while self._waiting >= MAX_PENDING:
            self._room.clear()
            await self._room.wait()

    def _gather(self, request: _Request) -> None:
        if not self._gathered:
            # All callers of one turn of the loop go over together: one hand-over, and one commit for all
            # rather than one for the first and another for the rest.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(request)

    def _hand_over(self) -> None:
        if self._gathered:
            self._handed.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        while batch := self._take():
            failure = self._commit(batch)
            self._loop.call_soon_threadsafe(self._settle, batch, failure)

    def _take(self) -> list[_Request]:
        """Wait for what callers bring, and take all that came meanwhile; nothing when the file closes."""
        batch = self._handed.get()
        with suppress(queue.Empty):
            while batch:
                more = self._handed.get_nowait()
                if not more:
                    self._handed.put(more)
                    break
                batch += more
        return batch

    def _commit(self, batch: Sequence[_Request]) -> JournalError | None:
        if self._failure is not None:  # these were on their way when the disk failed
            return self._failure
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for request in batch:
                request.perform(self._writer)
            self._probe(CommitPoint.BEFORE)
            # DURABLE: with synchronous=FULL the log is fsynced when this returns; callers learn of it after.
            self._writer.execute("COMMIT")
            self._probe(CommitPoint.AFTER)
        except Exception as error:  # noqa: BLE001 - nobody may wait for ever, nor write after it
            failure = JournalError(f"{self.path}: expected the disk to take a write, got: {error}")
            failure.__cause__ = error
            self._failure = failure
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            return failure
        return None

    def _settle(self, batch: Sequence[_Request], failure: JournalError | None) -> None:
        for request in batch:
            self._waiting -= request.settle(failure)
        self._room.set()

    def _close(self) -> None:
        self._closing = True
        self._hand_over()
        self._handed.put([])
        # What was accepted is still written. This waits without awaiting: a cancellation in between would
        # give the lock away while the thread still writes.
        self._thread.join()
        self._readers.shutdown(wait=True)
        self._reader.close()
        self._writer.close()


def _open_writer(path: Path, schema: Schema) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        path.chmod(_PRIVATE)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        # The pages of indexes over digests are hit at random: keep them, and fold them back less often.
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        _prepare(connection, path, schema)
        sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (kind, version, tables) == (0, 0, 0):
        for statement in schema.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={schema.application_id}")
        connection.execute(f"PRAGMA user_version={schema.version}")
    elif kind == schema.application_id and version in schema.upgrades:
        _upgrade(connection, schema, version)
    elif (kind, version) != (schema.application_id, schema.version):
        raise ConfigError(
            str(path),
            f"expected kind {schema.application_id:#x} version {schema.version},"
            f" got {kind:#x} version {version}",
            remedy="give the right file, or run the release that wrote it",
        )
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    """Bring a file of an older release up to date; the release that wrote it opens it no more."""
    for older in range(version, schema.version):
        for statement in schema.upgrades[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={schema.version}")
