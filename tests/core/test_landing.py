"""What becomes of a certificate: sent, waited with, or left alone, and why (SPEC 6.6)."""

from __future__ import annotations

from dataclasses import replace

from proofs.kinds import Millis
from proofs.mandate import Op, Tier
from relay.core.effects import Submit
from relay.core.events import SubmissionEnded, Ticked
from relay.core.observations import EndedHow, GatewayEventKind
from relay.core.ports import Execute, Submission, SubmissionStatus
from tests.core.landings import (
    NEEDLESS,
    REFUSED,
    TIMED_OUT,
    certified,
    ends,
    fate,
    gateway_event,
    in_force,
    mine,
    sent,
)
from tests.core.stage import BLOCK_S, Stage


def test_a_certificate_is_sent_when_our_place_in_the_order_has_come() -> None:
    stage = Stage()
    certified(stage, stage.drained())

    (pending,) = stage.node.landing.pending.values()
    assert pending.due_ms in {stage.now_ms + place * BLOCK_S * 1_000 for place in range(4)}
    assert pending.in_flight or fate(stage) == ["submit execute"]


def test_what_is_in_force_for_more_than_half_is_left_alone() -> None:
    stage = Stage()
    anchor = stage.drained()
    in_force(stage, for_s=151)
    certified(stage, anchor)

    assert mine(stage).rests or fate(stage) == ["rests: in force long enough"]
    assert fate(stage) == []
    assert mine(stage).rests == "in force long enough"


def test_what_is_in_force_for_less_than_half_is_lengthened() -> None:
    stage = Stage()
    anchor = stage.drained()
    in_force(stage, for_s=149)
    certified(stage, anchor)

    assert mine(stage).in_flight or fate(stage) == ["submit execute"]


def test_what_rests_is_sent_before_the_record_runs_out_though_no_newer_decision_came() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=152)
    record_ends_s = stage.blocks[-1].timestamp + 152
    certified(stage, stage.blocks[-1])
    assert mine(stage).rests or fate(stage) == ["rests: in force long enough"]

    stage.run(*(stage.block() for _ in range(6)))
    assert fate(stage) == []
    stage.run(*(stage.block() for _ in range(4)))

    assert fate(stage) == ["submit execute"]
    assert stage.blocks[-1].timestamp < record_ends_s


def test_of_what_rests_the_newest_decision_alone_is_kept() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=299)
    certified(stage, stage.blocks[-1])
    assert mine(stage).rests or fate(stage) == ["rests: in force long enough"]
    first = mine(stage)
    stage.run(stage.block())
    certified(stage, stage.blocks[-1])

    assert mine(stage).key != first.key


def test_of_what_would_change_nothing_now_the_newest_decision_alone_is_looked_at() -> None:
    stage = Stage()
    first = sent(stage)
    ends(stage, NEEDLESS)
    stage.run(stage.block())
    certified(stage, stage.blocks[-1])

    assert mine(stage).key != first.key


def test_what_would_change_nothing_now_is_kept_while_its_gateway_is_to_say_so() -> None:
    stage = Stage()
    first = sent(stage)
    stage.node.landing.pending[first.key] = replace(first, opens_next=True)
    ends(stage, NEEDLESS)
    stage.run(stage.block())
    certified(stage, stage.blocks[-1])

    assert first.key in stage.node.landing.pending


def test_what_would_lengthen_nothing_rests() -> None:
    stage = Stage()
    anchor = stage.drained()
    in_force(stage, for_s=300)
    stage.run(*(stage.block() for _ in range(5)))
    certified(stage, anchor)

    assert mine(stage).rests == "adds nothing" or "rests: adds nothing" in fate(stage)


def test_the_first_protection_after_a_release_was_decided_is_sent_in_any_case() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=280)
    release = stage.blocks[-1]
    certified(stage, release, op=Op.RELEASE, tier=Tier.FULL)
    stage.run(stage.block())
    certified(stage, stage.blocks[-1])
    fate(stage)

    calls = [call for call in stage.node.landing.pending.values() if call.prepared is not None]
    under_way = [call.prepared.decision.op for call in calls if call.in_flight and call.prepared is not None]
    assert Op.PROTECT in under_way or ends(stage, NEEDLESS) == []
    assert Op.PROTECT in under_way or "submit execute" in fate(stage)


def test_a_protection_is_not_prolonged_by_what_was_decided_before_a_release() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=10)
    certified(stage, stage.blocks[-2])
    stage.node.landing.pending.clear()
    certified(stage, stage.blocks[-1], op=Op.RELEASE, tier=Tier.FULL)
    stage.node.landing.pending.clear()
    protect = stage.decision(stage.blocks[-2], tier=Tier.FULL)
    for name in ("bob", "carol", "dave"):
        stage.run(stage.attests(name, protect))

    assert mine(stage).rests == "release decided since" or fate(stage) == ["rests: release decided since"]


def test_a_release_is_not_sent_when_a_protection_was_decided_at_or_after_it() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=290)
    certified(stage, stage.blocks[-1])
    stage.node.landing.pending.clear()
    certified(stage, stage.blocks[-1], op=Op.RELEASE, tier=Tier.FULL)

    assert mine(stage).rests == "protected since" or fate(stage) == ["rests: protected since"]


