"""A lean JSON-RPC client: one session for each endpoint, batches, bounds on time and size.

Errors never carry a URL or what the HTTP library says of one: URLs hold keys.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from proofs.nesting import bounded_json
from relay.core.errors import EndpointUnavailable
from relay.core.ports import EndpointAddress
from relay.core.types import Caip2

MAX_ANSWER_BYTES = 32 << 20
MAX_JSON_DEPTH = 16
MAX_JSON_TOKENS = MAX_ANSWER_BYTES // 16
"""Strings and brackets in one answer: logs of 0x-hex need one for every 25 bytes."""
MAX_BATCH = 100
"""Requests in one HTTP body: what public providers allow."""
MAX_PARALLEL = 4
"""Bodies under way at once to one endpoint."""
MAX_ANSWER_TEXT = 4_096
MAX_ERROR_TEXT = 200
"""What is read, and what is kept, of an error's text."""
MIN_KEY_SIGNS = 8
"""Shorter parts of a URL are no keys."""
_READ_BYTES = 1 << 16
_HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a method."""

    method: str
    params: Sequence[object]


@dataclass(frozen=True, slots=True)
class RpcError:
    """What the endpoint answered instead of a result; `text` is short and printable, without our key."""

    code: int
    text: str
    data: object = None


def read_json(content: bytes) -> object:
    """What an endpoint sent, within bounds.

    Raises:
        ValueError: for anything but JSON, and for more nesting, strings and brackets than an answer needs.
    """
    return json.loads(bounded_json(content, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS))


def printable(text: str) -> str:
    """A stranger's words on one line, fit to be written down: JSON may hold half a surrogate pair."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _keys_in(url: str) -> tuple[str, ...]:
    """The parts of a URL that may be keys, the longest first."""
    parts = urlsplit(url)
    said = f"{parts.netloc.rpartition('@')[0]}/{parts.path}/{parts.query}"
    words = {word for word in re.split(r"[/:&=]", said) if len(word) >= MIN_KEY_SIGNS}
    return tuple(sorted(words, key=len, reverse=True))


class Rpc:
    """The HTTP side of one endpoint. Use as an async context manager."""

    def __init__(self, chain: Caip2, address: EndpointAddress, timeout_ms: int) -> None:
        self.chain = chain
        self.operator = address.operator
        self._url = address.url
        self._keys = _keys_in(address.url)
        self._timeout_s = timeout_ms / 1000
        self._ids = itertools.count(1)
        self._slots = asyncio.Semaphore(MAX_PARALLEL)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=MAX_PARALLEL + 2, keepalive_timeout=75)
        self._session = aiohttp.ClientSession(connector=connector, headers=_HEADERS, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the endpoint is not open"
        return self._session

    def unavailable(self, problem: str) -> EndpointUnavailable:
        """The error that names this endpoint's operator and chain."""
        return EndpointUnavailable(self.chain, problem, operator=self.operator)

    async def result(self, method: str, *params: object) -> object:
        """One call's result.

        Raises:
            EndpointUnavailable: for anything else, an error that the endpoint answers included.
        """
        (reply,) = await self.replies([Request(method, params)])
        if isinstance(reply, RpcError):
            raise self.unavailable(f"{method}: {reply.text}")
        return reply

    async def replies(self, requests: Sequence[Request]) -> list[object]:
        """Results and `RpcError`s in the order of the requests, in bodies of at most `MAX_BATCH` side by
        side.
        """
        chunks = [requests[start : start + MAX_BATCH] for start in range(0, len(requests), MAX_BATCH)]
        if len(chunks) <= 1:
            return await self._body(requests) if requests else []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._body(chunk)) for chunk in chunks]
        except* EndpointUnavailable as errors:
            raise self._first(errors) from None
        return [reply for task in tasks for reply in task.result()]

    def _first(self, errors: BaseExceptionGroup[EndpointUnavailable]) -> EndpointUnavailable:
        first = errors.exceptions[0]
        assert isinstance(first, EndpointUnavailable)
        return first

    async def _body(self, requests: Sequence[Request]) -> list[object]:
        first = next(self._ids)
        ids = [first, *(next(self._ids) for _ in requests[1:])]
        calls = [
            {"jsonrpc": "2.0", "id": id_, "method": request.method, "params": request.params}
            for id_, request in zip(ids, requests, strict=True)
        ]
        answer = await self._post(json.dumps(calls[0] if len(calls) == 1 else calls, separators=(",", ":")))
        entries = answer if isinstance(answer, list) else [answer]
        by_id: dict[object, object] = {}
        for entry in entries:
            if not isinstance(entry, dict):
                raise self.unavailable("malformed answer: expected a JSON-RPC object")
            by_id[entry.get("id") if isinstance(entry.get("id"), int) else None] = self._reply(entry)
        if any(id_ not in by_id for id_ in ids):
            refusal = next((reply for reply in by_id.values() if isinstance(reply, RpcError)), None)
            raise self.unavailable(refusal.text if refusal else "a batch's answer lacks an id")
        return [by_id[id_] for id_ in ids]

    def _reply(self, entry: dict[str, object]) -> object:
        error = entry.get("error")
        if error is None:
            if "result" not in entry:
                raise self.unavailable("malformed answer: neither result nor error")
            return entry["result"]
        if not isinstance(error, dict):
            raise self.unavailable("malformed answer: error is no object")
        code = error.get("code")
        text = self._without_keys(str(error.get("message"))[:MAX_ANSWER_TEXT])
        return RpcError(
            code if isinstance(code, int) else 0, printable(text[:MAX_ERROR_TEXT]), error.get("data")
        )

    def _without_keys(self, text: str) -> str:
        """What an endpoint says, without the key that it was asked with.

        SECURITY: some say a bad key back, and a refusal's words are logged, and said to all members.
        """
        for key in self._keys:
            text = text.replace(key, "…")
        return text

    async def _post(self, body: str) -> object:
        try:
            async with (
                self._slots,
                asyncio.timeout(self._timeout_s),
                self.session.post(self._url, data=body.encode(), allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise self.unavailable(f"HTTP status {response.status}, expected 200")
                return read_json(await self._read(response))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self.unavailable(f"no answer ({type(error).__name__})") from None
        except ValueError:
            raise self.unavailable("malformed answer: no JSON within bounds") from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for piece in response.content.iter_chunked(_READ_BYTES):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise self.unavailable(f"answer above {MAX_ANSWER_BYTES} bytes")
        return bytes(content)


__all__ = ["MAX_ANSWER_BYTES", "MAX_BATCH", "Request", "Rpc", "RpcError", "printable", "read_json"]
