"""Reading a log from its newest entry back to before an incident; further only where something is missing.

An incident of years ago in a log of millions costs what lies after it, up to a bound; every entry that is
read is checked against the checkpoint, and only those about the incident have their signature checked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.checkpoint import SignedCheckpoint
from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope, UnverifiedEnvelope, parse_envelope, verify_envelope
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from proofs.logreading import LogReader, open_log
from proofs.tiles import TILE_WIDTH
from relay.audit.case import LogRead, Scope
from relay.audit.reading import files_of
from relay.audit.sources import Source
from relay.core.bodies import read_body
from relay.core.committees import Committees
from relay.core.errors import WireError
from relay.core.messages import Equivocation
from relay.core.wire import open_equivocation

__all__ = ["MAX_ENTRIES", "MAX_WORDS", "BackReader", "Read"]

MAX_ENTRIES: Final = 262_144
"""How far back a log is read at most: some 200 MB."""
MAX_WORDS: Final = 512
"""Of one member on one decision, in one log: twice what a node takes (core SPEC 6.5)."""


@dataclass(frozen=True, slots=True)
class Read:
    """Which log is read: its keeper, where from, under which note, and when its state was so (`LogRead`).

    It `is_live` where its node was asked just now; else it is a copy, which may be old.
    """

    source: str
    files: Source
    member: str
    keeper: Identity | None
    note: str
    signed: SignedCheckpoint
    seen_at_s: int | None
    held_by_s: int
    is_live: bool


class BackReader:
    """One log, read in bundles from its end; `documents` tell who is a member."""

    def __init__(self, read: Read, scope: Scope, documents: Sequence[CommitteeDocument]) -> None:
        self.read = read
        self._scope = scope
        self._documents = documents
        self._log: LogReader | None = None
        self._first = read.signed.checkpoint.size
        self._digests: dict[Digest, int] = {}
        self._found: dict[int, Envelope] = {}
        self._words: dict[Identity, int] = {}
        self._strange = 0

    @property
    def result(self) -> LogRead:
        """What was read up to now."""
        return LogRead(
            source=self.read.source,
            member=self.read.member,
            keeper=self.read.keeper,
            note=self.read.note,
            signed=self.read.signed,
            first=self._first,
            digests=self._digests,
            found=dict(sorted(self._found.items())),
            seen_at_s=self.read.seen_at_s,
            held_by_s=self.read.held_by_s,
            strange=self._strange,
        )

    def log(self) -> LogReader:
        """Give the log, its newest tiles checked against the root; errors as `back_to`."""
        if self._log is None:
            self._log = open_log(self.read.signed.checkpoint, files_of(self.read.files))
        return self._log

    def back_to(self, start_ms: int, f: int) -> None:
        """Read back to a bundle that is older than `start_ms` by the word of all its authors but f.

        Raises:
            SourceError, ProofError: the log cannot be read, or is not what its checkpoint says.
        """
        self._back(lambda times: sum(time >= start_ms for time in times.values()) <= f and len(times) > f)

    def until_found(self, missing: Collection[Digest]) -> None:
        """Read further back until all of `missing` are found, or there is no more; errors as `back_to`."""
        self._back(lambda _times: all(digest in self._digests for digest in missing))

    def _back(self, is_enough: Callable[[dict[Identity, int]], bool]) -> None:
        log, size = self.log(), self.read.signed.checkpoint.size
        while self._first > max(0, size - MAX_ENTRIES):
            start = (self._first - 1) // TILE_WIDTH * TILE_WIDTH
            newest: dict[Identity, int] = {}
            for index, raw in log.walk(start, self._first):
                self._take(index, raw, newest)
            self._first = start
            if is_enough(newest):
                return

    def _take(self, index: int, raw: bytes, newest: dict[Identity, int]) -> None:
        digest = sha256(raw)
        self._digests[digest] = index
        try:
            envelope = parse_envelope(raw)
        except ProofError:
            self._strange += 1
            return
        if not self._is_of_a_member(envelope):
            self._strange += 1
            return
        fields = envelope.fields
        newest[fields.author] = max(fields.at_ms, newest.get(fields.author, 0))
        try:
            if self._is_wanted(digest, envelope):
                self._found[index] = verify_envelope(envelope)
        except (ProofError, WireError):
            self._strange += 1

    def _is_wanted(self, digest: Digest, envelope: UnverifiedEnvelope) -> bool:
        """Tell whether an entry is about the incident; one that claims what is not so is strange.

        Raises:
            ProofError, WireError: it is nothing that a node takes.
        """
        fields = envelope.fields
        message = read_body(fields.kind, fields.body)
        if digest in self._scope.records:
            return True
        if not self._scope.holds(message):
            return False
        if isinstance(message, Equivocation):  # SECURITY: whoever logs it may have made it up
            open_equivocation(message, Committees(tuple(self._documents)))
        # SECURITY: a log's keeper writes into it what he wants, and as much of it.
        self._words[fields.author] = self._words.get(fields.author, 0) + 1
        if self._words[fields.author] > MAX_WORDS * len(self._scope.decisions):
            raise WireError("malformed", f"expected {MAX_WORDS} words of a member on a decision at most")
        return True

    def _is_of_a_member(self, envelope: UnverifiedEnvelope) -> bool:
        fields = envelope.fields
        if fields.network != self._scope.network or fields.committee_epoch > len(self._documents):
            return False
        return self._documents[fields.committee_epoch - 1].member(fields.author) is not None
