"""Everything a node holds of one plan: its evaluator, its schedule, and the judgement of decisions under
it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proofs.canonical import Value
from proofs.decision import BlockRef, Decision
from proofs.mandate import Op, Tier
from proofs.reports import REPORT_PREFIX, Subject
from relay.core.compiled import CompiledPlan
from relay.core.decisions import Prepared, link_of, report_of
from relay.core.errors import WireError
from relay.core.evaluate import RELEASE, Outcome, PeerFacts, PlanEvaluator, RuleOutcome, trace_of
from relay.core.ladder import opens_next_early
from relay.core.plan import Listen, Mode
from relay.core.schedule import Assessment, Edge, Schedule
from relay.core.types import Caip2, PlanHash
from relay.core.view import ChainView

__all__ = ["Ground", "Parent", "Reported", "Room"]

MAX_BLIND: Final = 1_024
REPORT_PARTS: Final = 6
"""Of a slot: a report loses at most one of them of its mandate's time."""

_NO_TRACE: Mapping[str, Value] = {
    "agreement": {},
    "faulted": (),
    "pins": {},
    "result": None,
    "rule": "",
    "values": {},
}


@dataclass(frozen=True, slots=True)
class Parent:
    """A certified decision that a link may follow: its plan's verbs, and the plans visited on the way to
    it.
    """

    prepared: Prepared
    reference: Caip2
    gateway: bytes
    facts: tuple[PeerFacts, ...]
    visited: tuple[PlanHash, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """A subject, and those of the plan's reporters who signed it, in the order in which we were told."""

    subject: Subject
    reporters: tuple[bytes, ...]


Ground = Parent | Reported
"""What a decision rests on that no rule of its plan calls for."""


class Room:
    """One plan at work; deterministic, and fed through the views it shares with the other plans."""

    def __init__(self, compiled: CompiledPlan, views: Mapping[Caip2, ChainView]) -> None:
        self.compiled = compiled
        self.evaluator = PlanEvaluator(compiled, views)
        self.schedule = Schedule(compiled, views)
        self._views = views
        self._reference = views[compiled.plan.clock.reference]
        self._blind: dict[Caip2, deque[BlockRef]] = {}
        """By the chain that stood still: blocks where a rule had to abstain, oldest first."""

    @property
    def is_armed(self) -> bool:
        """Tell whether this plan's decisions are signed."""
        return self.compiled.plan.mode is Mode.ARMED

    def opens_next_early(self, decision: Decision) -> bool:
        """Tell whether the decision's rung, if it does not land, opens the next one early (SPEC 5.4.1)."""
        rule = self.compiled.plan.rules.get(decision.subject)
        if rule is None or decision.op is not Op.PROTECT or decision.tier is not Tier.FAST:
            return False
        return opens_next_early(self.compiled, rule, decision.rung)

    def reference_head(self) -> BlockRef | None:
        """Give the newest block of the reference chain that a quorum of endpoints had."""
        return self._reference.head

    def is_in_force(self) -> bool:
        """Tell whether the gateway names this plan at the newest block that was read (SPEC 5.6)."""
        tip = self._reference.tip
        gateway = self.compiled.gateways[self.compiled.plan.clock.reference]
        return tip is not None and self.compiled.plan.hash in self._reference.plan_in_force(gateway, tip)

    def block_of(self, block_hash: bytes) -> BlockRef | None:
        """Give the block of the reference chain that has this hash, if it was read and is kept."""
        return self._reference.block_of(block_hash)

    def is_recent(self, block: BlockRef) -> bool:
        """Tell whether a reference block is of the present slot or the one before."""
        head, rearm_s = self.reference_head(), self.compiled.plan.clock.rearm_s
        return head is not None and head.timestamp // rearm_s - block.timestamp // rearm_s <= 1

    def block_to_name(self) -> BlockRef | None:
        """Give the reference block that reporters name now: the first of the present part of a slot, so that
        those who see one thing within minutes sign one subject.
        """
        tip, rearm_s = self._reference.tip, self.compiled.plan.clock.rearm_s
        if tip is None:
            return None
        slot_s = tip.timestamp // rearm_s * rearm_s
        part_s = max(1, rearm_s // REPORT_PARTS)
        begin_s = slot_s + (tip.timestamp - slot_s) // part_s * part_s
        before = self._reference.at_or_before(begin_s - 1)
        return next(iter(self._reference.after(-1 if before is None else before.number)), None)

    def track_of(self, decision: Decision) -> tuple[str, int, int, int] | None:
        """Give the series of anchors of which one stands for all (SPEC 5.4); None where there is none."""
        if report_of(self.compiled, decision.subject) is None:
            return self.schedule.track_of(decision)
        slot = decision.anchor.timestamp // self.compiled.plan.clock.rearm_s
        return (decision.subject, slot, decision.rung, int(decision.tier))

    def is_over(self, prepared: Prepared) -> bool:
        """Tell whether the reference chain is past the end of a mandate (SPEC 6.5)."""
        head = self.reference_head()
        return head is not None and head.timestamp > prepared.mandate.not_after

    def check_time(self, prepared: Prepared) -> None:
        """Refuse what is far ahead (SPEC 6.5), by the decision's own time, not that of its arrival.

        Raises:
            WireError: `early attestation`.
        """
        head, anchor = self.reference_head(), prepared.decision.anchor
        if head is None:
            return
        if anchor.timestamp > head.timestamp + self.compiled.plan.clock.rearm_s:
            raise WireError("early attestation", f"anchor at {anchor.timestamp}, head at {head.timestamp}")

    def advance(self) -> tuple[Edge, ...]:
        """Evaluate what has become readable and give the new edges, in the order of the chain."""
        fresh = self.evaluator.advance()
        edges = self.schedule.extend(fresh)
        for block in self._settled():
            again = self.evaluator.evaluate_at(block)
            if again is not None:
                edges += self.schedule.revise(again)
        for evaluation in fresh:
            for chain in evaluation.waiting:
                self._blind.setdefault(chain, deque(maxlen=MAX_BLIND)).append(evaluation.block)
        return edges

    def _settled(self) -> list[BlockRef]:
        """Take the blocks for which a chain that they waited for has gone on, in their order."""
        settled: dict[int, BlockRef] = {}
        for chain, waiting in self._blind.items():
            lag_s = self.compiled.plan.chains[chain].lag_s
            while waiting and self._views[chain].has_later_than(waiting[0].timestamp - lag_s):
                block = waiting.popleft()
                settled[block.number] = block
        return [settled[number] for number in sorted(settled)]

    def rollback(self, ancestor: BlockRef) -> None:
        """Follow a chain back to `ancestor`: what rested on later blocks is evaluated anew."""
        self.evaluator.rollback(ancestor)
        self.schedule.rollback(self.evaluator.evaluated_to)

    def assess(self, decision: Decision, ground: Ground | None) -> Assessment:
        """Tell whether the chains bear `decision` out; `ground` is the certified parent, or the subject that
        reporters signed, as far as it is known.
        """
        if decision.parent is None:
            return self.schedule.assess(decision)
        link = link_of(self.compiled, decision.subject)
        if decision.op is not Op.PROTECT:
            return Assessment.WRONG
        if ground is None:
            return Assessment.LATER
        if isinstance(ground, Reported):
            return self._assess_reported(decision, ground)
        return Assessment.WRONG if link is None else self._assess_followed(decision, link, ground)

    def _assess_followed(self, decision: Decision, link: Listen, parent: Parent) -> Assessment:
        anchor = self.link_anchor(parent)
        if anchor is Assessment.LATER or anchor is Assessment.WRONG:
            return anchor
        if anchor != decision.anchor:
            return Assessment.WRONG
        return self._assess_link(link, parent, anchor)

    def links_to(self, parent: Parent) -> tuple[Listen, ...]:
        """Give the links of this plan that follow `parent` (design: hear theirs, decide mine)."""
        if self.compiled.plan.hash in parent.visited:
            return ()
        return tuple(
            link
            for link in self.compiled.plan.listen
            if link.chain == parent.reference
            and self.compiled.links[link.name].gateway == parent.gateway
            and len(parent.visited) <= link.max_hops
        )

    def link_anchor(self, parent: Parent) -> BlockRef | Assessment:
        """Give the reference block pinned to the parent's time (SPEC 5.4), or why it cannot be told."""
        limit = parent.prepared.decision.anchor.timestamp - self.compiled.plan.clock.lag_s
        if not self._reference.has_later_than(limit):
            return Assessment.LATER
        return self._reference.at_or_before(limit) or Assessment.WRONG

    def _assess_reported(self, decision: Decision, reported: Reported) -> Assessment:
        """Judge a decision by the subject that it names (plans SPEC 1.6)."""
        reports, subject = report_of(self.compiled, decision.subject), reported.subject
        named = (subject.plan_hash, f"{REPORT_PREFIX}{subject.name}", subject.block)
        stated = (decision.plan_hash, decision.subject, decision.anchor.hash)
        if reports is None or named != stated:
            return Assessment.WRONG
        block = self.block_of(subject.block)
        if block is None:
            return self.schedule.assess_unseen(decision.anchor)
        if block != decision.anchor or not self.is_recent(block):
            return Assessment.WRONG
        gateway = self.compiled.gateways[block.chain]
        if self.compiled.plan.hash not in self._reference.plan_in_force(gateway, block):
            return Assessment.WRONG
        if len(reported.reporters) < reports.need:
            return Assessment.LATER
        outcome = self.evaluator.reported(reports.name, block)
        if outcome is None or outcome.outcome is Outcome.ABSTAIN:
            return Assessment.LATER
        is_ripe = self._reference.confirmations(block) >= self.compiled.plan.clock.fast_after
        if outcome.effective and not is_ripe:
            return Assessment.LATER
        return Assessment.RIGHT if outcome.effective else Assessment.WRONG

    def trace(self, decision: Decision, ground: Ground | None) -> Mapping[str, Value]:
        """Give what our verdict on `decision` rests on (SPEC 3)."""
        evaluation = self.evaluator.evaluate_at(decision.anchor)
        if evaluation is None:
            return _NO_TRACE
        link = link_of(self.compiled, decision.subject)
        reports = report_of(self.compiled, decision.subject)
        if reports is not None:
            told = self.evaluator.reported(reports.name, decision.anchor)
            return trace_of(evaluation, decision.subject, told)
        if link is not None and isinstance(ground, Parent):
            outcomes = self._conditions(link, ground, decision.anchor)
            telling = next((outcome for outcome in outcomes if outcome.effective), outcomes[0])
            return trace_of(evaluation, decision.subject, telling)
        return trace_of(evaluation, decision.subject if decision.op is Op.PROTECT else RELEASE)

    def _assess_link(self, link: Listen, parent: Parent, anchor: BlockRef) -> Assessment:
        gateway = self.compiled.gateways[self.compiled.plan.clock.reference]
        if link not in self.links_to(parent):
            return Assessment.WRONG
        if self.compiled.plan.hash not in self._reference.plan_in_force(gateway, anchor):
            return Assessment.WRONG
        outcomes = self._conditions(link, parent, anchor)
        if any(outcome.effective for outcome in outcomes):
            return Assessment.RIGHT
        is_blind = any(outcome.outcome is Outcome.ABSTAIN for outcome in outcomes)
        return Assessment.LATER if is_blind else Assessment.WRONG

    def _conditions(self, link: Listen, parent: Parent, anchor: BlockRef) -> list[RuleOutcome]:
        """Evaluate a link's condition for each act of the parent; `anchor` is on the chain."""
        found = [self.evaluator.condition(link, anchor, facts) for facts in parent.facts]
        return [outcome for outcome in found if outcome is not None]
