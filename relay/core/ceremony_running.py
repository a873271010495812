"""One ceremony as a node knows it, and how it ended (threshold SPEC 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument
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
    opened: KeysDocument | None = None
    """What the deals gave when our signer was asked to open them: what it signs, if it does."""
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
    def may_be_signed(self) -> bool:
        """Tell whether an honest member may have signed its keys: none does before all have joined."""
        if self.ceremony is None:
            return False
        said, all_of = self.ceremony.said, self.ceremony.terms.participants
        has_all = all(Slot(Step.JOIN, each) in said for each in all_of)
        return has_all and any(slot.step is Step.TRANSCRIPT for slot in said)

    def is_signing(self, me: Identity) -> bool:
        """Tell whether our signer is about to sign a keys document of it, or to complain."""
        said = () if self.ceremony is None else self.ceremony.said
        has_complained = any(slot.step is Step.COMPLAINT and slot.author == me for slot in said)
        return self.asked is Duty.OPEN and not has_complained

    def has_joined(self, me: Identity) -> bool:
        """Tell whether our join is out."""
        return self.ceremony is not None and Slot(Step.JOIN, me) in self.ceremony.said


def evidence_name(fault: Fault) -> str:
    """Give the file that holds the evidence of a fault: one by ceremony, culprit and reason."""
    verdict = fault.verdict
    reason = sha256(verdict.reason.encode()).hex()[:8]
    return f"ceremony-{verdict.ceremony.hex()[:16]}-{verdict.culprit.hex()[:16]}-{reason}.blame"
