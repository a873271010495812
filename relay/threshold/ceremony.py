"""A ceremony as everybody sees it (SPEC 3): envelopes in, stage, missing members, faults and the result out.

```
proposed --all joined--> joined --all dealt--> dealt --one receiver signed--> signed --all receivers--> done
any but done --a fault, two documents, the deadline--> failed
```
What follows from the envelopes does so whatever their order and repetition; of more than two words of one
step which two are kept may differ. The one exception is `done`, which nothing undoes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.groupkeys import KeysDocument
from proofs.kinds import Digest, Identity
from relay.threshold.bodies import statement_digest
from relay.threshold.checks import Judgement, check_deal, check_join, check_transcript, judge_complaint
from relay.threshold.errors import ThresholdError
from relay.threshold.keygen import derive_keys
from relay.threshold.messages import CeremonyMessage, Complaint, Deal, Join, Proposal, Transcript
from relay.threshold.record import Ceremony, Duty, Said, Slot, Stage, Step, Taken
from relay.threshold.terms import Terms, open_terms

__all__ = ["Ceremony", "Duty", "Said", "Slot", "Stage", "Step", "Taken", "adopt", "begin", "take"]


def begin(
    envelope: Envelope, proposal: Proposal, committee: CommitteeDocument, base: KeysDocument | None
) -> Ceremony:
    """Begin the ceremony that a verified envelope proposes; `base` is the document that it names, if it does.

    Raises:
        ThresholdError: `ceremony`: the proposal does not fit the documents.
    """
    terms = open_terms(envelope.author, proposal, committee, base)
    digest = statement_digest(envelope.author, proposal)
    return Ceremony(terms, Said(digest, envelope, proposal, basis=digest))


def take(ceremony: Ceremony, envelope: Envelope, message: CeremonyMessage) -> tuple[Ceremony, Taken]:
    """Add a verified envelope and its message. Total: what does not belong here is told and dropped."""
    slot = _slot_of(ceremony.terms, envelope.author, message)
    if isinstance(message, Proposal):
        return _proposed_again(ceremony, envelope, message)
    if slot is None or message.ceremony != ceremony.id:
        return ceremony, Taken.FOREIGN
    said = Said(statement_digest(envelope.author, message), envelope, message)
    words = ceremony.said.get(slot, ())
    known = next((word for word in words if word.digest == said.digest), None)
    if known is not None:
        # One statement may come in two envelopes, signed at two times: the same one stays everywhere.
        said = replace(known, envelope=min(known.envelope, envelope, key=lambda found: found.digest))
        words = tuple(said if word is known else word for word in words)
        return replace(ceremony, said={**ceremony.said, slot: words}), Taken.KNOWN
    if len(words) == 2 and not _is_missed(ceremony, slot, said):
        return ceremony, Taken.SURPLUS
    # Of two bad ones the first goes: that they are two is known, and the good one is what counts.
    kept = (*words[-1:], said) if ceremony.is_done else tuple(sorted((*words[-1:], said), key=_by_digest))
    changed = replace(ceremony, said={**ceremony.said, slot: kept})
    taken = Taken.CONTRADICTION if words else Taken.NEW
    return _settled(changed), taken


def _by_digest(said: Said) -> Digest:
    return said.digest


def _is_missed(ceremony: Ceremony, slot: Slot, said: Said) -> bool:
    """Tell whether a third word is a good signature where both that are kept are bad ones.

    SECURITY: its author would else show the good one to some alone: they sign with the new shares, and the
    others never hear that they are in force.
    """
    if slot.step is not Step.TRANSCRIPT or ceremony.is_done or ceremony.signed(slot.author) is not None:
        return False
    judged = _judge(ceremony, slot, said, None)
    return judged.basis is not None and judged.judgement is None


def adopt(ceremony: Ceremony, document: KeysDocument) -> Ceremony:
    """Take this member's word that the ceremony gave `document`: it has signed it, or verified it in force.

    A member that comes back among contradictions would not find out which of them were the ones in use.

    Raises:
        ThresholdError: `ceremony`: it is the document of another ceremony.
    """
    if document.ceremony != ceremony.id:
        raise ThresholdError("ceremony", f"expected a document of {ceremony.id.hex()}, got another")
    return ceremony if ceremony.is_done else _settled(replace(ceremony, document=document, adopted=True))


def _proposed_again(ceremony: Ceremony, envelope: Envelope, proposal: Proposal) -> tuple[Ceremony, Taken]:
    if statement_digest(envelope.author, proposal) != ceremony.proposed.digest:
        return ceremony, Taken.FOREIGN
    first = min(ceremony.proposed.envelope, envelope, key=lambda found: found.digest)
    return replace(ceremony, proposed=replace(ceremony.proposed, envelope=first)), Taken.KNOWN


def _slot_of(terms: Terms, author: Identity, message: CeremonyMessage) -> Slot | None:
    """Give where this author's message belongs; None if it has nothing to say here."""
    dealers, receivers = terms.proposal.dealers, terms.proposal.receivers
    match message:
        case Join() if author in dealers or author in receivers:
            return Slot(Step.JOIN, author)
        case Deal() if author in dealers:
            return Slot(Step.DEAL, author)
        case Complaint() if author in receivers and author != message.dealer and message.dealer in dealers:
            return Slot(Step.COMPLAINT, author, message.dealer)
        case Transcript() if author in receivers:
            return Slot(Step.TRANSCRIPT, author)
        case _:
            return None


