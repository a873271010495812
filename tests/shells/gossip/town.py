"""Members on loopback, each with a lane of its own, and mallory, who has a member's key and no manners."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256

import trio
from libp2p.abc import IMuxedStream
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from relay.gossip import Lane, LaneConfig, LanePeer
from relay.gossip.link import PROTOCOL
from relay.gossip.secure import CappedTcp, CappedYamux, Upgrader, identity_of, peer_id_of

PATIENCE_S = 30.0


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition that nobody announces. The timeout is the caller's."""
    while not is_so():  # noqa: ASYNC110 - counters have no event
        await asyncio.sleep(0.005)


class Shelf:
    """An honest store of envelopes in memory."""

    def __init__(self) -> None:
        self.envelopes: dict[bytes, bytes] = {}

    def put(self, envelope: bytes) -> None:
        self.envelopes[sha256(envelope).digest()] = envelope

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        places = tuple(enumerate(self.envelopes, 1))
        return tuple(reversed(places[: None if before is None else before - 1]))[:limit]

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        return [digest for digest in digests if digest not in self.envelopes]

    async def get(self, digest: bytes) -> bytes | None:
        return self.envelopes.get(digest)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Town:
    """Names, keys in the order of their identities, addresses and stores. Alice dials all, dave nobody."""

    names = ("alice", "bob", "carol", "dave")

    def __init__(self) -> None:
        seeds = sorted((bytes([number]) * 32 for number in range(1, 5)), key=identity_of)
        self.seeds = dict(zip(self.names, seeds, strict=True))
        self.identities = {name: identity_of(seed) for name, seed in self.seeds.items()}
        self.ports = {name: free_port() for name in self.names}
        self.shelves = {name: Shelf() for name in self.names}

    def address(self, name: str) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.ports[name]}"

    def config(self, name: str, *, knows: Sequence[str] = names) -> LaneConfig:
        """Short times, so that what heals does it while a test waits."""
        peers = tuple(
            LanePeer(self.identities[peer], (self.address(peer),)) for peer in knows if peer != name
        )
        return LaneConfig(
            listen=self.address(name),
            peers=peers,
            redial_min_s=0.02,
            redial_max_s=0.2,
            handshake_timeout_s=3.0,
        )

    @asynccontextmanager
    async def open(self, name: str, config: LaneConfig | None = None) -> AsyncIterator[Lane]:
        async with Lane.open(
            identity_seed=self.seeds[name], config=config or self.config(name), store=self.shelves[name]
        ) as lane:
            yield lane

    def patient(self, name: str, **changes: object) -> LaneConfig:
        return replace(self.config(name), **changes)  # type: ignore[arg-type]


class Mallory:
    """Alice's key in other hands: speaks to one member in bytes of her own choice, in a thread of her own."""

    def __init__(self, town: Town, victim: str, speaks_as: str = "alice") -> None:
        self._town = town
        self._victim = victim
        self._seed = town.seeds[speaks_as]
        self._has_heard = trio.Event()

    async def _attack(self, script: Callable[[IMuxedStream], Coroutine[None, None, None]]) -> None:
        victim = peer_id_of(self._town.identities[self._victim])
        upgrader = Upgrader(self._seed, {victim: self._town.identities[self._victim]}, lambda _: None)
        with trio.fail_after(PATIENCE_S):
            tcp = await trio.open_tcp_stream("127.0.0.1", self._town.ports[self._victim])
            muxed = await upgrader.outbound(CappedTcp(tcp), victim)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(muxed.start)
                await muxed.event_started.wait()
                stream = await muxed.open_stream()
                await MultiselectClient().select_one_of([PROTOCOL], MultiselectCommunicator(stream))
                nursery.start_soon(self._listen, muxed)
                await script(stream)
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(tcp)

    async def _listen(self, muxed: CappedYamux) -> None:
        """Take the victim's stream as a member does, and swallow what it says."""
        with suppress(Exception):
            stream = await muxed.accept_stream()
            await Multiselect({PROTOCOL: None}).negotiate(MultiselectCommunicator(stream))
            while await stream.read(65_536):
                self._has_heard.set()

    def start(self, script: Callable[[IMuxedStream], Coroutine[None, None, None]]) -> threading.Thread:
        """Run a script on an open lane stream; the thread ends with it."""
        thread = threading.Thread(target=trio.run, args=(self._attack, script), name="mallory")
        thread.start()
        return thread

    def say(self, said: bytes) -> threading.Thread:
        """Say it all once the victim has spoken, then wait until it hangs up."""

        async def script(stream: IMuxedStream) -> None:
            try:
                await self._has_heard.wait()
                for at in range(0, len(said), 32_768):
                    await stream.write(said[at : at + 32_768])
                while True:
                    await stream.read(65_536)
            except Exception:  # noqa: BLE001 - however the victim ends it
                return

        return self.start(script)
