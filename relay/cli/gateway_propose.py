"""`tocsin gateway propose` and `register`: from a plan to the calls of a gateway's owner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_changes import Stage, Step, Task, remarks, steps
from relay.cli.gateway_options import FILE, F, out_options, rpc_option, send_options, span_option
from relay.cli.gateway_reading import (
    PlannedGateway,
    gateways_of,
    needed_settings,
    node_plans,
    office_for,
    read_gateway,
    settings_for,
)
from relay.cli.gateway_sending import NotSent, Wish, check_allowed, open_account, send_calls
from relay.cli.gateway_words import instant
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.core.compiled import compile_plan
from relay.core.errors import ConfigError
from relay.core.gateway_report import GatewayReport, NoGateway
from relay.core.office import About, CallForm, OwnerCall
from relay.core.plan import Plan
from relay.core.ports import ChainSettings
from relay.disk import replace_file

_PROPOSE_EPILOG = """\b
Examples:
  tocsin gateway propose acme.plan.toml --offline                     all that a new gateway needs
  tocsin gateway propose acme.plan.toml --rpc http://127.0.0.1:8545   only what differs
  tocsin gateway propose acme.plan.toml --chain eip155:1 --out safe --file batch.json

\b
Forms of --out:
  safe       a batch for the Safe's Transaction Builder
  governor   calldata of a Governor's propose(address[],uint256[],bytes[],string)
  calldata   a line a call: target and calldata

What gives the network more power is announced first. A file holds the calls of one --stage: those that work
now; after the notice run the command again, and it gives what works then.
Exit code 0 when it could be told, 3 when too few endpoints agree.
"""
_REGISTER_EPILOG = """\b
Examples:
  tocsin gateway register acme.plan.toml --out safe --file batch.json
  tocsin gateway register acme.plan.toml --rpc http://127.0.0.1:8545 --send --key-env OWNER_KEY --yes

--send signs with one key and is for development: other chains need --yes and --i-know.
Exit code 0 when nothing is left to do, 1 when steps are left, 4 when sending was refused.
"""
_STAGES = {
    Stage.NOW: "now",
    Stage.NOTICE: "after the notice",
    Stage.OVERLAP: "after the overlap",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options ask for."""

    plan: Path
    chain: str | None
    rpc: tuple[str, ...]
    offline: bool
    overlap_s: int
    stage: Stage
    form: CallForm | None
    file: Path | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """One gateway's task and what is to be done about it."""

    task: Task
    steps: tuple[Step, ...]
    settings: ChainSettings | None

    def calls(self, stage: Stage) -> tuple[OwnerCall, ...]:
        """The calls of one stage, in order."""
        return tuple(step.proposal.call for step in self.steps if step.stage is stage)


def _options(command: F) -> F:
    stage = "Which calls go into the file."
    command = span_option("--overlap", "7d", "How long the plan before stays in force as well.")(command)
    command = click.option(
        "--stage",
        type=click.Choice([each.value for each in Stage]),
        default=Stage.NOW.value,
        show_default=True,
        help=stage,
    )(command)
    command = out_options(command)
    command = rpc_option(command)
    command = click.option("--chain", metavar="CHAIN", help="Only this chain, as eip155:1.")(command)
    return click.argument("plan", type=FILE)(command)


@click.command(cls=Command, epilog=_PROPOSE_EPILOG)
@_options
@click.option("--offline", is_flag=True, help="Ask nobody: as for a new gateway.")
@click.pass_obj
def propose(
    settings: Settings,
    plan: Path,
    chain: str | None,
    rpc: tuple[str, ...],
    out: str | None,
    file: Path | None,
    stage: str,
    overlap: int,
    offline: bool,
) -> Answer:
    """Say what a gateway's owner must call to put a plan in force, in words and as a file to sign."""
    choice = Choice(plan, chain, rpc, offline, overlap, Stage(stage), _form(out), file)
    _give(settings, choice, _prepare(settings, choice))
    return Answer.YES


