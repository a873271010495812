"""The faults of the last mile, on a running network: two chains at once, real processes, real endpoints.

Each fault gives what it ended in: blocks from the certificate to the effect on the near chain, how often the
act began there, and whom it woke. The tests assert on that; the benchmark prints it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.network import OPERATORS, Member
from adapters.evm.demo.traffic import Call, encode_call
from adapters.evm.demo.watch import Sighting
from adapters.evm.encode import act_id
from proofs.hashes import keccak256
from tests.e2e.scene import BLOCK_S, FINAL_BLOCKS, PENDING_S, Scene, log_lines, until

__all__ = ["HALT", "Ending", "Stage", "open_stage"]

HALT: Final = "halt-replica"
BAN: Final = "no-new-collateral"
SLOT_S: Final = 1_800
"""`rearm` of the plan: each slot in which the rule is true makes a decision of its own."""
LASTS_S: Final = 6 * 3_600
STARTED: Final = "0x" + keccak256(b"ActStarted(bytes32,bytes32,bytes32,uint8,uint64,uint64,uint256)").hex()
MOST_BLOCKS: Final = 60
GAS: Final = 2_000_000
"""For calls that undo an act: the gateway wants the act's whole gas beside its own."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a fault ended. `blocks` count from the certificate on; None: no effect."""

    fault: str
    blocks: int | None
    starts: int
    pages: tuple[str, ...]


