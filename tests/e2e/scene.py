"""A running network for tests: two anvils, RPC proxies, four relay processes, and a short scenario.

Nothing happens by itself: blocks are mined when a test says so, so what came first is never a matter of luck.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console

from adapters.evm import shapes
from adapters.evm.demo.ceremony import hold_ceremony
from adapters.evm.demo.network import (
    FINALITY,
    MEMBERS,
    OPERATORS,
    Member,
    Network,
    Proxies,
    make_network,
    start_proxies,
    submitters_of,
)
from adapters.evm.demo.replay import BLOCK_S, Bridge, calm_blocks, quiet_blocks
from adapters.evm.demo.scenario import Kind, Scenario, Step, built_in
from adapters.evm.demo.show import Show
from adapters.evm.demo.traffic import Call, Driver, encode_call
from adapters.evm.demo.watch import Sighting, Watcher
from adapters.evm.demo.world import BUDGET, World, arm_bridge, arm_market, build_protocols
from adapters.evm.devchain import AnvilSettings, start_anvil
from relay.core.rotations import GroupKeys

__all__ = [
    "Mined",
    "Scene",
    "first_keys",
    "log_lines",
    "logged",
    "open_scene",
    "short",
    "statements",
    "until",
]

T = TypeVar("T")

BEFORE_S: Final = 3_600
POLL_S: Final = 0.1
WAIT_S: Final = 240.0
"""For anything to become true: generous, because the machine may be busy with other things."""
FINAL_BLOCKS: Final = 8
"""So many blocks later what happened is final for every member (`depth:6`)."""
PENDING_S: Final = 2.0
"""What a relay hands in is mined with the next block; in between it is given so long to do so."""
BLOCK_TIME_MS: Final = 500
TOLD_LINES: Final = 40
"""Of a member's log, where it does not do what a test waits for."""


def short(seed: int, *, burns: int = 12, thefts: int = 12) -> Scenario:
    """Cut the built-in scenario down to its last few quiet transfers and its first bad releases."""
    whole = built_in(seed)
    quiet = whole.quiet()
    kept = {step.withdrawal_id for step in quiet if step.kind is Kind.BURN}
    kept = set(sorted(kept, key=int)[-burns:])
    steps = [step for step in quiet if step.withdrawal_id in kept]
    return replace(whole, name="short", steps=(*steps, *whole.stormy()[:thefts]))


async def until(what: str, condition: Callable[[], Awaitable[T | None]], *, within_s: float = WAIT_S) -> T:
    """Wait until `condition` gives something true, and give that."""
    try:
        async with asyncio.timeout(within_s):
            while not (found := await condition()):  # noqa: ASYNC110 - what is asked is another process
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"waited {within_s:.0f} s in vain: {what}") from None
    return found


@dataclass(frozen=True, slots=True)
class Mined:
    """One block on each chain: their numbers, and which of our transactions took effect."""

    near: int
    far: int
    near_done: tuple[bool, ...]
    far_done: tuple[bool, ...]


