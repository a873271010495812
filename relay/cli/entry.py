"""The root of the command tree, and what becomes of errors."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import click

from proofs.errors import ProofError
from relay.cli.client import NodeRefusal, NodeUnreachable
from relay.cli.commands import Lazy, LazyGroup
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError, GuardRefusal, JournalError, TocsinError, WrongChain

_COMMANDS = {
    "demo": Lazy("relay.cli.demo:demo", "Two chains, four relays, one attack: watch it being contained."),
    "init": Lazy("relay.cli.init:init", "Make a node's directory: keys, token, node.toml."),
    "run": Lazy("relay.cli.run:run", "Run this node until it is told to stop."),
    "status": Lazy("relay.cli.status:status", "Say how the running node is."),
    "log": Lazy("relay.cli.log:log", "Show the node's audit log, who cosigned it, whom it witnesses."),
    "doctor": Lazy("relay.cli.doctor:doctor", "Check files, keys, committee, plans and endpoints."),
    "key": Lazy("relay.cli.key:key", "This node's keys."),
    "committee": Lazy("relay.cli.committee:committee", "Committee documents: show, check, sign."),
    "ceremony": Lazy("relay.cli.ceremony:ceremony", "Threshold keys: propose, join, status, reshare."),
    "plan": Lazy("relay.cli.plan:plan", "Response plans: new, check, sign, page, backtest, graph."),
    "gateway": Lazy("relay.cli.gateway:gateway", "Gateways: propose, deploy, register, inspect, verify."),
    "chain": Lazy("relay.cli.chain:chain", "The chains that this node reads."),
    "incident": Lazy("relay.cli.incident:incident", "Incidents: list, show, watch."),
    "drill": Lazy("relay.cli.drill:drill", "Drills: a harmless call the whole way, and its latency."),
    "signal": Lazy("relay.cli.signal:signal", "Tell the running node something."),
    "audit": Lazy("relay.cli.audit:audit", "Verify evidence, offline."),
}

_HELP = """Tocsin watches protocols on several chains and, when enough independent relays agree that a rule of
a response plan is broken, carries bounded protective calls to every chain the plan names.
"""

_EPILOG = """\b
First steps:
  tocsin demo                      see it work on this machine
  tocsin audit verify FILE         check a bundle, offline
  tocsin init acme                 set up a node for the network acme
  tocsin doctor                    see what is still missing

\b
Exit codes: 0 yes · 1 no, the failed check is named · 2 usage or configuration
            3 could not tell (never 0) · 4 refused for safety · 130 interrupted
"""


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        click.echo(f"tocsin {version('tocsin')}")
        context.exit()


def root() -> click.Group:
    """Build the command tree."""
    group = LazyGroup("tocsin", _COMMANDS, help=_HELP, epilog=_EPILOG)
    group.params.append(
        click.Option(
            ["--version"],
            is_flag=True,
            help="Show the version.",
            callback=_version,
            expose_value=False,
            is_eager=True,
        )
    )
    return group


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or file of another encoding gets escapes for what it cannot hold.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = call(sys.argv[1:] if arguments is None else arguments)
    except Exception:  # noqa: BLE001 - a mistake of ours: all of it is told
        traceback.print_exc()
        code = Answer.UNKNOWN  # Python's own 1 would be our *no*
    sys.exit(code)


def call(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; what went wrong is one line, no traceback."""
    settings = Settings()
    try:
        result: object = root().main(
            args=list(arguments), prog_name="tocsin", standalone_mode=False, obj=settings
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message(), err=True)
        return Answer.USAGE
    except click.ClickException as error:
        return _usage(settings, error)
    except (click.Abort, KeyboardInterrupt):
        return Answer.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader left (`| head`): nothing more can be said, also not at exit. For that alone click itself
        # ends the process here, with 1, which is our *no*.
        _drop_output()
        return Answer.UNKNOWN
    except OSError as error:
        # A full disk under the answer, say: who reads it must not find half of one and Python's 1, our *no*.
        _drop_output()
        click.echo(f"error: {error}", err=True)
        return Answer.UNKNOWN
    except ProofError as error:
        return settings.fail(str(error), "", Answer.NO)
    except TocsinError as error:
        remedy = error.remedy if isinstance(error, ConfigError | NodeRefusal | NodeUnreachable) else ""
        text = f"{error.where}: {error.problem}" if isinstance(error, ConfigError) else str(error)
        return settings.fail(text, remedy, answer_for(error))
    return result if isinstance(result, int) else Answer.YES


def _drop_output() -> None:
    """Let what is still to be written go nowhere, also at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_for(error: TocsinError) -> Answer:
    """Give the exit code of an error that ended a command."""
    if isinstance(error, ConfigError | WrongChain):
        return Answer.USAGE
    if isinstance(error, GuardRefusal | JournalError):
        return Answer.REFUSED
    if isinstance(error, NodeRefusal) and error.is_final:
        return Answer.NO
    return Answer.UNKNOWN


def _usage(settings: Settings, error: click.ClickException) -> int:
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help"
    return settings.fail(error.format_message(), hint, Answer.USAGE)


__all__ = ["answer_for", "call", "main", "root"]
