"""The last mile: simulate, send to every endpoint, raise the fee while it does not land, check the effect.

A call that the simulation refuses, or that would change nothing now, costs nothing. No endpoint alone can
stop a call, fake its landing, or set its price.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Self

from adapters.evm import crowd, shapes
from adapters.evm.encode import NOOP_ANSWER, address_text, gateway_calldata
from adapters.evm.gateway_events import GATEWAY_TOPICS, LOG_ANCHORED, PLAN_SET
from adapters.evm.nonces import Nonces
from adapters.evm.quotes import Question, Quote, agree, ask_quote, combined
from adapters.evm.refusals import gateway_errors
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.shapes import Receipt
from adapters.evm.transactions import Fees, Transaction, transaction_hash
from proofs.mandate import mandate_digest
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
from relay.core.types import BlockRef

BUMP_AFTER_BLOCKS = 2
GIVE_UP_AFTER_BLOCKS = 30
MIN_WAIT_S = 20.0
SEND_ATTEMPTS = 4
"""Of one transaction at once: another nonce, or a higher fee, as the endpoints' refusal says."""
_FUNDS = "insufficient funds"
_KNOWN = ("already known", "already imported", "known transaction")
_NONCE_USED = ("nonce too low", "nonce is too low", "invalid nonce")
_UNDERPRICED = ("underpriced", "fee too low", "max fee per gas less than block base fee")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sent:
    """A transaction under way, with all its fees so far: any of its hashes may land."""

    transaction: Transaction
    hashes: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Landed:
    """The receipt that enough endpoints gave, and its block."""

    receipt: Receipt
    block: BlockRef


