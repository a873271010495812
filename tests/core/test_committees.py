"""Which of several committee documents decides what, and for how long (SPEC 2.4)."""

from __future__ import annotations

import pytest

from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.kinds import Caip2, Digest, PlanHash
from proofs.mandate import Op, Tier
from relay.core.committees import LASTING_S, WORDS_S, Committees
from tests.sim.keys import Keys, committee_after, committee_of

FIRST, _ = committee_of(4)
SECOND = committee_after(FIRST, ("bob", "carol", "dave", "erin"), activates_at=1_000)
THIRD = committee_after(SECOND, ("bob", "carol", "dave", "erin"), activates_at=5_000, rotates=False)
CHAIN = Committees((FIRST, SECOND, THIRD))


def decision(at_s: int, key_epoch: int) -> Decision:
    block = BlockRef(Caip2("sim:home"), Digest(bytes(32)), 1, at_s)
    return Decision(block, key_epoch, Op.PROTECT, None, PlanHash(Digest(bytes(32))), 0, "drained", Tier.FAST)


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [(0, FIRST), (999, FIRST), (1_000, SECOND), (4_999, SECOND), (5_000, THIRD), (9_999_999, THIRD)],
)
def test_a_document_is_in_force_from_its_very_second_on(at_s: int, expected: CommitteeDocument) -> None:
    assert CHAIN.in_force(at_s) is expected


def test_before_the_first_is_active_the_first_is_in_force() -> None:
    late = committee_after(FIRST, ("alice", "bob", "carol", "dave"), activates_at=10)

    assert Committees((late,)).in_force(0) is late


def test_documents_are_found_by_epoch_and_by_key_epoch() -> None:
    assert [CHAIN.by_epoch(epoch) for epoch in range(5)] == [None, FIRST, SECOND, THIRD, None]
    assert [CHAIN.by_key_epoch(epoch) for epoch in range(4)] == [None, FIRST, THIRD, None]


@pytest.mark.parametrize(
    ("at_s", "key_epoch", "expected"),
    [
        (999, 1, FIRST),
        (1_000, 2, SECOND),
        (6_000, 2, THIRD),
        (1_000, 1, FIRST),
        (999, 2, THIRD),
        (999, 3, None),
    ],
)
def test_a_decision_belongs_to_the_document_at_its_anchor(
    at_s: int, key_epoch: int, expected: CommitteeDocument | None
) -> None:
    assert CHAIN.of(decision(at_s, key_epoch)) is expected


def test_a_document_stands_until_what_was_decided_under_it_can_live_no_more() -> None:
    over_s = SECOND.activates_at + LASTING_S

    assert CHAIN.standing(over_s - 1) == (FIRST, SECOND, THIRD)
    assert CHAIN.standing(over_s) == (SECOND, THIRD)
    assert Keys("alice").identity in CHAIN.members(over_s - 1)
    assert Keys("alice").identity not in CHAIN.members(over_s)


def test_words_on_decisions_are_opened_for_longer_than_others() -> None:
    over_s = SECOND.activates_at + LASTING_S
    old_s = SECOND.activates_at + WORDS_S

    assert not CHAIN.is_heard(FIRST, over_s, on_decisions=False)
    assert CHAIN.is_heard(FIRST, old_s - 1, on_decisions=True)
    assert not CHAIN.is_heard(FIRST, old_s, on_decisions=True)


def test_an_announced_document_is_heard_at_once() -> None:
    assert CHAIN.is_heard(THIRD, 0, on_decisions=False)


@pytest.mark.parametrize(
    ("name", "at_s", "expected"),
    [
        ("bob", 0, FIRST),
        ("bob", 1_000, SECOND),
        ("alice", 0, FIRST),
        ("alice", 2_000, FIRST),
        ("erin", 0, SECOND),
        ("erin", 6_000, THIRD),
        ("grace", 2_000, SECOND),
    ],
)
def test_members_speak_under_the_document_that_they_are_in(
    name: str, at_s: int, expected: CommitteeDocument
) -> None:
    assert CHAIN.voice_of(Keys(name).identity, at_s) is expected


def test_an_asked_for_document_goes_before_the_own_voice() -> None:
    bob = Keys("bob").identity

    assert CHAIN.spoken_under(bob, 9_000, 1) is FIRST
    assert CHAIN.spoken_under(bob, 9_000, None) is THIRD
    assert CHAIN.spoken_under(bob, 9_000, 7) is THIRD


def test_only_the_next_document_of_the_network_follows() -> None:
    foreign = committee_after(committee_of(5)[0], tuple("abcd"), activates_at=0)

    assert Committees((FIRST,)).follows(SECOND)
    assert not Committees((FIRST,)).follows(THIRD)
    assert not Committees((FIRST,)).follows(foreign)
    assert not CHAIN.follows(SECOND)
    with pytest.raises(AssertionError, match="expected epoch 2"):
        Committees((FIRST,)).with_next(THIRD)
