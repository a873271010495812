"""When a plan decides: holds, edges, slots, rungs, extension, release (SPEC 5.4), through a whole node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.mandate import Op, Tier
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind
from relay.core.schedule import MAX_PROPOSALS, Assessment
from relay.core.types import ActId
from tests.core.stage import BLOCK_S, Stage
from tests.sim.plans import HOME

SLOT_BLOCKS = 10
"""Blocks of 12 s in a slot of 120 s; block 1 stands at the beginning of one."""


def asked(stage: Stage, *events: object) -> list[str]:
    """Give the verdicts that the node asks its signer for."""
    words = [word for event in events for word in stage.words(stage.node.advance(event))]  # type: ignore[arg-type]
    return [word for word in words if word.startswith(("attest", "dissent", "abstain"))]


def ready(*, hold: int = 1) -> Stage:
    """Give a stage whose plan is in force since block 1."""
    stage = Stage(hold=hold)
    stage.release()
    stage.run(stage.block())
    return stage


def test_a_rule_must_hold_for_as_many_blocks_as_it_says() -> None:
    stage = ready(hold=3)

    assert asked(stage, stage.block(500), stage.block()) == []
    assert asked(stage, stage.block()) == ["attest drained/0 fast at 4"]


def test_a_block_at_which_the_rule_is_false_breaks_the_hold() -> None:
    stage = ready(hold=3)

    assert (
        asked(stage, stage.block(500), stage.block(), stage.block(-500), stage.block(500), stage.block())
        == []
    )
    assert asked(stage, stage.block()) == ["attest drained/0 fast at 7"]


def test_without_a_quorum_the_next_held_blocks_are_proposed_three_in_all() -> None:
    stage = ready()

    found = [asked(stage, stage.block(500 if number == 0 else 0)) for number in range(6)]

    assert [len(words) for words in found[:MAX_PROPOSALS]] == [1] * MAX_PROPOSALS
    assert all("drained/0 fast" not in word for words in found[MAX_PROPOSALS:] for word in words)


def test_with_a_quorum_the_slot_is_done() -> None:
    stage = ready()
    effects = stage.run(stage.block(500))
    attestation = next(effect for effect in effects if stage.word(effect).startswith("attest"))
    stage.run(stage.signs(attestation), stage.attests("bob", stage.decision(stage.blocks[1])))  # type: ignore[arg-type]

    words = [word for _ in range(7) for word in asked(stage, stage.block())]

    assert not any("drained/0 fast" in word for word in words)


def test_a_rule_that_stays_true_is_decided_in_every_slot() -> None:
    stage = ready()
    anchors: list[int] = []
    for number in range(5 * SLOT_BLOCKS):
        words = asked(stage, stage.block(500 if number == 0 else 0))
        anchors += [int(word.rsplit(" ", 1)[1]) for word in words if word.startswith("attest drained/0 fast")]

    firsts: dict[int, int] = {}
    for anchor in anchors:
        firsts.setdefault((anchor - 1) // SLOT_BLOCKS, anchor)
    assert firsts == {0: 2, 1: 11, 2: 21, 3: 31, 4: 41, 5: 51}


def test_the_second_rung_waits_for_its_step_and_for_finality() -> None:
    stage = ready()
    stage.run(*(stage.block(500 if number == 0 else 0) for number in range(5)))

    words = asked(stage, stage.final(6))

    assert next(word for word in words if "/1" in word) == "attest drained/1 full at 4"
    assert next(word for word in words if "/0" in word) == "attest drained/0 full at 2"


def test_a_rung_that_is_dodged_for_a_block_comes_at_the_next() -> None:
    stage = ready()
    stage.run(stage.block(500), stage.block(), stage.block(-500), stage.block(500))

    words = asked(stage, stage.final(5))

    assert [word for word in words if "/1" in word] == ["attest drained/1 full at 5"]


def test_any_held_anchor_is_attested_whoever_proposes_it() -> None:
    stage = ready()
    stage.run(*(stage.block(500 if number == 0 else 0) for number in range(6)))

    assert asked(stage, stage.attests("bob", stage.decision(stage.blocks[6]))) == [
        "attest drained/0 fast at 7"
    ]


def test_a_block_at_which_the_rule_is_true_but_not_held_is_no_anchor() -> None:
    stage = ready(hold=3)
    stage.run(stage.block(500), stage.block(), stage.block())
    stage.run(stage.block(-500), stage.block(500))

    assert asked(stage, stage.attests("bob", stage.decision(stage.blocks[5]))) == [
        "dissent drained/0 fast at 6"
    ]


def test_a_full_decision_waits_for_the_anchor_to_be_final() -> None:
    stage = ready()
    stage.run(stage.block(500), stage.block())
    full = stage.decision(stage.blocks[2], tier=Tier.FULL)

    assert asked(stage, stage.attests("bob", full)) == []
    assert "attest drained/0 full at 3" in asked(stage, stage.final(3))


def test_a_fault_that_triggers_authorises_fast_rungs_and_no_heavier() -> None:
    stage = ready()
    stage.run(*(stage.block(price=None) for _ in range(5)))

    words = asked(stage, stage.final(6))
    heavy = stage.decision(stage.blocks[3], subject="oracle", rung=1, tier=Tier.FULL)

    assert any(word.startswith("attest oracle/0 full") for word in words)
    assert not any("oracle/1" in word for word in words)
    assert asked(stage, stage.attests("bob", heavy)) == ["dissent oracle/1 full at 4"]


def test_a_node_that_catches_up_signs_nothing_in_slots_that_are_over() -> None:
    stage = ready()
    blocks = [stage.block(500 if number == 0 else 0) for number in range(4 * SLOT_BLOCKS)]
    head = stage.blocks[-1]

    words = [word for block in blocks for word in asked(stage, replace(block, head=head))]

    anchors = {int(word.rsplit(" ", 1)[1]) for word in words}
    assert min(anchors) > 3 * SLOT_BLOCKS
    assert stage.node.edges[(stage.plan.plan.hash, "drained")] >= 4


def test_a_decision_over_a_block_that_left_the_final_chain_is_dissented_from() -> None:
    stage = ready()
    stage.run(stage.block(500))
    gone = stage.blocks[1]
    stage.run(stage.back_to(1), stage.block(), stage.block())
    assert asked(stage, stage.attests("dave", stage.decision(gone, rung=0, tier=Tier.FULL))) == []

    assert asked(stage, stage.final(3), stage.block()) == ["dissent drained/0 full at 2"]


# ---- acts in force


def started(stage: Stage, name: str, *, until: int) -> GatewayEvent:
    """Give the event by which an act's record begins."""
    act = stage.plan.acts[name]
    return GatewayEvent(
        gateway=act.gateway,
        kind=GatewayEventKind.STARTED,
        act_id=ActId(act.act_id),
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        mandate=stage.blocks[0].hash,
        decision_id=None,
        tier=1,
        until=until,
    )


