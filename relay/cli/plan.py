"""`tocsin plan`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.rehearsal_record import read_record, words_of_record
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError, PlanError
from relay.core.plan import MAX_TEXT_BYTES, Plan
from relay.core.plan_file import parse_plan

_CHECK_EPILOG = """\b
Examples:
  tocsin plan check acme.plan.toml
  tocsin plan check acme.plan.toml --json | jq .hash

Exit code 0 when the plan is in order, 1 when it is refused: the key and what was expected are named.
"""
_HASH_EPILOG = """\b
Example:
  tocsin plan hash acme.plan.toml      what the gateways' owner registers
"""
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command(cls=Command, epilog=_CHECK_EPILOG)
@_file
@click.pass_obj
def check(settings: Settings, file: Path) -> Answer:
    """Check a plan file: every key, every rule, every act."""
    try:
        plan = read_plan(file)
    except PlanError as error:
        document = {"valid": False, "problem": f"{error.where}: {error.problem}", "remedy": error.remedy}
        found = [(False, error.where, error.problem, error.remedy)]
        settings.give("plan-check", document, lambda console: shown.checks(console, found))
        return Answer.NO
    now_s = time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock
    outline = {**plan_document(plan), "rehearsal": words_of_record(read_record(file, plan.hash), now_s)}
    settings.give("plan-check", {"valid": True, **outline}, lambda console: _show(console, outline))
    return Answer.YES


@click.command("hash", cls=Command, epilog=_HASH_EPILOG)
@_file
@click.pass_obj
def hash_(settings: Settings, file: Path) -> Answer:
    """Print a plan's hash."""
    digest = read_plan(file).hash.hex()
    settings.give("plan-hash", {"hash": digest}, lambda console: console.print(digest))
    return Answer.YES


def read_plan(file: Path) -> Plan:
    """Read a plan file.

    Raises:
        ConfigError: the file cannot be read.
        PlanError: the plan is refused.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_TEXT_BYTES + 1).decode()
    except OSError as error:
        raise ConfigError(str(file), f"expected a readable file, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(str(file), f"expected UTF-8, got other bytes at offset {error.start}") from error
    return parse_plan(text, where=str(file))


def plan_document(plan: Plan) -> dict[str, object]:
    """Give a plan's outline as JSON holds it."""
    return {
        "hash": plan.hash.hex(),
        "protocol": plan.protocol,
        "version": plan.version,
        "mode": plan.mode.value,
        "reference": plan.clock.reference,
        "chains": list(plan.chains),
        "metrics": list(plan.metrics),
        "rules": list(plan.rules),
        "acts": {name: f"{act.verb} on {act.text.chain}" for name, act in plan.acts.items()},
    }


def _show(console: Console, outline: Mapping[str, object]) -> None:
    console.print(f"{shown.YES_MARK} in order")
    shown.facts(console, outline)


plan = LazyGroup(
    "plan",
    {
        "check": Lazy("relay.cli.plan:check", "Check a plan file."),
        "hash": Lazy("relay.cli.plan:hash_", "Print a plan's hash."),
        "rehearse": Lazy("relay.cli.rehearse:rehearse", "Try a plan's acts on its chains' own state."),
    },
    help="Response plans: what a protocol agreed shall happen, and when.",
)

__all__ = ["check", "hash_", "plan", "plan_document", "read_plan"]
