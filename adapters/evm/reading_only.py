"""A door to an endpoint through which only reads pass (SPEC 8.3).

A forked development chain is started with the address of this door: nothing that it is told to send can leave
this machine, and the endpoint's address, which may hold a key, is on no command line.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from adapters.evm.rpc import MAX_ANSWER_BYTES, MAX_BATCH

__all__ = ["READS", "Door", "open_door"]

READS = frozenset(
    {
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_getAccount",
        "eth_getAccountInfo",
        "eth_getBalance",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getCode",
        "eth_getLogs",
        "eth_getProof",
        "eth_getStorageAt",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_getUncleCountByBlockHash",
        "eth_maxPriorityFeePerGas",
        "eth_syncing",
        "net_version",
        "web3_clientVersion",
    }
)
MAX_BODY_BYTES = 1 << 20
_METHOD_NOT_FOUND = -32601


class Door:
    """The listener; `refused` counts what was no read, `passed` the bodies that went through."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.port = 0
        self.passed = 0
        self.refused = 0
        self._url = url
        self._session = session

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        """Pass a body of reads on, or refuse all of it."""
        body = await request.read()
        wrong = _first_other(body)
        if wrong is not None:
            self.refused += 1
            error = {"code": _METHOD_NOT_FOUND, "message": f"only reads pass here, got {wrong[:80]!r}"}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error})
        self.passed += 1
        headers = {"content-type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.content.read(MAX_ANSWER_BYTES)
                return web.Response(body=content, status=response.status, content_type="application/json")
        except (TimeoutError, aiohttp.ClientError, OSError):
            return web.Response(status=502)


def _first_other(body: bytes) -> str | None:
    """The first method that is no read; None where all are."""
    try:
        calls = json.loads(body)
    except (ValueError, RecursionError):
        return "no JSON"
    entries = calls if isinstance(calls, list) else [calls]
    if not 0 < len(entries) <= MAX_BATCH:
        return f"{len(entries)} calls in one body"
    for entry in entries:
        method = entry.get("method") if isinstance(entry, dict) else None
        if method not in READS:
            return str(method)
    return None


@asynccontextmanager
async def open_door(url: str, timeout_ms: int) -> AsyncIterator[Door]:
    """Serve on a free port of 127.0.0.1 until the end of the block."""
    timeout = aiohttp.ClientTimeout(total=timeout_ms / 1_000)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        door = Door(url, session)
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post("/", door.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            door.port = runner.addresses[0][1]
            yield door
        finally:
            await runner.cleanup()
