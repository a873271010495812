"""`tocsin chain`."""

from __future__ import annotations

import click
from rich.console import Console

from relay.chains import load_adapters
from relay.cli import shown
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_files import this_node
from relay.cli.settings import Answer, Settings

_EPILOG = """\b
Examples:
  tocsin chain list
  tocsin chain check         asks the endpoints what they offer
  tocsin chain add eip155:8453 --rpc own=http://127.0.0.1:8545 --rpc acme=@acme.url

Chains and endpoints stand in node.toml. A chain of a kind that an installed adapter serves needs
nothing else.
"""


@click.command("list", cls=Command, epilog=_EPILOG)
@click.pass_obj
def list_(settings: Settings) -> Answer:
    """List the chains that this node reads, and by whom."""
    adapters = load_adapters()
    chains = [
        {
            "chain": chain.chain,
            "adapter": chain.chain.partition(":")[0] in adapters,
            "need": chain.need,
            "operators": [endpoint.operator for endpoint in chain.endpoints],
            "finality": chain.finality,
            "block_time_ms": chain.block_time_ms,
        }
        for chain in this_node(settings).chains
    ]

    def show(console: Console) -> None:
        columns = ("chain", "adapter", "need", "operators", "finality")
        rows = [
            [*(chain[name] for name in columns[:3]), _names(chain["operators"]), chain["finality"]]
            for chain in chains
        ]
        shown.table(console, columns, rows)

    settings.give("chains", {"chains": chains}, show)
    return Answer.YES if all(chain["adapter"] for chain in chains) else Answer.NO


def _names(operators: object) -> str:
    return ", ".join(map(str, operators)) if isinstance(operators, list) else ""


chain = LazyGroup(
    "chain",
    {
        "list": Lazy("relay.cli.chain:list_", "List the chains that this node reads, and by whom."),
        "add": Lazy("relay.cli.chain_survey:add", "Ask endpoints what they offer, and add their chain."),
        "check": Lazy("relay.cli.chain_survey:check", "Compare what endpoints offer with node.toml."),
    },
    help="The chains that this node reads.",
)

__all__ = ["chain", "list_"]
