"""A log out of a source, under a checkpoint: no hash and no entry leaves unchecked (`proofs/SPEC.md` 14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    tile_node_reader,
    tile_path,
    tiles_of,
)
from proofs.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    consistency_proof,
    leaf_digest,
    node_digest,
    root_at,
    verify_consistency,
)
from relay.audit.sources import Source, read_tile

__all__ = ["LogError", "LogReading", "bundle_tile", "bundles_of", "checked_bundle", "checked_tile"]

_KEPT_TILES = 1_024
"""Checked hash tiles in memory, 8 MiB; the ones first read go first."""


class LogError(ProofError):
    """`log-root`: the newest tiles of a log do not give the root of its checkpoint."""


class LogReading:
    """One log as `checkpoint` has it, whose signature the caller has checked, read from `source`.

    Everything that leaves was held against the checkpoint's root. What one call costs does not depend on the
    size that the checkpoint claims, but for what is asked for. One thread at a time.
    """

    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        self.source = source
        self.checkpoint = checkpoint
        self._edges: dict[int, bytes] | None = None
        self._full: dict[Tile, bytes] = {}

    @property
    def size(self) -> int:
        return self.checkpoint.size

    def edges(self) -> tuple[Tile, ...]:
        """Give the newest tiles of the log that are not full; all together they give the root.

        Raises:
            SourceError, TileError: one is not there, or has another length.
            LogError: `log-root`.
        """
        return tuple(tile for tile in tiles_of(self.size) if tile.level in self._read_edges())

    def hashes(self, tile: Tile) -> bytes:
        """Give the content of a hash tile of this log, as wide as the size makes it.

        Raises:
            SourceError: it, or one above it, does not come.
            TileError, LogError: what comes is not of this log.
        """
        edges = self._read_edges()
        if tile.width < TILE_WIDTH:
            return edges[tile.level][: tile.width * HASH_BYTES]
        kept = self._full.get(tile)
        if kept is not None:
            return kept
        content = checked_tile(self.source, tile, self.expected(tile))
        while len(self._full) >= _KEPT_TILES:
            del self._full[next(iter(self._full))]
        self._full[tile] = content
        return content

    def expected(self, tile: Tile) -> Digest:
        """Give the hash that a full tile has in the tile above it; errors as `hashes`."""
        above, place = divmod(tile.index, TILE_WIDTH)
        width = min(TILE_WIDTH, (self.size >> (tile.level + 1) * TILE_HEIGHT) - above * TILE_WIDTH)
        content = self.hashes(Tile(tile.level + 1, above, width))
        return Digest(content[place * HASH_BYTES : (place + 1) * HASH_BYTES])

    def node(self, level: int, index: int) -> Digest:
        """Give the hash of a complete subtree, as `proofs.tree.NodeReader` says; errors as `hashes`."""
        return tile_node_reader(self.size, self.hashes)(level, index)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Give entries `first` to `last` (not included; the end if None) with their numbers, as they come.

        Raises:
            SourceError, TileError, LogError: as `hashes`, about bundles too.
        """
        end = self.size if last is None else min(last, self.size)
        for number in range(first // TILE_WIDTH, -(-end // TILE_WIDTH)):
            bundle = bundle_tile(number, self.size)
            leaves = self.hashes(Tile(0, number, bundle.width))
            for at, entry in enumerate(checked_bundle(self.source, bundle, leaves), number * TILE_WIDTH):
                if first <= at < end:
                    yield at, entry

    def check_follows(self, older: Checkpoint) -> None:
        """Check that the log of `older` is the beginning of this one, by a proof from this log's tiles.

        Raises:
            TreeError: `tree-consistency`: it is another history.
            SourceError, TileError, LogError: as `hashes`: no proof could be made.
        """
        proof: Sequence[Digest] = ()
        if 0 < older.size < self.size:
            proof = consistency_proof(older.size, self.size, self.node)
        verify_consistency((older.size, older.root), (self.size, self.checkpoint.root), proof)

    def _read_edges(self) -> dict[int, bytes]:
        if self._edges is None:
            edges: dict[int, bytes] = {}
            for tile in tiles_of(self.size):
                if tile.width < TILE_WIDTH:
                    edges[tile.level] = _hashes_of(tile, *read_tile(self.source, tile))
            self._check_root(edges)
            self._edges = edges
        return self._edges

    def _check_root(self, edges: dict[int, bytes]) -> None:
        reader = tile_node_reader(self.size, lambda tile: edges[tile.level])
        root = root_at(self.size, reader) if self.size else EMPTY_ROOT
        if root != self.checkpoint.root:
            raise LogError(
                "log-root",
                f"{self.checkpoint.origin} at size {self.size}: expected root"
                f" {self.checkpoint.root.hex()}, got {root.hex()} from its tiles",
            )


def bundle_tile(number: int, size: int) -> Tile:
    """Give bundle `number` of entries, as wide as the log's `size` makes it."""
    return Tile(ENTRIES, number, min(TILE_WIDTH, size - number * TILE_WIDTH))


def bundles_of(size: int) -> range:
    """Give the numbers of the bundles of a log."""
    return range(-(-size // TILE_WIDTH))


def checked_tile(source: Source, tile: Tile, expected: Digest) -> bytes:
    """Give a full hash tile whose hashes fold to `expected`.

    Raises:
        SourceError: it does not come.
        TileError: `tile-content`.
    """
    content = _hashes_of(tile, *read_tile(source, tile))
    if _folded(content) != expected:
        raise TileError("tile-content", f"{tile_path(tile)} of {source.name}: expected other hashes")
    return content


def checked_bundle(source: Source, bundle: Tile, leaves: bytes) -> tuple[bytes, ...]:
    """Give the entries of a bundle, whose leaf hashes are `leaves`, the level-0 tile of the same width.

    Raises:
        SourceError: it does not come.
        TileError: `tile-content`.
    """
    came, content = read_tile(source, bundle)
    entries = decode_entries(content, came.width)[: bundle.width]
    if b"".join(map(leaf_digest, entries)) != leaves:
        raise TileError("tile-content", f"{tile_path(bundle)} of {source.name}: expected other entries")
    return entries


def _hashes_of(tile: Tile, came: Tile, content: bytes) -> bytes:
    """Cut the tile that is wanted out of the one that came, which has exactly its own length."""
    if len(content) != came.width * HASH_BYTES:
        problem = f"{tile_path(came)}: expected {came.width} hashes, got {len(content)} bytes"
        raise TileError("tile-content", problem)
    return content[: tile.width * HASH_BYTES]


def _folded(content: bytes) -> Digest:
    nodes = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
    while len(nodes) > 1:
        nodes = [node_digest(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return Digest(nodes[0])
