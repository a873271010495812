"""What the book of decisions holds of each of them (SPEC 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from proofs.decision import BlockRef
from relay.core.messages import Verdict
from relay.core.tally import Tally
from relay.core.types import DecisionId, Digest, Identity

__all__ = ["Entry", "Key", "standing"]

Key = tuple[DecisionId, int, BlockRef]
"""A decision as it was stated: id, key epoch and anchor.

The id holds the anchor's hash alone: who states another number or time for it makes an entry of his own,
and does not
stand in the way of the true one.
"""


@dataclass(slots=True)
class Entry:
    """A decision in the book.

    `asked` is the verdict that our signer was asked for, `opener` who brought it up.
    """

    tally: Tally
    opener: Identity
    asked: Verdict | None = None
    threshold_certificate: bytes | None = None
    """The certificate of kind 2, once it was completed here (threshold SPEC 4.1)."""
    void: bool = False
    logged: set[Digest] = field(default_factory=set)
    """Entries of the audit log about it that are not released yet."""


def standing(entry: Entry) -> int:
    """Tell how far a decision has come: certified, attested by us, or only heard of."""
    if entry.tally.certificate is not None:
        return 2
    return 1 if entry.asked is Verdict.ATTEST else 0
