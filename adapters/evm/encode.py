"""Acts as a gateway knows them, and the calldata of its calls (core SPEC 4.2 to 4.4). Pure."""

from __future__ import annotations

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from adapters.evm.abi import EncodedCall, parse_address, parse_call, selector
from adapters.evm.rotations import rotate_calldata
from proofs.hashes import keccak256
from relay.core.errors import PlanError
from relay.core.ports import ActText, AnchorLog, EncodedAct, Execute, Expire, GatewayCall
from relay.core.rotations import Rotate
from relay.core.types import ActId, Gateway

COMPARE = {"=": 0, "<=": 1, ">=": 2}
UNDO_NONE, UNDO_CALL, UNDO_RESTORE = 0, 1, 2
MAX_GAS_CAP = 15_000_000
MAX_STATE_WORD = 255
MAX_CALLDATA = 8_192
MAX_NAME_BYTES = 64

ACT_TYPES = (
    "address", "bytes", "address", "bytes", "uint8", "uint256", "uint8", "uint8", "bytes", "uint16", "uint64",
)  # fmt: skip
"""The fields of the gateway's `Act`, in order: what `EncodedAct.registration` holds."""
_MANDATE = "(bytes32,uint32,uint8,bytes32,uint8,bytes32,bytes32,uint64,uint64)"
_EXECUTE = (_MANDATE, "bytes32", "uint64", "bytes32[]", "bytes")
EXECUTE_SELECTOR = selector("execute", _EXECUTE)
EXPIRE_SELECTOR = selector("expire", ("bytes32",))
_ANCHOR = ("bytes32", "bytes32", "uint64", "bytes32")
ANCHOR_SELECTOR = selector("anchorLog", _ANCHOR)
NOOP_ANSWER = bytes(32)
"""What the gateway's `execute` returns where it recorded nothing (`Result.NOOP`)."""


def gateway_of(text: str, where: str = "gateway") -> Gateway:
    """An address as 32 bytes (SPEC 1.3)."""
    return Gateway(parse_address(text, where).rjust(32, b"\0"))


def address_text(gateway: Gateway) -> str:
    """The address of a gateway on this kind of chain, lower-case 0x hex."""
    return "0x" + gateway[12:].hex()


def encode_act(act: ActText) -> EncodedAct:
    """Read, check and encode an act (SPEC 4.4); `registration` has the fields of `ACT_TYPES`.

    Raises:
        PlanError: with the key of the act at fault.
    """
    where = f"acts.{act.name}"
    if not 0 < len(act.name.encode()) <= MAX_NAME_BYTES:
        raise PlanError(where, f"expected a name of 1 to {MAX_NAME_BYTES} bytes")
    target = parse_address(act.target, f"{where}.target")
    state_target = (
        parse_address(act.state_target, f"{where}.state_target") if act.state_target is not None else target
    )
    state = parse_call(act.state, f"{where}.state")
    call = parse_call(act.call, f"{where}.call")
    undo, undo_call = _undo(act, where)
    registration = (
        target,
        _bounded(call, f"{where}.call"),
        state_target,
        _bounded(state, f"{where}.state"),
        _within("state_word", act.state_word, MAX_STATE_WORD, where),
        _within("value", int(act.value), (1 << 256) - 1, where),
        _compare(act, where),
        undo,
        _bounded(undo_call, f"{where}.undo"),
        _within("restore", undo_call.placeholder or 0, (1 << 16) - 1, where),
        _within("gas", act.gas, MAX_GAS_CAP, where, least=1),
    )
    return EncodedAct(
        gateway=gateway_of(act.gateway, f"{where}.gateway"),
        act_id=act_id(act.name),
        act_hash=act_hash(registration),
        registration=registration,
    )


def act_id(name: str) -> ActId:
    """`K(name)` (SPEC 1.3)."""
    return ActId(keccak256(name.encode()))


def act_hash(registration: tuple[object, ...]) -> bytes:
    """The hash of an act's fields, in the order of `ACT_TYPES` (SPEC 4.4)."""
    hashed = [keccak256(field) if type_ == "bytes" and isinstance(field, bytes) else field
              for type_, field in zip(ACT_TYPES, registration, strict=True)]  # fmt: skip
    types = ["bytes32" if type_ == "bytes" else type_ for type_ in ACT_TYPES]
    return keccak256(encode(types, hashed))


def _undo(act: ActText, where: str) -> tuple[int, EncodedCall]:
    if act.undo is not None and act.restore is not None:
        raise PlanError(f"{where}.restore", "expected `undo` or `restore`, got both")
    if act.undo is not None:
        return UNDO_CALL, parse_call(act.undo, f"{where}.undo")
    if act.restore is not None:
        return UNDO_RESTORE, parse_call(act.restore, f"{where}.restore", template=True)
    return UNDO_NONE, EncodedCall(b"", None)


def _compare(act: ActText, where: str) -> int:
    if act.compare not in COMPARE:
        raise PlanError(f"{where}.compare", f"expected one of {', '.join(COMPARE)}, got {act.compare!r}")
    return COMPARE[act.compare]


def _within(key: str, value: int, most: int, where: str, *, least: int = 0) -> int:
    if not least <= value <= most:
        raise PlanError(f"{where}.{key}", f"expected {least} to {most}, got {value}")
    return value


def _bounded(call: EncodedCall, where: str) -> bytes:
    if len(call.calldata) > MAX_CALLDATA:
        raise PlanError(where, f"expected at most {MAX_CALLDATA} bytes of calldata, got {len(call.calldata)}")
    return call.calldata


def gateway_calldata(call: GatewayCall) -> bytes:
    """`execute(Mandate,bytes32,uint64,bytes32[],bytes)`, `expire`, `anchorLog` or `rotate`."""
    match call:
        case Rotate():
            return rotate_calldata(call)
        case AnchorLog():
            return ANCHOR_SELECTOR + encode(_ANCHOR, (call.incident_id, call.origin, call.size, call.root))
        case Expire():
            return EXPIRE_SELECTOR + call.act_id
        case Execute():
            m = call.mandate
            issued = (m.network, m.key_epoch, int(m.tier), m.plan_hash)
            mandate = (*issued, int(m.op), m.decision_id, m.acts_root, m.not_before, m.not_after)
            values = (mandate, call.act_id, call.duration_s, list(call.proof), call.certificate)
            return EXECUTE_SELECTOR + encode(_EXECUTE, values)


def sent_certificate(calldata: bytes) -> bytes | None:
    """The certificate in the calldata of an `execute`, whoever sent it; None for any other call."""
    if calldata[:4] != EXECUTE_SELECTOR:
        return None
    try:
        *_, certificate = decode(_EXECUTE, calldata[4:])
    except DecodingError:
        return None
    return bytes(certificate)


__all__ = [
    "ACT_TYPES",
    "ANCHOR_SELECTOR",
    "COMPARE",
    "EXECUTE_SELECTOR",
    "EXPIRE_SELECTOR",
    "MAX_GAS_CAP",
    "NOOP_ANSWER",
    "UNDO_CALL",
    "UNDO_NONE",
    "UNDO_RESTORE",
    "act_hash",
    "act_id",
    "address_text",
    "encode_act",
    "gateway_calldata",
    "gateway_of",
    "sent_certificate",
]
