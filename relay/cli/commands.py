"""Commands with the common options, and groups that load their commands when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click

from relay.cli.settings import HOME_VARIABLE, settings_of
from relay.core.errors import ConfigError

_OWN_PACKAGES = ("relay", "proofs", "adapters")
_PLANS_PACKAGES = ("matplotlib", "networkx", "polars")


def _store(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option that was given; one given twice counts where it stands last."""
    assert parameter.name
    if value not in (None, False):
        setattr(settings_of(context), parameter.name, value)


def _common() -> list[click.Parameter]:
    def flag(name: str, about: str) -> click.Option:
        return click.Option([name], is_flag=True, help=about, callback=_store, expose_value=False)

    return [
        click.Option(
            ["--home"],
            type=click.Path(path_type=Path),
            help=f"Where the nodes' directories lie (${HOME_VARIABLE}).",
            callback=_store,
            expose_value=False,
        ),
        click.Option(
            ["--network"],
            help="Which network, when the home holds several.",
            callback=_store,
            expose_value=False,
        ),
        flag("--json", "Give one JSON object with its schema."),
        flag("--quiet", "Say nothing; the exit code is the answer."),
        flag("--no-color", "No colour."),
        flag("--yes", "Do not ask."),
    ]


class Command(click.Command):
    """A command that takes the common options too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Own parameters first, then the common ones that they leave (some have a --network), and --help."""
        own = super().get_params(ctx)
        taken = {name for each in own for name in each.opts}
        common = [each for each in _common() if taken.isdisjoint(each.opts)]
        return [*(own[:-1] if own else []), *common, *own[-1:]]


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command is, as `module:name`, and its line in the list of commands."""

    where: str
    about: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used: `--help` needs none of their dependencies."""

    def __init__(self, name: str, lazy: Mapping[str, Lazy], *, help: str, epilog: str = "") -> None:  # noqa: A002
        super().__init__(name, help=help, epilog=epilog, no_args_is_help=True)
        self._lazy = lazy

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The common options stand before a command's name as well."""
        own = super().get_params(ctx)
        return [*own[:-1], *_common(), *own[-1:]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are declared."""
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command.

        Raises:
            ConfigError: it needs what is not installed.
        """
        del ctx
        entry = self._lazy.get(cmd_name)
        return None if entry is None else _load(entry.where, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.about) for name, entry in self._lazy.items()])


def _load(where: str, name: str) -> click.Command:
    module, _, attribute = where.partition(":")
    try:
        command = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OWN_PACKAGES:
            raise
        problem = f"expected the package {missing}, got none"
        extra = "plans" if missing in _PLANS_PACKAGES else "relay"
        raise ConfigError(f"tocsin {name}", problem, remedy=f"pip install 'tocsin[{extra}]'") from error
    assert isinstance(command, click.Command)
    return command


__all__ = ["Command", "Lazy", "LazyGroup"]
