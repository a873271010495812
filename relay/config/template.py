"""Writing node.toml: for `tocsin init`, and for whoever sets up several nodes at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from relay.config.node import DEFAULT_API, NODE_FORMAT, Intervals, ReadinessSettings

_CHAIN_KEYS = (
    "chain", "need", "block_time_ms", "finality", "log_range", "timeout_ms",
    "fees", "fee_cap_gwei", "private_blocks",
)  # fmt: skip
_ENDPOINT_KEYS = ("operator", "url", "url_file", "websocket_url", "websocket_url_file")


@dataclass(frozen=True, slots=True)
class EndpointTemplate:
    """One endpoint: a `url` of this machine, or the file that holds it (relative to the node's directory)."""

    operator: str
    url: str | None = None
    url_file: str | None = None
    websocket_url: str | None = None
    websocket_url_file: str | None = None


@dataclass(frozen=True, slots=True)
class ChainTemplate:
    """One `[[chains]]` table; None leaves the default."""

    chain: str
    endpoints: tuple[EndpointTemplate, ...]
    need: int | None = None
    block_time_ms: int | None = None
    finality: str | None = None
    log_range: int | None = None
    timeout_ms: int | None = None
    fees: str | None = None
    fee_cap_gwei: int | None = None
    private_blocks: int | None = None
    private: EndpointTemplate | None = None


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """What node.toml shall say."""

    network: str
    listen: str
    chains: tuple[ChainTemplate, ...]
    demo: bool = False
    advertised: tuple[str, ...] = ()
    api_bind: str = DEFAULT_API
    token_file: str | None = None
    passphrase_file: str | None = None
    passphrase_env: str | None = None
    min_free_bytes: int | None = None
    ballast_bytes: int | None = None
    intervals: Intervals | None = None
    readiness: ReadinessSettings | None = None


def render_node(node: NodeTemplate) -> str:
    """Give the text of node.toml, which `load_node` reads."""
    lines = [f"format = {_value(NODE_FORMAT)}"]
    lines += _table("[network]", [("name", node.network), ("demo", node.demo or None)])
    lines += _table("[gossip]", [("listen", node.listen), ("advertised", node.advertised or None)])
    lines += _table("[api]", [("bind", node.api_bind), ("token_file", node.token_file)])
    keys = [("passphrase_file", node.passphrase_file), ("passphrase_env", node.passphrase_env)]
    lines += _table("[keys]", keys)
    journal = [("min_free_bytes", node.min_free_bytes), ("ballast_bytes", node.ballast_bytes)]
    lines += _table("[journal]", journal)
    if node.intervals is not None:
        names = Intervals.__dataclass_fields__
        lines += _table("[intervals]", [(name, getattr(node.intervals, name)) for name in names])
    if node.readiness is not None:
        names = ReadinessSettings.__dataclass_fields__
        lines += _table("[readiness]", [(name, getattr(node.readiness, name)) for name in names])
    for chain in node.chains:
        lines += render_chain(chain)
    return "\n".join(lines) + "\n"


def render_chain(chain: ChainTemplate) -> list[str]:
    """Give the lines of one `[[chains]]` table, an empty one first."""
    lines = _table("[[chains]]", [(name, getattr(chain, name)) for name in _CHAIN_KEYS])
    if chain.private is not None:
        private = [(name, getattr(chain.private, name)) for name in _ENDPOINT_KEYS]
        lines += _table("[chains.private]", private)
    for endpoint in chain.endpoints:
        lines += _table("[[chains.endpoints]]", [(name, getattr(endpoint, name)) for name in _ENDPOINT_KEYS])
    return lines


Written = str | int | tuple[str, ...] | None


def _table(head: str, values: Sequence[tuple[str, Written]]) -> list[str]:
    written = [f"{name} = {_value(value)}" for name, value in values if value is not None]
    return ["", head, *written] if written else []


def _value(value: Written) -> str:
    # A JSON string, list of strings, integer or boolean is the same in TOML.
    return json.dumps(value, ensure_ascii=False)


__all__ = ["ChainTemplate", "EndpointTemplate", "NodeTemplate", "render_chain", "render_node"]
