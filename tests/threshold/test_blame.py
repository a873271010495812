"""Evidence that anybody judges offline (SPEC 3.1): what it proves, what not, and whom nobody can frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from proofs.canonical import CanonicalError, encode
from proofs.committee import CommitteeDocument
from proofs.envelope import EnvelopeError
from proofs.errors import ProofError
from proofs.fields import FieldError
from proofs.kinds import Digest, Identity, NetworkId
from relay.threshold.blame import (
    CONTRADICTION,
    MAX_EVIDENCE_BYTES,
    Evidence,
    Fault,
    Verdict,
    faults,
    judge,
    read_evidence,
    write_evidence,
)
from relay.threshold.bodies import statement_digest
from relay.threshold.messages import CeremonyMessage, Complaint, Deal, Join, Transcript
from relay.threshold.secrets import deal_of, join_of, pair_secret
from relay.threshold.terms import joins_digest
from tests.threshold.liars import SECRET, Liar, bad_box
from tests.threshold.shares import refused
from tests.threshold.troupe import Performance, Troupe, Twist, complaint_of, seven


def _bad_join(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
    assert isinstance(message, Join)
    return (replace(message, pairs={}),)


def _bad_deal(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
    assert isinstance(message, Deal)
    return (replace(message, groups=message.groups[:1]),)


def _bad_word(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
    assert isinstance(message, Transcript)
    return (replace(message, proofs={}),)


def _two_words(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
    assert isinstance(message, Transcript)
    return message, replace(message, proofs={})


LIES: dict[str, Callable[[Troupe, Identity], Twist]] = {
    "join": lambda _, mallory: Liar(mallory, Join, _bad_join),
    "deal": lambda _, mallory: Liar(mallory, Deal, _bad_deal),
    "box": lambda troupe, mallory: bad_box(troupe, mallory, [troupe.identities[0]], lambda _: None),
    "transcript": lambda _, mallory: Liar(mallory, Transcript, _bad_word),
    "contradiction": lambda _, mallory: Liar(mallory, Transcript, _two_words),
}


def lied(name: str) -> tuple[Troupe, Performance, Fault]:
    """Perform a reshare in which the fourth member lies."""
    troupe, old = seven()
    mallory = troupe.identities[3]
    performance = troupe.perform(
        troupe.reshare(old.document), base=old.document, old=old.shares, twist=LIES[name](troupe, mallory)
    )
    (fault,) = faults(performance.ceremony)
    assert fault.verdict.culprit == mallory
    return troupe, performance, fault


@pytest.mark.parametrize("name", list(LIES))
def test_a_file_of_evidence_is_judged_like_the_ceremony_did(name: str) -> None:
    troupe, _, fault = lied(name)

    evidence = read_evidence(write_evidence(fault.evidence))

    assert judge(evidence, [troupe.committee]) == fault.verdict


@pytest.mark.parametrize("name", list(LIES))
def test_the_order_of_the_envelopes_does_not_matter(name: str) -> None:
    troupe, _, fault = lied(name)
    turned = Evidence(fault.evidence.envelopes[::-1], fault.evidence.documents[::-1])

    assert judge(turned, [troupe.committee]) == fault.verdict


@pytest.mark.parametrize("name", list(LIES))
def test_evidence_with_a_piece_missing_proves_nothing(name: str) -> None:
    troupe, _, fault = lied(name)
    pieces = fault.evidence.envelopes
    for index in range(len(pieces)):
        with pytest.raises(ProofError):
            judge(replace(fault.evidence, envelopes=pieces[:index] + pieces[index + 1 :]), [troupe.committee])
    if name != "contradiction":
        with pytest.raises(ProofError):
            judge(replace(fault.evidence, documents=()), [troupe.committee])


@pytest.mark.parametrize("name", list(LIES))
def test_evidence_whose_bytes_were_changed_is_refused(name: str) -> None:
    troupe, _, fault = lied(name)
    first, *rest = fault.evidence.envelopes
    for changed in (first[:-1] + bytes([first[-1] ^ 1]), first[:-1]):
        with pytest.raises(EnvelopeError):
            judge(replace(fault.evidence, envelopes=(changed, *rest)), [troupe.committee])


def test_evidence_of_strangers_proves_nothing_here() -> None:
    troupe, _, fault = lied("deal")
    other = Troupe.of(4).committee
    later = replace(troupe.committee, committee_epoch=2)
    without = _without(troupe.committee, fault.verdict.culprit)
    elsewhere = replace(troupe.committee, network=NetworkId(bytes(32)))

    for committees in ([], [other], [later], [without], [elsewhere]):
        with refused("evidence"):
            judge(fault.evidence, committees)


def _without(committee: CommitteeDocument, culprit: Identity) -> CommitteeDocument:
    return replace(committee, members=tuple(m for m in committee.members if m.identity != culprit))


def test_good_messages_convict_nobody() -> None:
    troupe, made = seven()
    proposal, *said = made.envelopes
    documents = (made.document.raw,)
    for kind in (Join, Deal, Transcript):
        envelope = next(envelope for envelope, message in said if isinstance(message, kind))
        # Two envelopes are read as a contradiction, unless one of them is the proposal.
        with refused("evidence"):
            judge(Evidence((proposal[0].raw, envelope.raw), documents), [troupe.committee])


def test_who_takes_no_part_or_holds_nothing_is_not_judged() -> None:
    troupe, made = seven()
    receivers = troupe.identities[1:]
    alice = troupe.identities[0]
    without = troupe.perform(troupe.proposal(dealers=receivers, receivers=receivers))
    proposal = without.envelopes[0][0].raw
    name = without.ceremony.id
    join = Join(name, {receivers[0]: bytes(32)})
    word = Transcript(name, made.document.digest, bytes(64), {})
    dealing = troupe.reshare(made.document, receivers=receivers)
    moved = troupe.perform(dealing, base=made.document, old=made.shares)
    unheld = Transcript(moved.ceremony.id, moved.document.digest, bytes(64), {})

    for proposed, author, said, documents, expected in (
        (proposal, alice, join, (), "messages of its participants"),
        (proposal, receivers[0], word, (made.document.raw,), "of this ceremony and holder"),
        (
            moved.envelopes[0][0].raw,
            alice,
            unheld,
            (made.document.raw, moved.document.raw),
            "of this ceremony and holder",
        ),
    ):
        evidence = Evidence((proposed, troupe.envelope(author, said).raw), documents)
        with pytest.raises(ProofError, match=expected):
            judge(evidence, [troupe.committee])


def test_what_is_no_case_is_refused_by_name() -> None:
    troupe, made = seven()
    elsewhere = troupe.perform(troupe.proposal(salt=b"another salt 123"))
    proposal, join, other_join = (envelope.raw for envelope, _ in made.envelopes[:3])
    deal = next(e.raw for e, m in made.envelopes if isinstance(m, Deal))
    again = troupe.envelope(made.envelopes[1][0].author, made.envelopes[1][1], at_ms=9).raw

    for envelopes, expected in (
        ((), "one proposal"),
        ((proposal,), "one join, one deal"),
        ((proposal, proposal), "one proposal"),
        ((join, other_join), "two messages of one author"),
        ((join, deal), "two messages of one author"),
        ((join, again), "two different messages"),
        ((proposal, join, other_join), "one join, one deal"),
        ((proposal, elsewhere.envelopes[1][0].raw), "messages of one ceremony"),
        ((proposal, elsewhere.envelopes[0][0].raw, join), "one proposal"),
    ):
        with pytest.raises(ProofError, match=expected):
            judge(Evidence(envelopes), [troupe.committee])


def test_a_receiver_with_two_joins_convicts_no_dealer() -> None:
    """Mallory sent the dealer one join and the others a second, and complains with the second's secret."""
    troupe, made = seven()
    dealer, mallory = troupe.identities[:2]
    proposal = made.envelopes[0][0].raw
    joins = {e.author: (e, m) for e, m in made.envelopes if isinstance(m, Join)}
    shown = join_of(SECRET, made.ceremony.terms, mallory)
    deal = next((e, m) for e, m in made.envelopes if isinstance(m, Deal) and e.author == dealer)
    honest = complaint_of(made, troupe.players[mallory], dealer)
    false = replace(honest, secret=pair_secret(SECRET, made.ceremony.id, dealer))
    told = [*(e.raw for who, (e, _) in joins.items() if who != mallory), troupe.envelope(mallory, shown).raw]

    with pytest.raises(ProofError, match="the joins that the deal is over"):
        judge(
            Evidence((proposal, *told, deal[0].raw, troupe.envelope(mallory, false).raw)), [troupe.committee]
        )
    # With the joins that the deal names, the secret is not of the pair key, and mallory is at fault.
    own = [e.raw for e, _ in joins.values()]
    complained = (proposal, *own, deal[0].raw, troupe.envelope(mallory, false).raw)
    assert judge(Evidence(complained), [troupe.committee]).culprit == mallory


