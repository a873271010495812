"""The demonstration from beginning to end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.aftermath import FAST_MANDATE_S, Aftermath
from adapters.evm.demo.ceremony import hold_ceremony
from adapters.evm.demo.effects import EffectBook
from adapters.evm.demo.network import MEMBERS, Member, Network, make_network, start_proxies, submitters_of
from adapters.evm.demo.replay import BLOCK_S, Attack, Block, Bridge, Progress, calm_blocks, quiet_blocks
from adapters.evm.demo.report import ActReport, CeremonyReport, EvidenceReport, Report
from adapters.evm.demo.scenario import Scenario
from adapters.evm.demo.show import Show
from adapters.evm.demo.traffic import Call, Driver
from adapters.evm.demo.watch import Sighting, Watcher, edges_of
from adapters.evm.demo.world import World, arm_bridge, arm_drill, arm_market, build_protocols
from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from relay.core.committee_check import committee_refusals
from relay.core.errors import ChainError

__all__ = ["Demonstration", "Options", "kind_of", "spread_ms"]

FROST: Final = "frost"
NEAR_ID: Final = 313_371
FAR_ID: Final = 313_372
KEPT_STATES: Final = 256
DEVELOPMENT_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of anvil's first account, the same on every machine: the owner of all that is deployed here."""
MIN_BLOCK_TIME_MS: Final = 50
"""The least that a node's configuration takes."""
MIN_PACE_S: Final = 0.2
"""Between two blocks when nobody watches the story any more."""
BEFORE_S: Final = 3_600
"""Deployment happens so long before the first step."""
DENSE_BLOCKS: Final = 12
"""So many blocks of the attack are mined one by one in any case, so that every member's reading is final."""
CATCH_UP_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; `pace_s` is the wall-clock time for a block of twelve seconds of chain time."""

    home: Path
    quorum: str
    seed: int
    keep: bool
    pace_s: float


class Demonstration:
    """One run."""

    def __init__(self, scenario: Scenario, options: Options, show: Show) -> None:
        self._scenario = scenario
        self._options = options
        self._show = show

    async def run(self) -> Report:
        """Set everything up, let the attack run, and report; stops every process that it started."""
        async with AsyncExitStack() as stack:
            near, far = [await self._anvil(stack, chain_id) for chain_id in (NEAR_ID, FAR_ID)]
            network = await stack.enter_async_context(
                make_network(self._options.home, [near.chain, far.chain])
            )
            self._show.say(
                f"two chains: {near.chain} (tokens, bridge) and {far.chain} (bridged tokens, market)"
            )
            for refusal in committee_refusals(network.committee):
                self._show.say(f"a demonstration only: {refusal.kind.value}: {refusal}", "yellow")
            world, ceremony = await self._build(Driver(near), Driver(far), network)
            bridge = Bridge(world)
            quiet = quiet_blocks(self._scenario, bridge)
            await self._mine(world, f"{self._scenario.quiet_hours:,.0f} quiet hours of bridge traffic", quiet)
            await arm_market(world)
            if self._options.keep:
                await arm_drill(world, network.committee)
            await self._mine(world, "regular blocks", calm_blocks(self._scenario))
            baseline = await self._baseline(world, bridge.copy())
            proxies = [await stack.enter_async_context(start_proxies(anvil)) for anvil in (near, far)]
            block_time_ms = max(MIN_BLOCK_TIME_MS, round(self._options.pace_s * 1_000))
            network.prepare(world.plan_texts, proxies, block_time_ms)
            stack.push_async_callback(network.stop)
            # The members come when the quiet months are over, and read them block by block: ranges are read
            # many times faster than single blocks, and every block is evaluated all the same.
            await self._start(network)
            await self._catch_up(world, network)
            quiet_edges = await self._edges(network)
            effects = EffectBook(world)
            attack, watcher = await self._storm(world, network, bridge, effects)
            aftermath = Aftermath(self._options.home, world, network, watcher, self._show)
            views, evidence = await aftermath.take_evidence()
            report = await self._report(
                world, attack, baseline, views, evidence, effects, quiet_edges, ceremony
            )
            if self._options.keep:
                self._show.table(report)
                await self._stay(world, network)
            return report

    def keep_evidence(self) -> None:
        """Keep bundle, policy, story and logs; remove the members' directories with their keys."""
        for name in MEMBERS:
            shutil.rmtree(self._options.home / name)

    # --- before the attack

    async def _build(
        self, near: Driver, far: Driver, network: Network
    ) -> tuple[World, CeremonyReport | None]:
        """Deploy what is to be protected, and, with the members' group keys, the gateways before it."""
        if self._options.quorum != FROST:
            world = await build_protocols(near, far, self._scenario)
            await arm_bridge(world, network.committee, submitters_of(network))
            return world, None
        # Nobody knows of a chain yet: a committee makes its keys before there is anything to protect.
        network.prepare({}, ())
        try:
            async with asyncio.TaskGroup() as group:
                deployed = group.create_task(build_protocols(near, far, self._scenario), name="deploy")
                await self._start(network)
                groups, ceremony = await hold_ceremony(network, self._show)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            await network.stop()
        world = deployed.result()
        world.groups = groups
        await arm_bridge(world, network.committee, submitters_of(network))
        self._show.say("gateways stand on both chains with these keys; the members take up plans")
        return world, ceremony

    async def _anvil(self, stack: AsyncExitStack, chain_id: int) -> Anvil:
        settings = AnvilSettings(
            chain_id=chain_id,
            timestamp=self._scenario.steps[0].timestamp - BEFORE_S,
            # Without this anvil writes its whole state to disk with every block, ever more of it.
            extra=("--prune-history", str(KEPT_STATES)),
        )
        return await stack.enter_async_context(start_anvil(settings))

    async def _start(self, network: Network) -> None:
        with self._show.progress("starting four relays", len(MEMBERS)) as progress:
            for member in network.members:
                await network.start(member)
            for member in network.members:
                await network.wait_serving(member)
                progress.advance(progress.task_ids[0])

    async def _mine(self, world: World, text: str, blocks: Iterable[Block]) -> None:
        """Mine benign blocks on both chains, side by side."""
        waiting = list(blocks)
        with self._show.progress(text, len(waiting)) as progress:
            for block in waiting:
                async with asyncio.TaskGroup() as group:
                    near = group.create_task(_mine(world.near, block.timestamp, block.near))
                    far = group.create_task(_mine(world.far, block.timestamp, block.far))
                if not (near.result() and far.result()):
                    raise ChainError(
                        world.near.anvil.chain, f"a benign transfer at {block.timestamp} reverted"
                    )
                progress.advance(progress.task_ids[0])

    async def _catch_up(self, world: World, network: Network) -> None:
        """Wait until every member has evaluated every quiet block."""
        wanted = {
            world.near.anvil.chain: await world.near.number(),
            world.far.anvil.chain: await world.far.number(),
        }
        with self._show.progress("members read it, block by block", sum(wanted.values())) as progress:
            async with asyncio.timeout(CATCH_UP_S):
                done = -1
                while done < sum(wanted.values()):
                    done = min(
                        [await self._read(network, member, list(wanted)) for member in network.members]
                    )
                    progress.update(progress.task_ids[0], completed=done)
                    await asyncio.sleep(0.2)
        for member in network.members:
            await network.wait_ready(member)

    async def _read(self, network: Network, member: Member, chains: Sequence[str]) -> int:
        status = await network.ask(member, "/v1/status")
        if not isinstance(status, dict):
            return 0
        tips = [shapes.mapping(shapes.mapping(status["chains"])[chain])["tip"] for chain in chains]
        return sum(int(str(shapes.mapping(tip)["number"])) for tip in tips if tip is not None)

    async def _edges(self, network: Network) -> int:
        """How often a rule has triggered so far, on the member where it did so most."""
        return max([edges_of(await network.ask(member, "/v1/status")) for member in network.members])

    # --- the attack

    async def _storm(
        self, world: World, network: Network, bridge: Bridge, effects: EffectBook
    ) -> tuple[Attack, Watcher]:
        attack = Attack(world.near, world.far, self._scenario, bridge)
        watcher = Watcher(network, self._show)
        self._show.say("the attack begins: unproven messages, copied by many", "bold red")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(watcher.follow(), name="follow")
            async for step in attack.run(DENSE_BLOCKS):
                self._tell(step)
                if step.number <= DENSE_BLOCKS:
                    await asyncio.sleep(self._options.pace_s)
                else:
                    # From here on time runs fast: the crowd goes on trying.
                    following.cancel()
                if step.number == DENSE_BLOCKS:
                    await effects.check(_acts(await watcher.sightings(network.members[0])))
            following.cancel()
        return attack, watcher

    def _tell(self, step: Progress) -> None:
        if step.number > DENSE_BLOCKS and not step.stolen:
            return
        if step.stolen:
            self._show.say(
                f"block {step.near_block}: {step.stolen} bad releases, {step.stolen_usd:,.0f} USD out", "red"
            )
        if step.stopped:
            self._show.say(f"block {step.near_block}: {step.stopped} bad releases reverted", "green")
        if step.borrowed is not None:
            said = ("took the money", "red") if step.borrowed else ("reverted", "green")
            self._show.say(f"block {step.far_block}: borrowing against the bridged token {said[0]}", said[1])

    async def _baseline(self, world: World, bridge: Bridge) -> Attack:
        """Let the same attack run on copies of both chains that nobody watches."""
        async with AsyncExitStack() as stack:
            copies: list[Driver] = []
            for driver in (world.near, world.far):
                anvil = driver.anvil
                extra = ("--fork-url", anvil.url, "--fork-block-number", str(await driver.number()))
                settings = AnvilSettings(chain_id=anvil.chain_id, extra=extra)
                copies.append(Driver(await stack.enter_async_context(start_anvil(settings))))
            attack = Attack(copies[0], copies[1], self._scenario, bridge)
            with self._show.progress("the attack without Tocsin", len(self._scenario.stormy())) as progress:
                async for _ in attack.run(0):
                    progress.update(progress.task_ids[0], completed=attack.attempted)
            return attack

    # --- afterwards

    async def _report(  # noqa: PLR0913 - everything that was seen
        self,
        world: World,
        attack: Attack,
        baseline: Attack,
        views: Sequence[Sequence[Sighting]],
        evidence: EvidenceReport,
        effects: EffectBook,
        quiet_edges: int,
        ceremony: CeremonyReport | None,
    ) -> Report:
        first = _first_effects(views[0])
        near, far = attack.first_block or (0, 0)
        began: dict[str, int] = {world.near.anvil.chain: near, world.far.anvil.chain: far}
        earliest = min(
            (each for each in views[0] if each.certified), key=lambda each: each.judged_us, default=None
        )
        contained = set(first) == set(began) and attack.borrowed_usd == 0
        acts = await effects.check(_acts(views[0]))
        ecdsa_ms = spread_ms(views, earliest, lambda each: each.certified_us)
        frost_ms = spread_ms(views, earliest, lambda each: each.threshold_signed_us)
        quorum = self._options.quorum
        return Report(
            scenario=self._scenario.name,
            seed=self._options.seed,
            contained=contained,
            verified=not evidence.problem,
            failed_check=evidence.problem,
            false_triggers=quiet_edges,
            quiet_hours=round(self._scenario.quiet_hours, 1),
            quorum=quorum,
            certificate_kind=kind_of(acts),
            certificate_ms=frost_ms if quorum == FROST else ecdsa_ms,
            ecdsa_ms=ecdsa_ms,
            frost_ms=frost_ms,
            ceremony=ceremony,
            containment_blocks={chain: act.block - began[chain] for chain, (act, _) in first.items()},
            containment_chain_s={chain: at - self._scenario.attack_at for chain, (_, at) in first.items()},
            releases_out=attack.stolen,
            releases_attempted=attack.attempted,
            value_out_usd=attack.stolen_usd + attack.borrowed_usd,
            value_out_without_usd=baseline.stolen_usd + baseline.borrowed_usd,
            borrowed_usd=attack.borrowed_usd,
            second_leg_reverted=attack.borrowed_usd == 0,
            acts=acts,
            evidence=evidence,
            pace_s=self._options.pace_s,
            attesters=sum(verdict == "attest" for verdict in earliest.verdicts.values()) if earliest else 0,
            members=len(MEMBERS),
            published_after_s=FAST_MANDATE_S,
        )

    async def _stay(self, world: World, network: Network) -> None:
        """Let the chains and the network run on until Ctrl-C, and say how to look at them."""
        for member in network.members:
            self._show.say(f"{member.name}: {member.url}/v1/incidents · log {member.log_file}")
        home, urls = network.members[0].directory.home, [member.url for member in network.members]
        drill = f"drill run --send --key-env BELL_KEY --yes --url {' --url '.join(urls)}"
        asked = ("incident list", "ceremony status", "gateway inspect", "plan rehearse", "doctor")
        for words in (*asked, drill):
            self._show.say(f"  tocsin --home {home} {words}")
        policy = self._options.home / "policy.txt"
        self._show.say(f"  tocsin audit follow {' '.join(urls)} --policy {policy} --once")
        self._show.say(f"  with BELL_KEY={DEVELOPMENT_KEY}, the chains' first development key")
        self._show.say("both chains go on, a block of 12 s each second · Ctrl-C ends it")
        async with asyncio.TaskGroup() as group:
            for driver in (world.near, world.far):
                group.create_task(_go_on(driver, max(self._options.pace_s, MIN_PACE_S)))


