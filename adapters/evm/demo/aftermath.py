"""After the attack: a member is killed, the others give the evidence, and the story is told from all logs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.audit import Auditor, Evidence, choose_roles
from adapters.evm.demo.inquiry import LOGS, Inquiry, Telling
from adapters.evm.demo.network import Member, Network
from adapters.evm.demo.replay import BLOCK_S
from adapters.evm.demo.report import EvidenceReport
from adapters.evm.demo.show import Show
from adapters.evm.demo.watch import Sighting, Watcher
from adapters.evm.demo.world import World
from proofs.committee import full_quorum
from proofs.hashes import sha256

__all__ = ["FAST_MANDATE_S", "Aftermath"]

FAST_MANDATE_S: Final = 1_800
"""How long the plans' fast mandates can be used (core SPEC 4.2, 7.3)."""
FINAL_BLOCKS: Final = 8
"""So many blocks later what happened is final for every member (`depth:6`)."""
READ_S: Final = 60.0
EVEN_S: Final = 10.0
POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is done once both chains are contained; everything that stays is put into `home`."""

    home: Path
    world: World
    network: Network
    watcher: Watcher
    show: Show

    async def take_evidence(self) -> tuple[list[Sequence[Sighting]], EvidenceReport]:
        """Kill a member, take the evidence from the others, and tell the story when it is back.

        Gives beside the evidence what each member told of the incident, the killed one before its end.
        """
        killed, asked = await choose_roles(self.world, self.watcher, self.network)
        last_view = await self.watcher.sightings(killed)
        self.show.say(
            f"{killed.name} is killed: the others publish, witness, and give the bundle", "bold red"
        )
        await self.network.kill(killed)
        alive = [member for member in self.network.members if member is not killed]
        await self._outlive(alive)
        await self._say_something(asked)
        auditor = Auditor(self.home, self.world, self.network, self.watcher, asked, killed)
        evidence = await auditor.audit()
        views: list[Sequence[Sighting]] = [
            last_view if member is killed else await self.watcher.sightings(member)
            for member in self.network.members
        ]
        await self.network.start(killed)
        return views, self._report(killed, evidence, await self._tell(killed, evidence))

    async def _tell(self, killed: Member, evidence: Evidence) -> Telling:
        if not evidence.verified:
            self.show.say(f"no evidence: {evidence.failed_check}", "red")
            return Telling.none(evidence.failed_check)
        names = ", ".join(evidence.witnesses)
        self.show.say(f"the bundle of {evidence.member.name} verifies: cosigned by {names}", "green")
        await self.network.wait_serving(killed)
        self.show.say(f"{killed.name} is back: all logs are copied and compared, and the story is told")
        return await Inquiry(self.home, self.network, self._even_out).tell(evidence.bundles)

    async def _say_something(self, member: Member) -> None:
        """Let a member tell what its operator has seen, so that every log grows by something new."""
        signal = {
            "plan_hash": self.world.plans[0].plan.hash.hex(),
            "subject": "a relay is down",
            "reporter": "operator of the demonstration",
            "note": "it was killed on purpose",
        }
        await self.network.post(member, "/v1/signals", signal)

    async def _outlive(self, members: Sequence[Member]) -> None:
        """Let everything become final, and let time pass until no fast mandate can be used any more.

        The logs keep back until then what could make one usable, and with it what came after it.
        """
        for _ in range(FINAL_BLOCKS):
            await self._mine(BLOCK_S)
        await self._read_by(members)
        await self._mine(FAST_MANDATE_S)
        await self._read_by(members)

    async def _even_out(self) -> None:
        """Let the logs of all members publish what they took, and give them a moment to be equally long."""
        await self._outlive(self.network.members)
        with suppress(TimeoutError):
            async with asyncio.timeout(EVEN_S):
                while not await self._is_even():  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(POLL_S)

    async def _mine(self, after_s: int) -> None:
        for driver in (self.world.near, self.world.far):
            await driver.block(await driver.next_time() + after_s - 1)

    async def _read_by(self, members: Sequence[Member]) -> None:
        """Wait until these members have read the newest block of both chains, or have had a minute for it."""
        drivers = (self.world.near, self.world.far)
        wanted: dict[str, int] = {driver.anvil.chain: await driver.number() for driver in drivers}
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_S):
                for member in members:
                    while not await self._has_read(member, wanted):  # noqa: ASYNC110 - another process
                        await asyncio.sleep(POLL_S)

    async def _has_read(self, member: Member, wanted: Mapping[str, int]) -> bool:
        status = await self.network.ask(member, "/v1/status")
        if not isinstance(status, dict):
            return False
        chains = shapes.mapping(status["chains"])
        tips = {chain: shapes.mapping(chains[chain])["tip"] for chain in wanted}
        return all(
            tip is not None and int(str(shapes.mapping(tip)["number"])) >= wanted[chain]
            for chain, tip in tips.items()
        )

    async def _is_even(self) -> bool:
        """Tell whether all members publish logs of one size."""
        notes = [await self.network.fetch(member, "/checkpoint") for member in self.network.members]
        return None not in notes and len({note.splitlines()[1] for note in notes if note}) == 1

    def _report(self, killed: Member, evidence: Evidence, told: Telling) -> EvidenceReport:
        policy = self.home / "policy.txt"
        bundles, stories = list(map(str, evidence.bundles)), list(map(str, told.stories))
        return EvidenceReport(
            bundle=bundles[0],
            more_bundles=tuple(bundles[1:]),
            bundle_from=evidence.member.name,
            policy=str(policy),
            policy_hash=sha256(policy.read_bytes()).hex(),
            network=self.network.committee.network.hex(),
            story=stories[0] if stories else "",
            more_stories=tuple(stories[1:]),
            log_dir=str(self.home / LOGS / evidence.member.name),
            killed=killed.name,
            witnesses=evidence.witnesses,
            witnesses_needed=full_quorum(len(self.network.members)),
            logs_compared=told.logs_compared,
            omissions=told.omissions,
            commands=told.commands,
            problem=told.problem,
        )
