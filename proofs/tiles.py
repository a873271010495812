"""How a log is served: C2SP tlog-tiles, 256 hashes or entries to a file (`proofs/SPEC.md` 6)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.tree import HASH_BYTES, MAX_SIZE, NodeReader, fold_nodes

__all__ = [
    "ENTRIES",
    "MAX_ENTRY_BYTES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Tile",
    "TileError",
    "TileReader",
    "decode_entries",
    "encode_entries",
    "hash_tile",
    "parse_tile_path",
    "tile_node_reader",
    "tile_path",
    "tiles_of",
]

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 65_535
ENTRIES = -1
"""The `level` of a bundle of entries."""
_LENGTH_BYTES = 2
_MAX_PATH_CHARACTERS = 64
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileError(ProofError):
    """A path or the content of a tile has another form: `tile-path` or `tile-content`."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One file of the log: number `index` of its `level` (or `ENTRIES`), `width` hashes or entries wide."""

    level: int
    index: int
    width: int = TILE_WIDTH


TileReader = Callable[[Tile], bytes]
"""Gives the content of a hash tile."""


def tile_path(tile: Tile) -> str:
    """Give the path under the log's prefix, for example `tile/0/x001/x234/067.p/5`."""
    groups = f"{tile.index:03d}"
    groups = groups.zfill(-(-len(groups) // 3) * 3)
    parts = [groups[start : start + 3] for start in range(0, len(groups), 3)]
    number = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    partial = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{number}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Read a path as `tile_path` gives it, and no other.

    Raises:
        TileError: `tile-path`.
    """
    match = _PATH.fullmatch(path) if len(path) <= _MAX_PATH_CHARACTERS else None
    if match is None:
        raise TileError("tile-path", f"expected tile/<level>/<index>[.p/<width>], got {path[:80]!r}")
    level, outer, last, width = match.groups()
    tile = Tile(
        level=ENTRIES if level == "entries" else int(level),
        index=int(outer.replace("x", "").replace("/", "") + last),
        width=TILE_WIDTH if width is None else int(width),
    )
    # Leading zero groups and a partial width of 256 or more would be second names of a file.
    if tile.level > MAX_LEVEL or tile.index > MAX_SIZE or tile_path(tile) != path or tile.width > TILE_WIDTH:
        raise TileError("tile-path", f"expected the one path of a tile, got {path!r}")
    return tile


def tiles_of(size: int) -> tuple[Tile, ...]:
    """Give the newest hash tile of each level for a log of `size` entries; those before them are full."""
    newest: list[Tile] = []
    level, count = 0, size
    while count:
        full, rest = divmod(count, TILE_WIDTH)
        newest.append(Tile(level, full, rest) if rest else Tile(level, full - 1))
        level, count = level + 1, full
    return tuple(newest)


def hash_tile(tile: Tile, read: NodeReader) -> bytes:
    """Give the content of a hash tile out of the nodes of the tree."""
    first, level = tile.index * TILE_WIDTH, tile.level * TILE_HEIGHT
    return b"".join(read(level, first + offset) for offset in range(tile.width))


def tile_node_reader(size: int, read_tile: TileReader) -> NodeReader:
    """Give the nodes of a log of `size` entries out of its tiles, as widely filled as that size makes them.

    Raises (the reader):
        TileError: `tile-content`, a tile has another length than its width says.
    """

    def read(level: int, index: int) -> Digest:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        tile_index = first // TILE_WIDTH
        width = min(TILE_WIDTH, (size >> tile_level * TILE_HEIGHT) - tile_index * TILE_WIDTH)
        tile = Tile(tile_level, tile_index, width)
        content = read_tile(tile)
        if len(content) != width * HASH_BYTES:
            raise TileError(
                "tile-content", f"{tile_path(tile)}: expected {width} hashes, got {len(content)} bytes"
            )
        start = first % TILE_WIDTH * HASH_BYTES
        return fold_nodes(content[start : start + (HASH_BYTES << height)])

    return read


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Give the content of an entry bundle.

    Raises:
        TileError: `tile-content`, more than 256 entries or one of more than 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise TileError("tile-content", f"expected {TILE_WIDTH} entries of {MAX_ENTRY_BYTES} bytes at most")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def decode_entries(content: bytes, width: int) -> tuple[bytes, ...]:
    """Read an entry bundle of `width` entries.

    Raises:
        TileError: `tile-content`, other entries than `width`, or one is cut.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(content) and len(entries) < width:
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(content[position:start], "big")
        entries.append(content[start:position])
    if position != len(content) or len(entries) != width:
        raise TileError("tile-content", f"expected {width} whole entries, got {len(entries)}")
    return tuple(entries)
