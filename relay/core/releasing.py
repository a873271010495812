"""When the audit log may publish what was said of a decision (SPEC 7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from relay.core.decisions import Prepared
from relay.core.effects import Effect, Releasable
from relay.core.entries import Entry
from relay.core.types import Digest

__all__ = ["release"]


def release(
    entries: Iterable[Entry], now_s: Mapping[str, int], is_spent: Callable[[Prepared], bool]
) -> list[Effect]:
    """Release what was logged of decisions whose mandates can change nothing any more, once each.

    `now_s` gives each chain's newest time, `is_spent` tells of a mandate that was carried out.
    """
    digests: list[Digest] = []
    for entry in entries:
        if not entry.logged:
            continue
        prepared = entry.tally.prepared
        over = now_s.get(prepared.decision.anchor.chain, 0) > prepared.mandate.not_after
        # SECURITY: gateways know no anchors: a void decision's mandate stays usable until it is over.
        if over or is_spent(prepared):
            digests += sorted(entry.logged)
            entry.logged.clear()
    return [Releasable(tuple(digests))] if digests else []
