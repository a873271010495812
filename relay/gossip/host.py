"""The trio side: a listener, a dialling task for each member that is ours to dial, a link for each member.

Only the member with the lower identity dials: both dialling would make two connections for each pair.

Of py-libp2p the handshakes, yamux and the stream negotiation are used, and not its `Host`: there one
exception in one peer's stream ends the whole run, a failed dial bars a peer for a minute, identify and the
auto-connector dial on their own, and the listener shares its port. Here a connection is a task on which
nothing else depends.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import trio
from libp2p.peer.id import ID

from relay.gossip.buckets import Bucket
from relay.gossip.config import LaneConfig, LanePeer, dial_target, host_and_port
from relay.gossip.counters import Counters, Drop
from relay.gossip.errors import ListenRefused
from relay.gossip.link import Buckets, Link, Surroundings
from relay.gossip.mailboxes import Inbox, LinkDown, LinkUp, Outbox
from relay.gossip.secure import CappedTcp, CappedYamux, PeerRefused, Upgrader, identity_of, peer_id_of

__all__ = ["Host", "HostParts"]

_log = logging.getLogger(__name__)
_BACKLOG = 128
# A link that lasted so long was a good one: the next dial begins with the shortest wait again.
_GOOD_LINK_S = 2.0


@dataclass(frozen=True, slots=True)
class HostParts:
    """What a host is made of."""

    seed: bytes = field(repr=False)
    config: LaneConfig
    inbox: Inbox
    outboxes: dict[bytes, Outbox]
    counters: Counters
    chance: Random
    clock: Callable[[], float]


class Host:
    """All connections of one node. Made and used in the trio thread; the bridge brings `wake` over."""

    def __init__(self, parts: HostParts) -> None:
        self._parts = parts
        self._config = parts.config
        self._me = identity_of(parts.seed)
        self._peers = {peer.identity: peer for peer in parts.config.peers}
        self._peer_ids: dict[bytes, ID] = {identity: peer_id_of(identity) for identity in self._peers}
        self._buckets = {identity: self._new_buckets() for identity in self._peers}
        self._around = Surroundings(parts.config, parts.inbox, parts.counters, parts.chance)
        self._links: dict[bytes, tuple[Link, trio.Event]] = {}
        self._penalty_until_s: dict[bytes, float] = {}
        self._pending: OrderedDict[trio.CancelScope, None] = OrderedDict()
        self._members = {peer_id: identity for identity, peer_id in self._peer_ids.items()}
        self._upgrader = Upgrader(parts.seed, self._members, self._reason_against)
        self._dialling: dict[bytes, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    def wake(self) -> None:
        """Some outboxes have something to send."""
        for link, _ in self._links.values():
            link.wake()

    def set_peers(self, peers: tuple[LanePeer, ...]) -> None:
        """Take the members from now on: who is none any more is hung up on, who is new or moved is dialled.

        Rates and penalties of who leaves are kept: to leave and come back refills nothing.
        """
        wanted = {peer.identity: peer for peer in peers}
        changed = {identity for identity, peer in self._peers.items() if wanted.get(identity) != peer}
        for identity in changed & self._dialling.keys():
            self._dialling.pop(identity).cancel()
        for identity in changed - wanted.keys():
            self._members.pop(self._peer_ids.pop(identity), None)
            if identity in self._links:
                self._links[identity][0].end(Drop.UNKNOWN_PEER)
        fresh = [peer for peer in peers if self._peers.get(peer.identity) != peer]
        self._peers = wanted
        for peer in fresh:
            peer_id = self._peer_ids.setdefault(peer.identity, peer_id_of(peer.identity))
            self._members[peer_id] = peer.identity
            self._buckets.setdefault(peer.identity, self._new_buckets())
            self._begin_dialling(peer)

    async def run(self, on_listening: Callable[[str], None]) -> None:
        """Listen, dial and talk until cancelled; `on_listening` gets the multiaddr actually bound.

        Raises:
            ListenRefused: the address cannot be taken.
        """
        listeners = await self._listen()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for peer in self._peers.values():
                    self._begin_dialling(peer)
                on_listening(_address_of(self._config.listen, listeners[0]))
                await trio.serve_listeners(self._answer, listeners, handler_nursery=nursery)
        finally:
            for listener in listeners:
                listener.socket.close()

    # -- listening

    async def _listen(self) -> list[trio.SocketListener]:
        """Take the address, alone: py-libp2p's listener sets SO_REUSEPORT, and two nodes would share it."""
        host, port = host_and_port(self._config.listen)
        try:
            return list(await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG))
        except OSError as error:
            raise ListenRefused(self._config.listen, error.strerror or str(error)) from error

    async def _answer(self, tcp: trio.SocketStream) -> None:
        stream = CappedTcp(tcp)
        try:
            made = await self._handshake(stream)
            if made is not None:
                await self._run_link(*made)
        finally:
            await trio.aclose_forcefully(tcp)

    async def _handshake(self, stream: CappedTcp) -> tuple[bytes, CappedYamux] | None:
        """Bounded in number and time: when too many wait, the longest waiting one goes [slow strangers]."""
        if len(self._pending) >= self._config.pending_connections:
            oldest, _ = self._pending.popitem(last=False)
            oldest.cancel()
            self._count(Drop.PENDING_FULL)
        made: tuple[bytes, CappedYamux] | None = None
        scope = trio.CancelScope(deadline=trio.current_time() + self._config.handshake_timeout_s)
        self._pending[scope] = None
        try:
            with scope:
                made = await self._inbound(stream)
            if scope.cancelled_caught and scope in self._pending:
                self._count(Drop.HANDSHAKE_LATE)
        finally:
            self._pending.pop(scope, None)
        return made

    async def _inbound(self, stream: CappedTcp) -> tuple[bytes, CappedYamux] | None:
        try:
            return await self._upgrader.inbound(stream)
        except PeerRefused as refused:
            self._count(refused.drop)
        except Exception:  # noqa: BLE001 - a stranger's bytes make py-libp2p raise anything
            self._count(Drop.HANDSHAKE_FAILED)
        return None

    def _reason_against(self, identity: bytes) -> Drop | None:
        if identity > self._me:
            return Drop.WRONG_DIALLER
        return Drop.IN_PENALTY if self._penalty_left_s(identity) > 0 else None

    # -- dialling

    def _begin_dialling(self, peer: LanePeer) -> None:
        """Dial a member for as long as it is one, if it is ours to dial."""
        if self._nursery is not None and self._me < peer.identity and peer.addresses:
            scope = self._dialling[peer.identity] = trio.CancelScope()
            self._nursery.start_soon(self._dial_within, scope, peer)

    async def _dial_within(self, scope: trio.CancelScope, peer: LanePeer) -> None:
        with scope:
            await self._keep_dialling(peer)

    async def _keep_dialling(self, peer: LanePeer) -> None:
        wait_s = self._config.redial_min_s
        while True:
            await trio.sleep(self._penalty_left_s(peer.identity))
            began_s = trio.current_time()
            for address in peer.addresses:
                await self._dial(peer.identity, address)
            if trio.current_time() - began_s > _GOOD_LINK_S + self._config.handshake_timeout_s * len(
                peer.addresses
            ):
                wait_s = self._config.redial_min_s
            await trio.sleep(wait_s * self._parts.chance.uniform(0.75, 1.25))
            wait_s = min(wait_s * 2, self._config.redial_max_s)

    async def _dial(self, identity: bytes, address: str) -> None:
        """Dial one address, and stay until the link that came of it, if any, has ended."""
        sockets: list[trio.SocketStream] = []
        muxed: CappedYamux | None = None
        try:
            scope = trio.CancelScope(deadline=trio.current_time() + self._config.handshake_timeout_s)
            with scope:
                muxed = await self._outbound(identity, address, sockets)
            if scope.cancelled_caught:
                self._count(Drop.HANDSHAKE_LATE)
            if muxed is not None:
                await self._run_link(identity, muxed)
        finally:
            for tcp in sockets:
                await trio.aclose_forcefully(tcp)

    async def _outbound(
        self, identity: bytes, address: str, sockets: list[trio.SocketStream]
    ) -> CappedYamux | None:
        try:
            tcp = await trio.open_tcp_stream(*dial_target(address))
            sockets.append(tcp)
            return await self._upgrader.outbound(CappedTcp(tcp), self._peer_ids[identity])
        except PeerRefused as refused:
            self._count(refused.drop)
        except Exception:  # noqa: BLE001 - whoever answers there makes py-libp2p raise anything
            self._count(Drop.DIAL_FAILED)
        return None

    # -- links

    async def _run_link(self, identity: bytes, muxed: CappedYamux) -> None:
        """Run a link to its end. A member's newest connection is the one it knows of; an older one goes."""
        while identity in self._links:
            link, ended = self._links[identity]
            link.end(Drop.LINK_REPLACED)
            await ended.wait()
        if self._penalty_left_s(identity) > 0:
            self._count(Drop.IN_PENALTY)
            return
        outbox = self._parts.outboxes.get(identity)
        if outbox is None or identity not in self._peers:
            self._count(Drop.UNKNOWN_PEER)  # it was a member when the handshake began
            return
        link = Link(identity, muxed, outbox, self._buckets[identity], self._around)
        ended = trio.Event()
        self._links[identity] = (link, ended)
        is_up = False

        def on_up() -> None:
            nonlocal is_up
            is_up = True
            _log.info("link up", extra={"peer": identity.hex()[:8]})
            self._parts.inbox.put_control(LinkUp(identity))

        try:
            await link.run(on_up)
        finally:
            del self._links[identity]
            ended.set()
            if link.abused:
                self._penalty_until_s[identity] = trio.current_time() + self._config.penalty_s
            if is_up:
                _log.info("link down", extra={"peer": identity.hex()[:8]})
                self._parts.inbox.put_control(LinkDown(identity))

    def _penalty_left_s(self, identity: bytes) -> float:
        return max(0.0, self._penalty_until_s.get(identity, 0.0) - trio.current_time())

    def _new_buckets(self) -> Buckets:
        config, clock = self._config, self._parts.clock
        return Buckets(
            Bucket(config.messages, clock),
            Bucket(config.bytes_in, clock),
            Bucket(config.haves, clock),
            Bucket(config.wants, clock),
        )

    def _count(self, drop: Drop) -> None:
        self._parts.counters.count(drop)


def _address_of(configured: str, listener: trio.SocketListener) -> str:
    """The configured multiaddr with the port that was really bound."""
    port = listener.socket.getsockname()[1]
    return f"{configured.rsplit('/', 1)[0]}/{port}"
