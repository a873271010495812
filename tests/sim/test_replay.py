"""A log replayed: what members signed follows from their inputs, and nothing altered does (SPEC 5.3)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest

from proofs.canonical import Value, encode
from proofs.decision import Decision, block_value, decision_id
from proofs.envelope import open_envelope
from proofs.mandate import Op, Tier
from relay.core.compiled import CompiledPlan
from relay.core.decisions import prepare
from relay.core.messages import Attestation, Verdict
from relay.core.plan import Mode, OnFault
from relay.core.replay import Refusal, Replayed, Replayer, Stated
from relay.core.types import Caip2, Digest, Gateway
from relay.core.wire import read_message
from tests.sim.keys import EMPTY_TRACE
from tests.sim.plans import sim_plans
from tests.sim.reporters import OSCAR, PEGGY
from tests.sim.test_reports import town_of
from tests.sim.town import Town

SEED = 71


@pytest.fixture(scope="module")
def town() -> Town:
    """An incident on both chains, renewed, extended, and released at its end.

    dave comes when it has begun, and bob is away in the middle of it.
    """
    town = Town(random.Random(SEED))
    bob, dave = town.hosts["bob"], town.hosts["dave"]
    town.burn(100)
    town.run(60)
    dave.stop()
    town.release(500)
    town.run(150)
    dave.start()
    bob.stop()
    town.run(100)
    bob.start()
    town.run(150)
    town.burn(1_000)
    town.run(900)
    return town


def stated(town: Town) -> list[Stated]:
    """Give what the first host's log holds of all members."""
    envelopes = [open_envelope(raw) for raw in town.up()[0].disk.log.values()]
    messages = [(envelope.author, read_message(envelope)) for envelope in envelopes]
    return [Stated(author, said) for author, said in messages if isinstance(said, Attestation)]


def replayed(town: Town, statements: Iterable[Stated], plans: int = 2) -> list[Replayed]:
    known = {compiled.plan.hash: compiled for compiled in sim_plans()[:plans]}
    return list(Replayer(town.committee.network, known, tuple(statements)).run())


def a_protect(town: Town, subject: str = "unbacked") -> Stated:
    """Give the last statement of one who attests to `subject`."""
    return next(
        each
        for each in reversed(stated(town))
        if each.attestation.verdict is Verdict.ATTEST and each.attestation.decision.subject == subject
    )


def refusal_of(town: Town, said: Stated, **changes: Value) -> Refusal | None:
    """Replay one attestation with its trace altered, among all others as they were."""
    trace = {**said.attestation.trace, **changes}
    others = [each for each in stated(town) if each is not said]
    altered = Stated(said.author, replace(said.attestation, trace=trace))
    return replayed(town, [altered, *others])[0].refusal


def test_every_verdict_of_an_incident_follows_from_the_log_alone(town: Town) -> None:
    found = replayed(town, stated(town))

    assert [each for each in found if each.refusal is not None or not each.is_rebuilt] == []
    kinds = Counter((each.stated.attestation.decision.op, each.stated.attestation.verdict) for each in found)
    assert {op for op, verdict in kinds if verdict is Verdict.ATTEST} == set(Op), kinds
    assert any(each.stated.attestation.decision.parent is not None for each in found)


def judged(said: Stated) -> bytes:
    """Give the bytes of a trace that are the same for all; how many endpoints agreed is each member's own."""
    trace = said.attestation.trace
    return encode({name: trace[name] for name in ("rule", "result", "values", "pins")})


def test_all_members_judge_by_the_same_bytes_whatever_came_first(town: Town) -> None:
    traces: dict[Decision, dict[bytes, set[bytes]]] = {}
    for each in stated(town):
        if each.attestation.verdict is not Verdict.ABSTAIN:
            authors = traces.setdefault(each.attestation.decision, {})
            authors.setdefault(judged(each), set()).add(each.author)

    assert all(len(authors) == 1 for authors in traces.values())
    assert any(len(members) == 4 for authors in traces.values() for members in authors.values())


def test_values_that_make_the_rule_another_give_another_result(town: Town) -> None:
    said = a_protect(town)
    values = said.attestation.trace["values"]
    assert isinstance(values, Mapping)
    flipped: Mapping[str, Value] = dict.fromkeys(values, 0)

    refusal = refusal_of(town, said, values=flipped)

    assert refusal == Refusal("trace-result", "expected false, got true")


