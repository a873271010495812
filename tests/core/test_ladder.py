"""A rung that does not land opens the next one early: by chain facts alone (SPEC 5.4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.hashes import sha256
from proofs.kinds import ActId, Digest
from proofs.mandate import Tier
from relay.core.events import BlockObserved, ChainFinalized
from relay.core.ladder import LANDING_PATIENCE_S
from relay.core.observations import BlockReads, EndedHow, GatewayEvent, GatewayEventKind
from relay.core.schedule import Assessment, Schedule
from relay.core.types import BlockRef, Gateway, Header
from relay.core.view import ActRecord, ChainView
from tests.core.stage import BEGIN_S, BLOCK_S, SOLO, Stage
from tests.sim.plans import AWAY, HOME, compile_text

TEXT = (
    SOLO.replace("HOLD", "1")
    .replace("rearm_s = 120", "rearm_s = 1800")
    .replace('step = "24s"', 'step = "10m"')
    .replace('lasts = "5m"', 'lasts = "1h"')
    .replace('lasts = "10m"', 'lasts = "1h"')
)
AWAY_TABLE = '[chains."sim:away"]\ngateway = "gateway-away"\ntargets = ["vault"]\nlag_s = 60\nsince = 1\n'
FOREIGN = TEXT.replace('[chains."sim:home"]', f'{AWAY_TABLE}[chains."sim:home"]').replace(
    'verb = "pause"\nchain = "sim:home"', 'verb = "pause"\nchain = "sim:away"'
)
THREE = TEXT.replace('[["halt"], ["close"]]', '[["halt"], ["slow"], ["close"]]').replace(
    "[release]",
    """[acts.slow]
verb = "cap"
chain = "sim:home"
target = "vault"
call = "slow()"
state = "slowed()"
value = 1
undo = "haste()"
tier = "fast"
lasts = "1h"
[release]""",
)
PATIENCE_BLOCKS = LANDING_PATIENCE_S // BLOCK_S


def drained(text: str) -> Stage:
    """Give a stage whose rule is true from block 2 on: the edge."""
    stage = Stage(compiled=compile_text(text))
    stage.release()
    stage.run(stage.block(), stage.block(500))
    return stage


def schedule(stage: Stage) -> Schedule:
    return stage.node.rooms[stage.plan.plan.hash].schedule


def verdict(stage: Stage, number: int, *, rung: int = 1, tier: Tier = Tier.FULL) -> Assessment:
    """Judge rung `rung` at a block that is final."""
    stage.run(stage.final(len(stage.blocks)))
    return schedule(stage).assess(stage.decision(stage.blocks[number - 1], rung=rung, tier=tier))


def said(
    stage: Stage, name: str, kind: GatewayEventKind, *, until: int = 0, how: EndedHow | None = None
) -> GatewayEvent:
    """Give what an act's gateway says."""
    act = stage.plan.acts[name]
    return GatewayEvent(
        gateway=act.gateway,
        kind=kind,
        act_id=ActId(act.act_id),
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        mandate=stage.blocks[0].hash,
        tier=1,
        until=until,
        how=how,
    )


def pass_blocks(stage: Stage, count: int, *first: GatewayEvent) -> None:
    """Let blocks pass; `first` happens in the first of them."""
    stage.run(stage.block(gateway_events=first))
    for _ in range(count - 1):
        stage.run(stage.block())


EARLY = 2 + PATIENCE_BLOCKS
"""Number of the first block at which the landing patience since the edge, block 2, is over."""
AT_STEP = 2 + 600 // BLOCK_S


def test_a_fast_rung_that_does_not_land_opens_the_next_one_after_the_landing_patience() -> None:
    stage = drained(TEXT)
    pass_blocks(stage, AT_STEP)

    assert verdict(stage, EARLY - 1) is Assessment.WRONG
    assert verdict(stage, EARLY) is Assessment.RIGHT


