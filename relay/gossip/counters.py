"""Named reasons for which the lane drops something, and their counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock

__all__ = ["Counters", "Drop"]


class Drop(StrEnum):
    """Why a frame, a stream or a connection was dropped. Values are stable: metrics carry them."""

    # before a peer is known
    HANDSHAKE_FAILED = "handshake_failed"
    HANDSHAKE_LATE = "handshake_late"
    PENDING_FULL = "pending_full"
    UNKNOWN_PEER = "unknown_peer"
    WRONG_IDENTITY = "wrong_identity"
    WRONG_DIALLER = "wrong_dialler"
    IN_PENALTY = "in_penalty"
    DIAL_FAILED = "dial_failed"
    # connections and streams
    LINK_FAILED = "link_failed"
    LINK_REPLACED = "link_replaced"
    PING_LATE = "ping_late"
    STREAM_EXCESS = "stream_excess"
    STREAM_REFUSED = "stream_refused"
    # frames received
    OVERSIZED = "oversized"
    EMPTY = "empty"
    UNKNOWN_KIND = "unknown_kind"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    FLOOD = "flood"
    INBOX_FULL = "inbox_full"
    DUPLICATE = "duplicate"
    # anti-entropy
    HAVE_FLOOD = "have_flood"
    WANT_FLOOD = "want_flood"
    WANT_LATE = "want_late"
    RESEND_BUDGET = "resend_budget"
    # frames to send
    OUTBOX_FULL = "outbox_full"
    NOT_CONNECTED = "not_connected"


class Counters:
    """Counts of drops, counted from both threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[Drop] = Counter()

    def count(self, drop: Drop, times: int = 1) -> None:
        """Count `times` drops for one reason."""
        with self._lock:
            self._counts[drop] += times

    def snapshot(self) -> Mapping[Drop, int]:
        """All reasons with their counts so far, zeros included."""
        with self._lock:
            return {drop: self._counts[drop] for drop in Drop}
