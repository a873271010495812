"""Updates of incidents to clients that watch, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from relay.api.ports import Json
from relay.api.problems import ProblemError


class _Client:
    def __init__(self, size: int, transport: asyncio.Transport | None) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(size)
        self.transport = transport


class Streams:
    """Every client has a bounded queue; one that does not keep up is cut off and has to come back."""

    def __init__(self, *, most: int, queue: int, keepalive_s: float) -> None:
        self._most = most
        self._queue = queue
        self._keepalive_s = keepalive_s
        self._clients: set[_Client] = set()
        self._number = 0
        self._closed = False

    def publish(self, kind: str, document: Mapping[str, Json]) -> None:
        """Give one update to every client; `kind` is the event's name. Never waits."""
        self._number += 1
        text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
        frame = f"id: {self._number}\nevent: {kind}\ndata: {text}\n\n".encode()
        for client in tuple(self._clients):
            self._offer(client, frame)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for client in tuple(self._clients):
            self._offer(client, None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send updates until the client leaves, falls behind, or the node stops."""
        if self._closed or len(self._clients) >= self._most:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, f"expected at most {self._most} watchers", Retry_After="5"
            )
        client = _Client(self._queue, request.transport)
        self._clients.add(client)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        try:
            await response.prepare(request)
            await response.write(b": tocsin\n\n")
            await self._feed(client, response)
        except ConnectionResetError:
            pass  # the client left; nothing is owed to it
        finally:
            self._clients.discard(client)
        return response

    async def _feed(self, client: _Client, response: web.StreamResponse) -> None:
        while True:
            try:
                async with asyncio.timeout(self._keepalive_s):
                    frame = await client.queue.get()
            except TimeoutError:
                frame = b": still here\n\n"
            if frame is None:
                return
            await response.write(frame)

    def _offer(self, client: _Client, frame: bytes | None) -> None:
        try:
            client.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self._cut(client)

    def _cut(self, client: _Client) -> None:
        self._clients.discard(client)
        # Its writer waits for a socket that takes nothing: only the end of the connection wakes it.
        if client.transport is not None:
            client.transport.abort()


__all__ = ["Streams"]
