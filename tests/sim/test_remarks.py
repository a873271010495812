"""Every kind of statement stands in the log of every member that was there, byte for byte (SPEC 3, 7.3)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeVar

import pytest

from proofs.canonical import decode
from proofs.decision import Decision
from proofs.envelope import Envelope, open_envelope
from proofs.mandate import Op, Tier
from relay.core.bad_shares import BAD_SHARE_FORMAT
from relay.core.compiled import CompiledPlan
from relay.core.decisions import prepare
from relay.core.events import ReadinessChanged, SignalTold
from relay.core.messages import (
    KIND,
    LOGGED,
    Absence,
    Accusation,
    Attestation,
    Header,
    Message,
    Outcome,
    Shadow,
    Verdict,
)
from relay.core.replay import Replayer, Stated
from relay.core.types import Millis
from relay.core.wire import read_message
from relay.threshold.messages import SignatureShare, SigningRequest
from tests.sim.host import Host
from tests.sim.invariants import assert_replay_is_equal
from tests.sim.liars import Silent
from tests.sim.plans import AWAY, BRIDGE, HOME, compile_text, sim_plans
from tests.sim.session_liars import BadSigner
from tests.sim.town import Town

SEED = 83
Said = TypeVar("Said", bound=Message)


def watcher() -> CompiledPlan:
    """Give the bridge's plan in shadow mode, behind gateways of its own."""
    text = BRIDGE.replace('mode = "armed"', 'mode = "shadow"').replace(
        '"bridge"\nversion', '"watcher"\nversion'
    )
    return compile_text(text.replace("gateway-home", "watcher-home").replace("gateway-away", "watcher-away"))


@pytest.fixture(scope="module")
def town() -> Town:
    """An incident from its first block to its release; frank gives bad shares, grace says nothing, erin is
    blind on one chain for a while.
    """
    print(f"seed {SEED}")
    town = Town(random.Random(SEED), size=7, liars=(BadSigner, Silent), plans=(*sim_plans(), watcher()))
    alice, erin = town.hosts["alice"], town.hosts["erin"]
    town.burn(100)
    town.run(60)
    plan_hash, at_ms = town.plans[0].plan.hash, Millis(town.now_ms)
    alice.take(SignalTold(plan_hash, "unbacked", "a monitor", "look at this", b"s" * 32, at_ms))
    alice.take(ReadinessChanged("funds sim:home", "failed", "too little", "send some", b"r" * 32, at_ms))
    lie(town)
    erin.blind.add(AWAY)
    town.release(500)
    town.run(120)
    erin.blind.discard(AWAY)
    town.run(120)
    town.burn(1_000)
    bridge = town.chains[HOME].world.gateways[town.plans[0].gateways[HOME]]
    assert bridge.states["halt"] == 1
    town.run_until(lambda: bridge.states["halt"] == 0, within_s=700, what="the bridge is reopened")
    town.run(90)
    town.is_lying = False
    town.run(30)
    return town


def lie(town: Town) -> None:
    """Let frank attest to what no rule gives, so that the others dissent."""
    bridge, frank = town.plans[0], town.keys["frank"]
    anchor = town.chains[HOME].blocks[-1].header.block
    rule = next(iter(bridge.plan.rules))
    decision = Decision(anchor, 1, Op.PROTECT, None, bridge.plan.hash, 0, rule, Tier.FAST)
    prepared = prepare(town.committee.network, bridge, decision)
    envelope, _ = frank.attest(prepared, town.committee, town.now_ms)
    town.broadcast(frank.identity, envelope.raw)


def log_of(host: Host) -> Iterator[tuple[Envelope, Message]]:
    for raw in host.disk.log.values():
        envelope = open_envelope(raw)
        yield envelope, read_message(envelope)


def of_kind(host: Host, kind: type[Said]) -> list[tuple[Envelope, Said]]:
    return [(envelope, message) for envelope, message in log_of(host) if isinstance(message, kind)]


def test_all_logs_hold_the_same_bytes(town: Town) -> None:
    hosts = list(town.hosts.values())
    old = [
        {digest for digest, raw in host.disk.log.items() if open_envelope(raw).at_ms < town.now_ms - 30_000}
        for host in hosts
    ]

    names = {digest: open_envelope(raw) for host in hosts for digest, raw in host.disk.log.items()}
    for host, held in zip(hosts, old, strict=True):
        missing = set.union(*old) - held
        told = [(names[each].kind, names[each].author.hex()[:8]) for each in missing]
        assert not missing, f"{host.keys.name} lacks {told}"


