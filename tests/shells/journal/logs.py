"""A log of alice's, published at once and read as a stranger reads it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, open_checkpoint
from proofs.note import KeyKind, verifier_key
from proofs.tiles import ENTRIES, TILE_WIDTH, Tile, decode_entries, tile_node_reader, tile_path
from proofs.tree import leaf_digest, root_at, tree_root
from relay.journal import AuditLog, Journal, LogCheckpoint, StoredEnvelope
from relay.journal.auditlog import Signer
from relay.journal.tilewriter import read_tile

OpenJournal = Callable[..., AbstractAsyncContextManager[Journal]]
MakeEnvelope = Callable[..., StoredEnvelope]
KEY = SigningKey(bytes(range(32)))
ORIGIN = "net/alice"
VERIFIER = verifier_key(ORIGIN, KeyKind.ED25519, bytes(KEY.verify_key))


async def sign(body: bytes) -> bytes:
    return bytes(KEY.sign(body).signature)


async def open_log(
    journal: Journal, directory: Path, probe: Callable[[str], None] = lambda _: None
) -> AuditLog:
    return await AuditLog.open(journal, directory, origin=ORIGIN, log_key=bytes(KEY.verify_key), probe=probe)


async def publish(log: AuditLog, signer: Signer = sign) -> LogCheckpoint:
    """Publish all that is releasable, with nobody's cosignature."""
    return await log.publish((await log.sign(signer)).checkpoint, (), signer)


def read_log(directory: Path) -> tuple[Checkpoint, list[bytes]]:
    """Read the log as a stranger does, from files alone, and check all of it."""
    checkpoint = open_checkpoint((directory / "checkpoint").read_text(), [VERIFIER]).checkpoint
    entries: list[bytes] = []
    for first in range(0, checkpoint.size, TILE_WIDTH):
        width = min(TILE_WIDTH, checkpoint.size - first)
        tile = Tile(ENTRIES, first // TILE_WIDTH, width)
        try:
            content = (directory / tile_path(tile)).read_bytes()
            entries += decode_entries(content, width)
        except FileNotFoundError:  # it filled up since
            content = (directory / tile_path(Tile(ENTRIES, tile.index))).read_bytes()
            entries += decode_entries(content, TILE_WIDTH)[:width]
    assert tree_root(map(leaf_digest, entries)) == checkpoint.root
    if checkpoint.size:
        reader = tile_node_reader(checkpoint.size, lambda tile: read_tile(directory, tile))
        assert root_at(checkpoint.size, reader) == checkpoint.root
    return checkpoint, entries


async def fill(journal: Journal, envelopes: Sequence[StoredEnvelope]) -> None:
    await journal.append([b"event"], envelopes)
