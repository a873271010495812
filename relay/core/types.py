"""The values of the protocol: what has one of these types is already checked (SPEC 1.3)."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.decision import BlockRef
from proofs.kinds import (
    ActHash,
    ActId,
    Address,
    Caip2,
    DecisionId,
    Digest,
    Gateway,
    Identity,
    Millis,
    NetworkId,
    PlanHash,
    Seconds,
)

MandateDigest = Digest
"""32 bytes: the EIP-712 digest that a certificate signs (SPEC 4.2)."""
EnvelopeDigest = Digest
"""32 bytes: SHA-256 of an envelope (SPEC 1.2)."""


@dataclass(frozen=True, slots=True)
class Header:
    """A block and the one it stands on."""

    block: BlockRef
    parent: bytes


__all__ = [
    "ActHash",
    "ActId",
    "Address",
    "BlockRef",
    "Caip2",
    "DecisionId",
    "Digest",
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