def test_the_early_rung_is_proposed_like_any_other_and_once() -> None:
    stage = drained(TEXT)
    words: list[str] = []
    for _ in range(AT_STEP + 5):
        words += stage.words(stage.run(stage.block(), stage.final(len(stage.blocks))))

    first = [word for word in words if word.startswith("attest drained/1")]
    assert first[0] == f"attest drained/1 full at {EARLY}"
    assert len(first) == 3, "without a quorum three anchors are proposed in a slot"


def test_a_record_in_force_opens_nothing_early_and_the_step_does() -> None:
    stage = drained(TEXT)
    started = said(stage, "halt", GatewayEventKind.STARTED, until=BEGIN_S + 7_200)
    pass_blocks(stage, AT_STEP, started)

    assert verdict(stage, EARLY) is Assessment.WRONG
    assert verdict(stage, AT_STEP - 1) is Assessment.WRONG
    assert verdict(stage, AT_STEP) is Assessment.RIGHT


def test_a_record_whose_time_is_over_is_none() -> None:
    stage = drained(TEXT)
    started = said(stage, "halt", GatewayEventKind.STARTED, until=BEGIN_S + 60)
    pass_blocks(stage, PATIENCE_BLOCKS, started)

    assert verdict(stage, EARLY) is Assessment.RIGHT


def test_what_landed_after_an_anchor_does_not_unmake_it_and_makes_the_next_none() -> None:
    stage = drained(TEXT)
    pass_blocks(stage, PATIENCE_BLOCKS)
    pass_blocks(stage, 1, said(stage, "halt", GatewayEventKind.STARTED, until=BEGIN_S + 7_200))

    assert verdict(stage, EARLY) is Assessment.RIGHT
    assert verdict(stage, EARLY + 1) is Assessment.WRONG


def test_a_noop_since_the_edge_is_an_answer_and_one_before_it_is_none() -> None:
    stage = drained(TEXT)
    pass_blocks(stage, PATIENCE_BLOCKS, said(stage, "halt", GatewayEventKind.NOOP))
    assert verdict(stage, EARLY) is Assessment.WRONG

    stage = Stage(compiled=compile_text(TEXT))
    stage.release()
    stage.run(stage.block())
    noop = replace(said(stage, "halt", GatewayEventKind.NOOP), tx=bytes(32))
    stage.run(stage.block(gateway_events=[noop]), stage.block(500))
    pass_blocks(stage, PATIENCE_BLOCKS)
    assert verdict(stage, EARLY + 1) is Assessment.RIGHT


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (EndedHow.ADOPT, Assessment.WRONG),
        (EndedHow.DISMISS, Assessment.WRONG),
        (EndedHow.FORCED, Assessment.WRONG),
        (EndedHow.CLOSE, Assessment.RIGHT),
        (EndedHow.EXPIRE, Assessment.RIGHT),
    ],
)
def test_what_guardian_and_owner_ended_is_answered(how: EndedHow, expected: Assessment) -> None:
    stage = drained(TEXT)
    pass_blocks(stage, 1, said(stage, "halt", GatewayEventKind.STARTED, until=BEGIN_S + 7_200))
    pass_blocks(stage, PATIENCE_BLOCKS - 1, said(stage, "halt", GatewayEventKind.ENDED, how=how))

    assert verdict(stage, EARLY) is expected


def test_a_block_at_which_the_rule_is_false_is_no_early_anchor() -> None:
    stage = drained(TEXT)
    pass_blocks(stage, PATIENCE_BLOCKS - 1)
    stage.run(stage.block(-500), stage.block(500))

    assert verdict(stage, EARLY) is Assessment.WRONG
    assert verdict(stage, EARLY + 1) is Assessment.RIGHT


def test_a_shadow_plan_opens_nothing_early() -> None:
    stage = drained(TEXT.replace('mode = "armed"', 'mode = "shadow"'))
    pass_blocks(stage, PATIENCE_BLOCKS + 1)

    assert verdict(stage, EARLY) is Assessment.WRONG


