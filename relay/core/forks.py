"""Which members' logs have told two stories (SPEC 3, `fork`; proofs SPEC 12.1): one record a log."""

from __future__ import annotations

from dataclasses import dataclass, field

from proofs.committee import log_key
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.forks import Fork, check_fork, encode_fork
from proofs.note import VerifierKey
from relay.core.ceremony_effects import KeepEvidence
from relay.core.committees import Committees
from relay.core.effects import Effect, LogEntry, Notice, Page, PageKind, Releasable, SignStatement
from relay.core.events import ForkFound
from relay.core.types import Identity
from relay.core.witnessing import ForkShown

__all__ = ["Forks"]


@dataclass(slots=True)
class Forks:
    """The forks that were taken, by the key of the log: at most one for each log key of a document."""

    taken: dict[VerifierKey, Fork] = field(default_factory=dict)

    def found(self, event: ForkFound, committees: Committees) -> list[Effect]:
        """Say to all what our own witness has found."""
        fork = _judged(event.first, event.second, committees)
        if fork is None or fork.key in self.taken:
            return []
        return [SignStatement(ForkShown(fork.first, fork.second))]

    def heard(self, envelope: Envelope, message: ForkShown, committees: Committees) -> list[Effect]:
        """Take a member's evidence, or our own: the first about each log, once it is checked."""
        fork = _judged(message.first, message.second, committees)
        if fork is None:
            return [_dropped("bad evidence")]
        if fork.key in self.taken:
            return [_dropped("not wanted")]
        self.taken[fork.key] = fork
        member = _members(committees)[fork.key]
        name = f"fork-{member.hex()[:16]}-{fork.key.key_id.hex()}.json"
        text = f"the log {fork.origin} has two roots at size {fork.size}; evidence: {name}"
        return [
            LogEntry(envelope.digest, envelope.raw),
            Releasable((envelope.digest,)),
            KeepEvidence(member, name, encode_fork(fork)),
            Page(PageKind.FORK_EVIDENCE, text),
        ]


def _members(committees: Committees) -> dict[VerifierKey, Identity]:
    """Give the log keys of all known documents, and whose they are."""
    return {
        log_key(document, member): member.identity
        for document in committees.documents
        for member in document.members
    }


def _judged(first: str, second: str, committees: Committees) -> Fork | None:
    try:
        return check_fork(first, second, _members(committees))
    except ProofError:
        return None


def _dropped(reason: str) -> Notice:
    return Notice("statement dropped", {"reason": reason, "kind": "fork"})
