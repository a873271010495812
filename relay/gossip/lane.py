"""The committee lane as the node sees it: opaque frames to and from members (SPEC 1 to 4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Self

from relay.gossip.bridge import Bridge
from relay.gossip.config import EnvelopeStore, LaneConfig, LanePeer, Mail
from relay.gossip.counters import Counters, Drop
from relay.gossip.errors import LaneError
from relay.gossip.frames import FrameKind, encode
from relay.gossip.healing import Healing, HealingParts
from relay.gossip.host import HostParts
from relay.gossip.mailboxes import Control, Inbox, LinkDown, LinkUp, Outbox
from relay.gossip.secure import identity_of, peer_id_of

__all__ = ["Lane"]


class Lane:
    """Direct mail and anti-entropy between the members of one committee. Made by `Lane.open`."""

    def __init__(
        self,
        identity_seed: bytes,
        config: LaneConfig,
        store: EnvelopeStore,
        chance: Random,
        clock: Callable[[], float],
    ) -> None:
        self._me = identity_of(identity_seed)
        config = replace(config, peers=self._others(config.peers))
        self._config = config
        self._clock = clock
        self._counters = Counters()
        self._inbox = Inbox(config, self._counters, clock, self._wake_loop)
        self._outboxes = {peer.identity: Outbox(config, self._counters) for peer in config.peers}
        # The thread has a generator of its own: Random is not made for two threads.
        host_chance = Random(chance.getrandbits(64))
        parts = HostParts(
            identity_seed, config, self._inbox, self._outboxes, self._counters, host_chance, clock
        )
        self._bridge = Bridge(parts)
        self._healing = Healing(
            HealingParts(
                config, store, self._inbox, self._outboxes, self._counters, self._bridge.flush, clock, chance
            )
        )
        self._connected: frozenset[bytes] = frozenset()
        self._connected_changed = asyncio.Event()
        self._mail_arrived = asyncio.Event()
        self._control_arrived = asyncio.Event()
        self._failure: LaneError | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        identity_seed: bytes,
        config: LaneConfig,
        store: EnvelopeStore,
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Self]:
        """Run a lane for as long as the context lasts.

        `identity_seed` is the 32-byte Ed25519 seed of the member's identity key. `chance` spreads the times
        of pings, redials and anti-entropy; nothing secret comes from it. `clock` gives seconds that never go
        back, for rates and anti-entropy; it is read in two threads.

        Raises:
            ListenRefused: the address to listen on cannot be taken.
            LaneError: the lane ended by itself, now or at any time within the context: exit and start anew.
        """
        lane = cls(identity_seed, config, store, chance or Random(), clock)
        failure: BaseException | None = None
        async with lane._bridge:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = (
                        group.create_task(lane._watch(), name="gossip watch"),
                        group.create_task(lane._heal(), name="gossip heal"),
                    )
                    try:
                        yield lane
                    finally:
                        lane._end(LaneError("the lane is closed"))
                        for task in tasks:
                            task.cancel()
            except BaseExceptionGroup as failures:
                failure = _alone(failures)
        # Raised here, outside of `except`, so that it keeps the cause that it came with.
        if failure is not None:
            raise failure

    @property
    def address(self) -> str:
        """The multiaddr that is really bound."""
        return self._bridge.address

    def set_peers(self, peers: Sequence[LanePeer]) -> None:
        """Change who the members are: new ones are dialled or awaited, others' connections end (SPEC 1).

        Raises:
            LaneConfigRefused: an identity or address is none; nothing has changed.
        """
        others = self._others(peers)
        if others == self._config.peers:
            return
        config = replace(self._config, peers=others)
        identities = {peer.identity for peer in others}
        for identity in identities:
            peer_id_of(identity)
        self._config = config
        for left in self._outboxes.keys() - identities:
            del self._outboxes[left]
        for joined in identities - self._outboxes.keys():
            self._outboxes[joined] = Outbox(self._config, self._counters)
        self._inbox.admit(identities)
        self._healing.admit(identities)
        self._bridge.set_peers(others)

    def _others(self, peers: Sequence[LanePeer]) -> tuple[LanePeer, ...]:
        return tuple(peer for peer in peers if peer.identity != self._me)

    def connected(self) -> frozenset[bytes]:
        """Identities of the members to whom mail can be sent now."""
        return self._connected

    async def wait_connected(self, members: int) -> None:
        """Wait until mail can be sent to so many members. The timeout is the caller's."""
        while len(self._connected) < members:
            self._connected_changed.clear()
            await self._connected_changed.wait()

    async def send(self, peer: bytes, frame: bytes) -> None:
        """Hand a frame to the lane for one member; returns at once.

        To somebody who is not connected, or no member at all, nothing is sent (`not_connected` is counted).
        When the member takes less than it is sent, the oldest waiting frames make room (`outbox_full`).
        """
        outbox = self._outboxes.get(peer)
        if outbox is None:
            self._counters.count(Drop.NOT_CONNECTED)
        elif outbox.put_mail(self._encode(frame)):
            self._bridge.flush()

    async def broadcast(self, frame: bytes) -> None:
        """Hand a frame to the lane for all members, as `send`; anti-entropy heals the rest."""
        encoded = self._encode(frame)
        for outbox in self._outboxes.values():
            outbox.put_mail(encoded)
        self._bridge.flush()

    async def receive(self) -> Mail:
        """The next mail; members that wait are served in turn.

        Raises:
            LaneError: the lane has ended.
        """
        while (delivery := self._inbox.take_mail()) is None:
            if self._failure is not None:
                raise self._failure
            self._mail_arrived.clear()
            await self._mail_arrived.wait()
        if self._healing.delivered(delivery.digest):
            self._control_arrived.set()
        return delivery.mail

    def __aiter__(self) -> Self:
        """Iterate over the mail, without an end but by `LaneError`."""
        return self

    async def __anext__(self) -> Mail:
        """As `receive`."""
        return await self.receive()

    def statistics(self) -> Mapping[Drop, int]:
        """Counts of what was dropped since the start, by reason, zeros included."""
        return self._counters.snapshot()

    def _encode(self, frame: bytes) -> bytes:
        if len(frame) > self._config.max_frame_bytes:
            raise AssertionError(
                f"frame of {len(frame)} bytes, at most {self._config.max_frame_bytes} can be sent"
            )
        return encode(FrameKind.MAIL, frame)

    async def _watch(self) -> None:
        try:
            await self._bridge.watch()
        except LaneError as failure:
            self._end(failure)
            raise

    def _end(self, failure: LaneError) -> None:
        if self._failure is None:
            self._failure = failure
            self._mail_arrived.set()

    async def _heal(self) -> None:
        while True:
            self._control_arrived.clear()
            for control in self._inbox.take_controls():
                self._note(control)
                await self._healing.apply(control)
            due_s = await self._healing.tick()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due_s - self._clock())):
                    await self._control_arrived.wait()

    def _note(self, control: Control) -> None:
        match control:
            case LinkUp(peer):
                self._connected |= {peer}
            case LinkDown(peer):
                self._connected -= {peer}
            case _:
                return
        self._connected_changed.set()

    def _wake_loop(self) -> None:
        self._bridge.call_in_loop(self._on_arrival)

    def _on_arrival(self) -> None:
        if self._inbox.acknowledge():
            self._control_arrived.set()
        self._mail_arrived.set()


def _alone(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception that a group of tasks failed of; the end of the lane before its consequences."""
    ended = failures.subgroup(LaneError)
    chosen = failures if ended is None else ended
    first = chosen.exceptions[0]
    if len(chosen.exceptions) > 1 and ended is None:
        return failures
    return _alone(first) if isinstance(first, BaseExceptionGroup) else first
