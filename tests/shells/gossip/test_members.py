"""Members that come and go while a lane runs (lane SPEC 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from relay.gossip import Drop, Lane, LaneConfigRefused, LanePeer
from tests.shells.gossip.town import PATIENCE_S, Town, until

pytestmark = pytest.mark.asyncio(loop_scope="function")


def peers(town: Town, *names: str) -> Sequence[LanePeer]:
    return tuple(LanePeer(town.identities[name], (town.address(name),)) for name in names)


async def without(lane: Lane, identity: bytes) -> None:
    await until(lambda: identity not in lane.connected())


@pytest.mark.parametrize("joiner", ["alice", "dave"])
async def test_a_member_that_joins_is_connected_whoever_dials(town: Town, joiner: str) -> None:
    others = [name for name in ("alice", "bob", "dave") if name != joiner]
    configs = {name: town.config(name, knows=others) for name in others}
    async with (
        town.open(others[0], configs[others[0]]) as one,
        town.open(others[1], configs[others[1]]) as two,
        town.open(joiner, town.config(joiner, knows=others)) as new,
        asyncio.timeout(PATIENCE_S),
    ):
        await one.wait_connected(1)

        for lane in (one, two):
            lane.set_peers(peers(town, *others, joiner))

        await new.wait_connected(2)
        await one.wait_connected(2)
        await one.broadcast(b"welcome")
        assert (await new.receive()).frame == b"welcome"
        await new.send(town.identities[others[1]], b"thanks")
        assert {(await two.receive()).frame, (await two.receive()).frame} == {b"welcome", b"thanks"}


@pytest.mark.parametrize("leaver", ["alice", "dave"])
async def test_a_member_that_leaves_is_hung_up_on_and_kept_out(town: Town, leaver: str) -> None:
    async with (
        town.open("bob", town.config("bob", knows=("carol", leaver))) as bob,
        town.open("carol", town.config("carol", knows=("bob", leaver))) as carol,
        town.open(leaver, town.config(leaver, knows=("bob", "carol"))) as gone,
        asyncio.timeout(PATIENCE_S),
    ):
        for lane in (bob, carol, gone):
            await lane.wait_connected(2)

        bob.set_peers(peers(town, "carol"))

        await without(bob, town.identities[leaver])
        await without(gone, town.identities["bob"])
        if leaver == "alice":  # it is hers to dial, and she does
            await until(lambda: bob.statistics()[Drop.UNKNOWN_PEER] >= 3)
        await bob.broadcast(b"among us")
        assert (await carol.receive()).frame == b"among us"
        await bob.send(town.identities[leaver], b"not for you")
        assert bob.statistics()[Drop.NOT_CONNECTED] == 1
        assert town.identities[leaver] in carol.connected()


async def test_a_member_that_comes_back_is_connected_again(town: Town) -> None:
    async with (
        town.open("alice", town.config("alice", knows=("bob",))) as alice,
        town.open("bob", town.config("bob", knows=("alice",))) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await bob.wait_connected(1)
        bob.set_peers(())
        await without(bob, town.identities["alice"])

        bob.set_peers(peers(town, "alice"))

        await bob.wait_connected(1)
        await alice.wait_connected(1)
        await bob.broadcast(b"again")
        assert (await alice.receive()).frame == b"again"


async def test_a_member_that_has_moved_is_dialled_where_it_is(town: Town) -> None:
    moved = replace(town.config("bob", knows=("alice",)), listen="/ip4/127.0.0.1/tcp/0")
    async with (
        town.open("alice", town.config("alice", knows=("bob",))) as alice,
        town.open("bob", moved) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await until(lambda: alice.statistics()[Drop.DIAL_FAILED] > 0)

        alice.set_peers((LanePeer(town.identities["bob"], (bob.address,)),))

        await bob.wait_connected(1)
        await alice.wait_connected(1)


async def test_the_same_members_again_disturb_nobody(town: Town) -> None:
    async with (
        town.open("alice", town.config("alice", knows=("bob",))) as alice,
        town.open("bob", town.config("bob", knows=("alice",))) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await alice.wait_connected(1)
        await bob.wait_connected(1)

        alice.set_peers(peers(town, "alice", "bob"))
        alice.set_peers((*peers(town, "bob"), *peers(town, "carol")))

        await bob.broadcast(b"still here")
        assert (await alice.receive()).frame == b"still here"
        assert not any(alice.statistics()[drop] for drop in (Drop.LINK_REPLACED, Drop.LINK_FAILED))


async def test_what_a_member_sent_before_it_left_is_still_read(town: Town) -> None:
    async with (
        town.open("alice", town.config("alice", knows=("bob",))) as alice,
        town.open("bob", town.config("bob", knows=("alice",))) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await bob.wait_connected(1)
        await bob.broadcast(b"one")
        await bob.broadcast(b"two")
        assert (await alice.receive()).frame == b"one"
        await until(lambda: bool(alice._inbox._turns))

        alice.set_peers(())
        await without(alice, town.identities["bob"])

        assert (await alice.receive()).frame == b"two"


async def test_members_that_are_none_change_nothing(town: Town) -> None:
    async with (
        town.open("alice", town.config("alice", knows=("bob",))) as alice,
        town.open("bob", town.config("bob", knows=("alice",))) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await alice.wait_connected(1)

        with pytest.raises(LaneConfigRefused, match="32 bytes"):
            alice.set_peers((LanePeer(b"short", ()),))
        with pytest.raises(LaneConfigRefused, match="multiaddr"):
            alice.set_peers((LanePeer(bytes(32), ("nowhere",)),))

        assert alice.connected() == {town.identities["bob"]}
        await bob.wait_connected(1)
