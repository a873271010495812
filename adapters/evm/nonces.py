"""The nonces of one key on one chain: one owner, no gap."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from adapters.evm.transactions import Fees

MAX_SEARCHED = 10_000


@dataclass(slots=True)
class Nonces:
    """Hold `lock` from `take` until the transaction was accepted or given back: so a failure leaves no gap.

    A nonce whose transaction was given up may still be in some mempool: it is used again first, with the
    fees to beat.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _floor: int = 0
    _in_flight: set[int] = field(default_factory=set)
    _stuck: dict[int, Fees] = field(default_factory=dict)

    def take(self, latest: int, pending: int) -> tuple[int, Fees | None]:
        """The lowest free nonce, and the fees that a replacement must beat where one is stuck there.

        `latest` and `pending` are the account's counts at the chain: what others of them hold below
        `pending` is left.
        """
        self._floor = max(self._floor, latest)
        self._stuck = {nonce: fees for nonce, fees in self._stuck.items() if nonce >= self._floor}
        for nonce in range(self._floor, self._floor + MAX_SEARCHED):
            if nonce in self._stuck:
                self._in_flight.add(nonce)
                return nonce, self._stuck.pop(nonce)
            if nonce >= pending and nonce not in self._in_flight:
                self._in_flight.add(nonce)
                return nonce, None
        raise AssertionError("no free nonce: more transactions in flight than a node can have")

    def landed(self, nonce: int) -> None:
        """The chain has used it."""
        self._in_flight.discard(nonce)
        self._floor = max(self._floor, nonce + 1)

    def give_back(self, nonce: int) -> None:
        """No endpoint took the transaction."""
        self._in_flight.discard(nonce)

    def give_up(self, nonce: int, fees: Fees) -> None:
        """The transaction was sent but did not land in time."""
        self._in_flight.discard(nonce)
        self._stuck[nonce] = fees


__all__ = ["Nonces"]
