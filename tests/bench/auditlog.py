"""What an auditor's questions and a publication cost, in a log of a million entries.

Proofs stand beside bare SHA-256 of as many nodes as they need; a publication beside the bare writes that make
its files durable (each written, fsynced, renamed, its directory fsynced), one commit and one signature.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time

from nacl.signing import SigningKey

from proofs.kinds import Digest
from proofs.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tile_node_reader, tile_path
from proofs.tree import (
    HASH_BYTES,
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    node_digest,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from relay.core.types import Millis
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope
from relay.journal.tilewriter import read_tile
from tests.bench.figure import Figure

__all__ = ["LIMITS", "envelopes", "measure"]

ENTRIES = 1_000_000
QUESTIONS = 200
PUBLICATIONS = 10
BATCHES = (1, 16, 256)
ENVELOPE_BYTES = 900
LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)
_FLOOR_NAME = "bare SHA-256, as many nodes"


async def measure(seed: int = 1) -> list[Figure]:
    """Make and check proofs at `ENTRIES`, and publish batches."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        proofs = await asyncio.to_thread(_proofs, Path(folder), random.Random(seed))
        return [*proofs, *await _publications(Path(folder))]


def envelopes(first: int, count: int, entry: LogEntry = LogEntry.RELEASED) -> list[StoredEnvelope]:
    """Give distinct envelopes as they stand in the events that bring them, one in each."""
    raws = [number.to_bytes(8, "big") * (ENVELOPE_BYTES // 8) for number in range(first, first + count)]
    return [
        StoredEnvelope(raw, Digest(sha256(raw).digest()), Millis(1), entry, place)
        for place, raw in enumerate(raws)
    ]


# ---- proofs


def _proofs(home: Path, chance: random.Random) -> list[Figure]:
    leaves = [leaf_digest(number.to_bytes(8, "big")) for number in range(ENTRIES)]
    _write_tiles(home, leaves)
    read = partial(read_tile, home)
    reader = tile_node_reader(ENTRIES, read)
    root = root_at(ENTRIES, reader)
    indices = [chance.randrange(ENTRIES) for _ in range(QUESTIONS)]
    olds = [chance.randrange(1, ENTRIES) for _ in range(QUESTIONS)]
    paths = [inclusion_proof(index, ENTRIES, reader) for index in indices]
    joins = [consistency_proof(old, ENTRIES, reader) for old in olds]
    roots = [root_at(old, reader) for old in olds]

    def include(n: int, nodes: NodeReader | None = None) -> int:
        return len(inclusion_proof(indices[n], ENTRIES, nodes or _of_one_proof(read)))

    def follow(n: int, nodes: NodeReader | None = None) -> int:
        return len(consistency_proof(olds[n], ENTRIES, nodes or _of_one_proof(read)))

    def check_included(n: int) -> None:
        verify_inclusion(leaves[indices[n]], indices[n], ENTRIES, paths[n], root)

    def check_followed(n: int) -> None:
        verify_consistency((olds[n], roots[n]), (ENTRIES, root), joins[n])

    return [
        _timed("inclusion proof made", include, _hashes_made(include, reader)),
        _timed("inclusion proof verified", check_included, median(map(len, paths))),
        _timed("consistency proof made", follow, _hashes_made(follow, reader)),
        _timed("consistency proof verified", check_followed, 2 * median(map(len, joins))),
    ]


def _of_one_proof(read: Callable[[Tile], bytes]) -> NodeReader:
    """Read as `AuditLog` does."""
    return tile_node_reader(ENTRIES, lru_cache(maxsize=16)(read))


def _write_tiles(home: Path, level: list[Digest]) -> None:
    """Write the hash tiles that a log of these leaves has, without fsync: this is not what is measured."""
    for tile_level in range(64 // TILE_HEIGHT):
        for first in range(0, len(level), TILE_WIDTH):
            hashes = level[first : first + TILE_WIDTH]
            path = home / tile_path(Tile(tile_level, first // TILE_WIDTH, len(hashes)))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(hashes))
        for _ in range(TILE_HEIGHT):
            level = [node_digest(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        if not level:
            return


def _hashes_made(make: Callable[[int, NodeReader], int], read: NodeReader) -> float:
    """Count what proofs hash: nodes folded out of a tile, and joined to one subtree."""
    counts: list[int] = []

    def counted(level: int, index: int) -> Digest:
        counts[-1] += 1 << level % TILE_HEIGHT  # folded by one less, and then joined
        return read(level, index)

    for n in range(QUESTIONS):
        counts.append(0)
        length = make(n, counted)
        counts[-1] -= length
    return median(counts)


def _timed(name: str, work: Callable[[int], object], hashes: float) -> Figure:
    """Time a proof and its floor in turn, by the processor's time: neighbours do not count."""
    took, bare = [], []
    data = bytes(2 * HASH_BYTES + 1)
    for n in range(QUESTIONS):
        began = thread_time()
        work(n)
        took.append(thread_time() - began)
        began = thread_time()
        for _ in range(round(hashes)):
            sha256(data).digest()
        bare.append(thread_time() - began)
    return Figure(
        f"{name}, {ENTRIES:,} entries ({hashes:.0f} hashes)",
        1e6 * median(took),
        "µs of a core",
        floor=1e6 * median(bare),
        floor_name=_FLOOR_NAME,
    )


# ---- publications


async def _publications(home: Path) -> list[Figure]:
    key = SigningKey(bytes(32))

    async def sign(body: bytes) -> bytes:
        return bytes(key.sign(body).signature)

    figures: list[Figure] = []
    async with Journal.open(home / "journal.sqlite", clock=lambda: Millis(0), limits=LIMITS) as journal:
        log = await AuditLog.open(journal, home / "log", origin="net/alice", log_key=bytes(key.verify_key))
        for batch in BATCHES:
            took, bare = [], []
            for _ in range(PUBLICATIONS):
                new = envelopes(journal.log_size, batch)
                await journal.append([envelope.raw for envelope in new], new)
                before = set(_files(log.directory))
                began = perf_counter()
                await log.publish((await log.sign(sign)).checkpoint, (), sign)
                took.append(perf_counter() - began)
                written = [log.directory / "checkpoint", *set(_files(log.directory)) - before]
                bare.append(await asyncio.to_thread(_bare_s, home, [p.stat().st_size for p in written], key))
            figures.append(
                Figure(
                    f"publication of {batch} entries: tiles and checkpoint",
                    1e3 * median(took),
                    "ms",
                    floor=1e3 * median(bare),
                    floor_name="bare durable writes and a signature",
                )
            )
    return figures


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file() and path.name != "checkpoint")


def _bare_s(home: Path, sizes: list[int], key: SigningKey) -> float:
    """Time what nobody can leave out: files and one commit on disk, and a signature."""
    folder = home / "bare"
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(home / "bare.sqlite", isolation_level=None)) as bare:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            bare.execute(statement)
        bare.execute("CREATE TABLE IF NOT EXISTS t (bytes BLOB)")
        began = perf_counter()
        for size in sizes:
            with (folder / "new").open("wb") as file:
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
            (folder / "new").replace(folder / "old")
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(descriptor)
            os.close(descriptor)
        bare.execute("INSERT INTO t VALUES (?)", (bytes(200),))
        key.sign(bytes(100))
        return perf_counter() - began