@click.command(cls=Command, epilog=_REGISTER_EPILOG)
@_options
@send_options
@click.pass_obj
def register(
    settings: Settings,
    plan: Path,
    chain: str | None,
    rpc: tuple[str, ...],
    out: str | None,
    file: Path | None,
    stage: str,
    overlap: int,
    send: bool,
    key_file: Path | None,
    key_env: str | None,
    i_know: bool,
) -> Answer:
    """Bring deployed gateways up to a plan: compare, and hand over or send what is missing."""
    choice = Choice(plan, chain, rpc, False, overlap, Stage(stage), _form(out), file)
    prepared = _prepare(settings, choice)
    wish = Wish(send, key_file, key_env, i_know)
    if send:
        try:
            prepared = [_sent(settings, choice, each, wish) for each in prepared]
        except NotSent as refusal:
            return settings.fail(str(refusal), "", Answer.REFUSED)
    _give(settings, choice, prepared)
    return Answer.NO if any(each.steps for each in prepared) else Answer.YES


def _form(out: str | None) -> CallForm | None:
    return None if out is None else CallForm(out)


def _prepare(settings: Settings, choice: Choice) -> list[Prepared]:
    plan = read_plan(choice.plan)
    # Everything that would refuse the plan later refuses it now.
    compile_plan(plan, load_adapters())
    places = [each for each in gateways_of([plan]) if choice.chain in (None, each.chain)]
    if not places:
        raise ConfigError("--chain", f"expected a chain with a gateway in the plan, got {choice.chain}")
    if len(places) > 1 and (choice.rpc or choice.form):
        chains = ", ".join(each.chain for each in places)
        option = "--rpc" if choice.rpc else "--out"
        raise ConfigError(option, f"expected one chain, got {chains}", remedy="give --chain")
    return [_prepared(settings, choice, plan, place) for place in places]


def _prepared(settings: Settings, choice: Choice, plan: Plan, place: PlannedGateway) -> Prepared:
    chain = None if choice.offline else settings_for(settings, place.chain, choice.rpc)
    if chain is None and not choice.offline:
        chain = needed_settings(settings, place.chain, choice.rpc)
    report = None if chain is None else _read(chain, place)
    office = office_for(place.chain)
    # The node's plans name what the gateway carries now; the acts are this plan's alone.
    known = (each for each in node_plans(settings) if each.hash != plan.hash)
    named = replace(place, plans=(plan, *known))
    task = Task(office, named, plan, report, choice.overlap_s)
    return Prepared(task, steps(task), chain)


def _read(chain: ChainSettings, place: PlannedGateway) -> GatewayReport:
    survey = asyncio.run(read_gateway(chain, place)).survey
    if isinstance(survey, NoGateway):
        problem = f"expected a gateway, got none: {survey.reason}"
        raise ConfigError(f"{place.chain}:{survey.gateway}", problem, remedy="tocsin gateway deploy")
    return survey


def _sent(settings: Settings, choice: Choice, prepared: Prepared, wish: Wish) -> Prepared:
    """Send what works now, and say what is left."""
    now = [step for step in prepared.steps if step.stage is Stage.NOW]
    task, chain = prepared.task, prepared.settings
    assert chain is not None, "register reads the gateway"
    assert task.report is not None, "register reads the gateway"
    if not now:
        return prepared
    check_allowed(settings, task.office, chain, wish)
    account = open_account(wish)
    sender = task.office.address("0x" + account.submitter.hex())
    if sender != task.report.owner:
        raise ConfigError("--send", f"expected the owner's key, {task.report.owner}, got that of {sender}")
    # Whoever confirms must have read what is given away.
    for text in (*remarks(task), *(step.proposal.words for step in now)):
        settings.say(text)
    send_calls(settings, task.office, chain, account, prepared.calls(Stage.NOW))
    return _prepared(settings, choice, task.plan, task.place)


