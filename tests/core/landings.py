"""What the tests of the last mile do with a stage: certify, let turns come, end submissions."""

from __future__ import annotations

from proofs.kinds import Millis
from proofs.mandate import Op, Tier
from relay.core.calls import Pending
from relay.core.events import SubmissionEnded, Ticked
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind
from relay.core.ports import Submission, SubmissionStatus
from relay.core.types import BlockRef
from tests.core.stage import BLOCK_S, Stage


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
    """Let every place in the order have its turn; give what was sent or left, each once."""
    words: list[str] = []
    for _ in range(4):
        stage.now_ms += BLOCK_S * 1_000
        words += stage.words(stage.run(Ticked(Millis(stage.now_ms))))
    found = [word for word in words if word.startswith(("submit", "not sent", "rests"))]
    return list(dict.fromkeys(found))


def mine(stage: Stage) -> Pending:
    """Give the one call that waits or is under way."""
    (pending,) = stage.node.landing.pending.values()
    return pending


def ends(stage: Stage, submission: Submission) -> list[str]:
    """End what is under way; give what that brings."""
    words: list[str] = []
    for call in list(stage.node.landing.pending.values()):
        if call.in_flight:
            words += stage.words(stage.run(SubmissionEnded(call.key, submission)))
    return words


def sent(stage: Stage) -> Pending:
    """Certify a protection and let our turn come."""
    certified(stage, stage.drained())
    assert mine(stage).in_flight or "submit execute" in fate(stage)
    return mine(stage)


def later(stage: Stage, seconds: int) -> list[str]:
    """Let time pass by the member's clock, a tick each second."""
    words: list[str] = []
    for _ in range(seconds):
        stage.now_ms += 1_000
        words += stage.words(stage.run(Ticked(Millis(stage.now_ms))))
    return words


REFUSED = Submission(SubmissionStatus.REFUSED, reason="ActNotRegistered")
UNFUNDED = Submission(SubmissionStatus.UNFUNDED, reason="expected 7 wei, the submitter holds 0")
TIMED_OUT = Submission(SubmissionStatus.TIMED_OUT, reason="not in a block in time")
NEEDLESS = Submission(SubmissionStatus.NEEDLESS, reason="already protected")
PAGE = "page: incident open without effect past its patience"