class EvmSubmitter:
    """The port `relay.core.ports.Submitter`. Use as an async context manager."""

    def __init__(
        self,
        settings: ChainSettings,
        signer: TransactionSigner,
        store: SubmissionStore,
        *,
        rpcs: list[Rpc],
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._store = store
        self._rpcs = rpcs
        self._nonces = Nonces()
        self._errors: Mapping[bytes, str] = gateway_errors()
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    @property
    def _sender(self) -> str:
        return "0x" + self._signer.submitter.hex()

    async def submit(self, call: GatewayCall) -> Submission:
        """Carry one call to its gateway and see what became of it."""
        question = Question(
            self._settings.chain,
            self._sender,
            address_text(call.gateway),
            gateway_calldata(call),
            self._errors,
            NOOP_ANSWER if isinstance(call, Execute) and not call.says_noop else None,
        )
        try:
            quote = await self._quote(question)
        except ChainError as error:
            return Submission(SubmissionStatus.UNAVAILABLE, reason=error.problem)
        if quote.refusal is not None:
            return Submission(SubmissionStatus.REFUSED, reason=quote.refusal)
        if quote.is_needless:
            return Submission(SubmissionStatus.NEEDLESS, reason="already protected")
        async with self._nonces.lock:
            sent = await self._send_first(question, quote)
        if isinstance(sent, Submission):
            return sent
        landed = await self._wait(sent)
        if landed is None:
            self._nonces.give_up(sent.transaction.nonce, sent.transaction.fees)
            return Submission(SubmissionStatus.TIMED_OUT, tx=sent.hashes[-1], reason="not in a block in time")
        self._nonces.landed(sent.transaction.nonce)
        return self._judged(call, landed)

    def health(self) -> tuple[EndpointHealth, ...]:
        """Each endpoint as it was lately found."""
        return tuple(EndpointHealth(rpc.operator, is_up=True) for rpc in self._rpcs)

    async def balance(self) -> int:
        """Wei that enough endpoints say the submitter holds."""

        async def ask(rpc: Rpc) -> int:
            return shapes.quantity(await rpc.result("eth_getBalance", self._sender, "latest"), 256)

        need = self._settings.need
        answers = await crowd.collect(self._rpcs, ask, lambda found: len(found) >= need)
        found = crowd.values(answers)
        if not found:
            raise crowd.none_left(self._settings.chain, crowd.problems(answers))
        return crowd.reached_by(found, need)

    # ---- before

    async def assert_chain(self) -> None:
        """Raise `WrongChain` if an endpoint that answers serves another chain."""
        expected = self._settings.chain

        async def ask(rpc: Rpc) -> str:
            return f"eip155:{shapes.quantity(await rpc.result('eth_chainId'))}"

        for answer in await crowd.collect(self._rpcs, ask, lambda _: False):
            if answer.value is not None and answer.value != expected:
                problem = f"endpoint serves {answer.value}, expected {expected}"
                raise WrongChain(expected, problem, operator=answer.operator)

    async def _quote(self, question: Question) -> Quote:
        need = self._settings.need
        answers = await crowd.collect(
            self._rpcs, lambda rpc: ask_quote(rpc, question), lambda quotes: agree(quotes, need)
        )
        quotes = crowd.values(answers)
        if not quotes:
            raise crowd.none_left(self._settings.chain, crowd.problems(answers))
        return combined(quotes, need)

    # ---- sending

    async def _send_first(self, question: Question, quote: Quote) -> _Sent | Submission:
        """Take a nonce and send; called with the nonces' lock held."""
        problem = ""
        for _ in range(SEND_ATTEMPTS):
            nonce, to_beat = self._nonces.take(quote.latest, quote.pending)
            fees = quote.fees if to_beat is None else quote.fees.at_least(to_beat.bumped())
            if quote.balance_wei < quote.gas * fees.most_wei:
                self._nonces.give_back(nonce)
                return _unfunded(quote, fees)
            sent = _Sent(self._transaction(question, nonce, fees, quote.gas))
            problem = await self._send(sent)
            if not problem:
                return sent
            self._nonces.give_back(nonce)
            if any(known in problem for known in _UNDERPRICED):
                quote = replace(quote, fees=quote.fees.bumped())
            elif any(known in problem for known in _NONCE_USED):
                self._nonces.landed(nonce)
            elif _FUNDS in problem:
                return _unfunded(quote, fees)
            else:
                break
        return Submission(SubmissionStatus.UNAVAILABLE, reason=problem)

    def _transaction(self, question: Question, nonce: int, fees: Fees, gas: int) -> Transaction:
        return Transaction(
            chain_id=int(self._settings.chain.partition(":")[2]),
            nonce=nonce,
            fees=fees,
            gas=gas,
            to=bytes.fromhex(question.to[2:]),
            data=question.data,
        )

    async def _send(self, sent: _Sent) -> str:
        """Sign and hand to every endpoint; returns at the first that takes it.

        The text of a refusal if none does.
        """
        transaction = sent.transaction
        raw = transaction.signed(await self._signer.sign_transaction(transaction.digest))
        answers: asyncio.Queue[str] = asyncio.Queue()
        for rpc in self._rpcs:
            self._spawn(_hand_over(rpc, raw, answers))
        sent.hashes.append(transaction_hash(raw))
        refusals = []
        for _ in self._rpcs:
            refusal = await answers.get()
            if not refusal:
                return ""
            refusals.append(refusal)
        sent.hashes.pop()
        return "; ".join(sorted(refusals))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- after

    async def _wait(self, sent: _Sent) -> _Landed | None:
        """Watch for a receipt; raise the fee after every two blocks without one.

        None when the time is over.
        """
        block_time_s = self._settings.block_time_ms / 1000
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + max(GIVE_UP_AFTER_BLOCKS * block_time_s, MIN_WAIT_S)
        bump_at = clock() + BUMP_AFTER_BLOCKS * block_time_s
        pause_s = min(0.02, block_time_s / 4)
        while clock() < give_up_at:
            landed = await self._landed(sent.hashes)
            if landed is not None:
                return landed
            if clock() >= bump_at:
                await self._bump(sent)
                bump_at = clock() + BUMP_AFTER_BLOCKS * block_time_s
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, max(block_time_s / 4, 0.1), 2.0)
        return None

    async def _bump(self, sent: _Sent) -> None:
        """Send the same call again for more; at the cap, the same transaction again."""
        before = sent.transaction
        sent.transaction = replace(before, fees=before.fees.bumped())
        refusal = await self._send(sent)
        _log.info(
            "transaction sent again",
            extra={
                "chain": self._settings.chain,
                "nonce": before.nonce,
                "fee_wei": sent.transaction.fees.most_wei,
                "refusal": refusal,
            },
        )
        if refusal:
            sent.transaction = before

    async def _landed(self, hashes: list[bytes]) -> _Landed | None:
        """The receipt of one of the hashes, if enough endpoints give the same one."""
        need = self._settings.need

        async def ask(rpc: Rpc) -> Receipt | str:
            return await _receipt(rpc, hashes)

        answers = await crowd.collect(
            self._rpcs, ask, lambda found: bool(found) and crowd.most_frequent(found)[1] >= need
        )
        found = crowd.values(answers)
        if not found:
            return None
        receipt, giving = crowd.most_frequent(found)
        if isinstance(receipt, str) or giving < need:
            return None
        block = await self._block(receipt)
        return None if block is None else _Landed(receipt, block)

    async def _block(self, receipt: Receipt) -> BlockRef | None:
        async def ask(rpc: Rpc) -> BlockRef:
            reply = await rpc.result("eth_getBlockByHash", "0x" + receipt.block_hash.hex(), False)
            try:
                return shapes.header(self._settings.chain, reply).block
            except ValueError as error:
                raise rpc.unavailable(f"malformed block: {error}") from None

        need = self._settings.need
        answers = await crowd.collect(
            self._rpcs, ask, lambda found: bool(found) and crowd.most_frequent(found)[1] >= need
        )
        found = [block for block in crowd.values(answers) if block.hash == receipt.block_hash]
        return crowd.most_frequent(found)[0] if found else None

    def _judged(self, call: GatewayCall, landed: _Landed) -> Submission:
        receipt = landed.receipt
        reason = ""
        if not receipt.succeeded:
            reason = "reverted in the block"
        elif not any(_is_effect(log, call) for log in receipt.logs):
            reason = "no event of the gateway for this act"
        status = SubmissionStatus.REVERTED if reason else SubmissionStatus.LANDED
        return Submission(status, tx=receipt.tx, block=landed.block, gas_used=receipt.gas_used, reason=reason)


