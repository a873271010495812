"""Key files: one secret each, sealed with argon2id and secretbox, in a small JSON document.

A key of a member stands for itself (32 bytes). A file of shares or of a ceremony's seed also says what it is
about: the SHA-256 of the keys document, the ceremony's id. That is readable without the passphrase, and it is
sealed along with the secret, so that nobody can put one file in the place of another.
"""

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
from relay.core.types import Digest
from relay.disk import Probe, create_file, no_probe
from relay.keys.secret import Secret, check_private

__all__ = [
    "SECRET_BYTES",
    "KdfCost",
    "KeyDerivation",
    "KeyKind",
    "Sealing",
    "new_salt",
    "read_about",
    "seal_about",
    "seal_key",
    "sealing_of",
    "unseal_about",
    "unseal_key",
    "write_key",
]

SECRET_BYTES = 32
_FORMAT = "tocsin/key/1"
_KDF = "argon2id"
_FIELDS = frozenset({"format", "kdf", "kind", "memory_bytes", "nonce", "passes", "salt", "sealed"})
_ABOUT_BYTES = 32
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
    SHARES = "shares"
    """All of a member's shares of one keys document."""
    SEED = "ceremony seed"
    """What all of a member's secrets of one ceremony derive from."""

    @property
    def says_about(self) -> bool:
        """Whether a file of this kind names what it belongs to."""
        return self in (KeyKind.SHARES, KeyKind.SEED)


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What a guess of the passphrase costs; the default is the second choice of RFC 9106 section 4."""

    passes: int = 3
    memory_bytes: int = 64 << 20


Sealing = tuple[bytes, KdfCost]
"""Salt and cost. Files that share both open by one derived key."""


class KeyDerivation:
    """What follows from one passphrase; the work for one salt is done once, however many files share it.

    After `forget` it has the derived keys (32 bytes for each salt met) and the passphrase no more: whoever
    reads this process's memory can open the files of those salts, and nothing else that the passphrase opens.
    """

    def __init__(self, passphrase: Secret) -> None:
        self._passphrase: Secret | None = passphrase
        self._boxes: dict[tuple[bytes, KdfCost], SecretBox] = {}

    def forget(self) -> None:
        """Drop the passphrase; files of salts met until now open and seal as before."""
        self._passphrase = None

    def box(self, salt: bytes, cost: KdfCost) -> SecretBox:
        """Give the box that seals and opens; takes a good part of a second the first time.

        Raises:
            LookupError: the salt is new, and the passphrase was forgotten.
        """
        box = self._boxes.get((salt, cost))
        if box is None:
            if self._passphrase is None:
                raise LookupError("a salt that is new since the passphrase was forgotten")
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
    return _seal(kind, {}, secret.reveal(), derivation.box(salt, cost), (salt, cost))


def seal_about(
    kind: KeyKind, about: Digest, secret: Secret, derivation: KeyDerivation, sealing: Sealing
) -> bytes:
    """Give the content of a file of shares or of a seed, about what `about` names (32 bytes)."""
    assert kind.says_about, "keys of members stand for themselves"
    header = {"about": about.hex()}
    return _seal(kind, header, about + secret.reveal(), derivation.box(*sealing), sealing)


def _seal(kind: KeyKind, header: dict[str, str], content: bytes, box: SecretBox, sealing: Sealing) -> bytes:
    nonce = nacl.utils.random(SecretBox.NONCE_SIZE)
    salt, cost = sealing
    document = {
        **header,
        "format": _FORMAT,
        "kdf": _KDF,
        "kind": kind.value,
        "memory_bytes": cost.memory_bytes,
        "nonce": _text(nonce),
        "passes": cost.passes,
        "salt": _text(salt),
        "sealed": _text(box.encrypt(kind.value.encode() + b"\n" + content, nonce).ciphertext),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def write_key(path: Path, sealed: bytes, *, probe: Probe = no_probe) -> None:
    """Write a key file, whole or not at all, 0600; never over an old one.

    Raises:
        KeyFileError: there is one, or the disk refuses.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_file(path, sealed, probe=probe)
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
    secret = _unseal(path, _read(path, kind), derivation)
    if len(secret) != SECRET_BYTES:
        raise _foreign(path, kind)
    return Secret(secret)


def unseal_about(path: Path, kind: KeyKind, derivation: KeyDerivation) -> tuple[Digest, Secret]:
    """Open a file of shares or of a seed: what it is about, and the secret, of whatever length.

    Raises:
        KeyFileError: as `unseal_key`.
    """
    sealed = _read(path, kind)
    content = _unseal(path, sealed, derivation)
    about = Digest(content[:_ABOUT_BYTES])
    if about != sealed.about:
        raise _foreign(path, kind)
    return about, Secret(content[_ABOUT_BYTES:])


def read_about(path: Path, kind: KeyKind) -> Digest:
    """Give what a file says it is about, without opening it.

    Raises:
        KeyFileError: missing, open to others, malformed or of another kind.
    """
    about = _read(path, kind).about
    assert about is not None, "files of this kind say it"
    return about


def sealing_of(path: Path, kind: KeyKind) -> Sealing:
    """Give salt and cost of a key file, so that another one can share the work.

    Raises:
        KeyFileError: missing, open to others, malformed or of another kind.
    """
    sealed = _read(path, kind)
    return sealed.salt, sealed.cost


def _read(path: Path, kind: KeyKind) -> _Sealed:
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
    return sealed


def _unseal(path: Path, sealed: _Sealed, derivation: KeyDerivation) -> bytes:
    try:
        opened = derivation.box(sealed.salt, sealed.cost).decrypt(sealed.sealed, sealed.nonce)
    except CryptoError as error:
        raise KeyFileError(
            str(path),
            "expected the passphrase that sealed it, got another, or altered bytes",
            remedy="check the passphrase's source; if it is right, restore the file from the backup",
        ) from error
    except LookupError as error:
        raise KeyFileError(
            str(path), f"expected a file that was here at the start, got {error}", remedy="restart the node"
        ) from error
    label, _, secret = opened.partition(b"\n")
    if label != sealed.kind.value.encode():
        raise _foreign(path, sealed.kind)
    return secret


def _foreign(path: Path, kind: KeyKind) -> KeyFileError:
    return KeyFileError(
        str(path),
        f"expected a sealed key of kind {kind}, got another kind under that name",
        remedy="restore it from the backup",
    )


@dataclass(frozen=True, slots=True)
class _Sealed:
    kind: KeyKind
    cost: KdfCost
    salt: bytes
    nonce: bytes
    sealed: bytes
    about: Digest | None


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
    if not isinstance(document, dict) or document.keys() - {"about"} != _FIELDS:
        raise ValueError("other fields")
    if (document["format"], document["kdf"]) != (_FORMAT, _KDF):
        raise ValueError("another format")
    kind = KeyKind(document["kind"])
    if kind.says_about != ("about" in document):
        raise ValueError("other fields")
    return _Sealed(
        kind=kind,
        cost=_cost(document["passes"], document["memory_bytes"]),
        salt=_binary(document["salt"], pwhash.argon2id.SALTBYTES),
        nonce=_binary(document["nonce"], SecretBox.NONCE_SIZE),
        sealed=_binary(document["sealed"]),
        about=_hexadecimal(document["about"]) if kind.says_about else None,
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


def _hexadecimal(text: object) -> Digest:
    if not isinstance(text, str) or len(text) != 2 * _ABOUT_BYTES:
        raise ValueError("no 32 bytes of hexadecimal text")
    return Digest(bytes.fromhex(text))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
