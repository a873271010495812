"""Incidents: what people see of the decisions (design: a view over them, not a protocol object)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proofs.decision import Decision
from proofs.mandate import ActLeaf, Op
from relay.core.book import Book, Entry
from relay.core.decisions import is_linked
from relay.core.landing import Landing
from relay.core.messages import Verdict
from relay.core.observations import GatewayEvent, GatewayEventKind
from relay.core.types import BlockRef, Caip2, DecisionId, Digest, Gateway, Identity, PlanHash
from relay.core.view import ChainView

__all__ = ["ActState", "Closed", "DecisionState", "Incident", "closed_incidents", "incidents"]


@dataclass(frozen=True, slots=True)
class ActState:
    """One act of one decision, and the gateway's event that this node saw, if any."""

    name: str
    chain: Caip2
    event: GatewayEvent | None
    block: BlockRef | None


@dataclass(frozen=True, slots=True)
class DecisionState:
    """One decision of an incident. Verdicts are by identity."""

    entry: Entry
    id: DecisionId
    acts: tuple[ActState, ...]
    verdicts: tuple[tuple[Identity, Verdict], ...]

    @property
    def is_certified(self) -> bool:
        return self.entry.tally.certificate is not None


@dataclass(frozen=True, slots=True)
class Incident:
    """The run of one rule's decisions, with those that links have made of them; newest decision last.

    `id` is the first decision's. `contained` tells that every act of the first certified decision took
    effect.
    """

    id: DecisionId
    protocol: str
    rule: str
    decisions: tuple[DecisionState, ...]

    @property
    def is_contained(self) -> bool:
        """Tell whether every act that was certified first, here and by each link, has taken effect.

        By whichever decision: the full copy of a fast one does nothing where that did its work.
        """
        firsts: dict[tuple[PlanHash, str], DecisionState] = {}
        effective: set[tuple[PlanHash, str]] = set()
        for state in self.decisions:
            decision = state.entry.tally.prepared.decision
            effective.update((decision.plan_hash, act.name) for act in state.acts if _took_effect(act))
            if state.is_certified and decision.op is Op.PROTECT:
                firsts.setdefault((decision.plan_hash, decision.subject), state)
        wanted = {(plan_hash, act.name) for (plan_hash, _), state in firsts.items() for act in state.acts}
        return bool(wanted) and wanted <= effective


def incidents(book: Book, landing: Landing) -> tuple[Incident, ...]:
    """Group the book's decisions into incidents, oldest first (SPEC 5.4; design section 5)."""
    states = [_state(entry.tally.prepared.id, entry, landing) for entry in book.visible()]
    states.sort(key=lambda state: (_anchor(state).timestamp, state.id))
    children: dict[DecisionId, list[DecisionState]] = {}
    runs: list[list[DecisionState]] = []
    newest: dict[tuple[bytes, str], list[DecisionState]] = {}
    for state in states:
        decision = state.entry.tally.prepared.decision
        if decision.parent is not None and is_linked(decision):
            children.setdefault(decision.parent, []).append(state)
            continue
        for rule in _rules(book, state):
            run = newest.get((decision.plan_hash, rule))
            if run is None or _anchor(state).timestamp > _ends(run):
                run = []
                runs.append(run)
                newest[(decision.plan_hash, rule)] = run
            run.append(state)
    return tuple(_incident(book, run, children) for run in runs)


@dataclass(frozen=True, slots=True)
class Closed:
    """An incident that has closed (SPEC 7.4): `decisions` certified ones, whose statements are `entries`."""

    incident_id: DecisionId
    chain: Caip2
    gateway: Gateway
    decisions: int
    entries: tuple[Digest, ...]


