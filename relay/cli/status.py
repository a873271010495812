"""`tocsin status`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings

_EPILOG = """\b
Examples:
  tocsin status
  tocsin status --json | jq .ready
  tocsin status --url http://127.0.0.1:9330 --quiet || page-somebody

Exit code 0 when ready, 1 when a named fact does not hold, 3 when no node answers.
"""


@click.command(cls=Command, epilog=_EPILOG)
@url_option
@token_option
@click.pass_obj
def status(settings: Settings, url: str | None, token_file: Path | None) -> Answer:
    """Say how the running node is."""
    client = client_for(settings, url, token_file)
    _, readiness = client.get("/readyz")
    _, said = client.get("/v1/status")
    document = {name: value for name, value in said.items() if name != "schema"}
    ready = readiness.get("ready") is True
    held = readiness.get("facts")
    readiness_facts = held if isinstance(held, list) else []

    def show(console: Console) -> None:
        shown.checks(console, [_check(fact) for fact in readiness_facts if isinstance(fact, dict)])
        if document:
            console.print()
            shown.facts(console, document)

    settings.give("status", {**document, "ready": ready, "facts": readiness_facts}, show)
    return Answer.YES if ready else Answer.NO


def _check(fact: Mapping[str, object]) -> tuple[bool, str, str, str]:
    ready = fact.get("ready") is True
    return ready, str(fact.get("name")), str(fact.get("reason", "")), str(fact.get("remedy", ""))


__all__ = ["status"]
