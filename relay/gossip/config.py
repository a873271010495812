"""What the lane is told: the members, the address, and its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrFailure

from relay.gossip.buckets import Rate
from relay.gossip.errors import LaneConfigRefused

__all__ = ["EnvelopeStore", "LaneConfig", "LanePeer", "Mail", "dial_target", "host_and_port"]

_DIALLED = (["ip4"], ["ip6"], ["dns"], ["dns4"], ["dns6"])

_MEBIBYTE = 1024 * 1024
_MESSAGES = Rate(per_s=500, burst=2_000)
_BYTES_IN = Rate(per_s=2 * _MEBIBYTE, burst=16 * _MEBIBYTE)
_HAVES = Rate(per_s=0.2, burst=4)
_WANTS = Rate(per_s=2, burst=32)
_RESEND_BYTES = Rate(per_s=_MEBIBYTE, burst=16 * _MEBIBYTE)


@dataclass(frozen=True, slots=True)
class LanePeer:
    """A member: its Ed25519 public key (32 bytes), and where it listens, best address first."""

    identity: bytes
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mail:
    """One frame from one member. `peer` is who handed it over, not necessarily who signed it."""

    peer: bytes
    frame: bytes


class EnvelopeStore(Protocol):
    """Where anti-entropy looks envelopes up; the journal is one. A digest is SHA-256 of the envelope."""

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        """Places and digests of envelopes that have not yet expired, newest first, at most `limit`.

        Places grow from 1 in the order of taking and stay as long as the store is open. With `before`, those
        of lower places.
        """
        ...

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Those of the digests, in their order, that are not in memory; `get` also looks on disk."""
        ...

    async def get(self, digest: bytes) -> bytes | None:
        """The envelope with this digest, byte for byte, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneConfig:
    """Everything the lane needs to know; all bounds are per peer unless they say otherwise."""

    listen: str
    peers: tuple[LanePeer, ...]
    max_frame_bytes: int = 262_144
    inbox_frames: int = 1_024
    inbox_bytes: int = 4 * _MEBIBYTE
    outbox_frames: int = 1_024
    outbox_bytes: int = 4 * _MEBIBYTE
    messages: Rate = _MESSAGES
    bytes_in: Rate = _BYTES_IN
    flood_frames: int = 2_000
    penalty_s: float = 10.0
    ping_every_s: float = 5.0
    ping_timeout_s: float = 10.0
    handshake_timeout_s: float = 5.0
    pending_connections: int = 64
    redial_min_s: float = 0.2
    redial_max_s: float = 4.0
    duplicate_window_s: float = 5.0
    anti_entropy_every_s: float = 8.0
    anti_entropy_max_s: float = 64.0
    unkept_max_s: float = 1_024.0
    have_digests: int = 4_096
    want_digests: int = 256
    want_timeout_s: float = 10.0
    haves: Rate = _HAVES
    wants: Rate = _WANTS
    resend_bytes: Rate = _RESEND_BYTES

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            LaneConfigRefused: naming the value, what was expected and what came.
        """
        host_and_port(self.listen)
        for peer in self.peers:
            _require("identity", len(peer.identity) == 32, "32 bytes", len(peer.identity))
            for address in peer.addresses:
                dial_target(address)
        identities = {peer.identity for peer in self.peers}
        _require("peers", len(identities) == len(self.peers), "each identity once", "one twice")
        most = self.max_frame_bytes // 32
        _require("have_digests", 1 < self.have_digests <= most, f"2 to {most}", self.have_digests)
        most = min(self.have_digests, self.inbox_frames)
        _require("want_digests", 0 < self.want_digests <= most, f"1 to {most}", self.want_digests)
        least = self.ping_every_s
        _require("ping_timeout_s", 0 < least < self.ping_timeout_s, f"more than {least}", self.ping_timeout_s)
        least = self.redial_min_s
        _require("redial_max_s", 0 < least <= self.redial_max_s, f"{least} or more", self.redial_max_s)


def host_and_port(address: str) -> tuple[str, int]:
    """Host and TCP port of a multiaddr to listen on, such as /ip4/127.0.0.1/tcp/4001; port 0 is any free one.

    Raises:
        LaneConfigRefused: it is no multiaddr of an IP address and a TCP port.
    """
    parsed = _parse(address)
    names = [protocol.name for protocol in parsed.protocols()]
    if names not in (["ip4", "tcp"], ["ip6", "tcp"]):
        raise LaneConfigRefused("listen", f"expected /ip4/<address>/tcp/<port>, got {address}")
    host, port = parsed.value_for_protocol(names[0]), parsed.value_for_protocol("tcp")
    return str(ip_address(str(host))), int(str(port))


def dial_target(address: str) -> tuple[str, int]:
    """Host or name, and TCP port, of a multiaddr to dial; a /p2p part is allowed and changes nothing.

    Raises:
        LaneConfigRefused: it is no multiaddr of an IP address or a name, and a TCP port.
    """
    parsed = _parse(address)
    names = [protocol.name for protocol in parsed.protocols()]
    if names[:1] not in _DIALLED or names[1:] not in (["tcp"], ["tcp", "p2p"]):
        raise LaneConfigRefused("address", f"expected /ip4|ip6|dns.../<host>/tcp/<port>, got {address}")
    return str(parsed.value_for_protocol(names[0])), int(str(parsed.value_for_protocol("tcp")))


def _require(where: str, is_right: bool, expected: str, got: object) -> None:  # noqa: FBT001 - a check
    if not is_right:
        raise LaneConfigRefused(where, f"expected {expected}, got {got}")


def _parse(address: str) -> Multiaddr:
    try:
        return Multiaddr(address)
    except (MultiaddrFailure, ValueError) as error:
        raise LaneConfigRefused("address", f"expected a multiaddr, got {address}") from error
