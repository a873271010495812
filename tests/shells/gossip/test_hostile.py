"""What strangers and members without manners can do to a node: little, and it is counted."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import pytest
import trio
from libp2p.abc import IMuxedStream
from libp2p.custom_types import TProtocol
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from relay.gossip import Drop, Lane, LanePeer, Rate
from relay.gossip.frames import FrameKind, FrameReader, encode
from relay.gossip.link import PROTOCOL
from relay.gossip.secure import CappedTcp, Upgrader, peer_id_of
from tests.shells.gossip.town import PATIENCE_S, Mallory, Town, until

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def in_trio(script: Callable[[], Awaitable[None]]) -> None:
    await asyncio.to_thread(trio.run, script)


async def still_works(town: Town, bob: Lane, carol: Lane) -> None:
    """Bob and carol still have each other."""
    await until(lambda: town.identities["bob"] in carol.connected())
    await until(lambda: town.identities["carol"] in bob.connected())
    await bob.send(town.identities["carol"], b"still here?")
    assert (await carol.receive()).frame == b"still here?"
    await carol.send(town.identities["bob"], b"still here!")
    while (await bob.receive()).frame != b"still here!":
        pass


async def test_a_stranger_that_dials_is_refused(town: Town) -> None:
    town_without_alice = town.config("bob", knows=("carol",))
    async with town.open("bob", town_without_alice) as bob, town.open("alice") as alice:
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: bob.statistics()[Drop.UNKNOWN_PEER] > 0)

        assert not alice.connected()
        assert not bob.connected()


async def test_a_stranger_at_a_members_address_is_refused(town: Town) -> None:
    bobs_place = replace(town.config("carol"), listen=town.address("bob"))
    async with town.open("carol", bobs_place) as carol:
        only_bob = replace(
            town.config("alice"), peers=(LanePeer(town.identities["bob"], (town.address("bob"),)),)
        )
        async with town.open("alice", only_bob) as alice, asyncio.timeout(PATIENCE_S):
            await until(lambda: alice.statistics()[Drop.WRONG_IDENTITY] > 0)

            assert not alice.connected()
            assert not carol.connected()


@pytest.mark.parametrize("security", ["/plaintext/2.0.0", "/secio/1.0.0", "/tls/1.0.0"])
async def test_nobody_claims_an_identity_without_noise(town: Town, security: str) -> None:
    refused: list[str] = []

    async def ask_for_it() -> None:
        tcp = await trio.open_tcp_stream("127.0.0.1", town.ports["bob"])
        raw = RawConnection(CappedTcp(tcp), True)
        try:
            await MultiselectClient().select_one_of([TProtocol(security)], MultiselectCommunicator(raw), 5)
        except MultiselectClientError as error:
            refused.append(str(error))
        await trio.aclose_forcefully(tcp)

    async with town.open("bob"):
        await in_trio(ask_for_it)

    assert len(refused) == 1
    assert "timed out" not in refused[0]


async def test_only_the_lower_identity_dials(town: Town) -> None:
    async def dial_down() -> None:
        alice = peer_id_of(town.identities["alice"])
        tcp = await trio.open_tcp_stream("127.0.0.1", town.ports["alice"])
        upgrader = Upgrader(town.seeds["bob"], {alice: town.identities["alice"]}, lambda _: None)
        with pytest.raises(Exception):  # noqa: B017, PT011 - alice hangs up, in whatever way it shows
            await upgrader.outbound(CappedTcp(tcp), alice)
        await trio.aclose_forcefully(tcp)

    async with town.open("alice") as alice:
        await in_trio(dial_down)

        assert alice.statistics()[Drop.WRONG_DIALLER] == 1


@pytest.mark.parametrize(
    ("said", "drop"),
    [
        (bytes.fromhex("00000000"), Drop.EMPTY),
        (bytes.fromhex("00040002"), Drop.OVERSIZED),
        (bytes.fromhex("ffffffff"), Drop.OVERSIZED),
        (bytes.fromhex("0000000109"), Drop.UNKNOWN_KIND),
        (encode(FrameKind.PONG, bytes(8)), Drop.UNKNOWN_KIND),
        (encode(FrameKind.PING, bytes(9)), Drop.MALFORMED),
        (encode(FrameKind.HAVE, bytes(31)), Drop.MALFORMED),
        (encode(FrameKind.HAVE, b""), Drop.MALFORMED),
        (encode(FrameKind.WANT, bytes(32 * 257)), Drop.MALFORMED),
        (b"GET / HTTP/1.1\r\nHost: bob\r\n\r\n", Drop.OVERSIZED),
    ],
)
async def test_a_bad_frame_ends_that_link_and_no_other(
    town: Town, mallory: type[Mallory], said: bytes, drop: Drop
) -> None:
    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").say(said)
        await until(lambda: bob.statistics()[drop] > 0)
        await asyncio.to_thread(thread.join, PATIENCE_S)

        assert not thread.is_alive()
        await still_works(town, bob, carol)


async def test_who_broke_the_rules_stays_outside_for_a_while(town: Town, mallory: type[Mallory]) -> None:
    async with town.open("bob") as bob, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").say(bytes(4))
        await until(lambda: bob.statistics()[Drop.EMPTY] > 0)
        await asyncio.to_thread(thread.join, PATIENCE_S)

        async with town.open("alice"):
            await until(lambda: bob.statistics()[Drop.IN_PENALTY] > 0)


async def test_a_stream_cut_within_a_frame_is_truncated(town: Town, mallory: type[Mallory]) -> None:
    async def script(stream: IMuxedStream) -> None:
        await stream.write(encode(FrameKind.MAIL, bytes(100))[:50])
        await stream.close()
        await trio.sleep(0.2)

    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").start(script)
        await until(lambda: bob.statistics()[Drop.TRUNCATED] > 0)
        await asyncio.to_thread(thread.join, PATIENCE_S)

        await still_works(town, bob, carol)


@pytest.mark.parametrize(
    "said",
    [
        b"\xff" * 64,
        bytes.fromhex("0000000000000001ffffffff"),
        bytes.fromhex("000000000000000100ffffff") + bytes(4_096),
        bytes.fromhex("000300000000000000000063"),
        bytes.fromhex("0002000100000000") + b"ping" * 100,
    ],
)
async def test_garbage_below_the_frames_stays_with_its_link(town: Town, said: bytes) -> None:
    """Bytes within Noise that are no yamux."""

    async def script() -> None:
        bob = peer_id_of(town.identities["bob"])
        tcp = await trio.open_tcp_stream("127.0.0.1", town.ports["bob"])
        upgrader = Upgrader(town.seeds["alice"], {bob: town.identities["bob"]}, lambda _: None)
        muxed = await upgrader.outbound(CappedTcp(tcp), bob)
        await muxed.secured_conn.write(said)
        await trio.aclose_forcefully(tcp)

    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        await in_trio(script)
        await until(lambda: bob.statistics()[Drop.LINK_FAILED] > 0)

        await still_works(town, bob, carol)


async def test_garbage_instead_of_a_handshake_is_counted(town: Town) -> None:
    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        for said in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff" * 40_000,
            b"\x13/multistream/1.0.0\n\xff\xff\xff\xff\x7f",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", town.ports["bob"])
            with suppress(OSError):
                writer.write(said)
                writer.write_eof()
                while await reader.read(65_536):
                    pass
            writer.close()

        await until(lambda: bob.statistics()[Drop.HANDSHAKE_FAILED] == 3)
        await still_works(town, bob, carol)


async def test_three_hundred_silent_connections_do_not_keep_a_member_out(town: Town) -> None:
    config = town.patient("bob", pending_connections=16, handshake_timeout_s=2 * PATIENCE_S)
    with Silence() as silence:
        async with town.open("bob", config) as bob, asyncio.timeout(PATIENCE_S):
            silence.connect(300, town.ports["bob"])
            await until(lambda: silence.hung_up_on() >= 284)

            async with town.open("alice") as alice:
                await alice.wait_connected(1)
                await bob.wait_connected(1)
            assert bob.statistics()[Drop.PENDING_FULL] >= 284


async def test_a_silent_connection_is_ended_in_time(town: Town) -> None:
    with Silence() as silence:
        config = town.patient("bob", handshake_timeout_s=0.05)
        async with town.open("bob", config) as bob, asyncio.timeout(PATIENCE_S):
            silence.connect(1, town.ports["bob"])
            await until(lambda: silence.hung_up_on() == 1)

            assert bob.statistics()[Drop.HANDSHAKE_LATE] == 1


class Silence:
    """Sockets that say nothing."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._ended = 0

    def __enter__(self) -> Silence:
        return self

    def connect(self, count: int, port: int) -> None:
        for _ in range(count):
            silent = socket.create_connection(("127.0.0.1", port))
            silent.setblocking(False)
            self._open.append(silent)

    def hung_up_on(self) -> int:
        """How many of them the other side has closed so far."""
        for silent in tuple(self._open):
            if self._is_ended(silent):
                silent.close()
                self._open.remove(silent)
                self._ended += 1
        return self._ended

    def _is_ended(self, silent: socket.socket) -> bool:
        try:
            while silent.recv(65_536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def __exit__(self, *_: object) -> None:
        for silent in self._open:
            silent.close()


async def test_a_flood_by_a_member_is_cut_and_starves_nobody(town: Town, mallory: type[Mallory]) -> None:
    flood = b"".join(encode(FrameKind.MAIL, b"flood %d" % number) for number in range(6_000))
    config = town.patient("bob", messages=Rate(per_s=1, burst=1_500))
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        bob = await stack.enter_async_context(town.open("bob", config))
        carol = await stack.enter_async_context(town.open("carol"))
        await carol.wait_connected(1)

        thread = mallory(town, "bob").say(flood)
        await until(lambda: bob.statistics()[Drop.INBOX_FULL] > 0)
        await carol.send(town.identities["bob"], b"fire!")
        await until(lambda: bob.statistics()[Drop.FLOOD] > config.flood_frames)
        await asyncio.to_thread(thread.join, PATIENCE_S)

        await until(lambda: len(bob._inbox._turns) == 2)
        first_two = {(await bob.receive()).frame for _ in range(2)}
        assert b"fire!" in first_two
        assert len(bob._inbox._compartments[town.identities["alice"]].mail) <= config.inbox_frames


async def test_floods_of_have_and_want_are_bounded(town: Town, mallory: type[Mallory]) -> None:
    have = b"".join(encode(FrameKind.HAVE, bytes([number]) * 32) for number in range(200))
    want = b"".join(encode(FrameKind.WANT, bytes([number]) * 32) for number in range(200))
    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").say(have + want)
        await until(lambda: bob.statistics()[Drop.HAVE_FLOOD] >= 190)
        await until(lambda: bob.statistics()[Drop.WANT_FLOOD] >= 150)
        await hang_up(bob, town.identities["alice"])
        await asyncio.to_thread(thread.join, PATIENCE_S)

        await still_works(town, bob, carol)


async def test_a_member_cannot_make_us_resend_without_end(town: Town, mallory: type[Mallory]) -> None:
    for number in range(20):
        town.shelves["bob"].put(bytes([number]) * 100_000)
    wanted = b"".join(town.shelves["bob"].envelopes)
    config = town.patient("bob", resend_bytes=Rate(per_s=1, burst=500_000))
    async with town.open("bob", config) as bob, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").say(encode(FrameKind.WANT, wanted))
        await until(lambda: bob.statistics()[Drop.RESEND_BUDGET] > 0)
        await hang_up(bob, town.identities["alice"])
        await asyncio.to_thread(thread.join, PATIENCE_S)

        assert bob.statistics()[Drop.RESEND_BUDGET] == 1


async def hang_up(lane: Lane, peer: bytes) -> None:
    """Make a node end its link to one member, so that mallory's script ends."""
    token, host = lane._bridge._token, lane._bridge._host
    assert token is not None
    assert host is not None
    done = threading.Event()

    def end() -> None:
        host._links[peer][0].end(None)
        done.set()

    token.run_sync_soon(end)
    assert await asyncio.to_thread(done.wait, PATIENCE_S)


async def test_a_member_that_ignores_its_window_cannot_fill_our_memory(town: Town) -> None:
    """A stream whose protocol is never agreed on is not read, and yamux itself would hold whatever comes."""
    sent_bytes = [0]

    async def script() -> None:
        bob = peer_id_of(town.identities["bob"])
        upgrader = Upgrader(town.seeds["alice"], {bob: town.identities["bob"]}, lambda _: None)
        tcp = await trio.open_tcp_stream("127.0.0.1", town.ports["bob"])
        muxed = await upgrader.outbound(CappedTcp(tcp), bob)
        data = struct.pack("!BBHII", 0, 0, 0, 1, 65_536) + bytes(65_536)
        with trio.move_on_after(PATIENCE_S), suppress(Exception):
            await muxed.secured_conn.write(struct.pack("!BBHII", 0, 1, 1, 1, 0))
            while sent_bytes[0] < 40_000_000:
                await muxed.secured_conn.write(data)
                sent_bytes[0] += len(data)
        await trio.aclose_forcefully(tcp)

    config = town.patient("bob", handshake_timeout_s=PATIENCE_S)
    async with town.open("bob", config) as bob, asyncio.timeout(PATIENCE_S):
        await in_trio(script)

        await until(lambda: bob.statistics()[Drop.LINK_FAILED] > 0)
    assert sent_bytes[0] < 40_000_000


async def test_many_streams_of_a_member_end_its_link(town: Town) -> None:
    async def script() -> None:
        bob = peer_id_of(town.identities["bob"])
        upgrader = Upgrader(town.seeds["alice"], {bob: town.identities["bob"]}, lambda _: None)
        tcp = await trio.open_tcp_stream("127.0.0.1", town.ports["bob"])
        muxed = await upgrader.outbound(CappedTcp(tcp), bob)
        with trio.move_on_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(muxed.start)
                await muxed.event_started.wait()
                try:
                    for _ in range(200):
                        await muxed.open_stream()
                    await muxed.event_closed.wait()
                except Exception:  # noqa: BLE001 - bob hangs up, in whatever way it shows
                    pass
                nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(tcp)

    async with town.open("bob") as bob, town.open("carol") as carol, asyncio.timeout(PATIENCE_S):
        await in_trio(script)
        await until(lambda: bob.statistics()[Drop.STREAM_EXCESS] > 32)

        await still_works(town, bob, carol)


async def test_while_the_event_loop_is_blocked_the_lane_answers_and_drops_what_does_not_fit(
    town: Town, mallory: type[Mallory]
) -> None:
    config = town.patient("bob", inbox_frames=256)
    over = 10
    said = [encode(FrameKind.MAIL, b"%d" % number) for number in range(config.inbox_frames + over)]
    ponged = threading.Event()

    async def script(stream: IMuxedStream) -> None:
        await stream.write(b"".join(said) + encode(FrameKind.PING, b"are you?"))
        reader = FrameReader(100)
        while not ponged.is_set():
            for frame in reader.feed(await stream.read(65_536)):
                assert frame.payload == b"are you?"
                ponged.set()

    async with town.open("bob", config) as bob, asyncio.timeout(PATIENCE_S):
        thread = mallory(town, "bob").start(script)
        thread.join(PATIENCE_S)

        assert ponged.is_set()
        assert bob.statistics()[Drop.INBOX_FULL] == over
        received = [(await bob.receive()).frame for _ in range(config.inbox_frames)]
        assert received == [b"%d" % number for number in range(config.inbox_frames)]


async def test_the_lane_protocol_is_named_once() -> None:
    assert PROTOCOL == "/tocsin/lane/1"
