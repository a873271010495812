"""The audit log as static files that any web server can serve: tiles and bundles (C2SP tlog-tiles)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    encode_entries,
    tile_node_reader,
    tile_path,
    tiles_of,
)
from proofs.tree import EMPTY_ROOT, HASH_BYTES, CompactRange, leaf_digest, root_at
from relay.disk import Probe, make_directory, no_probe, replace_file

__all__ = ["TileWriter", "read_tile"]


class TileWriter:
    """The growing edge of one log directory.

    In memory are only the hashes of the tiles that are not yet full: at most 255 for each of 8 levels,
    whatever the size. Blocking: call it on a thread.
    """

    def __init__(self, directory: Path, *, probe: Probe = no_probe) -> None:
        self._directory = directory
        self._probe = probe
        self._range = CompactRange()
        self._edges: list[list[Digest]] = []

    @property
    def range(self) -> CompactRange:
        """The tree over everything written."""
        return self._range

    def resume(self, signed: CompactRange) -> bool:
        """Go on after `signed`, out of the tiles on disk; false if they are not those of that tree."""
        try:
            edges = [self._read_edge(tile) for tile in tiles_of(signed.size)]
            if _root(signed.size, edges) != signed.root():
                return False
        except (OSError, ProofError):
            return False
        self._range, self._edges = signed, edges
        return True

    def extend(self, entries: Sequence[bytes]) -> None:
        """Write the bundle in which the log now ends, and the hash tiles that it fills.

        `entries` are at most 256, from the first of that bundle on, those included that were written before.

        Raises:
            OSError: the disk refuses.
        """
        bundle, written = divmod(self._range.size, TILE_WIDTH)
        self._write(Tile(ENTRIES, bundle, len(entries)), encode_entries(entries))
        for entry in entries[written:]:
            self._range, completed = self._range.append_nodes(leaf_digest(entry))
            for level, index, node in completed:
                if level % TILE_HEIGHT == 0:
                    self._add(level // TILE_HEIGHT, index, node)

    def finish(self) -> None:
        """Write the hash tiles that are not full, so that the tree can be read up to its end.

        Raises:
            OSError: the disk refuses.
        """
        for tile in tiles_of(self._range.size):
            if tile.width < TILE_WIDTH:
                self._write(tile, b"".join(self._edges[tile.level]))

    def _add(self, level: int, index: int, node: Digest) -> None:
        if level == len(self._edges):
            self._edges.append([])
        edge = self._edges[level]
        edge.append(node)
        if len(edge) == TILE_WIDTH:
            self._write(Tile(level, index // TILE_WIDTH), b"".join(edge))
            edge.clear()

    def _write(self, tile: Tile, content: bytes) -> None:
        path = self._directory / tile_path(tile)
        make_directory(path.parent)
        replace_file(path, content, probe=self._probe)
        if tile.width == TILE_WIDTH:
            # C2SP tlog-tiles: a client that misses a partial tile takes the full one.
            with suppress(FileNotFoundError):
                shutil.rmtree(path.with_name(f"{path.name}.p"))

    def _read_edge(self, tile: Tile) -> list[Digest]:
        if tile.width == TILE_WIDTH:
            return []
        content = read_tile(self._directory, tile)
        return [Digest(content[at : at + HASH_BYTES]) for at in range(0, len(content), HASH_BYTES)]


def read_tile(directory: Path, tile: Tile) -> bytes:
    """Give the content of a hash tile, cut out of the full one if the partial one is gone.

    Raises:
        OSError: there is none.
    """
    try:
        return (directory / tile_path(tile)).read_bytes()
    except FileNotFoundError:
        full = Tile(tile.level, tile.index)
        return (directory / tile_path(full)).read_bytes()[: tile.width * HASH_BYTES]


def _root(size: int, edges: Sequence[Sequence[Digest]]) -> Digest:
    if size == 0:
        return EMPTY_ROOT
    return root_at(size, tile_node_reader(size, lambda tile: b"".join(edges[tile.level])))
