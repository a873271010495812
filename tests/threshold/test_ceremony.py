"""The ceremony as everybody sees it (SPEC 3): steps, order of arrival, deadline, what is of no concern."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.kinds import Digest, Identity
from relay.threshold.blame import faults
from relay.threshold.ceremony import Ceremony, Duty, Stage, Taken, adopt, take
from relay.threshold.messages import (
    CeremonyMessage,
    Complaint,
    Deal,
    Join,
    Transcript,
)
from relay.threshold.secrets import Shares, deal_of, join_of, open_deals, transcript_of
from tests.threshold.shares import refused
from tests.threshold.troupe import (
    DEADLINE_MS,
    Performance,
    Troupe,
    complaint_of,
    replay,
    said_by,
    seven,
    silent,
)

NOW_MS = DEADLINE_MS - 1
LATE_MS = DEADLINE_MS + 1


# ---- steps


def test_it_goes_from_step_to_step_and_names_who_is_awaited() -> None:
    troupe, made = seven()
    alice, *others = troupe.identities
    stages = []
    for kind in (Join, Deal, Transcript):
        performance = troupe.perform(troupe.proposal(), twist=silent(alice, kind))
        ceremony = performance.ceremony
        stages.append((ceremony.stage(NOW_MS), ceremony.waiting_for()))
        assert ceremony.result() is None

    assert stages == [(Stage.PROPOSED, (alice,)), (Stage.JOINED, (alice,)), (Stage.SIGNED, (alice,))]
    assert made.ceremony.stage(NOW_MS) is Stage.DONE
    assert made.ceremony.waiting_for() == ()
    assert all(made.ceremony.wants(who, NOW_MS) is None for who in others)


def test_everybody_is_told_its_own_duty_once() -> None:
    troupe, made = seven()
    alice, bob = troupe.identities[:2]
    ceremony = troupe.begin(troupe.proposal())
    stranger = Troupe(["mallory"] * 1 + ["m1", "m2", "m3"]).identities[0]

    assert ceremony.wants(alice, NOW_MS) is Duty.JOIN
    assert ceremony.wants(stranger, NOW_MS) is None
    join = said_by(made, alice, Join)
    ceremony, _ = take(ceremony, troupe.envelope(alice, join), join)
    assert ceremony.wants(alice, NOW_MS) is None
    assert ceremony.wants(bob, NOW_MS) is Duty.JOIN
    joined = troupe.perform(troupe.proposal(), twist=silent(alice, Deal)).ceremony
    assert joined.wants(alice, NOW_MS) is Duty.DEAL
    assert joined.wants(bob, NOW_MS) is None
    dealt = troupe.perform(troupe.proposal(), twist=silent(alice, Transcript)).ceremony
    assert dealt.wants(alice, NOW_MS) is Duty.OPEN
    assert dealt.wants(bob, NOW_MS) is None


def test_nothing_activates_before_the_last_receiver_has_signed() -> None:
    troupe, made = seven()
    words = list(made.envelopes)

    partial = replay(made, words[:-1], troupe)
    whole = replay(made, words, troupe)

    assert partial.stage(NOW_MS) is Stage.SIGNED
    assert partial.result() is None
    assert whole.result() is not None


@pytest.mark.parametrize("kind", [Join, Deal, Transcript])
def test_who_is_silent_past_the_deadline_ends_it_without_a_fault(kind: type[CeremonyMessage]) -> None:
    troupe = seven()[0]
    carol = troupe.identities[2]
    ceremony = troupe.perform(troupe.proposal(), twist=silent(carol, kind)).ceremony

    assert ceremony.stage(LATE_MS) is Stage.FAILED
    assert ceremony.wants(carol, LATE_MS) is None
    assert ceremony.result() is None
    assert ceremony.waiting_for() == (carol,)
    assert faults(ceremony) == ()
    assert ceremony.troubles() == ()


def test_nobody_is_to_say_anything_after_the_deadline() -> None:
    troupe, made = seven()
    for count in range(len(made.envelopes)):
        ceremony = replay(made, list(made.envelopes[:count]), troupe)
        assert all(ceremony.wants(who, LATE_MS) is None for who in troupe.identities)


# ---- order of arrival


def liars(troupe: Troupe) -> Performance:
    """One contradicts its deal, one complains falsely, one signs another document."""
    first, second, third = troupe.identities[:3]
    last = troupe.identities[-1]

    def twist(author: Identity, message: CeremonyMessage) -> tuple[CeremonyMessage, ...]:
        if author == first and isinstance(message, Deal):
            sealed = {who: box[:-1] + bytes([box[-1] ^ 1]) for who, box in message.sealed.items()}
            return message, replace(message, sealed=sealed), replace(message, joins=Digest(bytes(32)))
        if author == second and isinstance(message, Join):
            return message, Complaint(message.ceremony, last, Digest(bytes(32)), bytes(32))
        if author == third and isinstance(message, Join):
            return message, Transcript(message.ceremony, Digest(bytes(32)), bytes(64), {})
        return (message,)

    return troupe.perform(troupe.proposal(), twist=twist)


def false_complaint(troupe: Troupe) -> Performance:
    performance = troupe.perform(troupe.proposal())
    mallory, dealer = troupe.identities[:2]
    complaint = complaint_of(performance, troupe.players[mallory], dealer)
    word = (troupe.envelope(mallory, complaint), complaint)
    return replace(performance, envelopes=(*performance.envelopes, word))


PLAYS: Mapping[str, Callable[[Troupe], Performance]] = {
    "nobody": lambda troupe: troupe.perform(troupe.proposal()),
    "some": liars,
    "a complainer": false_complaint,
}


def following(ceremony: Ceremony) -> object:
    """All that follows from what was said: of three words that contradict each other any two do."""
    faulty = {(fault.verdict, fault.ends) for fault in faults(ceremony)}
    ends = (ceremony.stage(NOW_MS), ceremony.is_done, ceremony.document, ceremony.waiting_for())
    return ends, faulty, ceremony.said.keys(), ceremony.contradictions().keys()


@settings(max_examples=25)
@given(order=st.randoms(use_true_random=False), lying=st.sampled_from(sorted(PLAYS)))
def test_any_order_and_repetition_ends_in_the_same_state(order: random.Random, lying: str) -> None:
    troupe = Troupe.of(4)
    performance = PLAYS[lying](troupe)
    words = list(performance.envelopes)
    # Signed again at another time: the same statement in another envelope.
    words += [(troupe.envelope(e.author, m, at_ms=7), m) for e, m in words[::3]]
    expected = replay(performance, words, troupe)

    mixed = words + order.choices(words, k=len(words))
    order.shuffle(mixed)

    found = replay(performance, mixed, troupe)
    if not expected.contradictions():
        assert found == expected
    assert following(found) == following(expected)
    assert expected.is_done == (lying != "some")
    assert bool(faults(expected)) == (lying != "nobody")


def test_done_stays_done_and_a_later_contradiction_is_kept_as_evidence() -> None:
    troupe, made = seven()
    mallory = troupe.identities[3]
    deal = said_by(made, mallory, Deal)
    assert isinstance(deal, Deal)
    other = replace(deal, joins=Digest(bytes(32)))

    ceremony, taken = take(made.ceremony, troupe.envelope(mallory, other), other)

    assert taken is Taken.CONTRADICTION
    assert ceremony.result() == made.ceremony.result()
    assert ceremony.stage(LATE_MS) is Stage.DONE
    assert [fault.verdict.culprit for fault in faults(ceremony)] == [mallory]
    third = replace(deal, joins=Digest(b"\1" * 32))
    assert take(ceremony, troupe.envelope(mallory, third), third) == (ceremony, Taken.SURPLUS)


def test_a_laggard_that_signed_finds_the_end_among_contradictions() -> None:
    """It is back from its disk; the contradiction reaches it before the deal that all have used."""
    troupe, made = seven()
    mallory = troupe.identities[3]
    deal = said_by(made, mallory, Deal)
    assert isinstance(deal, Deal)
    other = replace(deal, joins=Digest(bytes(32)))
    words = [(troupe.envelope(mallory, other), other), *made.envelopes]

    alone = replay(made, words, troupe)
    helped = adopt(alone, made.document)

    assert alone.stage(NOW_MS) is Stage.FAILED
    assert alone.result() is None
    assert helped.result() == made.ceremony.result()
    with refused("ceremony"):
        adopt(alone, replace(made.document, ceremony=Digest(bytes(32))))


def test_two_documents_end_it() -> None:
    troupe = seven()[0]
    mallory = troupe.identities[0]

    def twist(author: Identity, message: CeremonyMessage) -> tuple[CeremonyMessage, ...]:
        if author == mallory and isinstance(message, Transcript):
            return (replace(message, document=Digest(bytes(32))),)
        return (message,)

    ceremony = troupe.perform(troupe.proposal(), twist=twist).ceremony

    assert ceremony.stage(NOW_MS) is Stage.FAILED
    assert ceremony.result() is None
    assert ceremony.troubles() == (f"transcript of {mallory.hex()}: a signature under another keys document",)


def test_a_deal_over_other_joins_ends_it_but_convicts_nobody() -> None:
    """Somebody may have sent the dealer another join than all others: its deal alone does not tell."""
    troupe = seven()[0]
    dealer = troupe.identities[0]

    def twist(author: Identity, message: CeremonyMessage) -> tuple[CeremonyMessage, ...]:
        if author == dealer and isinstance(message, Deal):
            return (replace(message, joins=Digest(bytes(32))),)
        return (message,)

    ceremony = troupe.perform(troupe.proposal(), twist=twist).ceremony

    assert ceremony.stage(NOW_MS) is Stage.FAILED
    assert ceremony.troubles() == (f"deal of {dealer.hex()}: a deal over other joins",)
    assert ceremony.deals() is None
    assert ceremony.document is None
    assert faults(ceremony) == ()
    # Nor when all others have dealt.
    made = troupe.perform(troupe.proposal())
    words = [
        (troupe.envelope(e.author, said), said) for e, m in made.envelopes for said in twist(e.author, m)
    ]
    late = replay(made, words, troupe)
    assert (late.deals(), late.document, late.stage(NOW_MS)) == (None, None, Stage.FAILED)


# ---- the same bytes again


def test_a_restart_says_the_same_bytes_again() -> None:
    troupe, made = seven()
    alice = troupe.identities[0]
    player, ceremony = troupe.players[alice], made.ceremony

    opened = open_deals(player.seed, ceremony, alice, None)

    assert isinstance(opened, Shares)
    assert opened == made.shares[alice]
    assert join_of(player.seed, ceremony.terms, alice) == said_by(made, alice, Join)
    assert deal_of(player.seed, ceremony, alice, None) == said_by(made, alice, Deal)
    said = transcript_of(player.seed, ceremony, alice, opened, player.sign)
    assert said == said_by(made, alice, Transcript)


def test_a_statement_signed_again_is_no_contradiction() -> None:
    troupe, made = seven()
    envelope, message = made.envelopes[5]
    again = troupe.envelope(envelope.author, message, at_ms=99)

    ceremony, taken = take(made.ceremony, again, message)

    assert again.digest != envelope.digest
    assert taken is Taken.KNOWN
    assert faults(ceremony) == ()


def test_another_ceremony_has_other_secrets_throughout() -> None:
    troupe, made = seven()
    other = troupe.perform(troupe.proposal(salt=b"another salt 123"))
    for who in troupe.identities:
        first, second = said_by(made, who, Join), said_by(other, who, Join)
        dealt, dealt_again = said_by(made, who, Deal), said_by(other, who, Deal)
        assert isinstance(first, Join)
        assert isinstance(second, Join)
        assert isinstance(dealt, Deal)
        assert isinstance(dealt_again, Deal)
        assert not set(first.pairs.values()) & set(second.pairs.values())
        for before, after in zip(dealt.groups, dealt_again.groups, strict=True):
            assert not set(before.commitments) & set(after.commitments)


def test_every_pair_has_keys_of_its_own() -> None:
    _, made = seven()
    joins, deals = made.ceremony.joins(), made.ceremony.deals()
    assert joins is not None
    assert deals is not None
    keys = [key for join in joins.values() for key in join.pairs.values()]
    keys += [box[:32] for deal in deals.values() for box in deal.sealed.values()]

    assert len(keys) == 2 * 7 * 6
    assert len(set(keys)) == len(keys)


def test_no_coefficient_is_used_twice() -> None:
    _, made = seven()
    deals = made.ceremony.deals()
    assert deals is not None
    dealt = [point for deal in deals.values() for group in deal.groups for point in group.commitments]

    assert len(dealt) == 7 * (3 + 5)
    assert len(set(dealt)) == len(dealt)


def test_another_seed_complains_of_nobody() -> None:
    """Who has lost its seed cannot open its boxes: that is not the dealers' fault."""
    troupe, made = seven()
    alice = troupe.identities[0]

    with refused("share"):
        open_deals(bytes(32), made.ceremony, alice, None)
    with refused("ceremony"):
        open_deals(b"short", made.ceremony, alice, None)


