"""`tocsin gateway inspect`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_keys import known_keys
from relay.cli.gateway_options import plan_option, rpc_option
from relay.cli.gateway_reading import (
    PlannedGateway,
    Reading,
    gateways_of,
    needed_settings,
    node_plans,
    parse_place,
    read_gateway,
    with_plans,
)
from relay.cli.gateway_show import report_document, show_report
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.config import KeptKeys
from relay.core.errors import ConfigError
from relay.core.gateway_report import GatewayReport

_EPILOG = """\b
Examples:
  tocsin gateway inspect                                  every gateway of this node's plans
  tocsin gateway inspect eip155:1:0x1111…                 by the endpoints of node.toml
  tocsin gateway inspect eip155:1:0x1111… --rpc http://127.0.0.1:8545 --plan acme.plan.toml
  tocsin gateway inspect --json | jq '.gateways[].longest_frozen'

A plan's names are shown for acts whose hash is the plan's. What a gateway says is never believed further:
`tocsin gateway verify` compares its code, keys, acts and budget with yours.

Exit code 0 when every gateway was read, 1 when there is none at an address, 3 when too few endpoints agree.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("address", required=False, metavar="[CHAIN:ADDRESS]")
@rpc_option
@plan_option
@click.pass_obj
def inspect(settings: Settings, address: str | None, rpc: tuple[str, ...], plan: Path | None) -> Answer:
    """Explain a deployed gateway: who may do what with it, for how long, and what it does now."""
    places = _places(settings, address, plan)
    if rpc and len({place.chain for place in places}) > 1:
        raise ConfigError("--rpc", "expected gateways of one chain, got several", remedy="give CHAIN:ADDRESS")
    asked = [(needed_settings(settings, place.chain, rpc), place) for place in places]
    readings = [(place, asyncio.run(read_gateway(chain, place))) for chain, place in asked]
    documents = [_document(place, reading) for place, reading in readings]
    known = known_keys(settings)
    settings.give("gateways", {"gateways": documents}, lambda console: _show(console, readings, known))
    found = all(isinstance(reading.survey, GatewayReport) for _, reading in readings)
    return Answer.YES if found else Answer.NO


def _places(settings: Settings, address: str | None, plan: Path | None) -> tuple[PlannedGateway, ...]:
    plans = node_plans(settings) if plan is None else (read_plan(plan),)
    if address is not None:
        return (with_plans(parse_place(address), plans),)
    places = gateways_of(plans)
    if not places:
        problem = "expected an address, or a plan that names a gateway, got neither"
        raise ConfigError("ADDRESS", problem, remedy="give CHAIN:ADDRESS, --plan FILE, or --home of a node")
    return places


def _document(place: PlannedGateway, reading: Reading) -> dict[str, object]:
    survey = reading.survey
    if isinstance(survey, GatewayReport):
        return report_document(place, reading, survey)
    return {"chain": place.chain, "gateway": survey.gateway, "problem": survey.reason}


def _show(
    console: Console, readings: Sequence[tuple[PlannedGateway, Reading]], known: Sequence[KeptKeys]
) -> None:
    for place, reading in readings:
        survey = reading.survey
        if isinstance(survey, GatewayReport):
            show_report(console, place, reading, survey, known)
        else:
            told = f"{survey.gateway} on {place.chain}: no gateway: {survey.reason}"
            console.print(f"{shown.NO_MARK} {shown.cell(told)}")


__all__ = ["inspect"]
