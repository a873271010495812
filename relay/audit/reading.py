"""A log out of a source, as `proofs.logreading` reads it (`proofs/SPEC.md` 14), and held against its past."""

from __future__ import annotations

from collections.abc import Iterator

from proofs.checkpoint import Checkpoint
from proofs.logreading import LogReader, ReadFile, missing_file, open_log
from proofs.tiles import TileError, parse_tile_path
from proofs.tree import TreeError
from relay.audit.sources import Source, SourceMissing, SourceOverflow, tile_limit

__all__ = ["LogReading", "contradiction", "files_of", "signed_contradiction"]


class LogReading:
    """One log of a source, under a checkpoint whose signature the caller has checked; nothing is asked yet.

    Every method that reads raises what `proofs.logreading` does (`log-missing`, `log-root`, `tile-content`),
    and `SourceError` where the source is silent or refused. One thread at a time.
    """

    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._source = source
        self._log: LogReader | None = None

    @property
    def size(self) -> int:
        """Entries of the log."""
        return self.checkpoint.size

    def log(self) -> LogReader:
        """Give the reader, opened once: its newest tiles are read and lead to the checkpoint's root."""
        if self._log is None:
            self._log = open_log(self.checkpoint, files_of(self._source))
        return self._log

    def entries(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Give entries `first` to before `last` with their numbers, a bundle at a time."""
        return self.log().walk(first, last)

    def check_follows(self, older: Checkpoint) -> None:
        """Check that the log of `older` is the beginning of this one.

        Raises:
            TreeError: `tree-consistency`: it is another history.
        """
        self.log().check_start(older)


def files_of(source: Source) -> ReadFile:
    """Give the files of a source to `proofs.logreading.open_log`.

    Raises (the reader):
        LogError: `log-missing`.
        TileError: `tile-content`, it is longer than such a file can be.
        SourceError: it is silent, or refused.
    """

    def read(path: str) -> bytes:
        try:
            return source.read(path, tile_limit(parse_tile_path(path)))
        except SourceMissing as error:
            raise missing_file(path) from error
        except SourceOverflow as error:
            raise TileError("tile-content", f"{path}: {error.problem}") from error

    return read


def signed_contradiction(now: Checkpoint, older: Checkpoint) -> tuple[str, str] | None:
    """Say what two signed checkpoints tell by themselves, as `contradiction` does; nothing is read."""
    if older.size > now.size:
        return "rollback", f"expected {older.size} entries at least, got {now.size}"
    if older.size == now.size and older.root != now.root:
        return "fork", f"expected root {older.root.hex()} at size {older.size}, got {now.root.hex()}"
    return None


def contradiction(log: LogReader, older: Checkpoint) -> tuple[str, str] | None:
    """Say how a log contradicts what it signed before, by name and in words; None if it does not (SPEC 3).

    `rollback`, it was longer; `fork`, it had another root at this size; `inconsistent`, it began otherwise.

    Raises:
        LogError, TileError, SourceError: no proof could be made.
    """
    found = signed_contradiction(log.checkpoint, older)
    if found is not None:
        return found
    try:
        log.check_start(older)
    except TreeError:
        got = log.root(older.size).hex()
        return (
            "inconsistent",
            f"expected root {older.root.hex()} over its first {older.size} entries, got {got}",
        )
    return None
