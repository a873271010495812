"""`tocsin ceremony propose`, `start` and `reshare`: asking the others for keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from proofs.hashes import sha256
from relay.cli.ceremony_asking import follow, show_end
from relay.cli.ceremony_show import explain
from relay.cli.client import NodeClient
from relay.cli.commands import Command
from relay.cli.gateway_options import FILE, F, span_option
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.settings import Answer, Settings
from relay.config import load_committee

_PROPOSE_EPILOG = """\b
Examples:
  tocsin ceremony propose                                  keys for the committee in force
  tocsin ceremony propose --without dave --deadline 2h     dave holds no share
  tocsin ceremony propose --committee epoch-0002.toml \\
      --rotate-from 2026-12-01T12:00:00Z --rotate-until 2026-12-08T12:00:00Z
                                                           keys for the next committee and key epoch

The proposal goes to all members. Each operator, you too, then joins: tocsin ceremony join ID. A next
committee document lies signed in every member's committee directory before. Where it begins a new key epoch,
--rotate-from and --rotate-until say in which time of the chains verifiers may be told of it.
"""
_START_EPILOG = """\b
Examples:
  tocsin ceremony start                      propose, join, and follow until the keys are in force
  tocsin ceremony start --deadline 30m --yes

The options are those of propose. Exit code 0 when done, 1 when it ended without keys, 4 when not confirmed.
"""
_RESHARE_EPILOG = """\b
Examples:
  tocsin ceremony reshare                                  refresh: old shares are worth nothing afterwards
  tocsin ceremony reshare --replace bob                    bob has a new machine and no share
  tocsin ceremony reshare --replace bob --committee epoch-0002.toml
                                                           bob has a new address too
  tocsin ceremony reshare --without dave                   dave gets no share of the next generation

The group keys stay, so no transaction is needed on any chain. Those who hold shares deal, at least as many as
must sign a full mandate. Joins and follows, as start does; with --propose-only it does neither.
"""


def _instant(text: str) -> int:
    """Read an instant with its zone, or seconds since 1970, as seconds: the type of an option."""
    if text.isdecimal() and len(text) <= 12:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"expected a time like 2026-12-01T12:00:00Z or in seconds, got {text!r}"
        ) from error
    if found.tzinfo is None:
        raise click.BadParameter(f"expected a time with its zone, as 2026-12-01T12:00:00Z, got {text!r}")
    return int(found.timestamp())


def _common(command: F) -> F:
    for option in (
        token_option,
        url_option,
        span_option("--deadline", "1h", "How long the others have: 5s to 7d."),
        click.option("--without", multiple=True, metavar="NAME", help="A member to leave out; repeatable."),
        click.option(
            "--generation",
            type=click.IntRange(1, (1 << 32) - 1),
            help="At least this one, when a member says that it has signed the one before.",
        ),
        click.option("--committee", "file", type=FILE, help="The committee document that the keys are for."),
    ):
        command = option(command)
    return command


def _rotation(command: F) -> F:
    for option in (
        click.option("--revoke-previous", is_flag=True, help="The keys before end when the new ones begin."),
        click.option("--rotate-until", type=_instant, metavar="TIME", help="Last time to tell verifiers."),
        click.option("--rotate-from", type=_instant, metavar="TIME", help="First time to tell verifiers."),
        click.option(
            "--ed25519", is_flag=True, help="Ed25519 keys too, for chains whose adapter asks for them."
        ),
    ):
        command = option(command)
    return command


@click.command(cls=Command, epilog=_RESHARE_EPILOG)
@click.option(
    "--replace", multiple=True, metavar="NAME", help="A member that receives but has no share to deal."
)
@click.option("--propose-only", is_flag=True, help="Neither join nor follow.")
@_common
@click.pass_obj
def reshare(
    settings: Settings,
    file: Path | None,
    without: tuple[str, ...],
    deadline: int,
    generation: int | None,
    url: str | None,
    token_file: Path | None,
    replace: tuple[str, ...],
    propose_only: bool,
) -> Answer:
    """Propose new shares of the keys in force: for a refresh, a new machine, other holders."""
    wish = {**_wish(file, without, deadline, generation), "kind": "reshare", "replace": list(replace)}
    client = client_for(settings, url, token_file)
    name = _propose(client, wish)
    return _proposed(settings, client, name) if propose_only else _carry_through(settings, client, name)


def _wish(
    file: Path | None, without: tuple[str, ...], deadline_s: int, generation: int | None
) -> dict[str, object]:
    """Give what every proposal has; a committee file counts by its canonical form's hash."""
    wish: dict[str, object] = {"kind": "dkg", "without": list(without), "deadline_s": deadline_s}
    if generation is not None:
        wish["generation"] = generation
    if file is not None:
        wish["committee"] = sha256(load_committee(file).raw).hex()
    return wish