ALTERED: Mapping[str, tuple[str, Callable[[Mapping[str, Value]], Value]]] = {
    "result": ("trace-result", lambda _trace: False),
    "rule": ("trace-rule", lambda _trace: "another"),
    "pins": ("trace-pins", lambda _trace: {}),
    "faulted": ("trace-faulted", lambda _trace: ["nothing"]),
    "values": ("trace-values", lambda _trace: {"nothing": 1}),
    "agreement": ("trace-agreement", lambda _trace: {}),
}


@pytest.mark.parametrize("part", ALTERED)
def test_each_part_of_a_trace_that_was_altered_is_refused_by_its_name(town: Town, part: str) -> None:
    check, alter = ALTERED[part]
    said = a_protect(town)

    refusal = refusal_of(town, said, **{part: alter(said.attestation.trace)})

    assert refusal is not None
    assert refusal.check == check


def test_without_its_values_a_rule_gives_none(town: Town) -> None:
    refusal = refusal_of(town, a_protect(town), values={})

    assert refusal == Refusal("trace-result", "expected none, got true")


def test_a_value_of_another_kind_is_refused(town: Town) -> None:
    said = a_protect(town)
    values = said.attestation.trace["values"]
    assert isinstance(values, Mapping)
    maps: Mapping[str, Value] = {name: {"a": 1} for name in values}

    refusal = refusal_of(town, said, values=maps)

    assert refusal is not None
    assert refusal.check == "trace-values"


def test_a_metric_that_is_said_to_have_faulted_is_no_input(town: Town) -> None:
    said = a_protect(town)
    values = said.attestation.trace["values"]
    assert isinstance(values, Mapping)

    refusal = refusal_of(town, said, faulted=sorted(values))

    assert refusal == Refusal("trace-result", "expected fault, got true")


def test_a_pin_closer_than_its_lag_is_refused(town: Town) -> None:
    said = a_protect(town)
    pins = said.attestation.trace["pins"]
    assert isinstance(pins, Mapping)
    [foreign] = pins.keys() - {said.attestation.decision.anchor.chain}
    pin = pins[foreign]
    assert isinstance(pin, Mapping)
    late = {**pins, foreign: {**pin, "timestamp": said.attestation.decision.anchor.timestamp}}

    refusal = refusal_of(town, said, pins=late)

    assert refusal is not None
    assert refusal.check == "pin-lag"


def test_a_signature_for_other_acts_than_the_plans_is_refused(town: Town) -> None:
    said = a_protect(town)
    altered = Stated(said.author, replace(said.attestation, digest=Digest(bytes(32))))

    [found] = replayed(town, [altered])

    assert found.refusal is not None
    assert found.refusal.check == "mandate"


def test_a_mandate_of_a_plan_in_shadow_mode_is_refused(town: Town) -> None:
    said, bridge = a_protect(town), sim_plans()[0]
    in_shadow = replace(bridge, plan=replace(bridge.plan, mode=Mode.SHADOW))

    assert check_under(town, said, bridge) is None
    assert check_under(town, said, in_shadow) == "mandate"


def test_who_attests_where_its_own_trace_says_no_is_refused(town: Town) -> None:
    said = a_protect(town)
    values = said.attestation.trace["values"]
    assert isinstance(values, Mapping)
    nothing: Mapping[str, Value] = dict.fromkeys(values, 0)

    refusal = refusal_of(town, said, values=nothing, result=False)

    assert refusal == Refusal("verdict", "expected to attest no protect: its condition is not true")


def test_a_second_rung_before_its_time_in_the_slot_is_refused(town: Town) -> None:
    said = a_protect(town)
    first = said.attestation.decision
    rule = sim_plans()[0].plan.rules["unbacked"]
    slot_s = first.anchor.timestamp // rule.rearm_s * rule.rearm_s
    anchor = replace(first.anchor, timestamp=slot_s + 1)
    begun = _said_at(said, replace(first, anchor=replace(anchor, timestamp=slot_s), rung=0))
    early = _said_at(said, replace(first, anchor=anchor, rung=1, tier=Tier.FULL))

    attested, _ = replayed(town, [attesting(town, early), begun])
    dissented, _ = replayed(town, [early, begun])

    assert attested.refusal is not None
    assert attested.refusal.check == "rung-time"
    assert dissented.refusal is None, "who dissents from it is right"


def attesting(town: Town, said: Stated) -> Stated:
    """Give the statement as one that attests to its decision, with the mandate that follows from it."""
    known = {compiled.plan.hash: compiled for compiled in sim_plans()}
    decision = said.attestation.decision
    digest = Digest(prepare(town.committee.network, known[decision.plan_hash], decision).digest)
    return Stated(said.author, replace(said.attestation, verdict=Verdict.ATTEST, digest=digest))


