"""The gateway's events (contracts/TocsinGateway.sol) as the core's (SPEC 5.1).

A plan may name any contract as its gateway. A log with a gateway event's topic whose words are out of their
Solidity type, or that no gateway can mean (a time above `MAX_TIME`, a tier but 1 and 2), is no gateway
event: every node leaves out that log alone and reads the rest of the block.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from adapters.evm.shapes import Log
from proofs.hashes import keccak256
from relay.core.messages import MAX_TIME
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind, PlanRegistered
from relay.core.types import ActId, DecisionId, Gateway, MandateDigest, PlanHash

STARTED = keccak256(b"ActStarted(bytes32,bytes32,bytes32,uint8,uint64,uint64,uint256)")
EXTENDED = keccak256(b"ActExtended(bytes32,bytes32,bytes32,uint8,uint64)")
NOOP = keccak256(b"ActNoop(bytes32,bytes32,bytes32)")
ENDED = keccak256(b"ActEnded(bytes32,bytes32,uint8,uint64,bool)")
PLAN_SET = keccak256(b"PlanSet(bytes32,bytes32,uint64)")
LOG_ANCHORED = keccak256(b"LogAnchored(bytes32,bytes32,uint64,bytes32)")
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
_TIERS = (1, 2)
_U64 = 1 << 64


def gateway_event(log: Log, gas_used: int) -> GatewayEvent:
    """One step of an act's record.

    Raises:
        ValueError: if topics or data have another shape than the event's, or a word is out of its range.
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
            how, ended_at, undone = data
            if how not in _HOW:
                raise ValueError(f"expected an ending of 1 to {len(_HOW)}, got {how}")
            if undone > 1:
                raise ValueError(f"expected a bool, got {undone}")
            return replace(base, how=_HOW[how], ended_at=_time(ended_at), undone=undone == 1)
        case GatewayEventKind.STARTED:
            tier, since, until, _restore = data
            _time(since)
            return replace(base, decision_id=DecisionId(log.topics[3]), tier=_tier(tier), until=_time(until))
        case GatewayEventKind.EXTENDED:
            tier, until = data
            return replace(base, decision_id=DecisionId(log.topics[3]), tier=_tier(tier), until=_time(until))
        case GatewayEventKind.NOOP:
            return replace(base, decision_id=DecisionId(log.topics[3]))
        case _:
            assert_never(base.kind)


def _time(seconds: int) -> int:
    if seconds > MAX_TIME:
        raise ValueError(f"expected a time of at most {MAX_TIME}, got {seconds}")
    return seconds


def _tier(tier: int) -> int:
    if tier not in _TIERS:
        raise ValueError(f"expected a tier of 1 or 2, got {tier}")
    return tier


def plan_registered(log: Log) -> PlanRegistered:
    """The owner's plan hashes (SPEC 5.6).

    A gateway takes any uint64 for the end of the overlap; what no block's time reaches is `MAX_TIME`.

    Raises:
        ValueError: if topics or data have another shape than the event's, or a word is out of its type.
    """
    if len(log.topics) != 1 or len(log.data) != 96:
        raise ValueError("malformed gateway event PlanSet")
    overlap_until = int.from_bytes(log.data[64:], "big")
    if overlap_until >= _U64:
        raise ValueError(f"expected a uint64, got {overlap_until}")
    return PlanRegistered(
        gateway=gateway_of_log(log),
        log_index=log.index,
        current=PlanHash(log.data[:32]),
        following=PlanHash(log.data[32:64]),
        overlap_until=min(overlap_until, MAX_TIME),
    )


def gateway_of_log(log: Log) -> Gateway:
    return Gateway(bytes.fromhex(log.address[2:]).rjust(32, b"\0"))


__all__ = ["GATEWAY_TOPICS", "LOG_ANCHORED", "PLAN_SET", "gateway_event", "gateway_of_log", "plan_registered"]
