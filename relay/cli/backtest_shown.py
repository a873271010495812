"""Back-tests as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table

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
    _table(console, ["rule", *_columns(result)], rows)
    _foot(console, result)


def show_sweep(console: Console, plan: Plan, span: Span, results: Mapping[int, PlanResult]) -> None:
    """Print a row for each value of the limit, over the plan as a whole; the value in the plan is marked."""
    first = next(iter(results.values()))
    _head(console, plan, first)
    now = plan.limits[span.limit]
    rows = [
        _row(f"{value:,}" + (" = plan" if value == now else ""), result.plan, result)
        for value, result in results.items()
    ]
    _table(console, [span.limit, *_columns(first)], rows)
    _foot(console, first)


def _head(console: Console, plan: Plan, result: PlanResult) -> None:
    console.print(f"[bold]{shown.cell(plan.protocol)}[/] version {plan.version}, {plan.hash.hex()}")
    span = f"{_moment(result.first_s)} to {_moment(result.end_s)}"
    console.print(f"{result.rows:,} rows, {span}; {result.quiet_hours:,.1f} quiet hours")
    if result.attack_s is not None:
        taken = f", {_dollars(result.attack_usd)} in all" if result.attack_usd else ""
        console.print(f"attack from {_moment(result.attack_s)}{taken}")
    console.print()


def _table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under column names; what is too wide goes on below, nothing is cut off."""
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        grid.add_column(column, overflow="fold", justify="right" if place else "left")
    for row in rows:
        grid.add_row(*(shown.flat(value) for value in row))
    console.print(grid)


def _columns(result: PlanResult) -> list[str]:
    found = ["delay", "blocks", "out by then"] if result.has_attack else []
    return [*found, "false", "per 1,000 h", "frozen h/year"]


def _row(name: str, rule: RuleResult, result: PlanResult) -> list[object]:
    found = _found(rule.detection) if result.has_attack else []
    return [name, *found, f"{len(rule.triggers):,}", _rate(rule.rate), _frozen(rule.frozen)]


def _found(detection: Detection | None) -> list[object]:
    if detection is None:
        return ["never", _NOTHING, "all"]
    out = _NOTHING
    if detection.share is not None:
        out = f"{_dollars(detection.out_usd)}, {detection.share:.1%}"
    return [f"{detection.delay_s:,} s", f"{detection.delay_blocks:,}", out]


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return _NOTHING
    if not rate.counted:
        return f"≤ {_figure(rate.at_most)}"
    return f"{_figure(rate.counted)} ({_figure(rate.low)}–{_figure(rate.high)})"


def _frozen(frozen: Frozen | None) -> str:
    if frozen is None:
        return _NOTHING
    if not frozen.expected:
        return f"≤ {_figure(frozen.at_most)}"
    if frozen.low >= frozen.cap:
        return f"{_figure(frozen.cap)}, all"
    return f"{_figure(frozen.expected)} ({_figure(frozen.low)}–{_figure(frozen.high)})"


def _figure(value: float) -> str:
    """Three digits, and whole numbers from 100 on."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _foot(console: Console, result: PlanResult) -> None:
    console.print()
    always = [name for name, rule in result.rules.items() if rule.holds_throughout]
    if always:
        console.print(f"[yellow]![/] true at every evaluated block: {shown.cell(', '.join(always))}")
    if result.missing:
        names = shown.cell(", ".join(result.missing))
        console.print(f"[yellow]![/] no data of {names}: rules that read it were not measured")
    rate, frozen = result.plan.rate, result.plan.frozen
    if rate is None or frozen is None:
        console.print("The data begin with the attack: of false triggers they tell nothing.")
        return
    console.print("false: triggers in quiet time, per 1,000 h with their 95 % interval")
    if not rate.counted:
        console.print(f"  ≤: none was seen; one-sided at 95 %, two-sided {_figure(rate.high)} per 1,000 h")
    console.print(
        f"frozen: each false trigger for the longest act of its rule's first rung, {frozen.act_hours:,.4g} h "
        "at most; "
        f"the budget allows {_figure(frozen.cap)} h/year"
    )


def _moment(timestamp_s: int) -> str:
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _dollars(amount: Decimal) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6)):
        if amount >= size:
            return f"${amount / size:,.2f} {unit}"
    return f"${amount:,.0f}"
