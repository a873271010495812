"""Asking a chain's endpoint, by plain JSON-RPC, for the few things that an auditor wants of it (SPEC 4).

The answers are the word of that endpoint: the auditor's own, or one he trusts for this. Its address may hold
a key and is told to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from relay.core.errors import TocsinError

__all__ = ["Endpoint", "RpcError"]

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 16 << 20
_ATTEMPTS: Final = 3


class RpcError(TocsinError):
    """An endpoint did not answer, or otherwise than its protocol says; `is_refusal` where it refused."""

    def __init__(self, problem: str, *, is_refusal: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_refusal = is_refusal


class _NoRedirect(HTTPRedirectHandler):
    """A key in an address is not carried elsewhere."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None


class Endpoint:
    """An address that answers JSON-RPC 2.0 over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = build_opener(_NoRedirect)

    def call(self, method: str, params: Sequence[object]) -> object:
        """Give the result of a call; silence is asked again.

        Raises:
            RpcError: no answer in three tries, or another than a result.
        """
        body = json.dumps({"id": 1, "jsonrpc": "2.0", "method": method, "params": list(params)}).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._result(method, self._post(body))
            except HTTPError as error:
                raise RpcError(f"{method}: expected an answer, got status {error.code}") from None
            except (OSError, HTTPException) as error:
                if attempt == _ATTEMPTS:
                    # The error's own text may repeat the address.
                    raise RpcError(f"{method}: expected an answer, got {type(error).__name__}") from None
        raise AssertionError("expected one attempt at least")

    def _post(self, body: bytes) -> bytes:
        request = Request(self._url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310
        with self._opener.open(request, timeout=TIMEOUT_S) as answer:
            data = answer.read(MAX_ANSWER_BYTES + 1)
        if not isinstance(data, bytes) or len(data) > MAX_ANSWER_BYTES:
            raise RpcError(f"expected an answer of at most {MAX_ANSWER_BYTES} bytes, got more")
        return data

    def _result(self, method: str, data: bytes) -> object:
        try:
            answer: object = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, Mapping):
            raise RpcError(f"{method}: expected JSON-RPC, got other bytes")
        if "result" not in answer:
            error = answer.get("error")
            told = error.get("message") if isinstance(error, Mapping) else None
            raise RpcError(f"{method}: refused: {str(told)[:200]}", is_refusal=True)
        return answer["result"]
