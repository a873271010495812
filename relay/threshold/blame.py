"""Faults and their evidence: envelopes by which anybody can judge who is at fault in a ceremony (SPEC 3.1).

Nobody is convicted by another's word: all that counts is what the culprit itself has signed, and for a
complaint the joins that the dealer has named in its deal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from proofs.canonical import decode, encode
from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope, parse_envelope, verify_envelope
from proofs.fields import FieldError, Fields, fields_of
from proofs.groupkeys import KeysDocument, parse_keys
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from relay.threshold.bodies import MAX_PARTICIPANTS, read_ceremony_body, statement_digest
from relay.threshold.checks import Judgement, check_deal, check_join, check_transcript, judge_complaint
from relay.threshold.errors import ThresholdError
from relay.threshold.messages import CeremonyMessage, Complaint, Deal, Join, Proposal, Transcript
from relay.threshold.record import Ceremony, Said, Slot, Step
from relay.threshold.terms import Terms, joins_digest, open_terms

__all__ = [
    "BLAME_FORMAT",
    "CONTRADICTION",
    "MAX_EVIDENCE_BYTES",
    "Evidence",
    "Fault",
    "Verdict",
    "faults",
    "judge",
    "read_evidence",
    "write_evidence",
]

BLAME_FORMAT: Final = "tocsin/blame/1"
CONTRADICTION: Final = "two different messages of one step"
MAX_EVIDENCE_BYTES: Final = 1 << 20
_MAX_ENVELOPES: Final = 2 * MAX_PARTICIPANTS + 3
"""The joins of dealers and receivers, a proposal, a deal and a complaint."""
_MAX_DOCUMENTS: Final = 2
_KEYS: Final = frozenset({"documents", "envelopes", "format"})
_M = TypeVar("_M", Join, Deal, Complaint, Transcript, Proposal)
_Opened = tuple[Envelope, CeremonyMessage]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Envelopes, and the keys documents that they name, as they were received; in no particular order."""

    envelopes: tuple[bytes, ...]
    documents: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is at fault in which ceremony, and for what."""

    ceremony: Digest
    culprit: Identity
    reason: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A verdict with the evidence that `judge` comes to it by; `ends` tells whether the ceremony is over."""

    verdict: Verdict
    evidence: Evidence
    ends: bool


# ---- from a ceremony


def faults(ceremony: Ceremony) -> tuple[Fault, ...]:
    """Give everybody's faults that envelopes show, in a stable order."""
    found = [_contradiction(ceremony, slot, pair) for slot, pair in ceremony.contradictions().items()]
    found += [_judged(ceremony, slot, said) for slot, said in ceremony.judgements().items()]
    return tuple(sorted(found, key=lambda fault: (fault.verdict.culprit, fault.evidence.envelopes)))


def _contradiction(ceremony: Ceremony, slot: Slot, pair: tuple[Said, Said]) -> Fault:
    verdict = Verdict(ceremony.id, slot.author, CONTRADICTION)
    return Fault(verdict, Evidence(tuple(said.envelope.raw for said in pair)), ends=True)


def _judged(ceremony: Ceremony, slot: Slot, said: Said) -> Fault:
    judgement = said.judgement
    assert judgement is not None
    parts = [ceremony.proposed, said]
    documents = [] if ceremony.terms.base is None else [ceremony.terms.base.raw]
    if slot.step is Step.COMPLAINT:
        assert slot.about is not None
        words = [ceremony.word(Step.JOIN, author) for author in ceremony.terms.participants]
        parts += [word for word in [*words, ceremony.word(Step.DEAL, slot.about)] if word is not None]
    if slot.step is Step.TRANSCRIPT:
        assert ceremony.document is not None
        documents.append(ceremony.document.raw)
    return Fault(
        Verdict(ceremony.id, judgement.culprit, judgement.reason),
        Evidence(tuple(part.envelope.raw for part in parts), tuple(documents)),
        ends=not (slot.step is Step.COMPLAINT and judgement.culprit == slot.author),
    )


# ---- as a file


