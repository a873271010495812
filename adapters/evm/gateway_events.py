"""The gateway's events (contracts/TocsinGateway.sol) as the core's (SPEC 5.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from adapters.evm.shapes import Log
from proofs.hashes import keccak256
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind, PlanRegistered
from relay.core.types import ActId, DecisionId, Gateway, MandateDigest, PlanHash

STARTED = keccak256(b"ActStarted(bytes32,bytes32,bytes32,uint8,uint64,uint64,uint256)")
EXTENDED = keccak256(b"ActExtended(bytes32,bytes32,bytes32,uint8,uint64)")
NOOP = keccak256(b"ActNoop(bytes32,bytes32,bytes32)")
ENDED = keccak256(b"ActEnded(bytes32,bytes32,uint8,uint64,bool)")
PLAN_SET = keccak256(b"PlanSet(bytes32,bytes32,uint64)")
GATEWAY_TOPICS = (STARTED, EXTENDED, NOOP, ENDED, PLAN_SET)

_KINDS: dict[bytes, tuple[GatewayEventKind, int, int]] = {
    STARTED: (GatewayEventKind.STARTED, 4, 4),
    EXTENDED: (GatewayEventKind.EXTENDED, 4, 2),
    NOOP: (GatewayEventKind.NOOP, 4, 0),
    ENDED: (GatewayEventKind.ENDED, 3, 3),
}
"""Kind, topics, words of data."""
_HOW = {
    1: EndedHow.RELEASE,
    2: EndedHow.EXPIRE,
    3: EndedHow.ADOPT,
    4: EndedHow.DISMISS,
    5: EndedHow.CLOSE,
    6: EndedHow.FORCED,
}
_NONE = bytes(32)


def gateway_event(log: Log, gas_used: int) -> GatewayEvent:
    """One step of an act's record.

    Raises:
        ValueError: if topics or data have another shape than the event's.
    """
    kind, topics, words = _KINDS[log.topics[0]]
    if len(log.topics) != topics or len(log.data) != 32 * words:
        raise ValueError(f"malformed gateway event {kind}")
    data = [int.from_bytes(log.data[32 * word : 32 * word + 32], "big") for word in range(words)]
    mandate = MandateDigest(log.topics[1])
    base = GatewayEvent(
        gateway=gateway_of_log(log),
        kind=kind,
        act_id=ActId(log.topics[2]),
        tx=log.tx,
        log_index=log.index,
        gas_used=gas_used,
        mandate=None if mandate == _NONE else mandate,
    )
    return _filled(base, log, data)


def _filled(base: GatewayEvent, log: Log, data: list[int]) -> GatewayEvent:
    match base.kind:
        case GatewayEventKind.ENDED:
            if data[0] not in _HOW:
                raise ValueError(f"expected an ending of 1 to {len(_HOW)}, got {data[0]}")
            return replace(base, how=_HOW[data[0]], ended_at=data[1], undone=data[2] != 0)
        case GatewayEventKind.STARTED:
            return replace(base, decision_id=DecisionId(log.topics[3]), tier=data[0], until=data[2])
        case GatewayEventKind.EXTENDED:
            return replace(base, decision_id=DecisionId(log.topics[3]), tier=data[0], until=data[1])
        case GatewayEventKind.NOOP:
            return replace(base, decision_id=DecisionId(log.topics[3]))
        case _:
            assert_never(base.kind)


def plan_registered(log: Log) -> PlanRegistered:
    """The owner's plan hashes (SPEC 5.6)."""
    if len(log.topics) != 1 or len(log.data) != 96:
        raise ValueError("malformed gateway event PlanSet")
    return PlanRegistered(
        gateway=gateway_of_log(log),
        log_index=log.index,
        current=PlanHash(log.data[:32]),
        following=PlanHash(log.data[32:64]),
        overlap_until=int.from_bytes(log.data[64:], "big"),
    )


def gateway_of_log(log: Log) -> Gateway:
    return Gateway(bytes.fromhex(log.address[2:]).rjust(32, b"\0"))


__all__ = ["GATEWAY_TOPICS", "PLAN_SET", "gateway_event", "gateway_of_log", "plan_registered"]
