"""Options that several commands of `tocsin gateway` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def rpc_option(command: F) -> F:
    """`--rpc`: who is asked instead of node.toml's endpoints."""
    about = "Ask this endpoint instead of node.toml's; repeat for several: most of them must agree."
    return click.option("--rpc", multiple=True, metavar="URL|@FILE", help=about)(command)


def plan_option(command: F) -> F:
    """`--plan`: a plan file instead of the node's plans."""
    return click.option("--plan", type=FILE, help="A plan file instead of this node's plans.")(command)


__all__ = ["FILE", "plan_option", "rpc_option"]
