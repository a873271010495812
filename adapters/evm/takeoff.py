"""A call's first transaction: which nonce, which fee, and what to do when every endpoint refuses it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapters.evm.fees import Fees, Market
from adapters.evm.flights import Flight, Flights
from adapters.evm.nonces import free_nonce
from adapters.evm.quotes import Question, Quote
from adapters.evm.senders import Refusal, Sending
from adapters.evm.transactions import Transaction
from relay.core.ports import Submission, SubmissionStatus

SEND_ATTEMPTS = 6
"""Of one call at once: another nonce, or a higher fee, as the endpoints' refusal says."""


@dataclass(frozen=True, slots=True)
class TakeOff:
    """A call that is to be sent, and what was quoted for it."""

    key: bytes
    question: Question
    quote: Quote
    gas: int


@dataclass(slots=True)
class _Attempt:
    """What the refusals so far have taught."""

    market: Market
    taken: set[int]


async def take_off(flights: Flights, order: TakeOff) -> Flight | Submission:
    """Store and send a call; gives the flight of the same call where one began meanwhile."""
    async with flights.lock:
        begun = flights.of_key(order.key)
        if begun is not None and begun.landing is None:
            return begun
        flights.head = max(flights.head, order.quote.head)
        attempt = _Attempt(order.quote.market, set())
        sending = Sending(None)
        for _ in range(SEND_ATTEMPTS):
            transaction, replaced = _transaction(flights, order, attempt)
            if isinstance(transaction, Submission):
                return transaction
            row = await flights.sign(order.key, transaction)
            flight, sending = await flights.start(row, asyncio.get_running_loop().time())
            if sending.refusal is None:
                flight.note = sending.text
                return flight
            await flights.put_back(row.nonce, replaced)
            if sending.refusal is Refusal.UNDERPRICED and transaction.fees.most_wei >= flights.policy.cap_wei:
                reason = f"{flights.cap_reason}; {sending.text}"
                return Submission(SubmissionStatus.TIMED_OUT, reason=reason)
            if not _learn(attempt, sending.refusal, row.nonce):
                break
    if sending.refusal is Refusal.FUNDS:
        return Submission(SubmissionStatus.UNFUNDED, reason=sending.text)
    return Submission(SubmissionStatus.UNAVAILABLE, reason=sending.text)


async def take_up(flights: Flights, flight: Flight, head: int) -> None:
    """Send a call that is asked for again as it was: what an earlier process signed may never have left."""
    async with flights.lock:
        flights.head = max(flights.head, head)
        if flight.wanted or flight.landing is not None or flights.by_nonce.get(flight.nonce) is not flight:
            return
        flight.want_again()
        flight.bump_at = asyncio.get_running_loop().time() + flights.pace.bump_s
        sending = await flights.send(flight)
        flight.note = sending.text


def _learn(attempt: _Attempt, refusal: Refusal, nonce: int) -> bool:
    """Take a refusal in; tells whether another attempt may go better."""
    match refusal:
        case Refusal.NONCE_USED | Refusal.NONCE_HELD:
            # Another process signs with this key: its transaction is left in peace.
            attempt.taken.add(nonce)
        case Refusal.UNDERPRICED:
            attempt.market = attempt.market.raised()
        case Refusal.FUNDS | Refusal.OTHER:
            return False
    return True


def _transaction(
    flights: Flights, order: TakeOff, attempt: _Attempt
) -> tuple[Transaction | Submission, Flight | None]:
    """The next transaction to try, and the flight whose nonce it takes over."""
    nonce, fees, replaced = _place(flights, order.quote, attempt)
    paid = flights.policy.affordable(fees, order.gas, order.quote.balance_wei, attempt.market)
    if paid is None or (replaced is not None and paid != fees):
        needed = order.gas * fees.most_wei
        reason = f"expected {needed} wei, the submitter holds {order.quote.balance_wei}"
        return Submission(SubmissionStatus.UNFUNDED, reason=reason), None
    chain_id = int(flights.settings.chain.partition(":")[2])
    to = bytes.fromhex(order.question.to[2:])
    data = order.question.data
    kind = flights.settings.fees
    return Transaction(chain_id, nonce, paid, order.gas, to, data, kind), replaced


def _place(flights: Flights, quote: Quote, attempt: _Attempt) -> tuple[int, Fees, Flight | None]:
    """The nonce of a transaction that nobody wants any more, outbid; else the lowest free one."""
    taken = flights.by_nonce.keys() | attempt.taken
    free = free_nonce(taken, quote.latest, quote.pending)
    idle = flights.replaceable(quote.latest)
    if idle is not None and idle.nonce < free and idle.nonce not in attempt.taken:
        fees = flights.policy.replacing(idle.row.transaction.fees, attempt.market)
        if fees is not None:
            return idle.nonce, fees, idle
    return free, flights.policy.starting(attempt.market), None


__all__ = ["TakeOff", "take_off", "take_up"]
