"""Evidence that a log told two stories: one size, two roots, one key (`proofs/SPEC.md` 12.1)."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from proofs.canonical import Value
from proofs.checkpoint import open_checkpoint
from proofs.errors import ProofError
from proofs.fields import FieldError, fields_of
from proofs.kinds import Digest
from proofs.nesting import json_value
from proofs.note import (
    KeyKind,
    Note,
    NoteError,
    VerifierKey,
    format_note,
    format_verifier_key,
    parse_note,
    parse_verifier_key,
)

__all__ = ["FORK_SCHEMA", "MAX_FORK_BYTES", "Fork", "ForkError", "check_fork", "decode_fork", "encode_fork"]

FORK_SCHEMA: Final = "tocsin/fork/1"
MAX_FORK_BYTES: Final = 16_384
_MAX_DEPTH: Final = 2
_MAX_TOKENS: Final = 64
_MAX_NOTE_BYTES: Final = 4_096
_MAX_KEY_CHARACTERS: Final = 512
_KEYS: Final = frozenset({"schema", "vkey", "first", "second"})


class ForkError(ProofError):
    """`fork-form` (no evidence file), `fork-origin` (not one log and key), `fork-same` (no contradiction)."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Two checkpoints that the holder of `key` signed for one size; `first_root` is the smaller.

    `first` and `second` are the notes with that key's line alone.
    """

    origin: str
    key: VerifierKey
    size: int
    first_root: Digest
    second_root: Digest
    first: str
    second: str


def check_fork(first: str, second: str, keys: Collection[VerifierKey]) -> Fork:
    """Check that two signed checkpoints convict one of `keys`; they may come in any order.

    Raises:
        NoteError, CheckpointError: as `open_checkpoint`.
        ForkError: `fork-origin`, `fork-same` (other sizes, or one root).
    """
    logs = [key for key in keys if key.kind is KeyKind.ED25519]
    opened = [(open_checkpoint(raw, logs), raw) for raw in (first, second)]
    (one, one_raw), (other, other_raw) = sorted(opened, key=lambda each: each[0].checkpoint.root)
    if one.log != other.log:
        raise ForkError(
            "fork-origin",
            f"expected two checkpoints by {one.log.name}, key {one.log.key_id.hex()}, got one by "
            f"{other.log.name}, key {other.log.key_id.hex()}",
        )
    if one.checkpoint.size != other.checkpoint.size:
        raise ForkError(
            "fork-same",
            f"expected two roots of one size, got sizes {one.checkpoint.size} and {other.checkpoint.size}",
        )
    if one.checkpoint.root == other.checkpoint.root:
        raise ForkError("fork-same", f"expected two roots, got {one.checkpoint.root.hex()} twice")
    return Fork(
        origin=one.checkpoint.origin,
        key=one.log,
        size=one.checkpoint.size,
        first_root=one.checkpoint.root,
        second_root=other.checkpoint.root,
        first=_with_line_of(one.log, one_raw),
        second=_with_line_of(one.log, other_raw),
    )


def encode_fork(fork: Fork) -> bytes:
    """Give the file of the evidence."""
    parts = {
        "schema": FORK_SCHEMA,
        "vkey": format_verifier_key(fork.key),
        "first": fork.first,
        "second": fork.second,
    }
    return json.dumps(parts, ensure_ascii=True, indent=1, sort_keys=True).encode() + b"\n"


def decode_fork(data: bytes) -> Fork:
    """Read evidence and check it under the key that it names; whose log that is, the reader must know.

    Raises:
        ForkError: `fork-form`, `fork-origin`, `fork-same`.
        NoteError, CheckpointError: as `open_checkpoint`.
    """
    try:
        value = json_value(data, max_bytes=MAX_FORK_BYTES, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS)
        vkey, first, second = _parts(value)
        key = parse_verifier_key(vkey)
    except (ValueError, FieldError, NoteError) as error:
        raise ForkError("fork-form", f"expected the evidence of a fork, got {str(error)[:200]}") from error
    fork = check_fork(first, second, [key])
    if encode_fork(fork) != data:
        raise ForkError("fork-form", "expected the one spelling of the evidence, got another")
    return fork


def _parts(value: Value) -> tuple[str, str, str]:
    fields = fields_of(value, "fork", _KEYS)
    if fields.raw("schema") != FORK_SCHEMA:
        raise FieldError(fields.path("schema"), FORK_SCHEMA, repr(fields.raw("schema"))[:80])
    notes: list[str] = []
    for name in ("first", "second"):
        note = fields.raw(name)
        if not isinstance(note, str) or len(note) > _MAX_NOTE_BYTES:
            raise FieldError(fields.path(name), f"a note of at most {_MAX_NOTE_BYTES} characters", "other")
        notes.append(note)
    return fields.text("vkey", max_bytes=_MAX_KEY_CHARACTERS), notes[0], notes[1]


def _with_line_of(key: VerifierKey, raw: str) -> str:
    note = parse_note(raw)
    line = next(line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
    return format_note(Note(note.text, (line,)))
