"""A small RPC proxy that can misbehave: an operator of its own for tests and the demonstration.

    python -m adapters.evm.proxy --upstream http://127.0.0.1:8545 [--listen 127.0.0.1:0] [--count 3]

prints one JSON line with the URLs and serves until it is stopped. `--mode lie-logs` lets it begin with a lie,
`POST /mode` with `{"mode": "lie-logs"}` switches. An honest proxy passes bytes through unread.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from aiohttp import web

from proofs.hashes import keccak256

MAX_BODY_BYTES = 8 << 20
LIE_BLOCKS = 1_000
_HASH_LIE = "0x" + "1e" * 32


class Mode(StrEnum):
    """How a proxy behaves."""

    HONEST = "honest"
    LIE_LOGS = "lie-logs"
    """Tells that nothing was logged."""
    LIE_HEAD = "lie-head"
    """Tells of a head far above the real one."""
    LIE_CALLS = "lie-calls"
    """Tells that every call answered 1."""
    LIE_STATE = "lie-state"
    """Tells another balance, slot and code than there is."""
    LIE_HEADERS = "lie-headers"
    """Tells another hash for every block."""
    WRONG_CHAIN = "wrong-chain"
    DELAY = "delay"
    """Answers late."""
    HANG = "hang"
    """Answers nothing until another mode is set."""
    DROP = "drop"
    """Closes every connection without an answer."""
    REFUSE = "refuse"
    """Answers 503."""
    SWALLOW_SENDS = "swallow-sends"
    """Takes every transaction, tells its hash, and forgets it."""
    LIE_RECEIPTS = "lie-receipts"
    """Tells that every transaction it is asked about stands in a block."""
    LIE_NONCES = "lie-nonces"
    """Tells that accounts have sent many more transactions than they have."""
    HIDE_RECEIPTS = "hide-receipts"
    """Tells that no transaction is in a block."""
    HOLD_SENDS = "hold-sends"
    """Keeps every transaction, unsent and unanswered, until another mode is set."""
    HOLD_ANSWERS = "hold-answers"
    """Passes every transaction on, and keeps the answer until another mode is set."""


_LYING = (
    Mode.LIE_LOGS,
    Mode.LIE_HEAD,
    Mode.LIE_CALLS,
    Mode.LIE_STATE,
    Mode.LIE_HEADERS,
    Mode.WRONG_CHAIN,
    Mode.LIE_RECEIPTS,
    Mode.LIE_NONCES,
    Mode.HIDE_RECEIPTS,
)
_SEND = b"eth_sendRawTransaction"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Where a proxy stands and what is behind it; port 0 lets the system choose."""

    upstream: str
    host: str = "127.0.0.1"
    port: int = 0
    mode: Mode = Mode.HONEST
    delay_ms: int = 2_000


