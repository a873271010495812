"""What this node says in sealed form: the fields, and the seed that opens them (proofs SPEC 13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proofs.disclosure import Disclosure, disclose, seal
from proofs.remarks import ReadinessChange, Signal
from relay.core.events import Event, ReadinessChanged, SignalTold
from relay.core.types import Digest, PlanHash

__all__ = ["SealedFields", "find_sealed", "readiness_of", "sealed_fields_of", "signal_of"]


@dataclass(frozen=True, slots=True)
class SealedFields:
    """Fields that we sealed, in ascending order of name; the seed is a secret of this node's."""

    fields: tuple[tuple[str, str], ...]
    seed: bytes

    @property
    def root(self) -> Digest:
        """Give what stands in the envelope."""
        return seal(dict(self.fields), self.seed)

    def disclose(self, name: str) -> Disclosure:
        """Give the opening of one field.

        Raises:
            DisclosureError: `sealed-form`, there is no such field.
        """
        return disclose(dict(self.fields), self.seed, name)


def sealed_fields_of(event: Event) -> SealedFields | None:
    """Give what we sealed because of an event of our journal; None where it has nothing to seal."""
    match event:
        case SignalTold():
            return SealedFields((("note", event.note), ("reporter", event.reporter)), event.seed)
        case ReadinessChanged():
            return SealedFields((("reason", event.reason), ("remedy", event.remedy)), event.seed)
        case _:
            return None


def find_sealed(events: Iterable[Event], root: Digest) -> SealedFields | None:
    """Give what one of our own envelopes has sealed under `root`, from the journal's events.

    The event stands before the envelope; of any other member's envelope the journal has no seed.
    """
    found = (sealed_fields_of(event) for event in events)
    return next((sealed for sealed in found if sealed is not None and sealed.root == root), None)


def signal_of(event: SignalTold) -> Signal:
    """Give what we say of a signal."""
    return Signal(PlanHash(Digest(event.plan_hash)), event.subject, _sealed(event))


def readiness_of(event: ReadinessChanged) -> ReadinessChange:
    """Give what we say of a fact of our readiness."""
    return ReadinessChange(event.fact, event.standing, _sealed(event))


def _sealed(event: SignalTold | ReadinessChanged) -> Digest:
    sealed = sealed_fields_of(event)
    assert sealed is not None, "both have fields to seal"
    return sealed.root
