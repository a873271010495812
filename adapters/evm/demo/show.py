"""What a person sees while the demonstration runs, and the table at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from adapters.evm.demo.practice_report import PracticeReport
from adapters.evm.demo.report import ActReport, Report

__all__ = ["Show"]


class Show:
    """Speaks on a console (stderr, so that a machine's answer stands alone on stdout)."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str, style: str = "") -> None:
        """One line of the story."""
        self.console.print(text, style=style or None, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator[Progress]:
        """A bar for something long; call `advance` or `update` on task 0."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            progress.add_task(text, total=total)
            yield progress

    def table(self, report: Report) -> None:
        """The result."""
        table = Table(
            title=f"Tocsin demonstration: {report.scenario}", title_justify="left", show_header=False
        )
        table.add_column(style="bold")
        table.add_column()
        for name, value in report.rows():
            table.add_row(name, value)
        self.console.print(table)
        acts = Table(title="Protective calls", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for name in ("chain", "act", "effect", "state", "by", "block", "gas"):
            acts.add_column(name, no_wrap=True)
        for act in report.acts:
            row = (act.chain, act.act, act.effect, _state(act), act.certificate, str(act.block))
            acts.add_row(*row, f"{act.gas:,}")
        self.console.print(acts)
        if report.evidence.commands:
            self.say("Check it again, with nothing but the base install and that folder:", "bold")
        for command in report.evidence.commands:
            self.say(f"  {command}")

    def practised(self, report: PracticeReport) -> None:
        """What came of a practice."""
        table = Table(title="Practised", title_justify="left", show_header=False, box=None)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in report.rows():
            table.add_row(name, value)
        self.console.print(table)
        if report.failed_step:
            self.say(f"not as it should be: {report.failed_step}", "bold red")


def _state(act: ActReport) -> str:
    """What the effect check found."""
    if act.state is None:
        return "not checked"
    if act.ours:
        return f"[green]{act.state}, ours[/green]"
    return f"{act.state}, protected" if act.protected else f"[red]{act.state}, not protected[/red]"
