"""Reports over the interface: what outsiders whom a protocol trusts signed, and monitors (plans SPEC 1.6).

```
GET  /v1/reports             what may be reported now: plans, names, the block to name, subjects that are open
POST /v1/signals             a report as its reporter signed it          with the token
POST /v1/webhooks/{name}     what a configured monitor found             with its HMAC
```
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from relay.api.bodies import known_keys, object_of, refused, text_of
from relay.api.guards import Bucket
from relay.api.ports import Json
from relay.api.problems import ProblemError

__all__ = ["Monitor", "ReportPorts", "ReportRequest", "Webhooks", "open_report", "report_id_of"]

FRESH_MS: Final = 300_000
"""How far a monitor's clock may be from ours."""
MAX_SEEN: Final = 4_096
MAX_NAME_BYTES: Final = 128
MAX_FINDING_BYTES: Final = 1_024
_KEYS = frozenset({"plan_hash", "report", "block", "report_id", "reporter", "signature"})
_TRANSACTION = re.compile(rb"0x[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A report as it was told: `name` is that of the plan's reports, the rest are bytes of their lengths."""

    plan_hash: bytes
    name: str
    block: bytes
    report_id: bytes
    reporter: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor that may post: the key of its HMAC, and where its JSON names the occasion.

    Without a path it is the first transaction hash in the body.
    """

    secret: bytes = field(repr=False)
    id_path: tuple[str, ...] = ()


async def _tell_nobody(_request: object, _report_id: bytes = b"") -> str:
    raise AssertionError("no plan has reports, no monitor is configured")


@dataclass(frozen=True, slots=True)
class ReportPorts:
    """What the interface asks of the node about reports. None of the callables may block."""

    overview: Callable[[], Sequence[Mapping[str, Json]]] = list
    """Plans with reports: what to sign, and which subjects are open."""
    tell: Callable[[ReportRequest], Awaitable[str]] = _tell_nobody
    """Take a report and give its subject's id; raises `SignalRefused`."""
    monitors: Mapping[str, Monitor] = field(default_factory=dict)
    found: Callable[[str, bytes], Awaitable[str]] = _tell_nobody
    """Report what a monitor found, by its name and the report's id, with the key kept for it; likewise."""
    clock_ms: Callable[[], int] = int
    """The wall clock, which monitors' timestamps are held against."""


def is_report(document: Mapping[str, object]) -> bool:
    """Tell whether a body of `POST /v1/signals` is a report: it alone carries a signature."""
    return "signature" in document


def open_report(document: Mapping[str, object]) -> ReportRequest:
    """Read a report: plan_hash, block, report_id (64 hex digits), report, reporter (ed25519:…), signature.

    Raises:
        ProblemError: 422, naming the key, what was expected and what came.
    """
    known_keys(document, _KEYS)
    missing = sorted(_KEYS - document.keys())
    if missing:
        raise refused("the body", f"the keys {', '.join(sorted(_KEYS))}", f"missing {', '.join(missing)}")
    reporter = document["reporter"]
    if isinstance(reporter, str):
        reporter = reporter.removeprefix("ed25519:")
    return ReportRequest(
        plan_hash=_hex("plan_hash", document["plan_hash"], 32),
        name=text_of("report", document["report"], MAX_NAME_BYTES, least=1),
        block=_hex("block", document["block"], 32),
        report_id=_hex("report_id", document["report_id"], 32),
        reporter=_hex("reporter", reporter, 32),
        signature=_hex("signature", document["signature"], 64),
    )


def _hex(key: str, value: object, length: int) -> bytes:
    expected = f"{2 * length} hex digits"
    if not isinstance(value, str):
        raise refused(key, expected, type(value).__name__)
    digits = value.removeprefix("0x")
    try:
        data = bytes.fromhex(digits)
    except ValueError as error:
        raise refused(key, expected, "other text") from error
    if len(digits) != 2 * length or len(data) != length:
        raise refused(key, expected, f"{len(digits)} characters")
    return data


class Webhooks:
    """Takes what configured monitors post, in the form in which OpenZeppelin Monitor (1.1 on) signs it.

    `X-Signature` is HMAC-SHA256 in hex over the body's bytes and the digits of `X-Timestamp`, milliseconds.
    """

    def __init__(self, ports: ReportPorts, *, per_minute: int, clock_s: Callable[[], float]) -> None:
        self._ports = ports
        self._buckets = {name: Bucket(per_minute, clock_s) for name in ports.monitors}
        self._seen: dict[str, int] = {}
        """Signatures taken, and until when one would still be fresh."""

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> str:
        """Check what was posted for a monitor, and report it; give the subject's id.

        Raises:
            ProblemError: 404 an unknown monitor; 401 without a good or fresh signature; 409 one that came
                before; 429 too many; 422 a body that names no occasion.
            SignalRefused: the node does not take the report.
        """
        monitor = self._ports.monitors.get(name)
        if monitor is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no monitor of this name is configured here")
        signature = self._check(monitor, headers, body)
        report_id = report_id_of(monitor, body)
        if not self._buckets[name].take():
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many findings", Retry_After="60")
        self._remember(signature)
        return await self._ports.found(name, report_id)

    def _check(self, monitor: Monitor, headers: Mapping[str, str], body: bytes) -> str:
        signature = headers.get("X-Signature", "").lower()
        stamp = headers.get("X-Timestamp", "")
        if _SIGNATURE.fullmatch(signature) is None or _TIMESTAMP.fullmatch(stamp) is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "expected X-Signature (64 hex digits) and X-Timestamp (milliseconds)",
                remedy="give the webhook trigger of the monitor a secret",
            )
        # SECURITY: compared in constant time, before anything that the sender says is believed.
        expected = hmac.new(monitor.secret, body + stamp.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "expected HMAC-SHA256 over the body and the timestamp with this monitor's secret",
            )
        if abs(self._ports.clock_ms() - int(stamp)) > FRESH_MS:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                f"expected a timestamp within {FRESH_MS // 1_000} s of this node's clock, got another",
                remedy="set both clocks by the network",
            )
        if signature in self._seen:
            raise ProblemError(HTTPStatus.CONFLICT, "this very message was taken before")
        return signature

    def _remember(self, signature: str) -> None:
        """Keep a signature for as long as it could be fresh; who is full takes nothing rather than forget."""
        now_ms = self._ports.clock_ms()
        if len(self._seen) >= MAX_SEEN:
            self._seen = {each: until for each, until in self._seen.items() if until >= now_ms}
        if len(self._seen) >= MAX_SEEN:
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many findings", Retry_After="300")
        self._seen[signature] = now_ms + 2 * FRESH_MS


def report_id_of(monitor: Monitor, body: bytes) -> bytes:
    """Give SHA-256 of the text that names the occasion: the same for every monitor that saw it.

    Raises:
        ProblemError: 422, no JSON object, or no such text in it.
    """
    document = object_of(body)
    if monitor.id_path:
        return hashlib.sha256(_text_at(document, monitor.id_path)).digest()
    found = _TRANSACTION.search(json.dumps(document).encode())
    if found is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the body: expected a transaction hash (0x and 64 hex digits) somewhere, got none",
            remedy="put ${transaction.hash} into the message, or configure id_path for this monitor",
        )
    return hashlib.sha256(found.group().lower()).digest()


def _text_at(document: Mapping[str, object], path: Sequence[str]) -> bytes:
    where = ".".join(path)
    value: object = document
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            raise refused(where, "a text", "nothing")
        value = value[key]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = text_of(where, value, MAX_FINDING_BYTES, least=1).encode()
    return text.lower() if _TRANSACTION.fullmatch(text) else text
