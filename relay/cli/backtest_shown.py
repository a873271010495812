"""Back-tests as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from relay.cli import shown
from relay.core.plan import Plan
from relay.plans.results import Detection, Frozen, PlanResult, Rate, RuleResult
from relay.plans.sweep import Span

__all__ = ["show_result", "show_sweep"]

_NOTHING = "–"


def show_result(console: Console, plan: Plan, result: PlanResult) -> None:
    """Print what a back-test found: a row for each rule, and one for the plan."""
    _head(console, plan, result)
    rows = [_row(name, rule, result) for name, rule in result.rules.items()]
    if len(rows) > 1:
        rows.append(_row("any rule", result.plan, result))
    columns = ["rule", "detected after", "value out by then"] if result.has_attack else ["rule"]
    columns += ["false triggers", "per 1,000 quiet hours", "frozen hours a year"]
    shown.table(console, columns, rows)
    _foot(console, result)


def show_sweep(console: Console, plan: Plan, span: Span, results: Mapping[int, PlanResult]) -> None:
    """Print a row for each value of the limit, over the plan as a whole; the value in the plan is marked."""
    first = next(iter(results.values()))
    _head(console, plan, first)
    columns = [span.limit, "detected after", "value out by then"] if first.has_attack else [span.limit]
    columns += ["false triggers", "per 1,000 quiet hours", "frozen hours a year"]
    now = plan.limits[span.limit]
    rows = [
        _row(f"{value:,}" + (" (in the plan)" if value == now else ""), result.plan, result)
        for value, result in results.items()
    ]
    shown.table(console, columns, rows)
    _foot(console, first)


def _head(console: Console, plan: Plan, result: PlanResult) -> None:
    console.print(f"[bold]{shown.cell(plan.protocol)}[/] version {plan.version}, {plan.hash.hex()}")
    span = f"{_moment(result.first_s)} to {_moment(result.end_s)}"
    console.print(f"{result.rows:,} rows, {span}; {result.quiet_hours:,.1f} quiet hours")
    if result.attack_s is not None:
        taken = f", {_dollars(result.attack_usd)} in all" if result.attack_usd else ""
        console.print(f"attack from {_moment(result.attack_s)}{taken}")
    console.print()


def _row(name: str, rule: RuleResult, result: PlanResult) -> list[object]:
    found = [_delay(rule.detection), _out(rule.detection)] if result.has_attack else []
    return [name, *found, f"{len(rule.triggers):,}", _rate(rule.rate), _frozen(rule.frozen)]


def _delay(detection: Detection | None) -> str:
    if detection is None:
        return "never"
    blocks = "block" if detection.delay_blocks == 1 else "blocks"
    return f"{detection.delay_blocks:,} {blocks}, {detection.delay_s:,} s"


def _out(detection: Detection | None) -> str:
    if detection is None:
        return "all"
    if detection.share is None:
        return _NOTHING
    return f"{_dollars(detection.out_usd)}, {detection.share:.1%}"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "no quiet time"
    if not rate.counted:
        return f"≤ {rate.at_most:.2f} (two-sided ≤ {rate.high:.2f})"
    return f"{rate.counted:,.2f} ({rate.low:,.2f} to {rate.high:,.2f})"


def _frozen(frozen: Frozen | None) -> str:
    if frozen is None:
        return _NOTHING
    return f"{frozen.expected:,.1f} ({frozen.low:,.1f} to {frozen.high:,.1f})"


def _foot(console: Console, result: PlanResult) -> None:
    always = [name for name, rule in result.rules.items() if rule.holds_throughout]
    if always:
        console.print(f"[yellow]![/] true at every evaluated block: {shown.cell(', '.join(always))}")
    frozen = result.plan.frozen
    if frozen is not None:
        console.print(
            f"\nIntervals at 95 %. Frozen hours: each trigger for {frozen.act_hours:,.4g} h, the longest act of a "
            f"first rung; the budget allows {frozen.cap:,.0f} h a year."
        )
    if result.rows and not result.quiet_hours:
        console.print("The data begin with the attack: of false triggers they tell nothing.")


def _moment(timestamp_s: int) -> str:
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.0f}"