class RpcProxy:
    """One listener in front of one upstream. `mode` may be set at any time."""

    def __init__(self, settings: ProxySettings, session: aiohttp.ClientSession) -> None:
        self._mode = settings.mode
        self._free = asyncio.Event()
        """Set, and replaced, whenever the mode changes."""
        self.sends = 0
        """Transactions handed in so far."""
        self.held = 0
        """Of them those whose sender waits because of a holding mode."""
        self.port = 0
        self.requests = 0
        """HTTP bodies and subscriptions so far."""
        self._settings = settings
        self._session = session
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._free.set()
        self._free = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://{self._settings.host}:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{self._settings.host}:{self.port}"

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post("/", self._post)
        application.router.add_get("/", self._websocket)
        application.router.add_post("/mode", self._switch)
        application.router.add_get("/state", self._state)
        application.on_shutdown.append(self._close_sockets)
        return application

    async def _close_sockets(self, _: web.Application) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def _switch(self, request: web.Request) -> web.Response:
        try:
            self.mode = Mode((await request.json())["mode"])
        except (KeyError, TypeError, ValueError):
            return web.json_response({"error": f"expected a mode of {', '.join(Mode)}"}, status=400)
        return web.json_response({"mode": self.mode})

    async def _state(self, _: web.Request) -> web.Response:
        """What a test in another process waits for: how many transactions came, how many are held."""
        return web.json_response({"mode": self.mode, "sends": self.sends, "held": self.held})

    async def _hold(self, mode: Mode) -> None:
        """Wait while `mode` lasts."""
        self.held += 1
        try:
            while self.mode is mode:
                await self._free.wait()
        finally:
            self.held -= 1

    async def _misbehaviour(self, request: web.Request) -> web.Response | None:
        if self.mode is Mode.DELAY:
            await asyncio.sleep(self._settings.delay_ms / 1000)
        elif self.mode is Mode.HANG:
            await self._hold(Mode.HANG)
        elif self.mode is Mode.DROP:
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        elif self.mode is Mode.REFUSE:
            return web.Response(status=503)
        return None

    async def _post(self, request: web.Request) -> web.Response:
        self.requests += 1
        refusal = await self._misbehaviour(request)
        if refusal is not None:
            return refusal
        body = await request.read()
        is_send = _SEND in body
        if is_send:
            self.sends += 1
            if self.mode is Mode.SWALLOW_SENDS:
                return web.json_response(_swallowed(body))
            if self.mode is Mode.HOLD_SENDS:
                await self._hold(Mode.HOLD_SENDS)
                if request.transport is None or request.transport.is_closing():
                    return web.Response(status=503)  # whoever sent it is gone, and it was never passed on
        headers = {"content-type": "application/json"}
        try:
            async with self._session.post(self._settings.upstream, data=body, headers=headers) as response:
                answer = await response.read()
        except aiohttp.ClientError:
            return web.Response(status=502)
        if is_send and self.mode is Mode.HOLD_ANSWERS:
            await self._hold(Mode.HOLD_ANSWERS)
        return web.Response(body=distort(self.mode, body, answer), headers=headers, status=response.status)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        refusal = await self._misbehaviour(request)
        if refusal is not None:
            return refusal
        url = self._settings.upstream.replace("http", "ws", 1)
        down = web.WebSocketResponse(autoping=True)
        async with self._session.ws_connect(url) as up:
            await down.prepare(request)
            self._sockets.add(down)
            try:
                async with asyncio.TaskGroup() as group:
                    pump = group.create_task(self._pump_down(up, down))
                    async for message in down:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            await up.send_str(message.data)
                    pump.cancel()
            finally:
                self._sockets.discard(down)
        return down

    async def _pump_down(self, up: aiohttp.ClientWebSocketResponse, down: web.WebSocketResponse) -> None:
        async for message in up:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            text = await self._announcement(message.data)
            if text is not None:
                with contextlib.suppress(ConnectionError):
                    await down.send_str(text)
        await down.close()

    async def _announcement(self, text: str) -> str | None:
        """What becomes of a pushed frame; None where it is swallowed."""
        if self.mode in (Mode.DROP, Mode.REFUSE):
            return None
        if self.mode is Mode.DELAY:
            await asyncio.sleep(self._settings.delay_ms / 1000)
        if self.mode not in (Mode.LIE_HEAD, Mode.LIE_HEADERS):
            return text
        frame = json.loads(text)
        if frame.get("method") == "eth_subscription":
            frame["params"]["result"] = _false_header(self.mode, frame["params"]["result"])
        return json.dumps(frame)


def distort(mode: Mode, request: bytes, answer: bytes) -> bytes:
    """The answer with this mode's lie in it."""
    if mode not in _LYING:
        return answer
    calls, entries = json.loads(request), json.loads(answer)
    if isinstance(calls, dict):
        return json.dumps(_distorted(mode, calls, entries)).encode()
    by_id = {call["id"]: call for call in calls}
    return json.dumps([_distorted(mode, by_id[entry["id"]], entry) for entry in entries]).encode()


