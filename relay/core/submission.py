"""Who submits, and when (SPEC 6.6): in an order that all know, so that one sends and the others wait."""

from __future__ import annotations

from collections.abc import Iterable

from proofs.hashes import tagged
from relay.core.types import Caip2, Identity

__all__ = ["MIN_STAGGER_MS", "rank", "stagger_ms"]

MIN_STAGGER_MS = 2_000


def rank(subject: bytes, chain: Caip2, members: Iterable[Identity], me: Identity) -> int:
    """Give the place of `me` in the order on `chain` for `subject`: a decision id, or an act that is over."""
    mine = _ticket(subject, chain, me)
    return sum(1 for identity in members if _ticket(subject, chain, identity) < mine)


def stagger_ms(block_time_ms: int) -> int:
    """Give how long each place in the order waits for the one before it."""
    return max(MIN_STAGGER_MS, block_time_ms)


def _ticket(subject: bytes, chain: Caip2, identity: Identity) -> bytes:
    return tagged("tocsin/submitter/1", subject + chain.encode() + identity)
