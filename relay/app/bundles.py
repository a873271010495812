"""Making the evidence bundle of a decision: it and those that led to it, with proofs from our own log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from proofs.bundle import (
    Bundle,
    BundleDecision,
    BundleDocument,
    BundlePlan,
    BundleReceipt,
    BundleRecord,
    encode_bundle,
)
from proofs.committee import SignedCommittee
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.ground import Ground
from proofs.groupkeys import SignedKeys, group_name
from proofs.mandate import CERTIFICATE_FROST, certificate_kind, verify_frost_certificate
from proofs.receipts import ReceiptProof
from proofs.reports import subject_digest
from proofs.statements import OutcomeStatement, read_outcome
from relay.app.receipts import Claim, Receipts
from relay.app.remarked import Remarks
from relay.app.shelf import Allowance, Shelf, Voice, first_voices
from relay.core.book import Entry
from relay.core.decisions import is_linked, report_of
from relay.core.events import Event, Received, Signed
from relay.core.incidents import incidents
from relay.core.messages import Outcome, Report
from relay.core.node import Node
from relay.core.types import DecisionId, Digest
from relay.journal import AuditLog

__all__ = ["Bundles"]

MAX_DECISIONS: Final = 4_096
MAX_ALIKE: Final = 4
"""Words of one member on one effect of one act: a re-org may make it say so again."""


@dataclass(frozen=True, slots=True)
class _Said:
    """Which effect of which act the author of an envelope says that he saw."""

    envelope: Envelope
    statement: OutcomeStatement

    def is_like(self, other: _Said) -> bool:
        """Tell whether both are the same member's words on one effect of one act."""
        ours, theirs = self.statement, other.statement
        about = (other.envelope.author, theirs.act_id, theirs.effect)
        return (self.envelope.author, ours.act_id, ours.effect) == about


