"""One connection to one member, in the trio thread (SPEC 1 to 3).

Each side opens one stream and keeps it: mail, HAVE, WANT and pings go out on one's own stream, and the pongs
to these pings come back on it. Whatever a peer's bytes make py-libp2p raise ends this link and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import trio
from libp2p.abc import IMuxedStream
from libp2p.custom_types import TProtocol
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

from relay.gossip.buckets import Bucket
from relay.gossip.config import LaneConfig, Mail
from relay.gossip.counters import Counters, Drop
from relay.gossip.errors import FrameRefused
from relay.gossip.frames import PING_BYTES, Frame, FrameKind, FrameReader, encode, parse_digests
from relay.gossip.mailboxes import Delivery, Have, Inbox, Outbox, Want
from relay.gossip.secure import CappedYamux

__all__ = ["PROTOCOL", "Buckets", "Link", "Surroundings"]

PROTOCOL = TProtocol("/tocsin/lane/1")
# Large enough to join what waits, small enough that no write keeps a ping waiting for long.
_WRITE_BYTES = 16_384
_READ_BYTES = 65_536
_HANG_UP_S = 0.5
_STREAMS_AT_ONCE = 4
_STREAMS_REFUSED = 32


@dataclass(frozen=True, slots=True)
class Buckets:
    """What is left of one member's rates. They outlive its links: reconnecting refills nothing."""

    messages: Bucket
    bytes_in: Bucket
    haves: Bucket
    wants: Bucket


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all links of a host share."""

    config: LaneConfig
    inbox: Inbox
    counters: Counters
    chance: Random


class _LinkEnded(Exception):
    def __init__(self, drop: Drop | None) -> None:
        super().__init__(drop)
        self.drop = drop


class Link:
    """One connection from its start to its end. `abused` afterwards says whether the peer broke the rules."""

    def __init__(
        self, peer: bytes, muxed: CappedYamux, outbox: Outbox, buckets: Buckets, around: Surroundings
    ) -> None:
        self.peer = peer
        self.abused = False
        self._muxed = muxed
        self._outbox = outbox
        self._buckets = buckets
        self._around = around
        self._wake = trio.Event()
        self._wake_pong = trio.Event()
        self._ping_heard = b""
        self._scope = trio.CancelScope()
        self._has_ended = False
        self._streams = 0
        self._has_inbound = False
        self._refused_streams = 0
        self._floods = 0
        self._pong_at_s = trio.current_time()

    def wake(self) -> None:
        """There is something in the outbox."""
        self._wake.set()

    def end(self, drop: Drop | None) -> None:
        """End the link, for a reason that is counted, or for none if the node itself leaves."""
        if drop is not None and not self._has_ended:
            self._around.counters.count(drop)
            self.abused = drop in _ABUSES
        self._has_ended = True
        self._scope.cancel()

    async def run(self, on_up: Callable[[], None]) -> None:
        """Run until the connection ends, however it does; `on_up` is called when mail can be sent."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._guard, self._muxer)
                    nursery.start_soon(self._guard, self._accept, nursery)
                    nursery.start_soon(self._guard, self._speak, nursery, on_up)
        finally:
            self._outbox.close()
            await self._hang_up()

    async def _guard(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run one task of the link; its end is the link's end, and its exception stays with the link."""
        try:
            await task(*arguments)
        except _LinkEnded as ended:
            self.end(ended.drop)
        except FrameRefused as refused:
            self.end(refused.drop)
        except Exception:  # noqa: BLE001 - py-libp2p raises anything at a peer's bytes; it must stay with this peer
            self.end(Drop.LINK_FAILED)

    async def _muxer(self) -> None:
        await self._muxed.start()
        raise _LinkEnded(Drop.LINK_FAILED)

    async def _hang_up(self) -> None:
        with trio.move_on_after(_HANG_UP_S) as scope:
            scope.shield = True
            try:
                await self._muxed.close()
            except Exception:  # noqa: BLE001 - the connection is dead already; the host closes its socket
                return

    # -- our stream

    async def _speak(self, nursery: trio.Nursery, on_up: Callable[[], None]) -> None:
        with trio.fail_after(self._around.config.handshake_timeout_s):
            await self._muxed.event_started.wait()
            stream = await self._muxed.open_stream()
            await MultiselectClient().select_one_of([PROTOCOL], MultiselectCommunicator(stream))
        self._pong_at_s = trio.current_time()
        self._outbox.open()
        on_up()
        nursery.start_soon(self._guard, self._ping)
        nursery.start_soon(self._guard, self._hear_pongs, stream)
        while True:
            self._wake = trio.Event()
            frames = self._outbox.take(_WRITE_BYTES)
            for at in range(0, len(frames), _READ_BYTES // 2):
                await stream.write(frames[at : at + _READ_BYTES // 2])
            if not frames:
                await self._wake.wait()

    async def _ping(self) -> None:
        config, chance = self._around.config, self._around.chance
        while True:
            self._outbox.put_control(encode(FrameKind.PING, chance.randbytes(PING_BYTES)))
            self._wake.set()
            await trio.sleep(config.ping_every_s * chance.uniform(0.75, 1.0))
            if trio.current_time() - self._pong_at_s > config.ping_timeout_s:
                raise _LinkEnded(Drop.PING_LATE)

    async def _hear_pongs(self, stream: IMuxedStream) -> None:
        reader = FrameReader(PING_BYTES)
        while True:
            for frame in reader.feed(await stream.read(_READ_BYTES)):
                if frame.kind is not FrameKind.PONG:
                    raise FrameRefused(Drop.UNKNOWN_KIND, "a pong", frame.kind.name.lower())
                self._pong_at_s = trio.current_time()

    # -- the peer's stream

    async def _accept(self, nursery: trio.Nursery) -> None:
        while True:
            stream = await self._muxed.accept_stream()
            if self._streams < _STREAMS_AT_ONCE:
                self._streams += 1
                nursery.start_soon(self._guard, self._answer, nursery, stream)
            else:
                await self._refuse(stream, Drop.STREAM_EXCESS)

    async def _answer(self, nursery: trio.Nursery, stream: IMuxedStream) -> None:
        try:
            drop = await self._negotiate(stream)
            if drop is None:
                self._has_inbound = True
                nursery.start_soon(self._guard, self._pong, stream)
                await self._hear(stream)
            else:
                await self._refuse(stream, drop)
        finally:
            self._streams -= 1

    async def _negotiate(self, stream: IMuxedStream) -> Drop | None:
        """None if the peer asked for the lane, for the first time on this connection."""
        try:
            with trio.fail_after(self._around.config.handshake_timeout_s):
                await Multiselect({PROTOCOL: None}).negotiate(MultiselectCommunicator(stream))
        except Exception:  # noqa: BLE001 - as in _guard, and a bad stream is not yet a bad link
            return Drop.STREAM_REFUSED
        return Drop.STREAM_EXCESS if self._has_inbound else None

    async def _refuse(self, stream: IMuxedStream, drop: Drop) -> None:
        self._around.counters.count(drop)
        self._refused_streams += 1
        if self._refused_streams > _STREAMS_REFUSED:
            raise _LinkEnded(Drop.STREAM_EXCESS)
        await stream.reset()

    async def _hear(self, stream: IMuxedStream) -> None:
        reader = FrameReader(self._around.config.max_frame_bytes)
        while True:
            try:
                received = await stream.read(_READ_BYTES)
            except MuxedStreamEOF:
                reader.finish()
                raise _LinkEnded(Drop.LINK_FAILED) from None
            for frame in reader.feed(received):
                self._take(frame)

    async def _pong(self, stream: IMuxedStream) -> None:
        """Answer the newest ping. A task of its own: a peer that takes no pongs must not stop our reading."""
        while True:
            await self._wake_pong.wait()
            self._wake_pong = trio.Event()
            await stream.write(encode(FrameKind.PONG, self._ping_heard))

    def _take(self, frame: Frame) -> None:
        """Bring one frame to where it belongs, if the peer's rates allow it."""
        digest = sha256(frame.payload).digest() if frame.kind is FrameKind.MAIL else b""
        if not self._is_within_rates(frame, digest):
            self._around.counters.count(Drop.FLOOD)
            self._floods += 1
            if self._floods > self._around.config.flood_frames:
                raise _LinkEnded(Drop.FLOOD)
            return
        config, inbox = self._around.config, self._around.inbox
        match frame.kind:
            case FrameKind.MAIL:
                inbox.put_mail(Delivery(Mail(self.peer, frame.payload), digest))
            case FrameKind.HAVE if self._allows(self._buckets.haves, Drop.HAVE_FLOOD):
                inbox.put_control(Have(self.peer, parse_digests(frame.payload, config.have_digests)))
            case FrameKind.WANT if self._allows(self._buckets.wants, Drop.WANT_FLOOD):
                inbox.put_control(Want(self.peer, parse_digests(frame.payload, config.want_digests)))
            case FrameKind.PING:
                self._ping_heard = frame.payload
                self._wake_pong.set()
            case FrameKind.PONG:
                raise FrameRefused(Drop.UNKNOWN_KIND, "anything but a pong", "a pong")
            case _:
                pass

    def _is_within_rates(self, frame: Frame, digest: bytes) -> bool:
        if frame.kind is FrameKind.MAIL and self._around.inbox.take_expected(self.peer, digest):
            return True
        return self._buckets.messages.take(1) and self._buckets.bytes_in.take(len(frame.payload))

    def _allows(self, bucket: Bucket, drop: Drop) -> bool:
        allowed = bucket.take(1)
        if not allowed:
            self._around.counters.count(drop)
        return allowed


_ABUSES = frozenset({
    Drop.OVERSIZED, Drop.EMPTY, Drop.UNKNOWN_KIND, Drop.MALFORMED, Drop.FLOOD, Drop.STREAM_EXCESS,
})  # fmt: skip
