"""The next keys of a verifier, and the call that announces them (threshold SPEC 1.2, 5).

Times are whole seconds of the chain's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.types import Address, Caip2, Gateway, NetworkId


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


__all__ = ["GroupKey", "GroupKeys", "Rotate", "Rotation"]
