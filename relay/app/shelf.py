"""Records of a bundle that a liar may flood: in which order they have room, and how much (proofs SPEC 9)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.bundle import BundleRecord
from proofs.envelope import Envelope
from proofs.statements import OutcomeStatement
from proofs.text import base64_text
from relay.core.types import Digest, Identity
from relay.journal import AuditLog

__all__ = ["Allowance", "Shelf", "Voice", "first_voices"]

MAX_BYTES: Final = 4 << 20
"""Of one shelf in the file of a bundle, proofs included: a quarter of what it may be."""


class Allowance:
    """The bytes of the file that each of `members` may still fill with records of one shelf."""

    def __init__(self, members: int) -> None:
        self._share = MAX_BYTES // max(1, members)
        self._spent: Counter[Identity] = Counter()

    def takes(self, author: Identity, length: int) -> bool:
        """Tell whether `length` bytes have room in the author's share, and take that."""
        if self._spent[author] + length > self._share:
            return False
        self._spent[author] += length
        return True


class Shelf:
    """Records with their proofs, as they were put there: published ones, as many as have room."""

    def __init__(self, audit: AuditLog, first: int, allowance: Allowance | None) -> None:
        """`first` is the number of the first record; without `allowance` all share what room there is."""
        self._audit = audit
        self._first = first
        self._allowance = allowance
        self._room = MAX_BYTES
        self.numbers: dict[Digest, int] = {}
        self.records: list[BundleRecord] = []

    async def put(self, envelopes: Sequence[Envelope]) -> tuple[int, ...]:
        """Give the numbers of those envelopes that are published, have room, and were not put here before."""
        numbers: list[int] = []
        for envelope in envelopes:
            if envelope.digest in self.numbers:
                continue
            try:
                record = BundleRecord(envelope.raw, await self._audit.tlog_proof(envelope.digest))
            except KeyError:
                continue
            if not self._takes(envelope.author, record):
                continue
            number = self.numbers[envelope.digest] = self._first + len(self.records)
            numbers.append(number)
            self.records.append(record)
        return tuple(numbers)

    def _takes(self, author: Identity, record: BundleRecord) -> bool:
        length = len(base64_text(record.envelope)) + len(json.dumps(record.tlog_proof))
        if self._allowance is not None:
            return self._allowance.takes(author, length)
        self._room -= length
        return self._room >= 0


@dataclass(frozen=True, slots=True)
class Voice:
    """A member's word on an effect; `order` ascends from those that have room first."""

    order: tuple[bool, bool, int, Digest]
    envelope: Envelope


def first_voices(said: Iterable[tuple[OutcomeStatement, Envelope]], f: int) -> Iterator[Voice]:
    """Give the words on effects of one decision: what more than f members say goes first.

    Of each such effect the words of f + 1 members precede the others'. So f liars take no place of what the
    others saw.
    """
    voices: dict[OutcomeStatement, dict[Identity, list[Envelope]]] = {}
    for statement, envelope in said:
        voices.setdefault(statement, {}).setdefault(envelope.author, []).append(envelope)
    for authors in voices.values():
        for number, author in enumerate(sorted(authors)):
            for again, envelope in enumerate(authors[author]):
                is_more = number > f or again > 0
                order = (len(authors) <= f, is_more, -len(authors), envelope.digest)
                yield Voice(order, envelope)
