"""`tocsin plan backtest`: a plan's delay and its price in false alarms, over data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from relay.chains import load_adapters
from relay.cli.backtest_shown import show_result, show_sweep
from relay.cli.commands import Command
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.core.types import Caip2
from relay.plans.backtest import DEFAULT_BLOCK_TIME_S, GridSettings, backtest
from relay.plans.report import result_document, sweep_document
from relay.plans.rows import ATTACK, Observations
from relay.plans.sweep import Span, parse_span, sweep

_EPILOG = """\b
Examples:
  tocsin plan backtest bridge.plan.toml --data events.csv
  tocsin plan backtest bridge.plan.toml --data burns.parquet --data releases.parquet --map at=timestamp
  tocsin plan backtest market.plan.toml --data prices.csv --block-time 2
  tocsin plan backtest bridge.plan.toml --data events.csv --sweep max_out=1000:50000:20 --plot sweep.svg
  tocsin plan backtest bridge.plan.toml --data events.csv --json | jq '.rules[].per_1000_quiet_hours'

\b
Tables, CSV or Parquet, with a head for each column:
  events   timestamp, chain, event, the event's fields; contract, block, label, value_usd where known
  series   timestamp, metric, value; or timestamp and one column for each metric of state

Times are seconds since 1970, amounts whole base units, `chain` a CAIP-2 name (not needed where the plan has
one chain). A series gives what a contract answers, unscaled, and holds until its next row; metrics of one
reading take one column, their means and windows are computed; an oracle may have NAME.updated_at besides.
Rows with the label `attack` are the incident; all before the first of them is quiet time.

Rules are evaluated by the code that runs in a node, at a block every --block-time seconds and at each row.
Intervals are exact for a Poisson count, at 95 %: after h quiet hours without any trigger it may still be
3,689 / h per 1,000 h. Frozen hours take each trigger for the whole duration of its acts.

Exit code 0 when it could be told, 1 when the data hold an attack that no rule detects.
"""
_MOST_LABELS = 5
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("plan_file", metavar="PLAN", type=_FILE)
@click.option("--data", "files", type=_FILE, multiple=True, required=True, help="A table; may be repeated.")
@click.option("--map", "maps", multiple=True, metavar="COLUMN=NAME", help="Read a column by another name.")
@click.option(
    "--block-time",
    type=click.IntRange(1),
    default=DEFAULT_BLOCK_TIME_S,
    show_default=True,
    help="Seconds between blocks.",
)
@click.option(
    "--chain-block-time", "block_times", multiple=True, metavar="CHAIN=S", help="Those of one chain."
)
@click.option("--label-column", metavar="COLUMN", help="As --map COLUMN=label.")
@click.option("--value-column", metavar="COLUMN", help="As --map COLUMN=value_usd.")
@click.option("--allow-missing", is_flag=True, help="Take a plan of which some metric has no data.")
@click.option("--every-block", is_flag=True, help="Leave out no block; slower, with the same result.")
@click.option(
    "--sweep", "span_text", metavar="LIMIT=FROM:TO:STEPS", help="Try values of a limit of the plan."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the sweep: .png or .svg.")
@click.pass_obj
def backtest_(
    settings: Settings,
    plan_file: Path,
    files: tuple[Path, ...],
    maps: tuple[str, ...],
    block_time: int,
    block_times: tuple[str, ...],
    label_column: str | None,
    value_column: str | None,
    allow_missing: bool,
    every_block: bool,
    span_text: str | None,
    plot: Path | None,
) -> Answer:
    """Say how late a plan would have acted, how often for nothing, and what that costs."""
    plan = read_plan(plan_file)
    span = None if span_text is None else parse_span(span_text, plan)
    if plot is not None and plot.suffix not in (".png", ".svg"):
        raise ConfigError(f"--plot {plot}", "expected a name that ends in .png or .svg")
    if plot is not None and span is None:
        raise ConfigError(
            "--plot", "expected --sweep beside it, got none", remedy="give --sweep LIMIT=FROM:TO:STEPS"
        )
    mapping = _mapping(maps, label_column, value_column)
    grid = GridSettings(block_time, _block_times(plan, block_times), not every_block, allow_missing)
    data = _load(settings, files, plan, mapping)
    adapters = load_adapters()

    def compile_it(each: Plan) -> CompiledPlan:
        return compile_plan(each, adapters)

    if span is None:
        return _test(settings, plan, compile_it(plan), data, grid)
    return _sweep(settings, (plan, compile_it, span), data, grid, plot)


def _test(
    settings: Settings, plan: Plan, compiled: CompiledPlan, data: Observations, grid: GridSettings
) -> Answer:
    with _progress(settings, "back-test") as told:
        result = backtest(compiled, data, grid, told)
    document = result_document(plan, result)
    settings.give("plan-backtest", document, lambda console: show_result(console, plan, result))
    return Answer.NO if result.has_attack and result.plan.detection is None else Answer.YES


def _sweep(
    settings: Settings,
    what: tuple[Plan, Callable[[Plan], CompiledPlan], Span],
    data: Observations,
    grid: GridSettings,
    plot: Path | None,
) -> Answer:
    plan, compile_it, span = what
    with _progress(settings, f"sweep of {span.limit}") as told:
        results = sweep(plan, compile_it, data, span, grid, told)
    if plot is not None:
        from relay.plans.plots import plot_sweep

        plot_sweep(plot, plan.protocol, span, results)
        settings.say(f"drawn as {plot}")
    document = sweep_document(plan, span, results)
    settings.give("plan-sweep", document, lambda console: show_sweep(console, plan, span, results))
    return Answer.YES


def _load(settings: Settings, files: Sequence[Path], plan: Plan, mapping: Mapping[str, str]) -> Observations:
    from relay.plans.tables import load_tables

    settings.say(f"reading {', '.join(str(file) for file in files)} …")
    data = load_tables(files, plan, mapping)
    seen = {row.label for row in data.events} | {row.label for row in data.series}
    labels = sorted(seen - {""})
    if labels and ATTACK not in labels:
        told = ", ".join(labels[:_MOST_LABELS])
        settings.say(f"no row has the label {ATTACK} (there are {told}): all of it is quiet time")
    return data


@contextmanager
def _progress(settings: Settings, what: str) -> Iterator[Callable[[float], None]]:
    console = settings.console(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    is_hidden = settings.quiet or settings.json or not console.is_terminal
    with Progress(*columns, console=console, disable=is_hidden, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


# ---- options


def _mapping(maps: Sequence[str], label: str | None, value: str | None) -> Mapping[str, str]:
    mapping: dict[str, str] = {}
    for text in maps:
        column, is_pair, name = text.partition("=")
        if not (is_pair and column and name):
            raise ConfigError("--map", f"expected COLUMN=NAME, got {text}")
        mapping[column] = name
    mapping |= {label: "label"} if label else {}
    mapping |= {value: "value_usd"} if value else {}
    return mapping


def _block_times(plan: Plan, texts: Sequence[str]) -> Mapping[Caip2, int]:
    times: dict[Caip2, int] = {}
    for text in texts:
        chain, _, seconds = text.rpartition("=")
        if not chain or not re.fullmatch("[0-9]{1,9}", seconds) or int(seconds) < 1:
            raise ConfigError("--chain-block-time", f"expected CHAIN=SECONDS, as eip155:10=2, got {text}")
        if chain not in plan.chains:
            known = ", ".join(plan.chains)
            raise ConfigError("--chain-block-time", f"expected a chain of the plan ({known}), got {chain}")
        times[Caip2(chain)] = int(seconds)
    return times


__all__ = ["backtest_"]
