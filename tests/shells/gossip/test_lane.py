"""Honest members on real libp2p: mail, restarts, sleepers, dead lines."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import NoReturn

import pytest
from nacl.signing import SigningKey

from relay.gossip import Drop, Lane, LaneError, LanePeer, ListenRefused, Rate
from relay.gossip.host import Host
from relay.gossip.secure import identity_of, peer_id_of
from tests.shells.gossip.town import PATIENCE_S, Shelf, Town, until

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_mail_goes_both_ways_between_all_members(town: Town) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        lanes = {name: await stack.enter_async_context(town.open(name)) for name in town.names}
        for lane in lanes.values():
            await lane.wait_connected(3)

        for name, lane in lanes.items():
            await lane.broadcast(name.encode())

        for name, lane in lanes.items():
            heard = {(mail.peer, mail.frame) for mail in [await lane.receive() for _ in range(3)]}
            assert heard == {
                (town.identities[other], other.encode()) for other in town.names if other != name
            }
        for lane in lanes.values():
            assert not any(lane.statistics()[drop] for drop in (Drop.LINK_REPLACED, Drop.WRONG_DIALLER))


async def test_mail_to_one_member_reaches_it_in_order_whatever_its_size(town: Town) -> None:
    async with town.open("alice") as alice, town.open("bob") as bob, asyncio.timeout(PATIENCE_S):
        await bob.wait_connected(1)
        frames = [bytes([number]) * size for number, size in enumerate((0, 1, 16_384, 65_536, 262_144, 3))]

        for frame in frames:
            await bob.send(town.identities["alice"], frame)

        assert [(await alice.receive()).frame for _ in frames] == frames


async def test_a_frame_over_the_bound_is_our_own_bug(town: Town) -> None:
    async with town.open("alice") as alice:
        with pytest.raises(AssertionError, match="at most 262144"):
            await alice.broadcast(bytes(262_145))


async def test_mail_to_nobody_is_counted(town: Town) -> None:
    async with town.open("alice") as alice:
        await alice.send(town.identities["bob"], b"not there")
        await alice.send(bytes(32), b"no member")

        assert alice.statistics()[Drop.NOT_CONNECTED] == 2


async def test_a_member_that_was_not_there_at_first_is_dialled_until_it_is(town: Town) -> None:
    async with town.open("alice") as alice:
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: alice.statistics()[Drop.DIAL_FAILED] >= 3)

        async with town.open("bob") as bob, asyncio.timeout(PATIENCE_S):
            await bob.wait_connected(1)
            await alice.wait_connected(1)


@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_member_that_restarts_is_connected_again(town: Town, who: str) -> None:
    other = "bob" if who == "alice" else "alice"
    async with town.open(other) as stays, asyncio.timeout(PATIENCE_S):
        for round_number in range(3):
            async with town.open(who) as returns:
                await stays.wait_connected(1)
                await returns.wait_connected(1)
                await stays.send(town.identities[who], b"%d" % round_number)
                assert (await returns.receive()).frame == b"%d" % round_number
            await until_disconnected(stays)


async def until_disconnected(lane: Lane) -> None:
    while lane.connected():
        lane._connected_changed.clear()
        await lane._connected_changed.wait()


async def test_leaving_ends_the_thread_and_frees_the_port(town: Town) -> None:
    async with town.open("alice"):
        assert any(thread.name == "gossip-trio" for thread in threading.enumerate())

    assert not any(thread.name == "gossip-trio" for thread in threading.enumerate())
    async with town.open("alice") as again:
        assert again.address == town.address("alice")


async def test_a_port_in_use_is_refused_by_address(town: Town) -> None:
    async with town.open("alice"):
        taken = replace(town.config("bob"), listen=town.address("alice"))

        with pytest.raises(ListenRefused, match="in use") as refused:
            async with town.open("bob", taken):
                pass

    assert refused.value.address == town.address("alice")
    assert town.address("alice") in str(refused.value)


async def test_port_0_gives_the_address_that_is_bound(town: Town) -> None:
    anywhere = replace(town.config("bob"), listen="/ip4/127.0.0.1/tcp/0")
    async with town.open("bob", anywhere) as bob, asyncio.timeout(PATIENCE_S):
        peer = LanePeer(town.identities["bob"], (bob.address,))

        async with town.open("alice", replace(town.config("alice"), peers=(peer,))) as alice:
            await alice.wait_connected(1)


async def test_a_member_is_found_by_name_too(town: Town) -> None:
    by_name = LanePeer(town.identities["bob"], (f"/dns4/localhost/tcp/{town.ports['bob']}",))
    async with (
        town.open("bob") as bob,
        town.open("alice", replace(town.config("alice"), peers=(by_name,))),
        asyncio.timeout(PATIENCE_S),
    ):
        await bob.wait_connected(1)


async def test_who_slept_receives_what_it_missed_byte_for_byte_and_in_order(town: Town) -> None:
    missed = [b"envelope %d " % number + bytes(number) for number in range(700)]
    for envelope in missed:
        town.shelves["alice"].put(envelope)
    async with town.open("alice") as alice, town.open("bob") as bob, asyncio.timeout(PATIENCE_S):
        received = []
        for _ in missed:
            received.append((await bob.receive()).frame)
            town.shelves["bob"].put(received[-1])

        assert received == missed
        assert bob.statistics()[Drop.FLOOD] == 0
        assert alice.statistics()[Drop.RESEND_BUDGET] == 0


async def test_who_slept_for_longer_than_one_have_can_name_receives_all_of_it(town: Town) -> None:
    missed = [b"envelope %d" % number for number in range(100)]
    often = Rate(per_s=100, burst=100)
    pages = {
        "have_digests": 16,
        "want_digests": 8,
        "anti_entropy_every_s": 0.05,
        "haves": often,
        "wants": often,
    }
    for envelope in missed:
        town.shelves["alice"].put(envelope)
    async with (
        town.open("alice", town.patient("alice", **pages)),
        town.open("bob", town.patient("bob", **pages)) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        while len(town.shelves["bob"].envelopes) < len(missed):
            town.shelves["bob"].put((await bob.receive()).frame)

    assert set(town.shelves["bob"].envelopes.values()) == set(missed)


async def test_what_a_third_member_holds_heals_too(town: Town) -> None:
    town.shelves["carol"].put(b"by alice, who is gone")
    async with town.open("carol"), town.open("bob") as bob, asyncio.timeout(PATIENCE_S):
        mail = await bob.receive()

    assert (mail.peer, mail.frame) == (town.identities["carol"], b"by alice, who is gone")


async def test_what_was_lost_on_the_way_comes_with_a_later_round(town: Town) -> None:
    often = {"anti_entropy_every_s": 0.1, "haves": Rate(per_s=100, burst=100)}
    async with (
        town.open("alice", town.patient("alice", **often)) as alice,
        town.open("bob", town.patient("bob", **often)) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await alice.wait_connected(1)
        town.shelves["alice"].put(b"stored, and never sent")

        assert (await bob.receive()).frame == b"stored, and never sent"


async def test_who_holds_all_is_not_sent_it_again(town: Town) -> None:
    often = {"anti_entropy_every_s": 0.05, "haves": Rate(per_s=100, burst=100)}
    for name in ("alice", "bob"):
        town.shelves[name].put(b"both hold it")
    async with (
        town.open("alice", town.patient("alice", **often)) as alice,
        town.open("bob", town.patient("bob", **often)) as bob,
        asyncio.timeout(PATIENCE_S),
    ):
        await bob.wait_connected(1)
        town.shelves["alice"].put(b"only alice")

        assert (await bob.receive()).frame == b"only alice"
        assert bob._inbox.take_mail() is None
        assert not alice.statistics()[Drop.DUPLICATE]


async def test_a_line_that_went_dead_without_a_word_is_found_out_and_replaced(town: Town) -> None:
    times = {"ping_every_s": 0.1, "ping_timeout_s": 0.4}
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        line = Line(town.ports["bob"], group)
        await line.open()
        through_line = (LanePeer(town.identities["bob"], (f"/ip4/127.0.0.1/tcp/{line.port}",)),)
        alice_config = town.patient("alice", peers=through_line, **times)
        async with (
            town.open("alice", alice_config) as alice,
            town.open("bob", town.patient("bob", **times)) as bob,
        ):
            await alice.wait_connected(1)
            await bob.wait_connected(1)

            line.cut()
            town.shelves["alice"].put(b"after the cut")

            assert (await bob.receive()).frame == b"after the cut"
            assert alice.statistics()[Drop.PING_LATE] == 1
        line.close()


class Line:
    """A TCP line to a port, which can go dead without being closed."""

    def __init__(self, to_port: int, group: asyncio.TaskGroup) -> None:
        self._to_port = to_port
        self._group = group
        self._alive: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        is_cut = asyncio.Event()
        self._alive.append(is_cut)
        self._tasks += [
            self._group.create_task(self._carry(reader, far_writer, is_cut)),
            self._group.create_task(self._carry(far_reader, writer, is_cut)),
        ]

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_cut: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while received := await reader.read(65_536):
                if not is_cut.is_set():
                    writer.write(received)
            if not is_cut.is_set():
                writer.close()

    def cut(self) -> None:
        for is_cut in self._alive:
            is_cut.set()

    def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()


async def test_the_end_of_the_trio_thread_ends_the_context(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> NoReturn:
        raise RuntimeError("something nobody thought of")

    monkeypatch.setattr(Host, "_dial", break_down)
    never = asyncio.Event()
    with pytest.raises(LaneError, match="something nobody thought of") as ended:
        async with town.open("alice"), asyncio.timeout(PATIENCE_S):
            await never.wait()

    assert "something nobody thought of" in repr(ended.value.__cause__)


async def test_the_end_of_the_trio_thread_ends_receive(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_: object) -> NoReturn:
        raise RuntimeError("something nobody thought of")

    async def break_down_and_receive() -> None:
        async with town.open("alice") as alice, asyncio.timeout(PATIENCE_S):
            monkeypatch.setattr(Host, "wake", break_down)
            await alice.broadcast(b"wakes the host")
            await alice.receive()

    with pytest.raises(LaneError, match="trio thread ended"):
        await break_down_and_receive()


async def test_after_the_context_receive_does_not_hang(town: Town) -> None:
    async with town.open("alice") as alice:
        pass

    with pytest.raises(LaneError, match="closed"):
        await alice.receive()


async def test_an_error_within_the_context_comes_out_as_it_is(town: Town) -> None:
    with pytest.raises(KeyError, match="of the node"):
        async with town.open("alice"):
            raise KeyError("of the node")


async def test_a_store_that_fails_ends_the_lane_with_its_own_error(town: Town) -> None:
    class Broken(Shelf):
        async def recent_digests(self, limit: int, before: int | None = None) -> NoReturn:
            raise OSError("disk full")

    town.shelves["alice"] = Broken()
    async with town.open("bob"):
        with pytest.raises(OSError, match="disk full"):
            async with town.open("alice") as alice, asyncio.timeout(PATIENCE_S):
                await alice.receive()


async def test_the_peer_id_is_the_identity_key(town: Town) -> None:
    seed = town.seeds["alice"]

    assert identity_of(seed) == bytes(SigningKey(seed).verify_key)
    assert peer_id_of(identity_of(seed)).to_bytes().endswith(identity_of(seed))
