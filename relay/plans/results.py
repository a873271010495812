"""What a back-test tells of a plan: how late, how often for nothing, and what that costs (plans SPEC 4)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from relay.core.compiled import CompiledPlan
from relay.core.plan import Plan, Rule, Verb
from relay.core.types import BlockRef
from relay.plans.intervals import poisson_bounds
from relay.plans.rows import NOTHING, Attack

__all__ = ["Detection", "Frozen", "PlanResult", "Rate", "RuleResult", "RuleSeen", "Seen", "judge"]

HOUR_S: Final = 3_600
YEAR_HOURS: Final = 8_760
RATE_HOURS: Final = 1_000


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """What one rule did: its edges, and the first held block from the beginning of the attack on."""

    edges: tuple[BlockRef, ...]
    detected: BlockRef | None
    is_always_true: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run saw, from its first block to its last.

    `attack_block` is the number of the first block at or after the first attack row; `missing` names what
    rules read and no row was of.
    """

    first_s: int
    end_s: int
    rows: int
    evaluations: int
    attack: Attack | None
    attack_block: int | None
    rules: Mapping[str, RuleSeen]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """The first block of the attack at which a rule was held.

    `out_usd` had left by then, the rows of that very second included; `share` of all that the attack took,
    None where nothing is priced.
    """

    block: BlockRef
    delay_blocks: int
    delay_s: int
    out_usd: Decimal
    share: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """False triggers per 1,000 quiet hours: counted, at 95 % between two bounds, and at most (one-sided)."""

    counted: float
    low: float
    high: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Frozen:
    """Hours a year that people would be frozen out for nothing, each trigger for an act's whole duration.

    Expected, at 95 % between two bounds, and at most (one-sided), as the rate; where rules have acts of
    different durations, the bounds are as if all had the shortest, or the longest one: `act_hours`. `cap` is
    what the plan's budget lets its gateways spend in a year.
    """

    act_hours: float
    expected: float
    low: float
    high: float
    at_most: float
    cap: float


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule, or all of a plan together: then edges at one block count once, and the first one detects.

    `triggers` are the edges in quiet time; `rate` and `frozen` are None without any quiet time.
    """

    triggers: tuple[BlockRef, ...]
    detection: Detection | None
    rate: Rate | None
    frozen: Frozen | None
    holds_throughout: bool


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan over the data. Quiet time is what lies before the first attack row, all of it without one."""

    plan_hash: bytes
    rules: Mapping[str, RuleResult]
    plan: RuleResult
    quiet_hours: float
    first_s: int
    end_s: int
    rows: int
    evaluations: int
    attack_s: int | None
    attack_usd: Decimal
    missing: tuple[str, ...]
    """Metrics that rules read and no row was of: what such a rule did tells nothing."""

    @property
    def has_attack(self) -> bool:
        """Whether the data hold an incident."""
        return self.attack_s is not None


def judge(compiled: CompiledPlan, seen: Seen) -> PlanResult:
    """Make the result of what a run saw."""
    plan = compiled.plan
    quiet_end_s = seen.end_s if seen.attack is None else seen.attack.start_s
    quiet_hours = (quiet_end_s - seen.first_s) / HOUR_S
    rules = {
        name: _result(plan, (rule,), seen, quiet_end_s, quiet_hours) for name, rule in plan.rules.items()
    }
    return PlanResult(
        plan_hash=plan.hash,
        rules=rules,
        plan=_result(plan, tuple(plan.rules.values()), seen, quiet_end_s, quiet_hours),
        quiet_hours=quiet_hours,
        first_s=seen.first_s,
        end_s=seen.end_s,
        rows=seen.rows,
        evaluations=seen.evaluations,
        attack_s=None if seen.attack is None else seen.attack.start_s,
        attack_usd=NOTHING if seen.attack is None else seen.attack.total_usd,
        missing=seen.missing,
    )


def _result(
    plan: Plan, rules: tuple[Rule, ...], seen: Seen, quiet_end_s: int, quiet_hours: float
) -> RuleResult:
    own = [seen.rules[rule.name] for rule in rules]
    edges = {edge.number: edge for each in own for edge in each.edges}
    triggers = tuple(edges[number] for number in sorted(edges) if edges[number].timestamp < quiet_end_s)
    if seen.attack is None:
        triggers = tuple(edges[number] for number in sorted(edges))
    detected = min(
        (each.detected for each in own if each.detected is not None),
        key=lambda block: block.number,
        default=None,
    )
    rate = _rate(len(triggers), quiet_hours) if quiet_hours > 0 else None
    return RuleResult(
        triggers=triggers,
        detection=None if detected is None else _detection(detected, seen),
        rate=rate,
        frozen=None if rate is None else _frozen(plan, rules, rate, _hours(plan, rules, seen, triggers)),
        holds_throughout=any(each.is_always_true for each in own),
    )


def _detection(block: BlockRef, seen: Seen) -> Detection:
    attack = seen.attack
    assert attack is not None, "nothing is detected without an attack"
    assert seen.attack_block is not None, "an attack has a first block"
    before = bisect_right(attack.times, block.timestamp)
    out = attack.out_usd[before - 1] if before else NOTHING
    total = attack.total_usd
    return Detection(
        block=block,
        delay_blocks=block.number - seen.attack_block,
        delay_s=block.timestamp - attack.start_s,
        out_usd=out,
        share=float(out / total) if total else None,
    )


def _rate(count: int, hours: float) -> Rate:
    bounds = poisson_bounds(count)
    counted, low, high, at_most = (
        mean * RATE_HOURS / hours for mean in (count, bounds.low, bounds.high, bounds.at_most)
    )
    return Rate(counted, low, high, at_most)


def _hours(plan: Plan, rules: Iterable[Rule], seen: Seen, triggers: Sequence[BlockRef]) -> Sequence[float]:
    """Give for how long each trigger freezes: by the rule with the longest act of those that made it."""
    longest: dict[int, float] = {}
    for rule in rules:
        hours = _act_hours(plan, rule)
        for edge in seen.rules[rule.name].edges:
            longest[edge.number] = max(hours, longest.get(edge.number, 0.0))
    return [longest[trigger.number] for trigger in triggers]


def _act_hours(plan: Plan, rule: Rule) -> float:
    """Give the duration of the longest act of a rule's first rung; a drill freezes nothing."""
    acts = (plan.acts[name] for name in rule.ladder[0].acts)
    return max((act.lasts_s for act in acts if act.verb is not Verb.DRILL), default=0) / HOUR_S


def _frozen(plan: Plan, rules: Iterable[Rule], rate: Rate, hours: Sequence[float]) -> Frozen:
    """Price false triggers: each brings the acts of its rule's first rung, for as long as they last."""
    each = [_act_hours(plan, rule) for rule in rules]
    shortest, longest = min(each, default=0.0), max(each, default=0.0)
    mean = sum(hours) / len(hours) if hours else longest
    cap = YEAR_HOURS * plan.budget.frozen_time_s / plan.budget.window_s
    expected, low, high, at_most = (
        min(figure * YEAR_HOURS / RATE_HOURS * act_hours, cap)
        for figure, act_hours in (
            (rate.counted, mean),
            (rate.low, shortest),
            (rate.high, longest),
            (rate.at_most, longest),
        )
    )
    return Frozen(longest, expected, low, high, at_most, cap)
