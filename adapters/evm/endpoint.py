"""One RPC endpoint of an EVM chain: reads by block hash, new heads by WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from adapters.evm import shapes
from adapters.evm.reads import CompiledQueries, block_reads, compile_queries, gateway_transactions
from adapters.evm.receipts import fetch_receipt_proof
from adapters.evm.rpc import Request, Rpc, RpcError, read_json
from adapters.evm.state import StateQueries, state_values
from proofs.receipts import ReceiptProof
from relay.core.errors import ConfigError, WrongChain
from relay.core.observations import BlockReads, CallValue, ChainQueries
from relay.core.ports import ChainSettings, EndpointAddress
from relay.core.types import BlockRef, Caip2, Header

Parsed = TypeVar("Parsed")

MAX_FRAME_BYTES = 1 << 20
HEARTBEAT_S = 20.0
"""A WebSocket whose peer vanished without a word is dead after this and half of it again."""
MAX_DEPTH = 100_000


def parse_finality(text: str) -> int | None:
    """`depth:N` as N; None for a block tag that the endpoint knows (`finalized`, `safe`)."""
    if text in ("finalized", "safe"):
        return None
    kind, _, depth = text.partition(":")
    if kind != "depth" or not depth.isdecimal() or int(depth) > MAX_DEPTH:
        raise ConfigError(
            "finality", f"expected finalized, safe or depth:N with N up to {MAX_DEPTH}, got {text!r}"
        )
    return int(depth)


class EvmEndpoint:
    """The port `relay.core.ports.Endpoint` over JSON-RPC."""

    def __init__(self, settings: ChainSettings, address: EndpointAddress, rpc: Rpc) -> None:
        self.operator = address.operator
        self._settings = settings
        self._websocket_url = address.websocket_url
        self._rpc = rpc
        self._depth = parse_finality(settings.finality)
        self._compiled: tuple[ChainQueries, CompiledQueries] | None = None
        self._chain_is_right = False

    async def chain(self) -> Caip2:
        return Caip2(f"eip155:{self._parsed(shapes.quantity, await self._rpc.result('eth_chainId'))}")

    async def assert_chain(self) -> None:
        """Raise `WrongChain` unless this endpoint serves the configured chain; asked once."""
        if self._chain_is_right:
            return
        actual = await self.chain()
        if actual != self._settings.chain:
            raise WrongChain(
                self._settings.chain,
                f"endpoint serves {actual}, expected {self._settings.chain}",
                operator=self.operator,
            )
        self._chain_is_right = True

    async def head(self) -> Header:
        return await self._tagged("latest")

    async def finalized(self) -> Header:
        if self._depth is None:
            return await self._tagged(self._settings.finality)
        await self.assert_chain()
        newest = self._parsed(shapes.quantity, await self._rpc.result("eth_blockNumber"))
        return await self._tagged(hex(max(0, newest - self._depth)))

    async def headers(self, first: int, last: int) -> tuple[Header, ...]:
        await self.assert_chain()
        replies = await self._rpc.replies([_block_request(hex(number)) for number in range(first, last + 1)])
        found: list[Header] = []
        for number, reply in zip(range(first, last + 1), replies, strict=True):
            if reply is None:
                break
            header = self._header(reply)
            if header.block.number != number or (found and header.parent != found[-1].block.hash):
                raise self._rpc.unavailable(f"block {number} does not stand on the one before it")
            found.append(header)
        return tuple(found)

    async def observe(self, headers: Sequence[Header], queries: ChainQueries) -> tuple[BlockReads, ...]:
        await self.assert_chain()
        compiled = self._compile(queries)
        if len(headers) == 1:
            return (await self._observe_one(headers[0], compiled),)
        reads: list[BlockReads] = []
        for run in _runs(headers, self._settings.log_range):
            reads += await self._observe_run(run, compiled)
        return tuple(reads)

    async def receipt_proof(self, block: BlockRef, tx: bytes) -> ReceiptProof:
        await self.assert_chain()
        return await fetch_receipt_proof(self._rpc, block, tx)

    async def heads(self) -> AsyncIterator[Header]:
        if self._websocket_url is None:
            raise self._rpc.unavailable("no WebSocket configured")
        await self.assert_chain()
        try:
            async with self._rpc.session.ws_connect(
                self._websocket_url, heartbeat=HEARTBEAT_S, max_msg_size=MAX_FRAME_BYTES
            ) as socket:
                for id_, request in enumerate((_SUBSCRIBE, _block_request("latest")), start=1):
                    await socket.send_json(
                        {"jsonrpc": "2.0", "id": id_, "method": request.method, "params": request.params}
                    )
                async for message in socket:
                    header = self._pushed(message)
                    if header is not None:
                        yield header
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self._rpc.unavailable(f"subscription failed ({type(error).__name__})") from None
        raise self._rpc.unavailable("the subscription ended")

    # ---- one block, by hash: one round trip, a second one only where a gateway spoke

    async def _observe_one(self, header: Header, queries: CompiledQueries) -> BlockReads:
        requests = [_block_request(hex(header.block.number))]
        if queries.addresses:
            requests.append(queries.log_filter({"blockHash": "0x" + header.block.hash.hex()}))
        state, state_start = queries.state_at(header), len(requests)
        requests += [question.at(header) for question in state.questions]
        replies = await self._rpc.replies(requests)
        self._assert_canonical(header, replies[0])
        logs = self._logs(replies[1]) if queries.addresses else ()
        if any(log.block_hash != header.block.hash for log in logs):
            raise self._rpc.unavailable("a log of another block")
        calls = self._state(state, replies[state_start:])
        gas = await self._gas_used({header.block.hash: gateway_transactions(queries, logs)})
        return block_reads(header, queries, logs, calls, gas)

    # ---- many blocks: one log query for the range

    async def _observe_run(self, run: Sequence[Header], queries: CompiledQueries) -> list[BlockReads]:
        logs = await self._range_logs(run, queries) if queries.addresses else []
        replies = await self._rpc.replies(
            [question.at(header) for header in run for question in queries.state_at(header).questions]
        )
        by_block: dict[bytes, list[shapes.Log]] = {header.block.hash: [] for header in run}
        for log in logs:
            if log.block_hash not in by_block:
                raise self._rpc.unavailable("a log of another block")
            by_block[log.block_hash].append(log)
        wanted = {hash_: gateway_transactions(queries, found) for hash_, found in by_block.items()}
        gas = await self._gas_used(wanted)
        # The range was asked by number: that its last block is still the one asked for, after the logs were
        # read, binds the whole run, block by block through the parents, to the hashes.
        (last,) = await self._rpc.replies([_block_request(hex(run[-1].block.number))])
        self._assert_canonical(run[-1], last)
        reads: list[BlockReads] = []
        place = 0
        for header in run:
            state = queries.state_at(header)
            calls = self._state(state, replies[place : place + len(state.questions)])
            place += len(state.questions)
            reads.append(block_reads(header, queries, by_block[header.block.hash], calls, gas))
        return reads

    async def _range_logs(self, run: Sequence[Header], queries: CompiledQueries) -> list[shapes.Log]:
        """The logs of a run; halves it where the endpoint refuses (providers cap range and number of
        results).
        """
        bounds = {"fromBlock": hex(run[0].block.number), "toBlock": hex(run[-1].block.number)}
        (reply,) = await self._rpc.replies([queries.log_filter(bounds)])
        if not isinstance(reply, RpcError):
            return list(self._logs(reply))
        if len(run) == 1:
            raise self._rpc.unavailable(f"eth_getLogs: {reply.text}")
        middle = len(run) // 2
        return await self._range_logs(run[:middle], queries) + await self._range_logs(run[middle:], queries)

    def _compile(self, queries: ChainQueries) -> CompiledQueries:
        if self._compiled is None or self._compiled[0] != queries:
            self._compiled = (queries, compile_queries(queries))
        return self._compiled[1]

    # ---- parts

    async def _gas_used(self, wanted: dict[bytes, tuple[bytes, ...]]) -> dict[bytes, int]:
        """Gas by transaction, from receipts of the very blocks asked for."""
        pairs = [(block, tx) for block, txs in wanted.items() for tx in txs]
        replies = await self._rpc.replies(
            [Request("eth_getTransactionReceipt", ["0x" + tx.hex()]) for _, tx in pairs]
        )
        gas: dict[bytes, int] = {}
        for (block, tx), reply in zip(pairs, replies, strict=True):
            receipt = self._parsed(shapes.receipt, reply)
            if receipt.tx != tx or receipt.block_hash != block:
                raise self._rpc.unavailable("a receipt of another block")
            gas[tx] = receipt.gas_used
        return gas

    async def _tagged(self, tag: str) -> Header:
        await self.assert_chain()
        return self._header(await self._rpc.result("eth_getBlockByNumber", tag, False))

    def _assert_canonical(self, header: Header, reply: object) -> None:
        if reply is None or self._header(reply) != header:
            raise self._rpc.unavailable(f"block {header.block.number} is not the one asked for")

    def _header(self, reply: object) -> Header:
        if isinstance(reply, RpcError):
            raise self._rpc.unavailable(f"eth_getBlockByNumber: {reply.text}")
        try:
            return shapes.header(self._settings.chain, reply)
        except ValueError as error:
            raise self._rpc.unavailable(f"malformed block: {error}") from None

    def _logs(self, reply: object) -> tuple[shapes.Log, ...]:
        if isinstance(reply, RpcError):
            raise self._rpc.unavailable(f"eth_getLogs: {reply.text}")
        try:
            return tuple(shapes.log(entry) for entry in shapes.sequence(reply))
        except ValueError as error:
            raise self._rpc.unavailable(f"malformed log: {error}") from None

    def _state(self, state: StateQueries, replies: list[object]) -> tuple[CallValue, ...]:
        try:
            return state_values(state, replies)
        except ValueError as error:
            raise self._rpc.unavailable(str(error)) from None

    def _parsed(self, parse: Callable[[object], Parsed], reply: object) -> Parsed:
        if isinstance(reply, RpcError):
            raise self._rpc.unavailable(reply.text)
        try:
            return parse(reply)
        except ValueError as error:
            raise self._rpc.unavailable(f"malformed answer: {error}") from None

    def _pushed(self, message: aiohttp.WSMessage) -> Header | None:
        """The header in a frame: the newest block's at first, then each new one; None for any other frame."""
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise self._rpc.unavailable("malformed frame in a subscription")
        try:
            frame = shapes.mapping(read_json(message.data.encode()))
            if frame.get("error") is not None:
                raise self._rpc.unavailable("subscription refused")
            if frame.get("method") == "eth_subscription":
                return shapes.header(self._settings.chain, shapes.mapping(frame.get("params")).get("result"))
            is_newest = frame.get("id") == _NEWEST_ID
            return shapes.header(self._settings.chain, frame.get("result")) if is_newest else None
        except ValueError:
            raise self._rpc.unavailable("malformed frame in a subscription") from None


_SUBSCRIBE = Request("eth_subscribe", ["newHeads"])
_NEWEST_ID = 2


def _block_request(tag: str) -> Request:
    return Request("eth_getBlockByNumber", [tag, False])


def _runs(headers: Sequence[Header], most: int) -> Iterator[Sequence[Header]]:
    """Cut into runs of consecutive blocks, each on the one before, of at most `most`."""
    start = 0
    for place in range(1, len(headers) + 1):
        follows = place < len(headers) and headers[place].parent == headers[place - 1].block.hash
        if not follows or place - start == most:
            yield headers[start:place]
            start = place


@asynccontextmanager
async def open_endpoint(settings: ChainSettings, address: EndpointAddress) -> AsyncIterator[EvmEndpoint]:
    """An endpoint with a session of its own; asks nothing yet."""
    async with Rpc(settings.chain, address, settings.timeout_ms) as rpc:
        yield EvmEndpoint(settings, address, rpc)


__all__ = ["EvmEndpoint", "open_endpoint", "parse_finality"]
