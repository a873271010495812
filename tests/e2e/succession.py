"""A running network whose committee changes: chains at about our own time, group keys, and a newcomer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.evm.demo import setup
from adapters.evm.demo.network import (
    CHEAP,
    NETWORK,
    TOKEN_FILE,
    Member,
    Network,
    _free_ports,
    _seat,
    make_network,
    start_proxies,
    submitters_of,
)
from adapters.evm.demo.replay import Bridge, calm_blocks, quiet_blocks
from adapters.evm.demo.traffic import Driver
from adapters.evm.demo.world import arm_bridge, arm_market, build_protocols
from adapters.evm.devchain import AnvilSettings, start_anvil
from proofs.committee import (
    CommitteeDocument,
    CommitteeStatement,
    build_committee,
)
from relay.config import NodeDirectory
from relay.core.types import Caip2
from relay.keys import Secret, generate
from tests.e2e.scene import BEFORE_S, BLOCK_TIME_MS, Scene, first_keys, short
from tests.e2e.vestry import Vestry, sign_in

__all__ = ["Succession", "open_succession"]

DELAY_S = OVERLAP_S = 3_600
"""Of the verifiers: how long a rotation is announced, and how long the epoch before is accepted then."""
UNTIL_ACTIVE_S = 5_400
"""Of chain time, from the attack to the activation of the next committee."""
LEEWAY_S = 120
"""Of our own clock, from now to that activation."""


@dataclass
class Succession:
    """The scene, its operators, and who joins the committee when."""

    scene: Scene
    vestry: Vestry
    newcomer: Member
    following: CommitteeDocument
    activates_at: int


@asynccontextmanager
async def open_succession(
    home: Path, *, seed: int, chain_ids: tuple[int, int], patch: pytest.MonkeyPatch
) -> AsyncIterator[Succession]:
    """Start four members with group keys on two chains, and a newcomer that the next committee names.

    The chains' quiet part is over, and all have read it.
    """
    patch.setattr(setup, "ROTATION_DELAY_S", DELAY_S)
    patch.setattr(setup, "OVERLAP_S", OVERLAP_S)
    # The one clock that both the members and their chains are held against.
    activates_at = time.time_ns() // 10**9 + LEEWAY_S  # noqa: TID251
    scenario = short(seed)
    shift = activates_at - UNTIL_ACTIVE_S - scenario.attack_at
    steps = tuple(replace(step, timestamp=step.timestamp + shift) for step in scenario.steps)
    scenario = replace(scenario, steps=steps)
    async with AsyncExitStack() as stack:
        settings = [
            AnvilSettings(chain_id=chain_id, timestamp=steps[0].timestamp - BEFORE_S)
            for chain_id in chain_ids
        ]
        near, far = [await stack.enter_async_context(start_anvil(each)) for each in settings]
        chains = [near.chain, far.chain]
        network = await stack.enter_async_context(make_network(home, chains))
        stack.push_async_callback(network.stop)
        world = await build_protocols(Driver(near), Driver(far), scenario)
        world.groups = await first_keys(network)
        newcomer = await _newcomer(network, "erin")
        everybody = [*submitters_of(network), newcomer.public.submitters["default"]]
        await arm_bridge(world, network.committee, everybody)
        await arm_market(world)
        following = _following(network, newcomer, chains, activates_at)
        network.members = (*network.members, newcomer)
        proxies = [await stack.enter_async_context(start_proxies(anvil)) for anvil in (near, far)]
        network.prepare(world.plan_texts, proxies, BLOCK_TIME_MS)
        scene = Scene(scenario, world, network, {each.chain: each for each in proxies}, Bridge(world), 0)
        for member in network.members[:-1]:
            await network.start(member)
        for block in (*quiet_blocks(scenario, scene.bridge), *calm_blocks(scenario)):
            scene.now_s = block.timestamp
            await scene.mine(block.near, block.far, after_s=0)
        for member in network.members[:-1]:
            await scene.wait_ready(member)
        sign_in(network, following)
        await network.start(newcomer)
        await network.wait_serving(newcomer)
        await scene.read_by_all()
        yield Succession(scene, Vestry(network), newcomer, following, activates_at)


async def _newcomer(network: Network, name: str) -> Member:
    """Set up the directory of somebody who is in no committee yet, with the public files of a member."""
    directory = NodeDirectory(network.home / name, NETWORK)
    directory.create()
    token = directory.path / TOKEN_FILE
    token.touch(mode=0o600)
    token.write_text(os.urandom(16).hex() + "\n")
    passphrase = Secret(network.passphrase.encode())
    public = await asyncio.to_thread(generate, directory.keys, passphrase, cost=CHEAP)
    for file in network.members[0].directory.committee.iterdir():
        (directory.committee / file.name).write_bytes(file.read_bytes())
    api_port, lane_port = _free_ports(2)
    return Member(name, directory, public, network.members[0].operators, api_port, lane_port)


def _following(
    network: Network, newcomer: Member, chains: list[Caip2], activates_at: int
) -> CommitteeDocument:
    """The next committee: dave leaves, the newcomer takes his place, the key epoch begins."""
    old = network.committee
    staying = [seat for seat in old.members if seat.name != "dave"]
    return build_committee(
        CommitteeStatement(
            name=old.name,
            committee_epoch=2,
            key_epoch=2,
            activates_at=activates_at,
            demo=True,
            genesis=old.network,
            members=(*staying, _seat(newcomer, chains)),
        )
    )
