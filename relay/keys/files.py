"""Key files: one secret each, sealed with argon2id and secretbox, in a small JSON document."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import nacl.utils
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from relay.core.errors import KeyFileError
from relay.disk import create_file
from relay.keys.secret import Secret, check_private

__all__ = [
    "SECRET_BYTES",
    "KdfCost",
    "KeyDerivation",
    "KeyKind",
    "new_salt",
    "seal_key",
    "unseal_key",
    "write_key",
]

SECRET_BYTES = 32
_FORMAT = "tocsin/key/1"
_KDF = "argon2id"
_FIELDS = frozenset({"format", "kdf", "kind", "memory_bytes", "nonce", "passes", "salt", "sealed"})
_MAX_FILE_BYTES = 4_096
# SECURITY: a file that somebody else wrote must not make us take all memory, or run for an hour.
_MAX_PASSES = 16
_MAX_MEMORY_BYTES = 1 << 30
_MIN_MEMORY_BYTES = 8 << 10


class KeyKind(StrEnum):
    """What a key is for; a file of one kind does not open as another."""

    IDENTITY = "identity"
    ATTESTER = "attester"
    LOG = "log"
    COSIGNER = "cosigner"
    SUBMITTER = "submitter"


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What a guess of the passphrase costs; the default is the second choice of RFC 9106 section 4."""

    passes: int = 3
    memory_bytes: int = 64 << 20


class KeyDerivation:
    """What follows from one passphrase; the work for one salt is done once, however many files share it."""

    def __init__(self, passphrase: Secret) -> None:
        self._passphrase = passphrase
        self._boxes: dict[tuple[bytes, KdfCost], SecretBox] = {}

    def box(self, salt: bytes, cost: KdfCost) -> SecretBox:
        """Give the box that seals and opens; takes a good part of a second the first time."""
        box = self._boxes.get((salt, cost))
        if box is None:
            key = pwhash.argon2id.kdf(
                SecretBox.KEY_SIZE,
                self._passphrase.reveal(),
                salt,
                opslimit=cost.passes,
                memlimit=cost.memory_bytes,
            )
            box = self._boxes[salt, cost] = SecretBox(key)
        return box


def new_salt() -> bytes:
    """Give a salt. Files made together may share it: they share the passphrase, and each has a nonce."""
    return nacl.utils.random(pwhash.argon2id.SALTBYTES)


def seal_key(kind: KeyKind, secret: Secret, derivation: KeyDerivation, salt: bytes, cost: KdfCost) -> bytes:
    """Give the content of a key file. The kind is sealed too: nobody outside can change it."""
    nonce = nacl.utils.random(SecretBox.NONCE_SIZE)
    box = derivation.box(salt, cost)
    document = {
        "format": _FORMAT,
        "kdf": _KDF,
        "kind": kind.value,
        "memory_bytes": cost.memory_bytes,
        "nonce": _text(nonce),
        "passes": cost.passes,
        "salt": _text(salt),
        "sealed": _text(box.encrypt(kind.value.encode() + b"\n" + secret.reveal(), nonce).ciphertext),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def write_key(path: Path, sealed: bytes) -> None:
    """Write a key file, whole or not at all, 0600; never over an old one.

    Raises:
        KeyFileError: there is one, or the disk refuses.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_file(path, sealed)
    except FileExistsError as error:
        raise KeyFileError(
            str(path), "expected no file, got one", remedy="keys are never overwritten: move it away first"
        ) from error
    except OSError as error:
        raise KeyFileError(str(path), f"expected to write a file, got: {error.strerror}") from error


def unseal_key(path: Path, kind: KeyKind, derivation: KeyDerivation) -> Secret:
    """Open a key file and give its secret of 32 bytes.

    Raises:
        KeyFileError: missing, open to others, malformed, of another kind, or the passphrase is wrong.
    """
    check_private(path)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(str(path), f"expected a readable file, got: {error.strerror}") from error
    sealed = _parse(path, content)
    if sealed.kind != kind:
        raise KeyFileError(
            str(path),
            f"expected a key of kind {kind}, got {sealed.kind}",
            remedy="give the file of that kind",
        )
    try:
        opened = derivation.box(sealed.salt, sealed.cost).decrypt(sealed.sealed, sealed.nonce)
    except CryptoError as error:
        raise KeyFileError(
            str(path),
            "expected the passphrase that sealed it, got another, or altered bytes",
            remedy="check the passphrase's source; if it is right, restore the file from the backup",
        ) from error
    label, _, secret = opened.partition(b"\n")
    if label != kind.value.encode() or len(secret) != SECRET_BYTES:
        raise KeyFileError(
            str(path), f"expected a sealed key of kind {kind}, got another kind under that name"
        )
    return Secret(secret)


@dataclass(frozen=True, slots=True)
class _Sealed:
    kind: KeyKind
    cost: KdfCost
    salt: bytes
    nonce: bytes
    sealed: bytes


def _parse(path: Path, content: bytes) -> _Sealed:
    try:
        return _read_document(json.loads(content))
    except (ValueError, TypeError) as error:  # binascii.Error and JSONDecodeError are ValueErrors
        raise KeyFileError(
            str(path),
            f"expected a key file of format {_FORMAT}, got other or truncated bytes ({error})",
            remedy="restore it from the backup",
        ) from error


def _read_document(document: object) -> _Sealed:
    if not isinstance(document, dict) or document.keys() != _FIELDS:
        raise ValueError("other fields")
    if (document["format"], document["kdf"]) != (_FORMAT, _KDF):
        raise ValueError("another format")
    return _Sealed(
        kind=KeyKind(document["kind"]),
        cost=_cost(document["passes"], document["memory_bytes"]),
        salt=_binary(document["salt"], pwhash.argon2id.SALTBYTES),
        nonce=_binary(document["nonce"], SecretBox.NONCE_SIZE),
        sealed=_binary(document["sealed"]),
    )


def _cost(passes: object, memory_bytes: object) -> KdfCost:
    if type(passes) is not int or not 1 <= passes <= _MAX_PASSES:
        raise ValueError(f"passes outside 1 to {_MAX_PASSES}")
    if type(memory_bytes) is not int or not _MIN_MEMORY_BYTES <= memory_bytes <= _MAX_MEMORY_BYTES:
        raise ValueError(f"memory_bytes outside {_MIN_MEMORY_BYTES} to {_MAX_MEMORY_BYTES}")
    return KdfCost(passes=passes, memory_bytes=memory_bytes)


def _binary(text: object, length: int | None = None) -> bytes:
    if not isinstance(text, str):
        raise TypeError("no base64 text")
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64 text") from error
    if length is not None and len(value) != length:
        raise ValueError(f"{len(value)} bytes instead of {length}")
    return value


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