@dataclass(slots=True)
class Stage:
    """A scene whose rule stays true: every slot makes a new decision. `since` is where a fault began."""

    scene: Scene
    since: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    rows: dict[str, set[int]] = field(default_factory=dict)
    """Nonces that each member held as signed when the fault began."""

    # ---- slots

    async def begin(self) -> None:
        """End what is in force, as the protocol's own people may, and go to just before the next slot."""
        near, far = [], []
        world = self.scene.world
        if await self.scene.is_halted():
            near = [Call(world.owner, world.gateway_near, encode_call("dismiss(bytes32)", act_id(HALT)), GAS)]
        if not await self.scene.takes_collateral():
            far = [Call(world.owner, world.gateway_far, encode_call("dismiss(bytes32)", act_id(BAN)), GAS)]
        done = await self.scene.mine(near, far)
        assert all(done.near_done + done.far_done), "the owner dismisses"
        await self.settle()
        self.since = await self.scene.world.near.number()
        self.lines = {member.name: len(log_lines(member)) for member in self.scene.network.members}
        self.rows = {member.name: self.signed(member) for member in self.scene.network.members}

    async def settle(self) -> None:
        """Let everything become final, and give the members time to hand in what they want."""
        for _ in range(FINAL_BLOCKS):
            await self.scene.mine()
        await self.scene.read_by_all()

    async def next_slot(self) -> str:
        """Mine the first block of the next slot, and give the decision that is certified for it."""
        known = {each.id for each in await self.sightings()}
        await self.scene.mine(after_s=SLOT_S - self.scene.now_s % SLOT_S + BLOCK_S)
        # The far chain's time must pass the reference block before it is evaluated.
        await self.scene.mine()
        await self.scene.read_by_all()

        async def certified() -> str:
            for seen in await self.sightings():
                if (
                    seen.id not in known
                    and seen.certified
                    and seen.subject == "unbacked"
                    and seen.tier == "fast"
                ):
                    return seen.id
            return ""

        return await until("a decision of the new slot is certified", certified)

    async def sightings(self) -> list[Sighting]:
        """What the first member that runs tells."""
        return await self.scene.sightings(self.scene.running()[0])

    # ---- what can be seen from outside

    async def in_mempool(self) -> list[Mapping[str, object]]:
        """The calls of `execute` at the near gateway that wait for a block."""
        pool = shapes.mapping(await self.scene.world.near.anvil.rpc("txpool_content"))
        waiting = [
            shapes.mapping(each)
            for by_nonce in shapes.mapping(pool["pending"]).values()
            for each in shapes.mapping(by_nonce).values()
        ]
        return [each for each in waiting if str(each["to"]).lower() == self.scene.world.gateway_near]

    async def holds(self, number: str, operators: tuple[str, ...] = OPERATORS) -> int:
        """How many transactions the near chain's proxies count under `sends` or `held`."""
        counted = 0
        for operator in operators:
            url = self.scene.proxies[self.scene.near].urls[OPERATORS.index(operator)]
            async with self.scene.network.session.get(f"{url}/state") as response:
                counted += shapes.quantity(hex((await response.json())[number]))
        return counted

    async def everywhere(self, mode: str) -> None:
        """Make all proxies before the near chain behave so."""
        for operator in OPERATORS:
            await self.scene.switch(self.scene.near, operator, mode)

    def signed(self, member: Member) -> set[int]:
        """Nonces of the near chain that a member has signed for and holds as not yet final, from its disk."""
        file = member.directory.outbox_file.absolute().as_uri()
        with closing(sqlite3.connect(f"{file}?mode=ro", uri=True, timeout=30)) as outbox:
            rows = outbox.execute("SELECT nonce FROM sent WHERE chain = ?", (self.scene.near,)).fetchall()
            return {int(nonce) for (nonce,) in rows}

    async def submitter(self) -> Member:
        """The member that signs the first call on the near chain in this fault; waits for it."""

        async def who() -> Member | None:
            for member in self.scene.running():
                if await asyncio.to_thread(self.signed, member) - self.rows[member.name]:
                    return member
            return None

        return await until("a member has signed a call", who)

    async def has_nothing_signed(self, member: Member) -> bool:
        """Whether a member holds nothing of this fault any more: all of it is final, or cancelled."""
        return not await asyncio.to_thread(self.signed, member) - self.rows[member.name]

    async def starts(self) -> int:
        """How often the act began on the near chain since the fault began."""
        asked = {
            "fromBlock": hex(self.since),
            "toBlock": "latest",
            "address": self.scene.world.gateway_near,
            "topics": [STARTED, None, "0x" + act_id(HALT).hex()],
        }
        return len(shapes.sequence(await self.scene.world.near.anvil.rpc("eth_getLogs", asked)))

    async def until_s(self) -> int:
        """Until when the act is in force; 0 when it is not."""
        asked = {
            "to": self.scene.world.gateway_near,
            "data": "0x" + encode_call("record(bytes32)", act_id(HALT)).hex(),
        }
        answer = await self.scene.world.near.anvil.rpc("eth_call", asked, "latest")
        return int.from_bytes(shapes.octets(answer)[:32], "big")

    def pages(self) -> tuple[str, ...]:
        """What the members woke somebody for since the fault began."""
        told: list[str] = []
        for member in self.scene.network.members:
            fresh = log_lines(member)[self.lines.get(member.name, 0) :]
            told += [json.dumps(line) for line in fresh if line["level"] == "page"]
        return tuple(told)

    async def effect(self, fault: str, holds: Callable[[], Awaitable[bool]] | None = None) -> Ending:
        """Mine until the act is in effect (or `holds`), and then until that is final; tell how it ended."""
        began = await self.scene.world.near.number()
        is_there = holds or self.scene.is_halted
        blocks: int | None = None
        for _ in range(MOST_BLOCKS):
            if await is_there():
                blocks = await self.scene.world.near.number() - began
                break
            await asyncio.sleep(PENDING_S)  # a block's time: what was handed in meanwhile is in the next one
            await self.scene.mine()
        await self.settle()
        return Ending(fault, blocks, await self.starts(), self.pages())


async def open_stage(scene: Scene) -> Stage:
    """Let the attack begin, and wait until both chains are contained for the first time."""
    thefts = [scene.bridge.steal(step) for step in scene.thefts()[:2]]
    assert all((await scene.mine(near=thefts)).near_done), "the flaw is there"

    async def is_contained() -> bool:
        return await scene.is_halted() and not await scene.takes_collateral()

    await scene.mine_until("both chains are contained", is_contained)
    return Stage(scene)
