"""A last mile for tests: two chains at once, the real gateway on each, three operators that can misbehave."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import coincurve
from eth_abi import encode

from adapters.evm.abi import selector
from adapters.evm.devchain import AnvilSettings, start_anvil
from adapters.evm.encode import address_text
from adapters.evm.endpoint import open_endpoint
from adapters.evm.fees import GWEI, Fees
from adapters.evm.flights import Pace
from adapters.evm.gateway_events import NOOP, STARTED
from adapters.evm.proxy import Mode, ProxySettings, RpcProxy, start_proxy
from adapters.evm.submit import open_submitter
from adapters.evm.transactions import Transaction, transaction_hash
from relay.core.ports import ChainSettings, EndpointAddress
from relay.journal import Outbox
from tests.adapters.evm.conftest import CHAIN_IDS, Bench
from tests.adapters.evm.door import Door, Key, build_door

FUNDS = 10**20
WAIT_S = 15
LATE_MS = 4_000
QUICK = Pace(poll_s=0.05, bump_s=0.3, give_up_s=8.0, unwanted_s=30.0, held_s=1.0)
"""As of a chain with blocks of 150 ms."""
CALM = replace(QUICK, bump_s=6.0, give_up_s=12.0)
"""For what must not be outbid, however slow the machine is."""
NAMES = ("alice-rpc", "bob-rpc", "mallory-rpc")


@dataclass
class Mile:
    """One chain, the door on it, its operators, a funded key and what it keeps on disk."""

    bench: Bench
    door: Door
    proxies: list[RpcProxy]
    hidden: RpcProxy
    outbox: Outbox
    settings: ChainSettings
    pace: Pace = QUICK
    key: Key = field(default_factory=Key)

    @property
    def anvil(self):
        return self.bench.anvil

    late_s = LATE_MS / 1_000

    def set_modes(self, *modes):
        for proxy, mode in zip(self.proxies, modes, strict=True):
            proxy.mode = mode

    @asynccontextmanager
    async def submitter(self, key=None):
        """A submitter as a process of its own has it; its store survives it."""
        key = key or self.key
        store = self.outbox.of(self.anvil.chain, key.submitter)
        async with open_submitter(self.settings, key, store, pace=self.pace) as submitter:
            yield submitter

    async def rows(self, key=None):
        return await self.outbox.of(self.anvil.chain, (key or self.key).submitter).rows()

    async def fund(self, wei=FUNDS, key=None):
        account = "0x" + (key or self.key).submitter.hex()
        await self.anvil.rpc("anvil_setBalance", account, hex(wei))

    async def nonce(self):
        count = await self.anvil.rpc("eth_getTransactionCount", "0x" + self.key.submitter.hex(), "latest")
        return int(count, 16)

    async def pool(self):
        """The hashes of our transactions in the pool, by nonce."""
        content = await self.anvil.rpc("txpool_content")
        found = {}
        for kind in ("pending", "queued"):
            for sender, transactions in content[kind].items():
                if sender.lower() == "0x" + self.key.submitter.hex():
                    found |= {int(nonce): one["hash"] for nonce, one in transactions.items()}
        return found

    async def pooled(self, count=1):
        """Wait until so many of our transactions are in the pool."""
        await until(self.pool, lambda pool: len(pool) >= count)

    async def foreign(self, nonce, *, gwei=50):
        """Another process with our key sends a transfer of nothing at `nonce`; its hash."""
        transaction = Transaction(
            self.anvil.chain_id, nonce, Fees(gwei * GWEI, 2 * GWEI), 21_000, self.key.submitter, b""
        )
        raw = transaction.signed(self.key.secret.sign_recoverable(transaction.digest, hasher=None))
        await self.anvil.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        return transaction_hash(raw)

    async def events(self, topic):
        """How often the gateway said so."""
        query = {"fromBlock": "0x0", "address": address_text(self.door.act.gateway)}
        logs = await self.anvil.rpc("eth_getLogs", query | {"topics": ["0x" + topic.hex()]})
        return len(logs)

    async def assert_once(self, *, noops=0):
        """The act is in effect, it was started once, and at most `noops` calls did nothing."""
        paused = await self.anvil.rpc(
            "eth_call", {"to": self.door.replica, "data": "0x" + selector("paused", ()).hex()}, "latest"
        )
        assert int(paused, 16) == 1
        assert await self.events(STARTED) == 1
        assert await self.events(NOOP) <= noops

    async def owner_call(self, to, name, types=(), *values, price_wei=200 * GWEI):
        """Hand in an owner's transaction, which goes before those that offer less; nothing is mined."""
        account = self.bench.account
        nonce = await self.anvil.rpc("eth_getTransactionCount", account, "pending")
        call = {
            "from": account,
            "to": to,
            "data": "0x" + (selector(name, types) + encode(types, values)).hex(),
        }
        fees = {"maxFeePerGas": hex(price_wei), "maxPriorityFeePerGas": hex(price_wei)}
        await self.anvil.rpc("eth_sendTransaction", call | fees | {"nonce": nonce, "gas": hex(1_000_000)})


async def until(ask, is_done=bool):
    """Ask again and again; gives the first answer that will do."""
    async with asyncio.timeout(WAIT_S):
        while not is_done(answer := await ask()):  # noqa: ASYNC110 another process makes it true
            await asyncio.sleep(0.02)
        return answer


async def mine_until(mile, task):
    """Make blocks until a task is over; gives its result."""
    async with asyncio.timeout(WAIT_S):
        while not task.done():
            await mile.anvil.mine()
            await asyncio.wait([task], timeout=0.1)
    return task.result()


@asynccontextmanager
async def submitting(mile, call, key=None):
    """A submitter that carries a call; gives the task, whose transaction is in the pool."""
    async with mile.submitter(key) as submitter, asyncio.TaskGroup() as group:
        task = group.create_task(submitter.submit(call))
        await mile.pooled()
        yield task


@asynccontextmanager
async def open_mile(folder, **acts):
    """A chain of its own with everything on it."""
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(
            start_anvil(AnvilSettings(next(CHAIN_IDS), timestamp=1_600_000_000))
        )
        own = ChainSettings(
            anvil.chain, (EndpointAddress("own", anvil.url, anvil.websocket_url),), need=1, finality="depth:3"
        )
        endpoint = await stack.enter_async_context(open_endpoint(own, own.endpoints[0]))
        bench = Bench(anvil, own, endpoint, (await anvil.accounts())[0], "", "")
        door = await build_door(bench, **acts)
        proxies = [
            await stack.enter_async_context(start_proxy(ProxySettings(anvil.url, delay_ms=LATE_MS)))
            for _ in range(4)
        ]
        addresses = [EndpointAddress(name, one.url) for name, one in zip(NAMES, proxies, strict=False)]
        settings = replace(own, endpoints=tuple(addresses), need=2, block_time_ms=150, timeout_ms=3_000)
        outbox = await stack.enter_async_context(Outbox.open(folder / f"{anvil.chain_id}.sqlite"))
        mile = Mile(bench, door, proxies[:3], proxies[3], outbox, settings)
        await mile.fund()
        yield mile


async def on_both(miles, play):
    """Play the same on all chains at the same time."""
    async with asyncio.TaskGroup() as group:
        for mile in miles:
            group.create_task(play(mile), name=mile.anvil.chain)


def new_key():
    return Key(coincurve.PrivateKey())


__all__ = [
    "CALM",
    "FUNDS",
    "QUICK",
    "Mile",
    "Mode",
    "mine_until",
    "new_key",
    "on_both",
    "open_mile",
    "submitting",
    "until",
]
