"""What a signing session wants done, and what it has found: the output of `sessions` (SPEC 4)."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.kinds import Digest, Identity
from relay.threshold.messages import SigningRequest
from relay.threshold.tasks import GroupKey, Task

__all__ = ["Aggregated", "Answer", "Ask", "BadShare", "Open", "Refused", "Want"]


@dataclass(frozen=True, slots=True)
class Open:
    """Commit to a fresh pair of nonces for each of these coordinators, and say so to all."""

    task: Task
    key_id: Digest
    coordinators: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Say this request, as its coordinator."""

    request: SigningRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """Sign our share of this session and say it; the last word on it is the signer's."""

    task: Task
    request: SigningRequest
    coordinator: Identity
    session: Digest
    goes_on: bool
    """Whether this coordinator may ask us again, so that the share brings our next commitment."""


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The signature (R ‖ z, 65 bytes) is complete and verified; told once for each mandate and key."""

    task: Task
    key: GroupKey
    signature: bytes


@dataclass(frozen=True, slots=True)
class BadShare:
    """A member's share is not the one that its commitment and its key share give; told once each."""

    digest: Digest
    member: Identity
    coordinator: Identity
    session: Digest
    request: SigningRequest


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was dropped; `reason` is a constant phrase."""

    author: Identity
    reason: str


Want = Open | Ask | Answer | Aggregated | BadShare | Refused