def test_a_step_within_the_patience_stays_as_it_is() -> None:
    stage = drained(TEXT.replace('step = "10m"', 'step = "2m"'))
    pass_blocks(stage, PATIENCE_BLOCKS, said(stage, "halt", GatewayEventKind.NOOP))

    assert verdict(stage, EARLY - 1) is Assessment.WRONG
    assert verdict(stage, EARLY) is Assessment.RIGHT


def test_each_rung_has_a_patience_of_its_own_from_when_it_opened() -> None:
    stage = drained(THREE)
    pass_blocks(stage, 2 * PATIENCE_BLOCKS + 1)

    assert verdict(stage, EARLY, tier=Tier.FAST) is Assessment.RIGHT
    assert verdict(stage, EARLY + PATIENCE_BLOCKS - 1, rung=2) is Assessment.WRONG
    assert verdict(stage, EARLY + PATIENCE_BLOCKS, rung=2) is Assessment.RIGHT


def test_a_rung_that_could_not_be_anchored_has_not_opened() -> None:
    stage = drained(THREE)
    pass_blocks(stage, PATIENCE_BLOCKS - 1)
    stage.run(stage.block(-500), stage.block(500))
    pass_blocks(stage, PATIENCE_BLOCKS)

    assert verdict(stage, EARLY + PATIENCE_BLOCKS, rung=2) is Assessment.WRONG
    assert verdict(stage, EARLY + 1 + PATIENCE_BLOCKS, rung=2) is Assessment.RIGHT


def test_an_answer_that_a_re_org_takes_back_is_none() -> None:
    stage = drained(TEXT)
    pass_blocks(stage, 1, said(stage, "halt", GatewayEventKind.NOOP))
    stage.run(stage.back_to(2))
    pass_blocks(stage, PATIENCE_BLOCKS)

    assert verdict(stage, EARLY) is Assessment.RIGHT


def test_a_full_rung_opens_nothing_early() -> None:
    text = THREE.replace('[["halt"], ["slow"], ["close"]]', '[["halt"], ["close"], ["slow"]]')
    stage = drained(text.replace('undo = "haste()"\ntier = "fast"', 'undo = "haste()"\ntier = "full"'))
    pass_blocks(stage, 2 * PATIENCE_BLOCKS + 1)

    assert verdict(stage, EARLY) is Assessment.RIGHT
    assert verdict(stage, EARLY + PATIENCE_BLOCKS, rung=2) is Assessment.WRONG


def test_a_fault_opens_no_heavier_rung_early() -> None:
    stage = Stage(compiled=compile_text(TEXT))
    stage.release()
    stage.run(stage.block(), *(stage.block(price=None) for _ in range(PATIENCE_BLOCKS + 2)))
    stage.run(stage.final(len(stage.blocks)))
    heavy = stage.decision(stage.blocks[EARLY - 1], subject="oracle", rung=1, tier=Tier.FULL)

    assert schedule(stage).assess(heavy) is Assessment.WRONG


# ---- an act on another chain


LAG_BLOCKS = 60 // BLOCK_S


def away(stage: Stage, number: int, *events: GatewayEvent) -> BlockObserved:
    """Make a block of the other chain, at the time of the block with the same number here."""
    timestamp = BEGIN_S + (number - 1) * BLOCK_S
    block = BlockRef(AWAY, Digest(sha256(f"away/{number}".encode())), number, timestamp)
    parent = bytes(32) if number == 1 else sha256(f"away/{number - 1}".encode())
    return BlockObserved(BlockReads(Header(block, parent), gateway_events=events), 2, 3, block)


def on_both(count: int, *, at: int = 0, kind: GatewayEventKind = GatewayEventKind.STARTED) -> Stage:
    """Give a drained stage with `count` blocks on both chains; the act is in force at block `at` there."""
    stage = drained(FOREIGN)
    pass_blocks(stage, count - 2)
    for number in range(1, count + 1):
        events = [said(stage, "halt", kind, until=BEGIN_S + 7_200)] if number == at else []
        stage.run(away(stage, number, *events))
    return stage


