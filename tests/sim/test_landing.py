"""From certificates to gateways: what is sent, by whom, how often, and what is left alone."""

from __future__ import annotations

import random

from proofs.mandate import Op, Tier
from relay.core.ports import Execute, Expire
from relay.core.submission import rank
from tests.sim.gateway import Result
from tests.sim.invariants import Witness
from tests.sim.plans import AWAY, HOME, REARM_S
from tests.sim.town import Town


def drained(seed: int) -> Town:
    """Give a town where the rule has just turned true for good."""
    town = Town(random.Random(seed))
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)
    return town


def test_a_rule_that_stays_true_is_certified_in_every_slot_but_sent_only_when_it_adds_much() -> None:
    town = drained(21)
    town.run(5 * REARM_S)
    alice = town.hosts["alice"]
    assert alice.node is not None

    fast = [
        entry.tally.prepared
        for entry in alice.node.book.entries.values()
        if entry.tally.certificate is not None
        and entry.tally.prepared.decision.subject == "unbacked"
        and entry.tally.prepared.decision.tier is Tier.FAST
    ]
    slots = {each.decision.anchor.timestamp // REARM_S for each in fast}
    sent = [
        landing.call.mandate
        for landing in town.chains[HOME].landings
        if landing.call.mandate.tier is Tier.FAST
    ]

    assert len(slots) >= 5
    assert max(slots) - min(slots) == len(slots) - 1, "a slot without a decision"
    assert 1 <= len(sent) < len(slots)
    reasons = {
        notice.facts["reason"]
        for host in town.hosts.values()
        for notice in host.notices
        if notice.name == "submission rests"
    }
    assert "in force long enough" in reasons
    assert town.state("halt") == 1


def test_each_call_is_sent_once_by_the_first_in_the_order() -> None:
    town = drained(22)
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.run(20)

    home = town.chains[HOME]
    started = [landing for landing in home.landings if landing.result is Result.STARTED]

    assert len(started) == 1
    decision = started[0].call.mandate.decision_id
    members = [member.identity for member in town.committee.members]
    first = next(host for host in town.hosts.values() if rank(decision, HOME, members, host.me) == 0)
    assert any(notice.name == "submission ended" for notice in first.notices)
    others = [host for host in town.hosts.values() if host is not first]
    assert sum(notice.name == "submission ended" for host in others for notice in host.notices) <= 1


def test_when_the_first_in_the_order_cannot_the_next_does() -> None:
    town = drained(23)
    for host in town.hosts.values():
        host.can_submit = False
    members = [member.identity for member in town.committee.members]
    town.run_until(lambda: town.certified(town.hosts["alice"], "unbacked"), within_s=60, what="a certificate")
    decision = town.certified(town.hosts["alice"], "unbacked")[0]
    for host in town.hosts.values():
        host.can_submit = rank(decision, HOME, members, host.me) == 3  # type: ignore[arg-type]  # 32 bytes

    took = town.run_until(lambda: town.state("halt") == 1, within_s=90, what="the last in the order submits")

    assert took >= 3 * 12 - 2, "nobody waits for those before him"


def test_a_fast_decision_is_made_again_in_full_over_the_same_acts() -> None:
    town = drained(24)
    town.run(150)
    alice = town.hosts["alice"]
    assert alice.node is not None
    certified = [
        entry.tally.prepared for entry in alice.node.book.entries.values() if entry.tally.certificate
    ]
    fast = {
        (each.decision.anchor.hash, each.mandate.acts_root)
        for each in certified
        if each.decision.tier is Tier.FAST and each.decision.parent is None
    }
    full = {
        (each.decision.anchor.hash, each.mandate.acts_root)
        for each in certified
        if each.decision.tier is Tier.FULL and each.decision.rung == 0
    }

    assert fast
    assert full
    assert full <= fast


def test_a_link_that_follows_the_full_copy_of_its_parent_does_no_harm() -> None:
    town = drained(25)
    town.run_until(
        lambda: len(town.certified(town.hosts["bob"], "link:bridge")) >= 2, within_s=200, what="two links"
    )
    until = town.record_until("freeze")
    town.run(10)

    landings = [
        landing
        for landing in town.chains[AWAY].landings
        if landing.call.mandate.plan_hash == town.plans[1].plan.hash
    ]

    assert [landing.result for landing in landings][:1] == [Result.STARTED]
    assert all(landing.result in (Result.NOOP, Result.EXTENDED) for landing in landings[1:])
    assert town.state("freeze") == 1
    assert town.record_until("freeze") is not None
    assert (town.record_until("freeze") or 0) <= (until or 0) + REARM_S


def test_an_act_that_has_run_out_is_expired_by_one_member_in_its_order() -> None:
    town = drained(26)
    town.run_until(lambda: town.state("freeze") == 1, within_s=90, what="the market follows")
    town.burn(400)
    calls = []
    away = town.chains[AWAY]
    run = away._run
    away._run = lambda sent, block: (calls.append(sent.call), run(sent, block))[1]  # type: ignore[method-assign]

    town.run_until(lambda: town.state("freeze") == 0, within_s=900, what="the market is reopened")
    town.run(30)

    freezes = [
        call for call in calls if isinstance(call, Expire) and call.gateway == away.queries.gateways[1]
    ]
    expiries = [call for call in calls if isinstance(call, Expire)]
    assert expiries
    assert len(freezes) <= 2, (
        "the next in the order may miss the first one's block by a second, no other does"
    )
    assert not any(
        isinstance(call, Execute) and call.mandate.op is Op.EXTEND
        for call in calls
        if call.gateway in {town.plans[1].gateways[AWAY]}
    )


def test_after_a_restart_calls_that_were_on_their_way_are_sent_again() -> None:
    town = drained(27)
    for host in town.hosts.values():
        host.can_submit = False
    alice = town.hosts["alice"]
    town.run_until(
        lambda: (
            alice.node is not None and any(call.in_flight for call in alice.node.landing.pending.values())
        ),
        within_s=120,
        what="alice sends, in vain",
    )
    alice.stop()
    alice.start()
    alice.can_submit = True

    town.run_until(lambda: town.state("halt") == 1, within_s=30, what="the call is sent again at once")


def test_a_release_is_not_sent_once_a_later_protection_was_decided() -> None:
    town = drained(28)
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.burn(400)
    alice = town.hosts["alice"]
    assert alice.node is not None
    node = alice.node

    def released() -> bool:
        return any(
            entry.tally.prepared.decision.op is Op.RELEASE and entry.tally.certificate is not None
            for entry in node.book.entries.values()
        )

    for host in town.hosts.values():
        host.can_submit = False
    town.run_until(released, within_s=600, what="a release is certified")
    town.release(900)
    town.run(40)
    for host in town.hosts.values():
        host.can_submit = True
    town.run(150)

    assert town.state("halt") == 1
    assert all(landing.call.mandate.op is not Op.RELEASE for landing in town.chains[HOME].landings)


def test_a_re_org_of_the_anchor_voids_the_decision_and_its_calls_and_the_next_block_decides_anew() -> None:
    town = drained(29)
    alice = town.hosts["alice"]
    for host in town.hosts.values():
        host.can_submit = False
    town.run_until(lambda: town.certified(alice, "unbacked"), within_s=60, what="a certificate")
    first = town.certified(alice, "unbacked")[0]
    assert alice.node is not None

    town.chains[HOME].reorg(3)
    town.run(12)
    assert alice.node.book.entries.entry_of(first).void  # type: ignore[union-attr, arg-type]  # it is open
    for host in town.hosts.values():
        host.can_submit = True
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the new branch is protected too")

    landed = {landing.call.mandate.decision_id for landing in town.chains[HOME].landings}
    assert first not in landed
    assert any(b"void" in raw for raw in alice.disk.log.values())
