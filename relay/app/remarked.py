"""What members said beside verdicts and outcomes, kept for bundles: of each so much, whoever floods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from proofs.bundledecision import MAX_STATEMENTS, BundleDecision
from proofs.decision import BlockRef, decision_id
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.ground import Ground
from proofs.mandate import Mandate
from proofs.remarked import MAX_STATEMENTS_OF_ONE, check_statement
from proofs.remarks import Absence, Accusation, Header, Signal
from relay.core.committees import Committees
from relay.core.errors import WireError
from relay.core.messages import Equivocation, Message, Unlanded, Void
from relay.core.types import DecisionId, Digest, Identity, PlanHash
from relay.core.wire import open_equivocation

__all__ = ["Remarks"]

MAX_KEPT: Final = 4_096
"""Statements of one member; its oldest make room for its newest, and never another's."""
MAX_SIGNALS: Final = 256
"""The same of signals, which belong to no decision until a bundle is made."""
MAX_HEADERS: Final = 64
"""Of one member about one decision in a bundle; first those of blocks that most members named."""
SIGNAL_BEFORE_S: Final = 3_600
"""How long before a decision's anchor a signal of its plan belongs to it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A statement, and the decision or plan that it is about; of a header the block too."""

    envelope: Envelope
    about: DecisionId | PlanHash
    block: BlockRef | None = None


class _Store:
    """Statements by what they are about and by member; of each member the newest `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._abouts: dict[Identity, dict[Digest, DecisionId | PlanHash]] = {}
        self._kept: dict[DecisionId | PlanHash, dict[Identity, dict[Digest, _Kept]]] = {}

    def add(self, kept: _Kept) -> None:
        author, digest = kept.envelope.author, kept.envelope.digest
        own = self._abouts.setdefault(author, {})
        own[digest] = kept.about
        self._kept.setdefault(kept.about, {}).setdefault(author, {})[digest] = kept
        if len(own) > self._limit:
            self._drop(author, next(iter(own)))

    def _drop(self, author: Identity, digest: Digest) -> None:
        about = self._abouts[author].pop(digest)
        members = self._kept[about]
        del members[author][digest]
        if not members[author]:
            del members[author]
        if not members:
            del self._kept[about]

    def of(self, about: DecisionId | PlanHash) -> Mapping[Identity, Mapping[Digest, _Kept]]:
        """Give what was said about something, by member, in the order in which it was heard."""
        return self._kept.get(about, {})


class Remarks:
    """Keeps headers, statements and signals, by member."""

    def __init__(self, committees: Callable[[], Committees]) -> None:
        """`committees` gives the documents known now."""
        self._committees = committees
        self._said = _Store(MAX_KEPT)
        self._signals = _Store(MAX_SIGNALS)

    def heard(self, envelope: Envelope, message: Message) -> None:
        """Keep what a bundle may hold; the node took it before."""
        kept = self._read(envelope, message)
        if kept is not None:
            (self._signals if isinstance(message, Signal) else self._said).add(kept)

    def _read(self, envelope: Envelope, message: Message) -> _Kept | None:
        match message:
            case Header():
                return _Kept(envelope, message.decision_id, message.block)
            case Absence() | Accusation() | Void() | Unlanded():
                return _Kept(envelope, message.decision_id)
            case Signal():
                return _Kept(envelope, message.plan_hash)
            case Equivocation():
                try:
                    first, _, _ = open_equivocation(message, self._committees())
                except WireError:
                    return None
                return _Kept(envelope, decision_id(envelope.network, first.decision))
            case _:
                return None

    def headers(self, about: DecisionId, blocks: Mapping[BlockRef, int]) -> list[Envelope]:
        """Give the headers of a decision that are of its outcomes' `blocks`; each has its count of voices."""
        found: list[Envelope] = []
        for own in self._said.of(about).values():
            first: dict[BlockRef, Envelope] = {}
            for kept in own.values():
                if kept.block is not None and kept.block in blocks:
                    first.setdefault(kept.block, kept.envelope)
            wanted = sorted(first, key=lambda block: -blocks[block])[:MAX_HEADERS]
            found += [first[block] for block in wanted]
        return found

    def statements(self, entry: BundleDecision, ground: Ground) -> list[Envelope]:
        """Give what else was said of a decision, as far as a verifier will take it."""
        mandate = entry.mandate
        said, signals = self._said.of(mandate.decision_id), self._signals.of(mandate.plan_hash)
        members = {**said, **signals}
        share = min(MAX_STATEMENTS_OF_ONE, MAX_STATEMENTS // max(1, len(members)))
        found: list[Envelope] = []
        for member in members:
            told = chain(said.get(member, {}).values(), _in_time(signals.get(member, {}).values(), mandate))
            own = (kept.envelope for kept in told if _is_of(kept, entry, ground))
            found += islice(own, share)
        return found


def _in_time(signals: Iterable[_Kept], mandate: Mandate) -> Iterator[_Kept]:
    begin, end = mandate.not_before - SIGNAL_BEFORE_S, mandate.not_after
    return (kept for kept in signals if begin <= kept.envelope.at_ms // 1_000 <= end)


def _is_of(kept: _Kept, entry: BundleDecision, ground: Ground) -> bool:
    """Tell whether a verifier will take it: one liar's odd word must not cost the bundle."""
    if kept.block is not None:
        return False
    try:
        ground.check_author(kept.envelope)
        check_statement(kept.envelope, entry, ground)
    except ProofError:
        return False
    return True
