"""Keys of reporters: outsiders whom a protocol trusts, and monitors (plans SPEC 1.6)."""

from __future__ import annotations

from pathlib import Path

from nacl.signing import SigningKey

from proofs.reports import Report, Subject, report_signing_bytes
from relay.core.errors import KeyFileError
from relay.disk import create_file
from relay.keys.secret import Secret, check_private

__all__ = ["ReporterKey", "create_reporter_key", "open_reporter_key"]

_HEAD = "tocsin-reporter-key/1:"
_SEED_BYTES = 32
_MAX_FILE_BYTES = 256


class ReporterKey:
    """An Ed25519 key that signs subjects and nothing else."""

    def __init__(self, seed: Secret) -> None:
        self._key = SigningKey(seed.reveal())

    @property
    def public(self) -> bytes:
        """The 32 bytes that a plan names."""
        return bytes(self._key.verify_key)

    @property
    def name(self) -> str:
        """The key as plans write it."""
        return f"ed25519:{self.public.hex()}"

    def sign(self, subject: Subject) -> Report:
        """Sign a subject."""
        signature = self._key.sign(report_signing_bytes(subject)).signature
        return Report(subject, self.public, bytes(signature))

    def __repr__(self) -> str:
        return f"ReporterKey({self.name})"


def create_reporter_key(path: Path) -> ReporterKey:
    """Make a key and write it to a new file that its owner alone can read; never over an old one.

    Raises:
        KeyFileError: there is a file, or the disk refuses.
    """
    seed = bytes(SigningKey.generate())
    try:
        create_file(path, f"{_HEAD}{seed.hex()}\n".encode())
    except FileExistsError as error:
        raise KeyFileError(str(path), "expected no file yet, got one") from error
    except OSError as error:
        raise KeyFileError(str(path), f"expected to write a file, got: {error.strerror}") from error
    return ReporterKey(Secret(seed))


def open_reporter_key(path: Path) -> ReporterKey:
    """Read such a file.

    Raises:
        KeyFileError: it is missing, open to others, or no reporter's key.
    """
    check_private(path)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1).decode("ascii").strip()
    except OSError as error:
        raise KeyFileError(str(path), f"expected a readable file, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(str(path), "expected a reporter's key, got other bytes") from error
    try:
        seed = bytes.fromhex(text.removeprefix(_HEAD))
    except ValueError:
        seed = b""
    if not text.startswith(_HEAD) or len(seed) != _SEED_BYTES:
        raise KeyFileError(
            str(path), "expected a reporter's key, got another file", remedy="make one: tocsin signal keygen"
        )
    return ReporterKey(Secret(seed))
