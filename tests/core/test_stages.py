"""Release in stages (plans SPEC 1.4): acts end in the order that the plan gives, whatever the chains do."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.decision import BlockRef
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.mandate import Op, Tier
from relay.core.compiled import CompiledPlan
from relay.core.events import BlockObserved, ChainFinalized
from relay.core.observations import BlockReads, EndedHow, GatewayEvent, GatewayEventKind
from relay.core.plan import ReleaseRule
from relay.core.schedule import Assessment
from relay.core.stages import stages_before
from relay.core.types import ActId, Header
from tests.core.stage import BEGIN_S, BLOCK_S, SOLO, Stage
from tests.sim.plans import AWAY, compile_text

SLOT_BLOCKS = 10
HOUR_S = 3_600
THIRD = """
[acts.throttle]
verb = "rate-limit"
chain = "sim:home"
target = "vault"
call = "throttle()"
state = "throttled()"
value = 1
undo = "unthrottle()"
tier = "full"
lasts = "10m"
"""
FOREIGN = """
[chains."sim:away"]
gateway = "gateway-away"
targets = ["vault"]
lag_s = 60
since = 1
[acts.far]
verb = "cap"
chain = "sim:away"
target = "vault"
call = "cap()"
state = "capped()"
value = 1
undo = "uncap()"
tier = "full"
lasts = "10m"
"""


def staged(*stages: tuple[str, ...], more: str = THIRD) -> CompiledPlan:
    """Give a plan with three acts, and the order in which they are released."""
    compiled = compile_text(SOLO.replace("HOLD", "1") + more)
    assert compiled.plan.release is not None
    release = ReleaseRule(compiled.plan.release.when, compiled.plan.release.hold, stages)
    return replace(compiled, plan=replace(compiled.plan, release=release))


def stage_of(compiled: CompiledPlan) -> Stage:
    """Give a stage whose plan is in force since block 1."""
    stage = Stage(compiled=compiled)
    stage.release()
    stage.run(stage.block())
    return stage


def event(stage: Stage, name: str, kind: GatewayEventKind, *, until: int = 0) -> GatewayEvent:
    """Give what the gateway says of an act."""
    act = stage.plan.acts[name]
    ended = kind is GatewayEventKind.ENDED
    return GatewayEvent(
        gateway=act.gateway,
        kind=kind,
        act_id=ActId(act.act_id),
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        mandate=stage.blocks[0].hash,
        decision_id=None,
        tier=1,
        until=until,
        how=EndedHow.RELEASE if ended else None,
        ended_at=stage.blocks[-1].timestamp if ended else 0,
    )


def starts(stage: Stage, *names: str, for_s: int = HOUR_S) -> BlockObserved:
    """Give the block that puts acts into force."""
    until = stage.blocks[-1].timestamp + for_s
    return stage.block(
        gateway_events=[event(stage, name, GatewayEventKind.STARTED, until=until) for name in names]
    )


def ends(stage: Stage, *names: str) -> BlockObserved:
    """Give the block that ends them."""
    return stage.block(gateway_events=[event(stage, name, GatewayEventKind.ENDED) for name in names])


def pass_to(stage: Stage, number: int) -> None:
    """Let quiet blocks come up to block `number`."""
    while len(stage.blocks) < number:
        stage.run(stage.block())


def verdict(stage: Stage, name: str, number: int) -> Assessment:
    """Give what the chains say of the release of an act, anchored at a block."""
    decision = stage.decision(stage.blocks[number - 1], op=Op.RELEASE, subject=name, tier=Tier.FULL)
    return stage.node.rooms[stage.plan.plan.hash].schedule.assess(decision)


def test_a_later_stage_waits_for_every_act_of_the_earlier_ones() -> None:
    stage = stage_of(staged(("halt", "throttle"), ("close",)))
    stage.run(starts(stage, "halt", "throttle", "close"), stage.block(), ends(stage, "halt"))
    pass_to(stage, 11)
    stage.run(ends(stage, "throttle"))
    pass_to(stage, 22)
    stage.run(stage.final(22))

    assert verdict(stage, "throttle", 11) is Assessment.RIGHT
    assert verdict(stage, "close", 11) is Assessment.WRONG
    assert verdict(stage, "close", 21) is Assessment.RIGHT


def test_a_record_whose_time_is_over_and_that_nobody_ended_holds_the_later_stages() -> None:
    stage = stage_of(staged(("halt",), ("close",)))
    stage.run(starts(stage, "close"), starts(stage, "halt", for_s=24))
    pass_to(stage, 12)
    stage.run(stage.final(12))

    assert verdict(stage, "close", 11) is Assessment.WRONG, "the vault is still halted"


def test_what_no_stage_names_is_of_the_first() -> None:
    plan = staged(("halt",), ("close",)).plan

    assert stages_before(plan, "close") == ("halt", "throttle")
    assert stages_before(plan, "throttle") == stages_before(plan, "halt") == ()


def test_without_stages_all_acts_may_end_at_once() -> None:
    stage = stage_of(staged())
    stage.run(starts(stage, "halt", "throttle", "close"))
    pass_to(stage, 12)
    stage.run(stage.final(12))

    assert {verdict(stage, name, 11) for name in ("halt", "throttle", "close")} == {Assessment.RIGHT}


def test_a_re_org_that_takes_an_end_back_takes_the_next_stage_back() -> None:
    stage = stage_of(staged(("halt",), ("close",)))
    stage.run(starts(stage, "halt", "close"), stage.block(), ends(stage, "halt"))
    pass_to(stage, 11)
    assert verdict(stage, "close", 11) is Assessment.LATER, "right, once it is final"

    stage.run(stage.back_to(3))
    pass_to(stage, 12)
    stage.run(stage.final(12))

    assert verdict(stage, "close", 11) is Assessment.WRONG
    assert verdict(stage, "halt", 11) is Assessment.RIGHT


def far(number: int, *events: GatewayEvent) -> BlockObserved:
    """Make a block of the other chain, at the time of the block with the same number here."""
    block = BlockRef(
        AWAY, Digest(sha256(f"away/{number}".encode())), number, BEGIN_S + (number - 1) * BLOCK_S
    )
    parent = bytes(32) if number == 1 else sha256(f"away/{number - 1}".encode())
    return BlockObserved(BlockReads(Header(block, parent), gateway_events=events), 2, 3, block)


def test_an_earlier_stage_on_another_chain_counts_as_of_its_final_pin_and_is_waited_for() -> None:
    stage = stage_of(staged(("far",), ("halt",), more=FOREIGN))
    until = BEGIN_S + HOUR_S
    stage.run(starts(stage, "halt"))
    pass_to(stage, 22)
    assert "attest release halt full at 21" not in stage.words(stage.run(stage.final(22)))
    stage.run(far(1, event(stage, "far", GatewayEventKind.STARTED, until=until)))
    stage.run(far(2), far(3, event(stage, "far", GatewayEventKind.ENDED)))
    assert verdict(stage, "halt", 21) is Assessment.LATER, "its pin is not settled"

    stage.run(*(far(number) for number in range(4, 18)))
    assert verdict(stage, "halt", 21) is Assessment.LATER, "its pin is not final"
    words = stage.words(stage.run(ChainFinalized(far(17).reads.header.block), stage.block()))

    assert "attest release halt full at 21" in words, "proposed once it can be told"


@pytest.mark.parametrize(("lost", "is_extended"), [(0, False), (500, True)])
def test_an_act_that_may_be_released_is_not_extended(lost: int, is_extended: bool) -> None:
    stage = stage_of(staged())
    stage.run(starts(stage, "halt", for_s=240), stage.block(lost))
    pass_to(stage, 12)
    stage.run(stage.final(12))
    extend = stage.decision(stage.blocks[10], op=Op.EXTEND, subject="halt", tier=Tier.FULL)

    found = stage.node.rooms[stage.plan.plan.hash].schedule.assess(extend)

    assert found is (Assessment.RIGHT if is_extended else Assessment.WRONG)


REMOTE = """
[chains."sim:away"]
lag_s = 60
since = 1
[metrics.remote]
read = "event_sum"
chain = "sim:away"
from = "vault"
event = "Lost(int256 amount)"
value = "amount"
"""


@pytest.mark.parametrize(
    ("rule", "release"),
    [("lost > 100 || remote > 100", "lost <= 100"), ("lost > 100", "lost <= 100 && remote <= 100")],
)
def test_a_release_is_waited_for_where_a_chain_stands_still_and_not_dissented_from(
    rule: str, release: str
) -> None:
    text = SOLO.replace("HOLD", "1").replace('when = "lost <= 100"', f'when = "{release}"')
    stage = stage_of(compile_text(text.replace('when = "lost > 100"', f'when = "{rule}"') + REMOTE))
    stage.run(starts(stage, "halt"), *(far(number) for number in range(1, 8)))
    pass_to(stage, 33)
    stage.run(stage.final(33))
    assert verdict(stage, "halt", 31) is Assessment.LATER

    stage.run(*(far(number) for number in range(8, 34)), ChainFinalized(far(33).reads.header.block))

    assert verdict(stage, "halt", 31) is Assessment.RIGHT


@pytest.mark.parametrize("seed", range(12))
def test_stages_end_in_order_and_a_slot_apart_whatever_lands_when(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    order = chance.sample(["halt", "throttle", "close"], 3)
    stage = stage_of(staged(*((name,) for name in order)))
    stage.run(starts(stage, *order, for_s=24 * HOUR_S))
    standing, asked, ended_in = set(order), set[str](), dict[str, int]()
    for _ in range(160):
        landing = [name for name in asked & standing if chance.random() < 0.3]
        made = ends(stage, *landing) if landing else stage.block()
        words = stage.words(stage.run(made))
        standing -= set(landing)
        ended_in |= dict.fromkeys(landing, stage.blocks[-1].timestamp // 120)
        if len(stage.blocks) > 4 and chance.random() < 0.7:
            words += stage.words(stage.run(stage.final(len(stage.blocks) - chance.randrange(4))))
        for word in words:
            if word.startswith("attest release"):
                name = word.split()[2]
                earlier = order[: order.index(name)]
                assert not standing & set(earlier), f"{name} before {earlier}: {word}"
                asked.add(name)

    assert [ended_in[name] for name in order] == sorted(set(ended_in.values())), ended_in
