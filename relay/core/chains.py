"""What chains show, on its way to rules, decisions and calls (SPEC 5, 6).

```
BlockObserved, ChainFinalized ▶ views ▶ rooms: edges ▶ book: proposals ▶ released, forgotten
  its gateways' events         ▶ landing ▶ outcomes ▶ once final, headers: SignStatement
ChainReorged                  ▶ views, rooms, book, landing go back ▶ the same again
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from relay.core.book import Book
from relay.core.effects import Changed, Effect, Facts, Notice, SignStatement
from relay.core.events import BlockObserved
from relay.core.finals import Finals
from relay.core.hearing import Hearing
from relay.core.landing import Landing
from relay.core.messages import Outcome
from relay.core.observations import GatewayEvent
from relay.core.outcomes import Outcomes
from relay.core.releasing import absences, release, wait_anew
from relay.core.room import Room
from relay.core.signing import Signing
from relay.core.types import BlockRef, Caip2, DecisionId, Millis, PlanHash
from relay.core.view import ChainView, newest_times

__all__ = ["Chains"]


@dataclass(slots=True)
class Chains:
    """All chains of a node's plans, and who follows them; deterministic, fed by the node."""

    views: Mapping[Caip2, ChainView]
    rooms: Mapping[PlanHash, Room]
    book: Book
    landing: Landing
    hearing: Hearing
    signing: Signing
    edges: dict[tuple[PlanHash, str], int] = field(default_factory=dict)
    """Edges seen per rule, also those that were over when they were seen."""
    _at_start_s: Mapping[str, int] = field(default_factory=dict)
    """Each chain's newest time when this process began."""
    _outcomes: Outcomes = field(init=False)
    _finals: Finals = field(init=False)

    def __post_init__(self) -> None:
        self._outcomes = Outcomes(self.views)
        self._finals = Finals(self.views)

    def started(self) -> None:
        """Begin a run: what others said meanwhile is on its way, and our heads may be of long ago."""
        self._at_start_s = newest_times(self.views)
        wait_anew(self.book.entries.values())

    def observed(self, event: BlockObserved, now_ms: Millis) -> list[Effect]:
        """Take the next block of a chain."""
        block = event.reads.header.block
        self.views[block.chain].observe(event)
        effects: list[Effect] = []
        for gateway_event in event.reads.gateway_events:
            effects += self._landed(gateway_event, block)
        effects += self._progress()
        for room in self.rooms.values():
            effects += self.landing.look_for_expired(room.compiled, block.chain, now_ms)
        return effects

    def finalized(self, block: BlockRef) -> list[Effect]:
        """Take a block and all before it as final."""
        self.views[block.chain].finalize(block)
        return self._progress()

    def reorged(self, chain: Caip2, ancestor: BlockRef, now_ms: Millis) -> list[Effect]:
        """Go back to `ancestor`: the blocks after it have left the chain."""
        removed = self.views[chain].rollback(ancestor)
        for room in self.rooms.values():
            room.rollback(ancestor)
        effects = self.book.removed(removed, self.landing.has_any_effect)
        self.landing.removed(removed, now_ms)
        effects.append(Notice("chain reorganised", {"chain": chain, "blocks": len(removed)}))
        return [*effects, *self._progress()]

    def _landed(self, event: GatewayEvent, block: BlockRef) -> list[Effect]:
        if event.decision_id is None:
            # The end of a record names the mandate only.
            event = replace(event, decision_id=self.book.entries.id_of_mandate(event.mandate))
        entry = self.book.entries.entry_of(event.decision_id) if event.decision_id is not None else None
        self.landing.needs.observed(event, block, entry.tally.prepared if entry is not None else None)
        outcome = self._outcomes.of(event, block)
        if outcome is None:
            return []
        if not self._is_ours(outcome.decision_id):
            self._outcomes.wait(outcome)
            return []
        return self._tell(outcome)

    def _tell(self, outcome: Outcome) -> list[Effect]:
        self._finals.saw(outcome)
        return [SignStatement(outcome), Changed(outcome.decision_id)]

    def _is_ours(self, decision: DecisionId) -> bool:
        """Tell whether a word of ours on a decision is taken: by others, and into our own log."""
        return self.book.concerns(self.book.me, decision)

    def _progress(self) -> list[Effect]:
        """Evaluate what has become readable, propose what is due, release and forget what is over."""
        effects: list[Effect] = []
        for plan_hash, room in self.rooms.items():
            for edge in room.advance():
                counted = (plan_hash, edge.rule)
                self.edges[counted] = self.edges.get(counted, 0) + 1
                seen: Facts = {
                    "plan": room.compiled.plan.protocol,
                    "rule": edge.rule,
                    "block": edge.block.number,
                }
                effects.append(Notice("rule edge", seen))
        effects += self.book.propose_due()
        now_s = newest_times(self.views)
        effects += self.book.abstain_overdue(now_s)
        effects += release(self.book.entries.values(), now_s, self.landing.is_spent)
        fresh_s = {chain: at_s for chain, at_s in now_s.items() if at_s > self._at_start_s.get(chain, -1)}
        effects += absences(self.book, fresh_s, self.landing.is_spent)
        for outcome in self._outcomes.due(self._is_ours):
            effects += self._tell(outcome)
        effects += [
            SignStatement(header) for header in self._finals.due() if self._is_ours(header.decision_id)
        ]
        self.book.forget(now_s)
        self.signing.keep(self.book.entries.open_mandates(now_s))
        self.hearing.keep()
        return effects
