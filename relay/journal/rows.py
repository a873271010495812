"""The journal's tables (SPEC 7.1): what an append puts into them, and where the audit log is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from proofs.envelope import MAX_ENVELOPE_BYTES
from relay.core.errors import JournalError
from relay.core.types import EnvelopeDigest, Millis

__all__ = [
    "TABLES",
    "Append",
    "Ends",
    "LogEntry",
    "Stored",
    "StoredEnvelope",
    "entries_between",
    "index_of",
    "indices_of",
    "insert",
    "put_held_last",
    "released",
]

TABLES = (
    # An event that brought a new envelope is stored without it: `number` is the envelope's, which goes back
    # in at byte `at`. Both are null for an event that stands whole.
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, number INTEGER, at INTEGER) STRICT",
    # `log_index` counts from 0 and is null for what is no entry of the audit log.
    "CREATE TABLE envelope (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL,"
    " expires_at_ms INTEGER NOT NULL, log_index INTEGER) STRICT",
    "CREATE TABLE log_entry (log_index INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT",
    # Entries that may not be published yet; what is published before them takes their places.
    "CREATE TABLE held_entry (log_index INTEGER PRIMARY KEY) STRICT",
)


class LogEntry(StrEnum):
    """What an envelope is to the audit log (SPEC 3, 7.3)."""

    NONE = "no entry"
    HELD = "entry, released later"
    RELEASED = "entry, may be published at once"


@dataclass(frozen=True, slots=True)
class StoredEnvelope:
    """An envelope to keep: its bytes as they came, its digest, and until when anti-entropy offers it.

    `in_event` is the place, among the events that are appended with it, of the one that holds these bytes;
    they are then stored once for both.
    """

    raw: bytes
    digest: EnvelopeDigest
    expires_at_ms: Millis
    log_entry: LogEntry = LogEntry.NONE
    in_event: int | None = None

    def __post_init__(self) -> None:
        assert len(self.raw) <= MAX_ENVELOPE_BYTES, "an envelope was measured when it was parsed"
        assert len(self.digest) == 32, "a digest is SHA-256"


Append = tuple[Sequence[bytes], Sequence[StoredEnvelope]]
"""Events, and the envelopes they brought."""
Stored = tuple[int, int, list[tuple[EnvelopeDigest, Millis]]]
"""The number of the first event, the size of the log after it, and the envelopes that were new: what each is
called and when it expires.
"""


@dataclass(frozen=True, slots=True)
class Ends:
    """What comes next: the number of an event (from 1), of an envelope (from 1), of a log entry (from 0)."""

    seq: int
    number: int
    index: int


class _Known:
    """Envelopes that are there already: on disk, or in rows that are still to be written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._found: dict[EnvelopeDigest, tuple[int, bool] | None] = {}

    def find(self, digest: EnvelopeDigest) -> tuple[int, bool] | None:
        """Give number, and whether it is a log entry; None if there is none."""
        if digest not in self._found:
            query = "SELECT number, log_index IS NOT NULL FROM envelope WHERE digest = ?"
            row = self._connection.execute(query, (digest,)).fetchone()
            self._found[digest] = None if row is None else (row[0], bool(row[1]))
        return self._found[digest]

    def note(self, digest: EnvelopeDigest, number: int, *, is_entry: bool) -> None:
        self._found[digest] = (number, is_entry)


class _Rows:
    """Rows of some appends, by table."""

    def __init__(self, ends: Ends, known: _Known | None) -> None:
        self._seq, self._number, self._index = ends.seq, ends.number, ends.index
        self._known = known
        self._events: list[tuple[int, bytes, int | None, int | None]] = []
        self._envelopes: list[tuple[int, EnvelopeDigest, bytes, Millis, int | None]] = []
        self._entries: list[tuple[int, int]] = []
        self._held: list[tuple[int]] = []
        self._entered: list[tuple[int, int]] = []

    @property
    def ends(self) -> Ends:
        return Ends(self._seq, self._number, self._index)

    def add(self, append: Append) -> Stored:
        events, envelopes = append
        first = self._seq
        new: list[tuple[EnvelopeDigest, Millis]] = []
        brought: dict[int, tuple[bytes, int]] = {}
        for envelope in envelopes:
            number = self._add_envelope(envelope)
            if number is None:
                continue
            new.append((envelope.digest, envelope.expires_at_ms))
            if envelope.in_event is not None:
                brought[envelope.in_event] = (envelope.raw, number)
        for place, event in enumerate(events):
            raw, number = brought.get(place, (b"", None))
            at = event.find(raw) if number is not None else -1
            row = (event, None, None) if at < 0 else (event[:at] + event[at + len(raw) :], number, at)
            self._events.append((first + place, *row))
        self._seq += len(events)
        return first, self._index, new

    def _add_envelope(self, envelope: StoredEnvelope) -> int | None:
        """Give the number of a new envelope; None of one that is there, which may become an entry now."""
        is_entry = envelope.log_entry is not LogEntry.NONE
        found = self._known.find(envelope.digest) if self._known else None
        if found is not None:
            number, was_entry = found
            if is_entry and not was_entry:
                self._entered.append((self._enter(envelope.log_entry, number), number))
                self._note(envelope.digest, number, is_entry=True)
            return None
        number = self._number
        self._number += 1
        index = self._enter(envelope.log_entry, number) if is_entry else None
        self._envelopes.append((number, envelope.digest, envelope.raw, envelope.expires_at_ms, index))
        self._note(envelope.digest, number, is_entry=is_entry)
        return number

    def _note(self, digest: EnvelopeDigest, number: int, *, is_entry: bool) -> None:
        if self._known is not None:
            self._known.note(digest, number, is_entry=is_entry)

    def _enter(self, entry: LogEntry, number: int) -> int:
        index = self._index
        self._index += 1
        self._entries.append((index, number))
        if entry is LogEntry.HELD:
            self._held.append((index,))
        return index

    def insert(self, connection: sqlite3.Connection) -> None:
        """Write the rows; envelopes first, so that nothing else is there when one of them is refused."""
        for statement, rows in (
            ("INSERT INTO envelope VALUES (?, ?, ?, ?, ?)", self._envelopes),
            ("UPDATE envelope SET log_index = ? WHERE number = ?", self._entered),
            ("INSERT INTO event VALUES (?, ?, ?, ?)", self._events),
            ("INSERT INTO log_entry VALUES (?, ?)", self._entries),
            ("INSERT INTO held_entry VALUES (?)", self._held),
        ):
            if rows:
                connection.executemany(statement, rows)


