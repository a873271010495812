"""Which logs are witnessed, under which keys, and whose cosignatures publish (SPEC 1, 2).

All of it is read from the committee documents that a node knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from proofs.committee import CommitteeDocument, cosigner_key, full_quorum, log_key
from proofs.kinds import Identity
from proofs.note import VerifierKey

__all__ = [
    "MAX_ORIGINS",
    "Quorum",
    "logs_of",
    "names_of_cosigner",
    "quorum_of",
    "remembered",
    "witnessed_logs",
]

T = TypeVar("T")

MAX_ORIGINS: Final = 512


@dataclass(frozen=True, slots=True)
class Quorum:
    """`threshold` of the `cosigners` of one committee document must stand behind what is published."""

    threshold: int
    cosigners: Mapping[VerifierKey, Identity]
    """The members' cosigner keys, in the document's order, and whose they are."""

    def is_reached(self, keys: Sequence[VerifierKey]) -> bool:
        """Tell whether so many of these keys count."""
        return len(self.cosigners.keys() & set(keys)) >= self.threshold


def remembered(
    make: Callable[[Sequence[CommitteeDocument]], T],
) -> Callable[[Sequence[CommitteeDocument]], T]:
    """Give `make`, which then works once for as long as it is asked about the very same documents.

    Every note that somebody shows is looked up; hashing the keys of a long chain of large committees for each
    would cost more than the signatures on it.
    """
    known: list[tuple[Sequence[CommitteeDocument], T]] = []

    def give(documents: Sequence[CommitteeDocument]) -> T:
        if not known or known[0][0] is not documents:
            known[:] = [(documents, make(documents))]
        return known[0][1]

    return give


def witnessed_logs(documents: Sequence[CommitteeDocument]) -> dict[str, tuple[VerifierKey, ...]]:
    """Give the log keys by origin, of each member of each document; of too many origins the newest."""
    logs: dict[str, tuple[VerifierKey, ...]] = {}
    for document in documents:
        for member in document.members:
            key = log_key(document, member)
            known = logs.pop(key.name, ())
            logs[key.name] = known if key in known else (*known, key)
    return dict(list(logs.items())[-MAX_ORIGINS:])


def logs_of(documents: Sequence[CommitteeDocument]) -> dict[VerifierKey, Identity]:
    """Give whose log has which key, over all documents."""
    return {
        log_key(document, member): member.identity for document in documents for member in document.members
    }


def names_of_cosigner(
    documents: Sequence[CommitteeDocument], identity: Identity, cosigner: bytes
) -> tuple[VerifierKey, ...]:
    """Give the names under which a member cosigns: one, unless documents name it otherwise."""
    named = (
        cosigner_key(document, member)
        for document in documents
        for member in document.members
        if (member.identity, member.cosigner) == (identity, cosigner)
    )
    return tuple(dict.fromkeys(named))


def quorum_of(document: CommitteeDocument) -> Quorum:
    """Give k = ⌊(n+f)/2⌋+1 of a document's n cosigners (`proofs/SPEC.md` 12.2)."""
    cosigners = {cosigner_key(document, member): member.identity for member in document.members}
    return Quorum(full_quorum(len(document.members)), cosigners)
