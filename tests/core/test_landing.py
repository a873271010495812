"""What becomes of a certificate: sent, waited with, or left alone, and why (SPEC 6.6)."""

from __future__ import annotations

from proofs.kinds import Millis
from proofs.mandate import Op, Tier
from relay.core.events import SubmissionEnded, Ticked
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind
from relay.core.ports import Submission, SubmissionStatus
from relay.core.types import BlockRef
from tests.core.stage import BLOCK_S, Stage

LATER_MS = 4 * BLOCK_S * 1_000


def certified(stage: Stage, anchor: BlockRef, *, op: Op = Op.PROTECT, tier: Tier = Tier.FAST) -> None:
    """Let the peers certify a decision at `anchor`."""
    subject = "drained" if op is Op.PROTECT else "halt"
    decision = stage.decision(anchor, op=op, subject=subject, tier=tier)
    for name in ("bob", "carol", "dave"):
        stage.run(stage.attests(name, decision))


def gateway_event(stage: Stage, kind: GatewayEventKind, *, until: int = 0) -> GatewayEvent:
    """Give what the gateway says of the act, by a mandate that we do not know."""
    leaf = stage.prepared(stage.decision(stage.blocks[0])).leaves[0]
    return GatewayEvent(
        gateway=leaf.gateway,
        kind=kind,
        act_id=leaf.act_id,
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        tier=1,
        until=until,
        how=EndedHow.EXPIRE if kind is GatewayEventKind.ENDED else None,
    )


def in_force(stage: Stage, *, for_s: int) -> None:
    """Put the act into force in the next block."""
    until = stage.blocks[-1].timestamp + BLOCK_S + for_s
    stage.run(stage.block(gateway_events=[gateway_event(stage, GatewayEventKind.STARTED, until=until)]))


def fate(stage: Stage) -> list[str]:
    """Let every place in the order have its turn; give what was sent or left."""
    stage.now_ms += LATER_MS
    words = stage.words(stage.run(Ticked(Millis(stage.now_ms))))
    return [word for word in words if word.startswith(("submit", "not sent"))]


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

    assert stage.node.landing.pending == {} or fate(stage) == ["not sent: in force long enough"]


def test_what_is_in_force_for_less_than_half_is_lengthened() -> None:
    stage = Stage()
    anchor = stage.drained()
    in_force(stage, for_s=149)
    certified(stage, anchor)

    (pending,) = stage.node.landing.pending.values()
    assert pending.in_flight or fate(stage) == ["submit execute"]


def test_the_first_protection_after_a_release_was_decided_is_sent_in_any_case() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=290)
    release = stage.blocks[-1]
    certified(stage, release, op=Op.RELEASE, tier=Tier.FULL)
    stage.run(stage.block())
    certified(stage, stage.blocks[-1])

    calls = [call for call in stage.node.landing.pending.values() if call.prepared is not None]
    sent = [call.prepared.decision.op for call in calls if call.in_flight and call.prepared is not None]
    assert Op.PROTECT in sent or "submit execute" in fate(stage)


def test_a_release_is_not_sent_when_a_protection_was_decided_at_or_after_it() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=290)
    certified(stage, stage.blocks[-1])
    stage.node.landing.pending.clear()
    certified(stage, stage.blocks[-1], op=Op.RELEASE, tier=Tier.FULL)

    assert stage.node.landing.pending == {} or fate(stage) == ["not sent: protected since"]


def test_a_release_after_the_newest_protection_is_sent() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=290)
    certified(stage, stage.blocks[1])
    stage.node.landing.pending.clear()
    certified(stage, stage.blocks[-1], op=Op.RELEASE, tier=Tier.FULL)

    (pending,) = stage.node.landing.pending.values()
    assert pending.in_flight or fate(stage) == ["submit execute"]


def test_without_a_record_there_is_nothing_to_extend_or_release() -> None:
    for op, reason in ((Op.EXTEND, "nothing to extend"), (Op.RELEASE, "nothing to release")):
        stage = Stage()
        certified(stage, stage.drained(), op=op, tier=Tier.FULL)

        assert stage.node.landing.pending == {} or fate(stage) == [f"not sent: {reason}"]


def test_what_is_out_of_time_is_not_sent() -> None:
    stage = Stage()
    certified(stage, stage.drained())
    for call in list(stage.node.landing.pending.values()):
        stage.run(SubmissionEnded(call.key, Submission(SubmissionStatus.UNAVAILABLE)))
    stage.run(stage.block(after_s=200))

    assert fate(stage) == ["not sent: out of time"]


def test_what_failed_is_tried_again_and_what_never_works_wakes_somebody() -> None:
    stage = Stage()
    certified(stage, stage.drained())
    words: list[str] = []
    for _ in range(12):
        for call in list(stage.node.landing.pending.values()):
            if call.in_flight:
                stage.run(SubmissionEnded(call.key, Submission(SubmissionStatus.TIMED_OUT)))
        stage.now_ms += LATER_MS
        words += stage.words(stage.run(Ticked(Millis(stage.now_ms))))

    assert words.count("submit execute") > 3
    assert words.count("page: incident open without effect past its patience") == 1


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
