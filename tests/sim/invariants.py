"""The named invariants of SPEC 6.7, checked against what every honest member does, after every step."""

from __future__ import annotations

from dataclasses import dataclass, field

from proofs.canonical import Value, encode
from proofs.decision import decision_id
from proofs.mandate import Tier, mandate_digest
from relay.core.evaluate import Outcome, trace_of
from relay.core.messages import Verdict
from relay.core.node import Node
from tests.sim.host import Host
from tests.sim.town import Town


@dataclass
class Witness:
    """Sees everything, and says which invariant is broken."""

    signed: dict[tuple[str, bytes, int], bytes] = field(default_factory=dict)
    attested: dict[bytes, set[str]] = field(default_factory=dict)
    """Honest members by the digest that they signed."""
    results: dict[tuple[bytes, bytes, str, bytes], bytes] = field(default_factory=dict)
    nonces: set[bytes] = field(default_factory=set)
    """Of every share that an honest member gave."""
    _counted: dict[str, int] = field(default_factory=dict)
    _shared: dict[str, int] = field(default_factory=dict)
    _evaluated: dict[tuple[str, bytes], tuple[int, bytes]] = field(default_factory=dict)
    _certified: set[tuple[str, bytes]] = field(default_factory=set)
    _landed: dict[str, int] = field(default_factory=dict)

    def __call__(self, town: Town) -> None:
        """Check what has changed since the last step."""
        for host in town.hosts.values():
            self.one_digest(town, host)
            self.shares(town, host)
        for host in town.up():
            self.same_bytes(host)
            self.certificates(town, host)
        self.landings(town)

    def one_digest(self, town: Town, host: Host) -> None:
        """INV-A: one digest per honest node, decision and key epoch."""
        name = host.keys.name
        for attestation in host.signed[self._counted.get(name, 0) :]:
            if attestation.verdict is Verdict.ATTEST and attestation.digest is not None:
                decision = attestation.decision
                key = (name, decision_id(town.committee.network, decision), decision.key_epoch)
                first = self.signed.setdefault(key, attestation.digest)
                assert first == attestation.digest, f"INV-A: {name} signed two mandates for {key[1].hex()}"
                self.attested.setdefault(attestation.digest, set()).add(name)
        self._counted[name] = len(host.signed)

    def shares(self, town: Town, host: Host) -> None:
        """No nonce gives two shares, and a share is of what its member attested, or of no mandate."""
        name = host.keys.name
        for release in host.released[self._shared.get(name, 0) :]:
            assert release.nonce not in self.nonces, f"{name} used a nonce twice"
            self.nonces.add(release.nonce)
            has_attested = name in self.attested.get(release.digest, ())
            is_mandate = release.digest not in town.possessions()
            assert has_attested or not is_mandate, f"{name} signed what it did not attest"
        self._shared[name] = len(host.released)

    def same_bytes(self, host: Host) -> None:
        """INV-B: all that evaluate a block, over the same pins, reach the same bytes."""
        assert host.node is not None
        for plan_hash, room in host.node.rooms.items():
            steps = room.schedule.steps
            seen, last = self._evaluated.get((host.keys.name, plan_hash), (0, b""))
            if seen > len(steps) or (seen and steps[seen - 1].block.hash != last):
                seen = 0
            for step in steps[seen:]:
                for rule, outcome in step.evaluation.rules.items():
                    if outcome.outcome is Outcome.ABSTAIN:
                        continue
                    trace: dict[str, Value] = {**trace_of(step.evaluation, rule), "agreement": {}}
                    found = encode(trace)
                    over = encode(trace["pins"])
                    first = self.results.setdefault((plan_hash, step.block.hash, rule, over), found)
                    assert first == found, f"INV-B: {host.keys.name} differs on {rule} at {step.block}"
            if steps:
                self._evaluated[(host.keys.name, plan_hash)] = (len(steps), steps[-1].block.hash)

    def certificates(self, town: Town, host: Host) -> None:
        """INV-F: behind every certificate that a node completes."""
        assert host.node is not None
        for entry in host.node.book.entries.values():
            prepared = entry.tally.prepared
            is_certified = entry.tally.certificate is not None or entry.threshold_certificate is not None
            if not is_certified or (host.keys.name, prepared.digest) in self._certified:
                continue
            self._certified.add((host.keys.name, prepared.digest))
            self._enough(town, prepared.digest, prepared.decision.tier)

    def landings(self, town: Town) -> None:
        """INV-F: behind every mandate that a gateway accepts."""
        for name, chain in town.chains.items():
            seen = min(self._landed.get(name, 0), len(chain.landings))
            for landing in chain.landings[seen:]:
                self._enough(town, mandate_digest(landing.call.mandate), landing.call.mandate.tier)
            self._landed[name] = len(chain.landings)

    def _enough(self, town: Town, digest: bytes, tier: Tier) -> None:
        needed = town.committee.threshold(tier) - town.committee.f
        honest = self.attested.get(digest, set())
        assert len(honest) >= needed, (
            f"INV-F: expected {needed} honest members behind {digest.hex()}, got {honest}"
        )


def assert_replay_is_equal(host: Host) -> None:
    """INV-E: the journal gives the same state."""
    assert host.node is not None
    live, again = fingerprint(host.node), fingerprint(host.fresh_node())
    for part, value in live.items():
        assert again[part] == value, f"INV-E: {host.keys.name} differs in {part} after a replay"


def fingerprint(node: Node) -> dict[str, object]:
    """Give all state that the journal stands for; what concerns the running process alone is left out."""
    return {
        "views": {name: (view.tip, view.finalized, view.head) for name, view in node.views.items()},
        "steps": {
            plan_hash: [
                (step.block, step.streaks, step.release_streak, step.evaluation.pins, step.evaluation.values)
                for step in room.schedule.steps
            ]
            for plan_hash, room in node.rooms.items()
        },
        "entries": {
            key: (
                {who: (slot.verdict, slot.digest) for who, slot in entry.tally.slots.items()},
                entry.tally.certificate,
                entry.threshold_certificate,
                entry.opener,
                entry.asked,
                entry.void,
                entry.logged,
                entry.late,
            )
            for key, entry in node.book.entries.items()
        },
        "beside the book": {key: entry.late for key, entry in node.book.late._decisions.items()},
        "remarks": {
            decision: list(node.hearing.remarks.about(decision)) for decision in node.book.entries.ids
        },
        "landed": node.landing.landed,
        "edges": node.edges,
        "statements": {
            member.identity: node.presence.statements_of(member.identity)
            for document in node.committees.documents
            for member in document.members
        },
    }