# ---- showing and writing


def _give(settings: Settings, choice: Choice, prepared: Sequence[Prepared]) -> None:
    text = _render(choice, prepared)
    if text is not None and choice.file is not None:
        replace_file(choice.file, text.encode())
    document: dict[str, object] = {"gateways": [_document(each) for each in prepared]}
    if text is not None and choice.file is None and not settings.json:
        click.echo(text, nl=False)
        return
    if text is not None:
        document["file"] = text if choice.file is None else str(choice.file)
    settings.give("gateway-proposal", document, lambda console: _show(console, choice, prepared))


def _render(choice: Choice, prepared: Sequence[Prepared]) -> str | None:
    if choice.form is None:
        if choice.file is not None:
            raise ConfigError("--file", "expected --out beside it, got none")
        return None
    (one,) = prepared
    calls = one.calls(choice.stage)
    if not calls:
        problem = f"expected calls that work {_STAGES[choice.stage]}, got none"
        raise ConfigError("--out", problem, remedy="see what is left without --out")
    task = one.task
    words = [step.proposal.words for step in one.steps if step.stage is choice.stage]
    about = About(
        name=f"Tocsin: {task.plan.protocol} {task.plan.version}",
        description="\n".join(f"{number}. {text}" for number, text in enumerate(words, start=1)),
        owner=None if task.report is None else task.report.owner,
        created_at_ms=task.now * 1_000,
    )
    return task.office.render(calls, choice.form, about)


def _document(prepared: Prepared) -> dict[str, object]:
    task = prepared.task
    return {
        "chain": task.place.chain,
        "gateway": task.office.gateway_text(task.place.gateway),
        "owner": None if task.report is None else task.report.owner,
        "block": None if task.report is None else task.report.block.number,
        "plan": task.plan.hash.hex(),
        "steps": [
            {
                "stage": step.stage.value,
                "words": step.proposal.words,
                "gives_power": step.proposal.gives_power,
                "ready_at": step.proposal.ready_at,
                "method": step.proposal.call.method,
                "to": step.proposal.call.to,
                "data": "0x" + step.proposal.call.data.hex(),
            }
            for step in prepared.steps
        ],
        "remarks": list(remarks(task)),
    }


def _show(console: Console, choice: Choice, prepared: Sequence[Prepared]) -> None:
    for each in prepared:
        _show_one(console, each)
    if choice.file is not None:
        console.print(f"written: {shown.cell(choice.file)} ({_STAGES[choice.stage]})")


def _show_one(console: Console, prepared: Prepared) -> None:
    task = prepared.task
    title = f"{task.place.chain} {task.office.gateway_text(task.place.gateway)}"
    console.print(f"[bold underline]{shown.cell(title)}[/]")
    if task.report is not None:
        block = task.report.block
        said = f"as of block {block.number}, {instant(block.timestamp)}; to be called by {task.report.owner}"
        console.print(shown.cell(said))
    for remark in remarks(task):
        console.print(f"[yellow]![/] {shown.cell(remark)}")
    if not prepared.steps:
        console.print(f"{shown.YES_MARK} nothing to do: the gateway is as the plan says")
    for number, step in enumerate(prepared.steps, start=1):
        _show_step(console, number, step)


def _show_step(console: Console, number: int, step: Step) -> None:
    proposal = step.proposal
    when = _STAGES[step.stage]
    if proposal.ready_at is not None:
        when += f", from {instant(proposal.ready_at)}"
    colour = "yellow" if proposal.gives_power else "green"
    console.print(f"{number}. [{colour}]{shown.cell(when)}[/]: {shown.cell(proposal.words)}")
    data = proposal.call.data
    console.print(
        f"     {shown.cell(proposal.call.method.partition('(')[0])}, {len(data)} bytes", style="dim"
    )


__all__ = ["propose", "register"]
