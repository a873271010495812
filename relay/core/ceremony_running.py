"""One ceremony as a node knows it, and how it ended (threshold SPEC 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from proofs.envelope import Envelope
from proofs.hashes import sha256
from relay.core.types import Digest, Identity
from relay.threshold.blame import Fault
from relay.threshold.messages import Proposal
from relay.threshold.record import Ceremony, Duty, Slot, Step

__all__ = ["Ended", "Running", "evidence_name"]


class Ended(StrEnum):
    """How a ceremony ended, as far as this node is concerned."""

    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    DROPPED = "dropped"


@dataclass(slots=True)
class Running:
    """One ceremony. Without `ceremony` its documents are not known here, and `trouble` says which."""

    id: Digest
    proposed: Envelope
    proposal: Proposal
    ceremony: Ceremony | None = None
    consented: bool = False
    asked: Duty | None = None
    """What our signer was asked for since this process began."""
    ended: Ended | None = None
    in_force: bool = False
    erased: bool = False
    superseded: bool = False
    """Whether our signer was told that these or later keys are in force."""
    trouble: str = ""
    evident: dict[str, Fault] = field(default_factory=dict)
    """The faults of which evidence was kept, by the names of the files."""

    @property
    def is_open(self) -> bool:
        """Tell whether it can still end well in time."""
        return self.ended is None

    def has_signed(self, me: Identity) -> bool:
        """Tell whether we signed its keys document."""
        return self.ceremony is not None and Slot(Step.TRANSCRIPT, me) in self.ceremony.said

    @property
    def is_signed_by_any(self) -> bool:
        """Tell whether somebody signed a keys document of it."""
        said = {} if self.ceremony is None else self.ceremony.said
        return any(slot.step is Step.TRANSCRIPT for slot in said)

    def has_joined(self, me: Identity) -> bool:
        """Tell whether our join is out."""
        return self.ceremony is not None and Slot(Step.JOIN, me) in self.ceremony.said


def evidence_name(fault: Fault) -> str:
    """Give the file that holds the evidence of a fault: one by ceremony, culprit and reason."""
    verdict = fault.verdict
    reason = sha256(verdict.reason.encode()).hex()[:8]
    return f"ceremony-{verdict.ceremony.hex()[:16]}-{verdict.culprit.hex()[:16]}-{reason}.blame"
