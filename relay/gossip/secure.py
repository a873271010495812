"""TCP, Noise and yamux of libp2p, with what must be added to them (SPEC 1).

# SECURITY: everything below the check of the peer id handles bytes of strangers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio
from libp2p.abc import IRawConnection, ISecureConn
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.crypto.ed25519 import create_new_key_pair as create_identity
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import MAX_MESSAGE_SIZE, Yamux
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.upgrader import TransportUpgrader

from relay.gossip.counters import Drop
from relay.gossip.errors import LaneConfigRefused

__all__ = ["CappedTcp", "CappedYamux", "PeerRefused", "Upgrader", "identity_of", "peer_id_of"]

# A handshake needs below 2 kB each way; more before the peer is known is abuse.
_STRANGER_BYTES = 16_384
_READ_BYTES = 65_536
# More than an honest member's outbox holds.
_WAITING_BYTES = 8 * 1024 * 1024

Refuse = Callable[[bytes], Drop | None]
"""The reason, if any, to turn away a known member that dials us."""


class PeerRefused(Exception):
    """The peer proved who it is, and may not connect; `.drop` says why."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop)
        self.drop = drop


def peer_id_of(identity: bytes) -> ID:
    """The libp2p peer id of an Ed25519 public key.

    Raises:
        LaneConfigRefused: the 32 bytes are no public key.
    """
    try:
        return ID.from_pubkey(Ed25519PublicKey.from_bytes(identity))
    except ValueError as error:
        problem = f"expected an Ed25519 public key, got {identity.hex()}"
        raise LaneConfigRefused("identity", problem) from error


def identity_of(seed: bytes) -> bytes:
    """The Ed25519 public key of a 32-byte seed."""
    return create_identity(seed).public_key.to_bytes()


class CappedTcp(TrioTCPStream):
    """A TCP stream that reads pieces of bounded size, and not many of them from a stranger.

    Frames below Noise announce lengths of their own; py-libp2p would allocate what a stranger announces.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self._stranger_bytes: int | None = _STRANGER_BYTES

    def is_known(self) -> None:
        """The peer is authenticated: it may send as much as it likes."""
        self._stranger_bytes = None

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes, at most 64 KiB.

        Raises:
            ConnectionClosedError: a stranger sent more than a handshake needs.
        """
        received = await super().read(_READ_BYTES if n is None else min(n, _READ_BYTES))
        if self._stranger_bytes is not None:
            self._stranger_bytes -= len(received)
            if self._stranger_bytes < 0:
                raise ConnectionClosedError("more bytes than a handshake needs", transport="tcp")
        return received


class CappedYamux(Yamux):
    """Yamux with bounded memory: py-libp2p's takes 16 MiB at once, and merely warns of a full window."""

    async def _read_data_body(self, length: int) -> bytes:
        waiting = sum(len(buffer) for buffer in self.stream_buffers.values())
        if length > MAX_MESSAGE_SIZE or waiting > _WAITING_BYTES:
            # The one exception for which Yamux closes the connection here.
            raise trio.TooSlowError
        return await super()._read_data_body(length)


class _MembersOnlyNoise(NoiseTransport):
    """Noise in which only `members` may be at the other end, in both directions."""

    def __init__(self, seed: bytes, members: Mapping[ID, bytes], refuse: Refuse) -> None:
        super().__init__(create_identity(seed), create_noise_key().private_key)
        self._members = members
        self._refuse = refuse

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """As the base, and refuse strangers and those for whom there is a reason to."""
        secured = await super().secure_inbound(conn)
        identity = self._members.get(secured.get_remote_peer())
        drop = Drop.UNKNOWN_PEER if identity is None else self._refuse(identity)
        if drop is not None:
            raise PeerRefused(drop)
        return secured

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        """As the base, and refuse whoever is not the very member that was dialled."""
        try:
            secured = await super().secure_outbound(conn, peer_id)
        except PeerIDMismatchesPubkey:
            raise PeerRefused(Drop.WRONG_IDENTITY) from None
        if secured.get_remote_peer() not in self._members:
            raise PeerRefused(Drop.UNKNOWN_PEER)
        return secured


class Upgrader:
    """Makes a muxed connection to a known member out of a TCP stream. Noise is the only security offered."""

    def __init__(self, seed: bytes, members: Mapping[ID, bytes], refuse: Refuse) -> None:
        noise = _MembersOnlyNoise(seed, members, refuse)
        self._security = TransportUpgrader({TProtocol(NOISE): noise}, {})
        self._responder = Multiselect({TProtocol(YAMUX): None})
        self._initiator = MultiselectClient()
        self._members = members

    async def inbound(self, stream: CappedTcp) -> tuple[bytes, CappedYamux]:
        """Answer the handshakes; the identity of the member, and the connection, not yet started.

        Raises:
            PeerRefused, or whatever py-libp2p makes of a stranger's bytes.
        """
        secured = await self._security.upgrade_security(RawConnection(stream, False), False)
        stream.is_known()
        await self._responder.negotiate(MultiselectCommunicator(secured))
        peer_id = secured.get_remote_peer()
        return self._members[peer_id], CappedYamux(secured, peer_id, is_initiator=False)

    async def outbound(self, stream: CappedTcp, peer_id: ID) -> CappedYamux:
        """Begin the handshakes with one member. Raises as `inbound`."""
        secured = await self._security.upgrade_security(RawConnection(stream, True), True, peer_id)
        stream.is_known()
        await self._initiator.select_one_of([TProtocol(YAMUX)], MultiselectCommunicator(secured))
        return CappedYamux(secured, peer_id, is_initiator=True)
