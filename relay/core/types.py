"""The values of the protocol: what has one of these types is already checked (SPEC 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

Caip2 = NewType("Caip2", str)
"""A chain's name after CAIP-2, as `eip155:1`."""
Identity = NewType("Identity", bytes)
"""A member's Ed25519 public key, 32 bytes; also its libp2p identity."""
Address = NewType("Address", bytes)
"""The account of a secp256k1 key: the last 20 bytes of Keccak-256 of the public key."""
Gateway = NewType("Gateway", bytes)
"""A gateway's address, 32 bytes, padded with zeros on the left."""
NetworkId = NewType("NetworkId", bytes)
PlanHash = NewType("PlanHash", bytes)
DecisionId = NewType("DecisionId", bytes)
MandateDigest = NewType("MandateDigest", bytes)
EnvelopeDigest = NewType("EnvelopeDigest", bytes)
ActId = NewType("ActId", bytes)
Millis = NewType("Millis", int)
"""A member's own wall clock, milliseconds since 1970."""
Seconds = NewType("Seconds", int)
"""Chain time, or a span of it."""


@dataclass(frozen=True, slots=True, order=True)
class BlockRef:
    """One block of one chain (SPEC 1.3); `hash` is 32 bytes, `timestamp` in seconds of that chain."""

    chain: Caip2
    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Header:
    """A block and the one it stands on."""

    block: BlockRef
    parent: bytes


__all__ = [
    "ActId",
    "Address",
    "BlockRef",
    "Caip2",
    "DecisionId",
    "EnvelopeDigest",
    "Gateway",
    "Header",
    "Identity",
    "MandateDigest",
    "Millis",
    "NetworkId",
    "PlanHash",
    "Seconds",
]
