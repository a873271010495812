"""Asking a chain's endpoint, by plain JSON-RPC, for the few things that an auditor wants of it (SPEC 4).

The answers are the word of that endpoint: the auditor's own, or one he trusts for this. Its address may hold
a key and is told to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from relay.audit.web import timed_connection
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


class Endpoint:
    """An address that answers JSON-RPC 2.0 over HTTP."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url)

    def call(self, method: str, params: Sequence[object]) -> object:
        """Give the result of a call; silence is asked again.

        Raises:
            RpcError: no answer in three tries, or another than a result.
        """
        body = json.dumps({"id": 1, "jsonrpc": "2.0", "method": method, "params": list(params)}).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._result(method, self._post(method, body))
            except (OSError, HTTPException) as error:
                if attempt == _ATTEMPTS:
                    # The error's own text may repeat the address.
                    raise RpcError(f"{method}: expected an answer, got {type(error).__name__}") from None
        raise AssertionError("expected one attempt at least")

    def _post(self, method: str, body: bytes) -> bytes:
        connection = timed_connection(self._place, TIMEOUT_S)
        target = urlunsplit(("", "", self._place.path or "/", self._place.query, ""))
        try:
            connection.request("POST", target, body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            # A redirect is none: a key in an address is not carried elsewhere.
            if answer.status != HTTPStatus.OK:
                raise RpcError(f"{method}: expected an answer, got status {answer.status}")
            data = answer.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if len(data) > MAX_ANSWER_BYTES:
            raise RpcError(f"{method}: expected at most {MAX_ANSWER_BYTES} bytes, got more")
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
