"""The faults of the last mile, each in a slot of its own: the effect, once, or a named alarm."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm import shapes
from adapters.evm.demo.traffic import Call, encode_call
from adapters.evm.encode import act_id
from tests.e2e.faults import GAS, HALT, LASTS_S, SLOT_S, Stage, open_stage
from tests.e2e.scene import BLOCK_S, open_scene, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]
CHAIN_IDS = (724_111, 724_112)
BUDGET = (20 * 86_400, 21 * 86_400, 100)
"""Of both gateways: every fault begins a record of its own."""
LITTLE_GAS = 260_000
"""Enough for the gateway's own checks, too little for the act's gas cap beside them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory) -> AsyncIterator[Stage]:
    seed = random.SystemRandom().getrandbits(32)
    print(f"scenario seed {seed}")
    home: Path = tmp_path_factory.mktemp("faults")
    async with open_scene(home, seed=seed, chain_ids=CHAIN_IDS, budget=BUDGET) as scene:
        yield await open_stage(scene)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(running: Stage) -> AsyncIterator[Stage]:
    await running.begin()
    yield running
    await running.everywhere("honest")
    for member in running.scene.network.members:
        if member not in running.scene.running():
            await running.scene.start(member)


async def test_without_a_fault_the_act_lands_once_in_the_next_block(stage: Stage) -> None:
    await stage.next_slot()

    ending = await stage.effect("no fault")

    assert (ending.starts, ending.pages) == (1, ())
    assert ending.blocks is not None
    assert ending.blocks <= 2


@pytest.mark.parametrize("mode", [pytest.param("hold-sends", marks=pytest.mark.slow), "hold-answers"])
async def test_a_submitter_killed_around_sending_is_followed_by_the_next_and_the_act_begins_once(
    stage: Stage, mode: str
) -> None:
    await stage.everywhere(mode)
    await stage.next_slot()
    victim = await stage.submitter()

    async def is_held() -> bool:
        return await stage.holds("held") > 0

    await until("its transaction is held", is_held)
    await stage.scene.kill(victim)
    await stage.everywhere("honest")
    ending = await stage.effect(mode)
    await stage.scene.start(victim)
    await stage.settle()

    assert ending.starts == 1
    assert await stage.starts() == 1, "the one that came back does nothing twice"
    assert ending.blocks is not None

    async def is_clean() -> bool:
        await stage.scene.mine()
        return await stage.has_nothing_signed(victim)

    await until(f"{victim.name} has forgotten what it had signed", is_clean)


async def test_a_submitter_killed_before_the_receipt_has_its_effect(stage: Stage) -> None:
    await stage.next_slot()
    victim = await stage.submitter()

    async def is_pooled() -> bool:
        return bool(await stage.in_mempool())

    await until("its transaction waits for a block", is_pooled)
    await stage.scene.kill(victim)
    ending = await stage.effect("killed before the receipt")
    await stage.scene.start(victim)
    await stage.settle()

    assert (ending.blocks, ending.starts) == (1, 1)
    assert await stage.starts() == 1


async def test_a_re_org_that_removes_the_act_is_followed_by_the_act_again(stage: Stage) -> None:
    await stage.next_slot()

    async def is_pooled() -> bool:
        return bool(await stage.in_mempool())

    await until("a call waits for a block", is_pooled)
    await stage.scene.mine()
    assert await stage.scene.is_halted()

    await stage.scene.world.near.anvil.rpc("anvil_reorg", 1, [])
    assert not await stage.scene.is_halted(), "the act has left the chain"
    ending = await stage.effect("re-org")

    assert ending.starts == 1
    assert ending.blocks is not None


async def test_the_guardian_who_pauses_first_is_not_undone_and_when_he_lets_go_we_hold(stage: Stage) -> None:
    world = stage.scene.world
    paused = await stage.scene.mine([Call(world.owner, world.replica, encode_call("pause()"))])
    assert all(paused.near_done)
    await stage.next_slot()
    waiting = await stage.effect("guardian first")

    assert (waiting.blocks, waiting.starts) == (0, 0), "nothing is recorded over his own pause"
    freed = await stage.scene.mine([Call(world.owner, world.replica, encode_call("unpause()"))])
    assert all(freed.near_done)
    ending = await stage.effect("guardian lets go")

    assert ending.starts == 1
    assert await stage.until_s() > stage.scene.now_s