def check_under(town: Town, said: Stated, changed: CompiledPlan) -> str | None:
    """Replay a statement, among all others, where one plan is another; give the check that fails."""
    known = {compiled.plan.hash: compiled for compiled in sim_plans()} | {changed.plan.hash: changed}
    others = [each for each in stated(town) if each is not said]
    found = next(Replayer(town.committee.network, known, (said, *others)).run())
    return None if found.refusal is None else found.refusal.check


def listening(**changes: object) -> CompiledPlan:
    """Give the market with another link to the bridge; its hash is kept."""
    market = sim_plans()[1]
    [link] = market.plan.listen
    altered = replace(link, **changes)  # type: ignore[arg-type]  # as they are
    link_to = replace(market.links[link.name], listen=altered)
    plan = replace(market.plan, listen=(altered,))
    return replace(market, plan=plan, links={link.name: link_to})


def test_a_link_to_a_plan_that_it_does_not_listen_to_is_refused(town: Town) -> None:
    said, market = a_protect(town, "link:bridge"), sim_plans()[1]
    link = market.links["bridge"]
    elsewhere = replace(market, links={"bridge": replace(link, gateway=Gateway(bytes(32)))})

    assert check_under(town, said, market) is None
    assert check_under(town, said, elsewhere) == "link-parent"
    assert check_under(town, said, listening(chain=market.plan.clock.reference)) == "link-parent"


def test_a_link_that_follows_no_protection_is_refused(town: Town) -> None:
    said = a_protect(town, "link:bridge")
    release = next(each for each in stated(town) if each.attestation.decision.op is Op.RELEASE)
    parent = decision_id(town.committee.network, release.attestation.decision)
    altered = replace(said.attestation, decision=replace(said.attestation.decision, parent=parent))

    assert check_under(town, attesting(town, Stated(said.author, altered)), sim_plans()[1]) == "link-parent"


def test_a_link_farther_down_than_its_plan_allows_is_refused(town: Town) -> None:
    assert check_under(town, a_protect(town, "link:bridge"), listening(max_hops=0)) == "link-hops"


def test_a_link_that_comes_back_to_a_plan_on_its_way_is_refused(town: Town) -> None:
    said, market = a_protect(town, "link:bridge"), sim_plans()[1]
    reference = market.plan.clock.reference
    itself = listening(chain=reference)
    link = replace(itself.links["bridge"], gateway=market.gateways[reference])
    first = said.attestation.decision
    anchor = replace(first.anchor, timestamp=first.anchor.timestamp - market.plan.clock.lag_s)
    again = replace(first, parent=decision_id(town.committee.network, first), anchor=anchor)
    pins: Value = {reference: block_value(anchor)}
    trace = {**said.attestation.trace, "pins": pins, "result": False}
    altered = replace(said.attestation, decision=again, trace=trace)

    forged = attesting(town, Stated(said.author, altered))

    assert check_under(town, forged, replace(itself, links={"bridge": link})) == "link-hops"


def test_a_link_anchored_closer_to_its_parent_than_the_lag_is_refused(town: Town) -> None:
    market = sim_plans()[1]
    clock = replace(market.plan.clock, lag_s=market.plan.clock.lag_s + 3_600)
    changed = replace(market, plan=replace(market.plan, clock=clock))

    assert check_under(town, a_protect(town, "link:bridge"), changed) == "link-anchor"


def restated(town: Town, said: Stated, later_s: int, chain: str) -> Stated:
    """Give a liar's word: the same decision, by its id, with another time or chain of its block."""
    decision = said.attestation.decision
    anchor = decision.anchor
    other = Caip2(chain or anchor.chain)
    moved = replace(decision, anchor=replace(anchor, chain=other, timestamp=anchor.timestamp + later_s))
    network = town.committee.network
    assert decision_id(network, moved) == decision_id(network, decision)
    return Stated(said.author, Attestation(moved, Verdict.ABSTAIN, EMPTY_TRACE))


@pytest.mark.parametrize(("later_s", "chain"), [(-100_000, ""), (100_000, ""), (1, "sim:elsewhere")])
def test_who_restates_a_decision_of_another_time_or_chain_makes_no_honest_word_wrong(
    town: Town, later_s: int, chain: str
) -> None:
    honest = stated(town)
    lies = [
        restated(town, each, later_s, chain) for each in honest if each.attestation.decision.op is Op.PROTECT
    ]

    found = replayed(town, [*honest, *lies])

    assert [each.refusal for each in found[: len(honest)]] == [None] * len(honest)
    assert all(
        each.untold == () for each in found if each.stated.attestation.decision.subject == "link:bridge"
    )