def write_evidence(evidence: Evidence) -> bytes:
    """Give the file that `read_evidence` reads."""
    return encode(
        {
            "documents": list(evidence.documents),
            "envelopes": list(evidence.envelopes),
            "format": BLAME_FORMAT,
        }
    )


def read_evidence(raw: bytes) -> Evidence:
    """Read a file of evidence, whatever it proves.

    Raises:
        CanonicalError: the bytes are too many or not canonical.
        FieldError: `shape`.
    """
    fields = fields_of(decode(raw, limit_bytes=MAX_EVIDENCE_BYTES), "evidence", _KEYS)
    if fields.raw("format") != BLAME_FORMAT:
        raise FieldError(fields.path("format"), BLAME_FORMAT, repr(fields.raw("format")))
    return Evidence(
        _binaries(fields, "envelopes", _MAX_ENVELOPES), _binaries(fields, "documents", _MAX_DOCUMENTS)
    )


def _binaries(fields: Fields, key: str, max_items: int) -> tuple[bytes, ...]:
    entries = fields.array(key, max_items=max_items)
    binaries = tuple(entry for entry in entries if isinstance(entry, bytes))
    if len(binaries) != len(entries):
        raise FieldError(fields.path(key), "bytes", "other items")
    return binaries


# ---- to a verdict


def judge(evidence: Evidence, committees: Sequence[CommitteeDocument]) -> Verdict:
    """Give who is at fault by this evidence; `committees` are the documents that its authors belong to.

    Raises:
        ProofError: an envelope, a signature or a document is not in order.
        ThresholdError: `evidence`: it proves nobody's fault, and why not.
    """
    opened = [_open(raw, committees) for raw in evidence.envelopes]
    if len(opened) == 2 and not _all_of(opened, Proposal):
        return _judge_contradiction(*opened)
    terms = _terms(opened, evidence, committees)
    for envelope, message in opened:
        if isinstance(message, Proposal):
            continue
        if message.ceremony != terms.id:
            raise _proves_nothing("messages of one ceremony", f"one of {message.ceremony.hex()}")
        if envelope.author not in terms.participants:
            raise _proves_nothing("messages of its participants", envelope.author.hex())
    judgement = _judge_message(terms, opened, evidence)
    return Verdict(terms.id, judgement.culprit, judgement.reason)


def _open(raw: bytes, committees: Sequence[CommitteeDocument]) -> _Opened:
    unverified = parse_envelope(raw)
    stated = unverified.fields
    epochs = [found for found in committees if found.committee_epoch == stated.committee_epoch]
    document = next((found for found in epochs if found.network == stated.network), None)
    if document is None:
        network = stated.network.hex()
        raise _proves_nothing(
            "envelopes of a committee document at hand", f"epoch {stated.committee_epoch} of {network}"
        )
    if document.member(stated.author) is None:
        raise _proves_nothing(f"envelopes of members of {document.name}", stated.author.hex())
    message = read_ceremony_body(stated.kind, stated.body)
    return verify_envelope(unverified), message


def _judge_contradiction(first: _Opened, second: _Opened) -> Verdict:
    author, ceremony, about = _place(*first)
    if (author, ceremony, about) != _place(*second) or type(first[1]) is not type(second[1]):
        raise _proves_nothing("two messages of one author for one step", "messages of two")
    if statement_digest(author, first[1]) == statement_digest(author, second[1]):
        raise _proves_nothing("two different messages", "the same twice")
    return Verdict(ceremony, author, CONTRADICTION)


def _place(envelope: Envelope, message: CeremonyMessage) -> tuple[Identity, Digest, Identity | None]:
    assert not isinstance(message, Proposal)
    about = message.dealer if isinstance(message, Complaint) else None
    return envelope.author, message.ceremony, about


def _terms(opened: Sequence[_Opened], evidence: Evidence, committees: Sequence[CommitteeDocument]) -> Terms:
    proposals = _all_of(opened, Proposal)
    if len(proposals) != 1:
        raise _proves_nothing("one proposal", f"{len(proposals)}")
    proposer, proposal = proposals[0]
    committee = next((c for c in committees if sha256(c.raw) == proposal.committee), None)
    if committee is None:
        raise _proves_nothing(
            "the committee document that the proposal names at hand", proposal.committee.hex()
        )
    base = None if proposal.base is None else _document(evidence, proposal.base)
    return open_terms(proposer, proposal, committee, base)


