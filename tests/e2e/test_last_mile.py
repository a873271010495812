"""A running network says by itself when a call would not land any more: probes, metrics, doctor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from adapters.evm.demo.network import Member
from adapters.evm.demo.traffic import Call, encode_call
from relay.cli.settings import Answer
from tests.cli.calls import Said, tocsin
from tests.e2e.scene import Scene, until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]


async def not_ready(scene: Scene, member: Member) -> Mapping[str, str] | None:
    """The facts that do not hold, with their reasons; None while all hold."""
    answer = await scene.network.ask(member, "/readyz")
    assert isinstance(answer, dict)
    facts = {fact["name"]: fact["reason"] for fact in answer["facts"] if not fact["ready"]}
    assert answer["ready"] == (not facts)
    return facts or None


async def owners_call(scene: Scene, signature: str) -> None:
    """A call of the near gateway's owner, mined at once."""
    world = scene.world
    mined = await scene.mine(near=[Call(world.owner, world.gateway_near, encode_call(signature))])
    assert mined.near_done == (True,), signature


async def command(scene: Scene, member: Member, *arguments: str) -> Said:
    """A command about a member's node."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TOCSIN_PASSPHRASE", scene.network.passphrase)
        return await asyncio.to_thread(tocsin, "--home", member.directory.home, *arguments)


async def test_readiness_falls_with_the_gateway_and_comes_back(scene: Scene) -> None:
    alice = scene.member("alice")
    await scene.wait_ready(alice)
    fact = f"gateway demo-bridge {scene.near}"
    well = await command(scene, alice, "doctor", "--json")

    await owners_call(scene, "pauseGateway()")
    try:
        fallen = await until("alice is not ready", lambda: not_ready(scene, alice))
        ready_then = await scene.count(alice, "ready", fact=fact)
        told = await command(scene, alice, "doctor")
    finally:
        await owners_call(scene, "unpauseGateway()")
    await scene.wait_ready(alice)

    assert list(fallen) == [fact]
    assert fallen[fact] == f"{scene.world.gateway_near}: it is paused"
    assert ready_then == 0
    assert await scene.count(alice, "ready", fact=fact) == 1
    assert await scene.count(alice, "endpoint_up", chain=scene.near) == len(alice.operators)
    failing = [each for each in json.loads(well.out)["findings"] if each["held"] is not True]
    assert (well.code, failing) == (Answer.YES, [])
    assert told.code == Answer.NO
    assert f"✗ {fact}  {scene.world.gateway_near}: it is paused" in told.out
    assert "try: ask its owner to call unpauseGateway" in told.out


async def test_the_plans_of_a_running_node_are_rehearsed_by_its_own_endpoints(scene: Scene) -> None:
    found = await command(scene, scene.member("bob"), "plan", "rehearse", "--no-record", "--json")

    plans = json.loads(found.out)["plans"]
    acts = {act["name"]: act for plan in plans for act in plan["acts"]}
    assert found.code == Answer.YES, found.out
    assert {"halt-replica", "no-new-collateral"} <= set(acts)
    assert all(act["undo"]["outcome"] == "done" for act in acts.values())
