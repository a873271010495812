"""A back-test for many values of one limit: what a faster detection costs in false alarms (plans SPEC 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from relay.core.compiled import CompiledPlan
from relay.core.errors import ConfigError
from relay.core.expressions import Condition
from relay.core.metrics import INT64_MAX, INT64_MIN
from relay.core.plan import Plan, Rule
from relay.plans.backtest import GridSettings, observe
from relay.plans.results import PlanResult, Seen, judge
from relay.plans.rows import Observations

__all__ = ["MAX_STEPS", "Span", "parse_span", "sweep"]

MAX_STEPS: Final = 200
_SPAN: Final = re.compile(r"([a-z][a-z0-9_]*)=(-?\d{1,20}):(-?\d{1,20}):(\d{1,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """The values of a limit that are tried, in their order, each once."""

    limit: str
    values: tuple[int, ...]


def parse_span(text: str, plan: Plan) -> Span:
    """Read `limit=from:to:steps`: so many values from one to the other, both included, evenly apart.

    Raises:
        ConfigError: it is written otherwise, or the plan has no such limit in a rule.
    """
    where, match = f"--sweep {text}", _SPAN.fullmatch(text)
    if match is None:
        raise ConfigError(where, "expected LIMIT=FROM:TO:STEPS, as max_out=1000:5000:9")
    name, first, last, steps = match[1], int(match[2]), int(match[3]), int(match[4])
    if name not in plan.limits:
        known = ", ".join(plan.limits) or "none"
        raise ConfigError(
            where,
            f"expected a limit of the plan ({known}), got {name}",
            remedy=f"add `[limits]` with `{name} = …` to the plan and use it in a condition",
        )
    if not any(_names(rule, name) for rule in plan.rules.values()):
        raise ConfigError(where, f"expected a limit that some rule names, got {name}")
    if not 2 <= steps <= MAX_STEPS:
        raise ConfigError(where, f"expected 2 to {MAX_STEPS} steps, got {steps}")
    if min(first, last) < INT64_MIN or max(first, last) > INT64_MAX:
        raise ConfigError(where, "expected limits of 64 bits, got larger ones")
    values = dict.fromkeys(first + (last - first) * step // (steps - 1) for step in range(steps))
    return Span(name, tuple(values))


def sweep(
    plan: Plan,
    compile_it: Callable[[Plan], CompiledPlan],
    data: Observations,
    span: Span,
    settings: GridSettings | None = None,
    told: Callable[[float], None] | None = None,
) -> Mapping[int, PlanResult]:
    """Give the plan's result for each value of the limit, all from one run.

    Raises:
        PlanError: the plan does not compile with a value.
        DataError: as `backtest`.
    """
    variants = {
        value: compile_it(replace(plan, limits={**plan.limits, span.limit: value})) for value in span.values
    }
    seen = observe(_together(plan, variants, span.limit), data, settings, told)
    return {
        value: judge(compiled, _own(plan, seen, span.limit, value)) for value, compiled in variants.items()
    }


def _together(plan: Plan, variants: Mapping[int, CompiledPlan], limit: str) -> CompiledPlan:
    """Make one plan of all: a rule that names the limit stands there once for each value."""
    rules: dict[str, Rule] = {}
    conditions: dict[str, Condition] = {}
    for name, rule in plan.rules.items():
        for value, compiled in variants.items():
            key = _key(rule, limit, value)
            rules[key], conditions[key] = replace(rule, name=key), compiled.rules[name]
    first = next(iter(variants.values()))
    return replace(first, plan=replace(plan, rules=rules), rules=conditions)


def _own(plan: Plan, seen: Seen, limit: str, value: int) -> Seen:
    """Give what the rules did with one value, under their own names."""
    return replace(
        seen, rules={name: seen.rules[_key(rule, limit, value)] for name, rule in plan.rules.items()}
    )


def _key(rule: Rule, limit: str, value: int) -> str:
    return f"{rule.name}@{value}" if _names(rule, limit) else rule.name


def _names(rule: Rule, limit: str) -> bool:
    return re.search(rf"\b{limit}\b", rule.when) is not None
