"""Rotations as a verifier knows them: what is signed, and the calldata that announces it. Pure.

(Threshold SPEC 1.2 and 5, GATEWAY.md 7.)
"""

from __future__ import annotations

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError

from adapters.evm.abi import selector
from proofs.hashes import keccak256
from relay.core.errors import ConfigError
from relay.core.rotations import ROTATION_TYPE, GroupKey, GroupKeys, Rotate, Rotation, struct_digest

KEY_BYTES = 33
ROTATION_FIELDS = (
    "bytes32", "uint256", "address", "uint32", "bytes32", "bytes32", "uint8", "uint8",
    "uint64", "uint64", "bool",
)  # fmt: skip
_GROUP = "(uint256,uint8,bytes)"
GROUPS = f"({_GROUP},{_GROUP})"
"""The contracts' `GroupKeys`."""
_ROTATE = (f"({','.join(ROTATION_FIELDS)})", "address[]", GROUPS, "bytes")
ROTATE_SELECTOR = selector("rotate", _ROTATE)
NO_GROUPS = ((0, 0, b""), (0, 0, b""))


def groups_hash(keys: tuple[bytes, bytes] | None) -> bytes:
    """Keccak-256 of both compressed keys, fast then full; of zeros where there are none."""
    fast, full = keys or (bytes(KEY_BYTES), bytes(KEY_BYTES))
    if len(fast) != KEY_BYTES or len(full) != KEY_BYTES:
        raise ConfigError("groups", f"expected keys of {KEY_BYTES} bytes, got {len(fast)} and {len(full)}")
    return keccak256(fast + full)


def groups_values(groups: GroupKeys | None) -> tuple[tuple[int, int, bytes], tuple[int, int, bytes]]:
    """The arguments of type `GROUPS`."""
    return NO_GROUPS if groups is None else (_group(groups.fast), _group(groups.full))


def _group(group: GroupKey) -> tuple[int, int, bytes]:
    return int.from_bytes(group.key[1:], "big"), group.key[0], group.possession


def rotation_struct(rotation: Rotation) -> bytes:
    """The eleven words of the contracts' `Rotation`: what a member sends beside its signature.

    Raises:
        ConfigError: a value that does not fit its type.
    """
    values = _rotation_values(rotation)
    try:
        return encode(ROTATION_FIELDS, values)
    except (EncodingError, OverflowError, ValueError) as error:
        raise ConfigError("rotation", f"expected values that fit their types, got: {error}") from error


def rotation_digest(rotation: Rotation) -> bytes:
    """What a full quorum signs (EIP-712, in the domain of core SPEC 4.2)."""
    return struct_digest(rotation_struct(rotation))


def rotate_calldata(call: Rotate) -> bytes:
    """Calldata of `rotate(Rotation,address[],GroupKeys,bytes)`."""
    attesters = ["0x" + attester.hex() for attester in call.rotation.attesters]
    values = (_rotation_values(call.rotation), attesters, groups_values(call.groups), call.certificate)
    return ROTATE_SELECTOR + encode(_ROTATE, values)


def _rotation_values(rotation: Rotation) -> tuple[object, ...]:
    return (
        rotation.network,
        int(rotation.chain.partition(":")[2]),
        "0x" + rotation.verifier[12:].hex(),
        rotation.new_epoch,
        keccak256(b"".join(rotation.attesters)),
        groups_hash(rotation.groups),
        rotation.fast,
        rotation.full,
        rotation.not_before,
        rotation.not_after,
        rotation.revoke_previous,
    )


__all__ = [
    "GROUPS",
    "NO_GROUPS",
    "ROTATE_SELECTOR",
    "ROTATION_FIELDS",
    "ROTATION_TYPE",
    "groups_hash",
    "groups_values",
    "rotate_calldata",
    "rotation_digest",
    "rotation_struct",
]