def _dkg(
    ed25519: bool, rotate_from: int | None, rotate_until: int | None, revoke_previous: bool
) -> dict[str, object]:
    wish: dict[str, object] = {}
    if ed25519:
        wish["groups"] = ["fast", "fast/ed25519", "full", "full/ed25519"]
    if (rotate_from is None) != (rotate_until is None):
        raise click.UsageError("--rotate-from and --rotate-until: expected both or neither, got one")
    if rotate_from is None and revoke_previous:
        raise click.UsageError("--revoke-previous: expected --rotate-from and --rotate-until with it")
    if rotate_from is not None:
        wish["rotation"] = {
            "not_before": rotate_from,
            "not_after": rotate_until,
            "revoke": revoke_previous,
        }
    return wish


def _propose(client: NodeClient, wish: dict[str, object]) -> str:
    return str(client.post("/v1/ceremonies", wish).get("id"))


def _proposed(settings: Settings, client: NodeClient, name: str) -> Answer:
    ceremony = follow(settings, client, name, lambda _state: True)

    def show(console: Console) -> None:
        explain(console, ceremony)
        console.print(f"proposed: every operator, you too, now runs: tocsin ceremony join {name[:16]}")

    settings.give("ceremony", {"ceremony": ceremony}, show)
    return Answer.YES


def _carry_through(settings: Settings, client: NodeClient, name: str) -> Answer:
    ceremony = follow(settings, client, name, lambda _state: True)
    if not settings.quiet and not settings.json:
        explain(settings.console(error=True), ceremony)
    if not settings.confirm("Take part?"):
        said = f"proposed {name[:16]}, not joined: not confirmed (give --yes where nobody can be asked)"
        document = {"id": name, "joined": False}
        settings.give("ceremony-proposed", document, lambda console: console.print(said, markup=False))
        return Answer.REFUSED
    client.post(f"/v1/ceremonies/{name}/join", {})
    settings.say(f"the others join with: tocsin ceremony join {name[:16]}")
    return show_end(settings, follow(settings, client, name, lambda _state: False))


def _for_new_keys(
    name: str, finish: Callable[[Settings, NodeClient, str], Answer], text: str, epilog: str
) -> click.Command:
    """Make a command that proposes new keys; `finish` goes on with the ceremony's id."""

    @click.command(name, cls=Command, help=text, epilog=epilog)
    @_rotation
    @_common
    @click.pass_obj
    def command(
        settings: Settings,
        file: Path | None,
        without: tuple[str, ...],
        deadline: int,
        generation: int | None,
        url: str | None,
        token_file: Path | None,
        ed25519: bool,
        rotate_from: int | None,
        rotate_until: int | None,
        revoke_previous: bool,
    ) -> Answer:
        wish = _wish(file, without, deadline, generation)
        wish |= _dkg(ed25519, rotate_from, rotate_until, revoke_previous)
        client = client_for(settings, url, token_file)
        return finish(settings, client, _propose(client, wish))

    return command


propose = _for_new_keys(
    "propose",
    _proposed,
    "Propose new keys; nothing happens until everybody asked has joined.",
    _PROPOSE_EPILOG,
)
start = _for_new_keys(
    "start", _carry_through, "Propose new keys, join, and follow to the end.", _START_EPILOG
)

__all__ = ["propose", "reshare", "start"]
