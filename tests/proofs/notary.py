"""Logs and witnesses with fixed keys, and a log that can be asked for proofs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.note import (
    KeyKind,
    Note,
    NoteSignature,
    cosignature,
    cosigned_bytes,
    format_note,
    note_signature,
    verifier_key,
)
from proofs.tree import CompactRange, consistency_proof, leaf_digest, root_at

NOW_S = 1_700_000_000


class Signer:
    """A log or a witness with a fixed seed."""

    def __init__(self, name: str, kind: KeyKind = KeyKind.ED25519, salt: str = "") -> None:
        self.secret = SigningKey(sha256((name + salt).encode()))
        self.key = verifier_key(name, kind, bytes(self.secret.verify_key))

    def line(self, text: str, at_s: int = NOW_S) -> NoteSignature:
        if self.key.kind is KeyKind.ED25519:
            return note_signature(self.key, self.secret.sign(text.encode()).signature)
        return cosignature(self.key, at_s, self.secret.sign(cosigned_bytes(text, at_s)).signature)


def witness(name: str) -> Signer:
    return Signer(f"witness.example/{name}", KeyKind.COSIGNATURE)


def tampered(raw: bytes) -> list[bytes]:
    """`raw` with one bit flipped, one byte dropped or doubled, or its end cut."""
    changed = []
    for place in range(len(raw)):
        head, byte, tail = raw[:place], raw[place], raw[place + 1 :]
        changed += [head + bytes([byte ^ 1]) + tail, head + bytes([byte ^ 0x20]) + tail]
        changed += [head + tail, head, head + bytes([byte, byte]) + tail]
    return changed


@dataclass
class Log:
    """A log that keeps every node; another with the same signer is another history of its key."""

    signer: Signer
    compact: CompactRange = field(default_factory=CompactRange)
    nodes: dict[tuple[int, int], Digest] = field(default_factory=dict)

    def grow(self, *entries: bytes) -> "Log":
        for entry in entries:
            self.compact, completed = self.compact.append_nodes(leaf_digest(entry))
            self.nodes.update({(level, index): node for level, index, node in completed})
        return self

    def read(self, level: int, index: int) -> Digest:
        return self.nodes[level, index]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.compact.size if size is None else size
        return Checkpoint(self.signer.key.name, size, root_at(size, self.read))

    def note(self, size: int | None = None, others: Sequence[Signer] = ()) -> str:
        text = checkpoint_text(self.checkpoint(size))
        return format_note(Note(text, tuple(signer.line(text) for signer in (self.signer, *others))))

    def proof(self, old: int, new: int | None = None) -> tuple[Digest, ...]:
        return consistency_proof(old, self.compact.size if new is None else new, self.read)
