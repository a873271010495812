"""`tocsin plan check`: all that is wrong with a plan, and what should be known of it (plans SPEC 2)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.findings import Finding
from relay.cli.plan import read_plan_text
from relay.cli.plan_files import PLAN_FILE
from relay.cli.rehearsal_record import read_record, words_of_record
from relay.cli.settings import Answer, Settings
from relay.core.compiled import CompiledPlan
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.core.rehearsal import verdict
from relay.plans.signatures import checksummed, read_signatures_beside
from relay.plans.survey import survey_text
from relay.plans.warnings import Warned, warnings

_EPILOG = """\b
Examples:
  tocsin plan check acme.plan.toml
  tocsin plan check acme.plan.toml --json | jq .hash

Every error is told, with its line and what to do; then what is not refused and should be known.
Exit code 0 when the plan is in order, 1 when it is refused.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a file: the plan in order or None, findings in the order of checking, warnings."""

    plan: Plan | None
    findings: tuple[Finding, ...]
    warned: tuple[Warned, ...] = ()


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", type=PLAN_FILE)
@click.pass_obj
def check(settings: Settings, file: Path) -> Answer:
    """Tell all that is wrong with a plan file: every key, every rule, every act."""
    found = survey_text(read_plan_text(file), str(file), load_adapters())
    if found.compiled is not None:
        checked = _in_order(file, found.compiled)
    else:
        checked = Checked(None, tuple(_finding(error) for error in found.errors))
    return _give(settings, file, checked)


def _finding(error: ConfigError) -> Finding:
    return Finding(error.where, False, error.problem, error.remedy)


def _in_order(file: Path, compiled: CompiledPlan) -> Checked:
    findings = [_signed(file, compiled.plan)]
    record = read_record(file, compiled.plan.hash)
    ago_s = None if record is None or not record.held else max(0, _now_s() - record.at_s)
    return Checked(compiled.plan, tuple(each for each in findings if each), warnings(compiled, ago_s))


def _signed(file: Path, plan: Plan) -> Finding | None:
    """Who stands behind it; a file of signatures that do not hold is an error."""
    try:
        signatures = read_signatures_beside(file, plan)
    except ConfigError as error:
        return _finding(error)
    if not signatures:
        return None
    return Finding("signed", True, ", ".join(checksummed(each.signer) for each in signatures))


def _now_s() -> int:
    return time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock


def _give(settings: Settings, file: Path, checked: Checked) -> Answer:
    held = verdict([finding.held for finding in checked.findings])
    is_valid = checked.plan is not None and held is not False
    document: dict[str, object] = {
        "valid": is_valid,
        "findings": [finding.document() for finding in checked.findings],
        "warnings": [{"where": w, "problem": p, "remedy": r} for w, p, r in checked.warned],
    }
    outline: Mapping[str, object] = {}
    if checked.plan is not None:
        record = read_record(file, checked.plan.hash)
        outline = {**plan_document(checked.plan), "rehearsal": words_of_record(record, _now_s())}
        document |= outline
    settings.give("plan-check", document, lambda console: _show(console, checked, outline))
    return Answer.YES if is_valid else Answer.NO


def plan_document(plan: Plan) -> dict[str, object]:
    """Give a plan's outline as JSON holds it."""
    return {
        "hash": plan.hash.hex(),
        "protocol": plan.protocol,
        "version": plan.version,
        "mode": plan.mode.value,
        "reference": plan.clock.reference,
        "chains": list(plan.chains),
        "metrics": list(plan.metrics),
        "rules": list(plan.rules),
        "acts": {name: f"{act.verb} on {act.text.chain}" for name, act in plan.acts.items()},
    }


def _show(console: Console, checked: Checked, outline: Mapping[str, object]) -> None:
    refused = [finding for finding in checked.findings if finding.held is False]
    if outline and not refused:
        console.print(f"{shown.YES_MARK} in order")
    shown.facts(console, outline)
    shown.checks(console, [finding.row() for finding in checked.findings])
    show_warnings(console, checked.warned)
    if refused:
        console.print(f"{shown.NO_MARK} refused: {len(refused)} to correct")


def show_warnings(console: Console, warned: Sequence[Warned]) -> None:
    """Print what should be known, each behind a mark of its own."""
    for where, problem, remedy in warned:
        console.print(f"[yellow]![/] {shown.cell(where)}  {shown.cell(problem)}")
        console.print(f"    try: {shown.cell(remedy)}")


__all__ = ["check", "plan_document", "show_warnings"]
