"""What is kept of a log that contradicted itself: the signed notes, to be shown to anybody (SPEC 2, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.checkpoint import SignedCheckpoint
from proofs.forks import check_fork, encode_fork
from proofs.hashes import sha256
from proofs.note import VerifierKey
from relay.disk import make_directory, replace_file

__all__ = ["EVIDENCE", "MAX_EVIDENCE_FILES", "Noted", "keep_evidence", "log_name"]

EVIDENCE = "evidence"
MAX_EVIDENCE_FILES = 1_024
"""Of one log, forks and notes each: who contradicts himself at every visit fills neither the disk, nor the
place of what convicts him or another.
"""
_SHORT_BYTES = 8
_NAME_CHARACTERS = 48


@dataclass(frozen=True, slots=True)
class Noted:
    """A checkpoint that was opened, and the note it stands in."""

    note: str
    signed: SignedCheckpoint


def log_name(log: VerifierKey) -> str:
    """Give a file name for the log of this key: its name as far as files allow, and a hash of the key."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "." for each in log.name)
    # Two keys may share the 4 bytes of a key id.
    return f"{plain[:_NAME_CHARACTERS].strip('.') or 'log'}-{sha256(log.public_key + log.key_id).hex()[:16]}"


def keep_evidence(folder: Path, notes: Sequence[Noted]) -> tuple[Path, ...]:
    """Write down notes of one log that contradict each other; gives the files, those that were there too.

    Two roots of one size become a `tocsin/fork/1`, which convicts the log's key; all notes are kept as they
    came.

    Raises:
        OSError: the disk refuses.
    """
    first, *others = notes
    directory = folder / EVIDENCE
    wanted: dict[Path, bytes] = {}
    for other in others:
        one, two = first.signed.checkpoint, other.signed.checkpoint
        if one.size == two.size and one.root != two.root:
            content = encode_fork(check_fork(first.note, other.note, [first.signed.log]))
            name = f"{log_name(first.signed.log)}-fork-{one.size}-{sha256(content)[:_SHORT_BYTES].hex()}.json"
            wanted[directory / name] = content
    for each in notes:
        checkpoint = each.signed.checkpoint
        root = checkpoint.root[:_SHORT_BYTES].hex()
        wanted[directory / f"{log_name(each.signed.log)}-{checkpoint.size}-{root}.checkpoint"] = (
            each.note.encode()
        )
    make_directory(directory)
    for path, content in wanted.items():
        beside = directory.glob(f"{log_name(first.signed.log)}-*{path.suffix}")
        if not path.exists() and sum(1 for _ in beside) < MAX_EVIDENCE_FILES:
            replace_file(path, content)
    return tuple(path for path in wanted if path.exists())
