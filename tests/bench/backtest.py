"""Rows per second of a back-test, beside bare conditions over as many rows and reading the file alone."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from adapters.evm import adapter
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.plan_file import parse_plan
from relay.plans.backtest import backtest
from relay.plans.tables import load_tables
from tests.bench.figure import Figure, Goal
from tests.plans.worlds import plan_text

__all__ = ["measure"]

T = TypeVar("T")
ROWS: Final = 100_000
GAP_S: Final = 7.776
"""A million rows in 90 days: a busy bridge."""
START_S: Final = 1_700_000_003
GOAL_PER_S: Final = 1_000_000 / 60
METRICS: Final = """[metrics.burned]
read = "event_sum"
chain = "eip155:10"
IN
value = "amount"
scale = 6
[metrics.released]
read = "event_sum"
chain = "eip155:1"
OUT
value = "amount"
scale = 6
[metrics.drained]
read = "event_sum"
chain = "eip155:1"
OUT
value = "amount"
scale = 6
window = "10m"
"""
RULES: Final = """[rules.unbacked]
when = "released > burned"
hold = 1
ladder = [["halt"]]
[rules.drain]
when = "drained > 1000000"
hold = 3
ladder = [["halt"]]
"""


async def measure(seed: int) -> list[Figure]:
    """A conservation rule and one over a window, over burns and releases of two chains at blocks of 12 s."""
    return await asyncio.to_thread(_measure, seed)


def _measure(seed: int) -> list[Figure]:
    plan = parse_plan(plan_text(METRICS, RULES), where="bench.plan.toml")
    compiled = compile_plan(plan, {"eip155": adapter()})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        file.write_text(_rows(seed))
        read_s, _ = _timed(lambda: pl.read_csv(file, infer_schema=False))
        load_s, data = _timed(lambda: load_tables([file], plan))
    bare_s, _ = _timed(lambda: _conditions(compiled))
    test_s, result = _timed(lambda: backtest(compiled, data))
    assert result.rows == ROWS
    assert not result.plan.triggers
    return [
        Figure(
            "back-test, rows of a table to a result",
            ROWS / (load_s + test_s),
            "1/s",
            floor=ROWS / (read_s + bare_s),
            floor_name="polars reads them, both rules' bare CEL for each",
            goal=GOAL_PER_S,
            side=Goal.AT_LEAST,
        ),
        Figure(
            "back-test, processor time of a million rows",
            (load_s + test_s) * 1_000_000 / ROWS,
            "s",
            floor=load_s * 1_000_000 / ROWS,
            floor_name="reading the table",
            goal=60.0,
        ),
    ]


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()  # not the wall's: what else the machine does is no matter here
    result = work()
    return time.process_time() - began, result


def _rows(seed: int) -> str:
    chance, now_s = random.Random(seed), 600.0
    lines = ["timestamp,chain,event,id,kind,amount", f"{START_S},eip155:10,in,first,a,{10**12}"]
    for number in range(1, ROWS):
        now_s += chance.expovariate(1 / GAP_S)
        side = "eip155:10,in" if number % 2 == 0 else "eip155:1,out"
        amount = chance.randrange(10**9, 2 * 10**9) if number % 2 == 0 else chance.randrange(10**9)
        lines.append(f"{START_S + int(now_s) // 12 * 12},{side},{number},a,{amount}")
    return "\n".join(lines) + "\n"


def _conditions(compiled: CompiledPlan) -> None:
    unbacked, drain = compiled.rules["unbacked"].evaluate, compiled.rules["drain"].evaluate
    for number in range(ROWS):
        unbacked({"released": number, "burned": number + 1})
        drain({"drained": number % 1_000_000})
