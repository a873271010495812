"""The folder of a mirror: at any time a log that verifies under its checkpoint (SPEC 2).

Files appear whole, by renaming. Tiles come before the checkpoint that speaks of them, and what an older
checkpoint needs goes after the newer one stands.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from enum import Enum
from pathlib import Path

from proofs.tiles import ENTRIES, TILE_WIDTH, Tile, tile_path, tiles_of
from relay.audit.evidence import EVIDENCE
from relay.audit.sources import CHECKPOINT, MAX_NOTE_FILE_BYTES, tile_limit
from relay.core.errors import ConfigError
from relay.disk import replace_file, sync_directory

__all__ = ["LOCK", "Kept", "MirrorFolder", "sync_file"]

LOCK = ".lock"
_MAKING = ".making"
_NAMES = frozenset({CHECKPOINT, "tile", EVIDENCE, LOCK})


class Kept(Enum):
    """What became of a file that is to be in the folder."""

    THERE = "there"
    NEW = "new"
    MENDED = "mended"
    """Something else stood under its name."""


class MirrorFolder:
    """One mirror's folder, which this process alone writes to; several threads may keep tiles at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._fresh: set[Path] = set()
        self._made: set[Path] = set()

    def prepare(self) -> None:
        """Remove what a crash left half made.

        Raises:
            ConfigError: the folder is something else than a mirror.
            OSError: the disk refuses.
        """
        odd = sorted({each.name for each in self.path.iterdir()} - _NAMES)
        odd = [name for name in odd if not name.startswith(f".{CHECKPOINT}.")]
        if odd:
            raise ConfigError(
                str(self.path),
                f"expected an empty folder or a mirror, got one with {odd[0]!r} in it",
                remedy="give the mirror a folder of its own",
            )
        for left in (*self.path.rglob(f"*{_MAKING}"), *self.path.glob(f".{CHECKPOINT}.*")):
            left.unlink()

    def note(self) -> str | None:
        """Give the checkpoint's note that stands here, unverified; None before the first.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with (self.path / CHECKPOINT).open("rb") as file:
                return file.read(MAX_NOTE_FILE_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return None

    def content(self, tile: Tile) -> bytes | None:
        """Give what is there under a tile's name, unchecked; None if nothing is, or too much.

        Raises:
            OSError: it cannot be read.
        """
        path = self.path / tile_path(tile)
        try:
            return path.read_bytes() if path.stat().st_size <= tile_limit(tile) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def keep(self, tile: Tile, content: bytes) -> Kept:
        """Write a tile or bundle, unless exactly that is there.

        Raises:
            OSError: the disk refuses.
        """
        path = self.path / tile_path(tile)
        kept = _held(path, content)
        if kept is not Kept.THERE:
            self._place(path, content)
        if tile.width == TILE_WIDTH:
            # The narrower forms are cut out of it from now on (C2SP tlog-tiles).
            with suppress(FileNotFoundError):
                shutil.rmtree(path.with_name(f"{path.name}.p"))
        return kept

    def fresh(self) -> tuple[Path, ...]:
        """Give the files that are perhaps not yet on disk.

        They are brought there late and all at once, so that one commit of the file system serves many.
        """
        return tuple(self._fresh)

    def settle(self, note: str) -> None:
        """Put the checkpoint in place, after everything it speaks of.

        Raises:
            OSError: the disk refuses.
        """
        # DURABLE: the content of all tiles is on disk (`fresh`, `sync_file`), now their names, then the note.
        ours = {parent for path in self._fresh for parent in path.parents if self._is_ours(parent)}
        for directory in ours:
            sync_directory(directory)
        replace_file(self.path / CHECKPOINT, note.encode())

    def drop_overtaken(self, *sizes: int) -> None:
        """Remove partial tiles at the log's end that are of none of these sizes, the newest first.

        That of the checkpoint before stays: somebody may be reading it.

        Raises:
            OSError: the disk refuses.
        """
        wanted = {tile for size in sizes for tile in _edges(size)}
        for tile in _edges(sizes[0]):
            beside = (self.path / tile_path(tile)).parent
            for path in beside.iterdir():
                width = int(path.name) if path.name.isdecimal() else 0
                if width and Tile(tile.level, tile.index, width) not in wanted:
                    path.unlink()

    def _place(self, path: Path, content: bytes) -> None:
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        making = path.with_name(f"{path.name}{_MAKING}")
        making.write_bytes(content)
        making.replace(path)
        self._fresh.add(path)

    def _is_ours(self, directory: Path) -> bool:
        return directory == self.path or directory.is_relative_to(self.path)


def sync_file(path: Path) -> None:
    """Bring one file's content to the disk; one that was replaced by a fuller form since needs nothing.

    Raises:
        OSError: the disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _edges(size: int) -> list[Tile]:
    """Give the partial tiles of a log of this size, its last bundle too."""
    hashes = [tile for tile in tiles_of(size) if tile.width < TILE_WIDTH]
    return [*hashes, *(Tile(ENTRIES, tile.index, tile.width) for tile in hashes if tile.level == 0)]


def _held(path: Path, content: bytes) -> Kept:
    try:
        return Kept.THERE if path.read_bytes() == content else Kept.MENDED
    except (FileNotFoundError, NotADirectoryError):
        return Kept.NEW
