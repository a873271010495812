"""The witness's door (C2SP tlog-witness), and what is known of logs (relay/witness/SPEC.md 3).

```
POST /add-checkpoint     a log asks to be cosigned: no token, its signature is its pass
GET  /v1/log             our log, the logs that we witness, forks, debts
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from proofs.witness import MAX_REQUEST_BYTES, Answer
from relay.api.guards import Bucket
from relay.api.ports import Json
from relay.api.problems import ProblemError

__all__ = ["LogPorts", "WitnessDoor"]

PER_MINUTE: Final = 600
BURST: Final = 20


def _nothing_known() -> Mapping[str, Json]:
    return {}


async def _no_witness(_raw: bytes) -> Answer:
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"this node has no witness\n")


@dataclass(frozen=True, slots=True)
class LogPorts:
    """The node's witness and log, as the interface sees them."""

    log: Callable[[], Mapping[str, Json]] = _nothing_known
    """What `tocsin log` shows."""
    add_checkpoint: Callable[[bytes], Awaitable[Answer]] = _no_witness
    """Judges a request; what that changes is on disk when it returns."""


class WitnessDoor:
    """Takes requests within the bounds; what is in them the witness judges."""

    def __init__(self, ports: LogPorts, *, timeout_s: float, clock_s: Callable[[], float]) -> None:
        self._ports = ports
        self._timeout_s = timeout_s
        self._requests = Bucket(PER_MINUTE, clock_s, burst=BURST)

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        """Answer `POST /add-checkpoint`."""
        if not self._requests.take():
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many checkpoints", Retry_After="1")
        answer = await self._ports.add_checkpoint(await self._body(request))
        headers = {
            "Content-Type": answer.content_type,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _body(self, request: web.Request) -> bytes:
        """Read the body in time, within the bound of this request and not of the others'."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                async for part in request.content.iter_chunked(MAX_REQUEST_BYTES):
                    body += part
                    if len(body) > MAX_REQUEST_BYTES:
                        detail = f"expected at most {MAX_REQUEST_BYTES} bytes"
                        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        except TimeoutError as error:
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "expected the body in time") from error
        return bytes(body)