@dataclass(slots=True)
class Scene:
    """Everything that runs. `now_s` is the chain time of the newest block of both chains."""

    scenario: Scenario
    world: World
    network: Network
    proxies: Mapping[str, Proxies]
    bridge: Bridge
    now_s: int

    @property
    def near(self) -> str:
        return self.world.near.anvil.chain

    @property
    def far(self) -> str:
        return self.world.far.anvil.chain

    def member(self, name: str) -> Member:
        return next(member for member in self.network.members if member.name == name)

    def thefts(self) -> tuple[Step, ...]:
        """The bad releases of the scenario."""
        return tuple(step for step in self.scenario.stormy() if step.is_attack)

    # --- chains

    async def mine(
        self, near: Sequence[Call] = (), far: Sequence[Call] = (), *, after_s: int = BLOCK_S
    ) -> Mined:
        """Mine one block on each chain with these calls, and whatever the relays have handed in."""
        self.now_s += after_s
        near_txs = await self.world.near.block(self.now_s, near)
        far_txs = await self.world.far.block(self.now_s, far)
        return Mined(
            near=await self.world.near.number(),
            far=await self.world.far.number(),
            near_done=tuple(await self.world.near.succeeded(near_txs)),
            far_done=tuple(await self.world.far.succeeded(far_txs)),
        )

    async def mine_until(
        self, what: str, condition: Callable[[], Awaitable[T | None]], *, most: int = 120
    ) -> T:
        """Mine pairs of empty blocks, at the pace at which the members read them, until something is true."""
        for _ in range(most):
            found = await condition()
            if found:
                return found
            await self.mine()
            await self.read_by_all()
            # A call that a relay hands in because of this block is to be in the next one.
            await _within(PENDING_S, condition)
        raise AssertionError(f"mined {most} blocks in vain: {what}")

    async def read_by_all(self, members: Sequence[Member] | None = None) -> None:
        """Wait until the members (all that run) have evaluated the newest block of both chains."""
        wanted = {self.near: await self.world.near.number(), self.far: await self.world.far.number()}
        for member in members if members is not None else self.running():
            try:
                await until(f"{member.name} reads {wanted}", partial(self._has_read, member, wanted))
            except AssertionError as error:
                error.add_note(await self._state_of(member))
                raise

    async def _state_of(self, member: Member) -> str:
        """What a member that does not go on says of itself, for whoever reads why a test failed."""
        ended = None if member.process is None else member.process.returncode
        status = await self.network.ask(member, "/v1/status")
        lines = member.log_file.read_text(errors="replace").splitlines()[-TOLD_LINES:]
        return "\n".join([f"{member.name}: exit code {ended}, status {status}", *lines])

    def running(self) -> list[Member]:
        """The members whose process runs."""
        return [
            member
            for member in self.network.members
            if member.process is not None and member.process.returncode is None
        ]

    async def _has_read(self, member: Member, wanted: Mapping[str, int]) -> bool:
        status = await self.network.ask(member, "/v1/status")
        if not isinstance(status, dict):
            return False
        tips = {chain: status["chains"][chain]["tip"] for chain in wanted}
        return all(tip is not None and tip["number"] >= wanted[chain] for chain, tip in tips.items())

    async def is_halted(self) -> bool:
        """Tell whether the replica on the near chain is paused."""
        return await self._is_true(self.world.near, self.world.replica, encode_call("paused()"))

    async def takes_collateral(self) -> bool:
        """Tell whether the market on the far chain still takes the bridged token."""
        token = self.world.bridged[self.world.collateral.address]
        return await self._is_true(
            self.world.far, self.world.market, encode_call("collateralEnabled(address)", token)
        )

    async def _is_true(self, driver: Driver, target: str, call: bytes) -> bool:
        found = await driver.anvil.rpc("eth_call", {"to": target, "data": "0x" + call.hex()}, "latest")
        return bool(int.from_bytes(shapes.octets(found, 32), "big"))

    async def sender_of(self, chain: str, tx: str) -> str:
        """The account that paid for a transaction, in lower-case 0x hex."""
        driver = self.world.near if chain == self.near else self.world.far
        found = shapes.mapping(await driver.anvil.rpc("eth_getTransactionByHash", f"0x{tx}"))
        return str(found["from"]).lower()

    # --- members

    async def sightings(self, member: Member) -> list[Sighting]:
        """Every decision that a member knows of."""
        return await Watcher(self.network, Show(Console(quiet=True))).sightings(member)

    async def start(self, member: Member) -> None:
        """Start a member and wait until it is ready."""
        await self.network.start(member)
        await self.wait_ready(member)

    async def wait_ready(self, member: Member) -> None:
        """Wait until a member says that it is ready."""

        async def is_ready() -> bool:
            assert member.process is not None
            code = member.process.returncode
            assert code is None, f"{member.name} ended with {code}: {member.log_file.read_text()[-2_000:]}"
            answer = await self.network.ask(member, "/readyz")
            return isinstance(answer, dict) and answer.get("ready") is True

        await until(f"{member.name} is ready", is_ready)

    async def kill(self, member: Member) -> None:
        """End a member's process without warning (SIGKILL)."""
        await self.network.kill(member)

    async def stop(self, member: Member) -> int:
        """Tell a member to end (SIGTERM); gives its exit code."""
        assert member.process is not None
        member.process.terminate()
        async with asyncio.timeout(WAIT_S):
            return await member.process.wait()

    async def count(self, member: Member, metric: str, **labels: str) -> float:
        """A value from a member's metrics; 0 while there is none."""
        text = await self.network.fetch(member, "/metrics")
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        total = 0.0
        for line in (text or b"").decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name.split("{")[0] == f"tocsin_{metric}" and all(label in name for label in wanted):
                total += float(value)
        return total

    async def switch(self, chain: str, operator: str, mode: str) -> None:
        """Make an operator's proxy before one chain behave so."""
        url = self.proxies[chain].urls[OPERATORS.index(operator)]
        async with self.network.session.post(f"{url}/mode", json={"mode": mode}) as response:
            assert response.ok, await response.text()


