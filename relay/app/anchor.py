"""Putting our newest published checkpoint on a chain (core SPEC 7.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from proofs.hashes import sha256
from relay.core.effects import Anchor
from relay.core.events import AnchorEnded
from relay.core.ports import AnchorLog, Submission
from relay.journal import AuditLog

__all__ = ["anchor"]


async def anchor(
    effect: Anchor, audit: AuditLog, carry: Callable[[AnchorLog], Awaitable[Submission]]
) -> AnchorEnded:
    """Anchor the checkpoint that holds all of the incident's entries; nothing is sent while none does."""
    published, submission = audit.published, None
    if published is not None and await audit.covers(effect.entries, published.checkpoint.size):
        call = AnchorLog(
            chain=effect.chain,
            gateway=effect.gateway,
            incident_id=effect.incident_id,
            origin=sha256(published.checkpoint.origin.encode()),
            size=published.checkpoint.size,
            root=published.checkpoint.root,
        )
        submission = await carry(call)
    return AnchorEnded(effect.incident_id, effect.chain, effect.decisions, submission)
