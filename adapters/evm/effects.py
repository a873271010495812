"""Whether a call that landed had its effect: the gateway's event, and its getters at that very block."""

from __future__ import annotations

from typing import NamedTuple

from adapters.evm import shapes
from adapters.evm.abi import selector
from adapters.evm.crowd import Crowd
from adapters.evm.encode import address_text
from adapters.evm.gateway_events import ENDED, EXTENDED, GATEWAY_TOPICS, LOG_ANCHORED, NOOP, PLAN_SET, STARTED
from adapters.evm.rotating import scheduled_topics
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.shapes import Log, Receipt
from adapters.evm.state import is_fault
from proofs.mandate import mandate_digest
from relay.core.ports import ActCall, AnchorLog, EffectSeen, Execute, GatewayCall
from relay.core.rotations import Rotate

_STATE_OF = selector("stateOf", ("bytes32",))
_RECORD = selector("record", ("bytes32",))
_ONE = (1).to_bytes(32, "big")
_WORD = 32
LOOKS = 3
"""At the state, until enough endpoints show it alike: one that lies and one that is late make no majority."""


class Effect(NamedTuple):
    """What was seen, and why it is less than it should be."""

    seen: EffectSeen
    reason: str = ""


class _State(NamedTuple):
    """An act at a block: the state is what protects, is exactly ours, and a record is open."""

    is_protected: bool
    is_ours: bool
    has_record: bool


def event_of(call: GatewayCall, receipt: Receipt) -> Log | None:
    """The gateway's word on this call: on its act, under this mandate where there is one."""
    return next((log for log in receipt.logs if _is_about(log, call)), None)


def _is_about(log: Log, call: GatewayCall) -> bool:
    if log.address != address_text(call.gateway) or len(log.topics) < 3:
        return False
    if isinstance(call, Rotate):
        return log.topics[:3] == scheduled_topics(call)
    if isinstance(call, AnchorLog):
        return log.topics[:3] == (LOG_ANCHORED, call.incident_id, call.origin)
    if log.topics[0] not in GATEWAY_TOPICS or log.topics[0] == PLAN_SET:
        return False
    is_its_mandate = not isinstance(call, Execute) or log.topics[1] in (
        mandate_digest(call.mandate),
        bytes(32),
    )
    return log.topics[2] == call.act_id and is_its_mandate


async def check_effect(crowd: Crowd, call: GatewayCall, event: Log, block_hash: bytes) -> Effect:
    """Compare what the event says with what the gateway answers at the block in which it landed."""
    if isinstance(call, AnchorLog | Rotate):
        return Effect(EffectSeen.CONFIRMED)  # the event is all that it does
    problem = "no endpoint shows the state"
    for _ in range(LOOKS):
        found = await crowd.agreed(lambda rpc: _ask_state(rpc, call, block_hash))
        if found is not None:
            state, agreeing = found
            if agreeing >= crowd.need:
                return (
                    Effect(EffectSeen.UNCHECKED, state) if isinstance(state, str) else _judged(event, state)
                )
            problem = f"only {agreeing} of {len(crowd.rpcs)} endpoints show the state"
    return Effect(EffectSeen.UNCHECKED, problem)


def _judged(event: Log, state: _State | str) -> Effect:
    if isinstance(state, str):
        return Effect(EffectSeen.UNCHECKED, state)
    topic = event.topics[0]
    if topic in (STARTED, EXTENDED):
        if not state.has_record:
            return Effect(EffectSeen.ABSENT, "the record had ended again by the end of the block")
        if not state.is_ours:
            return Effect(EffectSeen.ABSENT, "the state was another by the end of the block")
    elif topic == NOOP and not (state.is_protected or state.has_record):
        return Effect(EffectSeen.ABSENT, "the state was unprotected by the end of the block")
    elif topic == ENDED and state.has_record:
        return Effect(EffectSeen.ABSENT, "a record was open again by the end of the block")
    return Effect(EffectSeen.CONFIRMED)


async def _ask_state(rpc: Rpc, call: ActCall, block_hash: bytes) -> _State | str:
    """The act's state at a block, or why the gateway does not tell it."""
    at = {"blockHash": "0x" + block_hash.hex()}
    to = address_text(call.gateway)
    state, record = await rpc.replies(
        [
            Request("eth_call", [{"to": to, "data": "0x" + (data + call.act_id).hex()}, at])
            for data in (_STATE_OF, _RECORD)
        ]
    )
    for reply in (state, record):
        if isinstance(reply, RpcError):
            if is_fault(reply):
                return "the gateway's getters fail"
            raise rpc.unavailable(reply.text)
    try:
        words, times = shapes.octets(state), shapes.octets(record)
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None
    if len(words) != 3 * _WORD or len(times) < _WORD:
        return "the gateway has no such getters"
    return _State(words[_WORD : 2 * _WORD] == _ONE, words[2 * _WORD :] == _ONE, any(times[:_WORD]))


__all__ = ["Effect", "check_effect", "event_of"]
