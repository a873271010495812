"""Options that several commands of `tocsin gateway` share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from relay.core.office import CallForm

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SPAN = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def read_span(text: str) -> int:
    """Read a span as plans write it, `90s`, `10m`, `6h` or `30d`, as whole seconds: the type of an option."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"expected a span like 90s, 10m, 6h or 30d, got {text!r}")
    return int(found[1]) * _UNIT_S[found[2]]


def span_option(name: str, default: str, about: str) -> Callable[[F], F]:
    """An option that takes a span."""
    return click.option(name, type=read_span, metavar="SPAN", default=default, show_default=True, help=about)


def rpc_option(command: F) -> F:
    """`--rpc`: who is asked instead of node.toml's endpoints."""
    about = "Ask this endpoint instead of node.toml's; repeat for several: most of them must agree."
    return click.option("--rpc", multiple=True, metavar="URL|@FILE", help=about)(command)


def plan_option(command: F) -> F:
    """`--plan`: a plan file instead of the node's plans."""
    return click.option("--plan", type=FILE, help="A plan file instead of this node's plans.")(command)


def out_options(command: F) -> F:
    """`--out` and `--file`: the calls for those who make them."""
    file = click.Path(dir_okay=False, writable=True, path_type=Path)
    command = click.option("--file", type=file, help="Where --out goes; stdout if not given.")(command)
    forms = click.Choice([form.value for form in CallForm])
    return click.option("--out", type=forms, help="Give the calls in this form.")(command)


def send_options(command: F) -> F:
    """`--send` and whose key signs."""
    command = click.option(
        "--i-know", "i_know", is_flag=True, help="With --yes: send on a chain that is not for development."
    )(command)
    about = "The environment variable with the key in hex."
    command = click.option("--key-env", metavar="NAME", help=about)(command)
    command = click.option("--key-file", type=FILE, help="A sealed key file of kind submitter.")(command)
    return click.option("--send", is_flag=True, help="Send with one key; for development.")(command)


__all__ = ["FILE", "out_options", "plan_option", "read_span", "rpc_option", "send_options", "span_option"]
