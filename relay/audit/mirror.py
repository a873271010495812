"""Copying a whole log into a folder, every hash checked before it is kept (SPEC 2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from proofs.checkpoint import SignedCheckpoint, open_checkpoint
from proofs.errors import ProofError
from proofs.logreading import EntryBundle, LogError, LogReader, open_log
from proofs.note import format_verifier_key
from proofs.policy import Policy, open_checkpoint_under
from proofs.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileError,
    encode_entries,
    tile_path,
    tiles_of,
)
from relay.audit.evidence import Noted, keep_evidence
from relay.audit.mirrorfolder import LOCK, Kept, MirrorFolder, sync_file
from relay.audit.reading import contradiction, files_of
from relay.audit.sources import CHECKPOINT, Source, closed_on_failure, read_checkpoint
from relay.core.errors import ConfigError, TocsinError
from relay.disk import lock_file, make_directory

__all__ = ["MAX_ENTRIES", "MirrorError", "MirrorTerms", "MirrorTooLarge", "Mirrored", "mirror"]

MAX_ENTRIES = 100_000_000
"""A log that claims more is not begun without being asked for: its key's holder decides how much it is."""
_WORKERS = 8
_AHEAD = 4 * _WORKERS
_MAX_MENDED = 100
Told = Callable[[int, int], None]
"""Told entries checked so far, and of how many."""


def _tell_nobody(_done: int, _of: int) -> None:
    """Nobody watches."""


class MirrorError(ProofError):
    """The folder and the source contradict each other: `fork`, `rollback` or `inconsistent`.

    The fact `evidence` has the files in which both checkpoints are kept.
    """


class MirrorTooLarge(TocsinError):
    """The log has more entries than are wanted."""