async def _within(seconds: float, condition: Callable[[], Awaitable[T | None]]) -> None:
    """Give a condition some time to become true; it need not."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - what is asked is another process
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass


def logged(member: Member) -> dict[bytes, bytes]:
    """The entries of a member's audit log by digest, published or not, from its journal on disk."""
    file = member.directory.journal_file.absolute().as_uri()
    with closing(sqlite3.connect(f"{file}?mode=ro", uri=True, timeout=30)) as journal:
        query = "SELECT digest, bytes FROM envelope WHERE log_index IS NOT NULL"
        return dict(journal.execute(query).fetchall())


def log_lines(member: Member) -> list[Mapping[str, object]]:
    """What a member has told its operator, line by line."""
    return [json.loads(line) for line in member.log_file.read_text().splitlines() if line.startswith("{")]


def statements(member: Member) -> dict[tuple[bytes, int], bytes]:
    """What a member's signing guard holds: (decision, key epoch) → digest."""
    file = member.directory.guard_file.absolute().as_uri()
    with closing(sqlite3.connect(f"{file}?mode=ro", uri=True, timeout=30)) as guard:
        found = guard.execute("SELECT decision_id, key_epoch, digest FROM statement").fetchall()
    return {(decision, epoch): digest for decision, epoch, digest in found}


async def first_keys(network: Network) -> GroupKeys:
    """Make the first keys before anything is deployed, as the demonstration does; nobody runs then."""
    network.prepare({}, ())
    for member in network.members:
        await network.start(member)
    for member in network.members:
        await network.wait_serving(member)
    groups, _ = await hold_ceremony(network, Show(Console(quiet=True)))
    await network.stop()
    return groups


@asynccontextmanager
async def open_scene(
    home: Path,
    *,
    seed: int,
    chain_ids: tuple[int, int],
    names: Sequence[str] = MEMBERS,
    depth: int = 6,
    budget: tuple[int, int, int] = BUDGET,
    has_keys: bool = False,
) -> AsyncIterator[Scene]:
    """Start everything, play the quiet part, and stop everything at the end.

    A block is final for every member when `depth` blocks stand above it. `budget` is of either gateway. With
    `has_keys` the members first make group keys, which the verifiers take.
    """
    scenario = short(seed)
    async with AsyncExitStack() as stack:
        settings = [
            AnvilSettings(chain_id=chain_id, timestamp=scenario.steps[0].timestamp - BEFORE_S)
            for chain_id in chain_ids
        ]
        near, far = [await stack.enter_async_context(start_anvil(each)) for each in settings]
        network = await stack.enter_async_context(make_network(home, [near.chain, far.chain], names))
        stack.push_async_callback(network.stop)
        world = await build_protocols(Driver(near), Driver(far), scenario)
        world.groups = await first_keys(network) if has_keys else None
        await arm_bridge(world, network.committee, submitters_of(network), budget)
        await arm_market(world)
        proxies = [await stack.enter_async_context(start_proxies(anvil)) for anvil in (near, far)]
        network.prepare(world.plan_texts, proxies, BLOCK_TIME_MS)
        for member in network.members:
            text = member.directory.node_file.read_text()
            member.directory.node_file.write_text(text.replace(FINALITY, f"depth:{depth}"))
        scene = Scene(scenario, world, network, {each.chain: each for each in proxies}, Bridge(world), 0)
        for member in network.members:
            await network.start(member)
        for block in (*quiet_blocks(scenario, scene.bridge), *calm_blocks(scenario)):
            scene.now_s = block.timestamp
            done = await scene.mine(block.near, block.far, after_s=0)
            assert all(done.near_done + done.far_done), f"a benign transfer at {block.timestamp} reverted"
        for member in network.members:
            await scene.wait_ready(member)
        await scene.read_by_all()
        yield scene


def environment(network: Network) -> dict[str, str]:
    """What a member's process is started with."""
    return {**os.environ, "TOCSIN_PASSPHRASE": network.passphrase}
