"""Names for the kinds of bytes and integers that could be confused with each other."""

from typing import NewType

__all__ = [
    "ActHash",
    "ActId",
    "Address",
    "Caip2",
    "DecisionId",
    "Digest",
    "Gateway",
    "Identity",
    "Millis",
    "NetworkId",
    "PlanHash",
    "Seconds",
]

Digest = NewType("Digest", bytes)
"""32 bytes: SHA-256 or Keccak-256 of something."""
NetworkId = NewType("NetworkId", bytes)
"""32 bytes: hash of the genesis committee document (core SPEC 2.2)."""
Identity = NewType("Identity", bytes)
"""32 bytes: a member's Ed25519 identity key."""
Address = NewType("Address", bytes)
"""20 bytes: of a secp256k1 key, as Ethereum derives it."""
PlanHash = NewType("PlanHash", bytes)
DecisionId = NewType("DecisionId", bytes)
Gateway = NewType("Gateway", bytes)
"""32 bytes: a gateway's address on its chain, padded with zeros on the left (core SPEC 1.3)."""
ActId = NewType("ActId", bytes)
ActHash = NewType("ActHash", bytes)
Caip2 = NewType("Caip2", str)
"""A chain, for example `eip155:1`."""
Millis = NewType("Millis", int)
"""Milliseconds since the epoch of the author's own clock: self-asserted."""
Seconds = NewType("Seconds", int)