def _unfunded(quote: Quote, fees: Fees) -> Submission:
    needed = quote.gas * fees.most_wei
    return Submission(
        SubmissionStatus.UNFUNDED, reason=f"expected {needed} wei, the submitter holds {quote.balance_wei}"
    )


def _is_effect(log: shapes.Log, call: GatewayCall) -> bool:
    """Whether a log is the gateway's word on this act, under this mandate where there is one."""
    if log.address != address_text(call.gateway) or len(log.topics) < 3:
        return False
    if isinstance(call, AnchorLog):
        return log.topics[:3] == (LOG_ANCHORED, call.incident_id, call.origin)
    if log.topics[0] not in GATEWAY_TOPICS:
        return False
    if log.topics[0] == PLAN_SET or log.topics[2] != call.act_id:
        return False
    return not isinstance(call, Execute) or log.topics[1] in (mandate_digest(call.mandate), bytes(32))


async def _hand_over(rpc: Rpc, raw: bytes, answers: asyncio.Queue[str]) -> None:
    """Put the refusal, or nothing where the endpoint took it (or had it already)."""
    try:
        (reply,) = await rpc.replies([Request("eth_sendRawTransaction", ["0x" + raw.hex()])])
    except ChainError as error:
        answers.put_nowait(f"{rpc.operator}: {error.problem}")
        return
    text = reply.text.lower() if isinstance(reply, RpcError) else ""
    answers.put_nowait("" if any(known in text for known in _KNOWN) else text)


async def _receipt(rpc: Rpc, hashes: list[bytes]) -> Receipt | str:
    """The receipt of the hash that landed, or `pending`."""
    replies = await rpc.replies([Request("eth_getTransactionReceipt", ["0x" + tx.hex()]) for tx in hashes])
    try:
        receipts = [
            shapes.receipt(reply)
            for reply in replies
            if reply is not None and not isinstance(reply, RpcError)
        ]
    except ValueError as error:
        raise rpc.unavailable(f"malformed receipt: {error}") from None
    return receipts[0] if receipts else "pending"


@asynccontextmanager
async def open_submitter(
    settings: ChainSettings, signer: TransactionSigner, store: SubmissionStore
) -> AsyncIterator[EvmSubmitter]:
    """A submitter with sessions of its own.

    Raises:
        WrongChain: naming the operator and both chains.
    """
    async with AsyncExitStack() as stack:
        rpcs = [
            await stack.enter_async_context(Rpc(settings.chain, address, settings.timeout_ms))
            for address in settings.endpoints
        ]
        submitter = await stack.enter_async_context(EvmSubmitter(settings, signer, store, rpcs=rpcs))
        await submitter.assert_chain()
        yield submitter


__all__ = ["EvmSubmitter", "open_submitter"]