def closed_incidents(book: Book, landing: Landing) -> Iterator[Closed]:
    """Give the incidents that have closed, oldest first."""
    for incident in incidents(book, landing):
        certified = [state for state in incident.decisions if state.is_certified and not state.entry.void]
        first = min((each for each in certified if _is_root(_decision(each))), key=_rank, default=None)
        if first is None or not all(_is_past(state, landing) for state in certified):
            continue
        compiled = book.rooms[_decision(first).plan_hash].compiled
        reference = compiled.plan.clock.reference
        entries = [slot.digest for state in certified for slot in state.entry.tally.slots.values()]
        yield Closed(
            first.id, reference, compiled.gateways[reference], len(certified), tuple(sorted(entries))
        )


def _is_past(state: DecisionState, landing: Landing) -> bool:
    """Tell whether a decision can do nothing any more, and nothing that it did is in force."""
    if state.entry.logged:
        return False
    return not any(
        _is_in_force(landing.views[leaf.chain], leaf) for leaf in state.entry.tally.prepared.leaves
    )


def _is_in_force(view: ChainView, leaf: ActLeaf) -> bool:
    """Tell whether an act has a record, at the newest block or at the newest final one."""
    final = None if view.finalized is None else view.at_or_before(view.finalized.timestamp)
    if view.tip is None or final is None:
        return True
    records = (view.record(leaf.gateway, leaf.act_id, block) for block in (view.tip, final))
    return any(record is not None for record in records)


def _is_root(decision: Decision) -> bool:
    """Tell whether a decision begins an incident: a protection that follows no other's decision."""
    return decision.op is Op.PROTECT and not is_linked(decision)


def _rank(state: DecisionState) -> tuple[int, int, DecisionId]:
    """Put decisions in the order of their anchors, a fast one before its full copy."""
    return _anchor(state).timestamp, int(_decision(state).tier), state.id


def _decision(state: DecisionState) -> Decision:
    return state.entry.tally.prepared.decision


def _took_effect(act: ActState) -> bool:
    return act.event is not None and act.event.kind is not GatewayEventKind.ENDED


def _incident(
    book: Book, run: Sequence[DecisionState], children: dict[DecisionId, list[DecisionState]]
) -> Incident:
    first = run[0].entry.tally.prepared.decision
    everything = [*run]
    waiting = [*run]
    while waiting:
        found = children.get(waiting.pop().id, [])
        everything += found
        waiting += found
    everything.sort(key=lambda state: (_anchor(state).timestamp, state.id))
    plan = book.rooms[first.plan_hash].compiled.plan
    return Incident(run[0].id, plan.protocol, first.subject, tuple(everything))


def _state(decision_id: DecisionId, entry: Entry, landing: Landing) -> DecisionState:
    prepared = entry.tally.prepared
    acts: list[ActState] = []
    for name, leaf in zip(prepared.act_names, prepared.leaves, strict=True):
        event, block = landing.effect_of(prepared, leaf) or (None, None)
        acts.append(ActState(name, leaf.chain, event, block))
    verdicts = tuple(sorted((identity, slot.verdict) for identity, slot in entry.tally.slots.items()))
    return DecisionState(entry, decision_id, tuple(acts), verdicts)


def _rules(book: Book, state: DecisionState) -> Iterable[str]:
    """Give the rules to whose incidents a decision belongs: its own, or those whose ladder names its act."""
    decision = state.entry.tally.prepared.decision
    if decision.op is Op.PROTECT:
        return (decision.subject,)
    plan = book.rooms[decision.plan_hash].compiled.plan
    named = [
        rule.name
        for rule in plan.rules.values()
        if any(decision.subject in rung.acts for rung in rule.ladder)
    ]
    return named[:1]


def _anchor(state: DecisionState) -> BlockRef:
    return state.entry.tally.prepared.decision.anchor


def _ends(run: Sequence[DecisionState]) -> int:
    """Give until when the acts of a run last, or its newest mandate is good."""
    ends = [state.entry.tally.prepared.mandate.not_after for state in run]
    ends += [act.event.until for state in run for act in state.acts if act.event is not None]
    return max(ends)