# ---- what follows from what was said


def _settled(ceremony: Ceremony) -> Ceremony:
    """Judge what can be judged now, derive the document if all is well, and see whether that is the end."""
    ceremony = _judged(ceremony, Step.JOIN, Step.DEAL)
    ceremony = _judged(_derived(ceremony), Step.COMPLAINT, Step.TRANSCRIPT)
    document = ceremony.document
    if document is None:
        return ceremony
    signed = [ceremony.signed(receiver) for receiver in ceremony.terms.proposal.receivers]
    return replace(ceremony, is_done=None not in signed)


def _derived(ceremony: Ceremony) -> Ceremony:
    if ceremony.adopted or ceremony.is_done:
        return ceremony
    transcript, deals = ceremony.transcript(), ceremony.deals()
    if transcript is None or deals is None:
        return replace(ceremony, document=None, derived_from=None)
    if ceremony.derived_from == transcript:
        return ceremony
    document: KeysDocument | None = None
    # Commitments without sub-shares behind them may give none: whoever opens its box will say whose.
    with suppress(ProofError):
        document = derive_keys(ceremony.terms, transcript, deals)
    return replace(ceremony, document=document, derived_from=transcript)


def _judged(ceremony: Ceremony, *steps: Step) -> Ceremony:
    joins = ceremony.joins_digest()
    said = {
        slot: tuple(_judge(ceremony, slot, word, joins) for word in words) if slot.step in steps else words
        for slot, words in ceremony.said.items()
    }
    return replace(ceremony, said=said)


def _judge(ceremony: Ceremony, slot: Slot, said: Said, joins: Digest | None) -> Said:
    basis = _basis(ceremony, said, joins)
    if basis == said.basis or (basis is None and ceremony.is_done):
        return said
    judgement = None if basis is None else _judgement(ceremony, slot, said.message)
    return replace(said, basis=basis, judgement=judgement)


def _basis(ceremony: Ceremony, said: Said, joins: Digest | None) -> Digest | None:
    """Give what a statement is judged against; None while that is not there."""
    message = said.message
    match message:
        case Complaint():
            # SECURITY: only a deal over these very joins was sealed for the pair key that stands in them.
            deal = ceremony.word(Step.DEAL, message.dealer)
            if deal is None or deal.digest != message.deal or deal.judgement is not None:
                return None
            return joins if isinstance(deal.message, Deal) and deal.message.joins == joins else None
        case Transcript():
            document = ceremony.document
            return None if document is None or document.digest != message.document else document.digest
        case _:
            return ceremony.id


def _judgement(ceremony: Ceremony, slot: Slot, message: CeremonyMessage) -> Judgement | None:
    terms, author = ceremony.terms, slot.author
    match message:
        case Join():
            reason = check_join(terms, author, message)
        case Deal():
            reason = check_deal(terms, author, message)
        case Transcript():
            assert ceremony.document is not None
            reason = check_transcript(ceremony.document, author, message)
        case Complaint():
            return _judge_complaint(ceremony, author, message)
        case Proposal():
            reason = None
        case _:
            assert_never(message)
    return None if reason is None else Judgement(author, reason)


def _judge_complaint(ceremony: Ceremony, author: Identity, complaint: Complaint) -> Judgement:
    joins, deal = ceremony.joins(), ceremony.word(Step.DEAL, complaint.dealer)
    assert joins is not None
    assert deal is not None
    assert isinstance(deal.message, Deal)
    pair_key = joins[author].pairs[complaint.dealer]
    return judge_complaint(ceremony.terms, pair_key, deal.message, author, complaint)
