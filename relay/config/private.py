"""Secret lines out of files that nobody else can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from relay.core.errors import ConfigError

MAX_SECRET_BYTES = 4_096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private_line(path: Path, *, where: str) -> str:
    """Read the single line of a private file; `where` names the file and key that point to it.

    Raises:
        ConfigError: it is missing, no regular file, open to others, empty, too long, or of several lines.
    """
    try:
        # Not blocking: a named pipe without a writer would hold the node up for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            # SECURITY: the file that is read is the file that is checked, also if its name moves meanwhile.
            status = os.fstat(file.fileno())
            raw = file.read(MAX_SECRET_BYTES + 1) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise ConfigError(where, f"expected a readable file at {path}, got: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(where, f"expected a regular file at {path}, got another kind")
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            where, f"expected {path} open to its owner alone, got mode {mode:03o}", remedy=f"chmod 600 {path}"
        )
    if len(raw) > MAX_SECRET_BYTES:
        raise ConfigError(where, f"expected at most {MAX_SECRET_BYTES} bytes in {path}, got more")
    try:
        text = raw.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigError(where, f"expected UTF-8 in {path}, got other bytes") from error
    if not text.strip() or not text.isprintable():
        raise ConfigError(where, f"expected one line in {path}, got {'several' if text.strip() else 'none'}")
    return text


__all__ = ["MAX_SECRET_BYTES", "read_private_line"]
