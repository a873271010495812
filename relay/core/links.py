"""Who follows whom: certified decisions of listened plans, and the links that wait to follow them (SPEC
5.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proofs.decision import BlockRef, Decision
from proofs.mandate import Op
from relay.core.decisions import LINK_PREFIX, Prepared, is_linked
from relay.core.evaluate import PeerFacts
from relay.core.plan import Plan
from relay.core.room import Parent, Room
from relay.core.types import DecisionId, PlanHash

__all__ = ["Links", "WaitingLink", "peer_facts"]


@dataclass(frozen=True, slots=True)
class WaitingLink:
    """A link that is to be proposed once its anchor can be told."""

    parent: Parent
    plan_hash: PlanHash
    name: str

    def decision(self, room: Room, anchor: BlockRef, key_epoch: int) -> Decision:
        """Give the decision that follows the parent, anchored at a block of `room`'s reference chain."""
        return Decision(
            op=Op.PROTECT,
            plan_hash=self.plan_hash,
            subject=f"{LINK_PREFIX}{self.name}",
            rung=0,
            tier=room.compiled.plan.link[self.name].ladder[0].tier,
            anchor=anchor,
            key_epoch=key_epoch,
            parent=self.parent.prepared.id,
        )


@dataclass(slots=True)
class Links:
    """Certified protect decisions by id, and what still waits for them; only certificates get in here."""

    rooms: Mapping[PlanHash, Room]
    waiting: list[WaitingLink] = field(default_factory=list)
    _parents: dict[DecisionId, Parent] = field(default_factory=dict)
    _orphans: dict[DecisionId, list[Prepared]] = field(default_factory=dict)
    """Certified links by the parent whose certificate we do not have: how far they are down cannot be told
    yet.
    """

    def parent_of(self, prepared: Prepared) -> Parent | None:
        """Give the certified parent of a decision, if it has one that is known."""
        parent = prepared.decision.parent
        return None if parent is None or not is_linked(prepared.decision) else self._parents.get(parent)

    def follow(self, prepared: Prepared) -> None:
        """Let the listening plans know of a certified protect decision."""
        decision = prepared.decision
        if decision.op is not Op.PROTECT or prepared.id in self._parents:
            return
        above = self.parent_of(prepared)
        if decision.parent is not None and is_linked(decision) and above is None:
            self._orphans.setdefault(decision.parent, []).append(prepared)
            return
        visited = (*(above.visited if above is not None else ()), decision.plan_hash)
        parent = self._parents[prepared.id] = self._parent(prepared, visited)
        for plan_hash, room in self.rooms.items():
            self.waiting += [WaitingLink(parent, plan_hash, link.name) for link in room.links_to(parent)]
        for orphan in self._orphans.pop(prepared.id, ()):
            self.follow(orphan)

    def forget(self, decision_ids: Iterable[DecisionId]) -> None:
        """Drop decisions that are over."""
        for decision_id in decision_ids:
            self._parents.pop(decision_id, None)
            self._orphans.pop(decision_id, None)

    def _parent(self, prepared: Prepared, visited: tuple[PlanHash, ...]) -> Parent:
        compiled = self.rooms[prepared.decision.plan_hash].compiled
        plan = compiled.plan
        facts = peer_facts(plan, prepared, hops=len(visited))
        reference = plan.clock.reference
        return Parent(prepared, reference, compiled.gateways[reference], facts, visited)


def peer_facts(plan: Plan, prepared: Prepared, *, hops: int) -> tuple[PeerFacts, ...]:
    """Give what links see of a decision of `plan`, one for each act; `hops` counts the plans so far."""
    return tuple(
        PeerFacts(
            verb=plan.acts[name].verb.value,  # a plain text: CEL knows no subclasses of it
            tier=prepared.decision.tier.name.lower(),
            chain=plan.acts[name].text.chain,
            protocol=plan.protocol,
            rule=prepared.decision.subject,
            hops=hops,
        )
        for name in prepared.act_names
    )
