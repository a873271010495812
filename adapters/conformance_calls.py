"""What every submitter does: calls land once, refusals cost nothing, what a call did can be proved."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from adapters.conformance_chain import WAIT_S, ConformanceChain, error_of, opened, queries
from proofs.kinds import Digest
from proofs.receipts import open_receipt
from relay.core.errors import EndpointUnavailable
from relay.core.observations import GatewayEventKind
from relay.core.ports import Execute, Expire, Submission, SubmissionStatus
from relay.core.types import ActId

__all__ = [
    "check_a_restart_sends_nothing_twice",
    "check_acts_are_told_apart",
    "check_an_empty_purse_is_told",
    "check_calls_land",
    "check_receipts_prove_themselves",
    "check_refusals_cost_nothing",
]


async def check_calls_land(chain: ConformanceChain) -> None:
    """A call lands, is told with its block and cost, and is read back as the gateway's event."""
    for call, kind in ((chain.execute(), GatewayEventKind.STARTED), (chain.expire(), GatewayEventKind.ENDED)):
        submission = await _submitted(chain, call)
        assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"
        assert submission.block is not None
        assert submission.tx is not None
        async with opened(chain) as endpoint:
            (header,) = await endpoint.headers(submission.block.number, submission.block.number)
            (reads,) = await endpoint.observe([header], queries(chain))
        (event,) = (event for event in reads.gateway_events if event.tx == submission.tx)
        assert (event.kind, event.act_id) == (kind, call.act_id)
        assert event.gas_used == submission.gas_used > 0


async def _submitted(chain: ConformanceChain, call: Execute | Expire) -> Submission:
    """Submit, and make blocks until it is over."""
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(call))
            while not task.done():
                await chain.advance(1)
                await asyncio.wait([task], timeout=0.1)
        return task.result()


async def check_receipts_prove_themselves(chain: ConformanceChain) -> None:
    """What a call did is proved from its block's hash, or the endpoint says that it cannot."""
    submission = await _submitted(chain, chain.execute())
    assert submission.block is not None, f"expected it to land, got {submission}"
    assert submission.tx is not None
    unknown = replace(submission.block, hash=Digest(b"\x5a" * 32))
    async with opened(chain) as endpoint:
        error = await error_of(endpoint.receipt_proof(unknown, submission.tx))
        assert isinstance(error, EndpointUnavailable), f"expected EndpointUnavailable, got {error!r}"
        try:
            proof = await endpoint.receipt_proof(submission.block, submission.tx)
        except EndpointUnavailable:
            return
    _, receipt = open_receipt(proof, submission.block.hash)
    assert receipt.succeeded, "the receipt of a call that landed says that it failed"


async def check_refusals_cost_nothing(chain: ConformanceChain) -> None:
    """A call that the gateway refuses is not sent."""
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        before = await submitter.balance()
        submission = await submitter.submit(chain.refused())
        await chain.advance(1)
        assert await submitter.balance() == before
    assert submission.status is SubmissionStatus.REFUSED, f"expected a refusal, got {submission}"
    assert submission.tx is None
    assert submission.reason, "a refusal has a reason"


async def check_an_empty_purse_is_told(chain: ConformanceChain) -> None:
    """Without funds nothing is sent, and the status says so."""
    await chain.empty_purse()
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        assert await submitter.balance() == 0
        submission = await submitter.submit(chain.execute())
    assert submission.status is SubmissionStatus.UNFUNDED, f"expected no funds, got {submission}"


async def check_acts_are_told_apart(chain: ConformanceChain) -> None:
    """Two acts of one gateway land under their own ids."""
    second = replace(chain.execute(), act_id=ActId(b"\x0b" * 32))
    submission = await _submitted(chain, second)
    assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"


async def check_a_restart_sends_nothing_twice(chain: ConformanceChain) -> None:
    """A submitter that ends before its call landed leaves it in the store; the next one lands it, once."""
    call = chain.execute()
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        before = await submitter.balance()
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(call))
            while not await chain.store.rows():  # noqa: ASYNC110 the store tells nobody
                await asyncio.sleep(0.01)
            task.cancel()
    submission = await _submitted(chain, call)
    assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        assert await submitter.balance() == before - submission.fee_wei, "expected to pay for it once"
