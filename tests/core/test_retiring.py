"""Shares of an earlier key epoch go as soon as no verifier takes its certificates, and not before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from relay.core.ceremony_effects import RetireShares
from relay.core.committees import Committees
from relay.core.retiring import Retiring
from relay.core.types import Caip2, Gateway
from tests.sim.keys import committee_of

NEAR, FAR = Caip2("eip155:1"), Caip2("eip155:2")
PLACES = frozenset({(NEAR, Gateway(bytes(32))), (FAR, Gateway(bytes(32)))})
FIRST, _ = committee_of(4)
NEXT = replace(FIRST, committee_epoch=2, key_epoch=2, activates_at=1_000, raw=b"next")
COMMITTEES = Committees((FIRST, NEXT))


@dataclass
class Verifiers:
    """What handovers know: whose verifier was seen, and until when epoch 1 is taken."""

    until: int = 2_000
    states: dict[tuple[Caip2, Gateway], None] = field(default_factory=lambda: dict.fromkeys(PLACES))

    def is_accepted(self, key_epoch: int, at_s: int) -> bool:
        return key_epoch > 1 or at_s <= self.until


def due(retiring: Retiring, verifiers: Verifiers, near: int = 2_001, far: int = 2_001) -> list[RetireShares]:
    heads = {NEAR: near, FAR: far}
    return retiring.due([1, 2], COMMITTEES, verifiers, heads)  # type: ignore[arg-type] - all that is asked of them


def test_shares_go_once_when_no_verifier_takes_their_epoch() -> None:
    retiring = Retiring(PLACES)

    assert due(retiring, Verifiers(), 2_000, 2_000) == []
    assert due(retiring, Verifiers()) == [RetireShares(1)]
    assert due(retiring, Verifiers()) == []
    retiring.started()
    assert due(retiring, Verifiers()) == [RetireShares(1)]


def test_the_chain_that_is_behind_decides() -> None:
    assert due(Retiring(PLACES), Verifiers(), near=9_999, far=2_000) == []


def test_the_epoch_in_force_stays_whoever_takes_it() -> None:
    assert due(Retiring(PLACES), Verifiers(until=0), 999, 999) == []


@pytest.mark.parametrize("place", sorted(PLACES))
def test_nothing_goes_while_a_verifier_was_not_seen(place: tuple[Caip2, Gateway]) -> None:
    verifiers = Verifiers()
    del verifiers.states[place]

    assert due(Retiring(PLACES), verifiers) == []


def test_nothing_goes_where_there_is_no_gateway_or_no_block() -> None:
    assert due(Retiring(frozenset()), Verifiers()) == []
    assert Retiring(PLACES).due([1], COMMITTEES, Verifiers(), {NEAR: 9_999}) == []  # type: ignore[arg-type] - as above
