"""When a plan decides: holds, slots, edges and rungs over the evaluations of one plan (SPEC 5.4).

A `Schedule` holds the evaluations in order and answers two questions about them, always with the same
answer for the
same chain: which decisions are due (`due`), and whether somebody's decision is right (`assess`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proofs.decision import BlockRef, Decision
from proofs.mandate import Op, Tier
from relay.core.compiled import CompiledPlan
from relay.core.evaluate import RELEASE, Evaluation, Outcome, RuleOutcome
from relay.core.gateways import ActRecord
from relay.core.ladder import Ladder, Place, Step, settled_pin
from relay.core.plan import Rule
from relay.core.stages import stages_before
from relay.core.types import Caip2, PlanHash
from relay.core.view import ChainView

__all__ = ["Assessment", "Due", "Edge", "Schedule", "Step"]

MIN_FORGOTTEN = 1_024
"""Steps that are dropped together."""
MAX_PROPOSALS = 3
"""Anchors that a node proposes per (rule, slot, rung, tier) (SPEC 5.4)."""


class Assessment(StrEnum):
    """What the chain says of a decision: right, wrong, or not to be told yet."""

    RIGHT = "right"
    WRONG = "wrong"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Edge:
    """The first held block of a rule in a slot (SPEC 5.4)."""

    rule: str
    slot: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Due:
    """A decision that this plan is to propose; `track` names its series of at most three anchors."""

    op: Op
    subject: str
    rung: int
    tier: Tier
    step: Step
    track: tuple[str, int, int, int]

    def decision(self, plan_hash: PlanHash, key_epoch: int) -> Decision:
        """Give the decision that is to be proposed."""
        return Decision(
            op=self.op,
            plan_hash=plan_hash,
            subject=self.subject,
            rung=self.rung,
            tier=self.tier,
            anchor=self.step.block,
            key_epoch=key_epoch,
            parent=None,
        )


@dataclass(slots=True)
class _Matured:
    """How far the steps were looked at for one tier."""

    after: int = -1
    """Number of the last block that was."""


@dataclass(slots=True)
class Schedule:
    """The evaluations of one plan, newest last; `views` are shared with the evaluator."""

    compiled: CompiledPlan
    views: Mapping[Caip2, ChainView]
    _fast: _Matured = field(default_factory=_Matured)
    _full: _Matured = field(default_factory=_Matured)
    _acts_open: list[Step] = field(default_factory=list)
    """First blocks of slots at which something about an act could not be told yet."""
    _ladder: Ladder = field(init=False)

    def __post_init__(self) -> None:
        self._ladder = Ladder(self.compiled, self.views)

    @property
    def steps(self) -> list[Step]:
        """The evaluations held, in the order of the chain."""
        return self._ladder.steps

    # ---- the chain goes on, or back

    def extend(self, evaluations: Iterable[Evaluation]) -> tuple[Edge, ...]:
        """Take the evaluations that follow and give the edges among them, whether or not they are still
        current.
        """
        edges: list[Edge] = []
        for evaluation in evaluations:
            previous = self.steps[-1] if self.steps else None
            self._ladder.index[evaluation.block.hash] = self._ladder.base + len(self.steps)
            step = _step(previous, evaluation)
            self.steps.append(step)
            edges += self._edges_at(step)
        if self.steps:
            self._forget()
        return tuple(edges)

    def rollback(self, number: int) -> None:
        """Drop the evaluations of blocks above `number`."""
        while self.steps and self.steps[-1].block.number > number:
            del self._ladder.index[self.steps.pop().block.hash]
        self._acts_open = [step for step in self._acts_open if step.block.number <= number]
        for matured in (self._fast, self._full):
            matured.after = min(matured.after, number)

    def revise(self, evaluation: Evaluation) -> tuple[Edge, ...]:
        """Put a later reading in the place of one that had to abstain, redo what follows, and give the new
        edges.
        """
        step = self.step_at(evaluation.block.hash)
        if step is None:
            return ()
        position = self._ladder.position(step)
        tail = [step.evaluation for step in self.steps[position + 1 :]]
        known = set(self._edges_from(position))
        del self.steps[position:]
        self._acts_open = [step for step in self._acts_open if step.block.number < evaluation.block.number]
        for matured in (self._fast, self._full):
            matured.after = min(matured.after, evaluation.block.number - 1)
        return tuple(edge for edge in self.extend([evaluation, *tail]) if edge not in known)

    def _edges_from(self, position: int) -> Iterator[Edge]:
        for step in self.steps[position:]:
            yield from self._edges_at(step)

    def _edges_at(self, step: Step) -> Iterator[Edge]:
        position = self._ladder.position(step)
        before = self.steps[position - 1] if position else None
        for rule in self.compiled.plan.rules.values():
            if step.streaks[rule.name] < rule.hold:
                continue
            slot = step.block.timestamp // rule.rearm_s
            if (
                before
                and before.streaks[rule.name] >= rule.hold
                and before.block.timestamp // rule.rearm_s == slot
            ):
                continue  # the edge was there, or earlier
            if self._ladder.edge(rule, slot, step) is step:
                yield Edge(rule.name, slot, step.block)

    def step_at(self, block_hash: bytes) -> Step | None:
        """Give the step of a block, if it was evaluated and is still held."""
        position = self._ladder.index.get(block_hash)
        return None if position is None else self.steps[position - self._ladder.base]

    # ---- what is due

    def due(self) -> Iterator[Due]:
        """Give what has become ripe for proposing since the last call, in the order of the chain."""
        for tier, matured in ((Tier.FAST, self._fast), (Tier.FULL, self._full)):
            for step in self._ripe(tier, matured):
                if step.evaluation.plan_in_force and self._is_current(step.block, tier):
                    yield from self._due_at(step, tier)
        yield from self._acts_due()

    def _ripe(self, tier: Tier, matured: _Matured) -> Iterator[Step]:
        for step in self.steps[self._first_after(matured.after) :]:
            if not self._is_mature(step, tier):
                return
            matured.after = step.block.number
            yield step

    def _due_at(self, step: Step, tier: Tier) -> Iterator[Due]:
        for rule in self.compiled.plan.rules.values():
            for rung, content in enumerate(rule.ladder):
                # A fast rung is decided fast and then in full, a full rung in full only.
                if tier is Tier.FULL or content.tier is Tier.FAST:
                    for slot in self._slots_of(rule, rung, step, tier):
                        yield Due(Op.PROTECT, rule.name, rung, tier, step, (rule.name, slot, rung, int(tier)))
        if tier is Tier.FULL and self._begins_slot(step):
            self._acts_open.append(step)

    def _acts_due(self) -> Iterator[Due]:
        """Give what is due about acts; keep the steps where a pin is not settled or not final yet."""
        waiting, self._acts_open = self._acts_open, []
        for step in waiting:
            slot, tier = step.block.timestamp // self.compiled.plan.clock.rearm_s, Tier.FULL
            is_told = True
            for name in self.compiled.plan.acts:
                for op in (Op.EXTEND, Op.RELEASE):
                    found = self._assess_act(op, name, step)
                    is_told = is_told and found is not Assessment.LATER
                    if found is Assessment.RIGHT:
                        yield Due(op, name, 0, tier, step, (f"{op.name}:{name}", slot, 0, int(tier)))
            if not is_told and self._is_current(step.block, tier):
                self._acts_open.append(step)

    def track_of(self, decision: Decision) -> tuple[str, int, int, int] | None:
        """Give the series that an anchor of a rule belongs to, as in `Due.track`; None where it is none."""
        step, rule = self.step_at(decision.anchor.hash), self.compiled.plan.rules.get(decision.subject)
        if decision.op is not Op.PROTECT or step is None or rule is None:
            return None
        slot = next(self._slots_of(rule, decision.rung, step, decision.tier), None)
        return None if slot is None else (rule.name, slot, decision.rung, int(decision.tier))

    # ---- is a decision right?

    def assess(self, decision: Decision) -> Assessment:
        """Tell whether the chain bears `decision` out (SPEC 5.4, 6.1); links are the node's to judge."""
        step = self.step_at(decision.anchor.hash)
        if step is None:
            return self.assess_unseen(decision.anchor)
        if step.block != decision.anchor:
            return Assessment.WRONG
        if not step.evaluation.plan_in_force:
            return Assessment.WRONG
        if decision.op is Op.PROTECT:
            verdict = self._assess_rule(decision, step)
        elif not self._begins_slot(step):
            verdict = Assessment.WRONG
        else:
            verdict = self._assess_act(decision.op, decision.subject, step)
        if verdict is Assessment.RIGHT and not self._is_mature(step, decision.tier):
            return Assessment.LATER
        return verdict

    def assess_unseen(self, anchor: BlockRef) -> Assessment:
        """Tell whether a block that is not held may still come."""
        finalized = self.views[self.compiled.plan.clock.reference].finalized
        passed = finalized is not None and finalized.number >= anchor.number
        evaluated = bool(self.steps) and self.steps[-1].block.number >= anchor.number
        return Assessment.WRONG if passed and evaluated else Assessment.LATER

    def _assess_rule(self, decision: Decision, step: Step) -> Assessment:
        rule = self.compiled.plan.rules[decision.subject]
        places = {place for _, place in self._ladder.slots_of(rule, decision.rung, step, decision.tier)}
        if Place.YES in places:
            return Assessment.RIGHT
        blind = step.unknown[rule.name] < rule.hold or Place.UNKNOWN in places
        return Assessment.LATER if blind else Assessment.WRONG

    def _assess_act(self, op: Op, name: str, step: Step) -> Assessment:
        act = self.compiled.plan.acts[name]
        at = self._pin_of(name, step)
        if at is None:
            return Assessment.LATER
        record = self._record(name, at)
        if record is None or record.until <= step.block.timestamp:
            return Assessment.WRONG
        released = self._release_holds(step)
        if op is Op.EXTEND:
            if self.compiled.plan.release is None:
                return Assessment.WRONG  # nothing could ever end it
            short = (record.until - step.block.timestamp) * 2 < act.lasts_s
            return Assessment.RIGHT if short and not released else Assessment.WRONG
        return self._assess_release(name, step)

    def _assess_release(self, name: str, step: Step) -> Assessment:
        """Tell whether an act in force may be released; what could not be evaluated yet is waited for."""
        threats = self._threats(name, step)
        if threats - {Outcome.FALSE, Outcome.ABSTAIN}:
            return Assessment.WRONG
        if not self._release_holds(step):
            return Assessment.LATER if self._may_hold(step) else Assessment.WRONG
        stages = self._assess_stages(name, step)
        return Assessment.LATER if stages is Assessment.RIGHT and Outcome.ABSTAIN in threats else stages

    def _assess_stages(self, name: str, step: Step) -> Assessment:
        """Tell whether all acts of the stages before that of `name` have ended (plans SPEC 1.4)."""
        pins = {act: self._pin_of(act, step) for act in stages_before(self.compiled.plan, name)}
        standing = (self._record(act, at) is not None for act, at in pins.items() if at is not None)
        if any(standing):
            return Assessment.WRONG
        return Assessment.LATER if None in pins.values() else Assessment.RIGHT

    def _pin_of(self, name: str, step: Step) -> BlockRef | None:
        """Give the final block whose records of an act count at `step`; None where it is none yet."""
        chain = self.compiled.plan.acts[name].text.chain
        view = self.views[chain]
        if chain == step.block.chain:
            return step.block
        # The evaluation has no pin of a chain that no rule waits for, where that came later.
        pin = step.evaluation.pins.get(chain) or settled_pin(
            view, step.block.timestamp - self.compiled.plan.chains[chain].lag_s
        )
        return pin if pin is not None and view.is_final(pin) else None

    def _record(self, name: str, at: BlockRef) -> ActRecord | None:
        encoded = self.compiled.acts[name]
        return self.views[at.chain].record(encoded.gateway, encoded.act_id, at)

    def _release_holds(self, step: Step) -> bool:
        release = self.compiled.plan.release
        return release is not None and step.release_streak >= release.hold

    def _may_hold(self, step: Step) -> bool:
        """Tell whether the release predicate was true in all evaluations since one that is not told yet."""
        release = self.compiled.plan.release
        return release is not None and step.release_streak == step.unknown[RELEASE] < release.hold

    def _threats(self, act: str, step: Step) -> set[Outcome]:
        """Give what became of the rules whose ladder names `act` at `step`."""
        return {
            step.evaluation.rules[rule.name].outcome
            for rule in self.compiled.plan.rules.values()
            if any(act in rung.acts for rung in rule.ladder)
        }

    # ---- slots and edges

    def _slots_of(self, rule: Rule, rung: int, step: Step, tier: Tier) -> Iterator[int]:
        """Give the slots whose edge puts rung `rung` of `rule` at `step`, if the rule is held there."""
        found = self._ladder.slots_of(rule, rung, step, tier)
        return (slot for slot, place in found if place is Place.YES)

    def _begins_slot(self, step: Step) -> bool:
        rearm = self.compiled.plan.clock.rearm_s
        position = self._ladder.position(step)
        if position == 0:
            return False
        return self.steps[position - 1].block.timestamp // rearm != step.block.timestamp // rearm

    def _is_mature(self, step: Step, tier: Tier) -> bool:
        """Tell whether decisions of `tier` anchored at `step` may be signed now."""
        view = self.views[step.block.chain]
        if tier is Tier.FAST:
            return view.confirmations(step.block) >= self.compiled.plan.clock.fast_after
        return view.is_final(step.block) and all(
            self.views[chain].is_final(pin) for chain, pin in step.evaluation.pins.items()
        )

    def _is_current(self, anchor: BlockRef, tier: Tier) -> bool:
        """Tell whether a node that catches up may still propose this anchor (SPEC 5.1)."""
        view = self.views[anchor.chain]
        newest = view.head if tier is Tier.FAST else view.finalized
        if newest is None:
            return False
        longest_hold = max((rule.hold for rule in self.compiled.plan.rules.values()), default=1)
        rearm = self.compiled.plan.clock.rearm_s
        age = newest.timestamp // rearm - anchor.timestamp // rearm
        if tier is Tier.FULL:
            return age <= 1
        evaluated_since = (newest.number - anchor.number) // self.compiled.plan.clock.every
        return age <= 0 or (age == 1 and evaluated_since < longest_hold)

    # ---- positions

    def _first_after(self, number: int) -> int:
        return bisect_right(self.steps, number, key=lambda step: step.block.number)

    def _forget(self) -> None:
        """Drop steps so old that no decision may be anchored in them any more."""
        if len(self.steps) < MIN_FORGOTTEN:
            return
        clock = self.compiled.plan.clock
        longest = max((rule.rearm_s for rule in self.compiled.plan.rules.values()), default=clock.rearm_s)
        oldest = self.steps[-1].block.timestamp - clock.mandate_full_s - 2 * max(longest, clock.rearm_s)
        count = self._ladder.first_at(oldest)
        if count < len(self.steps) // 2 or count < MIN_FORGOTTEN:
            return
        for step in self.steps[:count]:
            del self._ladder.index[step.block.hash]
        del self.steps[:count]
        self._ladder.base += count


def _step(previous: Step | None, evaluation: Evaluation) -> Step:
    streaks: dict[str, int] = {}
    unknown: dict[str, int] = {}
    release = evaluation.release
    for name, outcome in evaluation.rules.items():
        before = previous.streaks[name] if previous is not None else 0
        streaks[name] = before + 1 if outcome.effective else 0
        unknown[name] = _told_since(previous, name, outcome)
    if release is not None:
        unknown[RELEASE] = _told_since(previous, RELEASE, release)
    released = release is not None and release.outcome is Outcome.TRUE
    before = previous.release_streak if previous is not None else 0
    return Step(evaluation, streaks, unknown, before + 1 if released else 0)


def _told_since(previous: Step | None, name: str, outcome: RuleOutcome) -> int:
    """Give how many evaluations came since the one that abstained."""
    if outcome.outcome is Outcome.ABSTAIN:
        return 0
    return previous.unknown[name] + 1 if previous is not None else 1 << 30
