"""`tocsin ceremony`: join, drop, status."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.ceremony_asking import find, follow, listed, read, show_end
from relay.cli.ceremony_show import answer_of, explain, objects, progress, summary_row
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings

_JOIN_EPILOG = """\b
Examples:
  tocsin ceremony status                      what is proposed
  tocsin ceremony join 3f2a90c14be7           shows what it means, and asks
  tocsin ceremony join 3f2a90c14be7 --yes --follow

To join says: I have read this proposal, and my node may make and keep shares of these keys. The rest happens
by itself. Until every member of it has done its part nothing changes; then the keys are in force everywhere.
Exit code 0 when joined (with --follow: when done), 1 when the node refuses or it ended without keys, 4 when
not confirmed.
"""
_DROP_EPILOG = """\b
Example:
  tocsin ceremony drop 3f2a90c14be7

This node says nothing more in it, and erases its secrets of it: the ceremony can no longer be completed and
runs into its deadline. The keys in force stay as they are. What is done cannot be dropped.
"""
_STATUS_EPILOG = """\b
Examples:
  tocsin ceremony status                      the ceremonies that this node knows, and the keys in force
  tocsin ceremony status 3f2a90c14be7         who has joined, dealt, signed; who is missing; the deadline
  tocsin ceremony status --follow             the newest, until it has ended

Exit code for one ceremony: 0 done, 1 ended without keys, 3 still open; for the list 0.
"""
_COLUMNS = ("id", "kind", "state", "epoch/gen", "proposer", "until", "waits for")
_id = click.argument("name", metavar="ID")


@click.command(cls=Command, epilog=_JOIN_EPILOG)
@_id
@click.option("--follow", "follows", is_flag=True, help="Stay until it has ended.")
@url_option
@token_option
@click.pass_obj
def join(settings: Settings, name: str, follows: bool, url: str | None, token_file: Path | None) -> Answer:
    """Take part in a ceremony that was proposed."""
    client = client_for(settings, url, token_file)
    ceremony = find(client, name)
    if not settings.quiet and not settings.json:
        explain(settings.console(error=True), ceremony)
    if not settings.confirm("Take part?"):
        return _refuse(settings, "not joined: not confirmed (give --yes where nobody can be asked)")
    chosen = str(ceremony.get("id"))
    client.post(f"/v1/ceremonies/{chosen}/join", {})
    if follows:
        return show_end(settings, follow(settings, client, chosen, lambda _state: False))
    answer = {"id": chosen, "joined": True}
    said = f"joined {chosen[:16]}; follow it with: tocsin ceremony status {chosen[:16]} --follow"
    settings.give("ceremony-joined", answer, lambda console: console.print(said, markup=False))
    return Answer.YES


@click.command(cls=Command, epilog=_DROP_EPILOG)
@_id
@url_option
@token_option
@click.pass_obj
def drop(settings: Settings, name: str, url: str | None, token_file: Path | None) -> Answer:
    """Leave a ceremony, and erase this node's secrets of it."""
    client = client_for(settings, url, token_file)
    ceremony = find(client, name)
    chosen = str(ceremony.get("id"))
    if not settings.confirm(f"Leave the ceremony {chosen[:16]}? Nobody can complete it then."):
        return _refuse(settings, "not dropped: not confirmed (give --yes where nobody can be asked)")
    client.post(f"/v1/ceremonies/{chosen}/drop", {})
    answer = {"id": chosen, "dropped": True}
    settings.give("ceremony-dropped", answer, lambda console: console.print(f"dropped {chosen[:16]}"))
    return Answer.YES


@click.command(cls=Command, epilog=_STATUS_EPILOG)
@click.argument("name", metavar="[ID]", required=False)
@click.option("--follow", "follows", is_flag=True, help="Tell each change until it has ended.")
@url_option
@token_option
@click.pass_obj
def status(
    settings: Settings, name: str | None, follows: bool, url: str | None, token_file: Path | None
) -> Answer:
    """Show ceremonies: how far they are, who is missing, who is at fault."""
    client = client_for(settings, url, token_file)
    if name is None and not follows:
        return _list(settings, listed(client))
    chosen = str(find(client, name).get("id"))
    if follows:
        return show_end(settings, follow(settings, client, chosen, lambda _state: False))
    ceremony = read(client, chosen)

    def show(console: Console) -> None:
        explain(console, ceremony)
        progress(console, ceremony)

    settings.give("ceremony", {"ceremony": ceremony}, show)
    return answer_of(ceremony)


def _list(settings: Settings, answer: dict[str, object] | object) -> Answer:
    document = dict(answer) if isinstance(answer, dict) else {}
    known, keys = objects(document.get("ceremonies")), objects(document.get("keys"))

    def show(console: Console) -> None:
        if known:
            shown.table(console, _COLUMNS, [summary_row(each) for each in known])
        else:
            console.print("no ceremony is known here")
        for each in keys:
            console.print()
            shown.facts(console, {name: value for name, value in each.items() if name != "groups"})
            rows = [
                [g.get("name"), g.get("threshold"), g.get("key"), _proved(g)] for g in objects(each["groups"])
            ]
            shown.table(console, ("group", "threshold", "key", "can sign"), rows)
        if not keys:
            console.print("no threshold keys are in force: certificates are lists of signatures")

    settings.give("ceremonies", {"keys": keys, "ceremonies": known}, show)
    return Answer.YES


def _proved(group: Mapping[str, object]) -> str:
    return "shown" if group.get("possession") else "not shown yet"


def _refuse(settings: Settings, said: str) -> Answer:
    document = {"done": False, "reason": said}
    settings.give("ceremony-refused", document, lambda console: console.print(said, markup=False))
    return Answer.REFUSED


ceremony = LazyGroup(
    "ceremony",
    {
        "propose": Lazy("relay.cli.ceremony_propose:propose", "Propose keys for a committee; others join."),
        "start": Lazy("relay.cli.ceremony_propose:start", "Propose, join and follow in one."),
        "join": Lazy("relay.cli.ceremony:join", "Take part in one that was proposed."),
        "status": Lazy("relay.cli.ceremony:status", "How far it is, and who is missing."),
        "reshare": Lazy("relay.cli.ceremony_propose:reshare", "New shares of the same keys."),
        "drop": Lazy("relay.cli.ceremony:drop", "Leave one, and erase this node's secrets of it."),
        "verify": Lazy("relay.cli.ceremony_check:verify", "Check a keys file, offline."),
        "blame": Lazy("relay.cli.ceremony_check:blame", "Check evidence of a fault, offline."),
    },
    help="""Threshold keys: made by all members together, so that no place ever holds one.

Every member's operator reads the proposal and joins; then the nodes deal, check and sign by themselves. A
ceremony that is not complete by its deadline, or in which somebody cheats, changes nothing.""",
)

__all__ = ["ceremony", "drop", "join", "status"]