def test_complaints_that_do_not_belong_to_the_deal_prove_nothing() -> None:
    troupe, made = seven()
    dealer, mallory, other = troupe.identities[:3]
    complaint = complaint_of(made, troupe.players[mallory], dealer)
    proposal = made.envelopes[0][0].raw
    joins = [e.raw for e, m in made.envelopes if isinstance(m, Join)]
    deal = next(e.raw for e, m in made.envelopes if isinstance(m, Deal) and e.author == dealer)
    for author, said, dealt in (
        (mallory, replace(complaint, deal=Digest(bytes(32))), deal),
        (mallory, replace(complaint, dealer=other), deal),
        (dealer, complaint, deal),
    ):
        envelopes = (proposal, *joins, dealt, troupe.envelope(author, said).raw)
        with refused("evidence"):
            judge(Evidence(envelopes), [troupe.committee])
    fine = (proposal, *joins, deal, troupe.envelope(mallory, complaint).raw)
    assert judge(Evidence(fine), [troupe.committee]).culprit == mallory


def test_a_deal_over_the_joins_of_some_convicts_nobody() -> None:
    """The digest in it is right, of all joins but that of who complains."""
    troupe, made = seven()
    dealer, mallory = troupe.identities[:2]
    joins = {e.author: (e, m) for e, m in made.envelopes if isinstance(m, Join) and e.author != mallory}
    digests = {author: statement_digest(author, message) for author, (_, message) in joins.items()}
    deal = deal_of(troupe.players[dealer].seed, made.ceremony, dealer, None)
    narrow = replace(deal, joins=joins_digest(digests))
    complaint = replace(
        complaint_of(made, troupe.players[mallory], dealer), deal=statement_digest(dealer, narrow)
    )
    said = [troupe.envelope(dealer, narrow).raw, troupe.envelope(mallory, complaint).raw]
    proposal = made.envelopes[0][0].raw

    with pytest.raises(ProofError, match="the joins that the deal is over"):
        judge(Evidence((proposal, *(e.raw for e, _ in joins.values()), *said)), [troupe.committee])


