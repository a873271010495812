"""`tocsin chain add` and `tocsin chain check`: what endpoints offer, and what node.toml says of them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.chains.loading import adapter_of
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.node_files import this_directory, this_node
from relay.cli.rpc_text import named_url, rpc_url
from relay.cli.settings import Answer, Settings
from relay.config import Addition, ChainTemplate, NewEndpoint, add_chain, plan_addition
from relay.config.addresses import CAIP2
from relay.core.errors import ConfigError
from relay.core.ports import ChainSettings, EndpointAddress
from relay.core.readiness import Fact
from relay.core.rehearsal import verdict
from relay.core.survey import ChainProposal, EndpointSurvey, compare, propose
from relay.core.types import Caip2

TIMEOUT_MS = 10_000
_ADD_EPILOG = """\b
Examples:
  tocsin chain add eip155:8453 --rpc own=http://127.0.0.1:8545 --rpc acme=@acme.url --rpc other=@other.url
  tocsin chain add eip155:10 --rpc own=http://127.0.0.1:8545 --rpc acme=@acme.url --ws acme=@acme-ws.url

The endpoints are asked what they offer (at most 20 requests each), and a table for the chain is added at the
end of node.toml; nothing else in it changes. An address of another machine is kept in secrets/rpc, since
it may hold a key; give it as @FILE to keep it off the command line.

Exit code 0 when the chain was added, 1 when an endpoint serves another chain or you said no, 3 when an
endpoint did not answer: then nothing is written.
"""
_CHECK_EPILOG = """\b
Examples:
  tocsin chain check
  tocsin chain check eip155:8453 --json | jq '.facts[] | select(.held != true)'

