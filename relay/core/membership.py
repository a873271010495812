"""Which committee documents this node knows, what it says of them, and under which it speaks (SPEC 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.decision import Decision
from relay.core.committees import Committees
from relay.core.effects import Effect, Facts, Notice, Page, PageKind, SignStatement
from relay.core.messages import Absence, Accusation, Header, Outcome, Unlanded, Void
from relay.core.types import DecisionId, Identity, Millis

__all__ = ["Membership"]

_ABOUT: Final = (Outcome, Void, Unlanded, Header, Absence, Accusation)
"""What we say of one decision beside our verdict."""
_REMEDY: Final = "this node attests nothing until a committee document names its identity"


@dataclass(slots=True)
class Membership:
    """The documents, and what was told of them in this process; fed by the node."""

    me: Identity
    committees: Committees
    _told_epoch: int = 0
    """The committee epoch that we last said to be in force."""

    def learn(self, document: CommitteeDocument) -> list[Effect]:
        """Take the next committee document; another one of an epoch that is known splits the network."""
        epoch = document.committee_epoch
        known = self.committees.by_epoch(epoch)
        if known is not None and known.raw != document.raw:
            return [Page(PageKind.FORK_EVIDENCE, f"two documents are signed for committee epoch {epoch}")]
        if not self.committees.follows(document):
            return [] if known is not None else [Notice("committee document refused", {"epoch": epoch})]
        self.committees = self.committees.with_next(document)
        told: Facts = {"epoch": epoch, "key_epoch": document.key_epoch, "activates_at": document.activates_at}
        return [Notice("committee document known", told)]

    def tell(self, now_ms: Millis) -> list[Effect]:
        """Say which committee is in force when that changes, and whether we are in it."""
        committee = self.committees.in_force(now_ms // 1_000)
        epoch = committee.committee_epoch
        if self._told_epoch == epoch:
            return []
        self._told_epoch = epoch
        told: list[Effect] = [Notice("committee in force", {"epoch": epoch})]
        if committee.member(self.me) is None:
            told.append(Notice("not a member", {"epoch": epoch, "remedy": _REMEDY}))
        return told

    def in_our_name(
        self, effects: Iterable[Effect], decision_of: Callable[[DecisionId], Decision | None]
    ) -> Iterator[Effect]:
        """Put words on decisions under the document of their time; drop what is not ours to say.

        `decision_of` gives a decision that is known.
        """
        for effect in effects:
            if not isinstance(effect, SignStatement) or not isinstance(effect.message, _ABOUT):
                yield effect
                continue
            decision = decision_of(effect.message.decision_id)
            document = None if decision is None else self.committees.of(decision)
            if document is None:
                yield effect
            elif document.member(self.me) is not None:
                yield replace(effect, committee_epoch=document.committee_epoch)
