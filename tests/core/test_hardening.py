"""What a liar, a stranger's contract or a re-org must not get from a node (SPEC 5.4, 6.5, 6.6, 7.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.kinds import Gateway, Millis
from relay.core.effects import Forward, SignAttestation, SignStatement, Submit
from relay.core.events import Ticked
from relay.core.messages import Heartbeat, Recall
from relay.core.observations import GatewayEventKind
from tests.core.stage import BLOCK_S, Stage
from tests.core.test_release import certified, gateway_event, published

HOUR_MS = 3_600_000


def submits(stage: Stage) -> bool:
    """Let hours of our own clock pass, and tell whether the call is sent (again) meanwhile."""
    for call in stage.node.landing.pending.values():
        stage.node.landing.pending[call.key] = replace(call, in_flight=False)
    stage.now_ms += HOUR_MS
    return any(isinstance(effect, Submit) for effect in stage.run(Ticked(Millis(stage.now_ms))))


def told(stage: Stage, kind: GatewayEventKind, **changes: object) -> None:
    """Let a gateway speak of the decision at block 2, in the next block."""
    event = replace(gateway_event(stage, kind, until=stage.blocks[1].timestamp + 300), **changes)
    stage.run(stage.block(gateway_events=[event]))


def test_a_gateway_that_had_nothing_to_do_does_not_end_the_call() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    told(stage, GatewayEventKind.NOOP, until=0)

    assert submits(stage)


def test_another_gateway_cannot_speak_for_ours() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    told(stage, GatewayEventKind.STARTED, gateway=Gateway(b"\x66" * 32))

    assert submits(stage)


def test_a_call_seen_in_effect_is_sent_again_when_a_re_org_undoes_it() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    told(stage, GatewayEventKind.STARTED)
    assert not submits(stage)
    stage.run(stage.back_to(2), stage.block())

    assert submits(stage)


def test_the_attestations_of_a_void_decision_are_not_shown_while_its_mandate_is_usable() -> None:
    stage = Stage()
    stage.drained()
    logged = certified(stage)
    effects = stage.run(stage.back_to(1), *(stage.block() for _ in range(3)))

    assert not logged & published(effects)


def test_one_certificate_stops_us_from_signing_every_other_anchor_of_the_slot() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    stage.run(stage.block())

    effects = stage.run(stage.attests("bob", stage.decision(stage.blocks[2])))

    assert not [effect for effect in effects if isinstance(effect, SignAttestation)]


def test_a_repeated_heartbeat_keeps_nobody_alive() -> None:
    stage = Stage()
    stage.release()
    beat = Heartbeat(1, 7, b"b" * 16, 0, {})
    first = stage.said("bob", beat)
    stage.run(first)
    stage.now_ms += HOUR_MS

    effects = stage.run(stage.said("bob", beat, at_ms=stage.now_ms))

    assert stage.node.live_members() == 1
    assert not [effect for effect in effects if isinstance(effect, Forward)]


def test_a_member_that_asks_all_the_time_is_answered_once_a_second() -> None:
    stage = Stage()
    stage.release()
    answers = [
        effect
        for number in range(20)
        for effect in stage.run(stage.said("bob", Recall(1, b"b" * 16, bytes([number]) * 16)))
        if isinstance(effect, SignStatement)
    ]

    assert len(answers) == 1


@pytest.mark.parametrize("timestamp", [1 << 40, (1 << 40) - 1])
def test_an_anchor_at_the_end_of_time_ends_no_node(timestamp: int) -> None:
    stage = Stage()
    anchor = stage.drained()

    decision = stage.decision(replace(anchor, timestamp=timestamp, number=anchor.number + BLOCK_S))

    assert stage.words(stage.run(stage.attests("bob", decision))) == ["drop: early attestation"]
