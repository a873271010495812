"""The order in which members submit: known to all, fair, another for each decision and chain (SPEC 6.6)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proofs.hashes import sha256
from relay.core.submission import MIN_STAGGER_MS, rank, stagger_ms
from relay.core.types import Caip2
from tests.sim.keys import committee_of

MEMBERS = [member.identity for member in committee_of(7)[0].members]
HOME, AWAY = Caip2("sim:home"), Caip2("sim:away")


@given(subject=st.binary(min_size=32, max_size=32))
def test_every_member_has_a_place_of_its_own(subject: bytes) -> None:
    assert sorted(rank(subject, HOME, MEMBERS, member) for member in MEMBERS) == list(range(7))


def test_each_member_is_first_about_as_often() -> None:
    firsts = Counter(
        member
        for number in range(700)
        for member in MEMBERS
        if rank(sha256(f"{number}".encode()), HOME, MEMBERS, member) == 0
    )

    assert min(firsts.values()) > 60


def test_the_order_differs_by_chain() -> None:
    subjects = [sha256(f"{number}".encode()) for number in range(50)]

    def orders(chain: Caip2) -> list[list[int]]:
        return [[rank(subject, chain, MEMBERS, member) for member in MEMBERS] for subject in subjects]

    assert orders(HOME) != orders(AWAY)


def test_each_place_waits_a_block_or_two_seconds() -> None:
    assert stagger_ms(12_000) == 12_000
    assert stagger_ms(250) == MIN_STAGGER_MS
