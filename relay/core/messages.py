"""What members say to each other, as values (SPEC 3); `bodies` reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from proofs.canonical import Value
from proofs.decision import BlockRef, Decision
from proofs.remarks import Absence, Accusation, Header, ReadinessChange, Remark, Shadow, Signal
from proofs.reports import Report
from relay.core.ports import SubmissionStatus
from relay.core.types import (
    ActId,
    Caip2,
    DecisionId,
    EnvelopeDigest,
    Gateway,
    Identity,
    MandateDigest,
    Millis,
)
from relay.core.witnessing import WITNESSING, WITNESSING_KIND, ForkShown, WitnessingMessage
from relay.threshold.bodies import CEREMONY_KIND
from relay.threshold.messages import (
    CeremonyMessage,
    Commitments,
    Complaint,
    Deal,
    Join,
    Proposal,
    SessionMessage,
    SignatureShare,
    SigningRequest,
    ThresholdCertificate,
    Transcript,
)

MAX_TIME: Final = 1 << 40
MAX_REASON_BYTES: Final = 160


class Verdict(StrEnum):
    ATTEST = "attest"
    ABSTAIN = "abstain"
    DISSENT = "dissent"


@dataclass(frozen=True, slots=True)
class Attestation:
    """One member's verdict on one decision; `digest` and `signature` (65 bytes) stand exactly when it
    attests.
    """

    decision: Decision
    verdict: Verdict
    trace: Mapping[str, Value] = field(hash=False)
    digest: MandateDigest | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gateway event that the author read by quorum: what a call did (SPEC 3)."""

    decision_id: DecisionId
    mandate_digest: MandateDigest
    chain: Caip2
    gateway: Gateway
    act_id: ActId
    block: BlockRef
    tx: bytes
    effect: str
    until: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two envelopes of one identity that contradict each other (SPEC 6.4), as they were received."""

    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Void:
    """The decision's anchor left the chain; `landed` tells whether a call of it had taken effect."""

    decision_id: DecisionId
    anchor: BlockRef
    landed: bool


@dataclass(frozen=True, slots=True)
class Unlanded:
    """The author's own submissions of a certified call had no effect within the landing patience (SPEC 6.6).

    `reason` begins with one of `UNLANDED_REASONS`; `tries` counts the submissions.
    """

    decision_id: DecisionId
    mandate_digest: MandateDigest
    chain: Caip2
    gateway: Gateway
    act_id: ActId
    reason: str
    tries: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    boot: int
    seq: int
    instance: bytes
    log_size: int
    heads: Mapping[Caip2, BlockRef] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Recall:
    """Tell me the newest that you have of me (SPEC 6.3)."""

    boot: int
    instance: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer: how many statements of `about` the author holds, and the newest; zeros mean *none*."""

    about: Identity
    nonce: bytes
    boot: int
    statements: int
    newest_at_ms: Millis
    newest: tuple[EnvelopeDigest, ...]


@dataclass(frozen=True, slots=True)
class RotationSigned:
    """The author signs the next key epoch of one verifier (threshold SPEC 5).

    `rotation` are the bytes that the verifier's chain calls it, `signature` (65) is by the attester key.
    """

    chain: Caip2
    verifier: Gateway
    rotation: bytes
    signature: bytes


Message = (
    Attestation
    | Outcome
    | Equivocation
    | Remark
    | Report
    | Void
    | Unlanded
    | RotationSigned
    | ForkShown
    | Heartbeat
    | Recall
    | Recalled
    | WitnessingMessage
    | SessionMessage
    | ThresholdCertificate
    | CeremonyMessage
)

KIND: Final[Mapping[type[Message], str]] = {
    Attestation: "attestation",
    Outcome: "outcome",
    Equivocation: "equivocation",
    Signal: "signal",
    Header: "header",
    Absence: "absence",
    Accusation: "accusation",
    Shadow: "shadow",
    ReadinessChange: "readiness",
    Report: "report",
    Void: "void",
    Unlanded: "unlanded",
    RotationSigned: "rotation",
    ForkShown: "fork",
    Heartbeat: "heartbeat",
    Recall: "recall",
    Recalled: "recalled",
    Commitments: "commitments",
    SigningRequest: "signing_request",
    SignatureShare: "signature_share",
    ThresholdCertificate: "threshold_certificate",
    **{kind: name for kind, name in WITNESSING_KIND.items()},  # noqa: C416 - under the wider type of key
    **{kind: name for kind, name in CEREMONY_KIND.items()},  # noqa: C416 - likewise
}
REMARKS: Final = (Header, Absence, Accusation, Signal, Shadow, ReadinessChange)
"""What members say beside verdicts and outcomes (`proofs.remarks`)."""
LOGGED: Final = (
    Attestation,
    Outcome,
    Equivocation,
    *REMARKS,
    Report,
    Void,
    Unlanded,
    RotationSigned,
    ForkShown,
)
"""What enters the audit log (SPEC 3)."""
ON_DECISIONS: Final = (Attestation, Outcome, Equivocation, Void, Unlanded, Header, Absence, Accusation)
"""What is said of one decision, under the committee document of that decision's time (SPEC 2.4)."""
CEREMONY: Final = (Proposal, Join, Deal, Complaint, Transcript)
"""What is journalled and offered by anti-entropy, and not logged (threshold SPEC 3)."""
SESSION: Final = (Commitments, SigningRequest, SignatureShare)
"""What signing sessions are made of; whoever says it hears it too (threshold SPEC 4)."""
PASSING: Final = (Heartbeat, Recall, Recalled, ThresholdCertificate, *SESSION, *WITNESSING)
"""What concerns the running process only: neither logged nor journalled (SPEC 7.1)."""
EFFECTS: Final = frozenset(
    {"started", "extended", "noop", "release", "expire", "adopt", "dismiss", "close", "forced"}
)
NOT_SUBMITTED: Final = "not submitted"
UNDER_WAY: Final = "under way"
UNLANDED_REASONS: Final = frozenset(
    {*(status.value for status in SubmissionStatus), NOT_SUBMITTED, UNDER_WAY}
)
"""What the reason of an `unlanded` begins with."""


__all__ = [
    "Absence",
    "Accusation",
    "Attestation",
    "Decision",
    "Equivocation",
    "ForkShown",
    "Header",
    "Heartbeat",
    "Message",
    "Outcome",
    "ReadinessChange",
    "Recall",
    "Recalled",
    "Remark",
    "Report",
    "RotationSigned",
    "Shadow",
    "Signal",
    "Unlanded",
    "Verdict",
    "Void",
]
