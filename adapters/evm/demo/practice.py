"""Practising a plan: a vault that is robbed, four relays with this very plan, and all that follows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from adapters.evm import adapter as make_adapter
from adapters.evm.demo import setup
from adapters.evm.demo.network import Network, make_network, start_proxies, submitters_of
from adapters.evm.demo.practice_place import BLOCK_S, PLACE, SINCE, assert_fits
from adapters.evm.demo.practice_report import Kind, PracticeReport
from adapters.evm.demo.practice_stage import Stage
from adapters.evm.demo.practice_vault import UNIT, Vault, build_vault, fund
from adapters.evm.demo.show import Show
from adapters.evm.demo.traffic import Driver
from adapters.evm.devchain import AnvilSettings, start_anvil
from relay.core.compiled import compile_plan
from relay.core.errors import ChainError
from relay.core.plan import Mode
from relay.core.plan_file import parse_plan
from relay.core.readiness import ActToKeep
from relay.core.rehearsal import RehearsalSettings, verdict

__all__ = ["Practice", "PracticeOptions"]

START_S: Final = 1_798_761_600
"""Where the chain's time begins: midnight, so that the timeline is easy to read."""
QUIET_BLOCKS: Final = 36
QUIET_STEP_S: Final = 600
"""Six hours of quiet life, ten minutes a block."""
LIVE_BLOCKS: Final = 5
MOST_THEFTS: Final = 12
TRIES_AFTER: Final = 2
"""So often the thief goes on once it reverts."""
SLOW_STEP_S: Final = (60, 300)
"""The least and the most between blocks while hours pass: a slot of half an hour needs some of them."""
DENSE_S: Final = 7_200
"""So long a block a minute in any case: full decisions wait until blocks are final."""
SLOW_BLOCKS: Final = 5
MOST_BLOCKS: Final = 360
"""For the longest act to run out."""
QUICK_BLOCKS: Final = 25
MOST_SLOTS: Final = 4
"""A rule that is true in so many slots stays true until its cause is gone."""
FUNDS_WEI: Final = hex(10**20)
PACE_BLOCK_MS: Final = 500


@dataclass(frozen=True, slots=True)
class PracticeOptions:
    """`file` is the plan's name for errors, `keep` leaves all of it running until Ctrl-C."""

    home: Path
    file: Path
    keep: bool
    seed: int


