"""What the endpoints in node.toml say of themselves."""

from __future__ import annotations

import asyncio

from relay.chains import load_adapters
from relay.cli.findings import Finding
from relay.config import NodeConfig
from relay.core.errors import ChainError
from relay.core.ports import Adapter, ChainSettings, EndpointAddress


async def diagnose_endpoints(config: NodeConfig) -> list[Finding]:
    """Ask every endpoint, all at once, which chain it serves and whether it has a head."""
    adapters = load_adapters()
    asked: list[asyncio.Task[Finding]] = []
    findings: list[Finding] = []
    async with asyncio.TaskGroup() as group:
        for settings in config.chains:
            adapter = adapters.get(settings.chain.partition(":")[0])
            if adapter is None:
                remedy = "install the adapter's package"
                findings.append(Finding(f"chain {settings.chain}", False, "no adapter for it", remedy))
                continue
            for address in settings.endpoints:
                asked.append(group.create_task(_ask(settings, address, adapter)))
    return findings + [task.result() for task in asked]


async def _ask(settings: ChainSettings, address: EndpointAddress, adapter: Adapter) -> Finding:
    name = f"endpoint {settings.chain} by {address.operator}"
    try:
        async with (
            asyncio.timeout(2 * settings.timeout_ms / 1_000),
            adapter.endpoint(settings, address) as endpoint,
        ):
            served = await endpoint.chain()
            if served != settings.chain:
                remedy = "correct chain or address in node.toml"
                return Finding(name, False, f"expected {settings.chain}, got {served}", remedy)
            head = await endpoint.head()
    except ChainError as error:
        return Finding(name, None, error.problem, "check the address, the key in it, and the network")
    except TimeoutError:
        return Finding(name, None, f"no answer within {2 * settings.timeout_ms} ms", "check the network")
    return Finding(name, True, f"head {head.block.number}")


__all__ = ["diagnose_endpoints"]
