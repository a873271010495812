"""Finding a ceremony on the running node, following it, and asking for the next one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import click
from rich.console import Console

from relay.cli.ceremony_show import OPEN, answer_of, line, objects, progress
from relay.cli.client import NodeClient, NodeRefusal, NodeUnreachable
from relay.cli.settings import Answer, Settings

__all__ = ["find", "follow", "listed", "read", "show_end"]

POLL_S: Final = 0.3
SHORTEST_ID: Final = 8
PATIENCE: Final = 100
"""So many answers in a row may be missing while a ceremony is followed: the node may be restarted."""


def listed(client: NodeClient) -> Mapping[str, object]:
    """Give what the node says of all its ceremonies, newest first, and of the keys in force."""
    return client.get("/v1/ceremonies")[1]


def find(client: NodeClient, name: str | None) -> dict[str, object]:
    """Give the ceremony whose id begins so; without a name the newest.

    Raises:
        NodeRefusal: there is none.
    """
    known = objects(listed(client).get("ceremonies"))
    if name is None:
        if not known:
            raise NodeRefusal(
                HTTPStatus.NOT_FOUND, "no ceremony is known here", "propose one: tocsin ceremony propose"
            )
        return next((each for each in known if each.get("state") in OPEN), known[0])
    wanted = name.lower().removeprefix("0x")
    if len(wanted) < SHORTEST_ID:
        raise click.UsageError(f"expected at least {SHORTEST_ID} digits of the ceremony's id, got {name!r}")
    matching = [each for each in known if str(each.get("id")).startswith(wanted)]
    if len(matching) > 1:
        raise click.UsageError(f"{name} begins the ids of {len(matching)} ceremonies")
    if not matching:
        remedy = "see those that it knows: tocsin ceremony status; is this node connected to the proposer?"
        raise NodeRefusal(HTTPStatus.NOT_FOUND, f"no ceremony {name} is known here", remedy)
    return matching[0]


def read(client: NodeClient, name: str) -> dict[str, object]:
    """Give the ceremony with this full id."""
    ceremony = client.get(f"/v1/ceremonies/{name}")[1].get("ceremony")
    return {str(key): what for key, what in ceremony.items()} if isinstance(ceremony, dict) else {}


def follow(
    settings: Settings, client: NodeClient, name: str, until: Callable[[str], bool]
) -> dict[str, object]:
    """Tell each change of a ceremony until `until` says that its state is the one waited for, or it ends."""
    told = ""
    pause = threading.Event()
    while True:
        ceremony = _read_patiently(client, name, pause)
        state = str(ceremony.get("state"))
        if (now := line(ceremony)) != told:
            told = now
            _tell(settings, ceremony)
        if state not in OPEN or until(state):
            return ceremony
        pause.wait(POLL_S)


def _read_patiently(client: NodeClient, name: str, pause: threading.Event) -> dict[str, object]:
    """Read a ceremony from a node that may be restarted, or has yet to hear of it."""
    for _ in range(PATIENCE):
        try:
            return read(client, name)
        except NodeRefusal as refusal:
            if refusal.is_final and refusal.status != HTTPStatus.NOT_FOUND:
                raise
        except NodeUnreachable:
            pass
        pause.wait(POLL_S)
    return read(client, name)


def show_end(settings: Settings, ceremony: Mapping[str, object]) -> Answer:
    """Give a ceremony as the answer of a command."""

    def show(console: Console) -> None:
        progress(console, ceremony)

    settings.give("ceremony", {"ceremony": ceremony}, show)
    return answer_of(ceremony)


def _tell(settings: Settings, ceremony: Mapping[str, object]) -> None:
    if settings.json:
        click.echo(json.dumps({"schema": "tocsin/ceremony-change/1", "ceremony": ceremony}), err=True)
    else:
        settings.say(line(ceremony))
