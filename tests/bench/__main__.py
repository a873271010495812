"""`python -m tests.bench [--json] [--only NAME]`: every figure beside what it is measured against.

Absolute times are this machine's, ratios within one run hold elsewhere too. Nothing fails here: a goal that
is missed is said, and by how much.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.bench import (
    appends,
    auditlog,
    backtest,
    bundles,
    ceremony,
    certificates,
    faults,
    footprint,
    gas,
    intake,
    million,
    mirrors,
    plans,
    sessions,
    submissions,
    threshold,
    verification,
    witnessing,
)
from tests.bench.figure import Figure

SCHEMA = "tocsin/bench/1"
BENCHES: Mapping[str, Callable[[int], Awaitable[Sequence[Figure]]]] = {
    "certificates-4": lambda seed: certificates.measure(4, seed=seed),
    "certificates-7": lambda seed: certificates.measure(7, seed=seed),
    "intake": intake.measure,
    "plans": plans.measure,
    "backtest": backtest.measure,
    "bundles": bundles.measure,
    "footprint": footprint.measure,
    "appends": lambda seed: appends.measure(),
    "auditlog": auditlog.measure,
    "mirrors": lambda seed: mirrors.measure(),
    "ceremony": ceremony.measure,
    "gas": gas.measure,
    "submissions": submissions.measure,
    "faults": faults.measure,
    "threshold": threshold.measure,
    "sessions": sessions.measure,
    "verification": verification.measure,
    "witnessing": witnessing.measure,
}
LONG: Mapping[str, Callable[[int], Awaitable[Sequence[Figure]]]] = {"million": million.measure}
"""Run by name alone."""


def main() -> int:
    """Run what is asked for, and print it."""
    parser = argparse.ArgumentParser(prog="tests.bench", description="Measure, beside floors and goals.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--only", action="append", choices=[*BENCHES, *LONG], help="these alone; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    console = Console(stderr=True)
    found: dict[str, Sequence[Figure]] = {}
    for name in chosen.only or BENCHES:
        console.print(f"measuring {name} …", style="dim")
        found[name] = asyncio.run(_one({**BENCHES, **LONG}[name], chosen.seed))
    if chosen.json:
        sys.stdout.write(json.dumps(_document(found, chosen.seed), indent=2) + "\n")
    else:
        Console().print(_table(found))
    return 0


async def _one(bench: Callable[[int], Awaitable[Sequence[Figure]]], seed: int) -> Sequence[Figure]:
    found = await bench(seed)
    # What is left of ended processes goes while its loop is still open.
    gc.collect()
    return found


def _document(found: Mapping[str, Sequence[Figure]], seed: int) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "seed": seed,
        "machine": {
            "processors": os.cpu_count(),
            "load_1min": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "benches": {name: [figure.document() for figure in figures] for name, figures in found.items()},
    }


def _table(found: Mapping[str, Sequence[Figure]]) -> Table:
    table = Table(title=f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", title_justify="left")
    for name in ("figure", "value", "beside", "ratio", "goal", "met"):
        table.add_column(name, justify="left" if name in ("figure", "beside") else "right")
    for figures in found.values():
        for figure in figures:
            table.add_row(*_row(figure))
        table.add_section()
    return table


def _row(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    goal = "" if figure.goal is None else f"{figure.judged} {figure.side.value} {_number(figure.goal)}"
    met = {None: "", True: "[green]yes[/green]", False: f"[red]missed {figure.missed_by or 0:.2f} ×[/red]"}
    beside = "" if figure.floor is None else f"{_number(figure.floor)} {figure.floor_name}"
    return (figure.name, f"{_number(figure.value)} {figure.unit}", beside, ratio, goal, met[figure.met])


def _number(value: float) -> str:
    """Four digits, and whole numbers whole."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
