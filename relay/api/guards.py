"""Who may ask: the bearer token, the host name, and how often."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.api.problems import ProblemError


class Bucket:
    """`per_minute` takings a minute, as many or `burst` at once; `clock_s` is monotonic seconds."""

    def __init__(self, per_minute: int, clock_s: Callable[[], float], *, burst: int | None = None) -> None:
        self._per_s = per_minute / 60
        self._size = float(per_minute if burst is None else burst)
        self._clock_s = clock_s
        self._level = self._size
        self._at_s = clock_s()

    def take(self) -> bool:
        """Take one, if there is one."""
        now_s = self._clock_s()
        self._level = min(self._size, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def is_empty(self) -> bool:
        """Tell whether `take` would fail now, taking nothing."""
        refilled = self._level + (self._clock_s() - self._at_s) * self._per_s
        return refilled < 1


class TokenGuard:
    """Checks `Authorization: Bearer …`. SECURITY: digests are compared, in constant time, also for length."""

    def __init__(self, token: bytes | None, failures: Bucket) -> None:
        self._digest = None if token is None else hashlib.sha256(token).digest()
        self._failures = failures

    def require(self, request: web.Request) -> None:
        """Let the request pass.

        Raises:
            ProblemError: 401 with no or a wrong token, 403 when this node has none, 429 after many wrong.
        """
        if self._digest is None:
            raise ProblemError(
                HTTPStatus.FORBIDDEN, "this node has no token file, so it takes no such request"
            )
        if self._failures.is_empty():
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", Retry_After="60")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._digest):
            self._failures.take()
            detail = "expected Authorization: Bearer with this node's token"
            raise ProblemError(HTTPStatus.UNAUTHORIZED, detail, WWW_Authenticate="Bearer")


def is_loopback(host: str) -> bool:
    """Tell whether `host` (a name or an address, IPv6 with or without brackets) is this machine."""
    bare = host.removeprefix("[").removesuffix("]")
    if bare == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def local_names_only() -> Middleware:
    """Refuse requests whose Host is not this machine.

    SECURITY: a page in the operator's browser could otherwise reach a loopback interface by a name of its own
    (DNS rebinding) and read what it serves.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if not is_loopback(name):
            raise ProblemError(HTTPStatus.MISDIRECTED_REQUEST, f"expected a loopback host, got {host!r}")
        return await handler(request)

    return middleware


__all__ = ["Bucket", "TokenGuard", "is_loopback", "local_names_only"]
