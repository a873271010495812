"""Committees in which one organisation has too much power."""

from __future__ import annotations

from relay.core.committee_check import Refusal, RefusalKind, committee_refusals
from tests.shells.config.committees import CHAIN, SEVEN, make_committee, member


def names_of(refusal: Refusal) -> set[str]:
    return set(refusal.members)


def test_seven_independent_members_with_three_providers_each_are_fit() -> None:
    assert committee_refusals(make_committee([member(name) for name in SEVEN])) == ()


def test_six_members_are_too_few_to_arm_a_plan() -> None:
    (refusal,) = committee_refusals(make_committee([member(name) for name in SEVEN[:6]]))

    assert (refusal.kind, refusal.bound) == (RefusalKind.FEW_MEMBERS, 7)
    assert str(refusal) == "expected at least 7 members, got 6"


def test_an_operator_of_f_members_is_borne_and_of_more_is_not() -> None:
    seven = [member(name) for name in SEVEN]
    two = [member("alice", "Acme"), member("bob", "acme"), *seven[2:]]
    three = [*two[:2], member("carol", "ACME"), *seven[3:]]

    assert committee_refusals(make_committee(two)) == ()
    (refusal,) = committee_refusals(make_committee(three))
    assert refusal.kind is RefusalKind.ONE_OPERATOR
    assert (names_of(refusal), refusal.chain, refusal.bound) == ({"alice", "bob", "carol"}, None, 2)
    assert "at most 2" in str(refusal)


def test_one_of_two_providers_decides_for_a_member_and_one_of_three_does_not() -> None:
    members = [member("alice", providers=["one", "two"]), member("bob", providers=["One"])]
    members += [member("carol", providers=["ONE"]), *(member(name) for name in SEVEN[3:])]

    (refusal,) = committee_refusals(make_committee(members))

    assert (refusal.kind, refusal.who.casefold(), refusal.chain) == (RefusalKind.ONE_PROVIDER, "one", CHAIN)
    assert names_of(refusal) == {"alice", "bob", "carol"}


def test_a_provider_under_three_names_counts_once() -> None:
    members = [member(name, providers=["one", "ONE", "One"]) for name in SEVEN]

    (refusal,) = committee_refusals(make_committee(members))

    assert names_of(refusal) == set(SEVEN)
