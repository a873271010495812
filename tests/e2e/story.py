"""The attack on a running network, with a member killed in the middle of it and an RPC operator that lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.evm.demo.network import Member
from tests.e2e.scene import FINAL_BLOCKS, Scene, logged, statements, until

__all__ = ["LIAR", "Story", "tell"]

LIAR = "north"
"""The operator whose proxies lie; alice, carol and dave read from it, each with two honest ones beside."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened: `out` and `stopped` count bad releases; the rest is of the member that was killed."""

    out: int
    stopped: int
    borrowed: bool
    decision: str
    killed: Member
    held_before: Mapping[tuple[bytes, int], bytes]
    logged_before: Mapping[bytes, bytes]


async def tell(scene: Scene) -> Story:
    """Play the attack; dave is killed once he has attested, and comes back when both chains are contained."""
    alice, dave = scene.member("alice"), scene.member("dave")
    await scene.switch(scene.near, LIAR, "lie-logs")
    await scene.switch(scene.far, LIAR, "lie-head")
    thefts = [scene.bridge.steal(step) for step in scene.thefts()]
    first = await scene.mine(near=thefts[:2])
    assert all(first.near_done), "the flaw is there: the first bad releases take effect"

    async def dave_attested() -> str:
        for seen in await scene.sightings(alice):
            if seen.subject == "unbacked" and seen.tier == "fast" and seen.verdicts.get("dave") == "attest":
                return seen.id
        return ""

    decision = await until("alice hears that dave attests", dave_attested)
    await scene.kill(dave)
    held_before, logged_before = statements(dave), logged(dave)

    async def acts_on_both_chains() -> bool:
        chains = {act.chain for seen in await scene.sightings(alice) for act in seen.acts}
        return chains == {scene.near, scene.far}

    await scene.mine_until("acts on both chains", acts_on_both_chains)
    await scene.switch(scene.near, LIAR, "lie-head")
    await scene.switch(scene.far, LIAR, "lie-logs")
    later = await scene.mine(near=thefts[2:6], far=[scene.bridge.borrow()])
    await scene.start(dave)
    for _ in range(FINAL_BLOCKS):
        await scene.mine()
    await scene.read_by_all()
    out, stopped = len(first.near_done), later.near_done.count(False)
    return Story(out, stopped, later.far_done[0], decision, dave, held_before, logged_before)
