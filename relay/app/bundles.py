"""Making the evidence bundle of a decision: it and those that led to it, with proofs from our own log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.bundle import (
    Bundle,
    BundleCommittee,
    BundleDecision,
    BundlePlan,
    BundleRecord,
    encode_bundle,
)
from proofs.committee import SignedCommittee
from proofs.errors import ProofError
from relay.core.book import Entry
from relay.core.events import Event, Received, Signed
from relay.core.incidents import incidents
from relay.core.messages import Outcome
from relay.core.node import Node
from relay.core.types import ActId, DecisionId, Digest, Identity
from relay.journal import AuditLog

__all__ = ["Bundles"]

MAX_DECISIONS: Final = 4_096
MAX_ALIKE: Final = 4
"""Words of one member on one effect of one act: a re-org may make it say so again."""


@dataclass(frozen=True, slots=True)
class _Said:
    """Who says that he saw which effect of which act."""

    author: Identity
    act_id: ActId
    effect: str


class Bundles:
    """Makes bundles from the node's book and its published log."""

    def __init__(self, node: Node, committees: Sequence[SignedCommittee]) -> None:
        self._node = node
        self._outcomes: dict[DecisionId, dict[Digest, tuple[_Said, bytes]]] = {}
        self._committees = tuple(
            BundleCommittee(signed.document.raw, signed.signatures) for signed in committees
        )

    def heard(self, event: Event) -> None:
        """Keep what members say they saw of a decision; called after the node took it, also in a replay."""
        if not isinstance(event, Received | Signed) or not isinstance(event.message, Outcome):
            return
        entry = self._node.book.entry_of(event.message.decision_id)
        if entry is None or not _is_about(event.message, entry):
            return
        kept = self._outcomes.setdefault(event.message.decision_id, {})
        said = _Said(event.envelope.author, event.message.act_id, event.message.effect)
        if sum(1 for other, _ in kept.values() if other == said) < MAX_ALIKE:
            kept[event.envelope.digest] = (said, event.envelope.raw)
        if len(self._outcomes) > MAX_DECISIONS:
            del self._outcomes[next(iter(self._outcomes))]

    async def make(self, audit: AuditLog, decision_id: bytes) -> bytes | None:
        """Give the bundle of the whole incident that a decision belongs to.

        Only certified decisions enter, with published attestations for their certificates: one that nobody
        carried out may be published hours later, and the others need not wait for it. None for an unknown
        decision, and while the one that was asked for, or what led to it, is not published.
        """
        entries: list[Entry] = []
        records: list[BundleRecord] = []
        numbers: dict[Digest, int] = {}
        for entry in self._incident(decision_id):
            parent = entry.tally.prepared.decision.parent
            found = await self._published(audit, entry)
            is_rooted = parent is None or parent in {each.tally.prepared.id for each in entries}
            if is_rooted and self._stands(entry, found):
                entries.append(entry)
                for digest, record in found.items():
                    numbers[digest] = len(records)
                    records.append(record)
        if decision_id not in {entry.tally.prepared.id for entry in entries}:
            return None
        plans = {entry.tally.prepared.decision.plan_hash for entry in entries}
        bundle = Bundle(
            network=self._node.settings.committee.network,
            committees=self._committees,
            plans=tuple(
                BundlePlan(plan_hash, self._node.rooms[plan_hash].compiled.plan.canonical)
                for plan_hash in sorted(plans)
            ),
            decisions=tuple(self._decision(entry, numbers) for entry in entries),
            records=tuple(records),
            log=audit.vkey,
        )
        try:
            return encode_bundle(bundle)
        except ProofError:
            return None

    async def _published(self, audit: AuditLog, entry: Entry) -> dict[Digest, BundleRecord]:
        """Give those records of a decision that the log has published, with their proofs."""
        attestations = [(slot.digest, slot.raw) for _, slot in sorted(entry.tally.slots.items())]
        found: dict[Digest, BundleRecord] = {}
        for digest, raw in (*attestations, *self._seen(entry)):
            try:
                found[digest] = BundleRecord(raw, await audit.tlog_proof(digest))
            except KeyError:
                continue
        return found

    def _incident(self, decision_id: bytes) -> list[Entry]:
        """Give the certified decisions of the incident, parents before their children."""
        for incident in incidents(self._node.book, self._node.landing):
            if decision_id not in {state.id for state in incident.decisions}:
                continue
            certified = [
                state.entry for state in incident.decisions if state.is_certified and not state.entry.void
            ]
            known = {entry.tally.prepared.id: entry for entry in certified}
            return sorted(certified, key=lambda entry: self._depth(entry, known))
        return []

    def _stands(self, entry: Entry, published: Mapping[Digest, BundleRecord]) -> bool:
        """Tell whether enough of the certificate's attestations are published."""
        tally = entry.tally
        enough = sum(1 for identity in tally.attesters() if tally.slots[identity].digest in published)
        return enough >= self._node.settings.committee.threshold(tally.prepared.decision.tier)

    def _seen(self, entry: Entry) -> list[tuple[Digest, bytes]]:
        kept = self._outcomes.get(entry.tally.prepared.id, {})
        return sorted((digest, raw) for digest, (_, raw) in kept.items())

    def _depth(self, entry: Entry, known: Mapping[DecisionId, Entry]) -> int:
        parent = entry.tally.prepared.decision.parent
        return 0 if parent is None or parent not in known else 1 + self._depth(known[parent], known)

    def _decision(self, entry: Entry, numbers: Mapping[Digest, int]) -> BundleDecision:
        prepared, certificate = entry.tally.prepared, entry.tally.certificate
        assert certificate is not None, "only certified decisions enter a bundle"
        slots = [slot for _, slot in sorted(entry.tally.slots.items())]
        return BundleDecision(
            decision=prepared.decision,
            mandate=prepared.mandate,
            leaves=prepared.leaves,
            certificate=certificate,
            attestations=tuple(numbers[slot.digest] for slot in slots if slot.digest in numbers),
            outcomes=tuple(numbers[digest] for digest, _ in self._seen(entry) if digest in numbers),
        )


def _is_about(outcome: Outcome, entry: Entry) -> bool:
    """Tell whether an outcome is of this very mandate; a liar's about another stays outside."""
    prepared = entry.tally.prepared
    acts = {(leaf.chain, leaf.gateway, leaf.act_id) for leaf in prepared.leaves}
    named = (outcome.chain, outcome.gateway, outcome.act_id)
    return outcome.mandate_digest == prepared.digest and named in acts
