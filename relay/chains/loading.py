"""Adapters by entry point, and chains opened with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points

from relay.chains.quorum import QuorumChain
from relay.core.errors import ConfigError
from relay.core.ports import Adapter, ChainSettings
from relay.core.types import Caip2

GROUP = "tocsin.adapters"


@dataclass(frozen=True, slots=True)
class Chain:
    """An open chain and the adapter that speaks to it."""

    adapter: Adapter
    quorum: QuorumChain


def load_adapters() -> dict[str, Adapter]:
    """Every installed adapter by the CAIP-2 namespace that it serves.

    Raises:
        ConfigError: if two packages claim one namespace, or an adapter does not bear its entry point's name.
    """
    found: dict[str, Adapter] = {}
    for entry in entry_points(group=GROUP):
        adapter: Adapter = entry.load()()
        if entry.name in found:
            raise ConfigError(
                f"entry point {entry.name}", f"two installed packages serve the namespace {entry.name}"
            )
        if adapter.namespace != entry.name:
            raise ConfigError(
                f"entry point {entry.name}", f"expected an adapter of this namespace, got {adapter.namespace}"
            )
        found[entry.name] = adapter
    return found


def adapter_of(chain: Caip2, adapters: Mapping[str, Adapter]) -> Adapter:
    """The adapter for a chain's namespace.

    Raises:
        ConfigError: naming those that are installed.
    """
    namespace = chain.partition(":")[0]
    if namespace not in adapters:
        installed = ", ".join(sorted(adapters)) or "none"
        raise ConfigError(f"chain {chain}", f"no adapter for namespace {namespace!r}; installed: {installed}")
    return adapters[namespace]


@asynccontextmanager
async def open_chain(settings: ChainSettings, adapters: Mapping[str, Adapter]) -> AsyncIterator[Chain]:
    """Open every endpoint of a chain and check which chain those that answer serve.

    Raises:
        ConfigError: if no adapter serves it, or its endpoints cannot give the agreement asked for.
        WrongChain: naming the operator and both chains.
    """
    adapter = adapter_of(settings.chain, adapters)
    _check(settings)
    async with AsyncExitStack() as stack:
        endpoints = [
            await stack.enter_async_context(adapter.endpoint(settings, address))
            for address in settings.endpoints
        ]
        quorum = await stack.enter_async_context(QuorumChain(settings, endpoints))
        await quorum.check()
        yield Chain(adapter, quorum)


def _check(settings: ChainSettings) -> None:
    where = f"chain {settings.chain}"
    operators = [address.operator for address in settings.endpoints]
    if len(set(operators)) != len(operators):
        raise ConfigError(f"{where} endpoints", "expected one endpoint for each operator")
    if not 1 <= settings.need <= len(operators):
        raise ConfigError(f"{where} need", f"expected 1 to {len(operators)} endpoints, got {settings.need}")


__all__ = ["GROUP", "Chain", "adapter_of", "load_adapters", "open_chain"]
