"""Which nonce a transaction takes, and which hole is in the way of those that wait. Pure."""

from __future__ import annotations

from collections.abc import Collection

MAX_SEARCHED = 10_000
MAX_HELD = 64
"""Others hold fewer nonces at once; an endpoint that alone tells of more is not believed."""
MAX_HOLES = 16
"""More holes below a transaction than this are not filled: it stands where a false count put it."""
NONCE_BITS = 52
"""No account comes near; an endpoint that tells of more is malformed."""


def free_nonce(taken: Collection[int], latest: int, pending: int) -> int:
    """The lowest nonce that neither we nor others hold.

    `latest` and `pending` are the account's counts at the chain: below `pending` every nonce is somebody's,
    ours or that of another process with this key.
    """
    first = pending if latest <= pending <= latest + MAX_HELD + len(taken) else latest
    for nonce in range(first, first + MAX_SEARCHED):
        if nonce not in taken:
            return nonce
    raise AssertionError("no free nonce: more transactions in flight than a node can have")


def holes(waiting: Collection[int], latest: int) -> tuple[int, ...]:
    """Nonces without a transaction of ours below one that waits: nothing above them can land."""
    highest = max(waiting, default=latest)
    return tuple(
        nonce for nonce in range(latest, min(highest, latest + MAX_SEARCHED)) if nonce not in waiting
    )


__all__ = ["MAX_HOLES", "NONCE_BITS", "free_nonce", "holes"]
