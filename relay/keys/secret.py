"""Bytes that must not be seen, and where the passphrase for them comes from."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from relay.core.errors import KeyFileError

__all__ = [
    "PassphraseFile",
    "PassphraseSource",
    "PassphraseVariable",
    "Secret",
    "check_private",
    "read_passphrase",
]

_OTHERS = 0o077
_MAX_PASSPHRASE_BYTES = 4_096


class Secret:
    """Bytes that no log line, traceback or pickle shows. Python cannot wipe them from memory."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes) -> None:
        self._bytes = value

    def reveal(self) -> bytes:
        """Give the bytes, to the one who uses them here and now."""
        return self._bytes

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class PassphraseFile:
    """A file that holds the passphrase; one line end at its end does not belong to it."""

    path: Path


@dataclass(frozen=True, slots=True)
class PassphraseVariable:
    """An environment variable that holds the passphrase."""

    name: str


PassphraseSource = PassphraseFile | PassphraseVariable


def read_passphrase(source: PassphraseSource) -> Secret:
    """Fetch the passphrase.

    Raises:
        KeyFileError: it is absent, empty, too long, or its file is open to others.
    """
    if isinstance(source, PassphraseVariable):
        where, value = f"environment variable {source.name}", os.environb.get(source.name.encode(), b"")
    else:
        where, value = str(source.path), _read_line(source.path)
    if not 1 <= len(value) <= _MAX_PASSPHRASE_BYTES:
        raise KeyFileError(
            where,
            f"expected a passphrase of 1 to {_MAX_PASSPHRASE_BYTES} bytes, got {len(value)}",
            remedy="write one there, for example with `openssl rand -base64 24`",
        )
    return Secret(value)


def _read_line(path: Path) -> bytes:
    check_private(path)
    try:
        return path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise KeyFileError(str(path), f"expected a readable file, got: {error.strerror}") from error


def check_private(path: Path) -> None:
    """Refuse a secret that others than its owner may read or write.

    Raises:
        KeyFileError: no file, or its permissions are too open.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(str(path), f"expected a file, got: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(
            str(path), f"expected permissions 0600, got {mode:04o}", remedy=f"chmod 600 {path}"
        )
