"""A whole incident of seven members on two chains, with everything that a bundle can hold, from any log.

A city of seven sees incidents number 0, 1, …: a fast decision (a list), the full one of the same anchor (by
the group's key), a linked one, one that reports call for, and a release; effects on two chains with receipts
and headers, one statement of each kind, a sealed signal with a field shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proofs.bundle import Bundle, BundleDecision, BundleDisclosure, BundleReceipt, BundleRecord
from proofs.canonical import Value
from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.committee import cosigner_key, log_key
from proofs.decision import Decision, block_value
from proofs.disclosure import DisclosureFile, disclose, encode_disclosure, seal
from proofs.envelope import PayloadFields, assemble_envelope, build_payload, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest, Millis
from proofs.mandate import Mandate, Op, Tier, mandate_digest
from proofs.note import Note, cosignature, cosigned_bytes, format_note, format_verifier_key, note_signature
from proofs.policy import committee_policy, format_policy
from proofs.remarks import Absence, Accusation, Header, Remark, Signal, remark_body
from proofs.reports import Report, Subject, report_body, report_signing_bytes, subject_digest
from proofs.tlogproof import TlogProof, format_tlog_proof
from proofs.tree import CompactRange, inclusion_proof, leaf_digest
from tests.proofs.blocks import GAS, Block, ended, receipt, started
from tests.proofs.conftest import AWAY, HOME, REPORTERS, Town, attestation_body, block, outcome_body
from tests.proofs.grouptown import frost_certificate, signed_keys
from tests.proofs.shown import NOISE

__all__ = ["MEMBERS", "NOW_S", "Case", "City", "Incident"]

MEMBERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
NOW_S = 1_659_400_000
SEED = bytes(range(32))
NOTE: dict[str, Value] = {"note": "a caller says funds are leaving", "reporter": "hotline"}


@dataclass(frozen=True)
class Case:
    """A bundle with the policy of its network, and a file that opens the sealed field left out of it."""

    bundle: Bundle
    policy: bytes
    disclosure: bytes


class City(Town):
    """Seven members; whoever keeps a log signs its checkpoints, and all but carol cosign them."""

    def __init__(self, salt: str = "") -> None:
        super().__init__(salt, MEMBERS)

    def envelope(self, name: str, kind: str, body: dict[str, Value], at_ms: int) -> bytes:
        tower = self.towers[name]
        payload = build_payload(PayloadFields(self.network, tower.identity, 1, kind, Millis(at_ms), body))
        return assemble_envelope(payload, tower.identity_key.sign(signing_bytes(payload)).signature)

    def witnessed(self, text: str, keeper: str, at_s: int) -> str:
        """Give the checkpoint as its keeper signed and the others cosigned it."""
        tower = self.towers[keeper]
        lines = [
            note_signature(log_key(self.genesis, tower.member()), tower.log_key.sign(text.encode()).signature)
        ]
        for number, name in enumerate(self.names):
            if name != "carol":
                witness, time = self.towers[name], at_s + number
                signed = witness.cosigner_key.sign(cosigned_bytes(text, time)).signature
                lines.append(cosignature(cosigner_key(self.genesis, witness.member()), time, signed))
        return format_note(Note(text, tuple(lines)))

    def cosigned_policy(self) -> bytes:
        return format_policy(committee_policy([self.genesis]))


@dataclass
class Incident:
    """What was said, in the order of its records, and where each record belongs."""

    city: City
    number: int
    said: list[bytes]
    decisions: list[BundleDecision]
    signal: int = 0

    @classmethod
    def of(cls, city: City, number: int = 0) -> "Incident":
        """Let the city live through incident `number`."""
        incident = cls(city, number, [], [])
        anchor = block(100 + 10 * number)
        fast = city.decide(anchor=anchor)
        full = city.decide(anchor=anchor, tier=Tier.FULL)
        linked = city.decide(anchor=anchor, subject="link:collateral", parent=city.mandate(fast).decision_id)
        release = city.decide(anchor=block(105 + 10 * number), op=Op.RELEASE, tier=Tier.FULL, subject="halt")
        incident._protect(fast)
        incident._decide(full, "alice", "bob", "dave", "erin", "grace", by_group=True)
        incident._decide(linked, "bob", "dave", "frank")
        incident._reported()
        incident._release(release)
        return incident

    def _say(self, name: str, kind: str, body: dict[str, Value]) -> int:
        at_ms = 1_659_390_000_000 + 100_000 * self.number + len(self.said)
        self.said.append(self.city.envelope(name, kind, body, at_ms))
        return len(self.said) - 1

    def _remark(self, name: str, remark: Remark) -> int:
        kind = type(remark).__name__.lower()
        return self._say(name, kind, remark_body(remark))

    def _attest(self, name: str, decision: Decision) -> int:
        digest = mandate_digest(self.city.mandate(decision))
        signature = self.city.towers[name].sign_digest(digest)
        return self._say(name, "attestation", attestation_body(decision, "attest", digest, signature))

    def _decide(self, decision: Decision, *names: str, by_group: bool = False) -> BundleDecision:
        attestations = tuple(self._attest(name, decision) for name in names)
        mandate = self.city.mandate(decision)
        signers = names[: self.city.genesis.threshold(decision.tier)]
        entry = self.city.entry(decision, signers, attestations, ())
        if by_group:
            holders = self.city.names[-len(signers) :]
            entry = replace(entry, certificate=frost_certificate(self.city, mandate, *holders))
        self.decisions.append(entry)
        return entry

    def _see(
        self, entry: BundleDecision, at: Block, effect: str, until: int, names: Sequence[str], act: str
    ) -> tuple[int, ...]:
        leaf = self.city.leaf(act)
        body = outcome_body(entry.mandate, leaf, block=block_value(at.ref()), until=until)
        body = {**body, "effect": effect, "gas_used": GAS - 21_000}
        return tuple(self._say(name, "outcome", body) for name in names)

    def _final(self, mandate: Mandate, at: Block, names: Sequence[str]) -> tuple[int, ...]:
        header = Header(mandate.decision_id, at.chain, at.ref())
        return tuple(self._remark(name, header) for name in names)

    def _protect(self, fast: Decision) -> None:
        """Decide, act on two chains, tell what was seen, and say everything else that can be said of it."""
        entry = self._decide(fast, "alice", "bob", "dave", "erin")
        refused = [
            self._say(name, "attestation", attestation_body(fast, verdict, None, None))
            for name, verdict in (("carol", "dissent"), ("frank", "abstain"))
        ]
        mandate, until = entry.mandate, entry.mandate.not_before + 21_600
        shift = {"number": 101 + 10 * self.number, "timestamp": entry.mandate.not_before + 12}
        home = Block(HOME, [NOISE, receipt(started(mandate, self.city.leaf("halt"), until))], **shift)
        away = Block(AWAY, [NOISE, receipt(started(mandate, self.city.leaf("disable"), until))], **shift)
        halted = self._see(entry, home, "started", until, ("alice", "bob", "dave"), "halt")
        disabled = self._see(entry, away, "started", until, ("bob", "erin"), "disable")
        headers = self._final(mandate, home, ("alice", "bob", "dave"))
        headers += self._final(mandate, away, ("bob", "erin"))
        self.decisions[-1] = replace(
            entry,
            attestations=(*entry.attestations, *refused),
            outcomes=(*halted, *disabled),
            receipts=(BundleReceipt(halted[0], home.proof(1)), BundleReceipt(disabled[0], away.proof(1))),
            headers=headers,
            statements=self._remarks(entry),
        )

    def _remarks(self, entry: BundleDecision) -> tuple[int, ...]:
        city, decision, mandate = self.city, entry.decision, entry.mandate
        grace = city.towers["grace"]
        halves: list[Value] = []
        for other in (mandate_digest(mandate), sha256(b"another mandate")):
            signature = grace.sign_digest(other)
            halves.append(
                city.envelope(
                    "grace", "attestation", attestation_body(decision, "attest", Digest(other), signature), 7
                )
            )
        leaf = city.leaf("disable")
        unlanded: dict[str, Value] = {
            "act_id": leaf.act_id,
            "chain": leaf.chain,
            "decision_id": mandate.decision_id,
            "gateway": leaf.gateway,
            "mandate_digest": mandate_digest(mandate),
            "reason": "unfunded",
            "tries": 2,
        }
        void: dict[str, Value] = {
            "anchor": block_value(decision.anchor),
            "decision_id": mandate.decision_id,
            "landed": True,
        }
        self.signal = self._remark("dave", Signal(decision.plan_hash, "unbacked", seal(NOTE, SEED)))
        return (
            self.signal,
            self._remark("alice", Absence(mandate.decision_id, (grace.identity,))),
            self._remark(
                "bob",
                Accusation(mandate.decision_id, grace.identity, "bad signature share", sha256(b"share")),
            ),
            self._say("erin", "equivocation", {"first": halves[0], "second": halves[1]}),
            self._say("frank", "unlanded", unlanded),
            self._say("carol", "void", void),
        )

    def _reported(self) -> None:
        anchor = block(103 + 10 * self.number)
        subject = Subject(
            self.city.network, self.city.plan_hash, "auditors", anchor.hash, Digest(bytes([self.number]) * 32)
        )
        told = tuple(
            self._say(name, "report", report_body(Report(subject, bytes(key.verify_key), signed)))
            for name, key in zip(("bob", "carol"), REPORTERS, strict=False)
            for signed in [bytes(key.sign(report_signing_bytes(subject)).signature)]
        )
        decision = self.city.decide(anchor=anchor, subject="report:auditors", parent=subject_digest(subject))
        entry = self._decide(decision, "alice", "carol", "grace")
        self.decisions[-1] = replace(entry, reports=told)

    def _release(self, release: Decision) -> None:
        entry = self._decide(release, "alice", "bob", "carol", "dave", "erin")
        at = entry.mandate.not_before + 12
        home = Block(
            HOME,
            [NOISE, receipt(ended(self.city.leaf("halt"), "release", at, entry.mandate))],
            number=106 + 10 * self.number,
            timestamp=at,
        )
        seen = self._see(entry, home, "release", at, ("alice", "dave"), "halt")
        self.decisions[-1] = replace(
            entry,
            outcomes=seen,
            receipts=(BundleReceipt(seen[0], home.proof(1)),),
            headers=self._final(entry.mandate, home, ("alice", "dave", "erin")),
        )

    def case(self, keeper: str = "alice", before: Sequence[bytes] = (), after: Sequence[bytes] = ()) -> Case:
        """Give the bundle from the log of `keeper`, who had the entries `before` and has `after` by now."""
        order = self.said if keeper == "alice" else [*reversed(self.said)]
        entries = [*before, *order, *after]
        places = {raw: len(before) + place for place, raw in enumerate(order)}
        records, vkey = _records(self.city, self.said, places, entries, keeper)
        shown, kept = (disclose(NOTE, SEED, name) for name in ("note", "reporter"))
        bundle = replace(
            self.city.bundle(*self.decisions),
            keys=(signed_keys(self.city),),
            records=records,
            log=vkey,
            disclosed=(BundleDisclosure(self.signal, shown),),
        )
        file = encode_disclosure(DisclosureFile(self.said[self.signal], (kept,)))
        return Case(bundle, self.city.cosigned_policy(), file)


def _records(
    city: City, said: Sequence[bytes], places: dict[bytes, int], entries: Sequence[bytes], keeper: str
) -> tuple[tuple[BundleRecord, ...], str]:
    key = log_key(city.genesis, city.towers[keeper].member())
    nodes: dict[tuple[int, int], Digest] = {}
    compact = CompactRange()
    for raw in entries:
        compact, completed = compact.append_nodes(leaf_digest(raw))
        nodes.update({(level, index): node for level, index, node in completed})
    text = checkpoint_text(Checkpoint(key.name, compact.size, compact.root()))
    note = city.witnessed(text, keeper, NOW_S - 1_000 + compact.size)
    records = tuple(
        BundleRecord(
            raw,
            format_tlog_proof(
                TlogProof(
                    places[raw],
                    inclusion_proof(places[raw], compact.size, lambda level, index: nodes[level, index]),
                    note,
                )
            ),
        )
        for raw in said
    )
    return records, format_verifier_key(key)
