"""Reading a log that nobody needs to trust: files by path, believed under a checkpoint (`proofs/SPEC.md` 14).

Whether the checkpoint is signed is for the caller to check. Before anything of them is given, hash tiles are
held against the one above, the rightmost ones against the root, and bundles of entries against their hashes.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from proofs.checkpoint import Checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileError,
    decode_entries,
    tile_path,
    tiles_of,
)
from proofs.tree import (
    HASH_BYTES,
    TreeError,
    consistency_proof,
    fold_nodes,
    inclusion_proof,
    leaf_digest,
    root_at,
    verify_consistency,
)

__all__ = ["CACHED_TILES", "EntryBundle", "LogError", "LogReader", "ReadFile", "missing_file", "open_log"]

CACHED_TILES: Final = 256
"""Full hash tiles kept by one reader: 2 MiB. A walk needs two at a time."""

ReadFile = Callable[[str], bytes]
"""Gives the file at a path of `tile_path`; raises `missing_file` if the source has none.

What else it raises (silence, a broken disk) goes through the reader unchanged.
"""


class LogError(ProofError):
    """`log-missing` (the source has no such file), `log-root` (the edge is not that of the checkpoint)."""


def missing_file(path: str) -> LogError:
    """Give the error that a source raises for a file that it does not have."""
    return LogError("log-missing", f"expected a file {path}, got none", path=path)


@dataclass(frozen=True, slots=True)
class EntryBundle:
    """Entries from number `first` on; `leaves` is the content of the level-0 hash tile that they make."""

    first: int
    entries: tuple[bytes, ...]
    leaves: bytes


def open_log(checkpoint: Checkpoint, read: ReadFile) -> "LogReader":
    """Read the edge of a log (one tile a level at most) and check that it has the root of `checkpoint`.

    Raises:
        LogError: `log-missing`, `log-root`.
        TileError: `tile-content`, a tile has another length.
    """
    size = checkpoint.size
    edge = {tile.level: _fetch(read, tile) for tile in tiles_of(size) if tile.width < TILE_WIDTH}
    reader = LogReader(checkpoint, read, edge, OrderedDict())
    # The root is made of all hashes of all partial tiles, and of nothing else.
    root = reader.root(size)
    if root != checkpoint.root:
        raise LogError(
            "log-root", f"expected root {checkpoint.root.hex()} at size {size}, got {root.hex()} of the tiles"
        )
    return reader


class LogReader:
    """A log at one checkpoint. Not for several threads at once; `accept_…` take what others have fetched.

    Each method that reads raises `LogError` (`log-missing`), `TileError` (`tile-content`: what came is not
    what was signed) and, for a place outside the log, `TreeError` (`tree-range`).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        read: ReadFile,
        edge: Mapping[int, bytes],
        full: OrderedDict[tuple[int, int], bytes],
    ) -> None:
        self.checkpoint = checkpoint
        self.edge = edge
        """The partial tiles, checked, by level."""
        self._read = read
        self._full = full

    def advanced(self, checkpoint: Checkpoint) -> "LogReader":
        """Give the reader of a later checkpoint of this log, with the tiles that were checked.

        Raises:
            TreeError: `tree-consistency`, the log at `checkpoint` does not begin with this one.
        """
        # It has a cache of its own until the two are known to be one history.
        later = open_log(checkpoint, self._read)
        later.check_start(self.checkpoint)
        return LogReader(checkpoint, self._read, later.edge, self._full)

    def check_start(self, earlier: Checkpoint) -> None:
        """Check that this log begins with that of an `earlier` checkpoint.

        Raises:
            TreeError: `tree-consistency`, another history, or a larger size.
        """
        old, new = (earlier.size, earlier.root), (self.checkpoint.size, self.checkpoint.root)
        path = self.consistency(earlier.size) if earlier.size <= self.checkpoint.size else ()
        verify_consistency(old, new, path)

    def tile_of(self, level: int, index: int) -> Tile:
        """Give the tile (or bundle, level `ENTRIES`) `index`, as wide as the checkpoint makes it."""
        count = self.checkpoint.size >> max(level, 0) * TILE_HEIGHT
        width = min(TILE_WIDTH, count - index * TILE_WIDTH)
        if index < 0 or width <= 0:
            raise TreeError("tree-range", f"expected a tile of {count} hashes, got number {index}")
        return Tile(level, index, width)

    def tile(self, level: int, index: int) -> bytes:
        """Give the content of a hash tile."""
        tile = self.tile_of(level, index)
        if tile.width < TILE_WIDTH:
            return self.edge[level]
        known = self._full.get((level, index))
        if known is None:
            return self.accept_tile(tile, _fetch(self._read, tile))
        self._full.move_to_end((level, index))
        return known

    def accept_tile(self, tile: Tile, content: bytes) -> bytes:
        """Check the content of a full hash tile that came from anywhere, keep it and give it."""
        expected = self._over(tile.level, tile.index)
        _check_hashes(tile, content)
        if fold_nodes(content) != expected:
            raise TileError(
                "tile-content", f"{tile_path(tile)}: expected hashes under {expected.hex()}, got others"
            )
        self._full[tile.level, tile.index] = content
        if len(self._full) > CACHED_TILES:
            self._full.popitem(last=False)
        return content

    def node(self, level: int, index: int) -> Digest:
        """Give the hash of a complete subtree: a `NodeReader` that proofs are made from."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        number, place = divmod(index << height, TILE_WIDTH)
        content = self.tile(tile_level, number)
        return fold_nodes(content[place * HASH_BYTES : (place + (1 << height)) * HASH_BYTES])

    def bundle(self, number: int) -> EntryBundle:
        """Give the entries from `256 · number` on, 256 or as many as the checkpoint has."""
        tile = self.tile_of(ENTRIES, number)
        try:
            content = self._read(tile_path(tile))
        except LogError:
            if tile.width == TILE_WIDTH:
                raise
            whole = decode_entries(self._read(tile_path(Tile(ENTRIES, number))), TILE_WIDTH)
            return self._checked(tile, whole[: tile.width])
        return self.accept_bundle(number, content)

    def accept_bundle(self, number: int, content: bytes) -> EntryBundle:
        """Check the content of a bundle, as wide as the checkpoint makes it, that came from anywhere."""
        tile = self.tile_of(ENTRIES, number)
        try:
            entries = decode_entries(content, tile.width)
        except TileError as error:
            raise TileError(error.check, f"{tile_path(tile)}: {error.message}") from error
        return self._checked(tile, entries)

    def walk(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Give the entries from `start` to before `stop` with their numbers, a bundle at a time."""
        for number in range(start // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            bundle = self.bundle(number)
            for index, entry in enumerate(bundle.entries, start=bundle.first):
                if start <= index < stop:
                    yield index, entry

    def root(self, size: int) -> Digest:
        """Give the root that this log had at `size`."""
        if not 0 <= size <= self.checkpoint.size:
            raise TreeError("tree-range", f"expected a size up to {self.checkpoint.size}, got {size}")
        return root_at(size, self.node)

    def inclusion(self, index: int) -> tuple[Digest, ...]:
        """Give the proof that entry `index` is in this log, leaf side first."""
        return inclusion_proof(index, self.checkpoint.size, self.node)

    def consistency(self, size: int) -> tuple[Digest, ...]:
        """Give the proof that this log begins with what it was at `size`."""
        return consistency_proof(size, self.checkpoint.size, self.node)

    def _checked(self, tile: Tile, entries: tuple[bytes, ...]) -> EntryBundle:
        leaves = b"".join([leaf_digest(entry) for entry in entries])
        # A full bundle needs no level-0 tile: its leaves fold to the hash that level 1 has.
        is_right = (
            fold_nodes(leaves) == self._over(0, tile.index)
            if tile.width == TILE_WIDTH
            else leaves == self.edge[0]
        )
        if not is_right:
            raise TileError("tile-content", f"{tile_path(tile)}: expected the entries of the log, got others")
        return EntryBundle(tile.index * TILE_WIDTH, entries, leaves)

    def _over(self, level: int, index: int) -> Digest:
        """Give the hash over the full tile `index`, out of the tile above it."""
        number, place = divmod(index, TILE_WIDTH)
        return Digest(self.tile(level + 1, number)[place * HASH_BYTES : (place + 1) * HASH_BYTES])


def _fetch(read: ReadFile, tile: Tile) -> bytes:
    try:
        content = read(tile_path(tile))
    except LogError:
        if tile.width == TILE_WIDTH:
            raise
        full = Tile(tile.level, tile.index)
        content = _check_hashes(full, read(tile_path(full)))[: tile.width * HASH_BYTES]
    return _check_hashes(tile, content)


def _check_hashes(tile: Tile, content: bytes) -> bytes:
    if len(content) != tile.width * HASH_BYTES:
        raise TileError(
            "tile-content", f"{tile_path(tile)}: expected {tile.width} hashes, got {len(content)} bytes"
        )
    return content
