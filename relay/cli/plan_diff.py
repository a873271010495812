"""`tocsin plan diff`: what another version of a plan changes, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.plan import read_plan
from relay.cli.plan_files import PLAN_FILE
from relay.cli.settings import Answer, Settings
from relay.core.plan import Plan
from relay.plans.differences import Change, Group, differences

_EPILOG = """\b
Examples:
  tocsin plan diff acme-3.plan.toml acme-4.plan.toml
  tocsin plan diff old.plan.toml new.plan.toml --json | jq '.changes[].words'

Stricter for users: more power over them, for longer, or earlier. Weaker protection: the contrary. Neutral:
the same for everybody, or the text does not tell. Every changed key is named.
Exit code 0 when nothing changes, 1 when something does.
"""
_COLOURS = {Group.STRICTER: "yellow", Group.WEAKER: "red", Group.NEUTRAL: "dim"}


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("old", type=PLAN_FILE)
@click.argument("new", type=PLAN_FILE)
@click.pass_obj
def diff(settings: Settings, old: Path, new: Path) -> Answer:
    """Say what another version of a plan changes: stricter for users, weaker protection, or neutral."""
    before, after = read_plan(old), read_plan(new)
    changes = differences(before, after)
    document = {
        "old": before.hash.hex(),
        "new": after.hash.hex(),
        "changes": [
            {"key": change.key, "group": change.group.value, "words": change.words} for change in changes
        ],
    }
    settings.give("plan-diff", document, lambda console: _show(console, before, after, changes))
    return Answer.NO if changes else Answer.YES


def _show(console: Console, old: Plan, new: Plan, changes: Sequence[Change]) -> None:
    if not changes:
        console.print(f"{shown.YES_MARK} the same plan: {shown.cell(old.hash.hex())}")
    if changes and new.version <= old.version:
        console.print(f"[yellow]![/] expected a later version than {old.version}, got {new.version}")
    for group in Group:
        own = [change for change in changes if change.group is group]
        if own:
            console.print(f"[bold {_COLOURS[group]}]{group.value}[/]")
        for change in own:
            console.print(f"  {shown.cell(change.words)}")


__all__ = ["diff"]
