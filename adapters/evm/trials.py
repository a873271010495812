"""Trying an act on a chain's state without changing it (SPEC 8.2), by contracts/Rehearsal.sol.

Three ways, the best that an endpoint offers: two blocks with the act's duration between them
(`eth_simulateV1`), one call with an override of the caller's code, or a plain call of the act alone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from adapters.evm import shapes
from adapters.evm.abi import selector
from adapters.evm.encode import ACT_TYPES
from adapters.evm.refusals import ARTIFACTS
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS, is_fault

__all__ = [
    "LATER_S",
    "ActFields",
    "Deed",
    "Reading",
    "Trial",
    "Trials",
    "Way",
    "act_fields",
    "rehearsal_code",
]

SENDER = "0x00000000000000000000000000000000746f6373"
"""Who begins a simulated transaction; holds nothing anywhere."""
LATER_S = 60
"""So much after the act's duration its undo is tried; a simulated block must be younger than the newest."""
INTRINSIC_GAS = 21_000
_GAS_PER_BYTE = 40
_ACT = "(" + ",".join(ACT_TYPES) + ")"
_READING = "(bool,uint256,uint256)"
_TRIAL = f"({_READING},(bool,uint256,bytes),{_READING})"
_NOT_OFFERED = (-32601, -32602, -32600, -32004)
"""JSON-RPC: unknown method, invalid parameters, invalid request; EIP-1474: not supported."""


class Way(IntEnum):
    """How an endpoint lets an act be tried, best last."""

    PLAIN = 0
    OVERRIDE = 1
    BLOCKS = 2


@dataclass(frozen=True, slots=True)
class ActFields:
    """The fields of a registration by name."""

    target: str
    call: bytes
    state_target: str
    state_call: bytes
    state_word: int
    value: int
    compare: int
    undo: int
    undo_call: bytes
    restore_at: int
    gas_cap: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the state getter answered."""

    answered: bool
    value: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Deed:
    """What a call did; `answer` is the beginning of what it returned or reverted with."""

    succeeded: bool
    gas_used: int
    answer: bytes
    text: str = ""
    """The endpoint's own words, where it gave no bytes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A state, a call, the state after it (None where the endpoint offers no way to see it)."""

    before: Reading
    deed: Deed
    reached: Reading | None


def act_fields(registration: Sequence[object]) -> ActFields:
    """Name the fields of `EncodedAct.registration`."""
    target, call, state_target, state_call, word, value, compare, undo, undo_call, at, gas = registration
    return ActFields(
        target=_address(target),
        call=_bytes(call),
        state_target=_address(state_target),
        state_call=_bytes(state_call),
        state_word=_integer(word),
        value=_integer(value),
        compare=_integer(compare),
        undo=_integer(undo),
        undo_call=_bytes(undo_call),
        restore_at=_integer(at),
        gas_cap=_integer(gas),
    )


def _address(value: object) -> str:
    return "0x" + _bytes(value).hex()


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _integer(value: object) -> int:
    assert isinstance(value, int)
    return value


@functools.cache
def rehearsal_code() -> str:
    """The runtime code that is lent, 0x hex."""
    artifact = shapes.mapping(json.loads((ARTIFACTS / "Rehearsal.json").read_text()))
    return str(artifact["deployedBytecode"])


