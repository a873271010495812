"""Checkpoints: a log's signed statement of its size and root (C2SP tlog-checkpoint; `proofs/SPEC.md` 5)."""

from collections.abc import Collection
from dataclasses import dataclass

from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import NoteError, VerifiedSignature, VerifierKey, parse_note, verify_note
from proofs.text import base64_text, decimal, from_base64
from proofs.tree import EMPTY_ROOT, HASH_BYTES

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "SignedCheckpoint",
    "checkpoint_text",
    "open_checkpoint",
    "parse_checkpoint",
]

_LINES = 3


class CheckpointError(ProofError):
    """`checkpoint-form`, or `checkpoint-origin` (not the name of the key that signed it)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, how many entries, under which root."""

    origin: str
    size: int
    root: Digest


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that `log` signed, and who cosigned it among the witnesses that the reader knows."""

    checkpoint: Checkpoint
    log: VerifierKey
    cosigned: tuple[VerifiedSignature, ...]


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Give the text that the log signs."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64_text(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint: three lines, no extension.

    Raises:
        CheckpointError: `checkpoint-form`.
    """
    lines = text.split("\n")
    if len(lines) != _LINES + 1 or lines[-1] or not lines[0]:
        raise CheckpointError("checkpoint-form", f"expected {_LINES} lines, got {len(lines) - 1}")
    size, root = decimal(lines[1]), from_base64(lines[2])
    if size is None or root is None or len(root) != HASH_BYTES:
        raise CheckpointError("checkpoint-form", "expected a decimal size and a root in base64, got others")
    if size == 0 and root != EMPTY_ROOT:
        raise CheckpointError("checkpoint-form", "expected the empty root at size 0, got another")
    return Checkpoint(lines[0], size, Digest(root))


def open_checkpoint(
    raw: str, logs: Collection[VerifierKey], witnesses: Collection[VerifierKey] = ()
) -> SignedCheckpoint:
    """Read a signed checkpoint of one of `logs` and check every signature of a known key.

    Raises:
        NoteError: `note-form`, `note-signature`, `note-unsigned` (by none of `logs`).
        CheckpointError: `checkpoint-form`, `checkpoint-origin`.
    """
    note = parse_note(raw)
    signed = verify_note(note, [*logs, *witnesses])
    known_logs, known_witnesses = frozenset(logs), frozenset(witnesses)
    signers = [signature.key for signature in signed if signature.key in known_logs]
    if not signers:
        raise NoteError("note-unsigned", "expected a signature of a known log, got none")
    cosigned = tuple(signature for signature in signed if signature.key in known_witnesses)
    checkpoint = parse_checkpoint(note.text)
    for log in signers:
        if log.name == checkpoint.origin:
            return SignedCheckpoint(checkpoint, log, cosigned)
    raise CheckpointError("checkpoint-origin", f"expected {signers[0].name}, got {checkpoint.origin}")
