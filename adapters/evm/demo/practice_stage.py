"""The running parts of a practice: chain, members, and the timeline that both of them write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from adapters.evm import shapes
from adapters.evm.demo.network import Member, Network
from adapters.evm.demo.practice_place import BLOCK_S
from adapters.evm.demo.practice_report import Entry, Kind, PracticeReport
from adapters.evm.demo.practice_vault import Vault
from adapters.evm.demo.show import Show
from adapters.evm.demo.traffic import Call, Driver
from adapters.evm.demo.watch import edges_of
from adapters.evm.encode import act_id
from adapters.evm.gateway_events import GATEWAY_TOPICS, PLAN_SET, gateway_event
from proofs.mandate import Tier
from relay.core.compiled import CompiledPlan
from relay.core.errors import ChainError
from relay.core.observations import EndedHow, GatewayEvent, GatewayEventKind

__all__ = ["Stage"]

READ_S: Final = 120.0
"""For the members to read what was mined."""
SETTLE_S: Final = 3.0
"""For a decision's call to be handed in, unless somebody has more or less time."""
PAUSE_S: Final = 0.1
TIERS: Final = {int(tier): tier.name.lower() for tier in Tier}
STYLES: Final[Mapping[Kind, str]] = {
    Kind.THEFT: "red",
    Kind.EDGE: "bold yellow",
    Kind.DECIDED: "yellow",
    Kind.STARTED: "bold cyan",
    Kind.RENEWED: "cyan",
    Kind.EXTENDED: "cyan",
    Kind.ENDED: "bold green",
}
ENDINGS: Final[Mapping[EndedHow, str]] = {
    EndedHow.RELEASE: "released by the members",
    EndedHow.EXPIRE: "ran out",
    EndedHow.ADOPT: "adopted by the guardian",
    EndedHow.DISMISS: "dismissed by the guardian",
    EndedHow.CLOSE: "closed: somebody else changed it",
    EndedHow.FORCED: "forced to an end by the owner",
}


