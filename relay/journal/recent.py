"""The newest envelopes of the journal by digest, in memory: what anti-entropy offers (gossip SPEC 4)."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence

from relay.core.types import EnvelopeDigest, Millis

__all__ = ["MAX_RECENT", "Recent"]

MAX_RECENT = 65_536
"""Envelopes that anti-entropy may offer; those before them are still found by their digest."""


class Recent:
    """A ring of the last `MAX_RECENT` digests, each with its place, from 1 on: at most 10 MB."""

    def __init__(self) -> None:
        self._digests: list[EnvelopeDigest] = []
        self._expires_at_ms = array("q")
        self._known: set[bytes] = set()
        self._last = 0

    def extend(self, envelopes: Iterable[tuple[EnvelopeDigest, Millis]]) -> None:
        """Note new envelopes, oldest first; the oldest that are known make room for them."""
        for digest, expires_at_ms in envelopes:
            at = self._last % MAX_RECENT
            if at == len(self._digests):
                self._digests.append(digest)
                self._expires_at_ms.append(expires_at_ms)
            else:
                self._known.discard(self._digests[at])
                self._digests[at], self._expires_at_ms[at] = digest, expires_at_ms
            self._known.add(digest)
            self._last += 1

    def alive(self, now_ms: Millis, limit: int, before: int | None) -> Sequence[tuple[int, bytes]]:
        """Give places and digests of what has not expired, newest first; with `before`, of lower places."""
        last = self._last if before is None else before - 1
        first = self._last - len(self._digests)
        found: list[tuple[int, bytes]] = []
        while len(found) < limit and last > first:
            found += self._alive_between(max(first, last - limit), last, now_ms)
            last -= limit
        return found[:limit]

    def unknown(self, digests: Collection[bytes]) -> list[bytes]:
        """Give those of the digests, in their order, that are not here."""
        return [digest for digest in digests if digest not in self._known]

    def _alive_between(self, first: int, last: int, now_ms: Millis) -> list[tuple[int, bytes]]:
        """Give what is alive of the places behind `first` up to `last`, newest first."""
        at = first % MAX_RECENT
        to = at + last - first
        beyond = max(0, to - MAX_RECENT)
        digests = self._digests[at:to] + self._digests[:beyond]
        expires_at_ms = self._expires_at_ms[at:to] + self._expires_at_ms[:beyond]
        numbered = zip(range(last, first, -1), reversed(digests), strict=True)
        return [each for each, at_ms in zip(numbered, reversed(expires_at_ms), strict=True) if at_ms > now_ms]
