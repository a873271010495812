"""Blocks in which we saw outcomes, until they are final and we say so (SPEC 3: `header`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.remarks import Header
from relay.core.messages import Outcome
from relay.core.types import Caip2
from relay.core.view import ChainView

__all__ = ["MAX_WAITING", "Finals"]

MAX_WAITING: Final = 65_536
"""On one chain; the oldest make room."""


@dataclass(slots=True)
class Finals:
    """What is to be said once its block is final, by chain; each word once, in the order of the outcomes."""

    views: Mapping[Caip2, ChainView]
    _waiting: dict[Caip2, dict[Header, None]] = field(default_factory=dict)

    def saw(self, outcome: Outcome) -> None:
        """Take note of an outcome that we tell of; one block is said once for each decision."""
        waiting = self._waiting.setdefault(outcome.chain, {})
        waiting[Header(outcome.decision_id, outcome.chain, outcome.block)] = None
        if len(waiting) > MAX_WAITING:
            del waiting[next(iter(waiting))]

    def due(self) -> list[Header]:
        """Give what has become final, and forget the blocks of branches that were dropped.

        A block that a re-org took out may come back: only finality tells which branch stays.
        """
        said: list[Header] = []
        for chain, waiting in self._waiting.items():
            view = self.views[chain]
            final = view.finalized
            # SECURITY: the final block itself must stand in our view, so that ours is the branch it ends.
            if not waiting or final is None or not view.contains(final.hash):
                continue
            reached = [header for header in waiting if header.block.number <= final.number]
            said += [header for header in reached if view.contains(header.block.hash)]
            for header in reached:
                del waiting[header]
        return said
