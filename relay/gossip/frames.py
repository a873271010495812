"""Frames of the lane, with no socket in them (SPEC 2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from relay.gossip.counters import Drop
from relay.gossip.errors import FrameRefused

__all__ = ["DIGEST_BYTES", "PING_BYTES", "Frame", "FrameKind", "FrameReader", "encode", "parse_digests"]

DIGEST_BYTES = 32
PING_BYTES = 8
_LENGTH = struct.Struct("!I")
_HEADER = struct.Struct("!IB")


class FrameKind(IntEnum):
    """The type byte."""

    MAIL = 0
    HAVE = 1
    WANT = 2
    PING = 3
    PONG = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was received: its kind, and its payload, not yet looked into."""

    kind: FrameKind
    payload: bytes


def encode(kind: FrameKind, payload: bytes) -> bytes:
    """Bytes of one frame: u32be length of what follows, type byte, payload."""
    return _HEADER.pack(len(payload) + 1, kind) + payload


def parse_digests(payload: bytes, at_most: int) -> tuple[bytes, ...]:
    """Digests of a HAVE or WANT frame, in the order sent, each once.

    Raises:
        FrameRefused: empty, not a multiple of 32 bytes, or more than `at_most` digests.
    """
    count, rest = divmod(len(payload), DIGEST_BYTES)
    if rest or not 0 < count <= at_most:
        raise FrameRefused(Drop.MALFORMED, f"1 to {at_most} digests of 32 bytes", f"{len(payload)} bytes")
    cut = (payload[at : at + DIGEST_BYTES] for at in range(0, len(payload), DIGEST_BYTES))
    return tuple(dict.fromkeys(cut))


class FrameReader:
    """Cuts a stream of bytes into frames; holds at most one incomplete frame."""

    def __init__(self, max_payload_bytes: int) -> None:
        self._max_payload_bytes = max_payload_bytes
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Sequence[Frame]:
        """Take what was read and give the frames that are now complete, in order.

        Raises:
            FrameRefused: the bytes are no frame; nothing that follows can be read.
        """
        self._buffer += received
        frames: list[Frame] = []
        at = 0
        while (length := self._length_at(at)) is not None and len(self._buffer) - at - _LENGTH.size >= length:
            start = at + _LENGTH.size
            frames.append(self._frame(start, start + length))
            at = start + length
        del self._buffer[:at]
        return frames

    def finish(self) -> None:
        """Say that the stream has ended.

        Raises:
            FrameRefused: it ended within a frame.
        """
        if self._buffer:
            raise FrameRefused(
                Drop.TRUNCATED, "end of stream between frames", f"{len(self._buffer)} bytes more"
            )

    def _length_at(self, at: int) -> int | None:
        if len(self._buffer) - at < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, at)
        if length == 0:
            raise FrameRefused(Drop.EMPTY, "a type byte", "a length of 0")
        if length > self._max_payload_bytes + 1:
            raise FrameRefused(
                Drop.OVERSIZED, f"at most {self._max_payload_bytes} bytes of payload", f"{length - 1} bytes"
            )
        return int(length)

    def _frame(self, start: int, end: int) -> Frame:
        kind, payload = self._buffer[start], bytes(self._buffer[start + 1 : end])
        try:
            frame = Frame(FrameKind(kind), payload)
        except ValueError:
            raise FrameRefused(Drop.UNKNOWN_KIND, "a type byte of 0 to 4", str(kind)) from None
        if frame.kind in (FrameKind.PING, FrameKind.PONG) and len(payload) != PING_BYTES:
            raise FrameRefused(Drop.MALFORMED, f"a ping of {PING_BYTES} bytes", f"{len(payload)} bytes")
        return frame
