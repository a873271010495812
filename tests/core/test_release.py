"""When the audit log may show an entry: once its mandate can change nothing any more (SPEC 7.3)."""

from __future__ import annotations

from proofs.hashes import sha256
from proofs.mandate import Tier
from relay.core.effects import LogEntry, Releasable
from relay.core.messages import Verdict
from relay.core.observations import GatewayEvent, GatewayEventKind
from tests.core.stage import Stage


def entries(effects: list[object]) -> set[bytes]:
    """Give the digests that were logged."""
    return {effect.digest for effect in effects if isinstance(effect, LogEntry)}


def published(effects: list[object]) -> set[bytes]:
    """Give the digests that may be shown."""
    return {digest for effect in effects if isinstance(effect, Releasable) for digest in effect.digests}


def certified(stage: Stage, *, tier: Tier = Tier.FAST) -> set[bytes]:
    """Let three peers attest to the decision at block 2; give what was logged."""
    decision = stage.decision(stage.blocks[1], tier=tier)
    effects: list[object] = []
    for name in ("bob", "carol", "dave"):
        effects += stage.run(stage.attests(name, decision))
    return entries(effects)


def gateway_event(
    stage: Stage, kind: GatewayEventKind, *, until: int = 0, digest: bytes | None = None
) -> GatewayEvent:
    """Give what the gateway says of the decision at block 2, or of another mandate."""
    prepared = stage.prepared(stage.decision(stage.blocks[1]))
    leaf = prepared.leaves[0]
    return GatewayEvent(
        gateway=leaf.gateway,
        kind=kind,
        act_id=leaf.act_id,
        tx=sha256(b"tx"),
        log_index=0,
        gas_used=1,
        mandate=prepared.digest if digest is None else type(prepared.digest)(digest),  # type: ignore[call-arg]
        decision_id=prepared.id if digest is None else None,
        tier=1,
        until=until,
    )


def test_an_open_mandate_is_not_shown() -> None:
    stage = Stage()
    stage.drained()
    logged = certified(stage)
    assert len(logged) == 3

    assert not published(stage.run(*(stage.block() for _ in range(9))))


def test_what_the_gateway_carried_out_is_shown() -> None:
    stage = Stage()
    stage.drained()
    logged = certified(stage)
    until = stage.blocks[1].timestamp + 300

    shown = published(
        stage.run(stage.block(gateway_events=[gateway_event(stage, GatewayEventKind.STARTED, until=until)]))
    )

    assert logged <= shown


def test_what_another_mandate_has_put_in_force_for_as_long_is_shown() -> None:
    stage = Stage()
    stage.drained()
    logged = certified(stage)
    other = gateway_event(
        stage, GatewayEventKind.STARTED, until=stage.blocks[1].timestamp + 300, digest=sha256(b"other")
    )

    assert logged <= published(stage.run(stage.block(gateway_events=[other])))


def test_what_another_mandate_has_put_in_force_for_less_is_not_shown() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    other = gateway_event(
        stage, GatewayEventKind.STARTED, until=stage.blocks[1].timestamp + 299, digest=sha256(b"other")
    )

    assert not published(stage.run(stage.block(gateway_events=[other])))


def test_a_gateway_that_had_nothing_to_do_may_still_have_to() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)

    noop = gateway_event(stage, GatewayEventKind.NOOP)

    assert not published(stage.run(stage.block(gateway_events=[noop])))


def test_what_is_over_is_shown_dissent_and_abstention_with_it() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    logged = entries(
        [
            *stage.run(stage.judges("bob", decision, Verdict.DISSENT)),
            *stage.run(stage.judges("carol", decision, Verdict.ABSTAIN)),
        ]
    )
    assert len(logged) == 2

    assert not logged & published(stage.run(stage.block(after_s=120)))
    assert logged <= published(stage.run(stage.block(after_s=1)))