@dataclass(slots=True)
class Stage:
    """Mines, waits for the members, and tells what has happened; `in_force` has each act's `until`."""

    network: Network
    vault: Vault
    gateway: str
    plan: CompiledPlan
    show: Show
    report: PracticeReport
    in_force: dict[str, int] = field(default_factory=dict)
    slots: set[int] = field(default_factory=set)
    """The slots in which protection was decided."""
    settle_s: float = SETTLE_S
    """How long a decision's call is waited for."""
    first_theft: tuple[int, int] | None = None
    """Block and time of the first theft."""
    _now_s: int = 0
    _told: dict[str, float] = field(default_factory=dict)
    """Decisions by id, with the time of our own clock until which we wait for their calls."""
    _ops: dict[str, str] = field(default_factory=dict)
    _logs_to: int = 0

    @property
    def driver(self) -> Driver:
        """Who mines."""
        return self.vault.driver

    @property
    def now_s(self) -> int:
        """The newest block's time."""
        return self._now_s

    async def begin(self) -> None:
        """Take note of where the chain stands."""
        self._now_s = await self.driver.next_time() - 1
        self._logs_to = await self.driver.number()

    async def begin_again(self) -> None:
        """Take note that somebody else has mined meanwhile."""
        self._now_s = await self.driver.next_time() - 1

    async def tell(self, kind: Kind, text: str) -> None:
        """Add a line about the newest block."""
        self._add(Entry(self._now_s, await self.driver.number(), kind, text))

    def _add(self, entry: Entry) -> None:
        self.report.timeline.append(entry)
        text = f"{entry.clock}  block {entry.block:>5}  {entry.text}"
        self.show.say(text, STYLES.get(entry.kind, ""))

    async def mine(self, calls: Sequence[Call] = (), *, after_s: int = BLOCK_S) -> list[bool]:
        """Mine one block, and whatever the members have handed in; tell which calls took effect."""
        self._now_s += after_s
        return await self.driver.succeeded(await self.driver.block(self._now_s, calls))

    async def pass_time(self, blocks: int, *, after_s: int) -> None:
        """Mine empty blocks, let the members read them, and mine what they hand in because of them."""
        rearm_s = self.plan.plan.clock.rearm_s
        for _ in range(blocks):
            slot = self._now_s // rearm_s
            await self.mine(after_s=after_s)
            if self._now_s // rearm_s != slot:
                # What is decided in each slot is anchored at its first block: no later one may come before.
                await self.settle()
        await self.settle()

    async def settle(self) -> None:
        """Wait until the members have read all, and what they have decided has landed or will not."""
        while True:
            await self._read_by_all()
            await self._tell_logs()
            await asyncio.sleep(PAUSE_S)
            await self._tell_decisions()
            if await self._is_handed_in():
                await self.mine()
            elif not await self._is_awaited():
                return

    async def note(self) -> None:
        """Take note of what has happened since, without waiting for anything."""
        await self.begin_again()
        await self._tell_logs()
        await self._tell_decisions()

    async def edges(self) -> int:
        """Count the edges that a member has seen."""
        return edges_of(await self.network.ask(self.network.members[0], "/v1/status"))

    async def _read_by_all(self) -> None:
        wanted = await self.driver.number()
        try:
            async with asyncio.timeout(READ_S):
                for member in self.running():
                    while await self._tip(member) < wanted:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(PAUSE_S / 2)
        except TimeoutError:
            raise ChainError(
                self.driver.anvil.chain, f"block {wanted} was not read within {READ_S:.0f} s"
            ) from None

    def running(self) -> list[Member]:
        """Give the members that were started."""
        return [member for member in self.network.members if member.process is not None]

    async def _tip(self, member: Member) -> int:
        if member.process is not None and member.process.returncode is not None:
            raise ChainError(self.driver.anvil.chain, f"the relay {member.name} ended: see {member.log_file}")
        status = await self.network.ask(member, "/v1/status")
        if not isinstance(status, dict):
            return -1
        tip = shapes.mapping(shapes.mapping(status["chains"])[self.driver.anvil.chain])["tip"]
        return -1 if tip is None else int(str(shapes.mapping(tip)["number"]))

    async def _is_handed_in(self) -> bool:
        status = shapes.mapping(await self.driver.anvil.rpc("txpool_status"))
        return shapes.quantity(status["pending"]) > 0

    async def _is_awaited(self) -> bool:
        now = asyncio.get_running_loop().time()
        return any(until > now for until in self._told.values())

    # --- what the members decide

    async def _tell_decisions(self) -> None:
        for decision in await self._decisions():
            name = str(decision["id"])
            if name in self._told or not decision["certified"]:
                continue
            wait_s = self.settle_s if self._is_needed(decision) else 0.0
            self._told[name] = asyncio.get_running_loop().time() + wait_s
            self._ops[name] = str(decision["op"])
            self._tell_decision(decision)

    def _is_needed(self, decision: Mapping[str, object]) -> bool:
        """Tell whether members would send its call: not what has landed, or adds little (core SPEC 6.6)."""
        names = [str(act["act"]) for act in map(shapes.mapping, shapes.sequence(decision["acts"]))]
        names = names or list(self.plan.acts)
        half_s = {name: self.plan.plan.acts[name].lasts_s // 2 for name in names}
        if decision["op"] != "protect":
            return True
        return any(self.in_force.get(name, 0) <= self._now_s + half_s[name] for name in names)

    async def _decisions(self) -> list[Mapping[str, object]]:
        """Give all decisions that the first member knows, oldest first."""
        member, found = self.network.members[0], dict[str, Mapping[str, object]]()
        listing = shapes.mapping(await self.network.ask(member, "/v1/incidents") or {"incidents": []})
        for incident in reversed(shapes.sequence(listing["incidents"])):
            whole = await self.network.ask(member, f"/v1/incidents/{shapes.mapping(incident)['id']}")
            if whole is None:
                continue
            for decision in shapes.sequence(shapes.mapping(shapes.mapping(whole)["incident"])["decisions"]):
                told = shapes.mapping(decision)
                if told["plan_hash"] == self.plan.plan.hash.hex():
                    found.setdefault(str(told["id"]), told)
        return list(found.values())

    def _tell_decision(self, decision: Mapping[str, object]) -> None:
        anchor, tier = shapes.mapping(decision["anchor"]), str(decision["tier"])
        number, at_s = int(str(anchor["number"])), int(str(anchor["timestamp"]))
        by = f"{tier}, {decision['attesters']} of {len(self.network.members)} members"
        subject = str(decision["subject"])
        if decision["op"] != "protect":
            text = f"{decision['op']} {subject} decided ({by})"
            self._add(Entry(at_s, number, Kind.DECIDED, text, act=subject, tier=tier))
            return
        rung = f", rung {decision['rung']}" if decision["rung"] else ""
        slot = at_s // self.plan.plan.clock.rearm_s
        is_again, is_first = slot in self.slots, not self.slots
        self.slots.add(slot)
        self.report.slots = len(self.slots)
        still = "" if is_first or is_again else " still, in a new slot"
        text = f"{subject}{rung} is true{still}: protect decided ({by})"
        self._add(Entry(at_s, number, Kind.EDGE if is_first else Kind.DECIDED, text, tier=tier))

    # --- what the gateway did

    async def _tell_logs(self) -> None:
        newest = await self.driver.number()
        if newest == self._logs_to:
            return
        wanted = {
            "address": self.gateway,
            "fromBlock": hex(self._logs_to + 1),
            "toBlock": hex(newest),
            "topics": [["0x" + topic.hex() for topic in GATEWAY_TOPICS if topic != PLAN_SET]],
        }
        found = [
            shapes.log(each) for each in shapes.sequence(await self.driver.anvil.rpc("eth_getLogs", wanted))
        ]
        self._logs_to = newest
        if found:
            await self._tell_decisions()
        for log in found:
            await self._tell_event(gateway_event(log, 0), log.block_number)

    async def _tell_event(self, event: GatewayEvent, number: int) -> None:
        names = {act_id(name): name for name in self.plan.acts}
        act = names.get(event.act_id, event.act_id.hex())
        block = shapes.mapping(await self.driver.anvil.rpc("eth_getBlockByNumber", hex(number), False))
        at_s = shapes.quantity(block["timestamp"])
        kind, text = self._take(act, event, number, at_s)
        tier = TIERS.get(event.tier, "")
        self._add(Entry(at_s, number, kind, text, act=act, tier=tier, until_s=event.until or 0))

    def _take(self, act: str, event: GatewayEvent, number: int, at_s: int) -> tuple[Kind, str]:
        """Note what became of an act's record, and say it."""
        match event.kind:
            case GatewayEventKind.STARTED:
                self.in_force[act] = event.until or 0
                if self.report.delay_s is None and self.first_theft is not None:
                    block, first_s = self.first_theft
                    self.report.delay_blocks, self.report.delay_s = number - block, at_s - first_s
                return Kind.STARTED, f"{act} landed, {_until(event)}"
            case GatewayEventKind.EXTENDED:
                self.in_force[act] = event.until or 0
                if self._ops.get((event.decision_id or b"").hex()) == "extend":
                    self.report.extended += 1
                    return Kind.EXTENDED, f"{act} extended below half of its time, {_until(event)}"
                self.report.renewed += 1
                return Kind.RENEWED, f"{act} renewed, {_until(event)}"
            case GatewayEventKind.NOOP:
                return Kind.NOOP, f"{act}: protected already, nothing to do"
            case GatewayEventKind.ENDED:
                self.in_force.pop(act, None)
                how = "ended" if event.how is None else ENDINGS[event.how]
                self.report.ended.append(f"{act} {how}")
                return Kind.ENDED, f"{act} {how}" + (", undone" if event.undone else "")
            case _:
                assert_never(event.kind)


def _until(event: GatewayEvent) -> str:
    entry = Entry(event.until or 0, 0, Kind.STARTED, "")
    return f"in force until {entry.clock}"
