"""Decisions that a log speaks of, found again: whoever filled the log, it is not slow and not misled."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from proofs.decision import BlockRef, Decision, decision_id
from proofs.hashes import sha256
from proofs.mandate import Op, Tier
from relay.core.decisions import LINK_PREFIX
from relay.core.messages import Attestation, Verdict
from relay.core.plan import MAX_HOPS
from relay.core.replay import Replayer, Stated
from relay.core.stated import StatedDecisions
from relay.core.types import Caip2, DecisionId, Identity, NetworkId
from tests.sim.keys import EMPTY_TRACE
from tests.sim.plans import sim_plans

NETWORK = NetworkId(bytes(32))
BOB, MALLORY = Identity(sha256(b"bob")), Identity(sha256(b"mallory"))
BRIDGE, MARKET = sim_plans()
PLANS = {each.plan.hash: each for each in (BRIDGE, MARKET)}
REARM_S = 120


def first_rung(at_s: int) -> Decision:
    """Give a decision of the bridge's rule, anchored at this time."""
    digest = sha256(at_s.to_bytes(8, "big"))
    anchor = BlockRef(BRIDGE.plan.clock.reference, digest, at_s, at_s)
    return Decision(
        op=Op.PROTECT,
        plan_hash=BRIDGE.plan.hash,
        subject="unbacked",
        rung=0,
        tier=Tier.FAST,
        anchor=anchor,
        key_epoch=1,
        parent=None,
    )


def links(count: int) -> list[Decision]:
    """Give a first decision, and so many that follow one another, as no honest plans ever would."""
    found = [first_rung(1_000)]
    for _ in range(count):
        parent = decision_id(NETWORK, found[-1])
        anchor = replace(found[0].anchor, chain=MARKET.plan.clock.reference)
        link = replace(found[0], plan_hash=MARKET.plan.hash, subject=f"{LINK_PREFIX}bridge")
        found.append(replace(link, anchor=anchor, parent=parent))
    return found


def test_a_way_of_any_length_is_counted_and_its_nearest_plans_are_given() -> None:
    decisions = links(5_000)
    known = StatedDecisions(NETWORK, PLANS, decisions)

    ways = [known.way_to(decision_id(NETWORK, each)) for each in reversed(decisions)]

    assert [way and way.hops for way in ways] == list(range(5_001, 0, -1))
    assert ways[0] is not None
    assert [decision for _, decision in ways[0].steps] == decisions[: -MAX_HOPS - 2 : -1]
    assert all(lower.parent == decision_id(NETWORK, upper) for upper, lower in pairwise(decisions))


def test_a_way_with_a_gap_is_none_from_there_on() -> None:
    decisions = links(20)
    known = StatedDecisions(NETWORK, PLANS, [*decisions[:10], *decisions[11:]])

    ways = [known.way_to(decision_id(NETWORK, each)) for each in decisions]

    assert [way is not None for way in ways] == [True] * 10 + [False] * 11
    assert known.way_to(DecisionId(bytes(32))) is None


def test_a_plan_that_is_not_here_ends_the_way() -> None:
    decisions = links(1)
    known = StatedDecisions(NETWORK, {MARKET.plan.hash: MARKET}, decisions)

    assert known.way_to(decision_id(NETWORK, decisions[1])) is None


def test_of_restated_decisions_the_latest_on_the_plans_own_chain_counts() -> None:
    decision = first_rung(1_000)
    later = replace(decision, anchor=replace(decision.anchor, timestamp=1_010))
    elsewhere = replace(decision, anchor=replace(later.anchor, chain=Caip2("sim:elsewhere"), timestamp=2_000))

    way = StatedDecisions(NETWORK, PLANS, [decision, later, elsewhere]).way_to(decision_id(NETWORK, decision))

    assert way is not None
    assert [found for _, found in way.steps] == [later]


@pytest.mark.parametrize("is_here", [False, True])
def test_a_member_that_could_not_judge_a_made_up_link_is_not_made_wrong_by_it(is_here: bool) -> None:
    made_up = replace(first_rung(1_000), rung=7)
    anchor = BlockRef(MARKET.plan.clock.reference, sha256(b"block"), 7, 900)
    parent = decision_id(NETWORK, made_up)
    link = replace(links(1)[1], anchor=anchor, parent=parent)
    honest = Attestation(link, Verdict.ABSTAIN, {**EMPTY_TRACE, "rule": link.subject})
    liars = Attestation(made_up, Verdict.ABSTAIN, EMPTY_TRACE)
    stated = [Stated(author, each) for author, each in ((BOB, honest), (MALLORY, liars))][: 1 + is_here]

    found = next(Replayer(NETWORK, PLANS, stated).run())

    assert (found.refusal, found.is_rebuilt) == (None, True)


def test_a_run_begins_with_the_earliest_first_rung_within_its_slots_length() -> None:
    known = StatedDecisions(NETWORK, PLANS, [first_rung(at_s) for at_s in (1_100, 1_000, 1_050)])

    def begun(at_s: int) -> int | None:
        return known.first_rung_s(replace(first_rung(at_s), rung=1), REARM_S)

    assert [begun(at_s) for at_s in (999, 1_000, 1_119, 1_120, 1_219, 1_220)] == [
        None,
        1_000,
        1_000,
        1_050,
        1_100,
        None,
    ]
