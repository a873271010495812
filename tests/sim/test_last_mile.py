"""What goes wrong between certificate and effect: each ends in the effect, once, or in a named alarm."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from proofs.mandate import Tier
from relay.core.messages import Unlanded, Verdict
from relay.core.observations import GatewayEventKind
from relay.core.ports import Expire, Submission, SubmissionStatus
from relay.core.submission import rank
from relay.core.types import Caip2
from relay.core.wire import open_message
from tests.sim.chain import Sent
from tests.sim.gateway import Gateway
from tests.sim.host import Host
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.plans import AWAY, BRIDGE, HOME, MARKET, REARM_S, compile_text
from tests.sim.town import Town

UNFUNDED = Submission(SubmissionStatus.UNFUNDED, reason="expected 7 wei, the submitter holds 0")
LONG = (
    BRIDGE.replace("rearm_s = 120", "rearm_s = 900")
    .replace('step = "24s"', 'step = "10m"')
    .replace("mandate_fast_s = 120", "mandate_fast_s = 900")
    .replace("mandate_full_s = 480", "mandate_full_s = 900")
    .replace('lasts = "5m"', 'lasts = "30m"')
    .replace('lasts = "10m"', 'lasts = "30m"')
)
"""A bridge whose second rung comes ten minutes after the first, unless that does not land."""


def drained(seed: int, *texts: str) -> Town:
    """Give a town where the rule has just turned true for good."""
    plans = tuple(compile_text(text) for text in texts) or None
    town = Town(random.Random(seed), plans=plans)
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)
    return town


def gateway_of(town: Town, act: str) -> Gateway:
    """Give the gateway that has an act, as it stands now."""
    gateways = [gateway for chain in town.chains.values() for gateway in chain.world.gateways.values()]
    return next(gateway for gateway in gateways if act in gateway.acts)


def expire(town: Town, act: str, chain: Caip2 = HOME) -> None:
    """Let an attacker send an expiry in the next block."""
    encoded = next(plan.acts[act] for plan in town.plans if act in plan.acts)
    call = Expire(chain, encoded.gateway, encoded.act_id)
    town.chains[chain].pending.append(Sent(call, lambda _: None))


def first_of(town: Town, subject: str = "unbacked") -> Host:
    """Give the member that is first in the order for the newest decision about a subject."""
    decision = town.certified(town.hosts["alice"], subject)[-1]
    members = [member.identity for member in town.committee.members]
    return next(host for host in town.hosts.values() if rank(decision, HOME, members, host.me) == 0)


def pages(town: Town) -> list[str]:
    return [page.text for host in town.hosts.values() for page in host.pages]


def stated(town: Town) -> list[tuple[str, Unlanded]]:
    """Give every `unlanded` in alice's log, with its author."""
    names = {keys.identity: name for name, keys in town.keys.items()}
    raws = town.hosts["alice"].disk.log.values()
    opened = [open_message(raw, town.committees, at_s=town.now_s) for raw in raws]
    return [
        (names[envelope.author], message) for envelope, message in opened if isinstance(message, Unlanded)
    ]


def events(town: Town, kind: GatewayEventKind, act: str, chain: Caip2 = HOME) -> int:
    """Count what a chain's gateways said of an act."""
    act_id = next(plan.acts[act].act_id for plan in town.plans if act in plan.acts)
    return sum(
        event.kind is kind and event.act_id == act_id
        for reads in town.chains[chain].blocks
        for event in reads.gateway_events
    )


def watched(town: Town, act: str) -> Callable[[], list[int]]:
    """Note the times at which an act's state was weak after it had first been protected."""
    weak: list[int] = []
    seen: list[bool] = []

    def look(town: Town) -> None:
        if town.state(act) == gateway_of(town, act).acts[act].value:
            seen.append(True)
        elif seen:
            weak.append(town.now_s)

    town.checks.append(look)
    return lambda: weak


