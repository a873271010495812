"""What happens to a node: the only input of `Node.advance` (SPEC 7.1). Journalled before it is applied."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument
from proofs.reports import Report
from relay.core.ceremony_effects import CeremonyEvent, CeremonyStuck
from relay.core.messages import PASSING, Message
from relay.core.observations import BlockReads
from relay.core.ports import Submission
from relay.core.rotations import VerifierState
from relay.core.types import BlockRef, Caip2, DecisionId, Digest, Gateway, Identity, Millis


@dataclass(frozen=True, slots=True)
class Started:
    """The process began; `boot` rises by one each time, `instance` is 16 bytes of this disk."""

    at_ms: Millis
    boot: int
    instance: bytes


@dataclass(frozen=True, slots=True)
class CommitteeLearned:
    """The next committee document, in force by its signatures, is known from now on (SPEC 2.4)."""

    document: CommitteeDocument


@dataclass(frozen=True, slots=True)
class BlockObserved:
    """A block read by quorum. `head` is the newest block that a quorum of endpoints had at that time."""

    reads: BlockReads
    agreeing: int
    asked: int
    head: BlockRef


@dataclass(frozen=True, slots=True)
class BlockUnread:
    """Too few endpoints agree on block `number`; it is tried again, and later blocks wait for it."""

    chain: Caip2
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChainReorged:
    """All blocks above `ancestor` have left the chain."""

    chain: Caip2
    ancestor: BlockRef


@dataclass(frozen=True, slots=True)
class ChainFinalized:
    """`block` and all before it are final."""

    block: BlockRef


@dataclass(frozen=True, slots=True)
class EndpointDisagreed:
    """Some operators' answers for a block differ from the quorum's."""

    chain: Caip2
    operators: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Received:
    """A peer's envelope, opened and verified by `wire.open_envelope`."""

    envelope: Envelope
    message: Message
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope of our own, as signed."""

    envelope: Envelope
    message: Message
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class SigningRefused:
    """The guard refused our attestation; `reason` is the guard's."""

    decision_id: DecisionId
    key_epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class OwnStatementFound:
    """A peer gave us back an attestation of our own; `is_held` tells whether our guard holds what it says."""

    digest: Digest
    is_held: bool


@dataclass(frozen=True, slots=True)
class KeysInForce:
    """A keys document, in force by its holders' signatures, is known from now on (threshold SPEC 2)."""

    document: KeysDocument
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class ThresholdSigned:
    """The certificate of kind 2 (97 bytes) over `digest`, completed here, by the key `key_id`."""

    digest: Digest
    key_id: Digest
    certificate: bytes
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class SubmissionEnded:
    """What became of the call that effect `Submit` with this key asked for."""

    key: bytes
    submission: Submission


@dataclass(frozen=True, slots=True)
class VerifierSeen:
    """The verifier behind a plan's gateway, as enough endpoints show it; told when it has changed."""

    gateway: Gateway
    state: VerifierState
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class RotationEnded:
    """What became of the call that effect `SubmitRotation` with this key asked for."""

    key: bytes
    submission: Submission
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class RotationRefused:
    """The guard refused our signature under a rotation; `reason` is the guard's."""

    chain: Caip2
    key_epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class AnchorEnded:
    """What became of effect `Anchor`; without a submission the published checkpoint did not cover it yet."""

    incident_id: DecisionId
    chain: Caip2
    decisions: int
    submission: Submission | None


@dataclass(frozen=True, slots=True)
class SignalTold:
    """A person or a monitor told this node something through its API, with a valid token.

    `seed` (32 random bytes) is what `note` and `reporter` are sealed with (proofs SPEC 13).
    """

    plan_hash: bytes
    subject: str
    reporter: str
    note: str
    seed: bytes
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """A fact of this node's readiness (SPEC 8.1) stands otherwise than before, or was looked at first.

    `standing` is one of `proofs.remarks.STANDINGS`; `seed` (32 random bytes) is what `reason` and `remedy`
    are sealed with.
    """

    fact: str
    standing: str
    reason: str
    remedy: str
    seed: bytes
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class ReportTold:
    """This node was told what a reporter signed: through its API, or by a monitor whose key it keeps."""

    report: Report
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class ForkFound:
    """This node's witness holds two checkpoints that contradict each other, both signed by one log's key."""

    first: str
    second: str
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class PeersSeen:
    """The members to which the lane is connected now."""

    connected: frozenset[Identity]
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class Ticked:
    """The clock reached `Node.next_deadline_ms`."""

    at_ms: Millis


Event = (
    Started
    | CommitteeLearned
    | KeysInForce
    | ThresholdSigned
    | BlockObserved
    | BlockUnread
    | ChainReorged
    | ChainFinalized
    | EndpointDisagreed
    | Received
    | Signed
    | SigningRefused
    | OwnStatementFound
    | SubmissionEnded
    | AnchorEnded
    | VerifierSeen
    | RotationEnded
    | RotationRefused
    | SignalTold
    | ReadinessChanged
    | ReportTold
    | ForkFound
    | PeersSeen
    | Ticked
    | CeremonyEvent
)


def is_journalled(event: Event) -> bool:
    """Tell whether an event goes to disk: all but what concerns only the running process (SPEC 7.1)."""
    match event:
        case BlockUnread() | EndpointDisagreed() | PeersSeen() | Ticked() | AnchorEnded(submission=None):
            return False
        case CeremonyStuck() | RotationEnded() | RotationRefused():
            return False
        case Received(message=message) | Signed(message=message):
            return not isinstance(message, PASSING)
        case _:
            return True


__all__ = [
    "AnchorEnded",
    "BlockObserved",
    "BlockUnread",
    "ChainFinalized",
    "ChainReorged",
    "CommitteeLearned",
    "EndpointDisagreed",
    "Event",
    "ForkFound",
    "KeysInForce",
    "OwnStatementFound",
    "PeersSeen",
    "ReadinessChanged",
    "Received",
    "ReportTold",
    "RotationEnded",
    "RotationRefused",
    "SignalTold",
    "Signed",
    "SigningRefused",
    "Started",
    "SubmissionEnded",
    "ThresholdSigned",
    "Ticked",
    "VerifierSeen",
    "is_journalled",
]