class Bundles:
    """Makes bundles from the node's book and its published log."""

    def __init__(
        self,
        node: Node,
        committees: Callable[[], Sequence[SignedCommittee]],
        keys: Callable[[], Sequence[SignedKeys]],
    ) -> None:
        """`committees` and `keys` give the documents in force that are known; `keys` reads the disk."""
        self._node = node
        self._outcomes: dict[DecisionId, dict[Digest, _Said]] = {}
        self._reports: dict[DecisionId, dict[bytes, tuple[Digest, bytes]]] = {}
        """By subject and reporter: the first envelope that told of it, with its digest."""
        self._remarks = Remarks(lambda: node.committees)
        self._committees = committees
        self._keys = keys

    def heard(self, event: Event) -> None:
        """Keep what members say they saw of a decision; called after the node took it, also in a replay."""
        if not isinstance(event, Received | Signed):
            return
        self._remarks.heard(event.envelope, event.message)
        if isinstance(event.message, Report):
            self._reported(event.envelope, event.message)
        if not isinstance(event.message, Outcome):
            return
        entry = self._node.book.entries.entry_of(event.message.decision_id)
        if entry is None or not _is_about(event.message, entry):
            return
        kept = self._outcomes.setdefault(event.message.decision_id, {})
        said = _Said(event.envelope, read_outcome(event.envelope))
        if sum(1 for other in kept.values() if other.is_like(said)) < MAX_ALIKE:
            kept[event.envelope.digest] = said
        if len(self._outcomes) > MAX_DECISIONS:
            del self._outcomes[next(iter(self._outcomes))]

    def _reported(self, envelope: Envelope, report: Report) -> None:
        """Keep who first told us of a report that the node has taken."""
        subject = subject_digest(report.subject)
        reported = self._node.book.reports.told(subject)
        if reported is None or report.reporter not in reported.reporters:
            return
        self._reports.setdefault(subject, {}).setdefault(report.reporter, (envelope.digest, envelope.raw))
        if len(self._reports) > MAX_DECISIONS:
            self._drop_reports()

    def _drop_reports(self) -> None:
        """Make room: first goes what came to nothing, of which reporters may tell as much as they like."""
        book = self._node.book
        called = {entry.tally.prepared.decision.parent for entry in book.entries.values()}
        self._reports = {
            subject: kept
            for subject, kept in self._reports.items()
            if subject in called or book.reports.told(subject) is not None
        }
        while len(self._reports) > MAX_DECISIONS:
            loose = (subject for subject in self._reports if subject not in called)
            del self._reports[next(loose, next(iter(self._reports)))]

    async def make(self, audit: AuditLog, receipts: Receipts, decision_id: bytes) -> bytes | None:
        """Give the bundle of the whole incident that a decision belongs to.

        A receipt that cannot be had is left out: verifiers then say which.

        Only certified decisions enter, with published attestations for their certificates: one that nobody
        carried out may be published hours later, and the others need not wait for it. None for an unknown
        decision, and while the one that was asked for, or what led to it, is not published.
        """
        entries: list[Entry] = []
        records: list[BundleRecord] = []
        numbers: dict[Digest, int] = {}
        for entry in self._incident(decision_id):
            decision = entry.tally.prepared.decision
            found = await self._published(audit, entry)
            known = {each.tally.prepared.id for each in entries}
            is_rooted = not is_linked(decision) or decision.parent in known
            if is_rooted and self._stands(entry, found):
                entries.append(entry)
                for digest, record in found.items():
                    numbers[digest] = len(records)
                    records.append(record)
        outcomes = Shelf(audit, len(records), None)
        await outcomes.put(self._seen(entries))
        numbers |= outcomes.numbers
        records += outcomes.records
        if decision_id not in {entry.tally.prepared.id for entry in entries}:
            return None
        proved = await receipts.prove(self._claims(entries, numbers))
        keys = _shown_keys(entries, await asyncio.to_thread(self._keys))
        bare = [self._decision(entry, _certificate(entry, keys), numbers) for entry in entries]
        remarked, remarks = await self._remarked(audit, entries, bare, numbers)
        # Receipts and remarks can be as long as others made them: they must not cost the rest.
        for decisions, shown, more in (
            (remarked, proved, remarks),
            (remarked, {}, remarks),
            (bare, proved, []),
            (bare, {}, []),
        ):
            full = [
                replace(decision, receipts=self._receipts(entry, numbers, shown))
                for entry, decision in zip(entries, decisions, strict=True)
            ]
            try:
                return encode_bundle(self._bundle(full, keys, [*records, *more], audit.vkey))
            except ProofError:
                continue
        return None

    async def _remarked(
        self,
        audit: AuditLog,
        entries: Sequence[Entry],
        decisions: Sequence[BundleDecision],
        numbers: Mapping[Digest, int],
    ) -> tuple[list[BundleDecision], list[BundleRecord]]:
        """Give the decisions with what else was said of them, and the records of that, numbered on."""
        documents = tuple(signed.document for signed in self._committees())
        ground = Ground(self._node.committees.network, documents, {})
        allowance = Allowance(max((len(document.members) for document in documents), default=1))
        shelf = Shelf(audit, len(numbers), allowance)
        told: list[BundleDecision] = []
        for entry, decision in zip(entries, decisions, strict=True):
            about = entry.tally.prepared.id
            blocks = Counter(
                said.statement.block
                for digest, said in self._outcomes.get(about, {}).items()
                if digest in numbers
            )
            headers = self._remarks.headers(about, blocks)
            statements = self._remarks.statements(decision, ground)
            told.append(
                replace(decision, headers=await shelf.put(headers), statements=await shelf.put(statements))
            )
        return told, shelf.records

    def _bundle(
        self,
        decisions: Sequence[BundleDecision],
        keys: Mapping[int, SignedKeys],
        records: Sequence[BundleRecord],
        log: str,
    ) -> Bundle:
        signed = {
            entry.decision.key_epoch
            for entry in decisions
            if certificate_kind(entry.certificate) == CERTIFICATE_FROST
        }
        plans = {entry.decision.plan_hash for entry in decisions}
        return Bundle(
            network=self._node.committees.network,
            committees=tuple(
                BundleDocument(signed.document.raw, signed.signatures) for signed in self._committees()
            ),
            keys=tuple(
                BundleDocument(keys[epoch].document.raw, keys[epoch].signatures) for epoch in sorted(signed)
            ),
            plans=tuple(
                BundlePlan(plan_hash, self._node.rooms[plan_hash].compiled.plan.canonical)
                for plan_hash in sorted(plans)
            ),
            decisions=tuple(decisions),
            records=tuple(records),
            log=log,
        )

    async def _published(self, audit: AuditLog, entry: Entry) -> dict[Digest, BundleRecord]:
        """Give those reports and attestations that the log has published, with their proofs."""
        attestations = [(slot.digest, slot.raw) for _, slot in sorted(entry.tally.slots.items())]
        found: dict[Digest, BundleRecord] = {}
        for digest, raw in (*self._called(entry), *attestations):
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
        committee = self._node.book.committee_of(tally.prepared)
        decision = tally.prepared.decision
        reports = report_of(self._node.rooms[decision.plan_hash].compiled, decision.subject)
        called = sum(1 for digest, _ in self._called(entry) if digest in published)
        if reports is not None and called < reports.need:
            return False
        return enough >= committee.threshold(tally.prepared.decision.tier)

    def _called(self, entry: Entry) -> list[tuple[Digest, bytes]]:
        """Give the envelopes of the reports that call for a decision, by reporter."""
        decision = entry.tally.prepared.decision
        if decision.parent is None or is_linked(decision):
            return []
        told = self._reports.get(decision.parent, {})
        return [told[reporter] for reporter in sorted(told)]

    def _seen(self, entries: Sequence[Entry]) -> list[Envelope]:
        """Give the outcomes of decisions, in the order in which they have room."""
        said: list[Voice] = []
        for entry in entries:
            f = self._node.book.committee_of(entry.tally.prepared).f
            kept = self._outcomes.get(entry.tally.prepared.id, {}).values()
            said += first_voices(((each.statement, each.envelope) for each in kept), f)
        return [voice.envelope for voice in sorted(said, key=lambda voice: voice.order)]

    def _claims(self, entries: Sequence[Entry], numbers: Mapping[Digest, int]) -> list[Claim]:
        """Give what the outcomes of a bundle say, each once; first what most members say."""
        voices: dict[Claim, int] = {}
        for entry in entries:
            for _, said in self._told(entry, numbers):
                claim = Claim(said.statement, entry.tally.prepared.mandate)
                voices[claim] = voices.get(claim, 0) + 1
        return sorted(voices, key=lambda claim: -voices[claim])

    def _told(self, entry: Entry, numbers: Mapping[Digest, int]) -> list[tuple[int, _Said]]:
        """Give the outcomes of a decision that stand in a bundle, by the number of their record."""
        kept = self._outcomes.get(entry.tally.prepared.id, {})
        found = [(numbers[digest], said) for digest, said in kept.items() if digest in numbers]
        return sorted(found, key=lambda each: each[0])

    def _depth(self, entry: Entry, known: Mapping[DecisionId, Entry]) -> int:
        parent = entry.tally.prepared.decision.parent
        return 0 if parent is None or parent not in known else 1 + self._depth(known[parent], known)

    def _decision(self, entry: Entry, certificate: bytes, numbers: Mapping[Digest, int]) -> BundleDecision:
        prepared = entry.tally.prepared
        slots = [slot for _, slot in sorted(entry.tally.slots.items())]
        return BundleDecision(
            decision=prepared.decision,
            mandate=prepared.mandate,
            leaves=prepared.leaves,
            certificate=certificate,
            attestations=tuple(numbers[slot.digest] for slot in slots if slot.digest in numbers),
            outcomes=tuple(number for number, _ in self._told(entry, numbers)),
            reports=tuple(numbers[digest] for digest, _ in self._called(entry) if digest in numbers),
        )

    def _receipts(
        self, entry: Entry, numbers: Mapping[Digest, int], proved: Mapping[OutcomeStatement, ReceiptProof]
    ) -> tuple[BundleReceipt, ...]:
        """Give the receipts of a decision, each with the first record that tells of its outcome."""
        first: dict[OutcomeStatement, int] = {}
        for number, said in self._told(entry, numbers):
            first.setdefault(said.statement, number)
        return tuple(
            BundleReceipt(number, proved[outcome]) for outcome, number in first.items() if outcome in proved
        )