def in_force(stage: Stage, name: str, *, for_s: int) -> None:
    """Put an act into force in the next block."""
    until = stage.blocks[-1].timestamp + BLOCK_S + for_s
    stage.run(stage.block(gateway_events=[started(stage, name, until=until)]))


def test_an_act_below_half_of_its_time_is_extended_at_the_next_slot_unless_release_holds() -> None:
    stage = ready()
    stage.run(stage.block(500))
    in_force(stage, "halt", for_s=200)
    stage.run(*(stage.block() for _ in range(SLOT_BLOCKS - 2)))
    assert stage.blocks[10].timestamp % 120 == 0

    words = asked(stage, stage.final(11))
    assert "attest extend halt full at 11" in words

    extend = stage.decision(stage.blocks[10], op=Op.EXTEND, subject="halt", tier=Tier.FULL)
    later = replace(extend, anchor=stage.blocks[9])
    assert stage.node.rooms[stage.plan.plan.hash].schedule.assess(extend) is Assessment.RIGHT
    assert stage.node.rooms[stage.plan.plan.hash].schedule.assess(later) is Assessment.WRONG


def test_an_act_with_more_than_half_of_its_time_is_not_extended() -> None:
    stage = ready()
    stage.run(stage.block(500))
    in_force(stage, "halt", for_s=300)
    stage.run(*(stage.block() for _ in range(SLOT_BLOCKS - 2)))

    words = asked(stage, stage.final(11))

    assert not any("extend" in word for word in words)
    extend = stage.decision(stage.blocks[10], op=Op.EXTEND, subject="halt", tier=Tier.FULL)
    assert asked(stage, stage.attests("bob", extend)) == ["dissent extend halt full at 11"]


def test_an_act_is_released_when_the_predicate_held_and_no_rule_that_names_it_is_true() -> None:
    stage = ready()
    in_force(stage, "halt", for_s=300)
    stage.run(*(stage.block() for _ in range(SLOT_BLOCKS)))

    assert "attest release halt full at 11" in asked(stage, stage.final(12))


@pytest.mark.parametrize("price", [2_000_000, None])
def test_no_release_while_a_rule_that_names_the_act_is_true_or_faulted(price: int | None) -> None:
    stage = ready()
    in_force(stage, "halt", for_s=300)
    stage.run(*(stage.block() for _ in range(SLOT_BLOCKS - 2)), stage.block(price=price), stage.block())

    words = asked(stage, stage.final(12))

    assert not any("release" in word for word in words)
    release = stage.decision(stage.blocks[10], op=Op.RELEASE, subject="halt", tier=Tier.FULL)
    assert "dissent release halt full at 11" in asked(stage, stage.attests("bob", release))


def test_what_has_ended_is_neither_extended_nor_released() -> None:
    stage = ready()
    in_force(stage, "halt", for_s=300)
    ended = replace(
        started(stage, "halt", until=0),
        kind=GatewayEventKind.ENDED,
        how=EndedHow.DISMISS,
        ended_at=stage.blocks[-1].timestamp,
        mandate=None,
    )
    stage.run(stage.block(gateway_events=[ended]), *(stage.block() for _ in range(SLOT_BLOCKS)))

    words = asked(stage, stage.final(12))

    assert not any(word.startswith(("attest extend", "attest release")) for word in words)
    assert HOME in stage.node.views
