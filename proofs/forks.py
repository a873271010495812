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
    verify_note,
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
    (one, one_raw), (other, other_raw) = sorted(
        ((open_checkpoint(raw, logs).checkpoint, raw) for raw in (first, second)),
        key=lambda each: each[0].root,
    )
    key = _signer_of_both(one_raw, other_raw, [key for key in logs if key.name == one.origin])
    if key is None or one.origin != other.origin:
        raise ForkError(
            "fork-origin",
            f"expected two checkpoints of one log under one key, got one of {one.origin} and one of "
            f"{other.origin}",
        )
    if one.size != other.size or one.root == other.root:
        raise ForkError(
            "fork-same",
            f"expected two roots of one size, got {one.root.hex()} at {one.size} and {other.root.hex()} at "
            f"{other.size}",
        )
    return Fork(
        origin=one.origin,
        key=key,
        size=one.size,
        first_root=one.root,
        second_root=other.root,
        first=_with_line_of(key, one_raw),
        second=_with_line_of(key, other_raw),
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


def _signer_of_both(one: str, other: str, logs: Collection[VerifierKey]) -> VerifierKey | None:
    """Give the first of `logs` that signed both; a log signs under two keys while it changes them."""
    notes = [parse_note(raw) for raw in (one, other)]
    return next((key for key in logs if all(_is_signed_by(key, note) for note in notes)), None)


def _is_signed_by(key: VerifierKey, note: Note) -> bool:
    try:
        verify_note(note, [key])
    except NoteError:
        return False
    return True


def _with_line_of(key: VerifierKey, raw: str) -> str:
    note = parse_note(raw)
    line = next(line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
    return format_note(Note(note.text, (line,)))
