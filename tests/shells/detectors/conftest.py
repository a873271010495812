"""One anvil behind three operators, each a proxy that can be told to misbehave."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest_asyncio

from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.proxy import ProxySettings, RpcProxy, start_proxy
from proofs.hashes import keccak256
from relay.core.ports import ChainSettings, EndpointAddress

CHAIN_IDS = itertools.count(930_001)
EVENT = "Ping(uint256 number)"
# Logs its calldata as Ping's: CALLDATACOPY, LOG1, STOP, behind the code that returns it.
RUNTIME = bytes.fromhex("366000600037") + b"\x7f" + keccak256(b"Ping(uint256)") + bytes.fromhex("366000a100")
EMITTER = bytes.fromhex("602c600c600039602c6000f3") + RUNTIME


@dataclass
class Town:
    """A chain, its three operators, and a contract that logs what it is sent."""

    anvil: Anvil
    proxies: list[RpcProxy]
    emitter: str
    account: str

    def settings(self, **changes: object) -> ChainSettings:
        endpoints = tuple(
            EndpointAddress(operator, proxy.url, proxy.websocket_url)
            for operator, proxy in zip(("alice-rpc", "bob-rpc", "mallory-rpc"), self.proxies, strict=True)
        )
        defaults = {"need": 2, "block_time_ms": 1_000, "finality": "depth:3", "timeout_ms": 1_500}
        return ChainSettings(self.anvil.chain, endpoints, **(defaults | changes))

    async def ping(self, *numbers: int) -> None:
        """Put one event for each number into one new block."""
        for number in numbers:
            await self.anvil.send(self.account, self.emitter, number.to_bytes(32, "big"))
        await self.anvil.mine()


@pytest_asyncio.fixture
async def town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(start_anvil(AnvilSettings(next(CHAIN_IDS))))
        proxies = [await stack.enter_async_context(start_proxy(ProxySettings(anvil.url))) for _ in range(3)]
        account = (await anvil.accounts())[0]
        yield Town(anvil, proxies, await anvil.deploy(account, EMITTER), account)
