"""`tocsin plan new`: a plan file from a ready one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.demo import practice_values
from relay.cli.findings import Finding
from relay.cli.plan_files import OUT_FILE, write_text
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError
from relay.plans.survey import survey_text
from relay.plans.templates import Placeholder, ReadyPlan, check_value, ready_plan, ready_plans

_EPILOG = """\b
Examples:
  tocsin plan new                                      what there is
  tocsin plan new --from pausable                      what it is for and what it asks; asks it on a terminal
  tocsin plan new --from pausable --set protocol=acme --set gateway=0x… … -o acme.plan.toml
  tocsin plan new --from pausable --practice -o vault.plan.toml     for the vault of tocsin demo --practice

The file is checked as `tocsin plan check` does; what is wrong with it is told.
Exit code 0 when the plan is in order, 1 when something is left to correct, 2 when a value is missing.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--from", "source", metavar="NAME", help="Which ready plan; without it, they are listed.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="What stands in a place; repeat.")
@click.option("--practice", is_flag=True, help="Fill in the vault of tocsin demo --practice.")
@click.option("-o", "--out", "file", type=OUT_FILE, help="Where the plan goes; stdout if not given.")
@click.pass_obj
def new(
    settings: Settings, source: str | None, values: tuple[str, ...], practice: bool, file: Path | None
) -> Answer:
    """Make a plan file from a ready one, and say what it asks for."""
    if source is None:
        return _list(settings, ready_plans())
    ready = ready_plan(source)
    given = {**(_practised(ready) if practice else {}), **_values(values)}
    if not given and file is None and not sys.stdin.isatty():
        return _explain(settings, ready)
    if sys.stdin.isatty() and not settings.yes and ready.missing(given):
        given |= _asked(settings, ready, given)
    text = ready.fill(given)
    if file is not None and file.exists() and not settings.confirm(f"Write over {file}?"):
        problem = "expected a new file, got one that is there"
        raise ConfigError(str(file), problem, remedy="give another name, or --yes")
    if file is not None:
        write_text(file, text)
    return _tell(settings, text, file)


def _practised(ready: ReadyPlan) -> dict[str, str]:
    """Give what the practice vault is called, for the places that this plan has."""
    names = {place.name for place in ready.placeholders}
    return {name: value for name, value in practice_values().items() if name in names}


def _asked(settings: Settings, ready: ReadyPlan, given: Mapping[str, str]) -> dict[str, str]:
    """Ask for what is missing, again where a value cannot stand."""

    def kept(value: str) -> str:
        try:
            check_value("value", value)
        except ConfigError as error:
            raise click.UsageError(error.problem) from error
        return value

    settings.say(ready.about)
    return {
        place.name: str(click.prompt(f"{place.words}\n  {place.name}", value_proc=kept, err=True))
        for place in ready.missing(given)
    }


def _values(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark:
            raise ConfigError("--set", f"expected KEY=VALUE, got {pair!r}")
        found[name] = value
    return found


def _list(settings: Settings, plans: Sequence[ReadyPlan]) -> Answer:
    def show(console: Console) -> None:
        shown.facts(console, {plan.name: plan.about for plan in plans})

    document = {"ready": [{"name": plan.name, "about": plan.about} for plan in plans]}
    settings.give("plan-ready", document, show)
    return Answer.YES


def _explain(settings: Settings, ready: ReadyPlan) -> Answer:
    """What a ready plan asks for."""

    def show(console: Console) -> None:
        console.print(shown.cell(ready.about))
        shown.facts(console, {f"${place.name}": place.words for place in ready.placeholders})
        if ready.notes:
            console.print(shown.cell(ready.notes))

    settings.give("plan-ready", {"ready": [_ready_document(ready)]}, show)
    return Answer.YES


def _ready_document(ready: ReadyPlan) -> dict[str, object]:
    def place(each: Placeholder) -> dict[str, object]:
        return {"name": each.name, "about": each.about, "example": each.example, "default": each.default}

    places = [place(each) for each in ready.placeholders]
    return {"name": ready.name, "about": ready.about, "notes": ready.notes, "placeholders": places}


def _tell(settings: Settings, text: str, file: Path | None) -> Answer:
    found = survey_text(text, str(file or "stdout"), load_adapters())
    wrong = [Finding(error.where, False, error.problem, error.remedy) for error in found.errors]
    document: dict[str, object] = {"in_order": not wrong, "findings": [each.document() for each in wrong]}
    document |= {"text": text} if file is None else {"file": str(file)}
    if file is None and not settings.json and not settings.quiet:
        click.echo(text, nl=False)
        shown.checks(settings.console(error=True), [each.row() for each in wrong])
    else:
        settings.give("plan-new", document, lambda console: _show(console, file, wrong))
    return Answer.NO if wrong else Answer.YES


def _show(console: Console, file: Path | None, wrong: Sequence[Finding]) -> None:
    shown.checks(console, [each.row() for each in wrong])
    mark = shown.NO_MARK if wrong else shown.YES_MARK
    said = "some of it is left to correct" if wrong else "in order"
    console.print(f"{mark} written: {shown.cell(file)}, {said}; next: tocsin plan check {shown.cell(file)}")


__all__ = ["new"]
