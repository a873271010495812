"""When the audit log may publish what was said of a decision, and who has said nothing (SPEC 3, 7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from proofs.remarks import Absence
from relay.core.book import Book
from relay.core.decisions import Prepared
from relay.core.effects import Effect, Releasable, SignStatement
from relay.core.entries import Entry
from relay.core.late import judges
from relay.core.types import Digest, Identity

__all__ = ["MERGE_DELAY_S", "absences", "release", "wait_anew"]

MERGE_DELAY_S: Final = 60
"""Within it what one member has logged stands in the logs of all (SPEC 7.3)."""


def release(
    entries: Iterable[Entry], now_s: Mapping[str, int], is_spent: Callable[[Prepared], bool]
) -> list[Effect]:
    """Release what was logged of decisions whose mandates can change nothing any more, once each.

    `now_s` gives each chain's newest time, `is_spent` tells of a mandate that was carried out.
    """
    digests: list[Digest] = []
    for entry in entries:
        if entry.logged and _is_released(entry, now_s, is_spent):
            digests += sorted(entry.logged)
            entry.logged.clear()
    return [Releasable(tuple(digests))] if digests else []


def absences(book: Book, now_s: Mapping[str, int], is_spent: Callable[[Prepared], bool]) -> list[Effect]:
    """Say of each certified decision that stands, once, who has given no verdict on it.

    Not before its release, and not before `MERGE_DELAY_S` have passed since we saw the certificate, or since
    our start if that was later: who comes back after an outage hears the others first. `now_s` leaves out
    chains of which there is no news since our start.
    """
    said: list[Effect] = []
    for entry in book.entries.values():
        if entry.tally.certificate is None or entry.void or entry.is_absence_told:
            continue
        newest_s = now_s.get(entry.tally.prepared.decision.anchor.chain)
        if newest_s is None:
            continue
        if entry.certified_s is None:
            entry.certified_s = newest_s
        if newest_s - entry.certified_s < MERGE_DELAY_S or not _is_released(entry, now_s, is_spent):
            continue
        entry.is_absence_told = True
        absent = _absent(book, entry)
        if absent:
            said.append(SignStatement(Absence(entry.tally.prepared.id, absent)))
    return said


def wait_anew(entries: Iterable[Entry]) -> None:
    """Give members the whole `MERGE_DELAY_S` again, at our start: what they said meanwhile is on its way."""
    for entry in entries:
        entry.certified_s = None


def _is_released(entry: Entry, now_s: Mapping[str, int], is_spent: Callable[[Prepared], bool]) -> bool:
    prepared = entry.tally.prepared
    over = now_s.get(prepared.decision.anchor.chain, 0) > prepared.mandate.not_after
    # SECURITY: gateways know no anchors: a void decision's mandate stays usable until it is over.
    return over or is_spent(prepared)


def _absent(book: Book, entry: Entry) -> tuple[Identity, ...]:
    """Give the members without attestation or dissent, however they state the anchor; not liars caught."""
    prepared = entry.tally.prepared
    about = (prepared.id, prepared.decision.key_epoch)
    stated = (*book.entries.about(about), *book.late.about(about))
    heard = {member for each in stated for member in judges(each)}
    members = (member.identity for member in book.committee_of(prepared).members)
    return tuple(
        sorted(each for each in members if each not in heard and not book.has_convicted(each, about))
    )
