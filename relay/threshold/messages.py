"""What members say to each other to make keys and to sign with them (SPEC 3, 4), as values.

`relay.core.bodies` reads and writes them; each travels in an envelope of its author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proofs.kinds import Digest, Identity, NetworkId

__all__ = [
    "CeremonyMessage",
    "Commitments",
    "Complaint",
    "Deal",
    "GroupDeal",
    "Join",
    "OpenCommitment",
    "Proposal",
    "RotationTerms",
    "SessionMessage",
    "SignatureShare",
    "SignerCommitment",
    "SigningRequest",
    "ThresholdCertificate",
    "Transcript",
]

# ---- the ceremony (SPEC 3)


@dataclass(frozen=True, slots=True)
class RotationTerms:
    """When and how the next key epoch is announced to verifiers; seconds of chain time."""

    not_before: int
    not_after: int
    revoke: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """Let these dealers make keys for these receivers, by `deadline_ms` of the wall clock.

    `committee` is H of the committee document that the keys are for; `base` is H of the keys document that
    is reshared, None for a DKG. `dealers`, `receivers` and `groups` ascend.
    """

    network: NetworkId
    committee: Digest
    committee_epoch: int
    key_epoch: int
    generation: int
    base: Digest | None
    dealers: tuple[Identity, ...]
    receivers: tuple[Identity, ...]
    groups: tuple[str, ...]
    rotation: RotationTerms | None
    deadline_ms: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class Join:
    """The author takes part; `pairs` has its X25519 key (32 bytes) for each dealer but itself."""

    ceremony: Digest
    pairs: Mapping[Identity, bytes] = field(hash=False)


@dataclass(frozen=True, slots=True)
class GroupDeal:
    """A dealer's polynomial of one group: commitments to its coefficients, and a proof of the first."""

    name: str
    commitments: tuple[bytes, ...]
    proof: bytes


@dataclass(frozen=True, slots=True)
class Deal:
    """The author's deal over these joins.

    `sealed` has for each receiver but the author: its sealing key (X25519, 32) ‖ box of the sub-shares.
    """

    ceremony: Digest
    joins: Digest
    groups: tuple[GroupDeal, ...]
    sealed: Mapping[Identity, bytes] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What `dealer` sealed for the author is not what it committed to; `secret` opens this pair's box.

    `deal` is the digest of the dealer's statement.
    """

    ceremony: Digest
    dealer: Identity
    deal: Digest
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The author has seen all deals, holds shares that fit, and signs the keys document that they give.

    `document` is its SHA-256, `signature` (64) is over the document, `proofs` one by each share, by group.
    """

    ceremony: Digest
    document: Digest
    signature: bytes
    proofs: Mapping[str, bytes] = field(hash=False)


CeremonyMessage = Proposal | Join | Deal | Complaint | Transcript

# ---- signing sessions (SPEC 4)


@dataclass(frozen=True, slots=True)
class OpenCommitment:
    """A signer's open commitment: its number, and the commitments to the hiding and the binding nonce."""

    seq: int
    hiding: bytes
    binding: bytes


@dataclass(frozen=True, slots=True)
class Commitments:
    """The author is ready to sign `digest` for each of these coordinators."""

    digest: Digest
    key_id: Digest
    boot: int
    batch: Mapping[Identity, OpenCommitment] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SignerCommitment:
    """One line of a request: whose commitment, of which boot."""

    signer: Identity
    boot: int
    open: OpenCommitment


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A coordinator asks these signers, in ascending order, to sign with these commitments."""

    digest: Digest
    key_id: Digest
    commitments: tuple[SignerCommitment, ...]


@dataclass(frozen=True, slots=True)
class SignatureShare:
    """The author's share of one session; `next` is its next open commitment to that coordinator."""

    digest: Digest
    key_id: Digest
    coordinator: Identity
    session: Digest
    share: bytes
    boot: int
    next: OpenCommitment | None


SessionMessage = Commitments | SigningRequest | SignatureShare


@dataclass(frozen=True, slots=True)
class ThresholdCertificate:
    """What came of sessions about `digest` (97 bytes, SPEC 1.1), for a member that goes on committing."""

    digest: Digest
    key_id: Digest
    certificate: bytes
