"""What we say of gateways' events, once each (SPEC 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relay.core.messages import MAX_TIME, Outcome
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind
from relay.core.types import BlockRef, Caip2, DecisionId
from relay.core.view import ChainView

__all__ = ["Outcomes"]

MAX_KNOWN: Final = 65_536
MAX_WAITING: Final = 4_096
"""Of decisions that are not known here; the oldest make room."""


@dataclass(slots=True)
class Outcomes:
    """Turns events into statements; the oldest known ones make room."""

    views: Mapping[Caip2, ChainView]
    _known: dict[tuple[bytes, int, bytes], None] = field(default_factory=dict)
    _waiting: dict[Outcome, None] = field(default_factory=dict)

    def of(self, event: GatewayEvent, block: BlockRef) -> Outcome | None:
        """Give what we say of an event, if it can be traced to a decision and is new to us."""
        outcome = self._outcome(event, block)
        known = (event.tx, event.log_index, block.hash)
        if outcome is None or known in self._known:
            return None
        self._known[known] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return outcome

    def wait(self, outcome: Outcome) -> None:
        """Keep what is not to be said before its decision is known: no log takes it sooner, ours included."""
        self._waiting[outcome] = None
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def due(self, is_known: Callable[[DecisionId], bool]) -> list[Outcome]:
        """Give, once, what waited for decisions that have become known."""
        due = [outcome for outcome in self._waiting if is_known(outcome.decision_id)]
        for outcome in due:
            del self._waiting[outcome]
        return due

    def _outcome(self, event: GatewayEvent, block: BlockRef) -> Outcome | None:
        decision_id, mandate = event.decision_id, event.mandate
        if decision_id is None:
            record = self.views[block.chain].last_record(event.gateway, event.act_id, block)
            if record is None:
                return None
            decision_id, mandate = record.decision_id, record.mandate
        if decision_id is None or mandate is None or max(event.until, event.ended_at) > MAX_TIME:
            return None
        ended = event.kind is GatewayEventKind.ENDED and event.how is not None
        return Outcome(
            decision_id=decision_id,
            mandate_digest=mandate,
            chain=block.chain,
            gateway=event.gateway,
            act_id=event.act_id,
            block=block,
            tx=event.tx,
            effect=(event.how or EndedHow.CLOSE).value if ended else event.kind.value,
            until=event.ended_at if ended else event.until,
            gas_used=event.gas_used,
        )
