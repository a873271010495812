"""`tocsin demo`."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import click

from relay.cli.commands import Command
from relay.cli.settings import Settings
from relay.core.errors import ConfigError

GROUP = "tocsin.demos"
"""Entry points of demonstrations: they need a kind of chain, and `relay` knows none."""

_EPILOG = """\b
Examples:
  tocsin demo                             the built-in scenario
  tocsin demo --events events.csv --json  recorded traffic, one JSON object at the end
  tocsin demo --quorum ecdsa              without group keys: certificates are lists of signatures
  tocsin demo --keep                      leave everything running, and say how to look at it

Needs Node.js with the packages of `make` (anvil). Exit code 0 only if both chains were contained and the
evidence was verified.
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
@click.pass_obj
def demo(settings: Settings, events: Path | None, quorum: str, seed: int, keep: bool, pace: float) -> int:
    """Two chains, four relays, one attack: watch it being contained."""
    found = list(entry_points(group=GROUP))
    if not found:
        problem = "expected an installed demonstration, got none"
        raise ConfigError("tocsin demo", problem, remedy="run make demo")
    code: int = found[0].load()(
        events=events, quorum=quorum, seed=seed, keep=keep, as_json=settings.json, pace=pace
    )
    return code


__all__ = ["demo"]
