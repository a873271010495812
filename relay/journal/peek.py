"""Looking into a node's journal from outside, also while the node runs: nothing is written or locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from relay.core.errors import JournalError

__all__ = ["JournalPeek"]

_DIGEST_CHARACTERS: Final = 64
_HEAD_BYTES: Final = 16
"""An event begins with an array's head and the name of its kind."""
_PATIENCE_S: Final = 10.0


class JournalPeek:
    """A journal opened for reading alone."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open the journal at `path`.

        Raises:
            JournalError: there is none, or it cannot be read.
        """
        if not path.is_file():
            raise JournalError(f"{path}: expected a node's journal, got none")
        try:
            # SECURITY: SQLite itself refuses to write: the node's file stays as it is.
            address = f"file:{quote(str(path))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_S)) as connection:
                yield cls(connection, path)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: expected a journal that can be read, got: {error}") from error

    def envelopes(self, prefix: str, most: int) -> tuple[bytes, ...]:
        """Give the envelopes whose digest begins with these lower-case hexadecimal digits, at most `most`."""
        low, high = (bytes.fromhex(prefix.ljust(_DIGEST_CHARACTERS, end)) for end in "0f")
        query = "SELECT bytes FROM envelope WHERE digest BETWEEN ? AND ? LIMIT ?"
        return tuple(raw for (raw,) in self._connection.execute(query, (low, high, most)))

    def events(self, kinds: Sequence[str]) -> Iterator[bytes]:
        """Give the journal's bytes of the events of some kinds, which stand whole, in order."""
        names = " OR ".join("instr(substr(bytes, 1, ?), ?) > 0" for _ in kinds)
        values = [value for kind in kinds for value in (_HEAD_BYTES, kind.encode())]
        query = f"SELECT bytes FROM event WHERE number IS NULL AND ({names}) ORDER BY seq"  # noqa: S608
        for (event,) in self._connection.execute(query, values):
            yield event
