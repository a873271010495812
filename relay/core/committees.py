"""The chain of committee documents that a node knows, and which of them decides what (SPEC 2.4).

Pure, and only ever longer: a document becomes known by an event of the journal, so that a replay judges each
message by what was known then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.decision import Decision
from relay.core.types import Identity, NetworkId

__all__ = ["LASTING_S", "WORDS_S", "Committees"]

LASTING_S: Final = 21_600 + 1_800
"""For how long a mandate can live where no plan says more: a full one's life, and a slot."""
WORDS_S: Final = 30 * 86_400
"""For how long words on decisions are opened after the epoch that they name: as decisions are kept."""


@dataclass(frozen=True, slots=True)
class Committees:
    """Documents in ascending order of epoch, without a gap; signatures were checked by whoever read them.

    `lasting_s` is how long what was decided under a document may still be carried out after its successor's
    activation. Times are seconds: chain time where a decision is judged, our clock where a process is.
    """

    documents: tuple[CommitteeDocument, ...]
    lasting_s: int = LASTING_S

    @property
    def network(self) -> NetworkId:
        """The network that all of them belong to."""
        return self.documents[0].network

    @property
    def newest(self) -> CommitteeDocument:
        """The newest known document, in force or announced."""
        return self.documents[-1]

    def follows(self, document: CommitteeDocument) -> bool:
        """Tell whether `document` is the next of this network's chain."""
        is_next = document.committee_epoch == self.newest.committee_epoch + 1
        return is_next and document.network == self.network

    def with_next(self, document: CommitteeDocument) -> Committees:
        """Give the chain with `document` at its end.

        Raises:
            AssertionError: it does not follow.
        """
        assert self.follows(document), f"expected epoch {self.newest.committee_epoch + 1} of this network"
        return replace(self, documents=(*self.documents, document))

    # ---- which document

    def by_epoch(self, committee_epoch: int) -> CommitteeDocument | None:
        """Give the document of a committee epoch, if it is known."""
        place = committee_epoch - self.documents[0].committee_epoch
        return self.documents[place] if 0 <= place < len(self.documents) else None

    def by_key_epoch(self, key_epoch: int) -> CommitteeDocument | None:
        """Give the newest document of a key epoch; all of them have the same attesters."""
        found = (document for document in reversed(self.documents) if document.key_epoch == key_epoch)
        return next(found, None)

    def in_force(self, at_s: int) -> CommitteeDocument:
        """Give the newest document that is active at a time; before the first is, the first."""
        active = (document for document in reversed(self.documents) if document.activates_at <= at_s)
        return next(active, self.documents[0])

    def of(self, decision: Decision) -> CommitteeDocument | None:
        """Give the document whose members decide: the one in force at the anchor.

        A document that became known too late leaves decisions of the key epoch before it, which that epoch's
        newest document goes on judging; None where no known document has the decision's key epoch.
        """
        document = self.in_force(decision.anchor.timestamp)
        return document if document.key_epoch == decision.key_epoch else self.by_key_epoch(decision.key_epoch)

    def standing(self, at_s: int) -> tuple[CommitteeDocument, ...]:
        """Give the documents that are not over: in force, announced, or just replaced (`lasting_s`)."""
        return tuple(each for each in self.documents if not self._is_over(each, at_s, self.lasting_s))

    def is_heard(self, document: CommitteeDocument, at_s: int, *, on_decisions: bool) -> bool:
        """Tell whether an envelope of `document`'s epoch is opened; words on decisions are for longer."""
        after_s = WORDS_S if on_decisions else self.lasting_s
        return not self._is_over(document, at_s, after_s)

    def voice_of(self, identity: Identity, at_s: int) -> CommitteeDocument:
        """Give the document under which a member speaks at a time.

        The one in force; for who is not in it, the next that it joins, or the last that it was in.
        """
        now = self.in_force(at_s)
        later = [each for each in self.documents if each.committee_epoch > now.committee_epoch]
        earlier = [each for each in self.documents if each.committee_epoch < now.committee_epoch]
        ranked = (now, *later, *reversed(earlier))
        return next((each for each in ranked if each.member(identity) is not None), now)

    def spoken_under(self, author: Identity, at_s: int, committee_epoch: int | None) -> CommitteeDocument:
        """Give the document to speak under: the one asked for, else the author's own at a time."""
        asked = None if committee_epoch is None else self.by_epoch(committee_epoch)
        return self.voice_of(author, at_s) if asked is None else asked

    def name_of(self, identity: bytes) -> str:
        """Give a member's name by the newest document that names it; empty where none does."""
        found = (each.member(Identity(identity)) for each in reversed(self.documents))
        return next((member.name for member in found if member is not None), "")

    def members(self, at_s: int) -> frozenset[Identity]:
        """Give the members of all documents that are not over."""
        return frozenset(member.identity for each in self.standing(at_s) for member in each.members)

    def _is_over(self, document: CommitteeDocument, at_s: int, after_s: int) -> bool:
        """Tell whether `after_s` have passed since the activation of a document's successor."""
        successor = self.by_epoch(document.committee_epoch + 1)
        return successor is not None and at_s >= successor.activates_at + after_s
