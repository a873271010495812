"""The next keys of a verifier, and the call that announces them (threshold SPEC 1.2, 5).

Times are whole seconds of the chain's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proofs.hashes import keccak256
from proofs.mandate import typed_digest
from relay.core.types import Address, Caip2, Digest, Gateway, NetworkId

ROTATION_TYPE: Final = keccak256(
    b"Rotation(bytes32 network,uint256 chainId,address verifier,uint32 newEpoch,bytes32 attestersHash,"
    b"bytes32 groupsHash,uint8 fast,uint8 full,uint64 notBefore,uint64 notAfter,bool revokePrevious)"
)
WORDS: Final = 11
STRUCT_BYTES: Final = 32 * WORDS


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One tier's group key (33 bytes, compressed) and its possession: a certificate of kind 0x02 by that
    key over its `KeyProof` (97 bytes).
    """

    key: bytes
    possession: bytes


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The group keys of both tiers of one key epoch."""

    fast: GroupKey
    full: GroupKey

    @property
    def keys(self) -> tuple[bytes, bytes]:
        """The bare keys, fast and full: what a rotation is signed over."""
        return self.fast.key, self.full.key


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a full quorum of the key epoch in force signs for one verifier of one chain.

    `verifier` is 32 bytes, as gateways are. `attesters` ascend. `groups` are the compressed keys of fast and
    full, None where the new epoch has none.
    """

    chain: Caip2
    verifier: Gateway
    network: NetworkId
    new_epoch: int
    attesters: tuple[Address, ...]
    groups: tuple[bytes, bytes] | None
    fast: int
    full: int
    not_before: int
    not_after: int
    revoke_previous: bool


@dataclass(frozen=True, slots=True)
class Rotate:
    """Announce the next key epoch at one verifier; by anybody.

    `groups` are the rotation's keys with their possession, None where it has none. `certificate` is by a full
    quorum of the epoch in force, of either kind.
    """

    rotation: Rotation
    groups: GroupKeys | None
    certificate: bytes

    @property
    def chain(self) -> Caip2:
        return self.rotation.chain

    @property
    def gateway(self) -> Gateway:
        """The contract that is called."""
        return self.rotation.verifier


@dataclass(frozen=True, slots=True)
class RotationWords:
    """What a signer must know of the bytes of a rotation: for where and what it is, and when it is good."""

    network: bytes
    place: bytes
    """Chain and verifier: the second and third word."""
    new_epoch: int
    not_before: int
    not_after: int


def rotation_words(struct: bytes) -> RotationWords:
    """Read the bytes of a rotation, `STRUCT_BYTES` long.

    Raises:
        ValueError: they are of another length.
    """
    if len(struct) != STRUCT_BYTES:
        raise ValueError(f"expected {STRUCT_BYTES} bytes, got {len(struct)}")
    words = [struct[at : at + 32] for at in range(0, STRUCT_BYTES, 32)]
    new_epoch, not_before, not_after = (int.from_bytes(words[at], "big") for at in (3, 8, 9))
    return RotationWords(words[0], words[1] + words[2], new_epoch, not_before, not_after)


def struct_digest(struct: bytes) -> Digest:
    """Give what a full quorum signs: EIP-712 over the bytes of a rotation, in the domain of core SPEC 4.2."""
    return typed_digest(ROTATION_TYPE + struct)


@dataclass(frozen=True, slots=True)
class VerifierEpoch:
    """A key epoch at a verifier, accepted from `valid_from` to `valid_until`, both included.

    `attesters` ascend; `groups` are the compressed keys of fast and full, None where there are none.
    """

    key_epoch: int
    attesters: tuple[Address, ...]
    fast: int
    full: int
    groups: tuple[bytes, bytes] | None
    valid_from: int
    valid_until: int

    def accepts(self, at_s: int) -> bool:
        """Tell whether certificates of this epoch are taken at a time."""
        return self.valid_from <= at_s <= self.valid_until

    def has(self, rotation: Rotation) -> bool:
        """Tell whether these are the keys that a rotation announces."""
        ours = (self.key_epoch, self.attesters, self.fast, self.full, self.groups)
        return ours == (
            rotation.new_epoch,
            rotation.attesters,
            rotation.fast,
            rotation.full,
            rotation.groups,
        )


@dataclass(frozen=True, slots=True)
class VerifierState:
    """The verifier behind a gateway, as enough endpoints show it; no figure of it changes with time alone.

    `epochs` ascend without a gap up to the newest, which may only be announced. A rotation that lands at t
    is valid from t + `delay_s`, and the epoch before for `overlap_s` longer.
    """

    chain: Caip2
    verifier: Gateway
    network: NetworkId
    delay_s: int
    overlap_s: int
    epochs: tuple[VerifierEpoch, ...]

    @property
    def newest(self) -> VerifierEpoch:
        """The newest epoch, in force or announced."""
        return self.epochs[-1]

    def epoch(self, key_epoch: int) -> VerifierEpoch | None:
        """Give a key epoch, if the verifier showed it."""
        return next((each for each in self.epochs if each.key_epoch == key_epoch), None)


__all__ = [
    "ROTATION_TYPE",
    "STRUCT_BYTES",
    "GroupKey",
    "GroupKeys",
    "Rotate",
    "Rotation",
    "RotationWords",
    "VerifierEpoch",
    "VerifierState",
    "rotation_words",
    "struct_digest",
]
