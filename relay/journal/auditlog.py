"""The node's audit log: a C2SP transparency log over the envelopes in the journal (proofs/SPEC.md 4 to 7).

A checkpoint comes in two steps: signed it is *pending*, and published once witnesses stand behind it
(relay/witness/SPEC.md 2).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Self, TypeVar

from proofs.checkpoint import Checkpoint, checkpoint_text, parse_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import (
    KeyKind,
    Note,
    NoteSignature,
    VerifierKey,
    format_note,
    format_verifier_key,
    note_signature,
    parse_note,
    verifier_key,
    verify_note,
)
from proofs.tiles import TILE_WIDTH, tile_node_reader
from proofs.tlogproof import TlogProof, format_tlog_proof
from proofs.tree import (
    CompactRange,
    NodeReader,
    consistency_proof,
    inclusion_proof,
    range_from_bytes,
    range_to_bytes,
    root_at,
)
from proofs.witness import add_cosignatures
from relay.core.errors import ConfigError, JournalError
from relay.core.types import EnvelopeDigest
from relay.disk import Durable, Probe, make_directory, no_probe, replace_file
from relay.journal.rows import entries_between, index_of, indices_of, put_held_last, released
from relay.journal.store import Journal, write_meta
from relay.journal.tilewriter import TileWriter, read_tile

__all__ = ["AuditLog", "LogCheckpoint", "Signer"]

T = TypeVar("T")
Signer = Callable[[bytes], Awaitable[bytes]]
"""Gives the Ed25519 signature (64 bytes) of the log key over a checkpoint body."""

_SIGNED = "log/signed"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class LogCheckpoint:
    """A checkpoint that this log signed, pending or published; `note` has its signature and cosignatures."""

    checkpoint: Checkpoint
    note: str


class AuditLog:
    """One log: entries enter with their event (`Journal.append`), and come out once they are releasable.

    What is signed are all entries that are releasable, in the order in which they entered; one that is
    released later stands behind them, so that it holds back nothing that came after it. Nothing is signed
    that is not on disk, and never a smaller or another tree than before: the last one is in the journal
    before its signature exists. What is published is a checkpoint of the same history, perhaps an older one,
    and never a smaller one than before.
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
        self._pending: LogCheckpoint | None = None
        self._published: LogCheckpoint | None = None
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
    def key(self) -> VerifierKey:
        """The key under which this log's checkpoints are signed; its name is the origin."""
        return self._key

    @property
    def vkey(self) -> str:
        """The log's verifier key, as auditors pin it (C2SP signed-note)."""
        return format_verifier_key(self._key)

    @property
    def size(self) -> int:
        """Entries on disk, published or not."""
        return self._journal.log_size

    @property
    def signed_size(self) -> int:
        """Entries of the largest tree that was ever signed, or recorded to be."""
        return self._signed.size

    @property
    def published(self) -> LogCheckpoint | None:
        """The newest published checkpoint, also that of an earlier run; None before the first."""
        return self._published

    async def released_size(self) -> int:
        """Give how many entries are releasable."""
        return (await self._durable.read(released))[0]

    async def release(self, digests: Iterable[EnvelopeDigest]) -> None:
        """Make entries releasable, for good; those that are, or are no entries, change nothing."""
        rows = [(digest,) for digest in digests]
        statement = (
            "DELETE FROM held_entry WHERE log_index = (SELECT log_index FROM envelope WHERE digest = ?)"
        )

        def mark(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self._durable.write(mark)

    async def sign(self, sign: Signer) -> LogCheckpoint:
        """Write what became releasable as tiles, record the tree, and sign the checkpoint over it.

        It is pending: nobody is shown it here. Without new entries it is the checkpoint of before.

        Raises:
            ConfigError: `sign` signs with another key.
            JournalError: the disk refuses; nothing further is signed or published.
        """
        async with self._turn:
            self._require_intact()
            size, first_held = await self._durable.read(released)
            if size != self._signed.size:
                with self._unfinished():
                    if first_held < size:
                        await self._durable.write(put_held_last)
                    await self._write_tiles(size)
                    await self._record(self._writer.range)
            return await self._sign(sign)

    async def sign_recorded(self, sign: Signer) -> LogCheckpoint:
        """Sign the tree that was recorded last, whatever became releasable since.

        With it a process begins: where witnesses hold a larger one of ours, this disk is an older copy, and
        nothing new may be signed (relay/witness/SPEC.md 2).

        Raises:
            ConfigError, JournalError: as `sign`.
        """
        async with self._turn:
            self._require_intact()
            return await self._sign(sign)

    async def publish(
        self, checkpoint: Checkpoint, cosignatures: Sequence[NoteSignature], sign: Signer
    ) -> LogCheckpoint:
        """Put a checkpoint of ours in place, with the cosignatures that stand behind it, as published.

        Those of the same checkpoint that stand there already stay. Where a larger one is published by now,
        nothing changes. That the cosignatures are right and enough is for the caller to know.

        Raises:
            AssertionError: it is no checkpoint of this log's history.
            JournalError: the disk refuses; nothing further is signed or published.
        """
        async with self._turn:
            self._require_intact()
            size, newest = checkpoint.size, self._published
            assert size <= self._signed.size, "nothing is published that was not signed"
            assert checkpoint == Checkpoint(self.origin, size, await self.root(size)), "another history"
            if newest is not None and newest.checkpoint.size > size:
                return newest
            is_new = newest is None or newest.checkpoint != checkpoint
            base = await self._note(checkpoint, sign) if newest is None or is_new else newest
            published = LogCheckpoint(checkpoint, add_cosignatures(base.note, cosignatures))
            if published == newest:
                return newest
            with self._unfinished():
                path, content = self.directory / _CHECKPOINT, published.note.encode()
                await self._on_disk(partial(replace_file, path, content, probe=self._probe))
            self._published = published
            return published

    async def root(self, size: int) -> Digest:
        """Give the root that the tree had at `size` entries.

        Raises:
            KeyError: it was never so large.
        """
        if not 0 <= size <= self._signed.size:
            raise KeyError(size)
        if size == self._signed.size:
            return self._signed.root()
        return await self._on_disk(partial(root_at, size, self._reader(self._signed.size)))

    async def consistency_proof(self, first: int, second: int) -> tuple[Digest, ...]:
        """Give the proof that our tree of `first` entries starts that of `second` (`proofs/SPEC.md` 4).

        Raises:
            KeyError: it was never so large, or `first` is larger than `second`.
        """
        if not 0 <= first <= second <= self._signed.size:
            raise KeyError((first, second))
        return await self._on_disk(partial(consistency_proof, first, second, self._reader(second)))

    async def inclusion_proof(self, digest: EnvelopeDigest, size: int) -> tuple[int, tuple[Digest, ...]]:
        """Give the index of an entry, and its path in the tree of `size` entries, leaf side first.

        Raises:
            KeyError: `digest` is no entry, or not among the first `size` signed ones.
        """
        index = await self._durable.read(partial(index_of, digest=digest))
        if index is None or not index < size <= self._signed.size:
            raise KeyError(digest)
        return index, await self._on_disk(partial(inclusion_proof, index, size, self._reader(size)))

    async def covers(self, digests: Iterable[EnvelopeDigest], size: int) -> bool:
        """Tell whether all of these are among the first `size` entries."""
        indices = await self._durable.read(partial(indices_of, digests=tuple(digests)))
        return all(index is not None and index < size for index in indices)

    async def tlog_proof(self, digest: EnvelopeDigest) -> str:
        """Give the `.tlog-proof` of an entry under the newest published checkpoint, cosignatures and all.

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
        served = await asyncio.to_thread(self._read_directory)
        self._writer = TileWriter(self.directory, probe=self._probe)
        if not await self._on_disk(partial(self._writer.resume, self._signed)):
            await self._write_tiles(self._signed.size)
            if self._writer.range != self._signed:
                raise JournalError(
                    f"{self._durable.path}: expected entries under root {self._signed.root().hex()},"
                    f" got {self._writer.range.root().hex()}"
                )
        if served is not None:
            await self._take_up(served)

    async def _take_up(self, served: LogCheckpoint) -> None:
        """Go on from what was published; refuse what is no part of the journal's history."""
        size, path = served.checkpoint.size, self.directory / _CHECKPOINT
        if size > self._signed.size:
            raise ConfigError(
                str(path),
                f"expected at most the {self._signed.size} entries of the journal, got {size}",
                remedy="the journal is an older copy than the log: repair it before this node speaks again",
            )
        root = await self.root(size)
        if served.checkpoint.root != root:
            raise ConfigError(
                str(path),
                f"expected root {root.hex()} at size {size}, got {served.checkpoint.root.hex()}",
                remedy="the journal is not that of this log: repair it before this node speaks again",
            )
        self._published = served

    def _read_directory(self) -> LogCheckpoint | None:
        """Read what is published; refuse a directory of another log."""
        path = self.directory / _CHECKPOINT
        try:
            raw = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), f"expected a checkpoint, got: {error}") from error
        try:
            note = parse_note(raw)
            verify_note(note, [self._key])
            return LogCheckpoint(parse_checkpoint(note.text), raw)
        except ProofError as error:
            raise ConfigError(
                str(path),
                f"expected a checkpoint of {self.origin}, got: {error}",
                remedy="give the log a new home",
            ) from error

    def _require_intact(self) -> None:
        if self._is_broken:
            raise JournalError(f"{self.directory}: expected an intact log, got one whose last write failed")

    def _reader(self, size: int) -> NodeReader:
        # For one proof: most of its nodes stand in the same few tiles.
        return tile_node_reader(size, lru_cache(maxsize=16)(partial(read_tile, self.directory)))

    async def _write_tiles(self, size: int) -> None:
        while self._writer.range.size < size:
            first = self._writer.range.size // TILE_WIDTH * TILE_WIDTH
            entries = await self._durable.read(
                partial(entries_between, first=first, last=min(first + TILE_WIDTH, size))
            )
            await self._on_disk(partial(self._writer.extend, entries))
        await self._on_disk(self._writer.finish)

    async def _record(self, signed: CompactRange) -> None:
        # DURABLE: what is about to be signed is known before; a smaller tree is never signed again.
        if signed != self._signed:
            assert signed.size > self._signed.size, "released entries stay released"
            await self._durable.write(partial(write_meta, key=_SIGNED, value=range_to_bytes(signed)))
            self._signed = signed

    async def _sign(self, sign: Signer) -> LogCheckpoint:
        checkpoint = Checkpoint(self.origin, self._signed.size, self._signed.root())
        if self._pending is None or self._pending.checkpoint != checkpoint:
            self._pending = await self._note(checkpoint, sign)
        return self._pending

    async def _note(self, checkpoint: Checkpoint, sign: Signer) -> LogCheckpoint:
        text = checkpoint_text(checkpoint)
        # Ed25519 is deterministic: the same checkpoint has the same signature whenever it is asked for.
        note = Note(text, (note_signature(self._key, await sign(text.encode())),))
        try:
            verify_note(note, [self._key])
        except ProofError as error:
            raise ConfigError(
                f"log key of {self.origin}",
                f"expected a signature of {format_verifier_key(self._key)}, got another",
            ) from error
        return LogCheckpoint(checkpoint, format_note(note))

    @contextmanager
    def _unfinished(self) -> Iterator[None]:
        """Say that memory may be ahead of the disk: what fails or is cancelled in here ends publishing."""
        self._is_broken = True
        yield
        self._is_broken = False

    async def _on_disk(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (OSError, ProofError) as error:
            # A damaged tile is made again from the journal at the next start.
            raise JournalError(
                f"{self.directory}: expected the disk to serve the log, got: {error}"
            ) from error
