"""An act as its gateway holds it, in words: who is called with what, what is read, how it is undone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from eth_utils.address import to_checksum_address

from adapters.evm.abi import head_words, is_dynamic
from adapters.evm.encode import ACT_TYPES, COMPARE, UNDO_CALL, UNDO_NONE, UNDO_RESTORE, act_hash
from adapters.evm.functions import parse_function
from adapters.evm.office import fields
from adapters.evm.office.contract import Function, Slot, gateway
from relay.core.gateway_report import ActTerms, UndoKind
from relay.core.ports import EncodedAct

MAX_SHOWN_BYTES = 64
"""Of one argument."""
MAX_SHOWN_ITEMS = 16
_COMPARE = {number: text for text, number in COMPARE.items()}
_UNDO = {UNDO_NONE: UndoKind.NONE, UNDO_CALL: UndoKind.CALL, UNDO_RESTORE: UndoKind.RESTORE}
_KNOWN = (
    "pause()", "unpause()", "paused()", "setPaused(bool)", "pause(address)", "unpause(address)",
    "paused(address)", "pauseFor(uint256)", "pauseUntil(uint256)", "resume()", "isPaused()",
    "setTargetClosed(address,bool)", "isTargetClosed(address)", "seal(address[])",
    "setReservePause(address,bool)", "setReserveFreeze(address,bool)", "setPoolPause(bool)",
    "setSupplyCap(address,uint256)", "setBorrowCap(address,uint256)", "getPaused(address)",
    "getReserveCaps(address)", "getConfiguration(address)", "setReserveLtvzero(address,bool)",
    "pause(bool,bool,bool,bool,bool)", "deactivateCollateral(uint24)", "activateCollateral(uint24)",
    "isSupplyPaused()", "isWithdrawPaused()", "_setCollateralFactor(address,uint256)", "markets(address)",
    "_setMintPaused(address,bool)", "_setBorrowPaused(address,bool)", "mintGuardianPaused(address)",
    "borrowGuardianPaused(address)", "curse(bytes16)", "uncurse(bytes16)", "isCursed(bytes16)",
    "execTransactionFromModule(address,uint256,bytes,uint8)", "setCap(uint256)", "cap()",
    "setCollateralEnabled(address,bool)", "collateralEnabled(address)", "freeze()", "unfreeze()", "frozen()",
    "setRateLimit(uint256)", "rateLimit()", "setAssetSources(address[],address[])",
    "getSourceOfAsset(address)", "configureReserveAsCollateral(address,uint256,uint256,uint256)",
    "getReserveConfigurationData(address)", "setReserveBorrowing(address,bool)",
    "setGracePeriod(uint256)", "getGracePeriod()",
    "_setActionsPaused(address[],uint8[],bool)", "actionPaused(address,uint8)", "upgradeTo(address)",
    "upgradeToAndCall(address,bytes)", "implementation()",
)  # fmt: skip
"""Protective calls and getters that contracts in the field have."""


def address_text(address: bytes | str) -> str:
    """The EIP-55 spelling."""
    return str(to_checksum_address(address))


@functools.cache
def _known_functions() -> Mapping[bytes, Function]:
    found: dict[bytes, Function] = {}
    for text in _KNOWN:
        signature = parse_function(text)
        inputs = tuple(Slot("", type_, type_, ()) for type_ in signature.inputs)
        function = Function(signature.name, inputs, ())
        found[function.selector] = function
    return found


def call_words(data: bytes, hole: int | None = None) -> str:
    """A call as a plan writes it, `_` for the word at byte `hole`; of an unknown one what can be said."""
    function = _known_functions().get(data[:4])
    arguments = None if function is None else function.arguments(data)
    place = None if function is None or hole is None else _place(function, hole)
    if function is None or arguments is None or (hole is not None and place is None):
        into = "" if hole is None else f", the old value at byte {hole}"
        return f"0x{data[:4].hex()} with {max(len(data) - 4, 0)} bytes of arguments{into}"
    parts = [
        f"{slot.type} {'_' if number == place else _argument(slot.type, value)}"
        for number, (slot, value) in enumerate(zip(function.inputs, arguments.values(), strict=True))
    ]
    return f"{function.name}({', '.join(parts)})"


def _place(function: Function, hole: int) -> int | None:
    """Which argument the word at byte `hole` of the calldata is."""
    offset = 4
    for number, slot in enumerate(function.inputs):
        if offset == hole and not is_dynamic(slot.type):
            return number
        offset += 32 * head_words(slot.type)
    return None


def _argument(type_: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        clipped = value[:MAX_SHOWN_BYTES]
        return f"0x{clipped.hex()}" + (f"… ({len(value)} bytes)" if len(value) > len(clipped) else "")
    if isinstance(value, tuple):
        element = type_.rpartition("[")[0]
        parts = [_argument(element, each) for each in value[:MAX_SHOWN_ITEMS]]
        return f"[{', '.join(parts)}" + (f", … ({len(value)})]" if len(value) > len(parts) else "]")
    if isinstance(value, str):
        return address_text(value) if type_ == "address" else json.dumps(value[:MAX_SHOWN_BYTES])
    return str(value)


def act_terms(act: Mapping[str, object]) -> ActTerms | None:
    """The fields of the gateway's `Act`, or None where one is out of its range."""
    compare, undo = fields.whole(act, "compare"), fields.whole(act, "undo")
    if compare not in _COMPARE or undo not in _UNDO:
        return None
    state_target, state_call = fields.text(act, "stateTarget"), fields.octets(act, "stateCall")
    word = fields.whole(act, "stateWord")
    hole = fields.whole(act, "restoreAt") if undo == UNDO_RESTORE else None
    target = fields.text(act, "target")
    read = call_words(state_call)
    return ActTerms(
        target=address_text(target),
        call=call_words(fields.octets(act, "call")),
        state=read if state_target == target else f"{read} of {address_text(state_target)}",
        state_word=word,
        getter=f"{state_target}:{state_call.hex()}:{word}",
        value=fields.whole(act, "value"),
        compare=_COMPARE[compare],
        undo=_UNDO[undo],
        undo_call="" if undo == UNDO_NONE else call_words(fields.octets(act, "undoCall"), hole),
        gas=fields.whole(act, "gasCap"),
    )


def registered_hash(act: Mapping[str, object]) -> bytes:
    """The hash that belongs to these fields (core SPEC 4.4)."""
    return act_hash(tuple(act.values()))


def terms_of(encoded: EncodedAct) -> ActTerms:
    """The same of an act that a plan has: its registration read as the gateway would read it."""
    names = [field.name for field in gateway().functions["act"].outputs[0].fields]
    values = [_plain(type_, value) for type_, value in zip(ACT_TYPES, encoded.registration, strict=True)]
    terms = act_terms(dict(zip(names, values, strict=True)))
    assert terms is not None, "an encoded act is in range"
    return terms


def _plain(type_: str, value: object) -> object:
    return "0x" + value.hex() if type_ == "address" and isinstance(value, bytes) else value


__all__ = ["act_terms", "address_text", "call_words", "registered_hash", "terms_of"]
