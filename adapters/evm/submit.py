"""The last mile: simulate, send to every endpoint, raise the fee while it does not land, check the effect.

A call that the simulation refuses, or that would change nothing now, costs nothing. No endpoint alone can
stop a call, fake its landing, or set its price; no restart sends one twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from adapters.evm import shapes
from adapters.evm.crowd import Crowd, none_left, problems, reached_by, values
from adapters.evm.effects import check_effect, event_of
from adapters.evm.encode import NOOP_ANSWER, address_text, gateway_calldata
from adapters.evm.flights import Flight, Flights, Landing, Lost, Outcome, Pace
from adapters.evm.gas import ActCaps, gas_limit
from adapters.evm.quotes import Question, Quote, agree, ask_quote, combined
from adapters.evm.refusals import gateway_errors
from adapters.evm.rotating import is_announced
from adapters.evm.rounds import Rounds
from adapters.evm.rows import call_key
from adapters.evm.rpc import Rpc
from adapters.evm.senders import Senders
from adapters.evm.shapes import Receipt
from adapters.evm.takeoff import TakeOff, take_off, take_up
from relay.core.errors import ChainError, WrongChain
from relay.core.ports import (
    AnchorLog,
    ChainSettings,
    EndpointHealth,
    Execute,
    GatewayCall,
    Submission,
    SubmissionStatus,
    SubmissionStore,
    TransactionSigner,
)
from relay.core.rotations import Rotate
from relay.core.types import BlockRef

MAX_NONCES = 8
"""How often one call takes another nonce because somebody else used its own."""
BLOCK_TRIES = 5
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The open endpoints of one chain: those that everything is read from, and the private one."""

    public: Sequence[Rpc]
    private: Rpc | None = None