def test_dealing_and_opening_wait_for_everybody() -> None:
    troupe = seven()[0]
    alice = troupe.identities[0]
    seed = troupe.players[alice].seed
    ceremony = troupe.begin(troupe.proposal())

    with refused("ceremony"):
        deal_of(seed, ceremony, alice, None)
    with refused("ceremony"):
        open_deals(seed, ceremony, alice, None)


def test_foreign_shares_are_not_signed_for() -> None:
    troupe, made = seven()
    alice, bob = troupe.identities[:2]
    player = troupe.players[alice]

    with refused("share"):
        transcript_of(player.seed, made.ceremony, alice, made.shares[bob], player.sign)


def test_a_reshare_without_the_old_share_deals_nothing() -> None:
    troupe, made = seven()
    alice, bob = troupe.identities[:2]
    begun = troupe.perform(
        troupe.reshare(made.document), base=made.document, old=made.shares, twist=silent(alice, Deal)
    )
    seed = troupe.players[alice].seed

    for wrong in (None, made.shares[bob].secrets):
        with refused("share"):
            deal_of(seed, begun.ceremony, alice, wrong)


def test_secrets_are_not_in_reprs() -> None:
    troupe, made = seven()
    shares = made.shares[troupe.identities[0]]

    assert str(shares.secrets["fast"]) not in repr(shares)
    assert "secret" not in repr(Complaint(Digest(b""), Identity(b""), Digest(b""), bytes(range(32))))


# ---- what is of no concern


def test_what_is_foreign_changes_nothing() -> None:
    troupe, made = seven()
    stranger = Troupe(["mallory", "m1", "m2", "m3"])
    mallory = stranger.identities[0]
    alice, bob = troupe.identities[:2]
    elsewhere = troupe.perform(troupe.proposal(salt=b"another salt 123"))
    complaint = Complaint(made.ceremony.id, alice, Digest(bytes(32)), bytes(32))
    before = replay(made, [], troupe)
    for envelope, message in elsewhere.envelopes:
        assert take(before, envelope, message) == (before, Taken.FOREIGN)
    for author, message in [
        (mallory, said_by(made, alice, Join)),
        (mallory, said_by(made, alice, Deal)),
        (mallory, said_by(made, alice, Transcript)),
        (mallory, complaint),
        (alice, complaint),
        (bob, replace(complaint, dealer=mallory)),
    ]:
        envelope = (stranger if author == mallory else troupe).envelope(author, message)
        assert take(before, envelope, message) == (before, Taken.FOREIGN)
