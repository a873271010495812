"""What the HTTP interface asks of its node: callables that give plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from relay.core.errors import TocsinError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


class SignalRefused(TocsinError):
    """The node does not take this signal (an unknown plan, say); the reporter is told why."""


class CeremonyRefused(TocsinError):
    """The node does not do this with a ceremony; the operator is told why, and what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """A signal as a reporter told it; sizes are checked, `plan_hash` is 32 bytes."""

    plan_hash: bytes
    subject: str
    reporter: str
    note: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """One fact that must hold before this node is of use; `reason` and `remedy` say why it does not."""

    name: str
    ready: bool
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """The node as the interface sees it. None of the callables may block."""

    status: Callable[[], Mapping[str, Json]]
    """What `tocsin status` shows."""
    incidents: Callable[[], Sequence[Mapping[str, Json]]]
    """Short forms, newest first; each with at least `id`."""
    incident: Callable[[str], Mapping[str, Json] | None]
    """The full form of one, by its id."""
    bundle: Callable[[bytes], Awaitable[bytes | None]]
    """The evidence bundle of a decision; None while it cannot be made yet, or for an unknown one."""
    readiness: Callable[[], Sequence[Readiness]]
    health: Callable[[], str]
    """Empty when well, else what is wrong (the journal takes no writes)."""
    tell_signal: Callable[[SignalRequest], Awaitable[str]]
    """Take a signal and give its id; raises `SignalRefused`."""
    metrics: Callable[[], tuple[bytes, str]]
    """The exposition and its content type."""
    signals: Callable[[], Sequence[Mapping[str, Json]]] = tuple
    """Signals in the log, newest first; those that were told here with note and reporter."""
    remarks: Callable[[], Mapping[str, Json]] = dict
    """`shadows`: what plans in shadow mode would have decided; `readiness`: what members said of facts."""


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Where to serve and within which bounds. Without a token nobody can send signals."""

    log_directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    token: bytes | None = field(default=None, repr=False)
    max_connections: int = 128
    max_streams: int = 16
    max_body_bytes: int = 16_384
    body_timeout_s: float = 10.0
    stream_queue: int = 64
    """Updates that may wait for one client; one that falls behind further is cut off."""
    keepalive_s: float = 15.0
    signals_per_minute: int = 30
    findings_per_minute: int = 60
    """Of each monitor."""
    ceremony_requests_per_minute: int = 30
    failures_per_minute: int = 30
    """Wrong tokens, from all clients together."""


__all__ = [
    "ApiOptions",
    "ApiPorts",
    "CeremonyRefused",
    "Json",
    "Readiness",
    "SignalRefused",
    "SignalRequest",
]