class Practice:
    """One practice; `run` may be called once."""

    def __init__(self, text: str, options: PracticeOptions, show: Show) -> None:
        """Read the plan; one in shadow mode is practised as armed, under a hash of its own.

        Raises:
            PlanError: the plan is refused.
            ConfigError: it is for another place.
        """
        where = str(options.file)
        plan = parse_plan(text, where=where)
        assert_fits(plan)
        self._was_shadow = plan.mode is Mode.SHADOW
        self._text = _armed(text) if self._was_shadow else text
        self._plan = compile_plan(parse_plan(self._text, where=where), {"eip155": make_adapter()})
        self._options = options
        self._show = show
        self._chance = Random(options.seed)

    async def run(self) -> PracticeReport:
        """Play it from beginning to end; nothing that it started outlives it."""
        plan = self._plan.plan
        report = PracticeReport(plan.hash.hex(), plan.protocol, PLACE.chain, self._was_shadow)
        async with AsyncExitStack() as stack:
            chain_id = int(PLACE.chain.rpartition(":")[2])
            anvil = await stack.enter_async_context(start_anvil(AnvilSettings(chain_id, timestamp=START_S)))
            network = await stack.enter_async_context(make_network(self._options.home, [anvil.chain]))
            driver = Driver(anvil)
            vault = await self._build(driver, network)
            report.rehearsed = await self._rehearse(driver)
            stage = Stage(network, vault, PLACE.gateway, self._plan, self._show, report)
            await stage.begin()
            await self._quiet_life(stage)
            proxies = await stack.enter_async_context(start_proxies(anvil))
            network.prepare({plan.protocol: self._text}, [proxies], PACE_BLOCK_MS)
            stack.push_async_callback(network.stop)
            await self._start(network)
            await self._play(stage)
            if self._options.keep:
                self._show.practised(report)
                await self._stay(stage)
            return report

    @property
    def _longest_s(self) -> int:
        return max(act.lasts_s for act in self._plan.plan.acts.values())

    @property
    def _slow_step_s(self) -> int:
        least_s, most_s = SLOW_STEP_S
        return min(most_s, max(least_s, self._longest_s // MOST_BLOCKS))

    # --- before

    async def _build(self, driver: Driver, network: Network) -> Vault:
        """Deploy vault and gateway, let people deposit, and register the plan at block `SINCE` or later."""
        vault = await build_vault(driver)
        budget = self._plan.plan.budget
        amounts = (budget.fast_time_s, budget.frozen_time_s, budget.fast_records)
        terms = setup.GatewayTerms(amounts, budget.window_s)
        gateway = await setup.deploy_gateway(driver, vault.owner, network.committee, terms)
        if (vault.token, vault.address, gateway) != (PLACE.token, PLACE.vault, PLACE.gateway):
            raise ChainError(PLACE.chain, f"expected the gateway at {PLACE.gateway}, got {gateway}")
        for submitter in submitters_of(network):
            await driver.anvil.rpc("anvil_setBalance", "0x" + submitter.hex(), FUNDS_WEI)
        await setup.grant(driver, vault.owner, PLACE.vault, "PAUSER_ROLE()", gateway)
        await fund(vault)
        while await driver.number() < SINCE:
            await driver.block(await driver.next_time())
        await setup.register(driver, vault.owner, gateway, self._plan)
        return vault

    async def _rehearse(self, driver: Driver) -> bool | None:
        """Try every act, check and undo on a copy of the chain, as `tocsin plan rehearse` does."""
        held: list[bool | None] = []
        settings = RehearsalSettings(PLACE.chain, driver.anvil.url)
        async with make_adapter().rehearser(settings) as rehearser:
            for name, encoded in self._plan.acts.items():
                agreed = self._plan.plan.acts[name]
                found = await rehearser.rehearse(ActToKeep(name, encoded, agreed.tier, agreed.lasts_s))
                held.append(found.held)
                parts = (found.call, found.check, found.undo)
                said = "; ".join(part.reason for part in parts if part.held is not True)
                mark = {True: "✓", False: "✗", None: "?"}[found.held]
                self._show.say(f"  {mark} rehearsed {name}" + (f": {said}" if said else ""))
        return verdict(held)

    async def _quiet_life(self, stage: Stage) -> None:
        """People come and go for hours, before the relays start."""
        with self._show.progress("six quiet hours", QUIET_BLOCKS) as progress:
            for _ in range(QUIET_BLOCKS):
                await stage.mine([stage.vault.coming_or_going(self._chance)], after_s=QUIET_STEP_S)
                progress.advance(progress.task_ids[0])

    async def _start(self, network: Network) -> None:
        with self._show.progress("starting four relays", len(network.members)) as progress:
            for member in network.members:
                await network.start(member)
            for member in network.members:
                await network.wait_ready(member)
                progress.advance(progress.task_ids[0])

    # --- the play

    async def _play(self, stage: Stage) -> None:
        await stage.tell(Kind.LIFE, "quiet life: people deposit and withdraw")
        for _ in range(LIVE_BLOCKS):
            await stage.mine([stage.vault.coming_or_going(self._chance)])
        await stage.settle()
        stage.report.quiet_edges = await stage.edges()
        await self._rob(stage)
        if stage.in_force:
            await self._hold_out(stage)
            await stage.vault.give_back()
            await stage.begin_again()
            await stage.tell(Kind.LIFE, "the cause is gone: what was stolen is back, the flaw is known")
            await self._reopen(stage)
        [stage.report.reopened] = await stage.mine([stage.vault.withdrawal()])
        said = "normal life: a user withdraws" if stage.report.reopened else "a user cannot withdraw"
        await stage.tell(Kind.LIFE, said)

    async def _rob(self, stage: Stage) -> None:
        """Let the thief take, block by block, until the plan stops him, or he has enough."""
        report, before = stage.report, await stage.vault.held()
        reverted = 0
        while report.thefts < MOST_THEFTS and reverted <= TRIES_AFTER:
            [took] = await stage.mine([stage.vault.theft()])
            report.thefts += 1
            reverted += not took
            if stage.first_theft is None:
                stage.first_theft = (await stage.driver.number(), stage.now_s)
            out = (before - await stage.vault.held()) // UNIT
            report.stolen, report.stopped = out, reverted
            said = f"a theft: {out:,} tokens are out" if took else "a theft reverts"
            await stage.tell(Kind.THEFT, said)
            await stage.settle()

    async def _hold_out(self, stage: Stage) -> None:
        """Let hours pass with the cause there: renewal in every slot, extension below half of the time."""
        ends_s = stage.now_s + self._longest_s
        self._show.say("hours pass, a block a minute; nobody has repaired anything yet", "dim")
        self._show.say("  what adds little is not sent: a record with more than half of its time left", "dim")
        dense_until_s = stage.now_s + DENSE_S
        while stage.now_s < ends_s and stage.in_force and not stage.report.extended:
            is_dense = stage.now_s < dense_until_s
            await stage.pass_time(SLOW_BLOCKS, after_s=SLOW_STEP_S[0] if is_dense else self._slow_step_s)
            newest_slot = stage.now_s // self._plan.plan.clock.rearm_s
            if len(stage.slots) > MOST_SLOTS and max(stage.slots) >= newest_slot - 1:
                return

    async def _reopen(self, stage: Stage) -> None:
        """Let time pass until every act has ended: released, stage after stage, or run out."""
        plan = self._plan.plan
        hold = 0 if plan.release is None else plan.release.hold * plan.clock.every
        stages = 1 if plan.release is None else max(1, len(plan.release.stages))
        quick_until_s = stage.now_s + hold * BLOCK_S + (stages + 2) * plan.clock.rearm_s
        text = "a block every twelve seconds: the release predicate must hold"
        self._show.say(text if plan.release else "no release in this plan: acts run out", "dim")
        while plan.release and stage.in_force and stage.now_s < quick_until_s:
            await stage.pass_time(QUICK_BLOCKS, after_s=BLOCK_S)
        latest_s = stage.now_s + 2 * max([0, *(until - stage.now_s for until in stage.in_force.values())])
        while stage.in_force and stage.now_s < latest_s + plan.clock.rearm_s:
            await stage.pass_time(SLOW_BLOCKS, after_s=self._slow_step_s)

    # --- afterwards

    async def _stay(self, stage: Stage) -> None:
        """Let all of it run on until Ctrl-C, and say how to look at it."""
        url, file = stage.driver.anvil.url, self._options.file
        self._show.say(f"chain {PLACE.chain}: {url}")
        for member in stage.network.members:
            self._show.say(f"{member.name}: {member.url}/v1/incidents · log {member.log_file}")
        self._show.say(f"  tocsin plan rehearse {file} --fork {url}")
        self._show.say(f"  tocsin plan check {file} --rpc {url}")
        self._show.say(f"  tocsin --home {stage.network.members[0].directory.home} incident list")
        self._show.say("the chain goes on, a block of 12 s each second · Ctrl-C ends it")
        while True:
            await stage.mine()
            await asyncio.sleep(1)


def _armed(text: str) -> str:
    """Give the plan with its mode changed; a plan without one is in shadow mode."""
    lines = text.splitlines()
    top = next((n for n, line in enumerate(lines) if line.startswith("[")), len(lines))
    kept = [line for line in lines[:top] if not line.replace(" ", "").startswith("mode=")]
    return "\n".join([*kept, 'mode = "armed"', *lines[top:], ""])
