"""The transactions of one key on one chain that are not final: on disk first, then on their way.

One owner of the nonces: whoever wants a nonce holds `lock`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from adapters.evm.fees import FeePolicy, Fees, Market
from adapters.evm.quotes import Question
from adapters.evm.rows import CANCEL, Row, row_from_bytes, row_to_bytes
from adapters.evm.senders import Refusal, Senders, Sending
from adapters.evm.shapes import Receipt
from adapters.evm.transactions import Transaction, transaction_hash
from relay.core.ports import (
    ChainSettings,
    Submission,
    SubmissionStore,
    TransactionSigner,
)

BUMP_AFTER_BLOCKS = 2
GIVE_UP_AFTER_BLOCKS = 30
MIN_WAIT_S = 20.0
UNWANTED_AFTER_BLOCKS = 10
MIN_UNWANTED_S = 45.0
"""Longer than the core waits between two tries of a call: what it asks for again is not cancelled."""
HELD_AFTER_BLOCKS = 10
CANCEL_GAS = 100_000
"""A transfer of nothing needs 21,000, on some chains more; what is not used is not paid."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait for what, in seconds."""

    poll_s: float
    bump_s: float
    give_up_s: float
    unwanted_s: float
    held_s: float
    """How long a nonce below ours may be another's before we use it up ourselves."""

    @classmethod
    def of(cls, settings: ChainSettings) -> Pace:
        block_s = settings.block_time_ms / 1_000
        return cls(
            poll_s=min(max(block_s / 4, 0.05), 2.0),
            bump_s=BUMP_AFTER_BLOCKS * block_s,
            give_up_s=max(GIVE_UP_AFTER_BLOCKS * block_s, MIN_WAIT_S),
            unwanted_s=max(UNWANTED_AFTER_BLOCKS * block_s, MIN_UNWANTED_S),
            held_s=HELD_AFTER_BLOCKS * block_s,
        )


@dataclass(frozen=True, slots=True)
class Landing:
    """The receipt, and who shows it where they are fewer than must agree."""

    receipt: Receipt
    only_by: tuple[str, ...] = ()


class Lost:
    """Another transaction used the nonce: the call needs a new one."""


Outcome = Landing | Lost | Submission
"""A `Submission` where the call was given up before it landed: it is refused or needless now."""


@dataclass(slots=True, eq=False)
class Flight:
    """A row under way. `wanted` counts those who wait for it."""

    row: Row
    at: float
    """When it was first sent, or found on disk."""
    bump_at: float
    unwanted_since: float
    question: Question | None = None
    needless_ends: bool = True
    """Whether a call that changes nothing any more is given up."""
    wanted: int = 0
    is_public: bool = False
    limit: str = ""
    """Why no more is paid for it."""
    note: str = ""
    """What endpoints said of it last."""
    landing: Landing | None = None
    lost_since: float | None = None
    shown_since: float | None = None
    done: asyncio.Future[Outcome] = field(default_factory=asyncio.Future)

    @property
    def nonce(self) -> int:
        return self.row.nonce

    def end(self, outcome: Outcome) -> None:
        """Tell those who wait."""
        if isinstance(outcome, Landing):
            self.landing = outcome
        if not self.done.done():
            self.done.set_result(outcome)

    def want_again(self) -> None:
        """Somebody asks again for a call that was given up: the old verdict is no news."""
        if self.landing is None and self.done.done():
            self.done = asyncio.Future()

    def fly_again(self) -> None:
        """A re-org took it out of its block."""
        self.landing = self.shown_since = self.lost_since = None
        self.done = asyncio.Future()