Exit code 0 when everything holds, 1 when a named fact does not, 3 when something could not be told.
"""


_ADDRESS = "OPERATOR=URL|@FILE"


@click.command(cls=Command, epilog=_ADD_EPILOG)
@click.argument("chain")
@click.option("--rpc", multiple=True, required=True, metavar=_ADDRESS, help="An endpoint; repeat.")
@click.option("--ws", multiple=True, metavar=_ADDRESS, help="Where that operator tells new heads.")
@click.option("--need", type=click.IntRange(1, 16), help="How many endpoints must agree; most if not given.")
@click.option("--finality", help="finalized, safe or depth:N, instead of what the endpoints offer.")
@click.pass_obj
def add(
    settings: Settings,
    chain: str,
    rpc: tuple[str, ...],
    ws: tuple[str, ...],
    need: int | None,
    finality: str | None,
) -> Answer:
    """Ask endpoints what they offer, and add their chain to node.toml."""
    if CAIP2.fullmatch(chain) is None:
        raise ConfigError("CHAIN", f"expected a CAIP-2 name as eip155:1, got {chain!r}")
    directory = this_directory(settings)
    addresses = _addresses(rpc, ws)
    # What cannot be added is refused before anybody is asked.
    plan_addition(directory, ChainTemplate(chain, ()), [])
    surveys = asyncio.run(_survey(Caip2(chain), addresses, TIMEOUT_MS))
    if any(survey.problem for survey in surveys):
        return _not_added(settings, chain, surveys)
    proposal = propose(surveys)
    if finality is not None:
        proposal = replace(proposal, finality=finality)
    template = _template(chain, proposal, need or len(addresses) // 2 + 1)
    endpoints = [_kept(address, survey) for address, survey in zip(addresses, surveys, strict=True)]
    addition = plan_addition(directory, template, endpoints)
    if not settings.json and not settings.quiet:
        _show_addition(settings.console(), surveys, proposal, addition)
    written = settings.confirm(f"Add {chain} to {directory.node_file}?")
    if written:
        add_chain(directory, addition)
    said = f"added to {directory.node_file}" if written else "not added: confirm, or give --yes"
    document = {**_outcome(chain, surveys, written=written), "proposal": asdict(proposal)}
    settings.give("chain-add", document, lambda console: console.print(said, markup=False))
    return Answer.YES if written else Answer.NO


def _not_added(settings: Settings, chain: str, surveys: Sequence[EndpointSurvey]) -> Answer:
    """Say which endpoints serve another chain, or did not answer."""
    document = _outcome(chain, surveys, written=False)
    settings.give("chain-add", document, lambda console: _show_surveys(console, surveys))
    is_wrong = any(survey.chain is not None and survey.problem for survey in surveys)
    return Answer.NO if is_wrong else Answer.UNKNOWN


def _outcome(chain: str, surveys: Sequence[EndpointSurvey], *, written: bool) -> dict[str, object]:
    return {"chain": chain, "written": written, "endpoints": [asdict(survey) for survey in surveys]}


@click.command(cls=Command, epilog=_CHECK_EPILOG)
@click.argument("chain", required=False)
@click.pass_obj
def check(settings: Settings, chain: str | None) -> Answer:
    """Ask the endpoints in node.toml what they offer, and compare it with what node.toml says."""
    node = this_node(settings)
    chains = [each for each in node.chains if chain in (None, each.chain)]
    if not chains:
        raise ConfigError("CHAIN", f"expected a chain of node.toml, got {chain}", remedy="tocsin chain list")
    facts = asyncio.run(_check(chains, is_demo=node.demo))
    document = {"facts": [_document(fact) for fact in facts]}
    rows = [(fact.held, fact.name, fact.reason, fact.remedy) for fact in facts]
    settings.give("chain-check", document, lambda console: shown.checks(console, rows))
    held = verdict([fact.held for fact in facts])
    return Answer.UNKNOWN if held is None else Answer.YES if held else Answer.NO


async def _check(chains: Sequence[ChainSettings], *, is_demo: bool) -> list[Fact]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_survey(each.chain, each.endpoints, each.timeout_ms)) for each in chains]
    found = [
        compare(settings, task.result(), is_demo=is_demo)
        for settings, task in zip(chains, tasks, strict=True)
    ]
    return [fact for facts in found for fact in facts]


async def _survey(
    chain: Caip2, addresses: Sequence[EndpointAddress], timeout_ms: int
) -> list[EndpointSurvey]:
    """Ask all endpoints of a chain, side by side."""
    adapter = adapter_of(chain, load_adapters())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(adapter.survey(chain, address, timeout_ms)) for address in addresses]
    return [task.result() for task in tasks]


# ---- what is added


def _addresses(rpc: Sequence[str], ws: Sequence[str]) -> list[EndpointAddress]:
    """Read the options; without --ws the same address is tried for a WebSocket too."""
    sockets = dict(_socket(text) for text in ws)
    addresses: list[EndpointAddress] = []
    for text in rpc:
        operator, url = named_url(text, "--rpc")
        if operator is None:
            raise ConfigError("--rpc", "expected OPERATOR=URL, got an address alone")
        socket = sockets.pop(operator, None) or url.replace("http", "ws", 1)
        addresses.append(EndpointAddress(operator, url, socket))
    if sockets:
        raise ConfigError("--ws", f"expected an operator of --rpc, got {sorted(sockets)[0]}")
    return addresses


def _socket(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals:
        raise ConfigError("--ws", "expected OPERATOR=URL, got an address alone")
    return name, rpc_url(address, "--ws", ("ws", "wss"))


def _kept(address: EndpointAddress, survey: EndpointSurvey) -> NewEndpoint:
    socket = address.websocket_url if survey.subscribes else None
    return NewEndpoint(address.operator, address.url, socket)


def _template(chain: str, proposal: ChainProposal, need: int) -> ChainTemplate:
    return ChainTemplate(
        chain=chain,
        endpoints=(),
        need=need,
        block_time_ms=proposal.block_time_ms,
        finality=proposal.finality,
        log_range=proposal.log_range,
        fees=proposal.fees,
    )


# ---- for people


def _document(fact: Fact) -> Mapping[str, object]:
    return {"name": fact.name, "held": fact.held, "reason": fact.reason, "remedy": fact.remedy}


def _show_surveys(console: Console, surveys: Sequence[EndpointSurvey]) -> None:
    columns = (
        "",
        "operator",
        "software",
        "head",
        "block time",
        "final",
        "fees",
        "logs",
        "batch",
        "ws",
        "simulates",
    )
    shown.marked_table(console, columns, [(not survey.problem, _row(survey)) for survey in surveys])
    for survey in surveys:
        if survey.problem:
            held = False if survey.chain is not None else None
            shown.checks(
                console, [(held, survey.operator, survey.problem, "correct or replace this endpoint")]
            )


def _row(survey: EndpointSurvey) -> list[object]:
    if survey.problem:
        return [survey.operator, *["–"] * 9]
    return [
        survey.operator,
        survey.software,
        survey.head,
        f"{survey.block_time_ms} ms",
        ", ".join(f"{tag} −{behind}" for tag, behind in survey.finality) or "none",
        survey.fees,
        f"{survey.log_range}{'' if survey.log_range_is_bound else '+'}",
        survey.batch,
        bool(survey.subscribes),
        survey.simulation,
    ]


def _show_addition(
    console: Console, surveys: Sequence[EndpointSurvey], proposal: ChainProposal, addition: Addition
) -> None:
    _show_surveys(console, surveys)
    for note in proposal.notes:
        console.print(f"[yellow]![/] {shown.cell(note)}")
    console.print()
    lines = difflib.unified_diff(
        addition.before.splitlines(), addition.after.splitlines(), "node.toml", "node.toml", lineterm="", n=1
    )
    for line in lines:
        console.print(line, style="green" if line.startswith("+") else None, markup=False)
    for name in addition.secrets:
        console.print(f"and {name}, readable by you alone", markup=False)


__all__ = ["add", "check"]
