"""Where the rungs of a rule stand: steps, slots, edges, and rungs that open early (SPEC 5.4, 5.4.1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from proofs.decision import BlockRef
from proofs.mandate import Tier
from relay.core.compiled import CompiledPlan
from relay.core.evaluate import Evaluation, Outcome
from relay.core.plan import Mode, Rule
from relay.core.types import Caip2
from relay.core.view import ChainView

__all__ = ["LANDING_PATIENCE_S", "Ladder", "Place", "Step", "opens_next_early", "settled_pin"]

LANDING_PATIENCE_S: Final = 120
"""How long a rung may be due without an effect, in the reference chain's time (SPEC 5.4.1)."""


class Place(StrEnum):
    """Whether a block may anchor a rung."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "not to be told yet"


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation and what it makes of the ones before: how often in a row each rule was true."""

    evaluation: Evaluation
    streaks: dict[str, int]
    unknown: dict[str, int]
    """Evaluations since the rule, or `release`, last abstained; large when it never did."""
    release_streak: int

    @property
    def block(self) -> BlockRef:
        return self.evaluation.block


@dataclass(frozen=True, slots=True)
class _Run:
    """A rule in one slot, from its edge up to `until`, as it is judged for one tier."""

    rule: Rule
    edge: Step
    tier: Tier
    until: Step
    first: dict[int, tuple[int, Place] | None] = field(default_factory=dict)
    """By rung: where the first step stands that anchors it or may do so, and which of the two; found once,
    because each step of the next rung asks.
    """


@dataclass(slots=True)
class Ladder:
    """The steps of one plan, newest last, and which of them may anchor which rung.

    `index` gives the position of a block counted from the first step ever, `base` that of `steps[0]`.
    """

    compiled: CompiledPlan
    views: Mapping[Caip2, ChainView]
    steps: list[Step] = field(default_factory=list)
    index: dict[bytes, int] = field(default_factory=dict)
    base: int = 0

    def position(self, step: Step) -> int:
        """Give where in `steps` a step stands."""
        return self.index[step.block.hash] - self.base

    def first_at(self, timestamp: int) -> int:
        """Give the position of the first step at or after a time."""
        return bisect_left(self.steps, timestamp, key=lambda step: step.block.timestamp)

    def edge(self, rule: Rule, slot: int, until: Step) -> Step | None:
        """Give the first held step of `slot`, at or before `until`."""
        first = self.first_at(slot * rule.rearm_s)
        last = min(self.position(until), self.first_at((slot + 1) * rule.rearm_s) - 1)
        for step in self.steps[first : last + 1]:
            if step.streaks[rule.name] >= rule.hold:
                return step
        return None

    def slots_of(self, rule: Rule, rung: int, step: Step, tier: Tier) -> Iterator[tuple[int, Place]]:
        """Give the slots whose edge puts rung `rung` of `rule` at `step`, or may do so once pins are settled.

        For the full tier a pin that is not final is not settled.
        """
        if rung >= len(rule.ladder) or step.streaks[rule.name] < rule.hold:
            return
        if (
            step.evaluation.rules[rule.name].outcome is Outcome.FAULT
            and rule.ladder[rung].tier is not Tier.FAST
        ):
            return
        own = step.block.timestamp // rule.rearm_s
        for slot in (own,) if rung == 0 else (own - 1, own):
            edge = self.edge(rule, slot, step)
            if edge is None or step.block.timestamp >= edge.block.timestamp + rule.rearm_s:
                continue
            place = self._place(_Run(rule, edge, tier, step), rung, step)
            if place is not Place.NO:
                yield slot, place

    # ---- rungs that do not land

    def _place(self, run: _Run, rung: int, step: Step) -> Place:
        """Tell whether `step`, at which the rule is held, may anchor a rung."""
        if step.block.timestamp >= run.edge.block.timestamp + rung * run.rule.step_s:
            return Place.YES
        if not opens_next_early(self.compiled, run.rule, rung - 1):
            return Place.NO
        opened = self._opened(run, rung - 1, step)
        if isinstance(opened, Place):
            return opened
        found = {self._unanswered(run, name, opened, step) for name in run.rule.ladder[rung - 1].acts}
        if Place.YES in found:
            return Place.YES
        return Place.UNKNOWN if Place.UNKNOWN in found else Place.NO

    def _opened(self, run: _Run, rung: int, until: Step) -> int | Place:
        """Give the time of the first step of a run that may anchor a rung, or why there is none."""
        if rung == 0:
            return run.edge.block.timestamp
        if rung not in run.first:
            run.first[rung] = self._first(run, rung)
        at, place = run.first[rung] or (0, Place.NO)
        if place is Place.NO or at > self.position(until):
            return Place.NO
        return self.steps[at].block.timestamp if place is Place.YES else place

    def _first(self, run: _Run, rung: int) -> tuple[int, Place] | None:
        """Give the first step of a run that may anchor a rung, or of which that cannot be told yet."""
        for at in range(self.position(run.edge), self.position(run.until) + 1):
            if self.steps[at].streaks[run.rule.name] >= run.rule.hold:
                place = self._place(run, rung, self.steps[at])
                if place is not Place.NO:
                    return at, place
        return None

    def _unanswered(self, run: _Run, name: str, opened_s: int, step: Step) -> Place:
        """Tell whether an act shows no answer at `step`, the landing patience after its rung opened."""
        chain = self.compiled.plan.acts[name].text.chain
        encoded, view = self.compiled.acts[name], self.views[chain]
        lag_s = 0 if chain == step.block.chain else self.compiled.plan.chains[chain].lag_s
        seen_to_s = step.block.timestamp - lag_s
        if seen_to_s < opened_s + LANDING_PATIENCE_S:
            return Place.NO
        at = step.block if chain == step.block.chain else settled_pin(view, seen_to_s)
        if at is None or not view.contains(at.hash) or (run.tier is Tier.FULL and not view.is_final(at)):
            return Place.UNKNOWN
        record = view.record(encoded.gateway, encoded.act_id, at)
        if record is not None and record.until > at.timestamp:
            return Place.NO
        answered_s = view.answered_at(encoded.gateway, encoded.act_id, at)
        is_answered = answered_s is not None and answered_s > run.edge.block.timestamp - lag_s
        return Place.NO if is_answered else Place.YES


def settled_pin(view: ChainView, timestamp: int) -> BlockRef | None:
    """Give the settled pin at a time, also on a chain that no rule reads."""
    return view.at_or_before(timestamp) if view.has_later_than(timestamp) else None


def opens_next_early(compiled: CompiledPlan, rule: Rule, rung: int) -> bool:
    """Tell whether a rung that does not land may open the next one before its step (SPEC 5.4.1)."""
    return (
        compiled.plan.mode is Mode.ARMED
        and rung + 1 < len(rule.ladder)
        and rule.ladder[rung].tier is Tier.FAST
        and rule.step_s > LANDING_PATIENCE_S
    )
