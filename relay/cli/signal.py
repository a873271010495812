"""`tocsin signal`."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings
from relay.cli.signal_report import Occasion, sign_and_tell
from relay.core.errors import ConfigError
from relay.keys import create_reporter_key

_EPILOG = """\b
Examples:
  tocsin signal send --plan 5d41…c592 --subject unbacked --note "releases without burns since 14:05 UTC"
  tocsin signal send --key oscar.key --report attack --id 0x6e7f…91ab

A signal goes to all members and into the audit log. It decides nothing by itself. With a reporter's key it is
a report: once as many reporters as the plan says have signed one subject, the members act.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--plan", "plan_hash", help="The plan's hash (`tocsin plan hash FILE`).")
@click.option("--subject", help="The rule or act that it is about.")
@click.option("--note", default="", help="What was seen, in words.")
@click.option("--reporter", envvar="USER", show_envvar=True, help="Who says so.")
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="Sign a report with this reporter's key."
)
@click.option("--report", help="Name of the plan's reports; with --key.")
@click.option(
    "--block", default="latest", show_default=True, help="Hash of the reference block to name; with --key."
)
@click.option("--id", "occasion", help="What was seen: 64 hex digits, or a text to hash; with --key.")
@url_option
@token_option
@click.pass_obj
def send(
    settings: Settings,
    plan_hash: str | None,
    subject: str | None,
    note: str,
    reporter: str | None,
    key_file: Path | None,
    report: str | None,
    block: str,
    occasion: str | None,
    url: str | None,
    token_file: Path | None,
) -> Answer:
    """Tell the running node something, or report with a key."""
    client = client_for(settings, url, token_file)
    if key_file is not None:
        wanted = Occasion(_given("--report", report), _given("--id", occasion), block, plan_hash)
        told = sign_and_tell(client, key_file, wanted)
        settings.give("report", told, lambda console: console.print(f"told: {told['id']}", markup=False))
        return Answer.YES
    if report is not None or occasion is not None:
        raise ConfigError("--key", "expected a reporter's key with --report and --id, got none")
    body = {
        "plan_hash": _given("--plan", plan_hash),
        "subject": _given("--subject", subject),
        "note": note,
        "reporter": _given("--reporter", reporter),
    }
    name = str(client.post("/v1/signals", body).get("id"))
    settings.give("signal", {"id": name}, lambda console: console.print(f"told: {name}", markup=False))
    return Answer.YES


_KEYGEN_EPILOG = """\b
Example:
  tocsin signal keygen oscar.key

The owner of the protocol puts the printed key among the reporters of his plan.
"""


@click.command(cls=Command, epilog=_KEYGEN_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def keygen(settings: Settings, file: Path) -> Answer:
    """Make a reporter's key in a new FILE, and print what a plan names it by."""
    key = create_reporter_key(file)
    shown = {"file": str(file), "reporter": key.name}
    settings.give("reporter-key", shown, lambda console: console.print(key.name, markup=False))
    return Answer.YES


def _given(option: str, value: str | None) -> str:
    if value is None:
        raise ConfigError(option, "expected a value, got none")
    return value


signal = LazyGroup(
    "signal",
    {
        "send": Lazy("relay.cli.signal:send", "Tell the running node something, or report with a key."),
        "keygen": Lazy("relay.cli.signal:keygen", "Make a reporter's key."),
    },
    help="Signals: what a person or a monitor tells a node.",
)

__all__ = ["keygen", "send", "signal"]
