"""The node's audit log: a C2SP transparency log over the envelopes in the journal (proofs/SPEC.md 4 to 7)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from proofs.checkpoint import Checkpoint, checkpoint_text, parse_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import (
    KeyKind,
    Note,
    format_note,
    format_verifier_key,
    note_signature,
    parse_note,
    verifier_key,
    verify_note,
)
from proofs.tiles import TILE_WIDTH, tile_node_reader
from proofs.tlogproof import TlogProof, format_tlog_proof
from proofs.tree import CompactRange, inclusion_proof, range_from_bytes, range_to_bytes
from relay.core.errors import ConfigError, JournalError
from relay.core.types import EnvelopeDigest, Millis
from relay.disk import Durable, Probe, make_directory, no_probe, replace_file
from relay.journal.store import Journal, write_meta
from relay.journal.tilewriter import TileWriter, read_tile

__all__ = ["AuditLog", "Published"]

T = TypeVar("T")

_SIGNED = "log/signed"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Published:
    """The newest checkpoint: `note` is the file as served, `at_ms` when our own clock says it was signed."""

    checkpoint: Checkpoint
    note: str
    at_ms: Millis


class AuditLog:
    """One log: entries enter with their event (`Journal.append`), and come out in order once releasable.

    Published is the longest prefix whose entries are all releasable. Nothing is signed that is not on disk,
    and never a smaller or another tree than before: the last one is in the journal before its signature
    exists.
    """

    def __init__(self, journal: Journal, directory: Path, origin: str, log_key: bytes) -> None:
        self.directory = directory
        self.origin = origin
        self._key = verifier_key(origin, KeyKind.ED25519, log_key)
        self._journal = journal
        self._durable: Durable = journal.durable
        self._probe: Probe = no_probe
        self._writer = TileWriter(directory)
        self._signed = CompactRange()
        self._published: Published | None = None
        self._turn = asyncio.Lock()
        self._is_broken = False

    @classmethod
    async def open(
        cls, journal: Journal, directory: Path, *, origin: str, log_key: bytes, probe: Probe = no_probe
    ) -> Self:
        """Go on with the log in `directory`; its tiles are made again from the journal if they are not there.

        `origin` is network name/member name, `log_key` the Ed25519 public key (32 bytes) of its checkpoints.

        Raises:
            ConfigError: the directory is ahead of the journal, or not its log.
            JournalError: the disk refuses, or the journal's entries are not those that were signed.
        """
        log = cls(journal, directory, origin, log_key)
        log._probe = probe
        await log._resume()
        return log

    @property
    def vkey(self) -> str:
        """The log's verifier key, as auditors pin it (C2SP signed-note)."""
        return format_verifier_key(self._key)

    @property
    def size(self) -> int:
        """Entries on disk, published or not."""
        return self._journal.log_size

    @property
    def published(self) -> Published | None:
        """The newest checkpoint, or None before the first `publish` of this run."""
        return self._published

    async def released_size(self) -> int:
        """Give the length of the longest prefix whose entries are all releasable."""
        return await self._durable.read(_released_size)

    async def release(self, digests: Iterable[EnvelopeDigest]) -> None:
        """Make entries releasable, for good; those that are, or are no entries, change nothing."""
        rows = [(digest,) for digest in digests]
        statement = (
            "DELETE FROM held_entry WHERE log_index = (SELECT log_index FROM envelope WHERE digest = ?)"
        )

        def mark(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self._durable.write(mark)

    async def publish(self, sign: Callable[[bytes], Awaitable[bytes]], at_ms: Millis) -> Published:
        """Write what became releasable as tiles, sign the checkpoint over it, and put that in place.

        `sign` gives the Ed25519 signature (64 bytes) of the log key over a checkpoint body. Without new
        entries the checkpoint stands as it is.

        Raises:
            ConfigError: `sign` signs with another key.
            JournalError: the disk refuses; nothing further is published.
        """
        async with self._turn:
            if self._is_broken:
                raise JournalError(
                    f"{self.directory}: expected an intact log, got one whose last publication failed"
                )
            size = await self._durable.read(_released_size)
            if self._published is not None and self._published.checkpoint.size == size:
                return self._published
            with self._unfinished():
                await self._write_tiles(size)
                await self._record(self._writer.range)
            checkpoint = Checkpoint(self.origin, size, self._writer.range.root())
            published = await self._sign(checkpoint, sign, at_ms)
            with self._unfinished():
                path, content = self.directory / _CHECKPOINT, published.note.encode()
                await self._on_disk(partial(replace_file, path, content, probe=self._probe))
            self._published = published
            return published

    async def inclusion_proof(self, digest: EnvelopeDigest, size: int) -> tuple[int, tuple[Digest, ...]]:
        """Give the index of an entry, and its path in the tree of `size` entries, leaf side first.

        Raises:
            KeyError: `digest` is no entry, or not among the first `size` published ones.
        """
        index = await self._durable.read(partial(_index_of, digest=digest))
        if index is None or not index < size <= self._signed.size:
            raise KeyError(digest)
        reader = tile_node_reader(size, partial(read_tile, self.directory))
        return index, await self._on_disk(partial(inclusion_proof, index, size, reader))

    async def covers(self, digests: Iterable[EnvelopeDigest], size: int) -> bool:
        """Tell whether all of these are among the first `size` entries."""
        indices = await self._durable.read(partial(_indices_of, digests=tuple(digests)))
        return all(index is not None and index < size for index in indices)

    async def tlog_proof(self, digest: EnvelopeDigest) -> str:
        """Give the `.tlog-proof` of an entry under the newest checkpoint.

        Raises:
            KeyError: `digest` is no entry, or not yet published.
        """
        published = self._published
        if published is None:
            raise KeyError(digest)
        index, path = await self.inclusion_proof(digest, published.checkpoint.size)
        return format_tlog_proof(TlogProof(index=index, path=path, checkpoint=published.note))

    async def _resume(self) -> None:
        stored = await self._journal.get_meta(_SIGNED)
        try:
            self._signed = CompactRange() if stored is None else range_from_bytes(stored)
        except ProofError as error:
            raise JournalError(f"{self._durable.path}: expected the signed tree, got: {error}") from error
        await self._on_disk(partial(make_directory, self.directory))
        await asyncio.to_thread(self._check_directory)
        self._writer = TileWriter(self.directory, probe=self._probe)
        if not await self._on_disk(partial(self._writer.resume, self._signed)):
            await self._write_tiles(self._signed.size)
            if self._writer.range != self._signed:
                raise JournalError(
                    f"{self._durable.path}: expected entries under root {self._signed.root().hex()},"
                    f" got {self._writer.range.root().hex()}"
                )

    def _check_directory(self) -> None:
        """Refuse a directory that says more than the journal knows: then that is an older copy."""
        path = self.directory / _CHECKPOINT
        try:
            raw = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), f"expected a checkpoint, got: {error}") from error
        try:
            note = parse_note(raw)
            verify_note(note, [self._key])
            served = parse_checkpoint(note.text)
        except ProofError as error:
            raise ConfigError(
                str(path),
                f"expected a checkpoint of {self.origin}, got: {error}",
                remedy="give the log a new home",
            ) from error
        expected = self._signed.root() if served.size == self._signed.size else served.root
        if served.size > self._signed.size or served.root != expected:
            raise ConfigError(
                str(path),
                f"expected at most the {self._signed.size} entries of the journal, got {served.size}",
                remedy="the journal is an older copy than the log: repair it before this node speaks again",
            )

    async def _write_tiles(self, size: int) -> None:
        while self._writer.range.size < size:
            first = self._writer.range.size // TILE_WIDTH * TILE_WIDTH
            entries = await self._durable.read(
                partial(_entries, first=first, last=min(first + TILE_WIDTH, size))
            )
            await self._on_disk(partial(self._writer.extend, entries))
        await self._on_disk(self._writer.finish)

    async def _record(self, signed: CompactRange) -> None:
        # DURABLE: what is about to be signed is known before; a smaller tree is never signed again.
        if signed != self._signed:
            assert signed.size > self._signed.size, "released entries stay released"
            await self._durable.write(partial(write_meta, key=_SIGNED, value=range_to_bytes(signed)))
            self._signed = signed

    async def _sign(
        self, checkpoint: Checkpoint, sign: Callable[[bytes], Awaitable[bytes]], at_ms: Millis
    ) -> Published:
        text = checkpoint_text(checkpoint)
        note = Note(text, (note_signature(self._key, await sign(text.encode())),))
        try:
            verify_note(note, [self._key])
        except ProofError as error:
            raise ConfigError(
                f"log key of {self.origin}",
                f"expected a signature of {format_verifier_key(self._key)}, got another",
            ) from error
        return Published(checkpoint, format_note(note), at_ms)

    @contextmanager
    def _unfinished(self) -> Iterator[None]:
        """Say that memory may be ahead of the disk: what fails or is cancelled in here ends publishing."""
        self._is_broken = True
        yield
        self._is_broken = False

    async def _on_disk(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise JournalError(
                f"{self.directory}: expected the disk to serve the log, got: {error}"
            ) from error


def _released_size(connection: sqlite3.Connection) -> int:
    (size,) = connection.execute(
        "SELECT coalesce((SELECT min(log_index) FROM held_entry),"
        " (SELECT max(log_index) + 1 FROM log_entry), 0)"
    ).fetchone()
    assert isinstance(size, int)
    return size


def _entries(connection: sqlite3.Connection, first: int, last: int) -> tuple[bytes, ...]:
    rows = connection.execute(
        "SELECT bytes FROM log_entry JOIN envelope USING (number) WHERE log_entry.log_index >= ?"
        " AND log_entry.log_index < ? ORDER BY log_entry.log_index",
        (first, last),
    ).fetchall()
    if len(rows) != last - first:
        raise JournalError(f"expected log entries {first} to {last - 1} in the journal, got {len(rows)}")
    return tuple(entry for (entry,) in rows)


def _index_of(connection: sqlite3.Connection, digest: EnvelopeDigest) -> int | None:
    row = connection.execute("SELECT log_index FROM envelope WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else row[0]


def _indices_of(connection: sqlite3.Connection, digests: Sequence[EnvelopeDigest]) -> list[int | None]:
    return [_index_of(connection, digest) for digest in digests]