def test_an_act_revoked_after_its_certificate_is_named_at_once_and_lands_when_the_owner_heals_it() -> None:
    town = drained(101)
    gateway_of(town, "halt").revoked.add("halt")
    town.run_until(lambda: pages(town), within_s=60, what="a page")

    assert all("ActNotRegistered" in text for text in pages(town))
    assert town.state("halt") == 0
    gateway_of(town, "halt").revoked.clear()
    town.run_until(lambda: town.state("halt") == 1, within_s=90, what="the call is tried again")


def test_what_never_lands_is_stated_once_by_each_member_that_tried() -> None:
    town = drained(102, LONG)
    gateway_of(town, "halt").revoked.add("halt")
    town.run(400)

    said = stated(town)

    assert {name for name, _ in said} == set(town.hosts)
    words = [(name, message.decision_id, message.act_id) for name, message in said]
    assert len(words) == len(set(words)), "one for each member, decision and act"
    assert {message.reason for _, message in said} == {"refused by simulation: ActNotRegistered"}
    for host in town.hosts.values():
        assert_replay_is_equal(host)


def test_a_rung_that_does_not_land_brings_the_next_one_long_before_its_step() -> None:
    town = drained(103, LONG)
    gateway_of(town, "halt").revoked.add("halt")

    took = town.run_until(lambda: town.state("lower-cap") == 10, within_s=400, what="the next rung")

    assert 120 <= took < 300


@pytest.mark.parametrize("seed", [120, 121, 122])
def test_members_agree_on_an_early_rung_whatever_the_network_and_the_other_chain_do(seed: int) -> None:
    text = LONG.replace('verb = "pause"\nchain = "sim:home"', 'verb = "pause"\nchain = "sim:away"')
    town = drained(seed, text)
    town.weather.drop, town.weather.max_delay_ms = 0.2, 4_000
    gateway_of(town, "halt").revoked.add("halt")
    town.run(90)
    town.stalled.add(AWAY)
    town.run(60)
    town.stalled.clear()
    town.chains[HOME].reorg(2)
    town.chains[AWAY].reorg(2)
    town.run_until(lambda: town.state("lower-cap") == 10, within_s=400, what=f"the next rung, seed {seed}")

    said = [attestation for host in town.hosts.values() for attestation in host.signed]
    assert any(attestation.decision.rung == 1 for attestation in said)
    assert not [each for each in said if each.verdict is Verdict.DISSENT], f"seed {seed}"


def test_a_rung_that_lands_leaves_the_next_one_to_its_step() -> None:
    town = drained(104, LONG)

    town.run(400)

    assert town.state("halt") == 1
    assert town.state("lower-cap") == 100
    assert not pages(town)


def test_a_first_in_the_order_without_funds_pages_and_the_next_one_lands() -> None:
    town = drained(105)
    for host in town.hosts.values():
        host.can_submit = False
    town.run_until(lambda: town.certified(town.hosts["alice"], "unbacked"), within_s=60, what="a certificate")
    poor = first_of(town)
    town = drained(105)
    town.hosts[poor.keys.name].trouble = UNFUNDED
    town.run_until(lambda: town.state("halt") == 1, within_s=90, what="the next in the order lands")

    assert [page.text for page in town.hosts[poor.keys.name].pages if "unfunded" in page.text]
    assert events(town, GatewayEventKind.STARTED, "halt") == 1


def test_the_guardian_may_be_first_and_takes_nothing_away_when_he_lets_go() -> None:
    town = drained(106, LONG)
    gateway_of(town, "halt").states["halt"] = 1
    town.run(400)

    assert events(town, GatewayEventKind.STARTED, "halt") == 0
    assert 1 <= events(town, GatewayEventKind.NOOP, "halt") <= 2, "the gateway says so, for all to read"
    assert town.state("lower-cap") == 100, "what the guardian protects opens nothing early"
    assert not pages(town)
    assert not stated(town)

    gateway_of(town, "halt").states["halt"] = 0
    town.run_until(lambda: town.state("halt") == 1, within_s=90, what="we take over")
    assert events(town, GatewayEventKind.STARTED, "halt") == 1