def insert(
    connection: sqlite3.Connection, ends: Ends, appends: Sequence[Append]
) -> tuple[list[Stored], Ends]:
    """Write appends within a transaction, in order; gives what became of each, and what comes next.

    They are taken for new first. An envelope that is there already shows itself in the index: then each is
    looked for. It stays as it is, with its place in the log; if it had none it may get one.
    """
    rows = _Rows(ends, None)
    stored = [rows.add(append) for append in appends]
    try:
        rows.insert(connection)
    except sqlite3.IntegrityError:
        connection.execute("DELETE FROM envelope WHERE number >= ?", (ends.number,))
        rows = _Rows(ends, _Known(connection))
        stored = [rows.add(append) for append in appends]
        rows.insert(connection)
    return stored, rows.ends


def released(connection: sqlite3.Connection) -> tuple[int, int]:
    """Give how many entries are releasable, and the place of the first that is not."""
    size, held, first_held = connection.execute(
        "SELECT (SELECT coalesce(max(log_index) + 1, 0) FROM log_entry), count(*), min(log_index)"
        " FROM held_entry"
    ).fetchone()
    return size - held, size if first_held is None else first_held


def put_held_last(connection: sqlite3.Connection) -> None:
    """Give the entries from the first held one on their places anew: the releasable before the held ones.

    Nothing of them was signed: what is signed ends before the first held one. Where nothing is held any more
    (what was, has been released since it was counted) all stay where they are.
    """
    rows = connection.execute(
        "SELECT log_index, number, log_index IN (SELECT log_index FROM held_entry) FROM log_entry"
        " WHERE log_index >= (SELECT min(log_index) FROM held_entry) ORDER BY 3, 1"
    ).fetchall()
    if not rows:
        return
    first = min(place for place, _, _ in rows)
    placed = [(first + shift, number, is_held) for shift, (_, number, is_held) in enumerate(rows)]
    for table in ("log_entry", "held_entry"):
        connection.execute(f"DELETE FROM {table} WHERE log_index >= ?", (first,))  # noqa: S608 - our own names
    connection.executemany("INSERT INTO log_entry VALUES (?, ?)", [row[:2] for row in placed])
    held = [(place,) for place, _, is_held in placed if is_held]
    connection.executemany("INSERT INTO held_entry VALUES (?)", held)
    connection.executemany("UPDATE envelope SET log_index = ? WHERE number = ?", [row[:2] for row in placed])


def entries_between(connection: sqlite3.Connection, first: int, last: int) -> tuple[bytes, ...]:
    """Give the log entries from `first` on, up to before `last`.

    Raises:
        JournalError: they are not all there: the file was altered.
    """
    rows = connection.execute(
        "SELECT bytes FROM log_entry JOIN envelope USING (number) WHERE log_entry.log_index >= ?"
        " AND log_entry.log_index < ? ORDER BY log_entry.log_index",
        (first, last),
    ).fetchall()
    if len(rows) != last - first:
        raise JournalError(f"expected log entries {first} to {last - 1} in the journal, got {len(rows)}")
    return tuple(entry for (entry,) in rows)


def index_of(connection: sqlite3.Connection, digest: EnvelopeDigest) -> int | None:
    """Give the place of an envelope in the log, or None if it is no entry."""
    row = connection.execute("SELECT log_index FROM envelope WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else row[0]


def indices_of(connection: sqlite3.Connection, digests: Sequence[EnvelopeDigest]) -> list[int | None]:
    """Give the places of envelopes in the log, as `index_of`."""
    return [index_of(connection, digest) for digest in digests]
