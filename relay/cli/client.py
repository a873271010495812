"""Asking the running node over its HTTP interface."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from proofs.nesting import bounded_json
from relay.core.errors import ConfigError, TocsinError

MAX_ANSWER_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
MAX_JSON_DEPTH = 32
MAX_JSON_TOKENS = 1_000_000
TIMEOUT_S = 10.0
WATCH_TIMEOUT_S = 60.0
"""The node says at least every 15 s that it is still there."""


class NodeUnreachable(TocsinError):
    """No node answers there, or what answers is none."""

    remedy = "start it with: tocsin run; or say where it is with --url"


class NodeRefusal(TocsinError):
    """The node refused the request; `status` is HTTP's, message and remedy are the node's own."""

    def __init__(self, status: int, detail: str, remedy: str = "") -> None:
        super().__init__(f"the node refused ({status}): {detail}")
        self.status = status
        self.remedy = remedy

    @property
    def is_final(self) -> bool:
        """Tell whether asking the same again would be refused again."""
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.status != HTTPStatus.TOO_MANY_REQUESTS


@dataclass(frozen=True, slots=True)
class NodeClient:
    """Speaks to one node; `base` as `http://127.0.0.1:9330`."""

    base: str
    token: bytes | None = field(default=None, repr=False)

    def get(self, path: str) -> tuple[int, Mapping[str, object]]:
        """Give status and JSON object; a refusal other than *not ready* is an error.

        Raises:
            NodeUnreachable: no answer, or none of a node.
            NodeRefusal: the node's own words.
        """
        return self._ask("GET", path, None)

    def post(self, path: str, document: Mapping[str, object]) -> Mapping[str, object]:
        """Send a JSON object and give the answer; errors as `get`."""
        return self._ask("POST", path, json.dumps(document).encode())[1]

    def events(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Give (kind, document) of each update as it comes, until the node ends the stream.

        Raises:
            NodeUnreachable: no node answers, or its stream broke off.
            NodeRefusal: there are too many watchers.
        """
        with closing(self._connection(WATCH_TIMEOUT_S)) as connection:
            try:
                connection.request("GET", "/v1/events", headers=self._headers())
                response = connection.getresponse()
                if response.status != HTTPStatus.OK:
                    self._answer(response)
                yield from _updates(response)
            except (OSError, http.client.HTTPException) as error:
                raise NodeUnreachable(f"{self.base}: expected updates, got: {error}") from error

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, Mapping[str, object]]:
        with closing(self._connection(TIMEOUT_S)) as connection:
            try:
                connection.request(method, path, body=body, headers=self._headers())
                return self._answer(connection.getresponse())
            except (OSError, http.client.HTTPException) as error:
                problem = f"{self.base}: expected a running node, got: {error}"
                raise NodeUnreachable(problem) from error

    def _answer(self, response: http.client.HTTPResponse) -> tuple[int, Mapping[str, object]]:
        raw = response.read(MAX_ANSWER_BYTES + 1)
        document = _object(raw)
        if document is None:
            raise NodeUnreachable(f"{self.base}: expected a node's answer, got something else")
        if response.status >= HTTPStatus.BAD_REQUEST and "schema" not in document:
            detail = str(document.get("detail", "no reason given"))
            raise NodeRefusal(response.status, detail, str(document.get("remedy", "")))
        return response.status, document

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.base)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if not host or parts.scheme not in ("http", "https"):
            raise ConfigError("--url", f"expected http://host:port, got {self.base!r}")
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.decode()}"
        return headers


def _object(raw: bytes) -> Mapping[str, object] | None:
    try:
        if len(raw) > MAX_ANSWER_BYTES:
            return None
        document: object = json.loads(bounded_json(raw, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS))
    except ValueError:
        return None
    return {str(key): value for key, value in document.items()} if isinstance(document, dict) else None


def _updates(response: http.client.HTTPResponse) -> Iterator[tuple[str, Mapping[str, object]]]:
    kind = "message"
    while line := response.readline(MAX_LINE_BYTES):
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
        if name == "event":
            kind = value
        document = _object(value.encode()) if name == "data" else None
        if document is not None:
            yield kind, document


__all__ = ["NodeClient", "NodeRefusal", "NodeUnreachable"]
