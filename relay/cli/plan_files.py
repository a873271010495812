"""Plan files as the commands of `tocsin plan` take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from relay.cli.gateway_reading import has_node
from relay.cli.node_files import this_node
from relay.cli.settings import Settings
from relay.core.errors import ConfigError
from relay.disk import replace_file

PLAN_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


def plan_files(settings: Settings, given: Sequence[Path]) -> tuple[Path, ...]:
    """Give the files of the command line, or those of this node.

    Raises:
        ConfigError: there are none.
    """
    if given:
        return tuple(given)
    found = sorted(this_node(settings).plans.glob("*/*.plan.toml")) if has_node(settings) else []
    if not found:
        raise ConfigError(
            "PLAN", "expected a plan file, got none", remedy="give one, or --home of a node with plans"
        )
    return tuple(found)


def write_text(file: Path, text: str) -> None:
    """Write an answer to a file, whole or not at all.

    Raises:
        ConfigError: the folder takes none.
    """
    try:
        replace_file(file, text.encode())
    except OSError as error:
        raise ConfigError(str(file), f"expected a folder that takes files, got: {error.strerror}") from error


__all__ = ["OUT_FILE", "PLAN_FILE", "plan_files", "write_text"]