async def test_a_second_decision_at_98_percent_of_the_first_pause_lengthens_it_without_a_gap(
    stage: Stage,
) -> None:
    await stage.next_slot()
    await stage.effect("first")
    first_until = await stage.until_s()
    # Nobody sees a block for most of the pause: the slots in between make no decision.
    await stage.scene.mine(after_s=first_until - LASTS_S // 50 - stage.scene.now_s)
    await stage.scene.mine()
    await stage.scene.read_by_all()

    async def is_longer() -> bool:
        return await stage.until_s() > first_until

    ending = await stage.effect("98 %", is_longer)

    assert ending.starts == 1, "one record, lengthened"
    assert await stage.scene.is_halted()
    assert await stage.until_s() > first_until + SLOT_S


async def test_an_expiry_bundled_with_the_attack_is_answered_in_the_next_slot(stage: Stage) -> None:
    await stage.next_slot()
    await stage.effect("first")
    over = await stage.until_s()
    world = stage.scene.world
    expire = Call(world.attacker, world.gateway_near, encode_call("expire(bytes32)", act_id(HALT)), GAS)
    theft = stage.scene.bridge.steal(stage.scene.thefts()[2])

    bundle = await stage.scene.mine([expire, theft], after_s=over + 1 - stage.scene.now_s)
    assert bundle.near_done == (True, True), "the first moment without protection is the attacker's"
    await stage.scene.mine()
    await stage.scene.read_by_all()
    ending = await stage.effect("expire bundled with the attack")

    assert ending.starts == 2
    assert ending.blocks is not None


async def test_a_front_runner_with_little_gas_spoils_nothing(stage: Stage) -> None:
    await stage.next_slot()

    async def is_pooled() -> bool:
        return bool(await stage.in_mempool())

    await until("a call waits for a block", is_pooled)
    seen, *_ = await stage.in_mempool()
    world = stage.scene.world
    copied = Call(world.attacker, world.gateway_near, shapes.octets(seen["input"]), gas=LITTLE_GAS)
    block = await stage.scene.mine([copied])
    ending = await stage.effect("low gas")

    assert block.near_done == (False,)
    assert (ending.blocks, ending.starts) == (0, 1), "ours was in the same block"


async def test_a_gateway_paused_between_certificate_and_landing_is_named_and_healed(stage: Stage) -> None:
    world = stage.scene.world
    await stage.everywhere("hold-sends")
    await stage.next_slot()
    await stage.submitter()
    stopped = await stage.scene.mine([Call(world.owner, world.gateway_near, encode_call("pauseGateway()"))])
    assert all(stopped.near_done)
    await stage.everywhere("honest")

    async def is_named() -> bool:
        await stage.scene.mine(after_s=BLOCK_S)
        return any("GatewayIsPaused" in page for page in stage.pages())

    await until("somebody is woken with the gateway's own reason", is_named)
    assert await stage.starts() == 0
    healed = await stage.scene.mine([Call(world.owner, world.gateway_near, encode_call("unpauseGateway()"))])
    assert all(healed.near_done)
    ending = await stage.effect("gateway paused")

    assert ending.starts == 1


async def test_a_gateway_that_its_owner_left_is_an_alarm_and_no_act(stage: Stage) -> None:
    world = stage.scene.world
    await stage.everywhere("hold-sends")
    await stage.next_slot()
    await stage.submitter()
    left = await stage.scene.mine([Call(world.owner, world.gateway_near, encode_call("leaveNetwork()"))])
    assert all(left.near_done)
    await stage.everywhere("honest")

    async def is_named() -> bool:
        await stage.scene.mine(after_s=BLOCK_S)
        return any("ActNotRegistered" in page for page in stage.pages())

    await until("somebody is woken with the gateway's own reason", is_named)

    assert await stage.starts() == 0
    assert not await stage.scene.is_halted()
