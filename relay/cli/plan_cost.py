"""`tocsin plan cost`: what plans cost a node in requests and providers' units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.chains.loading import adapter_of
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_reading import has_node
from relay.cli.node_files import this_node
from relay.cli.plan import read_plan
from relay.cli.plan_files import PLAN_FILE, plan_files
from relay.cli.settings import Answer, Settings
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import ConfigError
from relay.core.observations import ChainQueries
from relay.core.types import Caip2
from relay.plans.cost import ChainCost, Pace, Units, chain_costs, read_units

_EPILOG = """\b
Examples:
  tocsin plan cost acme.plan.toml --block-time eip155:8453=2
  tocsin plan cost *.plan.toml                     several together: what two ask alike is asked once
  tocsin plan cost                                 this node's plans, at its own chains' pace
  tocsin plan cost acme.plan.toml --units mine.toml --json | jq '.chains[].units'

Counted is what one node asks of each of its endpoints in a day: reads of new blocks, polls of the head and of
finality, looks at readiness. Not counted are transactions, and reads that are repeated after a re-org. Units
are those that providers publish; they change, so see your own bill.
"""
_DEFAULT_BLOCK_TIME_S = 12.0
_DEFAULT_ENDPOINTS = 3


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("plans", nargs=-1, type=PLAN_FILE, metavar="[PLAN]…")
@click.option(
    "--block-time", "block_times", multiple=True, metavar="CHAIN=S", help="Seconds between blocks; repeat."
)
@click.option(
    "--endpoints", type=click.IntRange(1, 16), help="How many are asked; 3 where node.toml does not tell."
)
@click.option("--polling", is_flag=True, help="No endpoint announces heads: they are asked for.")
@click.option("--units", type=PLAN_FILE, help="A table of units by provider and method, as TOML.")
@click.pass_obj
def cost(
    settings: Settings,
    plans: tuple[Path, ...],
    block_times: tuple[str, ...],
    endpoints: int | None,
    polling: bool,
    units: Path | None,
) -> Answer:
    """Count the RPC requests and compute units that plans take in a day, by chain."""
    compiled = [compile_plan(read_plan(file), load_adapters()) for file in plan_files(settings, plans)]
    paces = _paces(settings, compiled, _block_times(block_times), endpoints, polling=polling)
    together = chain_costs(compiled, paces, _block_requests)
    alone = {
        f"{each.plan.protocol} {each.plan.version}": _day(chain_costs([each], paces, _block_requests))
        for each in compiled
    }
    providers = _units(units)
    document = {
        "chains": [_document(each, providers) for each in together],
        "requests_a_day": round(_day(together)),
        "alone": {name: round(number) for name, number in alone.items()},
    }
    settings.give("plan-cost", document, lambda console: _show(console, together, alone, providers))
    return Answer.YES


def _block_requests(chain: Caip2, queries: ChainQueries) -> Mapping[str, int]:
    return adapter_of(chain, load_adapters()).block_requests(queries)


def _block_times(pairs: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in pairs:
        chain, mark, text = pair.rpartition("=")
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not mark or not 0.01 <= seconds <= 86_400:
            raise ConfigError("--block-time", f"expected CHAIN=SECONDS as eip155:8453=2, got {pair!r}")
        found[chain] = seconds
    return found


def _paces(
    settings: Settings,
    plans: Sequence[CompiledPlan],
    given: Mapping[str, float],
    endpoints: int | None,
    *,
    polling: bool,
) -> dict[Caip2, Pace]:
    """How each chain is read: as the options say, else as node.toml does, else every 12 s by three."""
    chains = {chain for plan in plans for chain in plan.plan.chains}
    unknown = sorted(given.keys() - chains)
    if unknown:
        problem = f"expected a chain of the plans ({', '.join(sorted(chains))}), got {unknown[0]}"
        raise ConfigError("--block-time", problem)
    known = {each.chain: each for each in this_node(settings).chains} if has_node(settings) else {}
    paces: dict[Caip2, Pace] = {}
    for chain in chains:
        node = known.get(chain)
        block_time_s = given.get(chain)
        if block_time_s is None:
            block_time_s = _DEFAULT_BLOCK_TIME_S if node is None else node.block_time_ms / 1_000
        many = endpoints or (_DEFAULT_ENDPOINTS if node is None else len(node.endpoints))
        is_silent = node is not None and all(each.websocket_url is None for each in node.endpoints)
        paces[chain] = Pace(block_time_s, many, polls_head=polling or is_silent)
    return paces


def _units(file: Path | None) -> tuple[Units, ...]:
    if file is None:
        return read_units((files("relay.plans") / "compute_units.toml").read_text("utf-8"), "compute units")
    try:
        return read_units(file.read_text("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"expected a readable file of UTF-8, got: {error}") from error


def _day(costs: Sequence[ChainCost]) -> float:
    """Requests of a day, of all endpoints together."""
    return sum(each.requests_a_day * each.pace.endpoints for each in costs)


def _document(cost: ChainCost, providers: Sequence[Units]) -> dict[str, object]:
    return {
        "chain": cost.chain,
        "block_time_s": cost.pace.block_time_s,
        "endpoints": cost.pace.endpoints,
        "distinct_reads": cost.distinct_reads,
        "requests_a_block": dict(cost.per_block),
        "requests_a_day_each": {method: round(number) for method, number in cost.per_day.items()},
        "requests_a_day": round(cost.requests_a_day * cost.pace.endpoints),
        "units_a_day_each": {each.provider: round(each.of(cost.per_day)) for each in providers},
    }


def _show(
    console: Console, costs: Sequence[ChainCost], alone: Mapping[str, float], providers: Sequence[Units]
) -> None:
    for each in costs:
        methods = ", ".join(f"{number} {method}" for method, number in each.per_block.items())
        told = {
            "a block": f"{sum(each.per_block.values())} requests for {each.distinct_reads} reads ({methods})",
            "a day": f"{each.requests_a_day:,.0f} requests to each endpoint",
        }
        told |= {each_of.provider: _units_words(each_of, each) for each_of in providers}
        title = f"{each.chain}: a block every {each.pace.block_time_s:g} s, {each.pace.endpoints} endpoints"
        shown.facts(console, {title: told})
    console.print(f"requests a day, all endpoints: {_day(costs):,.0f}")
    if len(alone) > 1:
        for name, number in alone.items():
            console.print(f"  {shown.cell(name)} alone: {number:,.0f}")
        console.print(f"  one by one they would be {sum(alone.values()):,.0f}")


def _units_words(units: Units, cost: ChainCost) -> str:
    return f"{units.of(cost.per_day):,.0f} {units.unit} a day at each endpoint"


__all__ = ["cost"]
