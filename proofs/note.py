"""Signed notes: text with signature lines under it (C2SP signed-note, tlog-cosignature; `proofs/SPEC.md` 5).

A note is read without trust (`parse_note`), then judged under known keys (`verify_note`): lines of unknown
keys are passed over, a wrong signature of a known one rejects the note.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import SigningKey, VerifyKey

from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.text import base64_text, from_base64

__all__ = [
    "MAX_NOTE_BYTES",
    "MAX_TIME_AHEAD_S",
    "KeyKind",
    "Note",
    "NoteError",
    "NoteSignature",
    "VerifiedSignature",
    "VerifierKey",
    "cosignature",
    "cosigned_bytes",
    "format_note",
    "format_signatures",
    "format_signing_key",
    "format_verifier_key",
    "is_timely",
    "note_signature",
    "parse_note",
    "parse_signatures",
    "parse_signing_key",
    "parse_verifier_key",
    "verifier_key",
    "verify_note",
]

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 128
MAX_TIME_AHEAD_S = 300
"""How far a cosigner's clock may be ahead of the reader's."""
_MAX_TIME_S = (1 << 63) - 1
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_DASH = "— "
_SKEY_PREFIX = "PRIVATE+KEY+"
# A lone surrogate can come out of JSON; it has no UTF-8.
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class NoteError(ProofError):
    """`note-form`, `note-key` (a key string), `note-signature` (a known key's is wrong), `note-unsigned`."""


class KeyKind(IntEnum):
    """What a key signs: the text itself, or a time and a checkpoint. The number is in the key's id."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that somebody trusts, by name. `key_id` is 4 bytes, `public_key` 32."""

    name: str
    kind: KeyKind
    public_key: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A signature line; `signature` is what follows the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """Text, ending in a newline, and the lines under it, unverified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A known key's signature that was right; `at_s` is the cosigner's own word for the time, else `None`."""

    key: VerifierKey
    at_s: int | None


def verifier_key(name: str, kind: KeyKind, public_key: bytes) -> VerifierKey:
    """Give the key with its id.

    Raises:
        NoteError: `note-key`, the name is empty or has a space or plus, or the key has not 32 bytes.
    """
    if not _is_name(name) or not name.isprintable():
        raise NoteError("note-key", f"expected a name without space and plus, got {name!r}")
    if len(public_key) != _KEY_BYTES:
        raise NoteError("note-key", f"expected a key of {_KEY_BYTES} bytes, got {len(public_key)}")
    key_id = sha256(name.encode() + b"\n" + bytes([kind]) + public_key)[:_KEY_ID_BYTES]
    return VerifierKey(name, kind, public_key, key_id)


def format_verifier_key(key: VerifierKey) -> str:
    """Give the vkey string, `name+id+key`."""
    return f"{key.name}+{key.key_id.hex()}+{base64_text(bytes([key.kind]) + key.public_key)}"


def parse_verifier_key(text: str) -> VerifierKey:
    """Read a vkey string.

    Raises:
        NoteError: `note-key`, another form, another kind of key, or an id that is not that of the key.
    """
    name, kind, public_key = _key_string(text)
    key = verifier_key(name, kind, public_key)
    if format_verifier_key(key) != text:
        raise NoteError("note-key", f"expected key id {key.key_id.hex()}, got another in {name}")
    return key


def format_signing_key(key: VerifierKey, seed: bytes) -> str:
    """Give the skey string that other tools of this format read. It is a secret."""
    return f"{_SKEY_PREFIX}{key.name}+{key.key_id.hex()}+{base64_text(bytes([key.kind]) + seed)}"


def parse_signing_key(text: str) -> tuple[VerifierKey, bytes]:
    """Read an skey string: the key that verifies, and the seed (32 bytes), which is a secret.

    Raises:
        NoteError: `note-key`; the text is not repeated in it.
    """
    if not text.startswith(_SKEY_PREFIX):
        raise NoteError("note-key", "expected a private key string, got another")
    name, kind, seed = _key_string(text.removeprefix(_SKEY_PREFIX))
    key = verifier_key(name, kind, bytes(SigningKey(seed).verify_key))
    if format_signing_key(key, seed) != text:
        raise NoteError("note-key", f"expected key id {key.key_id.hex()}, got another in {name}")
    return key, seed


def cosigned_bytes(text: str, at_s: int) -> bytes:
    """Give what a cosigner signs for the checkpoint `text` at its time `at_s`."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def note_signature(key: VerifierKey, signature: bytes) -> NoteSignature:
    """Give the line for an Ed25519 `signature` over a note's text."""
    return NoteSignature(key.name, key.key_id, signature)


def cosignature(key: VerifierKey, at_s: int, signature: bytes) -> NoteSignature:
    """Give the line for an Ed25519 `signature` over `cosigned_bytes`."""
    return NoteSignature(key.name, key.key_id, at_s.to_bytes(_TIME_BYTES, "big") + signature)


def is_timely(at_s: int, now_s: int | None) -> bool:
    """Tell whether a cosignature's time counts: it names one, and is not far ahead of the reader's clock."""
    return at_s > 0 and (now_s is None or at_s <= now_s + MAX_TIME_AHEAD_S)


def format_signatures(signatures: Iterable[NoteSignature]) -> str:
    """Give the signature lines, each with its newline."""
    return "".join(f"{_DASH}{line.name} {base64_text(line.key_id + line.signature)}\n" for line in signatures)


def format_note(note: Note) -> str:
    """Give the note as it is stored and sent."""
    return f"{note.text}\n{format_signatures(note.signatures)}"


def parse_note(raw: str) -> Note:
    """Read a note; nothing in it is verified.

    Raises:
        NoteError: `note-form`.
    """
    if len(raw) > MAX_NOTE_BYTES or _FORBIDDEN.search(raw) is not None:
        raise NoteError("note-form", f"expected {MAX_NOTE_BYTES} characters at most and no control character")
    text, blank, under = raw.rpartition("\n\n")
    if not blank:
        raise NoteError("note-form", "expected text, an empty line and signature lines, got another form")
    return Note(text + "\n", parse_signatures(under))


def parse_signatures(under: str) -> tuple[NoteSignature, ...]:
    """Read the signature lines under a note, or those that a witness answered; nothing is verified.

    Raises:
        NoteError: `note-form`, no line, too many, or one of another form.
    """
    lines = under[:-1].split("\n")
    if not under.endswith("\n") or len(lines) > MAX_SIGNATURES:
        raise NoteError("note-form", f"expected 1 to {MAX_SIGNATURES} signature lines, got {len(lines)}")
    return tuple(_signature_line(line) for line in lines)


def verify_note(note: Note, keys: Collection[VerifierKey]) -> tuple[VerifiedSignature, ...]:
    """Judge a note under the known `keys`; the first line of each counts.

    Raises:
        NoteError: `note-signature`, `note-unsigned` (by none of `keys`).
    """
    known = {(key.name, key.key_id): key for key in keys}
    verified: dict[tuple[str, bytes], VerifiedSignature] = {}
    for line in note.signatures:
        identity = (line.name, line.key_id)
        key = known.get(identity)
        if key is not None and identity not in verified:
            verified[identity] = _verified(note.text, key, line.signature)
    if not verified:
        raise NoteError("note-unsigned", "expected a signature of a known key, got none")
    return tuple(verified.values())


def _verified(text: str, key: VerifierKey, signature: bytes) -> VerifiedSignature:
    at_s: int | None = None
    message = text.encode()
    if key.kind is KeyKind.COSIGNATURE:
        at_s, signature = int.from_bytes(signature[:_TIME_BYTES], "big"), signature[_TIME_BYTES:]
        message = cosigned_bytes(text, at_s)
    if len(signature) != _SIGNATURE_BYTES or (at_s or 0) > _MAX_TIME_S:
        raise NoteError("note-signature", f"expected the signature of {key.name}, got another form")
    try:
        VerifyKey(key.public_key).verify(message, signature)
    except (BadSignatureError, NaclValueError) as error:
        raise NoteError("note-signature", f"expected the signature of {key.name}, got another") from error
    return VerifiedSignature(key, at_s)


def _signature_line(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    signature = from_base64(encoded)
    if (
        not line.startswith(_DASH)
        or not _is_name(name)
        or not space
        or signature is None
        or len(signature) <= _KEY_ID_BYTES
    ):
        raise NoteError("note-form", f"expected a signature line, got {line[:80]!r}")
    return NoteSignature(name, signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(map(str.isspace, name))


def _key_string(text: str) -> tuple[str, KeyKind, bytes]:
    """Give name, kind and key of `name+id+key`; a base64 key may itself have a plus."""
    parts = text.split("+", 2)
    encoded = from_base64(parts[-1]) if len(parts) == 3 else None
    if not encoded or len(encoded) != 1 + _KEY_BYTES:
        raise NoteError("note-key", f"expected name+id+key, got another form of {len(text)} characters")
    if encoded[0] not in tuple(KeyKind):
        raise NoteError("note-key", f"expected a key of kind 01 or 04, got {encoded[0]:02x}")
    return parts[0], KeyKind(encoded[0]), encoded[1:]
