"""Files that are whole or absent, whatever happens to the machine between."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.core.errors import ConfigError

__all__ = [
    "Probe",
    "create_file",
    "erase_file",
    "lock_file",
    "make_directory",
    "no_probe",
    "replace_file",
    "sweep_erased",
    "sync_directory",
]

_ERASING = ".erasing"
_MAKING = ".tmp"
_ZEROS = bytes(4_096)
Probe = Callable[[str], None]
"""Told each durable step as it is reached, on the thread that takes it. What it raises counts as a failure of
the disk: so tests fail a write before and after it is stored.
"""


def no_probe(_step: str) -> None:
    """Watch nothing."""


def create_file(path: Path, content: bytes, *, mode: int = 0o600, probe: Probe = no_probe) -> None:
    """Write a new file, whole or not at all, durably; never over an old one.

    Raises:
        FileExistsError: there is one.
        OSError: the disk refuses.
    """
    temporary = _temporary(path)
    try:
        _write(temporary, content, mode)
        probe(f"before link {path.name}")
        os.link(temporary, path)  # unlike a rename, this never replaces
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
    probe(f"after link {path.name}")


def replace_file(path: Path, content: bytes, *, mode: int = 0o644, probe: Probe = no_probe) -> None:
    """Write a file, whole or not at all, durably, in place of the one that may be there.

    Raises:
        OSError: the disk refuses; the old content stands, or already the new one.
    """
    temporary = _temporary(path)
    _write(temporary, content, mode)
    probe(f"before rename {path.name}")
    # DURABLE: the content is fsynced, so the name never points to half of it.
    temporary.replace(path)
    sync_directory(path.parent)
    probe(f"after rename {path.name}")


def erase_file(path: Path, *, probe: Probe = no_probe) -> None:
    """Overwrite a file, then remove it, durably; one that is not there is erased already.

    As far as Python and a file system go: a copy-on-write or flash disk may keep what was there.

    Raises:
        OSError: the disk refuses; the file has its name, or `sweep_erased` finishes what was begun.
    """
    condemned = path.with_name(f".{path.name}{_ERASING}")
    try:
        # DURABLE: the name goes first, so that a crash leaves no file that is half of zeros under it.
        path.rename(condemned)
    except FileNotFoundError:
        return
    sync_directory(path.parent)
    probe(f"condemned {path.name}")
    _overwrite(condemned)
    probe(f"overwritten {path.name}")
    condemned.unlink()
    sync_directory(path.parent)


def sweep_erased(directory: Path) -> None:
    """Finish the erasures below `directory` that a crash has interrupted, and remove what it left half made.

    For a directory of secrets that this process alone writes to.

    Raises:
        OSError: the disk refuses.
    """
    for left in sorted((*directory.rglob(f".*{_ERASING}"), *directory.rglob(f".*{_MAKING}"))):
        if left.stat().st_nlink == 1:  # else the file was made, and this is its other name
            _overwrite(left)
        left.unlink()
        sync_directory(left.parent)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(_ZEROS[:left])
        file.flush()
        os.fsync(file.fileno())


def make_directory(directory: Path) -> None:
    """Create a directory and those above it, durably; one that is there stays as it is.

    Raises:
        OSError: the disk refuses.
    """
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and new names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold `path` for this process alone, by a lock that ends with the process; the file holds its pid.

    Raises:
        ConfigError: another holder lives; it is named.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise ConfigError(
                str(path),
                f"expected no other process here, got pid {holder or 'unknown'}",
                remedy="stop that process, or give this one a home of its own",
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{_MAKING}")


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # left by a crash of a process of the same number
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