def test_every_kind_that_this_incident_brings_is_there(town: Town) -> None:
    kinds = {envelope.kind for envelope, _ in log_of(town.hosts["bob"])}
    effects = {outcome.effect for _, outcome in of_kind(town.hosts["bob"], Outcome)}
    verdicts = {said.verdict for _, said in of_kind(town.hosts["bob"], Attestation)}

    elsewhere = {"equivocation", "report", "void", "unlanded", "rotation", "fork"}
    assert kinds == {KIND[each] for each in LOGGED} - elsewhere
    assert effects >= {"started", "extended", "release"}
    assert verdicts == set(Verdict)


def test_the_silent_one_is_absent_from_every_decision_that_is_over(town: Town) -> None:
    grace = town.keys["grace"].identity
    said = of_kind(town.hosts["bob"], Absence)

    authors = {envelope.author for envelope, _ in said}
    assert authors == {host.me for host in town.hosts.values()}
    assert all(grace in absence.absent for _, absence in said)
    words = [(envelope.author, absence.decision_id) for envelope, absence in said]
    assert len(set(words)) == len(words), "each member says it once"


def test_a_bad_share_is_said_with_evidence_that_is_kept_and_shows_it(town: Town) -> None:
    frank = town.keys["frank"].identity
    accused = of_kind(town.hosts["bob"], Accusation)

    assert {envelope.author for envelope, _ in accused} == {host.me for host in town.hosts.values()}
    for envelope, accusation in accused:
        assert accusation.member == frank
        host = next(each for each in town.hosts.values() if each.me == envelope.author)
        evidence = decode(host.disk.evidence[accusation.evidence], limit_bytes=1 << 18)
        assert isinstance(evidence, dict)
        assert evidence["format"] == BAD_SHARE_FORMAT
        shown = {}
        for part in ("share", "request"):
            raw = evidence[part]
            assert isinstance(raw, bytes)
            shown[part] = open_envelope(raw)
        share, request = read_message(shown["share"]), read_message(shown["request"])
        assert isinstance(share, SignatureShare)
        assert isinstance(request, SigningRequest)
        assert shown["share"].author == frank
        assert (share.digest, share.coordinator) == (request.digest, shown["request"].author)


def test_blocks_with_outcomes_are_said_to_be_final_by_all(town: Town) -> None:
    told: dict[tuple[bytes, bytes], set[bytes]] = {}
    for envelope, header in of_kind(town.hosts["bob"], Header):
        told.setdefault((header.decision_id, header.block.hash), set()).add(envelope.author)
    seen = {
        (outcome.decision_id, outcome.block.hash)
        for _, outcome in of_kind(town.hosts["bob"], Outcome)
        if outcome.block.timestamp < town.now_s - 120
    }

    assert seen
    assert seen <= told.keys()
    assert all(told[each] == {host.me for host in town.hosts.values()} for each in seen)


def test_shadow_decisions_follow_from_what_their_authors_logged(town: Town) -> None:
    shadows = [Stated.shadow(envelope.author, said) for envelope, said in of_kind(town.hosts["bob"], Shadow)]
    plan = town.plans[2]

    found = list(Replayer(town.committee.network, {plan.plan.hash: plan}, tuple(shadows)).run())

    assert {each.stated.author for each in found} == {host.me for host in town.hosts.values()}
    assert all(each.refusal is None and each.is_rebuilt for each in found)
    altered = [Stated(each.author, each.attestation) for each in shadows]
    (first, *_) = Replayer(town.committee.network, {plan.plan.hash: plan}, tuple(altered)).run()
    assert first.refusal is not None
    assert first.refusal.check == "mandate", "as an attestation it would need a mandate's digest"


def test_nothing_that_was_sealed_stands_in_a_log(town: Town) -> None:
    for host in town.hosts.values():
        everything = b"".join(host.disk.log.values())
        for words in (b"a monitor", b"look at this", b"too little", b"send some"):
            assert words not in everything


def test_a_replay_gives_the_same_node_and_nothing_is_asked_for_again(town: Town) -> None:
    for host in town.hosts.values():
        assert_replay_is_equal(host)
