"""What a node wants done: the only output of `Node.advance` (SPEC 7.1). Done after the event is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from proofs.canonical import Value
from relay.core.ceremony_effects import CeremonyEffect
from relay.core.decisions import Prepared
from relay.core.messages import Message, Verdict
from relay.core.ports import ActCall
from relay.core.rotations import Rotate, Rotation
from relay.core.types import Caip2, DecisionId, Digest, Gateway, Identity
from relay.threshold.messages import SigningRequest


class PageKind(StrEnum):
    """What wakes somebody; everything else is a ticket."""

    CANNOT_SIGN = "my node cannot sign"
    FEW_LIVE_MEMBERS = "live members below full"
    NO_EFFECT = "incident open without effect past its patience"
    FORK_EVIDENCE = "fork evidence"


@dataclass(frozen=True, slots=True)
class SignAttestation:
    """Sign our verdict on a decision; for `attest` the guard and the attester key come first."""

    prepared: Prepared
    verdict: Verdict
    trace: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Commit:
    """Open nonces to sign this mandate for each of these coordinators, and say so to all (threshold SPEC 4).

    `committee_epoch` names the document to speak under.
    """

    prepared: Prepared
    key_id: Digest
    coordinators: tuple[Identity, ...]
    committee_epoch: int


@dataclass(frozen=True, slots=True)
class CommitPossession:
    """The same, to sign the possession of the key `key_id` (threshold SPEC 1.2)."""

    key_id: Digest
    coordinators: tuple[Identity, ...]
    committee_epoch: int


@dataclass(frozen=True, slots=True)
class SignShare:
    """Answer this request by `coordinator` with our share, and say it to all."""

    request: SigningRequest
    coordinator: Identity
    committee_epoch: int


@dataclass(frozen=True, slots=True)
class KeepCertificate:
    """A threshold signature was completed and verified here: tell it to the node as `ThresholdSigned`.

    Sessions are not journalled, so what comes of them comes in as an event.
    """

    digest: Digest
    key_id: Digest
    certificate: bytes


@dataclass(frozen=True, slots=True)
class SignStatement:
    """Sign any other message and mail it to `to`, or to everybody.

    `committee_epoch` names the document to speak under; None is the newest in force by our clock (SPEC 2.4).
    """

    message: Message
    to: Identity | None = None
    committee_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class SignRotation:
    """Sign the next key epoch of a verifier with the attester key, the guard first, and say so to all.

    `struct` are the rotation's bytes; `committee_epoch` names the document to speak under.
    """

    rotation: Rotation
    struct: bytes
    committee_epoch: int


@dataclass(frozen=True, slots=True)
class SubmitRotation:
    """Announce a rotation at its verifier; `key` names it in `RotationEnded`."""

    key: bytes
    call: Rotate


@dataclass(frozen=True, slots=True)
class Forward:
    """Mail an envelope of somebody else to `to`, as it came."""

    raw: bytes
    to: Identity


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Append an envelope to the audit log, at the latest within the merge delay."""

    digest: Digest
    raw: bytes


@dataclass(frozen=True, slots=True)
class Releasable:
    """These entries may be published now (SPEC 7.3)."""

    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Submit:
    """Send this call; `key` names it in `SubmissionEnded`."""

    key: bytes
    call: ActCall


@dataclass(frozen=True, slots=True)
class Anchor:
    """Put our newest published checkpoint on a chain, if it covers `entries`; told by `AnchorEnded`
    (SPEC 7.4).
    """

    incident_id: DecisionId
    chain: Caip2
    gateway: Gateway
    decisions: int
    """How many certified decisions the incident has."""
    entries: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class UnlockSigner:
    """Enough peers have told us what they remember of us (SPEC 6.3)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Wake somebody."""

    kind: PageKind
    text: str


Facts = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something for the text log and the counters; `name` is a constant phrase."""

    name: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Changed:
    """The view of this decision's incident has changed; for those who watch."""

    decision_id: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the process; signing on would be unsafe."""

    reason: str


Effect = (
    SignAttestation
    | Commit
    | CommitPossession
    | SignShare
    | KeepCertificate
    | SignRotation
    | SubmitRotation
    | SignStatement
    | Forward
    | LogEntry
    | Releasable
    | Submit
    | Anchor
    | UnlockSigner
    | Page
    | Notice
    | Changed
    | Stop
    | CeremonyEffect
)

__all__ = [
    "Anchor",
    "Changed",
    "Commit",
    "CommitPossession",
    "Effect",
    "Facts",
    "Forward",
    "KeepCertificate",
    "LogEntry",
    "Notice",
    "Page",
    "PageKind",
    "Releasable",
    "SignAttestation",
    "SignRotation",
    "SignShare",
    "SignStatement",
    "Stop",
    "Submit",
    "SubmitRotation",
    "UnlockSigner",
]
