"""Logs made for auditors: folders of tiles under checkpoints that anybody here may sign, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.note import (
    KeyKind,
    Note,
    VerifierKey,
    cosignature,
    cosigned_bytes,
    format_note,
    note_signature,
    verifier_key,
)
from proofs.policy import Group, Policy
from proofs.tiles import ENTRIES, TILE_WIDTH, Tile, encode_entries, tile_path
from proofs.tree import fold_nodes, leaf_digest, tree_root

__all__ = ["NOW_S", "WITNESSES", "Keeper", "entries_of", "policy_of", "signed_note", "write_tiles"]

NOW_S = 1_800_000_000
WITNESSES = ("w0", "w1", "w2", "w3")


def entries_of(count: int, history: str = "") -> list[bytes]:
    """Give entries; those of another history differ from the first on."""
    return [f"{history} entry {number}".encode() for number in range(count)]


def _secret(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()))


def _key(name: str, kind: KeyKind) -> VerifierKey:
    return verifier_key(name, kind, bytes(_secret(name).verify_key))


def policy_of(*keepers: Keeper, quorum: int = 3) -> Policy:
    """Give a policy of these logs under `quorum` of four witnesses; 0 asks for none."""
    witnesses = {name: _key(name, KeyKind.COSIGNATURE) for name in WITNESSES}
    logs = tuple(keeper.key for keeper in keepers)
    if quorum == 0:
        return Policy(logs)
    return Policy(logs, witnesses, {"all": Group(quorum, WITNESSES)}, "all")


def signed_note(checkpoint: Checkpoint, by: str, cosigned_s: Mapping[str, int]) -> str:
    """Give a checkpoint signed by `by` and cosigned at the given times."""
    text = checkpoint_text(checkpoint)
    lines = [note_signature(_key(by, KeyKind.ED25519), _secret(by).sign(text.encode()).signature)]
    for name, at_s in cosigned_s.items():
        signature = _secret(name).sign(cosigned_bytes(text, at_s)).signature
        lines.append(cosignature(_key(name, KeyKind.COSIGNATURE), at_s, signature))
    return format_note(Note(text, tuple(lines)))


def write_tiles(folder: Path, entries: Sequence[bytes]) -> Digest:
    """Write all tiles and bundles of a log; gives its root."""
    for number in range(-(-len(entries) // TILE_WIDTH)):
        some = entries[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
        _write(folder, Tile(ENTRIES, number, len(some)), encode_entries(some))
    leaves = [leaf_digest(entry) for entry in entries]
    hashes, level = leaves, 0
    while hashes:
        tiles = [b"".join(hashes[at : at + TILE_WIDTH]) for at in range(0, len(hashes), TILE_WIDTH)]
        for index, content in enumerate(tiles):
            _write(folder, Tile(level, index, len(content) // 32), content)
        hashes = [fold_nodes(content) for content in tiles if len(content) == TILE_WIDTH * 32]
        level += 1
    return tree_root(leaves)


def _write(folder: Path, tile: Tile, content: bytes) -> None:
    path = folder / tile_path(tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@dataclass
class Keeper:
    """Who keeps a log in a folder, and signs what a test wants signed."""

    folder: Path
    name: str = "net/alice"
    cosigned_s: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(WITNESSES, NOW_S - 10))

    @property
    def key(self) -> VerifierKey:
        return _key(self.name, KeyKind.ED25519)

    def publish(self, entries: Sequence[bytes]) -> Checkpoint:
        """Write tiles and checkpoint; older tiles stay, as they do in a node."""
        checkpoint = Checkpoint(self.name, len(entries), write_tiles(self.folder, entries))
        self.say(checkpoint)
        return checkpoint

    def say(self, checkpoint: Checkpoint) -> None:
        """Sign a checkpoint, whatever the tiles are."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "checkpoint").write_text(signed_note(checkpoint, self.name, self.cosigned_s))
