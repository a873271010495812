"""`tocsin plan rehearse`: every act, check and undo of a plan, tried on its chains' own state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from relay.chains import load_adapters
from relay.chains.loading import adapter_of
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.node_files import this_node
from relay.cli.plan import read_plan
from relay.cli.rehearsal_record import rehearsal_document, write_record
from relay.cli.rpc_text import named_url
from relay.cli.settings import Answer, Settings
from relay.core.errors import ChainError, ConfigError
from relay.core.plan import Plan
from relay.core.ports import Adapter
from relay.core.readiness import ActToKeep
from relay.core.rehearsal import ActRehearsal, Outcome, Part, RehearsalSettings, verdict
from relay.core.types import Caip2

_EPILOG = """\b
Examples:
  tocsin plan rehearse                                  this node's plans, by its own endpoints
  tocsin plan rehearse acme.plan.toml --fork eip155:1=@mainnet.url --fork eip155:10=http://127.0.0.1:8545
  tocsin plan rehearse acme.plan.toml --fork URL --as 0x…    the role is not granted yet: ask as its holder
  tocsin plan rehearse acme.plan.toml --fork URL --no-anvil  the endpoint itself simulates

Each chain's newest state is taken over by a development chain on this machine; every act is called from its
gateway's address with its gas cap, its state is read, and its undo is called after the act's whole duration.
Nothing is ever sent to the endpoint but reads. The result is kept beside the plan (--no-record: it is not).

Exit code 0 when all holds, 1 when a named act fails, 3 when something could not be told.
"""

_PLAN = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Task:
    """The acts of one plan on one chain, and the addresses that may serve it, in the order of trying."""

    chain: Caip2
    adapter: Adapter
    acts: tuple[ActToKeep, ...]
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rehearsed:
    """What came of one plan."""

    plan: Plan
    found: tuple[ActRehearsal, ...]
    problems: Mapping[str, str]

    @property
    def held(self) -> bool | None:
        return verdict([*(act.held for act in self.found), *(None for _ in self.problems)])


@click.command(cls=Command, epilog=_EPILOG)
@click.argument(
    "plans", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[PLAN]…"
)
@click.option(
    "--fork",
    "forks",
    multiple=True,
    metavar="[CHAIN=]URL|@FILE",
    help="An endpoint of a chain of the plan; without CHAIN=, in the order in which the acts name them.",
)
@click.option(
    "--as",
    "callers",
    multiple=True,
    metavar="[CHAIN=]ADDRESS",
    help="Call as this address, not the gateway's.",
)
@click.option("--no-anvil", is_flag=True, help="Let the endpoint simulate, instead of taking its state over.")
@click.option("--no-record", is_flag=True, help="Keep no record beside the plan.")
@click.pass_obj
def rehearse(
    settings: Settings,
    plans: tuple[Path, ...],
    forks: tuple[str, ...],
    callers: tuple[str, ...],
    no_anvil: bool,
    no_record: bool,
) -> Answer:
    """Try every act, check and undo of a plan on its chains' own state, before any role is granted."""
    files = plans or _node_plans(settings)
    read = [(file, read_plan(file)) for file in files]
    tasks = [_tasks(settings, plan, forks) for _, plan in read]
    callers_by_chain = _callers(callers)
    results: list[_Rehearsed] = []
    documents: list[Mapping[str, object]] = []
    with _progress(settings) as bar:
        step = bar.add_task("rehearsing", total=sum(len(task.acts) for own in tasks for task in own))
        for (file, plan), own in zip(read, tasks, strict=True):
            done = asyncio.run(
                _rehearse(plan, own, callers_by_chain, not no_anvil, lambda: bar.advance(step))
            )
            results.append(done)
            document = rehearsal_document(plan, done.found, done.problems, _now_s())
            documents.append(document)
            if not no_record:
                _keep(settings, file, document)
    held = verdict([result.held for result in results])
    settings.give(
        "plan-rehearse", {"held": held, "plans": documents}, lambda console: _show(console, results)
    )
    return Answer.UNKNOWN if held is None else Answer.YES if held else Answer.NO


def _now_s() -> int:
    return time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock


def _progress(settings: Settings) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = settings.console(error=True)
    quiet = settings.quiet or settings.json or not console.is_terminal
    return Progress(*columns, console=console, disable=quiet, transient=True)


def _keep(settings: Settings, file: Path, document: Mapping[str, object]) -> None:
    try:
        written = write_record(file, document)
    except OSError as error:
        settings.say(f"no record kept beside {file}: {error.strerror}")
    else:
        settings.say(f"kept as {written}")


# ---- what is asked, and where


def _node_plans(settings: Settings) -> tuple[Path, ...]:
    folder = this_node(settings).plans
    files = tuple(sorted(folder.glob("*/*.plan.toml")))
    if not files:
        raise ConfigError(str(folder), "expected at least one plan, got none", remedy="give a plan's file")
    return files


