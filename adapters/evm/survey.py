"""Asking one endpoint what it offers (SPEC 8.4): at most 20 bodies, none of which changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.evm import shapes
from adapters.evm.endpoint import open_endpoint
from adapters.evm.rpc import Request, Rpc, RpcError
from relay.core.errors import ChainError
from relay.core.ports import ChainSettings, EndpointAddress, FeeKind
from relay.core.survey import EndpointSurvey
from relay.core.types import Caip2

__all__ = ["BATCHES", "LOG_RANGES", "survey_endpoint"]

LOG_RANGES = (100, 500, 1_000, 2_000, 5_000, 10_000)
BATCHES = (10, 50, 100)
BLOCKS_TIMED = 256
_NOBODY = "0x" + "00" * 19 + "f1"
_NO_TOPIC = "0x" + "f1" * 32
_ANSWER_42 = "0x602a60005260206000f3"
"""Code that returns the word 42."""
_WORD_42 = "0x" + (42).to_bytes(32, "big").hex()
_SECONDS = 1_000


@dataclass(slots=True)
class _Asker:
    """An endpoint and how many requests it got."""

    rpc: Rpc
    requests: int = 0

    async def one(self, method: str, *parameters: object) -> object:
        """The result, or the endpoint's error as a value."""
        self.requests += 1
        (reply,) = await self.rpc.replies([Request(method, parameters)])
        return reply


async def survey_endpoint(chain: Caip2, address: EndpointAddress, timeout_ms: int) -> EndpointSurvey:
    """Ask it everything; an endpoint that gives no usable answer is a survey with a problem."""
    async with Rpc(chain, address, timeout_ms) as rpc:
        asker = _Asker(rpc)
        try:
            survey = await _survey(asker, address)
        except ChainError as error:
            return EndpointSurvey(address.operator, error.problem, requests=asker.requests)
        except ValueError as error:
            return EndpointSurvey(address.operator, f"malformed answer: {error}", requests=asker.requests)
        if survey.chain != chain:
            problem = f"serves {survey.chain}, expected {chain}"
            return EndpointSurvey(address.operator, problem, chain=survey.chain, requests=asker.requests)
        subscribes = await _subscribes(chain, address, timeout_ms)
        return replace(survey, subscribes=subscribes, requests=asker.requests)


async def _survey(asker: _Asker, address: EndpointAddress) -> EndpointSurvey:
    served = Caip2(f"eip155:{shapes.quantity(_needed(await asker.one('eth_chainId')))}")
    head = shapes.mapping(_needed(await asker.one("eth_getBlockByNumber", "latest", False)))
    number = shapes.quantity(head.get("number"))
    software = await asker.one("web3_clientVersion")
    log_range, is_bound = await _log_range(asker, number)
    return EndpointSurvey(
        operator=address.operator,
        chain=served,
        software=software[:64] if isinstance(software, str) and software.isprintable() else "",
        head=number,
        block_time_ms=await _block_time_ms(asker, number, shapes.quantity(head.get("timestamp"))),
        finality=await _finality(asker, number),
        fees=FeeKind.LEGACY if head.get("baseFeePerGas") is None else FeeKind.EIP1559,
        log_range=log_range,
        log_range_is_bound=is_bound,
        batch=await _batch(asker),
        simulation=await _simulation(asker),
    )


def _needed(reply: object) -> object:
    if isinstance(reply, RpcError):
        raise ValueError(reply.text)  # noqa: TRY004 one error for all shapes
    return reply


async def _block_time_ms(asker: _Asker, number: int, timestamp: int) -> int:
    """The mean over the newest blocks; 0 where the chain has one block only."""
    first = max(0, number - BLOCKS_TIMED)
    if first == number:
        return 0
    reply = await asker.one("eth_getBlockByNumber", hex(first), False)
    past = shapes.quantity(shapes.mapping(_needed(reply)).get("timestamp"))
    return _SECONDS * (timestamp - past) // (number - first)


async def _finality(asker: _Asker, head: int) -> tuple[tuple[str, int], ...]:
    """The tags that name a block, and how far behind the head; a tag at the genesis block names none."""
    found: list[tuple[str, int]] = []
    for tag in ("finalized", "safe"):
        reply = await asker.one("eth_getBlockByNumber", tag, False)
        if isinstance(reply, dict):
            number = shapes.quantity(reply.get("number"))
            if number:
                found.append((tag, max(0, head - number)))
    return tuple(found)


async def _log_range(asker: _Asker, head: int) -> tuple[int, bool]:
    """The widest of `LOG_RANGES` that it takes, as far as the chain goes, and whether it refused the next."""
    widest = 0
    for blocks in LOG_RANGES:
        if widest and blocks > head + 1:
            return widest, False
        bounds = {"fromBlock": hex(max(0, head - blocks + 1)), "toBlock": hex(head)}
        try:
            reply = await asker.one("eth_getLogs", {**bounds, "address": _NOBODY, "topics": [_NO_TOPIC]})
        except ChainError:
            return widest, True
        if isinstance(reply, RpcError):
            return widest, True
        widest = blocks
    return widest, False


async def _batch(asker: _Asker) -> int:
    """The most requests in one body that are all answered."""
    most = 1
    for size in BATCHES:
        asker.requests += 1
        try:
            replies = await asker.rpc.replies([Request("eth_chainId", []) for _ in range(size)])
        except ChainError:
            return most
        if any(isinstance(reply, RpcError) for reply in replies):
            return most
        most = size
    return most


async def _simulation(asker: _Asker) -> str:
    """`blocks`, `overrides` or `calls`: how an act can be tried there (SPEC 8.2)."""
    call = {"to": _NOBODY, "data": "0x"}
    overrides = {_NOBODY: {"code": _ANSWER_42}}
    blocks: Sequence[object] = [{"stateOverrides": overrides, "calls": [call]}]
    try:
        if _simulated(await asker.one("eth_simulateV1", {"blockStateCalls": blocks}, "latest")) == _WORD_42:
            return "blocks"
        return "overrides" if await asker.one("eth_call", call, "latest", overrides) == _WORD_42 else "calls"
    except ChainError:
        return "calls"


def _simulated(reply: object) -> object:
    """What the one call in the one block returned; None for any other answer."""
    try:
        (block,) = shapes.sequence(reply)
        (call,) = shapes.sequence(shapes.mapping(block).get("calls"))
        return shapes.mapping(call).get("returnData")
    except ValueError:
        return None


async def _subscribes(chain: Caip2, address: EndpointAddress, timeout_ms: int) -> bool | None:
    """Whether new heads come by WebSocket; None where no address for it is known."""
    if address.websocket_url is None:
        return None
    settings = ChainSettings(chain, (address,), need=1, timeout_ms=timeout_ms)
    async with open_endpoint(settings, address) as endpoint:
        try:
            async with asyncio.timeout(timeout_ms / _SECONDS):
                async for _ in endpoint.heads():
                    return True
        except (ChainError, TimeoutError):
            return False
    return False