async def _go_on(driver: Driver, pace_s: float) -> None:
    """Mine what comes, at the pace of the scenario, for ever."""
    while True:
        await driver.block(await driver.next_time() + BLOCK_S - 1)
        await asyncio.sleep(pace_s)


async def _mine(driver: Driver, timestamp: int, calls: Sequence[Call]) -> bool:
    """Mine a block of benign calls, and tell whether all of them took effect."""
    return all(await driver.succeeded(await driver.block(timestamp, calls)))


def _acts(view: Sequence[Sighting]) -> list[ActReport]:
    return [act for sighting in view for act in sighting.acts]


def _first_effects(view: Sequence[Sighting]) -> dict[str, tuple[ActReport, int]]:
    """Give the first protective effect on each chain, with its chain time."""
    first: dict[str, tuple[ActReport, int]] = {}
    for sighting in view:
        for act in sighting.acts:
            if act.chain not in first or act.block < first[act.chain][0].block:
                first[act.chain] = (act, sighting.act_times[act.tx])
    return first


def kind_of(acts: Sequence[ActReport]) -> str:
    """Give the kind of certificate that calls carried: `frost`, `ecdsa`, `mixed`, `none` without a call."""
    kinds = {act.certificate for act in acts if act.certificate}
    return "mixed" if len(kinds) > 1 else next(iter(kinds), "none")


def spread_ms(
    views: Sequence[Sequence[Sighting]],
    earliest: Sighting | None,
    complete_us: Callable[[Sighting], int],
) -> float | None:
    """Give the time from the first member's edge to the last member's certificate of one decision.

    None if nobody had one; a member that never had one itself counts for nothing.
    """
    same = [each for view in views for each in view if earliest is not None and each.id == earliest.id]
    began = [each.judged_us for each in same if each.judged_us]
    times = [complete_us(each) for each in same if complete_us(each)]
    return (max(times) - min(began)) / 1_000 if began and times else None
