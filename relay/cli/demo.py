"""`tocsin demo`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.plan_files import write_text
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError

GROUP = "tocsin.demos"
"""Entry points of demonstrations: they need a kind of chain, and `relay` knows none."""

_EPILOG = """\b
Examples:
  tocsin demo                             the built-in scenario
  tocsin demo --events events.csv --json  recorded traffic, one JSON object at the end
  tocsin demo --quorum ecdsa              without group keys: certificates are lists of signatures
  tocsin demo --keep                      leave everything running, and say how to look at it
  tocsin demo --addresses                 what a plan must say to be practised: chain, gateway, vault, token
  tocsin demo --practice vault.plan.toml  your own plan on a vault that is robbed, hours in a minute

Needs Node.js with the packages of `make` (anvil). Exit code 0 only if both chains were contained and the
evidence was verified; of a practice, if the plan protected, left quiet life alone, and was undone.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "--events",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded bridge traffic to replay.",
)
@click.option(
    "--quorum",
    type=click.Choice(["ecdsa", "frost"]),
    default="frost",
    show_default=True,
    help="Kind of certificate: one signature by a group key, or a list of signatures.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the scenario.")
@click.option("--keep", is_flag=True, help="Leave chains and relays running.")
@click.option(
    "--pace",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="How slowly to show it; 0 is as fast as it goes.",
)
@click.option(
    "--practice",
    "plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A plan to practise on a vault that is robbed, instead of the scenario.",
)
@click.option(
    "--history",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="With --practice: write a fortnight of the vault as a table for plan backtest, and end.",
)
@click.option("--addresses", is_flag=True, help="Print what a plan must say to be practised, and end.")
@click.pass_obj
def demo(
    settings: Settings,
    events: Path | None,
    quorum: str,
    seed: int,
    keep: bool,
    pace: float,
    plan: Path | None,
    history: Path | None,
    addresses: bool,
) -> int:
    """Two chains, four relays, one attack: watch it being contained. Or practise a plan of your own."""
    entry = _installed()
    if addresses:
        return _give_addresses(settings)
    practice = None if plan is None else _checked(settings, plan)
    if plan is not None and practice is None:
        return Answer.NO
    if history is not None:
        return _give_history(settings, entry, practice, history, seed)
    code: int = entry.load()(
        events=events,
        quorum=quorum,
        seed=seed,
        keep=keep,
        as_json=settings.json,
        pace=pace,
        practice=practice,
    )
    return code


def _installed() -> EntryPoint:
    found = list(entry_points(group=GROUP))
    if not found:
        problem = "expected an installed demonstration, got none"
        raise ConfigError("tocsin demo", problem, remedy="run make demo")
    return found[0]


def practice_values() -> Mapping[str, str]:
    """Give what a plan must say to be practised, by the names of a ready plan's placeholders.

    Raises:
        ConfigError: no demonstration is installed.
    """
    values: Mapping[str, str] = import_module(_installed().module).practice_values()
    return values


def _give_history(
    settings: Settings, entry: EntryPoint, practice: tuple[str, Path] | None, out: Path, seed: int
) -> Answer:
    if practice is None:
        raise click.UsageError("--history: expected --practice PLAN with it, got none")
    text: str = import_module(entry.module).practice_history(*practice, seed)
    write_text(out, text)
    rows, file = text.count("\n") - 1, practice[1]
    document = {"file": str(out), "rows": rows}
    settings.give(
        "practice-history",
        document,
        lambda console: console.print(
            f"{rows} rows, a fortnight and a theft: {out}\n  tocsin plan backtest {file} --data {out}",
            markup=False,
        ),
    )
    return Answer.YES


def _give_addresses(settings: Settings) -> Answer:
    values = practice_values()

    def show(console: Console) -> None:
        shown.facts(console, values)
        console.print("\ntocsin plan new --from pausable --practice -o vault.plan.toml", markup=False)

    settings.give("practice-place", {"values": dict(values)}, show)
    return Answer.YES


def _checked(settings: Settings, file: Path) -> tuple[str, Path] | None:
    """Give the text of a plan that is in order; else tell all that is wrong with it."""
    # Late: the scenario needs no packages of the plans' tools.
    from relay.chains import load_adapters
    from relay.cli.plan import read_plan_text
    from relay.plans.survey import survey_text

    text = read_plan_text(file)
    found = survey_text(text, str(file), load_adapters())
    if found.compiled is not None:
        return text, file
    told = [(False, error.where, error.problem, error.remedy) for error in found.errors]
    problems = [{"where": w, "problem": p, "remedy": r} for _, w, p, r in told]
    settings.give(
        "practice", {"valid": False, "errors": problems}, lambda console: shown.checks(console, told)
    )
    return None


__all__ = ["demo", "practice_values"]
