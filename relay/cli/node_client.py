"""The client for the node meant by --home and --network, or by --url."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.client import NodeClient
from relay.cli.node_files import this_node
from relay.cli.settings import Settings
from relay.config import read_private_line
from relay.core.errors import ConfigError

url_option = click.option("--url", help="The node's HTTP interface, when it is not this home's node.")
token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with the interface's token, when it is not this home's node.",
)


def client_for(settings: Settings, url: str | None, token_file: Path | None) -> NodeClient:
    """Give a client for --url, or for the address and token that node.toml names.

    Raises:
        ConfigError: node.toml asks for any free port, so that only --url can say which.
    """
    if url is not None:
        token = None if token_file is None else read_private_line(token_file, where="--token-file").encode()
        return NodeClient(url.rstrip("/"), token)
    config = this_node(settings)
    if config.api.port == 0:
        problem = "expected a fixed port to find the node at, got 0"
        raise ConfigError(f"{config.directory.node_file}: api.bind", problem, remedy="give --url")
    host = f"[{config.api.host}]" if ":" in config.api.host else config.api.host
    chosen = config.api.token_file if token_file is None else token_file
    token = None if chosen is None else read_private_line(chosen, where="api.token_file").encode()
    return NodeClient(f"http://{host}:{config.api.port}", token)


__all__ = ["client_for", "token_option", "url_option"]
