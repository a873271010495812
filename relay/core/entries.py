"""What the book of decisions holds of each of them, and how it is found (SPEC 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.decision import BlockRef
from relay.core.decisions import Prepared
from relay.core.evidence import SigningKey
from relay.core.messages import Attestation, Verdict
from relay.core.tally import Slot, Tally
from relay.core.types import DecisionId, Digest, Identity, PlanHash

__all__ = ["MAX_OPEN", "MAX_OPEN_ALONE", "Entries", "Entry", "Key", "standing"]

MAX_OPEN: Final = 4_096
MAX_OPEN_ALONE: Final = 64
"""Open decisions that at most f members attest, for the member that brought them up (SPEC 6.5)."""

Key = tuple[DecisionId, int, BlockRef]
"""A decision as it was stated: id, key epoch and anchor.

The id holds the anchor's hash alone: who states another number or time for it makes an entry of his own,
and does not stand in the way of the true one.
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
    certified_s: int | None = None
    """The reference chain's time when we first saw its certificate, in this process."""
    is_absence_told: bool = False
    late: dict[Identity, set[Verdict]] = field(default_factory=dict)
    """What was said when its mandate was over (SPEC 6.5)."""


def standing(entry: Entry) -> int:
    """Tell how far a decision has come: certified, attested by us, or only heard of."""
    if entry.tally.certificate is not None:
        return 2
    return 1 if entry.asked is Verdict.ATTEST else 0


class Entries(Mapping[Key, Entry]):
    """The open decisions and those that are kept, by key, by id, and by who brought them up."""

    def __init__(self, me: Identity) -> None:
        self._me = me
        self._by_key: dict[Key, Entry] = {}
        self._by_id: dict[DecisionId, list[Key]] = {}
        self._alone: dict[Identity, dict[Key, None]] = {}
        """By the member that brought them up: open decisions that at most f members attest."""

    def __getitem__(self, key: Key) -> Entry:
        return self._by_key[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def ids(self) -> Collection[DecisionId]:
        """The decisions that have an entry."""
        return self._by_id.keys()

    # ---- coming and going

    def has_place_for(self, opener: Identity) -> bool:
        """Tell whether one more decision may be brought up by a member (SPEC 6.5)."""
        if len(self._alone.get(opener, ())) >= MAX_OPEN_ALONE:
            return False
        open_ = (entry for entry in self._by_key.values() if entry.tally.certificate is None)
        return len(self) < MAX_OPEN or sum(1 for _ in open_) < MAX_OPEN

    def open(self, prepared: Prepared, opener: Identity) -> Key:
        """Make the entry of a decision as it is stated, unless there is one."""
        key = (prepared.id, prepared.decision.key_epoch, prepared.decision.anchor)
        if key not in self._by_key:
            self._by_key[key] = Entry(tally=Tally(prepared), opener=opener)
            if opener != self._me:
                self._alone.setdefault(opener, {})[key] = None
            self._by_id.setdefault(prepared.id, []).append(key)
        return key

    def back(self, key: Key) -> None:
        """Take note that more than f members attest: it takes none of its opener's places any more."""
        self._alone.get(self._by_key[key].opener, {}).pop(key, None)

    def drop(self, keys: Iterable[Key]) -> list[DecisionId]:
        """Drop entries; give the decisions that have none left."""
        dropped = list(keys)
        for key in dropped:
            self.back(key)
            del self._by_key[key]
            self._by_id[key[0]].remove(key)
        gone = [decision for decision, _, _ in dropped if not self._by_id.get(decision)]
        for decision in gone:
            self._by_id.pop(decision, None)
        return gone

    # ---- questions

    def entry_of(self, decision: DecisionId) -> Entry | None:
        """Give the entry of a decision; of several statements about its anchor, the one that stands best."""
        return max(self._stated(decision), key=standing, default=None)

    def stated(self, decision: DecisionId) -> tuple[Prepared, ...]:
        """Give a decision as it was stated: with one anchor and key epoch, or several."""
        return tuple(entry.tally.prepared for entry in self._stated(decision))

    def about(self, about: SigningKey) -> tuple[Entry, ...]:
        """Give the entries that one mandate signature may be given for."""
        keys = self._by_id.get(about[0], ())
        return tuple(self._by_key[key] for key in keys if key[1] == about[1])

    def other_mandate(self, about: SigningKey, author: Identity, attestation: Attestation) -> Slot | None:
        """Give the author's word for another mandate under the same decision id and key epoch."""
        if attestation.verdict is not Verdict.ATTEST:
            return None
        for entry in self.about(about):
            slot = entry.tally.slots.get(author)
            if slot is None or slot.verdict is not Verdict.ATTEST:
                continue
            if slot.mandate_digest != attestation.digest:
                return slot
        return None

    def is_certified(self, key: Key) -> bool:
        """Tell whether a decision is certified, and stands."""
        entry = self._by_key.get(key)
        return entry is not None and entry.tally.certificate is not None and not entry.void

    def certified_of(self, plan_hash: PlanHash, subject: str) -> tuple[Prepared, ...]:
        """Give the certified decisions of a plan about a subject that stand."""
        found = (each for each in self._by_key.values() if each.tally.certificate is not None)
        prepared = (each.tally.prepared for each in found if not each.void)
        return tuple(
            each
            for each in prepared
            if (each.decision.plan_hash, each.decision.subject) == (plan_hash, subject)
        )

    def id_of_mandate(self, digest: Digest | None) -> DecisionId | None:
        """Give the decision that an open mandate belongs to."""
        found = (entry.tally.prepared for entry in self._by_key.values())
        return next((prepared.id for prepared in found if prepared.digest == digest), None)

    def open_mandates(self, now_s: Mapping[str, int]) -> frozenset[Digest]:
        """Give the digests that are worth a signature: not void, and their time is not over."""
        return frozenset(
            prepared.digest
            for prepared in (entry.tally.prepared for entry in self._by_key.values() if not entry.void)
            if now_s.get(prepared.decision.anchor.chain, 0) <= prepared.mandate.not_after
        )

    # ---- threshold certificates

    def keep_threshold(self, prepared: Prepared, certificate: bytes) -> None:
        """Keep the threshold certificate of a mandate, however its anchor was stated."""
        for entry in self._stated(prepared.id):
            if entry.tally.prepared.digest == prepared.digest:
                entry.threshold_certificate = certificate

    def threshold_certificate(self, prepared: Prepared) -> bytes | None:
        """Give the threshold certificate of a mandate, if it was completed here."""
        same = (
            entry.threshold_certificate
            for entry in self._stated(prepared.id)
            if entry.tally.prepared.digest == prepared.digest
        )
        return next(same, None)

    def _stated(self, decision: DecisionId) -> Iterator[Entry]:
        return (self._by_key[key] for key in self._by_id.get(decision, ()))