def _distorted(mode: Mode, call: dict[str, object], entry: dict[str, object]) -> dict[str, object]:
    result, method = entry.get("result"), call["method"]
    match mode, method:
        case (Mode.LIE_LOGS, "eth_getLogs"):
            return entry | {"result": []}
        case (Mode.LIE_CALLS, "eth_call"):
            honest = {key: value for key, value in entry.items() if key != "error"}
            return honest | {"result": "0x" + (1).to_bytes(32, "big").hex()}
        case (Mode.LIE_STATE, "eth_getBalance" | "eth_getStorageAt" | "eth_getCode"):
            return entry | {"result": _other_octets(str(result))}
        case (Mode.WRONG_CHAIN, "eth_chainId") if isinstance(result, str):
            return entry | {"result": hex(int(result, 16) + 1)}
        case (Mode.HIDE_RECEIPTS | Mode.LIE_RECEIPTS, "eth_getTransactionReceipt"):
            return entry | {"result": _false_receipt(mode, call)}
        case (Mode.LIE_HEAD, "eth_blockNumber") | (Mode.LIE_NONCES, "eth_getTransactionCount") if isinstance(
            result, str
        ):
            return entry | {"result": hex(int(result, 16) + LIE_BLOCKS)}
        case (Mode.LIE_HEAD | Mode.LIE_HEADERS, "eth_getBlockByNumber") if isinstance(result, dict):
            return entry | {"result": _false_block(mode, call, result)}
    return entry


def _other_octets(result: str) -> str:
    """As many, and the last of them another; one where there were none. The same of a quantity."""
    return result[:-1] + ("2" if result.endswith("1") else "1") if len(result) > 2 else "0x01"


def _swallowed(body: bytes) -> dict[str, object]:
    """The answer of somebody who took a transaction."""
    call = json.loads(body)
    raw = bytes.fromhex(str(call["params"][0])[2:])
    return {"jsonrpc": "2.0", "id": call["id"], "result": "0x" + keccak256(raw).hex()}


def _false_receipt(mode: Mode, call: dict[str, object]) -> dict[str, object] | None:
    if mode is Mode.HIDE_RECEIPTS:
        return None
    params = call.get("params")
    return {
        "transactionHash": params[0] if isinstance(params, list) else None,
        "blockHash": _HASH_LIE,
        "blockNumber": "0x1",
        "gasUsed": "0x5208",
        "status": "0x1",
        "logs": [],
    }


def _false_block(mode: Mode, call: dict[str, object], header: dict[str, object]) -> dict[str, object]:
    """Of the head alone where that is the lie."""
    is_asked = mode is Mode.LIE_HEADERS or call.get("params") == ["latest", False]
    return _false_header(mode, header) if is_asked else header


def _false_header(mode: Mode, header: dict[str, object]) -> dict[str, object]:
    if mode is Mode.LIE_HEADERS:
        return header | {"hash": _HASH_LIE}
    return header | {"hash": _HASH_LIE, "number": hex(int(str(header["number"]), 16) + LIE_BLOCKS)}


@asynccontextmanager
async def start_proxy(settings: ProxySettings) -> AsyncIterator[RpcProxy]:
    """Serve until the end of the block."""
    async with aiohttp.ClientSession() as session:
        proxy = RpcProxy(settings, session)
        runner = web.AppRunner(
            proxy.application(), access_log=None, shutdown_timeout=0.5, handle_signals=False
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port)
            await site.start()
            proxy.port = runner.addresses[0][1]
            yield proxy
        finally:
            await runner.cleanup()


async def _serve(settings: Sequence[ProxySettings]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(start_proxy(one)) for one in settings]
        listing = [
            {"port": proxy.port, "url": proxy.url, "websocket_url": proxy.websocket_url} for proxy in proxies
        ]
        sys.stdout.write(json.dumps({"schema": "tocsin/rpc-proxy/1", "proxies": listing}) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="adapters.evm.proxy", description="An RPC proxy that can misbehave."
    )
    parser.add_argument(
        "--upstream", required=True, help="HTTP URL; its WebSocket is expected on the same port"
    )
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port, port 0 for a free one")
    parser.add_argument("--mode", default=Mode.HONEST, type=Mode, choices=list(Mode))
    parser.add_argument("--delay-ms", default=2_000, type=int)
    parser.add_argument("--count", default=1, type=int, help="listeners, each with a mode of its own")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.listen.rpartition(":")
    one = ProxySettings(chosen.upstream, host, int(port), chosen.mode, chosen.delay_ms)
    asyncio.run(_serve([one] * chosen.count))


if __name__ == "__main__":
    main()