def test_a_release_after_the_newest_protection_is_sent() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=290)
    certified(stage, stage.blocks[1])
    stage.node.landing.pending.clear()
    certified(stage, stage.blocks[-1], op=Op.RELEASE, tier=Tier.FULL)

    assert mine(stage).in_flight or fate(stage) == ["submit execute"]


def test_without_a_record_there_is_nothing_to_extend_or_release() -> None:
    for op, reason in ((Op.EXTEND, "nothing to extend"), (Op.RELEASE, "nothing to release")):
        stage = Stage()
        certified(stage, stage.drained(), op=op, tier=Tier.FULL)

        assert mine(stage).rests == reason or fate(stage) == [f"rests: {reason}"]


def test_what_the_guardian_ended_after_the_decision_is_dead() -> None:
    stage = Stage()
    anchor = stage.drained()
    in_force(stage, for_s=100)
    dismissed = replace(
        gateway_event(stage, GatewayEventKind.ENDED), how=EndedHow.DISMISS, ended_at=anchor.timestamp
    )
    stage.run(stage.block(gateway_events=[dismissed]))
    certified(stage, anchor)

    assert mine(stage).rests == "ended since" or fate(stage) == ["rests: ended since"]


def test_what_is_out_of_time_is_not_sent() -> None:
    stage = Stage()
    certified(stage, stage.drained())
    ends(stage, NEEDLESS)
    stage.run(stage.block(after_s=200))

    assert fate(stage) == ["not sent: out of time"]


def test_of_one_act_one_call_is_under_way_at_a_time() -> None:
    stage = Stage()
    sent(stage)
    full = stage.decision(stage.blocks[1], tier=Tier.FULL)
    for name in ("bob", "carol", "dave"):
        stage.run(stage.attests(name, full))

    assert fate(stage) == []
    ends(stage, TIMED_OUT)
    assert fate(stage) == ["submit execute"]


def test_the_gateway_is_asked_to_say_noop_only_where_the_next_rung_waits_for_it() -> None:
    for opens_next in (True, False):
        stage = Stage()
        prepared = sent(stage).prepared
        assert prepared is not None
        stage.node.landing.pending.clear()
        stage.node.landing.certified(prepared, b"", Millis(stage.now_ms), opens_next=opens_next)
        fate(stage)
        ends(stage, NEEDLESS)

        stage.now_ms += 60_000
        effects = stage.run(Ticked(Millis(stage.now_ms)))

        (call,) = [effect.call for effect in effects if isinstance(effect, Submit)]
        assert isinstance(call, Execute)
        assert call.says_noop is opens_next


def test_an_effect_that_a_re_org_takes_back_is_sent_again_in_its_turn() -> None:
    stage = Stage()
    prepared = sent(stage).prepared
    assert prepared is not None
    event = replace(
        gateway_event(stage, GatewayEventKind.STARTED, until=stage.blocks[-1].timestamp + 300),
        mandate=prepared.digest,
        decision_id=prepared.id,
    )
    stage.run(stage.block(gateway_events=[event]))
    ends(stage, Submission(SubmissionStatus.LANDED))
    assert fate(stage) == ["rests: seen in effect"]

    stage.run(stage.back_to(2), stage.block())

    assert fate(stage) == ["submit execute"]


def test_an_act_past_its_time_is_expired_unless_somebody_has_done_it() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=20)
    stage.run(stage.block(), stage.block())
    assert len(stage.node.landing.pending) == 1
    assert "submit expire" in fate(stage)

    stage.run(stage.block(gateway_events=[gateway_event(stage, GatewayEventKind.ENDED)]))
    for call in list(stage.node.landing.pending.values()):
        stage.run(SubmissionEnded(call.key, Submission(SubmissionStatus.REFUSED, reason="NoRecord")))
    assert fate(stage) in ([], ["not sent: already ended"])
    assert stage.node.landing.pending == {}


def overdue(stage: Stage) -> list[str]:
    """Let a record run out while a call that lengthens it is tried; give what was sent first."""
    stage.drained()
    in_force(stage, for_s=20)
    certified(stage, stage.blocks[-1], tier=Tier.FULL)
    words = fate(stage)
    stage.run(stage.block(), stage.block())
    return words


def test_an_act_is_not_expired_while_a_call_that_lengthens_it_is_tried() -> None:
    stage = Stage()
    assert overdue(stage) in (["submit execute"], [])
    ends(stage, TIMED_OUT)

    assert len(stage.node.landing.pending) == 2
    assert fate(stage) == ["submit execute"]
    ends(stage, TIMED_OUT)
    assert "submit expire" not in fate(stage)


def test_an_act_is_expired_when_what_lengthens_it_has_no_hope_or_takes_too_long() -> None:
    for last, more_s in ((REFUSED, BLOCK_S), (TIMED_OUT, 130)):
        stage = Stage()
        overdue(stage)
        ends(stage, last)
        stage.run(stage.block(after_s=more_s))
        words = fate(stage)
        ends(stage, last)

        assert "submit expire" in words + fate(stage)