@dataclass(slots=True)
class Flights:
    """All of them by nonce. Every signed transaction is stored before it leaves."""

    settings: ChainSettings
    signer: TransactionSigner
    store: SubmissionStore
    senders: Senders
    pace: Pace
    by_nonce: dict[int, Flight] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    head: int = 0
    """The newest block that enough endpoints showed."""
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def policy(self) -> FeePolicy:
        return FeePolicy.of(self.settings)

    @property
    def cap_reason(self) -> str:
        return f"at the fee cap of {self.settings.fee_cap_gwei} gwei"

    async def load(self, now: float) -> None:
        """Take up what an earlier process left.

        Raises:
            JournalError: a row is none of this version.
        """
        for data in (await self.store.rows()).values():
            row = row_from_bytes(data)
            self.by_nonce[row.nonce] = Flight(row, now, now, now)
        self.stirred.set()

    def of_key(self, key: bytes) -> Flight | None:
        """The flight of a call: one that has not landed before one that has, the newest of these."""
        found = [flight for flight in self.by_nonce.values() if flight.row.key == key]
        return max(found, key=lambda flight: (flight.landing is None, flight.nonce), default=None)

    def waiting(self) -> dict[int, Flight]:
        """Those that are in no block."""
        return {nonce: flight for nonce, flight in self.by_nonce.items() if flight.landing is None}

    def replaceable(self, latest: int) -> Flight | None:
        """The lowest that nobody wants: its nonce blocks those above it."""
        idle = [
            flight
            for nonce, flight in self.waiting().items()
            if nonce >= latest and not flight.wanted and not flight.row.is_cancel
        ]
        return min(idle, key=lambda flight: flight.nonce, default=None)

    async def sign(self, key: bytes, transaction: Transaction, before: Row | None = None) -> Row:
        """A further row of `before`'s nonce where the key is the same, else a first one. Not stored yet."""
        raw = transaction.signed(await self.signer.sign_transaction(transaction.digest))
        if before is not None and before.key == key:
            return before.followed_by(transaction, raw)
        return Row(key, transaction, raw, (transaction_hash(raw),), self.head)

    async def start(self, row: Row, now: float) -> tuple[Flight, Sending]:
        """Store a row that begins a flight, then send it."""
        # DURABLE: what may be in somebody's pool is on disk, so that no restart sends another in its place.
        await self.store.put(row.nonce, row_to_bytes(row))
        flight = Flight(row, now, now + self.pace.bump_s, now)
        replaced = self.by_nonce.get(row.nonce)
        self.by_nonce[row.nonce] = flight
        if replaced is not None:
            replaced.end(Lost())
        self.stirred.set()
        return flight, await self.send(flight)

    async def send(self, flight: Flight) -> Sending:
        """Hand over the newest bytes: to the private endpoint alone while a call is young."""
        if self.is_private(flight):
            return await self.senders.send_privately(flight.row.raw)
        flight.is_public = True
        return await self.senders.send_publicly(flight.row.raw)

    def is_private(self, flight: Flight) -> bool:
        """Whether it is to be kept out of the public pool still."""
        young = self.head < flight.row.since_block + self.settings.private_blocks
        is_secret = self.senders.private is not None and not flight.row.is_cancel
        return is_secret and young and not flight.is_public

    async def put_back(self, nonce: int, flight: Flight | None) -> None:
        """Undo a `start` whose bytes every endpoint refused: the nonce is free, or its former flight's."""
        if flight is None:
            self.by_nonce.pop(nonce, None)
            await self.store.drop(nonce)
        else:
            self.by_nonce[nonce] = flight
            if flight.done.done():
                flight.fly_again()
            await self.store.put(nonce, row_to_bytes(flight.row))

    async def forget(self, flight: Flight) -> None:
        """Drop a flight that is final, or whose nonce another transaction used."""
        if self.by_nonce.get(flight.nonce) is flight:
            del self.by_nonce[flight.nonce]
            await self.store.drop(flight.nonce)

    async def outbid(self, flight: Flight, market: Market, balance_wei: int | None) -> Sending:
        """Send for more what has not landed; at the cap, or without funds, the same bytes again."""
        before = flight.row
        fees = self._higher(flight, market, balance_wei)
        if fees is None:
            return await self.send(flight)
        row = await self.sign(before.key, replace(before.transaction, fees=fees), before)
        # DURABLE: as at the start.
        await self.store.put(row.nonce, row_to_bytes(row))
        flight.row = row
        sending = await self.send(flight)
        if sending.refusal in (Refusal.FUNDS, Refusal.OTHER):
            flight.note = sending.text
            # Nobody has the dearer one: what is sent again is the one before.
            flight.row = replace(before, hashes=row.hashes)
            await self.store.put(row.nonce, row_to_bytes(flight.row))
            return await self.send(flight)
        return sending

    def _higher(self, flight: Flight, market: Market, balance_wei: int | None) -> Fees | None:
        transaction = flight.row.transaction
        flight.limit = ""
        fees = self.policy.replacing(transaction.fees, market)
        if fees is None:
            flight.limit = self.cap_reason
            return None
        if balance_wei is None:
            return fees
        paid = self.policy.affordable(fees, transaction.gas, balance_wei, market)
        if paid is None or paid.most_wei * 10 < transaction.fees.most_wei * 11:
            flight.limit = f"no funds for a higher fee, the submitter holds {balance_wei} wei"
            return None
        return paid

    async def cancel(self, flight: Flight, market: Market, now: float) -> None:
        """Use up the nonce of a transaction that nobody wants any more, so that it stands in nobody's way."""
        transaction = flight.row.transaction
        fees = self.policy.replacing(transaction.fees, market)
        if fees is not None:
            row = await self.sign(CANCEL, self.empty(transaction.chain_id, flight.nonce, fees))
            await self.start(row, now)
        else:
            await self.send(flight)

    async def fill(self, nonce: int, market: Market, now: float) -> None:
        """Use up a nonce below ours that has no transaction."""
        fees = self.policy.starting(market)
        chain_id = int(self.settings.chain.partition(":")[2])
        row = await self.sign(CANCEL, self.empty(chain_id, nonce, fees))
        await self.start(row, now)

    def empty(self, chain_id: int, nonce: int, fees: Fees) -> Transaction:
        """A transfer of nothing to ourselves."""
        return Transaction(chain_id, nonce, fees, CANCEL_GAS, self.signer.submitter, b"", self.settings.fees)


__all__ = ["Flight", "Flights", "Landing", "Lost", "Outcome", "Pace"]
