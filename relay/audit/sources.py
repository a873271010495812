"""Where the files of a log come from: a web server or a folder, bounded and believed nothing (SPEC head)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from proofs.note import MAX_NOTE_BYTES
from proofs.tiles import ENTRIES, MAX_ENTRY_BYTES, TILE_WIDTH, Tile
from proofs.tree import HASH_BYTES
from relay.core.errors import ConfigError, TocsinError

__all__ = [
    "CHECKPOINT",
    "MAX_ANSWER_BYTES",
    "MAX_NOTE_FILE_BYTES",
    "FolderSource",
    "Source",
    "SourceError",
    "SourceMissing",
    "SourceOverflow",
    "SourceRefused",
    "SourceSilent",
    "check_path",
    "closed_on_failure",
    "read_checkpoint",
    "tile_limit",
]

CHECKPOINT = "checkpoint"
MAX_ANSWER_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
"""The largest file of a log: a full bundle of the longest entries, 16.8 MB."""
MAX_NOTE_FILE_BYTES = 4 * MAX_NOTE_BYTES
"""A note is bounded in characters, of four bytes at most."""
_PATH = re.compile(r"checkpoint|tile/(?:entries|[0-9]{1,2})(?:/x[0-9]{3})*/[0-9]{3}(?:\.p/[0-9]{1,3})?")
"""All that a log has; nothing else is ever asked for, so that no path leads elsewhere."""


class SourceError(TocsinError):
    """A source did not give a file. `source` and `path` say which, `problem` what came."""

    def __init__(self, source: str, path: str, problem: str) -> None:
        super().__init__(f"{source}: {path}: {problem}")
        self.source = source
        self.path = path
        self.problem = problem


class SourceSilent(SourceError):
    """No answer, not in time, broken off, or that it cannot now: it may come when asked later."""


class SourceMissing(SourceError):
    """The source has no such file."""


class SourceRefused(SourceError):
    """What came is not read here: a redirect, too much, another encoding, a link out of a folder."""


class SourceOverflow(SourceRefused):
    """What came is longer than such a file ever is."""


class Source(Protocol):
    """The files of one log, by path; several threads may read at once."""

    @property
    def name(self) -> str:
        """The address or folder, as it was given."""
        ...

    def read(self, path: str, limit_bytes: int) -> bytes:
        """Give the whole file at `path` (`checkpoint`, or what `tile_path` writes), at most `limit_bytes`.

        Raises:
            SourceError: silent, missing or refused.
        """
        ...

    def close(self) -> None:
        """Let go of it; who still reads gets `SourceSilent`."""
        ...


class FolderSource:
    """A folder that holds a log's files: a mirror, or a copy of a node's `log/`."""

    def __init__(self, folder: Path) -> None:
        """Take `folder`.

        Raises:
            ConfigError: there is none.
        """
        if not folder.is_dir():
            raise ConfigError(
                str(folder),
                "expected a folder or an address of http:// or https://, got neither",
                remedy="look at the spelling",
            )
        self._folder = folder
        self._root = folder.resolve()

    @property
    def name(self) -> str:
        return str(self._folder)

    def read(self, path: str, limit_bytes: int) -> bytes:
        check_path(path)
        try:
            # SECURITY: links may stand in the folder, and may not lead out of it.
            file = (self._root / path).resolve(strict=True)
            if not file.is_relative_to(self._root):
                raise SourceRefused(self.name, path, "expected a file of this folder, got a link out of it")
            return self._content(file, path, limit_bytes)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceMissing(self.name, path, "expected a file, got none") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            raise SourceRefused(self.name, path, f"expected a file that can be read, got: {error}") from error

    def close(self) -> None:
        """Nothing is held open between reads."""

    def _content(self, file: Path, path: str, limit_bytes: int) -> bytes:
        # A pipe would wait for its writer: it is opened without waiting, and then is no regular file.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceRefused(self.name, path, "expected a regular file, got another")
            content = opened.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise SourceOverflow(self.name, path, f"expected at most {limit_bytes} bytes, got more")
        return content


@contextmanager
def closed_on_failure(*sources: Source) -> Iterator[None]:
    """Close sources before a failure goes on: what other threads still read of them is not waited for."""
    try:
        yield
    except BaseException:
        for source in sources:
            source.close()
        raise


def check_path(path: str) -> None:
    """Hold that `path` names something below a source: what we ask for ourselves always does."""
    assert _PATH.fullmatch(path), path


def read_checkpoint(source: Source) -> str:
    """Give the checkpoint of a source as text, unverified; bytes that are no UTF-8 become U+FFFD.

    Raises:
        SourceError: the source does not give it.
    """
    return source.read(CHECKPOINT, MAX_NOTE_FILE_BYTES).decode(errors="replace")


def tile_limit(tile: Tile) -> int:
    """Give how many bytes the file of a tile has at most."""
    each = 2 + MAX_ENTRY_BYTES if tile.level == ENTRIES else HASH_BYTES
    return tile.width * each
