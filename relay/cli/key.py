"""`tocsin key`."""

from __future__ import annotations

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_files import passphrase_of, this_node
from relay.cli.settings import Answer, Settings
from relay.keys import PublicKeys, public_keys

_EPILOG = """\b
Examples:
  tocsin key list
  tocsin key list --json | jq -r .identity

Only public halves are shown. The submitter's account needs the chain's coin to pay for transactions.
"""


@click.command("list", cls=Command, epilog=_EPILOG)
@click.pass_obj
def list_(settings: Settings) -> Answer:
    """List the public halves of this node's keys."""
    config = this_node(settings)
    keys = public_keys(config.directory.keys, passphrase_of(config.passphrase))

    def show(console: Console) -> None:
        names = ("identity", "attester", "log", "cosigner")
        document = key_document(keys)
        shown.facts(console, {name: document[name] for name in names})
        shown.facts(console, {f"submitter {name}": f"0x{key.hex()}" for name, key in keys.submitters.items()})

    settings.give("keys", key_document(keys), show)
    return Answer.YES


def key_document(keys: PublicKeys) -> dict[str, object]:
    """Give public keys as JSON holds them: hex, accounts with 0x."""
    return {
        "identity": keys.identity.hex(),
        "attester": f"0x{keys.attester.hex()}",
        "log": keys.log.hex(),
        "cosigner": keys.cosigner.hex(),
        "submitters": {name: f"0x{address.hex()}" for name, address in keys.submitters.items()},
    }


key = LazyGroup(
    "key",
    {"list": Lazy("relay.cli.key:list_", "List the public halves of this node's keys.")},
    help="This node's keys.",
)

__all__ = ["key", "key_document", "list_"]
