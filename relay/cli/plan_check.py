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
from relay.cli.plan_trials import Trial, over_data, spans, true_always, true_now
from relay.cli.rehearsal_record import read_record, words_of_record
from relay.cli.settings import Answer, Settings
from relay.core.compiled import CompiledPlan
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.plans.signatures import checksummed, read_signatures_beside
from relay.plans.survey import survey_text
from relay.plans.warnings import Warned, warnings

_EPILOG = """\b
Examples:
  tocsin plan check acme.plan.toml
  tocsin plan check acme.plan.toml --rpc eip155:1=@mainnet.url --rpc eip155:8453=http://127.0.0.1:8545
  tocsin plan check acme.plan.toml --rpc http://127.0.0.1:8545 --blocks 300
  tocsin plan check acme.plan.toml --data events.csv --block-time 12
  tocsin plan check acme.plan.toml --json | jq .hash

Every error is told, with its line and what to do; then what is not refused and should be known. With --rpc
or --live every rule is evaluated at the newest block, and with --data at every block of the data: one that is
true there would act as soon as it is registered, and is refused. What reaches further back than the --blocks
that are read cannot be told, and is named.

Exit code 0 when the plan is in order, 1 when it is refused; with --strict 3 when something could not be told.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a file: the plan in order or None, findings in the order of checking, warnings."""

    plan: Plan | None
    findings: tuple[Finding, ...]
    warned: tuple[Warned, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether something is wrong."""
        return self.plan is None or any(finding.held is False for finding in self.findings)

    @property
    def is_untold(self) -> bool:
        """Whether something could not be told."""
        return any(finding.held is None for finding in self.findings)


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", type=PLAN_FILE)
@click.option(
    "--rpc", multiple=True, metavar="[CHAIN=]URL|@FILE", help="Evaluate the rules by this endpoint."
)
@click.option("--live", is_flag=True, help="Evaluate the rules by node.toml's endpoints.")
@click.option("--blocks", type=click.IntRange(1, 5_000), default=1, help="How many newest blocks are read.")
@click.option("--data", multiple=True, type=PLAN_FILE, help="A table as of plan backtest; repeat.")
@click.option(
    "--map", "maps", multiple=True, metavar="COLUMN=NAME", help="Read a column of --data by this name."
)
@click.option(
    "--block-time", "block_times", multiple=True, metavar="[CHAIN=]S", help="Seconds between blocks."
)
@click.option(
    "--finality", "finalities", multiple=True, metavar="[CHAIN=]S", help="Seconds until final; 900."
)
@click.option("--strict", is_flag=True, help="What could not be told is exit code 3.")
@click.pass_obj
def check(
    settings: Settings,
    file: Path,
    rpc: tuple[str, ...],
    live: bool,
    blocks: int,
    data: tuple[Path, ...],
    maps: tuple[str, ...],
    block_times: tuple[str, ...],
    finalities: tuple[str, ...],
    strict: bool,
) -> Answer:
    """Tell all that is wrong with a plan file: every key, every rule, every act."""
    found = survey_text(read_plan_text(file), str(file), load_adapters())
    trial = Trial(rpc, live, blocks, data, maps, block_times, finalities)
    if found.compiled is None:
        checked = Checked(None, tuple(_finding(error) for error in found.errors))
    else:
        checked = _in_order(settings, file, found.compiled, trial)
    _give(settings, file, checked)
    if checked.is_refused:
        return Answer.NO
    return Answer.UNKNOWN if strict and checked.is_untold else Answer.YES


def _finding(error: ConfigError) -> Finding:
    return Finding(error.where, False, error.problem, error.remedy)


def _in_order(settings: Settings, file: Path, compiled: CompiledPlan, trial: Trial) -> Checked:
    """Go on with a plan whose text is right: its spans, its signatures, its rules where they can be tried."""
    found = spans(settings, compiled.plan, trial, str(file))
    found += true_always(compiled, str(file))
    found += _signed(file, compiled.plan)
    if trial.rpc or trial.live:
        found += true_now(settings, compiled, trial, str(file))
    if trial.data:
        found += over_data(compiled, trial, str(file))
    record = read_record(file, compiled.plan.hash)
    ago_s = None if record is None or not record.held else max(0, _now_s() - record.at_s)
    return Checked(compiled.plan, tuple(found), warnings(compiled, ago_s))


def _signed(file: Path, plan: Plan) -> list[Finding]:
    """Who stands behind it; a file of signatures that do not hold is an error."""
    try:
        signatures = read_signatures_beside(file, plan)
    except ConfigError as error:
        return [_finding(error)]
    names = ", ".join(checksummed(each.signer) for each in signatures)
    return [Finding("signed", True, names)] if names else []


def _now_s() -> int:
    return time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock


def _give(settings: Settings, file: Path, checked: Checked) -> None:
    document: dict[str, object] = {
        "valid": not checked.is_refused,
        "findings": [finding.document() for finding in checked.findings],
        "warnings": [{"where": w, "problem": p, "remedy": r} for w, p, r in checked.warned],
    }
    outline: Mapping[str, object] = {}
    if checked.plan is not None:
        record = read_record(file, checked.plan.hash)
        outline = {**plan_document(checked.plan), "rehearsal": words_of_record(record, _now_s())}
        document |= outline
    settings.give("plan-check", document, lambda console: _show(console, checked, outline))


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
    if not checked.is_refused:
        console.print(f"{shown.YES_MARK} in order")
    shown.facts(console, outline)
    shown.checks(console, [finding.row() for finding in checked.findings])
    _show_warnings(console, checked.warned)
    if checked.is_refused:
        wrong = sum(1 for finding in checked.findings if finding.held is False)
        console.print(f"{shown.NO_MARK} refused: {wrong} to correct")


def _show_warnings(console: Console, warned: Sequence[Warned]) -> None:
    """Print what should be known, each behind a mark of its own."""
    for where, problem, remedy in warned:
        console.print(f"[yellow]![/] {shown.cell(where)}  {shown.cell(problem)}")
        console.print(f"    try: {shown.cell(remedy)}")


__all__ = ["check", "plan_document"]
