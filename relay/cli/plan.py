"""`tocsin plan`: the group, and reading plan files."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError, PlanError
from relay.core.plan import MAX_TEXT_BYTES, Plan
from relay.core.plan_file import parse_plan

_HASH_EPILOG = """\b
Example:
  tocsin plan hash acme.plan.toml      what the gateways' owner registers
"""
_EPILOG = """\b
The way of a plan:
  tocsin plan new --from pausable -o acme.plan.toml     begin with a ready one
  tocsin plan check acme.plan.toml                      all that is wrong with it, each with its remedy
  tocsin plan backtest acme.plan.toml --data rows.csv   its delay, and its price in false alarms
  tocsin plan rehearse acme.plan.toml --fork URL        its acts on the chains' own state
"""


@click.command("hash", cls=Command, epilog=_HASH_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def hash_(settings: Settings, file: Path) -> Answer:
    """Print a plan's hash."""
    digest = read_plan(file).hash.hex()
    settings.give("plan-hash", {"hash": digest}, lambda console: console.print(digest))
    return Answer.YES


def read_plan_text(file: Path) -> str:
    """Read a plan file's text.

    Raises:
        ConfigError: the file cannot be read.
        PlanError: it is no UTF-8.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_TEXT_BYTES + 1).decode()
    except OSError as error:
        raise ConfigError(str(file), f"expected a readable file, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(str(file), f"expected UTF-8, got other bytes at offset {error.start}") from error


def read_plan(file: Path) -> Plan:
    """Read a plan file.

    Raises:
        ConfigError: the file cannot be read.
        PlanError: the plan is refused.
    """
    return parse_plan(read_plan_text(file), where=str(file))


plan = LazyGroup(
    "plan",
    {
        "new": Lazy("relay.cli.plan_new:new", "Make a plan file from a ready one."),
        "check": Lazy("relay.cli.plan_check:check", "Tell all that is wrong with a plan file."),
        "hash": Lazy("relay.cli.plan:hash_", "Print a plan's hash."),
        "sign": Lazy("relay.cli.plan_sign:sign", "Sign a plan as one of the protocol's owners."),
        "diff": Lazy("relay.cli.plan_diff:diff", "Say in words what another version changes."),
        "page": Lazy("relay.cli.plan_page:page", "Write the page that users and risk engines read."),
        "backtest": Lazy(
            "relay.cli.plan_backtest:backtest_", "Try a plan on what happened: delay, false alarms."
        ),
        "cost": Lazy("relay.cli.plan_cost:cost", "Count the RPC requests that plans take."),
        "graph": Lazy("relay.cli.plan_graph:graph", "Show who listens to whom, and who is exposed."),
        "rehearse": Lazy("relay.cli.rehearse:rehearse", "Try a plan's acts on its chains' own state."),
    },
    help="Response plans: what a protocol agreed shall happen, and when.",
    epilog=_EPILOG,
)

__all__ = ["hash_", "plan", "read_plan", "read_plan_text"]
