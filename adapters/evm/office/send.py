"""Sending an owner's call from an account of one's own: for development chains, one call after the other."""

from __future__ import annotations

import asyncio

from adapters.evm import shapes
from adapters.evm.abi import parse_address
from adapters.evm.fees import FeePolicy, Fees, Market
from adapters.evm.refusals import gateway_errors, refusal_reason
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.transactions import Transaction, transaction_hash
from relay.core.office import OwnerCall, Sent
from relay.core.ports import ChainSettings, FeeKind, TransactionSigner
from relay.core.types import Caip2

POLL_S = 0.2
RECEIPT_S = 120.0


async def assert_chain(rpc: Rpc, chain: Caip2) -> None:
    """Raise `EndpointUnavailable` unless the endpoint serves `chain`."""
    served = await _quantity(rpc, Request("eth_chainId", []))
    if f"eip155:{served}" != chain:
        raise rpc.unavailable(f"it serves eip155:{served}, expected {chain}")


async def next_nonce(rpc: Rpc, account: str) -> int:
    return await _quantity(rpc, Request("eth_getTransactionCount", [account, "pending"]))


async def send(rpc: Rpc, settings: ChainSettings, signer: TransactionSigner, call: OwnerCall) -> Sent:
    """Send one call and wait for its receipt.

    What the simulation refuses is not sent.
    """
    await assert_chain(rpc, call.chain)
    sender = "0x" + signer.submitter.hex()
    request: dict[str, str] = {"from": sender, "data": "0x" + call.data.hex()}
    if call.to is not None:
        request["to"] = call.to
    (estimate,) = await rpc.replies([Request("eth_estimateGas", [request])])
    if isinstance(estimate, RpcError):
        return Sent(None, False, 0, refusal_reason(estimate, gateway_errors()))
    transaction = Transaction(
        chain_id=int(call.chain.partition(":")[2]),
        nonce=await next_nonce(rpc, sender),
        fees=await _fees(rpc, settings),
        gas=_parsed(rpc, estimate) * 5 // 4,
        to=b"" if call.to is None else parse_address(call.to, "to"),
        data=call.data,
        kind=settings.fees,
    )
    raw = transaction.signed(await signer.sign_transaction(transaction.digest))
    await rpc.result("eth_sendRawTransaction", "0x" + raw.hex())
    return await _landed(rpc, raw)


async def _fees(rpc: Rpc, settings: ChainSettings) -> Fees:
    policy = FeePolicy.of(settings)
    if settings.fees is FeeKind.LEGACY:
        return policy.starting(Market(await _quantity(rpc, Request("eth_gasPrice", []), 256), 0))
    block = shapes.mapping(await rpc.result("eth_getBlockByNumber", "latest", False))
    base = _parsed(rpc, block.get("baseFeePerGas"), 256)
    tip = await _quantity(rpc, Request("eth_maxPriorityFeePerGas", []), 256)
    return policy.starting(Market(base, tip))


async def _landed(rpc: Rpc, raw: bytes) -> Sent:
    tx = transaction_hash(raw)
    try:
        async with asyncio.timeout(RECEIPT_S):
            while (answer := await rpc.result("eth_getTransactionReceipt", "0x" + tx.hex())) is None:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise rpc.unavailable(f"no receipt of 0x{tx.hex()} within {RECEIPT_S:.0f} s") from None
    try:
        receipt = shapes.receipt(answer)
    except ValueError as error:
        raise rpc.unavailable(f"malformed receipt: {error}") from None
    return Sent(tx, receipt.succeeded, receipt.gas_used, "" if receipt.succeeded else "reverted")


async def _quantity(rpc: Rpc, request: Request, bits: int = 64) -> int:
    return _parsed(rpc, await rpc.result(request.method, *request.params), bits)


def _parsed(rpc: Rpc, value: object, bits: int = 64) -> int:
    try:
        return shapes.quantity(value, bits)
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


__all__ = ["assert_chain", "next_nonce", "send"]
