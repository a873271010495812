"""What every command knows: the options that stand everywhere, and where its answer goes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import click
from rich.console import Console

HOME_VARIABLE = "TOCSIN_HOME"
DEFAULT_HOME = "~/.tocsin"


class Answer(IntEnum):
    """Exit codes. A script can rely on them: what could not be told is never 0."""

    YES = 0
    NO = 1
    USAGE = 2
    UNKNOWN = 3
    REFUSED = 4
    INTERRUPTED = 130


class PipedConsole(Console):
    """A console that leaves it to `entry.call` what becomes of a reader that left (`| head`)."""

    def on_broken_pipe(self) -> None:
        """Let it be *could not tell*: Rich would leave with 1, which is *no*."""
        raise BrokenPipeError


@dataclass(slots=True)
class Settings:
    """The options of this call, filled while click reads the command line."""

    home: Path | None = None
    network: str | None = None
    json: bool = False
    quiet: bool = False
    no_color: bool = False
    yes: bool = False

    @property
    def home_directory(self) -> Path:
        """--home, $TOCSIN_HOME, or ~/.tocsin."""
        return self.home or Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser()

    def console(self, *, error: bool = False) -> Console:
        """Give a console on stdout or stderr; colour for terminals that want it."""
        stream = sys.stderr if error else sys.stdout
        return PipedConsole(file=stream, no_color=self.no_color or None, highlight=False, soft_wrap=True)

    def give(self, kind: str, document: Mapping[str, object], show: Callable[[Console], None]) -> None:
        """Give an answer: one JSON object with its `schema`, or what `show` prints for people."""
        if self.json:
            click.echo(json.dumps({"schema": f"tocsin/{kind}/1", **document}, ensure_ascii=False))
        elif not self.quiet:
            show(self.console())

    def fail(self, problem: str, remedy: str, answer: Answer) -> Answer:
        """Say what went wrong, in one line, and what to do about it; gives back the exit code."""
        if self.json:
            document = {"problem": problem, "remedy": remedy, "exit_code": int(answer)}
            self.give("error", document, lambda _console: None)
            return answer
        console = self.console(error=True)
        console.print(f"error: {_plain(problem)}", style="bold red", markup=False)
        if remedy:
            console.print(f"  try: {_plain(remedy)}", markup=False)
        return answer

    def say(self, text: str) -> None:
        """Tell a person something on stderr that is no answer."""
        if not self.quiet:
            self.console(error=True).print(_plain(text), markup=False, style="dim")

    def confirm(self, question: str) -> bool:
        """Ask before what cannot be undone; --yes answers it, and without a terminal the answer is no."""
        if self.yes:
            return True
        return sys.stdin.isatty() and click.confirm(question, default=False, err=True)


def _plain(text: str) -> str:
    """Give a text as a terminal may print it: what a file or a server wrote in it moves no cursor."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def settings_of(context: click.Context) -> Settings:
    """Give the settings of this call; made by the outermost command."""
    settings = context.ensure_object(Settings)
    assert isinstance(settings, Settings)
    return settings


__all__ = ["HOME_VARIABLE", "Answer", "Settings", "settings_of"]
