"""The `[[chains]]` of node.toml as `ChainSettings`."""

from __future__ import annotations

import re
from pathlib import Path

from relay.config.addresses import CAIP2, is_loopback_url, is_rpc_url
from relay.config.private import read_private_line
from relay.config.table import Table
from relay.core.ports import ChainSettings, EndpointAddress, FeeKind
from relay.core.types import Caip2

MAX_CHAINS = 64
MAX_ENDPOINTS = 16
MAX_URL_CHARS = 2_048
_DEPTH = re.compile(r"depth:([1-9][0-9]{0,4})")
_ENDPOINT_KEYS = ("url", "url_file", "websocket_url", "websocket_url_file")
_CHAIN_KEYS = (
    "need",
    "block_time_ms",
    "finality",
    "log_range",
    "timeout_ms",
    "fees",
    "fee_cap_gwei",
    "private",
    "private_blocks",
)
_HTTP = ("http", "https")
_WEBSOCKET = ("ws", "wss")


def read_chains(node: Table, base: Path, *, demo: bool) -> tuple[ChainSettings, ...]:
    """Read every chain; files are relative to `base`.

    Raises:
        ConfigError: naming file and key.
    """
    tables = node.tables("chains", most=MAX_CHAINS, required=("chain", "endpoints"), optional=_CHAIN_KEYS)
    chains: list[ChainSettings] = []
    for table in tables:
        settings = _chain(table, base, demo=demo)
        if any(settings.chain == other.chain for other in chains):
            raise table.error("chain", "each chain once", f"{settings.chain} twice")
        chains.append(settings)
    return tuple(chains)


def _chain(table: Table, base: Path, *, demo: bool) -> ChainSettings:
    chain = table.text("chain", most=41)
    if CAIP2.fullmatch(chain) is None:
        raise table.error("chain", "a CAIP-2 name as eip155:1", repr(chain))
    endpoints = _endpoints(table, base)
    return ChainSettings(
        chain=Caip2(chain),
        endpoints=endpoints,
        need=_need(table, len(endpoints), demo=demo),
        block_time_ms=table.integer("block_time_ms", 12_000, least=50, most=600_000),
        finality=_finality(table),
        log_range=table.integer("log_range", 500, least=1, most=100_000),
        timeout_ms=table.integer("timeout_ms", 5_000, least=100, most=120_000),
        fees=_fees(table),
        fee_cap_gwei=table.integer("fee_cap_gwei", 1_000, least=1, most=1_000_000),
        private=_private(table, base, endpoints),
        private_blocks=table.integer("private_blocks", 2, least=1, most=100),
    )


def _need(table: Table, endpoints: int, *, demo: bool) -> int:
    default = min(2, endpoints)
    need = table.integer("need", default, least=1, most=MAX_ENDPOINTS)
    if need > endpoints:
        raise table.error("need", f"at most the {endpoints} endpoints", str(need))
    if 2 * need <= endpoints:
        # Two halves could each agree with themselves on another block.
        raise table.error("need", f"a majority of the {endpoints} endpoints", str(need))
    if need == 1 and not demo:
        raise table.error(
            "need", "at least 2", str(need), remedy="one operator alone would decide what this node sees"
        )
    return need


def _finality(table: Table) -> str:
    finality = table.text("finality", "finalized")
    if finality in ("finalized", "safe") or _DEPTH.fullmatch(finality):
        return finality
    raise table.error("finality", "finalized, safe or depth:N (N from 1 to 99999)", repr(finality))


def _fees(table: Table) -> FeeKind:
    fees = table.text("fees", FeeKind.EIP1559)
    if fees not in tuple(FeeKind):
        raise table.error("fees", " or ".join(FeeKind), repr(fees))
    return FeeKind(fees)


def _private(table: Table, base: Path, endpoints: tuple[EndpointAddress, ...]) -> EndpointAddress | None:
    if not table.has("private"):
        return None
    entry = table.table("private", required=("operator",), optional=("url", "url_file"))
    private = _endpoint(entry, base)
    if any(private.url == other.url for other in endpoints):
        # What is sent there is meant to stay out of the public pool.
        raise entry.error("url", "an address of its own", "that of an endpoint which everything is read from")
    return private


def _endpoints(table: Table, base: Path) -> tuple[EndpointAddress, ...]:
    tables = table.tables("endpoints", most=MAX_ENDPOINTS, required=("operator",), optional=_ENDPOINT_KEYS)
    if not tables:
        raise table.error("endpoints", f"1 to {MAX_ENDPOINTS} endpoints", "none")
    endpoints: list[EndpointAddress] = []
    for entry in tables:
        endpoint = _endpoint(entry, base)
        if any(endpoint.operator.casefold() == other.operator.casefold() for other in endpoints):
            raise entry.error("operator", "each operator once on a chain", f"{endpoint.operator} twice")
        if any(endpoint.url == other.url for other in endpoints):
            raise entry.error("url", "each endpoint once on a chain", "that of another operator")
        endpoints.append(endpoint)
    return tuple(endpoints)


def _endpoint(table: Table, base: Path) -> EndpointAddress:
    operator = table.text("operator", most=64)
    url = _url(table, base, "url", _HTTP)
    if url is None:
        raise table.error("url_file", "a file with the endpoint's address", "none")
    return EndpointAddress(operator, url, _url(table, base, "websocket_url", _WEBSOCKET))


def _url(table: Table, base: Path, key: str, schemes: tuple[str, ...]) -> str | None:
    expected = f"{' or '.join(f'{scheme}://' for scheme in schemes)}host…"
    file_key = f"{key}_file"
    if table.has(key) and table.has(file_key):
        raise table.error(key, f"{key} or {file_key}", "both")
    if table.has(file_key):
        where = table.name(file_key)
        url = read_private_line(base / table.text(file_key, most=1_024), where=where)
        if not is_rpc_url(url, schemes):
            # SECURITY: the address may hold a key, so the error does not repeat it.
            raise table.error(file_key, f"a file with {expected}", "other text in it")
        return url
    if not table.has(key):
        return None
    url = table.text(key, most=MAX_URL_CHARS)
    if not is_rpc_url(url, schemes):
        raise table.error(key, expected, "other text")
    if not is_loopback_url(url):
        remedy = f"put it into a file of mode 600 and give {file_key}"
        raise table.error(key, "an address of this machine", "another host", remedy=remedy)
    return url


__all__ = ["read_chains"]