class Trials:
    """Tries acts through one endpoint; remembers which ways it does not offer."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._best = Way.BLOCKS

    async def look(
        self, registration: Sequence[object], caller: str, *, changes: Sequence[object] = ()
    ) -> Reading | None:
        """The state as `caller` reads it; None where it cannot be asked so.

        `changes` are further parameters of `eth_call`: state overrides, which must hold `caller`'s code, and
        overrides of the block.
        """
        parameters = changes or [{caller: {"code": rehearsal_code()}}]
        reply = await self._ask("eth_call", [_call(caller, "look", registration), "latest", *parameters])
        found = _decoded((_READING,), reply)
        return None if found is None else _reading(found[0])

    async def act_and_undo(
        self, registration: Sequence[object], caller: str, *, at_s: int, lasts_s: int
    ) -> tuple[Way, Trial, Trial | None]:
        """Try the call and then the undo, `lasts_s` seconds later where that can be had.

        `at_s` is the newest block's time. The undo is None where the endpoint cannot simulate it.

        Raises:
            EndpointUnavailable: no usable answer.
        """
        names = ("protect", "undo")
        if self._best is Way.BLOCKS:
            later = at_s + lasts_s + LATER_S
            both = await self._blocks([_call(caller, name, registration) for name in names], caller, later)
            if both is not None:
                return Way.BLOCKS, both[0], both[1]
        if self._best >= Way.OVERRIDE:
            found = await self._override(_call(caller, "both", registration), caller, 2)
            if found is not None:
                return Way.OVERRIDE, found[0], found[1]
        return Way.PLAIN, await self._plain(act_fields(registration), caller), None

    async def undo_and_again(
        self, registration: Sequence[object], caller: str, *, at_s: int, lasts_s: int
    ) -> tuple[Trial, Trial] | None:
        """As `act_and_undo`, for an act in force: undone first. None where the endpoint has no blocks."""
        if self._best is not Way.BLOCKS:
            return None
        calls = [_call(caller, "undoWith", registration, 0)]
        calls += [_call(caller, name, registration) for name in ("protect", "undo")]
        found = await self._blocks(calls, caller, at_s + lasts_s + LATER_S)
        return None if found is None else (found[1], found[2])

    async def undo(
        self, registration: Sequence[object], caller: str, restore: int, at_s: int
    ) -> Trial | None:
        """Try the undo of an open record at the time `at_s`; None where the endpoint cannot simulate it."""
        call = _call(caller, "undoWith", registration, restore)
        if self._best is Way.BLOCKS:
            found = await self._blocks([call], caller, at_s)
            if found is not None:
                return found[0]
        if self._best >= Way.OVERRIDE:
            found = await self._override(call, caller, 1)
            if found is not None:
                return found[0]
        return None

    # ---- the ways

    async def _blocks(
        self, calls: Sequence[dict[str, object]], caller: str, later_s: int
    ) -> list[Trial] | None:
        """Each call in a block of its own, the last one at `later_s`."""
        blocks: list[dict[str, object]] = [{"calls": [call]} for call in calls]
        blocks[0]["stateOverrides"] = {caller: {"code": rehearsal_code()}}
        blocks[-1]["blockOverrides"] = {"time": hex(later_s)}
        reply = await self._ask(
            "eth_simulateV1", [{"blockStateCalls": blocks, "validation": False}, "latest"], Way.BLOCKS
        )
        if reply is None:
            return None
        trials: list[Trial] = []
        try:
            for block in shapes.sequence(reply)[: len(calls)]:
                (result,) = shapes.sequence(shapes.mapping(block).get("calls"))
                trials.append(_trial_of(result))
        except ValueError:
            return None
        return trials if len(trials) == len(calls) else None

    async def _override(self, call: dict[str, object], caller: str, trials: int) -> list[Trial] | None:
        parameters = [call, "latest", {caller: {"code": rehearsal_code()}}]
        # Without the override, what stands at the address is run: nothing, or a gateway without such a call.
        found = _decoded((_TRIAL,) * trials, await self._ask("eth_call", parameters, Way.OVERRIDE))
        return None if found is None else [_trial(each) for each in found]

    async def _plain(self, act: ActFields, caller: str) -> Trial:
        gas = min(act.gas_cap + INTRINSIC_GAS + _GAS_PER_BYTE * len(act.call), CALL_GAS)
        requests = [
            Request("eth_call", [_read_call(act, caller), "latest"]),
            Request(
                "eth_call",
                [
                    {"from": caller, "to": act.target, "data": "0x" + act.call.hex(), "gas": hex(gas)},
                    "latest",
                ],
            ),
        ]
        state, called = await self._rpc.replies(requests)
        return Trial(_plain_reading(self._rpc, state, act.state_word), _plain_deed(self._rpc, called), None)

    async def _ask(self, method: str, parameters: Sequence[object], way: Way = Way.PLAIN) -> object:
        """The result; None for an error, which is remembered where it says that the way is not offered."""
        (reply,) = await self._rpc.replies([Request(method, parameters)])
        if not isinstance(reply, RpcError):
            return reply
        if reply.code in _NOT_OFFERED and way is not Way.PLAIN:
            self._best = min(self._best, Way(way - 1))
        return None


def _call(caller: str, name: str, registration: Sequence[object], *more: int) -> dict[str, object]:
    types = (_ACT, *("uint256" for _ in more))
    data = selector(name, types) + encode(types, [tuple(registration), *more])
    gas = max(CALL_GAS, 2 * act_fields(registration).gas_cap + (1 << 22)) if name == "both" else CALL_GAS
    return {"from": SENDER, "to": caller, "data": "0x" + data.hex(), "gas": hex(gas)}


def _read_call(act: ActFields, caller: str) -> dict[str, object]:
    data = "0x" + act.state_call.hex()
    return {"from": caller, "to": act.state_target, "data": data, "gas": hex(CALL_GAS)}


def _trial_of(call: object) -> Trial:
    entry = shapes.mapping(call)
    found = _decoded((_TRIAL,), entry.get("returnData"))
    if found is None or entry.get("status") != "0x1":
        raise ValueError("the simulation itself failed")
    return _trial(found[0])


def _decoded(types: Sequence[str], reply: object) -> tuple[object, ...] | None:
    try:
        found: tuple[object, ...] = decode(types, shapes.octets(reply))
    except (ValueError, OverflowError, DecodingError):
        return None
    return found


def _trial(value: object) -> Trial:
    assert isinstance(value, tuple)
    before, (succeeded, gas_used, answer), reached = value
    return Trial(_reading(before), Deed(succeeded, gas_used, answer), _reading(reached))


def _reading(value: object) -> Reading:
    assert isinstance(value, tuple)
    return Reading(*value)


def _plain_reading(rpc: Rpc, reply: object, word: int) -> Reading:
    if isinstance(reply, RpcError):
        if not is_fault(reply):
            raise rpc.unavailable(f"eth_call: {reply.text}")
        return Reading(answered=False, value=0, gas_used=0)
    try:
        content = shapes.octets(reply)[32 * word : 32 * word + 32]
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None
    return Reading(len(content) == 32, int.from_bytes(content, "big"), 0)


def _plain_deed(rpc: Rpc, reply: object) -> Deed:
    if not isinstance(reply, RpcError):
        return Deed(succeeded=True, gas_used=0, answer=b"")
    if not is_fault(reply):
        raise rpc.unavailable(f"eth_call: {reply.text}")
    data = reply.data.get("data") if isinstance(reply.data, dict) else reply.data
    try:
        answer = shapes.octets(data)
    except ValueError:
        answer = b""
    return Deed(succeeded=False, gas_used=0, answer=answer, text=reply.text)
