"""`tocsin log`: what the running node knows of its own audit log, and of the others'."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings

_EPILOG = """\b
How to read it:
  signed      what this node has signed and gathers cosignatures for
  published   what it serves at /checkpoint: enough members have cosigned it
  missing     witnesses that have not cosigned the newest one, since when, and why
  witnessed   the logs that this node cosigns, each with the newest size it vouches for
  fork        a log has signed two roots for one size: it told two stories. Nobody cosigns it any more; the
              evidence lies in evidence/ and stands in every log
  owes        a log has not proved that something it signed is of one history with the rest

\b
A log is served only with the cosignatures of k = (n+f)/2+1 of n members (3 of 4, 5 of 7), so that nobody can
be shown another one. If it says "stopped", this disk is older than what its log has signed: never start it
again from that copy; give the log a new home and a new key in the next committee document.

\b
Examples:
  tocsin log
  tocsin log --json | jq .log.published.size
  tocsin log --quiet || page-somebody

Exit code 0 when all is well, 1 when the newest checkpoint has waited for its cosignatures for a minute, the
log has stopped, or a log that is witnessed has forked or owes a proof, 3 when no node answers.
"""
MERGE_DELAY_MS = 60_000
"""So long a checkpoint may wait for its cosignatures before something is wrong (core SPEC 7.3)."""


@click.command(cls=Command, epilog=_EPILOG)
@url_option
@token_option
@click.pass_obj
def log(settings: Settings, url: str | None, token_file: Path | None) -> Answer:
    """Show this node's audit log, who has cosigned it, and the logs that it witnesses."""
    _, said = client_for(settings, url, token_file).get("/v1/log")
    document = {name: value for name, value in said.items() if name != "schema"}
    problems = _problems(document)

    def show(console: Console) -> None:
        _show(console, document)
        if problems:
            console.print()
            shown.checks(console, [(False, problem, "", remedy) for problem, remedy in problems])

    settings.give("log", {**document, "problems": [problem for problem, _ in problems]}, show)
    return Answer.NO if problems else Answer.YES


def _problems(document: Mapping[str, object]) -> list[tuple[str, str]]:
    """Give what is wrong, each with what to do about it."""
    own = _object(document.get("log"))
    found: list[tuple[str, str]] = []
    waiting_ms = own.get("waiting_ms")
    if own.get("stopped"):
        found.append((f"this log has stopped: {own.get('stopped')}", "give it a new home and a new key"))
    elif isinstance(waiting_ms, int) and waiting_ms >= MERGE_DELAY_MS:
        text = f"the newest checkpoint has waited {waiting_ms // 1_000} s for its cosignatures"
        found.append((text, "see who is missing, and that enough members are connected"))
    if _object(document.get("witness")).get("working") is not True:
        found.append(("this node's witness cosigns nothing", "see its page: the disk, or the file"))
    for fork in _objects(document.get("forks")):
        text = f"fork: {fork.get('origin')} has signed two roots for size {fork.get('size')}"
        found.append((text, "see evidence/; ask its operator, and remove the member"))
    for debt in _objects(document.get("debts")):
        if debt.get("owes") is True:
            text = f"{debt.get('origin')} owes a proof for size {debt.get('size')}"
            found.append((text, "ask its operator whether the log was restored from a copy"))
    return found


def _show(console: Console, document: Mapping[str, object]) -> None:
    own = _object(document.get("log"))
    cosigned = _objects(own.get("cosigned"))
    shown.facts(
        console,
        {
            "origin": own.get("origin"),
            "signed": _size(own.get("signed")),
            "published": f"{_size(own.get('published'))}, cosigned by {len(cosigned)}"
            f" (needs {own.get('quorum')} of {own.get('of')})",
        },
    )
    rows: list[tuple[bool | None, list[object]]] = [
        (True, [each.get("name"), _time(each.get("at_s"))]) for each in cosigned
    ]
    for each in _objects(own.get("missing")):
        since_ms = each.get("since_ms")
        since = _time(since_ms // 1_000 if isinstance(since_ms, int) else None)
        rows.append((False, [each.get("name"), f"missing since {since}: {each.get('reason')}"]))
    console.print()
    shown.marked_table(console, ["", "witness", "of our newest"], rows)
    witnessed = _objects(document.get("witnessed"))
    console.print()
    columns = ["log we witness", "size", "root", "cosigned"]
    shown.table(
        console,
        columns,
        [
            [each.get("origin"), each.get("size"), str(each.get("root"))[:16], _time(each.get("at_s"))]
            for each in witnessed
        ],
    )


def _size(checkpoint: object) -> str:
    size = _object(checkpoint).get("size")
    return "nothing" if size is None else f"{size} entries"


def _time(at_s: object) -> str:
    if not isinstance(at_s, int) or not 0 <= at_s < 1 << 36:
        return "–"
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _object(value: object) -> dict[str, object]:
    return {str(key): what for key, what in value.items()} if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, object]]:
    return [_object(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


__all__ = ["log"]
