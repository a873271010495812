"""What has been said in a ceremony, and how far it is by that (SPEC 3); `ceremony` adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument, SignedKeys
from proofs.kinds import Digest, Identity
from relay.threshold.checks import Judgement
from relay.threshold.messages import CeremonyMessage, Deal, Join, Transcript
from relay.threshold.terms import Terms, joins_digest, transcript_digest

__all__ = ["Ceremony", "Duty", "Said", "Slot", "Stage", "Step", "Taken"]


class Stage(StrEnum):
    """How far a ceremony is."""

    PROPOSED = "proposed"
    JOINED = "joined"
    DEALT = "dealt"
    SIGNED = "signed"
    DONE = "done"
    FAILED = "failed"


class Step(StrEnum):
    """What a participant says once; a complaint once for each dealer."""

    JOIN = "join"
    DEAL = "deal"
    COMPLAINT = "complaint"
    TRANSCRIPT = "transcript"


class Duty(StrEnum):
    """What a participant is to do next.

    Give its pair keys, if its operator consents; deal; open what is for it, then complain or sign.
    """

    JOIN = "join"
    DEAL = "deal"
    OPEN = "open"


class Taken(StrEnum):
    """What became of an envelope."""

    NEW = "new"
    KNOWN = "known"
    CONTRADICTION = "contradiction"
    """A second, different word of its author: evidence."""
    FOREIGN = "foreign"
    """Of another ceremony, or of somebody who has no such step in this one."""
    SURPLUS = "surplus"
    """A third word of one step: two are evidence enough."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Whose word on what; `about` is the dealer of a complaint."""

    step: Step
    author: Identity
    about: Identity | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A statement, the envelope that holds it, and who is at fault by it.

    `basis` is what it was judged against: None until it can be judged.
    """

    digest: Digest
    envelope: Envelope
    message: CeremonyMessage
    basis: Digest | None = None
    judgement: Judgement | None = None


@dataclass(frozen=True, slots=True)
class Ceremony:
    """All that has been said in one ceremony, at most two different statements in each slot.

    `document` is what the deals give, or what `adopt` brought; `derived_from` is the transcript of the deals
    that were tried, also where they gave none. `is_done` is final.
    """

    terms: Terms
    proposed: Said
    said: Mapping[Slot, tuple[Said, ...]] = field(default_factory=dict, hash=False)
    document: KeysDocument | None = None
    derived_from: Digest | None = None
    adopted: bool = False
    is_done: bool = False

    @property
    def id(self) -> Digest:
        """What every message names it by."""
        return self.terms.id

    def word(self, step: Step, author: Identity) -> Said | None:
        """Give the only statement of `author` in this step; None if it has said nothing or two things."""
        words = self.said.get(Slot(step, author), ())
        return words[0] if len(words) == 1 else None

    def joins(self) -> dict[Identity, Join] | None:
        """Give everybody's join; None while one is missing, doubled or wrong."""
        found = self._clean(Step.JOIN, self.terms.participants)
        if found is None:
            return None
        return {who: said.message for who, said in found.items() if isinstance(said.message, Join)}

    def joins_digest(self) -> Digest | None:
        """Give what deals name the joins by, as soon as `joins` are there."""
        found = self._clean(Step.JOIN, self.terms.participants)
        return None if found is None else joins_digest(_digests(found))

    def deals(self) -> dict[Identity, Deal] | None:
        """Give everybody's deal; None while one is missing, doubled, wrong or over other joins."""
        found = self._clean(Step.DEAL, self.terms.proposal.dealers)
        joins = self.joins_digest()
        if found is None or joins is None:
            return None
        deals = {who: said.message for who, said in found.items() if isinstance(said.message, Deal)}
        return deals if all(deal.joins == joins for deal in deals.values()) else None

    def transcript(self) -> Digest | None:
        """Give what the keys document names this ceremony by, as soon as `deals` are there."""
        joins = self._clean(Step.JOIN, self.terms.participants)
        deals = self._clean(Step.DEAL, self.terms.proposal.dealers)
        if joins is None or deals is None or self.deals() is None:
            return None
        return transcript_digest(self.id, _digests(joins), _digests(deals))

    def _clean(self, step: Step, authors: tuple[Identity, ...]) -> dict[Identity, Said] | None:
        words = {author: self.word(step, author) for author in authors}
        clean = {who: said for who, said in words.items() if said is not None and said.judgement is None}
        return clean if len(clean) == len(words) else None

    # ---- where it stands

    def stage(self, now_ms: int) -> Stage:
        """Tell how far it is by this clock."""
        if self.is_done:
            return Stage.DONE
        if self.troubles() or now_ms > self.terms.proposal.deadline_ms:
            return Stage.FAILED
        if self.deals() is not None:
            signed = any(slot.step is Step.TRANSCRIPT for slot in self.said)
            return Stage.SIGNED if signed else Stage.DEALT
        return Stage.PROPOSED if self.joins() is None else Stage.JOINED

    def waiting_for(self) -> tuple[Identity, ...]:
        """Name who has not said yet what all have to say before it goes on."""
        if self.is_done:
            return ()
        proposal = self.terms.proposal
        for step, authors in (
            (Step.JOIN, self.terms.participants),
            (Step.DEAL, proposal.dealers),
            (Step.TRANSCRIPT, proposal.receivers),
        ):
            silent = tuple(author for author in authors if Slot(step, author) not in self.said)
            if silent:
                return silent
        return ()

    def wants(self, me: Identity, now_ms: int) -> Duty | None:
        """Tell what `me` is to do next; None if nothing, or if it has been said already."""
        stage = self.stage(now_ms)
        proposal = self.terms.proposal
        match stage:
            case Stage.PROPOSED:
                open_join = me in self.terms.participants and Slot(Step.JOIN, me) not in self.said
                return Duty.JOIN if open_join else None
            case Stage.JOINED:
                open_deal = me in proposal.dealers and Slot(Step.DEAL, me) not in self.said
                return Duty.DEAL if open_deal else None
            case Stage.DEALT | Stage.SIGNED:
                open_word = me in proposal.receivers and Slot(Step.TRANSCRIPT, me) not in self.said
                return Duty.OPEN if open_word else None
            case Stage.DONE | Stage.FAILED:
                return None
            case _:
                assert_never(stage)

    # ---- what is wrong

    def contradictions(self) -> dict[Slot, tuple[Said, Said]]:
        """Give every slot in which its author has said two things."""
        return {slot: (words[0], words[1]) for slot, words in self.said.items() if len(words) == 2}

    def judgements(self) -> dict[Slot, Said]:
        """Give every statement by which somebody is at fault, by its slot."""
        return {
            slot: words[0]
            for slot, words in self.said.items()
            if len(words) == 1 and words[0].judgement is not None
        }

    def disputes(self) -> dict[Slot, str]:
        """Give what does not fit, but shows nobody's fault: one of the others may have said two things."""
        found: dict[Slot, str] = {}
        joins = self.joins_digest()
        for slot, words in self.said.items():
            message = words[0].message
            if isinstance(message, Deal) and joins is not None and message.joins != joins:
                found[slot] = "a deal over other joins"
            if isinstance(message, Transcript) and not self._names_document(message):
                found[slot] = "a signature under another keys document"
        return found

    def _names_document(self, transcript: Transcript) -> bool:
        """Tell whether a transcript can be of the document that we know; unknown, it can."""
        return self.document is None or transcript.document == self.document.digest

    def troubles(self) -> tuple[str, ...]:
        """Say why it cannot end well, in a stable order; a false complaint is none."""
        found = [(slot, "two different messages of one step") for slot in self.contradictions()]
        for slot, said in self.judgements().items():
            assert said.judgement is not None
            if not (slot.step is Step.COMPLAINT and said.judgement.culprit == slot.author):
                found.append((slot, said.judgement.reason))
        found += list(self.disputes().items())
        return tuple(sorted(f"{slot.step} of {slot.author.hex()}: {reason}" for slot, reason in found))

    # ---- the end

    def result(self) -> SignedKeys | None:
        """Give the keys document in force with every holder's signature; None unless it is done."""
        if not self.is_done or self.document is None:
            return None
        signatures: dict[Identity, bytes] = {}
        for receiver in self.terms.proposal.receivers:
            signed = self.signed(receiver)
            assert signed is not None
            signatures[receiver] = signed.signature
        return SignedKeys(self.document, signatures)

    def signed(self, receiver: Identity) -> Transcript | None:
        """Give the receiver's good word on the document that we know."""
        for said in self.said.get(Slot(Step.TRANSCRIPT, receiver), ()):
            if said.basis is not None and said.judgement is None and isinstance(said.message, Transcript):
                return said.message
        return None


def _digests(found: Mapping[Identity, Said]) -> dict[Identity, Digest]:
    return {author: said.digest for author, said in found.items()}
