"""What became of an announced rotation: the verifier's word on it, and whether it already has these keys."""

from __future__ import annotations

from adapters.evm.crowd import Crowd
from adapters.evm.rotations import rotation_digest
from adapters.evm.rpc import Rpc
from adapters.evm.verifiers import read_epoch
from proofs.hashes import keccak256
from relay.core.rotations import Rotate

ROTATION_SCHEDULED = keccak256(b"RotationScheduled(uint32,bytes32,uint64,bool)")


def scheduled_topics(call: Rotate) -> tuple[bytes, ...]:
    """The topics of the event by which the verifier announces this very rotation."""
    epoch = call.rotation.new_epoch.to_bytes(32, "big")
    return ROTATION_SCHEDULED, epoch, rotation_digest(call.rotation)


async def is_announced(crowd: Crowd, call: Rotate) -> bool:
    """Whether enough endpoints say that the verifier has these keys for the new epoch, in force or not."""

    async def ask(rpc: Rpc) -> bool:
        epoch = await read_epoch(rpc, call.gateway, call.rotation.new_epoch)
        return epoch is not None and epoch.has(call.rotation)

    has_keys, agreeing = await crowd.agreed(ask) or (False, 0)
    return has_keys and agreeing >= crowd.need


__all__ = ["ROTATION_SCHEDULED", "is_announced", "scheduled_topics"]