class EvmSubmitter:
    """The port `relay.core.ports.Submitter`. Use as an async context manager."""

    def __init__(
        self,
        settings: ChainSettings,
        signer: TransactionSigner,
        store: SubmissionStore,
        *,
        endpoints: Endpoints,
        pace: Pace | None = None,
    ) -> None:
        self._settings = settings
        self._sender = "0x" + signer.submitter.hex()
        self._errors: Mapping[bytes, str] = gateway_errors()
        private = () if endpoints.private is None else (endpoints.private,)
        self.crowd = Crowd(settings.chain, endpoints.public, settings.need, shown=private)
        self._senders = Senders(self.crowd, endpoints.private)
        self._flights = Flights(settings, signer, store, self._senders, pace or Pace.of(settings))
        self._caps = ActCaps(self.crowd)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        clock = asyncio.get_running_loop().time
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.crowd)
            await stack.enter_async_context(self._senders)
            await self._flights.load(clock())
            rounds = Rounds(self.crowd, self._flights, self._quote, clock)
            await stack.enter_async_context(_running(rounds))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def health(self) -> tuple[EndpointHealth, ...]:
        """Each endpoint as it was lately found."""
        return self.crowd.health()

    async def balance(self) -> int:
        """Wei that enough endpoints say the submitter holds."""

        async def ask(rpc: Rpc) -> int:
            return await _quantity(rpc, "eth_getBalance", self._sender, "latest", bits=256)

        need = self._settings.need
        answers = await self.crowd.ask_all(ask, lambda found: len(found) >= need)
        found = values(answers)
        if not found:
            raise none_left(self._settings.chain, problems(answers))
        return reached_by(found, need)

    async def assert_chain(self) -> None:
        """Raise `WrongChain` if so many endpoints serve another chain that too few can be right.

        One alone must not keep a node from starting: its answers are refused question by question.
        """
        expected = self._settings.chain

        async def ask(rpc: Rpc) -> str:
            return f"eip155:{await _quantity(rpc, 'eth_chainId')}"

        answers = await self.crowd.ask_all(ask, lambda _: False)
        wrong = [answer for answer in answers if answer.value not in (None, expected)]
        if len(self.crowd.rpcs) - len(wrong) < self._settings.need:
            problem = f"endpoint serves {wrong[0].value}, expected {expected}"
            raise WrongChain(expected, problem, operator=wrong[0].operator)

    # ---- one call

    async def submit(self, call: GatewayCall) -> Submission:
        """Carry one call to its gateway and see what became of it.

        A call that is under way already, also since before a restart, is waited for and not sent beside.
        """
        submission = await self._carried(call)
        is_refused = submission.status in (SubmissionStatus.REFUSED, SubmissionStatus.REVERTED)
        if is_refused and isinstance(call, Rotate) and await is_announced(self.crowd, call):
            return replace(submission, status=SubmissionStatus.NEEDLESS, reason="already announced")
        return submission

    async def _carried(self, call: GatewayCall) -> Submission:
        question = self._question(call)
        clock = asyncio.get_running_loop().time
        until = clock() + self._flights.pace.give_up_s
        for _ in range(MAX_NONCES):
            try:
                quote = await self._quote(question)
            except ChainError as error:
                return Submission(SubmissionStatus.UNAVAILABLE, reason=error.problem)
            flight = await self._flight(call, question, quote)
            if isinstance(flight, Submission):
                return flight
            outcome = await self._watched(flight, until)
            match outcome:
                case Landing():
                    return await self._judged(call, flight, flight.landing or outcome)
                case Submission():
                    return outcome
                case None:
                    return _timed_out(flight)
                case Lost():
                    continue
        return Submission(SubmissionStatus.TIMED_OUT, reason=f"{MAX_NONCES} nonces were used by others")

    def _question(self, call: GatewayCall) -> Question:
        return Question(
            self._settings.chain,
            self._sender,
            address_text(call.gateway),
            gateway_calldata(call),
            self._errors,
            NOOP_ANSWER if isinstance(call, Execute) else None,
        )

    async def _quote(self, question: Question) -> Quote:
        need = self._settings.need
        answers = await self.crowd.ask_all(
            lambda rpc: ask_quote(rpc, question), lambda quotes: agree(quotes, need)
        )
        quotes = values(answers)
        if not quotes:
            raise none_left(self._settings.chain, problems(answers))
        return combined(quotes, need)

    async def _flight(self, call: GatewayCall, question: Question, quote: Quote) -> Flight | Submission:
        """The flight of this call: the one under way, or a new one."""
        flight = self._flights.of_key(call_key(call))
        if flight is not None and flight.landing is not None and flight.landing.only_by:
            flight.fly_again()  # too few told of it: whether they still do, or more, is looked at once more
        if flight is not None and flight.landing is not None and self._did_its_work(call, flight, quote):
            return flight
        if flight is not None and flight.landing is None and quote.latest > flight.nonce:
            flight.want_again()
            return flight  # it may be in a block that we have not seen yet
        if quote.refusal is not None:
            return Submission(SubmissionStatus.REFUSED, reason=quote.refusal)
        says_noop = isinstance(call, Execute) and call.says_noop
        if quote.is_needless and not says_noop:
            return Submission(SubmissionStatus.NEEDLESS, reason="already protected")
        if flight is None or flight.landing is not None:
            taken_off = await self._take_off(call, question, quote)
            if isinstance(taken_off, Submission):
                return taken_off
            flight = taken_off
        else:
            await take_up(self._flights, flight, quote.head)
        flight.question, flight.needless_ends = question, not says_noop
        return flight

    async def _take_off(self, call: GatewayCall, question: Question, quote: Quote) -> Flight | Submission:
        cap = (
            None
            if isinstance(call, AnchorLog | Rotate)
            else await self._caps.cap_of(question.to, call.act_id)
        )
        gas = gas_limit(call, question.data, quote.gas, cap)
        return await take_off(self._flights, TakeOff(call_key(call), question, quote, gas))

    def _did_its_work(self, call: GatewayCall, flight: Flight, quote: Quote) -> bool:
        """Whether a call that landed is not to be sent again: its block is not seen by the simulation yet, or
        the simulation finds nothing left to do; one that only makes an event has made it.
        """
        is_event = isinstance(call, AnchorLog | Rotate) or (isinstance(call, Execute) and call.says_noop)
        goes = quote.refusal is None and not quote.is_needless
        return quote.latest <= flight.nonce or not goes or is_event

    async def _watched(self, flight: Flight, until: float) -> Outcome | None:
        """What becomes of a flight; None when the time is over."""
        if flight.landing is not None:
            return flight.landing  # it may have been given up before it landed
        flight.wanted += 1
        self._flights.stirred.set()
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.shield(flight.done)
        except TimeoutError:
            return flight.landing
        finally:
            flight.wanted -= 1
            flight.unwanted_since = asyncio.get_running_loop().time()

    # ---- after

    async def _judged(self, call: GatewayCall, flight: Flight, landing: Landing) -> Submission:
        receipt = landing.receipt
        event = event_of(call, receipt) if receipt.succeeded else None
        submission = Submission(
            SubmissionStatus.REVERTED if event is None else SubmissionStatus.LANDED,
            tx=receipt.tx,
            block=await self._block(receipt),
            gas_used=receipt.gas_used,
            nonce=flight.nonce,
            attempts=len(flight.row.hashes),
            fee_wei=receipt.gas_used * receipt.price_wei,
        )
        if event is None:
            said = "no event of the gateway for this act" if receipt.succeeded else "reverted in the block"
            return _because(submission, said)
        effect = await check_effect(self.crowd, call, event, receipt.block_hash)
        alone = f"only {', '.join(landing.only_by)} confirms it" if landing.only_by else ""
        return replace(submission, effect=effect.seen, reason="; ".join(filter(None, [alone, effect.reason])))

    async def _block(self, receipt: Receipt) -> BlockRef | None:
        """The block of a receipt; None where no endpoint shows it."""

        async def ask(rpc: Rpc) -> BlockRef:
            reply = await rpc.result("eth_getBlockByHash", "0x" + receipt.block_hash.hex(), False)
            try:
                block = shapes.header(self._settings.chain, reply).block
            except ValueError as error:
                raise rpc.unavailable(f"malformed block: {error}") from None
            if block.hash != receipt.block_hash:
                raise rpc.unavailable("another block than was asked for")
            return block

        for _ in range(BLOCK_TRIES):
            found = await self.crowd.agreed(ask)
            if found is not None:
                return found[0]
            await asyncio.sleep(_RETRY_S)
        return None