def test_a_decision_at_the_last_moment_lengthens_the_pause_without_a_gap() -> None:
    town = drained(107)
    weak = watched(town, "halt")
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    until = town.record_until("halt")
    assert until is not None
    for host in town.hosts.values():
        host.can_submit = False
    town.run(until - town.now_s - 24)
    assert (until - town.now_s) / 300 < 0.1
    for host in town.hosts.values():
        host.stop()
        host.start()
        host.can_submit = True
    town.run(60)

    assert (town.record_until("halt") or 0) > until
    assert weak() == []


def test_a_rule_that_stays_true_leaves_no_gap_where_acts_last_hardly_longer_than_two_slots() -> None:
    text = BRIDGE.replace('lasts = "5m"', 'lasts = "4m"')
    town = drained(108, text)
    weak = watched(town, "halt")
    town.checks.append(lambda town: expire(town, "halt"))
    town.run(8 * REARM_S)

    assert weak() == []
    assert events(town, GatewayEventKind.STARTED, "halt") == 1


def test_an_expiry_bundled_with_the_attack_is_answered_by_the_next_slot() -> None:
    town = drained(109)
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    for host in town.hosts.values():
        host.can_submit = False
    until = town.record_until("halt")
    assert until is not None
    town.run_until(lambda: town.now_s >= until, within_s=400, what="the pause is over")
    expire(town, "halt")
    town.run_until(lambda: town.state("halt") == 0, within_s=20, what="the attacker has reopened the bridge")
    for host in town.hosts.values():
        host.can_submit = True
        host.stop()
        host.start()

    town.run_until(
        lambda: town.state("halt") == 1, within_s=REARM_S + 40, what="the next slot's decision lands"
    )


def test_a_re_org_that_removes_the_act_is_followed_by_the_act_again_once() -> None:
    town = drained(110)
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.run(2)
    decision = town.chains[HOME].landings[-1].call.mandate.decision_id
    town.chains[HOME].reorg(1)
    assert town.state("halt") == 0

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the act is sent again")
    town.run(60)

    again = [
        landing for landing in town.chains[HOME].landings if landing.call.mandate.decision_id == decision
    ]
    assert len(again) == 1
    assert events(town, GatewayEventKind.STARTED, "halt") == 1


def test_when_an_incident_has_closed_f_plus_1_members_anchor_their_logs_once() -> None:
    town = Town(random.Random(111))
    town.burn(100)
    town.run(60)
    town.release(500)
    town.run_until(lambda: town.state("lower-cap") == 10, within_s=250, what="all acts are in force")
    assert not town.chains[HOME].anchors
    town.burn(400)
    town.run_until(
        lambda: all(town.record_until(act) is None for act in ("halt", "freeze", "lower-cap")),
        within_s=2_000,
        what="everything is reopened",
    )
    town.run_until(lambda: town.chains[HOME].anchors, within_s=1_500, what="an anchor")
    town.run(120)

    f_plus_1 = town.committee.f + 1
    anchors = town.chains[HOME].anchors
    assert len({member for member, _ in anchors}) == f_plus_1
    assert len(anchors) == f_plus_1
    assert {anchor.incident_id for _, anchor in anchors} == {
        town.certified(town.hosts["alice"], "unbacked")[0]
    }
    assert not town.chains[AWAY].anchors
    for host in town.hosts.values():
        host.stop()
        host.start()
    town.run(120)
    assert town.chains[HOME].anchors == anchors


def test_the_market_s_link_lands_or_is_told_like_any_other_call() -> None:
    town = drained(112, BRIDGE, MARKET)
    gateway_of(town, "freeze").revoked.add("freeze")
    town.run(200)

    assert town.state("halt") == 1
    assert any("ActNotRegistered" in text for text in pages(town))
    assert any(landing.call.mandate.tier is Tier.FAST for landing in town.chains[HOME].landings)