def test_an_act_on_a_chain_that_is_read_with_a_lag_has_that_much_more() -> None:
    stage = on_both(EARLY + LAG_BLOCKS + 2)
    stage.run(ChainFinalized(away(stage, EARLY + LAG_BLOCKS).reads.header.block))

    assert verdict(stage, EARLY + LAG_BLOCKS - 1) is Assessment.WRONG
    assert verdict(stage, EARLY + LAG_BLOCKS) is Assessment.RIGHT


def test_what_the_other_chain_shows_at_the_pin_counts_and_what_it_shows_later_does_not() -> None:
    landed = on_both(EARLY + LAG_BLOCKS + 2, at=EARLY)
    landed.run(ChainFinalized(away(landed, EARLY + LAG_BLOCKS).reads.header.block))
    assert verdict(landed, EARLY + LAG_BLOCKS) is Assessment.WRONG

    late = on_both(EARLY + LAG_BLOCKS + 2, at=EARLY + 1)
    late.run(ChainFinalized(away(late, EARLY + LAG_BLOCKS).reads.header.block))
    assert verdict(late, EARLY + LAG_BLOCKS) is Assessment.RIGHT
    assert verdict(late, EARLY + LAG_BLOCKS + 1) is Assessment.WRONG


def test_a_chain_that_stands_still_opens_nothing_early_and_the_verdict_waits() -> None:
    stage = drained(FOREIGN)
    pass_blocks(stage, EARLY + LAG_BLOCKS)
    stage.run(*(away(stage, number) for number in range(1, EARLY + 1)))

    assert verdict(stage, EARLY + LAG_BLOCKS) is Assessment.LATER
    stage.run(away(stage, EARLY + 1))
    assert verdict(stage, EARLY + LAG_BLOCKS) is Assessment.LATER, "the pin is settled, and not final"
    stage.run(ChainFinalized(away(stage, EARLY).reads.header.block))
    assert verdict(stage, EARLY + LAG_BLOCKS) is Assessment.RIGHT


def test_by_its_step_a_rung_comes_whatever_the_other_chain_does() -> None:
    stage = drained(FOREIGN)
    pass_blocks(stage, AT_STEP)

    assert verdict(stage, AT_STEP) is Assessment.RIGHT
    assert HOME in stage.node.views


MANY = ("slow", "slower", "slowest")


def ladder_of_many() -> str:
    """Give a plan with four fast rungs and a full one, and a slot of 26 minutes for them."""
    acts = "".join(
        f'[acts.{name}]\nverb = "cap"\nchain = "sim:home"\ntarget = "vault"\ncall = "{name}()"\n'
        f'state = "{name}ed()"\nvalue = 1\nundo = "haste()"\ntier = "fast"\nlasts = "1h"\n'
        for name in MANY
    )
    rungs = ", ".join(f'["{name}"]' for name in ("halt", *MANY, "close"))
    text = TEXT.replace('[["halt"], ["close"]]', f"[{rungs}]").replace('step = "10m"', 'step = "400s"')
    return text.replace("[release]", f"{acts}[release]")


def test_a_rung_is_judged_in_a_time_that_does_not_multiply_with_the_rungs_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = drained(ladder_of_many())
    names = ("halt", *MANY)
    started = (said(stage, name, GatewayEventKind.STARTED, until=BEGIN_S + 9_000) for name in names)
    pass_blocks(stage, 130, *started)
    stage.run(stage.final(len(stage.blocks)))
    asked = 0
    record = ChainView.record

    def counted(view: ChainView, gateway: Gateway, act_id: ActId, at: BlockRef) -> ActRecord | None:
        nonlocal asked
        asked += 1
        return record(view, gateway, act_id, at)

    monkeypatch.setattr(ChainView, "record", counted)
    assert verdict(stage, 130, rung=4) is Assessment.WRONG

    assert 0 < asked <= len(names) * 130