async def _quantity(rpc: Rpc, method: str, *params: object, bits: int = 64) -> int:
    """One number that an endpoint tells.

    Raises:
        EndpointUnavailable: for anything else.
    """
    try:
        return shapes.quantity(await rpc.result(method, *params), bits)
    except ValueError as error:
        raise rpc.unavailable(f"{method}: {error}") from None


def _timed_out(flight: Flight) -> Submission:
    reason = "; ".join(filter(None, ["not in a block in time", flight.limit, flight.note]))
    return Submission(
        SubmissionStatus.TIMED_OUT,
        tx=flight.row.hashes[-1],
        reason=reason,
        nonce=flight.nonce,
        attempts=len(flight.row.hashes),
    )


def _because(submission: Submission, reason: str) -> Submission:
    return replace(submission, reason=reason)


@asynccontextmanager
async def _running(rounds: Rounds) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rounds.run(), name="last mile")
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def open_submitter(
    settings: ChainSettings, signer: TransactionSigner, store: SubmissionStore, *, pace: Pace | None = None
) -> AsyncIterator[EvmSubmitter]:
    """A submitter with sessions of its own; `pace` is the chain's where none is given.

    Raises:
        WrongChain: naming the operator and both chains.
        JournalError: what the store holds cannot be read.
    """
    async with AsyncExitStack() as stack:
        public = [
            await stack.enter_async_context(Rpc(settings.chain, address, settings.timeout_ms))
            for address in settings.endpoints
        ]
        private = None
        if settings.private is not None:
            rpc = Rpc(settings.chain, settings.private, settings.timeout_ms)
            private = await stack.enter_async_context(rpc)
        endpoints = Endpoints(public, private)
        submitter = EvmSubmitter(settings, signer, store, endpoints=endpoints, pace=pace)
        await stack.enter_async_context(submitter)
        await submitter.assert_chain()
        yield submitter


__all__ = ["Endpoints", "EvmSubmitter", "open_submitter"]
