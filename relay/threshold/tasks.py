"""What a signing session is about: a mandate to sign, and the group key that signs it (SPEC 2, 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from proofs.canonical import encode
from proofs.groupkeys import KeysDocument, group_name
from proofs.hashes import tagged
from proofs.kinds import Digest, Identity
from proofs.mandate import Tier
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import Commitment, Package
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import SignerCommitment, SigningRequest

__all__ = ["GroupKey", "Task", "coordinators_of", "mandate_keys", "session_id"]


@dataclass(frozen=True, slots=True)
class Task:
    """A mandate that members attest to; `members` are all of its committee.

    `malicious` is f; one less than all of them where nobody may be alone with the signature.
    """

    digest: Digest
    tier: Tier
    key_epoch: int
    members: tuple[Identity, ...]
    malicious: int


@dataclass(frozen=True)
class GroupKey:
    """A tier's key of one keys document; `shares` are the holders' verification shares, in their order."""

    key_id: Digest
    tier: Tier
    key_epoch: int
    generation: int
    key: bytes
    threshold: int
    holders: tuple[Identity, ...]
    shares: tuple[bytes, ...]

    @cached_property
    def identifiers(self) -> Mapping[Identity, int]:
        """The holders' numbers, from 1 on."""
        return {holder: number for number, holder in enumerate(self.holders, start=1)}

    @property
    def most_requests(self) -> int:
        """How many requests of one coordinator are answered: so many are enough with any n − t in trouble."""
        return len(self.holders) - self.threshold + 1

    def package(self, request: SigningRequest) -> Package:
        """Give what the signers of a request sign.

        Raises:
            ThresholdError: a point does not decode, or the commitments add up to nothing.
        """
        commitments = {
            self.identifiers[line.signer]: Commitment(line.open.hiding, line.open.binding)
            for line in request.commitments
        }
        return Package(SECP256K1, self.key, commitments, request.digest)

    def check_request(self, request: SigningRequest) -> None:
        """Check that exactly `threshold` holders are asked, in ascending order.

        Raises:
            ThresholdError: `session`.
        """
        signers = [line.signer for line in request.commitments]
        if len(signers) != self.threshold:
            raise ThresholdError("session", f"expected {self.threshold} signers, got {len(signers)}")
        if any(one >= other for one, other in pairwise(signers)):
            raise ThresholdError("session", "expected signers in ascending order, each once")
        strangers = [signer for signer in signers if signer not in self.identifiers]
        if strangers:
            raise ThresholdError("session", f"expected holders, got {strangers[0].hex()[:16]}")


def mandate_keys(document: KeysDocument) -> tuple[GroupKey, ...]:
    """Give the keys of a document that sign mandates, one per tier that it has."""
    found = []
    for tier in Tier:
        group = document.group(group_name(tier))
        if group is not None:
            found.append(
                GroupKey(
                    key_id=document.key_id(group.name),
                    tier=tier,
                    key_epoch=document.key_epoch,
                    generation=document.generation,
                    key=group.key,
                    threshold=group.threshold,
                    holders=document.holders,
                    shares=group.shares,
                )
            )
    return tuple(found)


def coordinators_of(task: Task) -> tuple[Identity, ...]:
    """Give who may coordinate, first in rank first: one member more than may be malicious."""
    ranked = sorted(task.members, key=lambda member: tagged("tocsin/coordinator/1", task.digest + member))
    return tuple(ranked[: task.malicious + 1])


def session_id(coordinator: Identity, request: SigningRequest) -> Digest:
    """Give what names a session: the mandate, the key, who asks, and all commitments."""
    about = request.digest + request.key_id + coordinator
    return tagged("tocsin/session/1", about + _canonical(request.commitments))


def _canonical(lines: Sequence[SignerCommitment]) -> bytes:
    return encode(
        [[line.signer, line.boot, line.open.seq, line.open.hiding, line.open.binding] for line in lines]
    )