def _tasks(settings: Settings, plan: Plan, forks: Sequence[str]) -> list[_Task]:
    adapters = load_adapters()
    by_chain: dict[Caip2, list[ActToKeep]] = {}
    for name, act in plan.acts.items():
        adapter = adapter_of(act.text.chain, adapters)
        encoded = adapter.encode_act(act.text)
        by_chain.setdefault(act.text.chain, []).append(ActToKeep(name, encoded, act.tier, act.lasts_s))
    urls = _urls(settings, tuple(by_chain), forks)
    return [
        _Task(chain, adapter_of(chain, adapters), tuple(acts), urls[chain])
        for chain, acts in by_chain.items()
    ]


def _urls(
    settings: Settings, chains: Sequence[Caip2], forks: Sequence[str]
) -> Mapping[Caip2, tuple[str, ...]]:
    """Give each chain's addresses: those named, then those in order, then node.toml's."""
    given = [named_url(text, "--fork") for text in forks]
    named = {name: url for name, url in given if name is not None}
    unnamed = iter([url for name, url in given if name is None])
    found: dict[Caip2, tuple[str, ...]] = {}
    for chain in chains:
        url = named.get(chain) or next(unnamed, None)
        found[chain] = (url,) if url is not None else _node_urls(settings, chain)
        if not found[chain]:
            remedy = f"give --fork {chain}=URL"
            raise ConfigError("--fork", f"expected an endpoint of {chain}, got none", remedy=remedy)
    return found


def _node_urls(settings: Settings, chain: Caip2) -> tuple[str, ...]:
    with suppress(ConfigError):
        own = this_node(settings).chains
        return tuple(address.url for each in own if each.chain == chain for address in each.endpoints)
    return ()


def _callers(texts: Sequence[str]) -> Mapping[str, str]:
    """Give who calls by chain; the empty name stands for all others."""
    callers: dict[str, str] = {}
    for text in texts:
        name, _, address = text.rpartition("=")
        callers[name] = address
    return callers


# ---- rehearsing


async def _rehearse(
    plan: Plan, tasks: Sequence[_Task], callers: Mapping[str, str], forks: bool, advance: Callable[[], None]
) -> _Rehearsed:
    found: list[ActRehearsal] = []
    problems: dict[str, str] = {}
    for task in tasks:
        caller = callers.get(task.chain, callers.get(""))
        for url in task.urls:
            try:
                settings = RehearsalSettings(task.chain, url, forks=forks, caller=caller)
                found += await _on_chain(task, settings, advance)
                problems.pop(task.chain, None)
                break
            except ChainError as error:
                problems[task.chain] = error.problem
    return _Rehearsed(plan, tuple(found), problems)


async def _on_chain(
    task: _Task, settings: RehearsalSettings, advance: Callable[[], None]
) -> list[ActRehearsal]:
    found: list[ActRehearsal] = []
    async with task.adapter.rehearser(settings) as rehearser:
        for act in task.acts:
            found.append(await rehearser.rehearse(act))
            advance()
    return found


# ---- for people


def _show(console: Console, results: Sequence[_Rehearsed]) -> None:
    for result in results:
        plan = result.plan
        console.print(f"[bold]{shown.cell(plan.protocol)}[/] version {plan.version}, {plan.hash.hex()}")
        blocks = {act.chain: act.block.number for act in result.found}
        console.print("at " + ", ".join(f"block {number} of {chain}" for chain, number in blocks.items()))
        columns = ("", "act", "chain", "call", "effect", "undo", "gas cap", "state gas")
        shown.marked_table(console, columns, [(act.held, _row(act)) for act in result.found])
        for act in result.found:
            _say_of(console, act)
        for chain, problem in result.problems.items():
            shown.checks(console, [(None, chain, problem, "see that the endpoint answers, or give another")])
        console.print()


def _row(act: ActRehearsal) -> list[object]:
    figures = (_figure(act.call), act.check.outcome.value, _figure(act.undo))
    return [act.name, act.chain, *figures, act.call.gas_cap or "", act.getter_gas]


def _figure(part: Part) -> str:
    return f"{part.gas_used} gas" if part.outcome is Outcome.DONE else part.outcome.value


def _say_of(console: Console, act: ActRehearsal) -> None:
    parts = {"call": act.call, "check": act.check, "undo": act.undo}
    found = [
        (part.held, f"{act.name}: {name}", part.reason, part.remedy)
        for name, part in parts.items()
        if part.held is not True
    ]
    shown.checks(console, found)
    for warning in act.warnings:
        console.print(f"[yellow]![/] {shown.cell(act.name)}: {shown.cell(warning)}")


__all__ = ["rehearse"]
