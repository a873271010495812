"""`tocsin incident`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings

_LIST_EPILOG = """\b
Examples:
  tocsin incident list
  tocsin incident list --json | jq '.incidents[].id'
"""
_SHOW_EPILOG = """\b
Example:
  tocsin incident show 3f2a…9c        (an unambiguous beginning of the id is enough)
"""
_WATCH_EPILOG = """\b
Examples:
  tocsin incident watch               one line per change, until Ctrl-C
  tocsin incident watch --json        one JSON object per line
"""
_COLUMNS = ("id", "protocol", "rule", "certified", "contained", "decisions_count")
_SHOWN_ID_CHARS = 16


@click.command("list", cls=Command, epilog=_LIST_EPILOG)
@url_option
@token_option
@click.pass_obj
def list_(settings: Settings, url: str | None, token_file: Path | None) -> Answer:
    """List the incidents that the running node knows, newest first."""
    _, answer = client_for(settings, url, token_file).get("/v1/incidents")
    incidents = _objects(answer.get("incidents"))

    def show(console: Console) -> None:
        if incidents:
            shown.table(console, _COLUMNS, [_row(incident) for incident in incidents])
        else:
            console.print("no incidents")

    settings.give("incidents", {"incidents": incidents}, show)
    return Answer.YES


@click.command(cls=Command, epilog=_SHOW_EPILOG)
@click.argument("incident_id", metavar="ID")
@url_option
@token_option
@click.pass_obj
def show(settings: Settings, incident_id: str, url: str | None, token_file: Path | None) -> Answer:
    """Show one incident: decisions, verdicts of each member, acts and what became of them."""
    client = client_for(settings, url, token_file)
    _, listed = client.get("/v1/incidents")
    names = [str(incident.get("id")) for incident in _objects(listed.get("incidents"))]
    matching = [name for name in names if name.startswith(incident_id)]
    if len(matching) > 1:
        raise click.UsageError(f"{incident_id} begins the ids of {len(matching)} incidents")
    chosen = matching[0] if matching else incident_id
    _, answer = client.get(f"/v1/incidents/{quote(chosen, safe='')}")
    incident = answer.get("incident")
    document = {str(key): value for key, value in incident.items()} if isinstance(incident, dict) else {}
    settings.give("incident", {"incident": document}, lambda console: _show(console, document))
    return Answer.YES


@click.command(cls=Command, epilog=_WATCH_EPILOG)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many updates.")
@url_option
@token_option
@click.pass_obj
def watch(settings: Settings, count: int | None, url: str | None, token_file: Path | None) -> Answer:
    """Show every change as it happens."""
    client = client_for(settings, url, token_file)
    for number, (kind, update) in enumerate(client.events(), start=1):
        line = {name: value for name, value in update.items() if name != "schema"}
        settings.give("event", {"event": kind, **line}, partial(_line, kind, line))
        if number == count:
            return Answer.YES
    return Answer.UNKNOWN


def _line(kind: str, update: Mapping[str, object], console: Console) -> None:
    told = "  ".join(f"{shown.cell(name)} {shown.cell(value)}" for name, value in update.items())
    console.print(f"[bold]{shown.cell(kind)}[/]  {told}")


def _row(incident: Mapping[str, object]) -> list[object]:
    row = [incident.get(column) for column in _COLUMNS]
    return [str(row[0])[:_SHOWN_ID_CHARS], *row[1:]]


def _show(console: Console, incident: Mapping[str, object]) -> None:
    shown.facts(console, {name: value for name, value in incident.items() if name != "decisions"})
    for decision in _objects(incident.get("decisions")):
        console.print()
        shown.facts(console, {name: value for name, value in decision.items() if name != "acts"})
        acts = _objects(decision.get("acts"))
        if acts:
            columns = list(acts[0])
            shown.table(console, columns, [[act.get(column) for column in columns] for act in acts])


def _objects(value: object) -> list[dict[str, object]]:
    items = value if isinstance(value, list) else []
    return [{str(key): what for key, what in item.items()} for item in items if isinstance(item, dict)]


incident = LazyGroup(
    "incident",
    {
        "list": Lazy("relay.cli.incident:list_", "List the incidents that the running node knows."),
        "show": Lazy("relay.cli.incident:show", "Show one incident."),
        "watch": Lazy("relay.cli.incident:watch", "Show every change as it happens."),
    },
    help="Incidents, as the running node sees them.",
)

__all__ = ["incident", "list_", "show", "watch"]
