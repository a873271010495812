"""A back-test's results as JSON holds them: the same bytes for the same input (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from relay.core.plan import Plan
from relay.plans.results import Detection, Frozen, PlanResult, Rate, RuleResult
from relay.plans.sweep import Span

__all__ = ["result_document", "sweep_document"]

_DIGITS: Final = 6
"""Behind the point: bounds are computed to more."""
_CENT: Final = Decimal("0.01")


def result_document(plan: Plan, result: PlanResult) -> dict[str, object]:
    """Give the result of one plan."""
    return {
        "plan": {"protocol": plan.protocol, "version": plan.version, "hash": result.plan_hash.hex()},
        "data": _data(result),
        "rules": {name: _rule(rule) for name, rule in result.rules.items()},
        "all": _rule(result.plan),
    }


def sweep_document(plan: Plan, span: Span, results: Mapping[int, PlanResult]) -> dict[str, object]:
    """Give the results for each value of a limit."""
    first = next(iter(results.values()))
    return {
        "plan": {"protocol": plan.protocol, "version": plan.version, "hash": first.plan_hash.hex()},
        "data": _data(first),
        "limit": span.limit,
        "steps": [
            {
                "value": value,
                "rules": {name: _rule(rule) for name, rule in result.rules.items()},
                "all": _rule(result.plan),
            }
            for value, result in results.items()
        ],
    }


def _data(result: PlanResult) -> dict[str, object]:
    return {
        "rows": result.rows,
        "evaluations": result.evaluations,
        "missing": list(result.missing),
        "first": result.first_s,
        "end": result.end_s,
        "quiet_hours": _rounded(result.quiet_hours),
        "attack": None
        if result.attack_s is None
        else {"start": result.attack_s, "value_usd": _dollars(result.attack_usd)},
    }


def _rule(rule: RuleResult) -> dict[str, object]:
    return {
        "detection": None if rule.detection is None else _detection(rule.detection),
        "quiet_triggers": len(rule.triggers),
        "quiet_trigger_times": [block.timestamp for block in rule.triggers],
        "per_1000_quiet_hours": _figures(rule.rate),
        "frozen_hours_a_year": _figures(rule.frozen),
        "holds_throughout": rule.holds_throughout,
    }


def _figures(figures: Rate | Frozen | None) -> dict[str, float] | None:
    return None if figures is None else {name: _rounded(each) for name, each in asdict(figures).items()}


def _detection(detection: Detection) -> dict[str, object]:
    return {
        "timestamp": detection.block.timestamp,
        "delay_blocks": detection.delay_blocks,
        "delay_s": detection.delay_s,
        "value_out_usd": _dollars(detection.out_usd),
        "value_out_share": None if detection.share is None else _rounded(detection.share),
    }


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)


def _dollars(value: Decimal) -> float:
    return float(value.quantize(_CENT, rounding=ROUND_HALF_EVEN))
