"""What became of an announced rotation: the verifier's word on it, and whether it already has these keys."""

from __future__ import annotations

from adapters.evm import shapes
from adapters.evm.crowd import Crowd
from adapters.evm.encode import address_text
from adapters.evm.office.contract import verifier
from adapters.evm.office.fields import items, struct, whole
from adapters.evm.reads import is_fault
from adapters.evm.rotations import rotation_digest
from adapters.evm.rpc import Request, Rpc, RpcError
from proofs.hashes import keccak256
from relay.core.rotations import Rotate, Rotation

ROTATION_SCHEDULED = keccak256(b"RotationScheduled(uint32,bytes32,uint64,bool)")


def scheduled_topics(call: Rotate) -> tuple[bytes, ...]:
    """The topics of the event by which the verifier announces this very rotation."""
    epoch = call.rotation.new_epoch.to_bytes(32, "big")
    return ROTATION_SCHEDULED, epoch, rotation_digest(call.rotation)


async def is_announced(crowd: Crowd, call: Rotate) -> bool:
    """Whether enough endpoints say that the verifier has these keys for the new epoch, in force or not."""
    data = verifier().functions["epochKeys"].call(call.rotation.new_epoch)
    answer, agreeing = await crowd.agreed(lambda rpc: _ask(rpc, call, data)) or (b"", 0)
    return agreeing >= crowd.need and _has_keys(answer, call.rotation)


async def _ask(rpc: Rpc, call: Rotate, data: bytes) -> bytes:
    question = {"to": address_text(call.gateway), "data": "0x" + data.hex()}
    (reply,) = await rpc.replies([Request("eth_call", [question, "latest"])])
    if isinstance(reply, RpcError):
        if is_fault(reply):
            return b""
        raise rpc.unavailable(reply.text)
    try:
        return shapes.octets(reply)
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


def _has_keys(answer: bytes, rotation: Rotation) -> bool:
    told = verifier().functions["epochKeys"].answer(answer)
    if told is None:
        return False
    keys = struct(told, "keys")
    attesters = tuple(bytes.fromhex(str(each).removeprefix("0x")) for each in items(told, "attesters"))
    points = (
        bytes([whole(keys, f"frost{tier}Parity")]) + whole(keys, f"frost{tier}").to_bytes(32, "big")
        for tier in ("Fast", "Full")
    )
    return (
        attesters == rotation.attesters
        and (whole(keys, "fast"), whole(keys, "full")) == (rotation.fast, rotation.full)
        and tuple(points) == (rotation.groups or (bytes(33), bytes(33)))
    )


__all__ = ["ROTATION_SCHEDULED", "is_announced", "scheduled_topics"]