def _document(evidence: Evidence, digest: Digest) -> KeysDocument:
    raw = next((raw for raw in evidence.documents if sha256(raw) == digest), None)
    if raw is None:
        raise _proves_nothing("the keys document that is named with it", digest.hex())
    return parse_keys(raw)


def _judge_message(terms: Terms, opened: Sequence[_Opened], evidence: Evidence) -> Judgement:
    """Judge the one message that the evidence is about."""
    complaints, deals = _all_of(opened, Complaint), _all_of(opened, Deal)
    joins, transcripts = _all_of(opened, Join), _all_of(opened, Transcript)
    counts = (len(joins), len(deals), len(complaints), len(transcripts))
    match counts:
        case (_, 1, 1, 0):
            return _judge_complaint(terms, dict(joins), deals[0], complaints[0])
        case (1, 0, 0, 0):
            author, join = joins[0]
            return _found(author, check_join(terms, author, join))
        case (0, 1, 0, 0):
            if deals[0][0] not in terms.proposal.dealers:
                raise _proves_nothing("the deal of a dealer", deals[0][0].hex())
            return _found(deals[0][0], check_deal(terms, *deals[0]))
        case (0, 0, 0, 1):
            author, transcript = transcripts[0]
            return _found(author, _check_transcript(terms, author, transcript, evidence))
        case _:
            raise _proves_nothing(
                "one join, one deal, one transcript, or a complaint with its deal and all joins",
                "{} joins, {} deals, {} complaints, {} transcripts".format(*counts),
            )


def _found(author: Identity, reason: str | None) -> Judgement:
    if reason is None:
        raise _proves_nothing("a message that is wrong", "a good one")
    return Judgement(author, reason)


def _check_transcript(
    terms: Terms, author: Identity, transcript: Transcript, evidence: Evidence
) -> str | None:
    document = _document(evidence, transcript.document)
    if document.ceremony != terms.id or document.identifier(author) is None:
        raise _proves_nothing("a keys document of this ceremony and holder", "another")
    return check_transcript(document, author, transcript)


def _judge_complaint(
    terms: Terms,
    joins: dict[Identity, Join],
    dealt: tuple[Identity, Deal],
    complained: tuple[Identity, Complaint],
) -> Judgement:
    (dealer, deal), (complainer, complaint) = dealt, complained
    if complaint.dealer != dealer or complaint.deal != statement_digest(dealer, deal):
        raise _proves_nothing("a complaint about this deal", "one about another")
    if complainer == dealer or complainer not in terms.proposal.receivers:
        raise _proves_nothing("a complaint of a receiver about another's deal", "another")
    # SECURITY: the dealer sealed for the pair keys of the joins that its deal names, and for no others: a
    # receiver that sent out two joins must not convict who saw the other one.
    digests = {author: statement_digest(author, join) for author, join in joins.items()}
    if tuple(sorted(joins)) != terms.participants or deal.joins != joins_digest(digests):
        raise _proves_nothing("the joins that the deal is over", "others")
    if any(check_join(terms, author, join) is not None for author, join in joins.items()):
        raise _proves_nothing("good joins", "a wrong one")
    if dealer not in terms.proposal.dealers or check_deal(terms, dealer, deal) is not None:
        raise _proves_nothing("a deal that is wrong in nothing but its boxes", "another")
    return judge_complaint(terms, joins[complainer].pairs[dealer], deal, complainer, complaint)


def _all_of(opened: Sequence[_Opened], kind: type[_M]) -> list[tuple[Identity, _M]]:
    return [(envelope.author, message) for envelope, message in opened if isinstance(message, kind)]


def _proves_nothing(expected: str, got: str) -> ThresholdError:
    return ThresholdError("evidence", f"expected {expected}, got {got}")
