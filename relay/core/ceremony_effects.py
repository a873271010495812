"""What ceremonies ask of the shells, and what they are told: part of the unions of `effects` and `events`."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.groupkeys import KeysDocument, SignedKeys
from relay.core.types import Digest, Identity, Millis
from relay.threshold.messages import Proposal
from relay.threshold.record import Ceremony, Duty

__all__ = [
    "CeremonyEffect",
    "CeremonyEnded",
    "CeremonyEvent",
    "CeremonyJoined",
    "CeremonyLeft",
    "CeremonyMoved",
    "CeremonyProposed",
    "CeremonyStep",
    "CeremonyStuck",
    "KeepEvidence",
    "KeepPossession",
    "PutInForce",
    "RetireShares",
]

# ---- effects


@dataclass(frozen=True, slots=True)
class CeremonyStep:
    """Let the signer do our secret part of a ceremony as it stands; what comes of it is said to all.

    Told by `Signed`, or by `CeremonyStuck`.
    """

    duty: Duty
    ceremony: Ceremony


@dataclass(frozen=True, slots=True)
class PutInForce:
    """A ceremony is done: put our shares of these keys in force, if we have any, and keep the document.

    Told by `KeysInForce`.
    """

    keys: SignedKeys


@dataclass(frozen=True, slots=True)
class CeremonyEnded:
    """Erase what we kept secret of a ceremony.

    `superseded`: its generation or a higher one is in force. Else it is over only as far as the node has
    heard: our signature may be under way, so the signer keeps what it has signed for.
    """

    ceremony: Digest
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    """Keep what convicts `party` as a file, whose name tells it; the same again changes nothing."""

    party: Identity
    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class KeepPossession:
    """Keep with a keys document that its group of this name can sign: certificate of kind 2 over 1.2."""

    document: KeysDocument
    name: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class RetireShares:
    """Erase our shares of a key epoch: no verifier takes its certificates any more."""

    key_epoch: int


@dataclass(frozen=True, slots=True)
class CeremonyMoved:
    """The view of this ceremony has changed; for those who watch."""

    ceremony: Digest


# ---- events


@dataclass(frozen=True, slots=True)
class CeremonyProposed:
    """Our operator wants this proposed, with a valid token."""

    proposal: Proposal
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class CeremonyJoined:
    """Our operator has read the proposal and takes part, with a valid token."""

    ceremony: Digest
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class CeremonyLeft:
    """Our operator takes no part any more, with a valid token."""

    ceremony: Digest
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class CeremonyStuck:
    """The signer could not do its part; it is asked again after a restart."""

    ceremony: Digest
    reason: str


CeremonyEvent = CeremonyProposed | CeremonyJoined | CeremonyLeft | CeremonyStuck
CeremonyEffect = (
    CeremonyStep | PutInForce | CeremonyEnded | KeepEvidence | KeepPossession | RetireShares | CeremonyMoved
)
