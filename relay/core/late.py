"""Words on decisions that are over: logged, and counted for nothing (SPEC 6.5)."""

from __future__ import annotations

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from relay.core.effects import Effect, LogEntry, Notice, Releasable
from relay.core.entries import Entry
from relay.core.messages import Attestation, Verdict
from relay.core.tally import Taken, is_said, is_well_signed

__all__ = ["take_late"]


def take_late(
    entry: Entry | None, envelope: Envelope, attestation: Attestation, committee: CommitteeDocument
) -> list[Effect]:
    """Log a word on a decision of ours that is over: of each member a verdict, and an abstention before it.

    Who heard some of the words in time and others after an outage would else look to an auditor as if he left
    those out. Of a decision that is not known here (`entry` None) nothing is taken: there is no end to them.
    """
    if entry is None:
        return [_dropped(envelope, "stale attestation")]
    author = envelope.author
    late = entry.late.get(author)
    is_told = late is not None and (late is not Verdict.ABSTAIN or attestation.verdict is Verdict.ABSTAIN)
    if is_told or is_said(entry.tally.slots.get(author), attestation.verdict):
        return []
    if not is_well_signed(entry.tally.prepared, author, attestation, committee):
        return [_dropped(envelope, Taken.BAD_SIGNATURE.value)]
    entry.late[author] = attestation.verdict
    return [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]


def _dropped(envelope: Envelope, reason: str) -> Notice:
    return Notice("attestation dropped", {"reason": reason, "signer": envelope.author.hex()[:16]})
