"""`tocsin signal`."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings

_EPILOG = """\b
Example:
  tocsin signal send --plan 5d41…c592 --subject unbacked --note "releases without burns since 14:05 UTC"

A signal goes to all members and into the audit log. It decides nothing by itself.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--plan", "plan_hash", required=True, help="The plan's hash (`tocsin plan hash FILE`).")
@click.option("--subject", required=True, help="The rule or act that it is about.")
@click.option("--note", default="", help="What was seen, in words.")
@click.option("--reporter", envvar="USER", required=True, show_envvar=True, help="Who says so.")
@url_option
@token_option
@click.pass_obj
def send(
    settings: Settings,
    plan_hash: str,
    subject: str,
    note: str,
    reporter: str,
    url: str | None,
    token_file: Path | None,
) -> Answer:
    """Tell the running node something."""
    client = client_for(settings, url, token_file)
    body = {"plan_hash": plan_hash, "subject": subject, "note": note, "reporter": reporter}
    answer = client.post("/v1/signals", body)
    name = str(answer.get("id"))
    settings.give("signal", {"id": name}, lambda console: console.print(f"told: {name}", markup=False))
    return Answer.YES


signal = LazyGroup(
    "signal",
    {"send": Lazy("relay.cli.signal:send", "Tell the running node something.")},
    help="Signals: what a person or a monitor tells a node.",
)

__all__ = ["send", "signal"]
