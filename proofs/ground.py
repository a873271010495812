"""What decisions are held against: the network, its committees and keys, the log's records (SPEC 10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.checkpoint import SignedCheckpoint
from proofs.committee import CommitteeDocument, CommitteeMember
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.groupkeys import KeysDocument
from proofs.kinds import Identity, NetworkId

__all__ = ["DecidingError", "Ground", "LoggedRecord", "Weight", "record_at"]


class DecidingError(ProofError):
    """A part of a decision does not follow from the others; SPEC 10 lists the checks."""


@dataclass(frozen=True, slots=True)
class Weight:
    """How many of a committee's `members` say the same; `committee` names it, f of it may lie."""

    count: int
    members: int
    f: int
    committee: str

    @property
    def has_honest(self) -> bool:
        """Tell whether an honest member must be among them."""
        return self.count > self.f

    def __str__(self) -> str:
        """Give it in words."""
        honest = "one of them honest" if self.has_honest else f"too few to exclude lies (f = {self.f})"
        return f"{self.count} of {self.members} {self.committee}, {honest}"


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A member's envelope, and the signed checkpoint under which it is in the log."""

    envelope: Envelope
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class Ground:
    """The network, its committee documents from genesis on, and keys documents by key epoch, all checked."""

    network: NetworkId
    documents: tuple[CommitteeDocument, ...]
    keys: Mapping[int, KeysDocument]

    def check_author(self, envelope: Envelope) -> None:
        """Check that an envelope is of this network, by a member of the epoch that it names.

        Raises:
            DecidingError: `record-network`, `record-epoch`, `record-author`.
        """
        if envelope.network != self.network:
            raise DecidingError(
                "record-network", f"expected network {self.network.hex()}, got {envelope.network.hex()}"
            )
        if not 1 <= envelope.committee_epoch <= len(self.documents):
            raise DecidingError(
                "record-epoch",
                f"expected an epoch up to {len(self.documents)}, got {envelope.committee_epoch}",
            )
        self.name_of(envelope)

    def member_of(self, envelope: Envelope) -> CommitteeMember:
        """Give an envelope's author as the document of its epoch has it."""
        member = self.documents[envelope.committee_epoch - 1].member(envelope.author)
        if member is None:
            raise DecidingError(
                "record-author",
                f"expected a member of epoch {envelope.committee_epoch}, got {envelope.author.hex()}",
            )
        return member

    def name_of(self, envelope: Envelope) -> str:
        """Give the name of an envelope's author."""
        return self.member_of(envelope).name

    def of_key_epoch(self, key_epoch: int) -> CommitteeDocument:
        """Give the newest document of a key epoch: all of them have the same attesters."""
        documents = [document for document in self.documents if document.key_epoch == key_epoch]
        if not documents:
            raise DecidingError("key-epoch", f"expected a key epoch of the committee, got {key_epoch}")
        return documents[-1]

    def member_in(self, identity: Identity, key_epoch: int) -> CommitteeMember | None:
        """Give a member as the newest document of a key epoch that has it says it."""
        documents = [document for document in self.documents if document.key_epoch == key_epoch]
        members = (document.member(identity) for document in reversed(documents))
        return next((member for member in members if member is not None), None)

    def weigh(self, voices: Mapping[Identity, str], key_epoch: int) -> Weight:
        """Tell how many of a decision's committee say something, and whether one of them must be honest.

        Nobody else speaks of a decision (core SPEC 2.4): f of a large committee may all be of the smaller one
        before it, which had a smaller f. If several documents have the key epoch, their voices do not add up;
        the one in which they weigh most counts, if equal the newest.
        """
        newest = self.of_key_epoch(key_epoch)
        older = [
            each for each in reversed(self.documents) if each.key_epoch == key_epoch and each is not newest
        ]
        weights = [_weight(voices, newest, "members")]
        weights += [_weight(voices, each, f"members of epoch {each.committee_epoch}") for each in older]
        return max(weights, key=lambda weight: weight.count)


def record_at(records: Sequence[LoggedRecord], number: int) -> LoggedRecord:
    """Give the record of that number.

    Raises:
        DecidingError: `record-missing`.
    """
    if number >= len(records):
        raise DecidingError("record-missing", f"expected a record below {len(records)}, got {number}")
    return records[number]


def _weight(voices: Mapping[Identity, str], document: CommitteeDocument, committee: str) -> Weight:
    count = sum(1 for member in document.members if member.identity in voices)
    return Weight(count, len(document.members), document.f, committee)