def test_a_complaint_needs_good_joins_and_a_deal_that_is_wrong_in_its_boxes_alone() -> None:
    """What anybody sees to be wrong is judged by itself; here there may not even be a box to open."""
    troupe, made = seven()
    dealer, mallory = troupe.identities[:2]
    joins, deals = made.ceremony.joins(), made.ceremony.deals()
    assert joins is not None
    assert deals is not None
    empty = replace(joins[mallory], pairs={})
    digests = {author: statement_digest(author, join) for author, join in {**joins, mallory: empty}.items()}
    over_empty = replace(deals[dealer], joins=joins_digest(digests))
    for joined, dealt, expected in (
        ({**joins, mallory: empty}, over_empty, "good joins"),
        (joins, replace(deals[dealer], sealed={}), "wrong in nothing but its boxes"),
    ):
        complaint = Complaint(made.ceremony.id, dealer, statement_digest(dealer, dealt), SECRET)
        words: list[tuple[Identity, CeremonyMessage]] = [(dealer, dealt), (mallory, complaint)]
        words += joined.items()
        envelopes = [troupe.envelope(author, said).raw for author, said in words]

        with pytest.raises(ProofError, match=expected):
            judge(Evidence((made.envelopes[0][0].raw, *envelopes)), [troupe.committee])


def test_two_complaints_about_two_dealers_are_no_contradiction() -> None:
    troupe, made = seven()
    mallory, first, second = troupe.identities[:3]
    player = troupe.players[mallory]
    words = [troupe.envelope(mallory, complaint_of(made, player, dealer)).raw for dealer in (first, second)]

    with pytest.raises(ProofError, match="two messages of one author for one step"):
        judge(Evidence(tuple(words)), [troupe.committee])


def test_contradictions_need_no_proposal() -> None:
    troupe = seven()[0]
    mallory = troupe.identities[0]
    words = [Complaint(Digest(bytes(32)), mallory, Digest(bytes(32)), bytes([i]) * 32) for i in range(2)]

    verdict = judge(Evidence(tuple(troupe.envelope(mallory, word).raw for word in words)), [troupe.committee])

    assert verdict == Verdict(Digest(bytes(32)), mallory, CONTRADICTION)


def test_files_of_another_form_are_refused() -> None:
    good = {"documents": [], "envelopes": [], "format": "tocsin/blame/1"}
    read_evidence(encode(good))
    for change in (
        {"format": "tocsin/blame/2"},
        {"envelopes": [1]},
        {"envelopes": [b""] * 104},
        {"documents": [b""] * 3},
        {"more": None},
    ):
        with pytest.raises(FieldError):
            read_evidence(encode({**good, **change}))
    with pytest.raises(CanonicalError):
        read_evidence(encode({**good, "documents": [bytes(MAX_EVIDENCE_BYTES)]}))
    with pytest.raises(CanonicalError):
        read_evidence(b"\x81")