@dataclass(frozen=True, slots=True)
class MirrorTerms:
    """What counts and how much is wanted; `only_new` leaves unread what an earlier run has checked."""

    policy: Policy
    now_s: int
    max_entries: int = MAX_ENTRIES
    only_new: bool = False


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What was done: `before` is the size that the folder had, None for a new one.

    `mended` are files that were there and not what they had to be, the first hundred of them.
    """

    signed: SignedCheckpoint
    before: int | None
    files_written: int
    bytes_written: int
    entries_written: int
    entries_there: int
    mended: tuple[str, ...]


def mirror(
    source: Source, folder: Path, terms: MirrorTerms, told: Told = lambda _done, _of: None
) -> Mirrored:
    """Bring `folder` up to the source's checkpoint; what is there and right is not asked for again.

    Stopped anywhere, it goes on with the next call. If it fails, `source` is closed.

    Raises:
        ConfigError: the folder is no mirror, of another log, or another process works on it.
        MirrorError: `fork`, `rollback`, `inconsistent`; nothing in the folder but the evidence is new.
        ProofError: the checkpoint does not stand under the policy, or what comes is not of its tree.
        SourceError: the source does not give what is needed.
        MirrorTooLarge: more than `max_entries`.
        OSError: the disk refuses.
    """
    note = read_checkpoint(source)
    signed = open_checkpoint_under(note, terms.policy, now_s=terms.now_s)
    size = signed.checkpoint.size
    if size > terms.max_entries:
        raise MirrorTooLarge(f"{source.name}: expected at most {terms.max_entries} entries, got {size}")
    make_directory(folder)
    with lock_file(folder / LOCK):
        place = MirrorFolder(folder)
        place.prepare()
        log = open_log(signed.checkpoint, files_of(source))
        before = _before(place, signed, terms.policy)
        if before is not None:
            _check_follows(log, before, Noted(note, signed), folder)
        old = None if before is None else before.signed.checkpoint.size
        checked = old if old is not None and terms.only_new else 0
        with ThreadPoolExecutor(_WORKERS, "mirror") as pool, closed_on_failure(source):
            copying = _Copying(log, source, place, pool)
            copying.run(checked // TILE_WIDTH, told)
            for _ in pool.map(sync_file, place.fresh()):
                pass
            place.settle(note)
        place.drop_overtaken(size, old or 0)
        return copying.report(signed, old)


class _Copying:
    """One run over a log, from the top of its tree down; the pool fetches ahead, this thread checks."""

    def __init__(self, log: LogReader, source: Source, place: MirrorFolder, pool: ThreadPoolExecutor) -> None:
        self._log = log
        self._size = log.checkpoint.size
        self._read = files_of(source)
        self._place = place
        self._pool = pool
        self._files = self._bytes = self._entries = self._there = 0
        self._mended: list[str] = []

    def run(self, first: int, told: Told) -> None:
        """Bring tiles and bundles into the folder, from bundle number `first` on."""
        for newest in reversed(tiles_of(self._size)):
            if newest.level > 0:
                self._copy_level(newest, first >> newest.level * TILE_HEIGHT)
        told(min(self._size, first * TILE_WIDTH), self._size)
        for number, came in self._fetched(first):
            bundle = self._checked(number, came)
            self._keep(Tile(ENTRIES, number, len(bundle.entries)), encode_entries(bundle.entries))
            self._keep(Tile(0, number, len(bundle.entries)), bundle.leaves)
            told(bundle.first + len(bundle.entries), self._size)

    def report(self, signed: SignedCheckpoint, before: int | None) -> Mirrored:
        """Give what was done."""
        return Mirrored(
            signed, before, self._files, self._bytes, self._entries, self._there, tuple(self._mended)
        )

    def _copy_level(self, newest: Tile, first: int) -> None:
        for index in range(first, newest.index + 1):
            tile = self._log.tile_of(newest.level, index)
            content = self._there_already(tile)
            self._keep(tile, self._log.tile(newest.level, index) if content is None else content)

    def _there_already(self, tile: Tile) -> bytes | None:
        """Give what the folder has of a full tile, if that is right."""
        content = self._place.content(tile) if tile.width == TILE_WIDTH else None
        if content is None:
            return None
        try:
            return self._log.accept_tile(tile, content)
        except TileError:
            return None

    def _fetched(self, first: int) -> Iterator[tuple[int, _Came]]:
        """Give bundles in order, unchecked, a few on their way; lazily: the size is the log's own word."""
        waiting: deque[tuple[int, Future[_Came]]] = deque()
        number, end = first, -(-self._size // TILE_WIDTH)
        try:
            while number < end or waiting:
                while number < end and len(waiting) < _AHEAD:
                    tile = self._log.tile_of(ENTRIES, number)
                    waiting.append((number, self._pool.submit(self._fetch, tile)))
                    number += 1
                ready, future = waiting.popleft()
                yield ready, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

    def _fetch(self, bundle: Tile) -> _Came:
        content = self._place.content(bundle)
        if content is not None:
            return _Came(content, is_ours=True)
        try:
            return _Came(self._read(tile_path(bundle)), is_ours=False)
        except LogError:
            return _Came(None, is_ours=False)

    def _checked(self, number: int, came: _Came) -> EntryBundle:
        if came.content is not None:
            try:
                return self._log.accept_bundle(number, came.content)
            except TileError:
                if not came.is_ours:
                    raise
        return self._log.bundle(number)  # asks the source, for the full one too where the partial one is gone

    def _keep(self, tile: Tile, content: bytes) -> None:
        kept, count = self._place.keep(tile, content), tile.width if tile.level == ENTRIES else 0
        if kept is Kept.THERE:
            self._there += count
            return
        self._files += 1
        self._bytes += len(content)
        self._entries += count
        if kept is Kept.MENDED and len(self._mended) < _MAX_MENDED:
            self._mended.append(tile_path(tile))


@dataclass(frozen=True, slots=True)
class _Came:
    """What came for a bundle: from the folder or the source; None, the source has it not in this width."""

    content: bytes | None
    is_ours: bool


def _before(place: MirrorFolder, signed: SignedCheckpoint, policy: Policy) -> Noted | None:
    """Give the checkpoint that stands in the folder, which must be of the same log."""
    note = place.note()
    if note is None:
        return None
    where = str(place.path / CHECKPOINT)
    try:
        before = Noted(note, open_checkpoint(note, policy.logs, tuple(policy.witnesses.values())))
    except ProofError as error:
        raise ConfigError(where, f"expected a checkpoint of a log of the policy, got: {error}") from error
    if before.signed.log != signed.log:
        ours, theirs = format_verifier_key(before.signed.log), format_verifier_key(signed.log)
        raise ConfigError(
            where, f"expected a mirror of {theirs}, got one of {ours}", remedy="give each log its own folder"
        )
    return before


def _check_follows(log: LogReader, before: Noted, now: Noted, folder: Path) -> None:
    """Refuse a source that contradicts the folder, by a proof from the source's tiles."""
    found = contradiction(log, before.signed.checkpoint)
    if found is not None:
        name, problem = found
        raise MirrorError(name, problem, evidence=keep_evidence(folder, [before, now]))
