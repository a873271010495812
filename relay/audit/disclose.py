"""Opening sealed fields of a record of one's own: only those that are named, and never the seed (SPEC 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from proofs.disclosure import DisclosureFile, encode_disclosure, sealed_of
from proofs.envelope import Envelope
from proofs.errors import ProofError
from relay.core.events import Event
from relay.core.sealing import find_sealed

__all__ = ["SEALING_EVENTS", "DiscloseError", "disclosure_of"]

SEALING_EVENTS = ("signal", "readiness")
"""Kinds of events, as the journal names them, that have something to seal."""


class DiscloseError(ProofError):
    """`sealed-record` (the seed is not here), `sealed-form` (no field of that name)."""


def disclosure_of(envelope: Envelope, names: Collection[str], events: Iterable[Event]) -> bytes:
    """Give the file that opens the fields `names` of a record, out of our journal's events.

    Raises:
        DiscloseError: no seed for it stands in the journal, or it has no such field.
        DisclosureError: `sealed-record`, such a record seals nothing.
    """
    sealed = sealed_of(envelope.kind, envelope.body)
    strange = sorted(set(names) - set(sealed.names))
    if strange or not names:
        expected, got = " or ".join(sealed.names), ", ".join(strange) or "none"
        raise DiscloseError("sealed-form", f"expected fields {expected} of a {envelope.kind}, got {got}")
    ours = find_sealed(events, sealed.root)
    if ours is None:
        problem = f"expected the seed of record {envelope.digest.hex()} in this journal, got none"
        raise DiscloseError("sealed-record", f"{problem}: only its author has it")
    fields = tuple(ours.disclose(name) for name in sorted(set(names)))
    return encode_disclosure(DisclosureFile(envelope.raw, fields))
