"""A plan's text and rows, judged by the back-test."""

from __future__ import annotations

from adapters.evm import adapter
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.plan_file import parse_plan
from relay.plans.backtest import backtest
from relay.plans.results import PlanResult
from relay.plans.rows import Observations


def compiled(text: str) -> CompiledPlan:
    """Read and compile a plan of EVM chains."""
    return compile_plan(parse_plan(text, where="ready.plan.toml"), {"eip155": adapter()})


def judge(text: str, rows: Observations) -> PlanResult:
    """Give what the plan's rules would have done."""
    return backtest(compiled(text), rows)