def _shown_keys(entries: Sequence[Entry], keys: Sequence[SignedKeys]) -> dict[int, SignedKeys]:
    """Give for each key epoch the generation whose groups made most of its certificates, if equal the newest.

    A ceremony may have given the same key epoch other keys: a certificate is shown by those that made it.
    """
    chosen: dict[int, tuple[int, SignedKeys]] = {}
    for signed in sorted(keys, key=lambda signed: signed.document.generation):
        epoch = signed.document.key_epoch
        made = sum(1 for entry in entries if _is_made_by(signed, entry))
        if made and made >= chosen.get(epoch, (0, signed))[0]:
            chosen[epoch] = (made, signed)
    return {epoch: signed for epoch, (_, signed) in chosen.items()}


def _certificate(entry: Entry, keys: Mapping[int, SignedKeys]) -> bytes:
    """Give the group's signature where there is one that the keys shown have made, else the list."""
    listed, signed = entry.tally.certificate, entry.threshold_certificate
    assert listed is not None, "only certified decisions enter a bundle"
    shown = keys.get(entry.tally.prepared.decision.key_epoch)
    return listed if signed is None or shown is None or not _is_made_by(shown, entry) else signed


def _is_made_by(keys: SignedKeys, entry: Entry) -> bool:
    """Tell whether an entry's certificate of kind 2 is by the group of its tier in these keys."""
    prepared, certificate = entry.tally.prepared, entry.threshold_certificate
    document = keys.document
    group = document.group(group_name(prepared.decision.tier))
    if certificate is None or group is None or document.key_epoch != prepared.decision.key_epoch:
        return False
    try:
        verify_frost_certificate(prepared.digest, certificate, group.key)
    except ProofError:
        return False
    return True


def _is_about(outcome: Outcome, entry: Entry) -> bool:
    """Tell whether an outcome is of this very mandate; a liar's about another stays outside."""
    prepared = entry.tally.prepared
    acts = {(leaf.chain, leaf.gateway, leaf.act_id) for leaf in prepared.leaves}
    named = (outcome.chain, outcome.gateway, outcome.act_id)
    return outcome.mandate_digest == prepared.digest and named in acts