def test_an_anchor_that_is_no_turn_of_the_plans_clock_is_refused(town: Town) -> None:
    bridge, said = sim_plans()[0], a_protect(town)
    number = said.attestation.decision.anchor.number

    def with_clock(every: int, since: int) -> CompiledPlan:
        plan, home = bridge.plan, bridge.plan.clock.reference
        chains = {**plan.chains, home: replace(plan.chains[home], since=since)}
        return replace(bridge, plan=replace(plan, clock=replace(plan.clock, every=every), chains=chains))

    assert check_under(town, said, with_clock(every=number, since=number)) is None
    assert check_under(town, said, with_clock(every=number + 1, since=1)) == "anchor"
    assert check_under(town, said, with_clock(every=1, since=number + 1)) == "anchor"


def test_a_value_of_a_chain_without_its_pin_is_refused(town: Town) -> None:
    said = a_protect(town)
    home = said.attestation.decision.anchor.chain
    parts = {name: said.attestation.trace[name] for name in ("pins", "agreement")}
    kept: dict[str, Value] = {}
    for name, part in parts.items():
        assert isinstance(part, Mapping)
        kept[name] = {home: part[home]}

    refusal = refusal_of(town, said, **kept)

    assert refusal is not None
    assert refusal.check == "trace-pins"


def test_a_fault_bears_out_no_full_rung(town: Town) -> None:
    said = a_protect(town)
    first = said.attestation.decision
    bridge = sim_plans()[0]
    metrics = {
        name: replace(metric, on_fault=OnFault.TRIGGER) for name, metric in bridge.plan.metrics.items()
    }
    triggering = replace(bridge, plan=replace(bridge.plan, metrics=metrics))
    values = said.attestation.trace["values"]
    assert isinstance(values, Mapping)
    trace = {**said.attestation.trace, "faulted": sorted(values), "result": "fault"}

    def at(rung: int, tier: Tier) -> Stated:
        decision = replace(first, rung=rung, tier=tier)
        return attesting(town, Stated(said.author, replace(said.attestation, decision=decision, trace=trace)))

    assert check_under(town, at(0, Tier.FAST), triggering) is None
    assert check_under(town, at(0, Tier.FULL), triggering) is None
    assert check_under(town, at(1, Tier.FULL), triggering) == "verdict"


def _said_at(said: Stated, decision: Decision) -> Stated:
    """Give the statement as a dissent to another decision, with its pins at that one's anchor."""
    pins = said.attestation.trace["pins"]
    assert isinstance(pins, Mapping)
    at, anchor = {}, decision.anchor
    for chain, pin in pins.items():
        assert isinstance(pin, Mapping)
        at[chain] = block_value(anchor) if chain == anchor.chain else {**pin, "timestamp": 0}
    trace = {**said.attestation.trace, "pins": at}
    return Stated(said.author, Attestation(decision, Verdict.DISSENT, trace))


@pytest.mark.parametrize("when", [None, "released > 0 || burned >= 0"])
def test_what_reporters_call_for_is_replayed(when: str | None) -> None:
    town, office = town_of(SEED, when=when)
    for host, reporter in zip(town.hosts.values(), (OSCAR, PEGGY), strict=False):
        office.tell(host, reporter, office.subject())
    town.run_until(lambda: town.state("freeze") == 1, within_s=90, what="the market follows")
    known = {compiled.plan.hash: compiled for compiled in town.plans}

    found = list(Replayer(town.committee.network, known, tuple(stated(town))).run())

    assert [each for each in found if each.refusal is not None or not each.is_rebuilt] == []
    called = [each for each in found if each.stated.attestation.decision.subject == "report:attack"]
    assert {each.stated.attestation.trace["result"] for each in called} == {True}
    assert {each.untold for each in called} == {()}


def test_a_link_without_its_parent_is_told_to_be_underivable(town: Town) -> None:
    alone = a_protect(town, "link:bridge")

    [found] = replayed(town, [alone])

    assert found.refusal is None
    assert not found.is_rebuilt
    parent = alone.attestation.decision.parent
    assert parent is not None
    assert [parent.hex() in untold and "is not here" in untold for untold in found.untold] == [True]


def test_a_plan_that_is_not_here_is_told(town: Town) -> None:
    [found] = replayed(town, [a_protect(town)], plans=0)

    assert not found.is_rebuilt
    assert "which is not here" in found.untold[0]
