"""A town of four towers with fixed keys, and the bundle of one alarm: decided fast, in full, and linked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import coincurve
import pytest
from nacl.signing import SigningKey

from proofs.bundle import Bundle, BundleDecision, BundleDocument, BundlePlan, BundleRecord
from proofs.canonical import Value, encode
from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.committee import (
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    build_committee,
    committee_signing_bytes,
    log_key,
)
from proofs.decision import BlockRef, Decision, block_value, decision_id, decision_value
from proofs.envelope import PayloadFields, assemble_envelope, build_payload, signing_bytes
from proofs.hashes import keccak256, sha256
from proofs.kinds import ActHash, ActId, Address, Caip2, Digest, Gateway, Identity, Millis
from proofs.mandate import ActLeaf, Mandate, Op, Tier, acts_root, encode_certificate, mandate_digest
from proofs.note import Note, format_note, format_verifier_key, note_signature
from proofs.policy import Policy, format_policy
from proofs.terms import hash_of_plan
from proofs.tlogproof import TlogProof, format_tlog_proof
from proofs.tree import CompactRange, inclusion_proof, leaf_digest

NAMES = ("alice", "bob", "carol", "dave")
HOME, AWAY = Caip2("eip155:31337"), Caip2("eip155:31338")
GATEWAYS = {HOME: "0x" + "11" * 20, AWAY: "0x" + "22" * 20}
ACTS = {"halt": (HOME, 21_600), "disable": (AWAY, 3_600)}
LADDERS = {
    "unbacked": [["halt", "disable"]],
    "link:collateral": [["disable"]],
    "report:auditors": [["disable"]],
}
REPORTERS = [SigningKey(sha256(f"reporter/{number}".encode())) for number in range(3)]
TRACE: dict[str, Value] = {
    "agreement": {HOME: [2, 3]},
    "faulted": [],
    "pins": {},
    "result": True,
    "rule": "unbacked",
    "values": {"released": 7, "burned": 3},
}


def plan_value(version: int = 1) -> dict[str, Value]:
    """Give a plan, as far as verifiers look at it."""
    return {
        "format": "tocsin/plan/1",
        "version": version,
        "clock": {"reference": HOME, "mandate_fast_s": 1_800, "mandate_full_s": 21_600, "rearm_s": 1_800},
        "chains": {chain: {"gateway": gateway} for chain, gateway in GATEWAYS.items()},
        "acts": {name: {"chain": chain, "lasts": lasts_s} for name, (chain, lasts_s) in ACTS.items()},
        "rules": {"unbacked": {"ladder": LADDERS["unbacked"]}},
        "listen": [{"name": "collateral", "ladder": LADDERS["link:collateral"]}],
        "reports": [
            {
                "name": "auditors",
                "need": 2,
                "reporters": [f"ed25519:{bytes(key.verify_key).hex()}" for key in REPORTERS],
                "ladder": LADDERS["report:auditors"],
            }
        ],
    }


def block(number: int, chain: Caip2 = HOME) -> BlockRef:
    return BlockRef(chain, Digest(sha256(f"{chain}/{number}".encode())), number, 1_659_389_000 + 12 * number)


class Tower:
    """A member with its keys."""

    def __init__(self, name: str, salt: str = "") -> None:
        self.name = name
        self.identity_key = SigningKey(sha256(f"identity/{name}/{salt}".encode()))
        self.log_key = SigningKey(sha256(f"log/{name}/{salt}".encode()))
        self.cosigner_key = SigningKey(sha256(f"cosigner/{name}/{salt}".encode()))
        self.attester_key = coincurve.PrivateKey(sha256(f"attester/{name}/{salt}".encode()))
        self.identity = Identity(bytes(self.identity_key.verify_key))
        self.address = Address(keccak256(self.attester_key.public_key.format(compressed=False)[1:])[12:])

    def member(self) -> CommitteeMember:
        return CommitteeMember(
            identity=self.identity,
            attester=self.address,
            log=bytes(self.log_key.verify_key),
            cosigner=bytes(self.cosigner_key.verify_key),
            name=self.name,
            operator=self.name,
            addresses=(),
            providers={HOME: ("one", "two", "three")},
        )

    def sign_digest(self, digest: bytes) -> bytes:
        signature = self.attester_key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])


@dataclass
class Town:
    """Towers, four if no others are named; `salt` makes another town with other keys."""

    salt: str = ""
    names: tuple[str, ...] = NAMES
    towers: dict[str, Tower] = field(default_factory=dict)
    entries: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.towers = {name: Tower(name, self.salt) for name in self.names}
        statement = CommitteeStatement(
            "town", 1, 1, 0, False, None, tuple(tower.member() for tower in self.towers.values())
        )
        self.genesis: CommitteeDocument = build_committee(statement)
        self.network = self.genesis.network
        self.plan = encode(plan_value())
        self.plan_hash = hash_of_plan(self.plan)
        self.log = log_key(self.genesis, self.towers["alice"].member())

    def decide(self, **changes: object) -> Decision:
        fields: dict[str, object] = {
            "anchor": block(100),
            "key_epoch": 1,
            "op": Op.PROTECT,
            "parent": None,
            "plan_hash": self.plan_hash,
            "rung": 0,
            "subject": "unbacked",
            "tier": Tier.FAST,
        }
        return Decision(**{**fields, **changes})

    def leaf(self, name: str) -> ActLeaf:
        chain, lasts_s = ACTS[name]
        gateway = bytes.fromhex(GATEWAYS[chain][2:]).rjust(32, b"\0")
        act_id = ActId(keccak256(name.encode()))
        return ActLeaf(chain, Gateway(gateway), act_id, ActHash(keccak256(b"act" + name.encode())), lasts_s)

    def leaves(self, decision: Decision) -> tuple[ActLeaf, ...]:
        names = LADDERS[decision.subject][0] if decision.op is Op.PROTECT else [decision.subject]
        return tuple(self.leaf(name) for name in names)

    def mandate(self, decision: Decision, leaves: Sequence[ActLeaf] | None = None) -> Mandate:
        lifetime_s = 1_800 if decision.tier is Tier.FAST or decision.op is Op.RELEASE else 21_600
        return Mandate(
            network=self.network,
            key_epoch=decision.key_epoch,
            tier=decision.tier,
            plan_hash=decision.plan_hash,
            op=decision.op,
            decision_id=decision_id(self.network, decision),
            acts_root=acts_root(leaves or self.leaves(decision)),
            not_before=decision.anchor.timestamp,
            not_after=decision.anchor.timestamp + lifetime_s,
        )

    def say(self, name: str, kind: str, body: Mapping[str, Value], **changes: object) -> bytes:
        """Give an envelope of `name`, and put it into alice's log."""
        tower = self.towers[name]
        fields: dict[str, object] = {
            "network": self.network,
            "author": tower.identity,
            "committee_epoch": 1,
            "kind": kind,
            "at_ms": Millis(1_659_390_000_000 + len(self.entries)),
            "body": body,
        }
        payload = build_payload(PayloadFields(**{**fields, **changes}))
        raw = assemble_envelope(payload, tower.identity_key.sign(signing_bytes(payload)).signature)
        self.entries.append(raw)
        return raw

    def attest(self, name: str, decision: Decision, mandate: Mandate) -> bytes:
        digest = mandate_digest(mandate)
        signature = self.towers[name].sign_digest(digest)
        return self.say(name, "attestation", attestation_body(decision, "attest", digest, signature))

    def refuse(self, name: str, decision: Decision, verdict: str) -> bytes:
        return self.say(name, "attestation", attestation_body(decision, verdict, None, None))

    def see(self, name: str, mandate: Mandate, leaf: ActLeaf, **changes: Value) -> bytes:
        return self.say(name, "outcome", outcome_body(mandate, leaf, **changes))

    def certificate(self, mandate: Mandate, *names: str) -> bytes:
        digest = mandate_digest(mandate)
        towers = [self.towers[name] for name in names]
        return encode_certificate({tower.address: tower.sign_digest(digest) for tower in towers})

    def entry(
        self, decision: Decision, signers: Sequence[str], attestations: Sequence[int], outcomes: Sequence[int]
    ) -> BundleDecision:
        mandate = self.mandate(decision)
        return BundleDecision(
            decision=decision,
            mandate=mandate,
            leaves=self.leaves(decision),
            certificate=self.certificate(mandate, *signers),
            attestations=tuple(attestations),
            outcomes=tuple(outcomes),
        )

    def checkpoint(self, size: int | None = None, *, root: Digest | None = None, by: str = "alice") -> str:
        compact = CompactRange()
        for raw in self.entries[:size]:
            compact = compact.append(leaf_digest(raw))
        text = checkpoint_text(Checkpoint(self.log.name, compact.size, root or compact.root()))
        signature = self.towers[by].log_key.sign(text.encode()).signature
        return format_note(Note(text, (note_signature(self.log, signature),)))

    def records(self) -> tuple[BundleRecord, ...]:
        """Give every entry of alice's log with its proof."""
        nodes: dict[tuple[int, int], Digest] = {}
        compact = CompactRange()
        for raw in self.entries:
            compact, completed = compact.append_nodes(leaf_digest(raw))
            nodes.update({(level, index): node for level, index, node in completed})
        checkpoint = self.checkpoint()

        def read(level: int, index: int) -> Digest:
            return nodes[level, index]

        return tuple(
            BundleRecord(
                raw,
                format_tlog_proof(TlogProof(index, inclusion_proof(index, compact.size, read), checkpoint)),
            )
            for index, raw in enumerate(self.entries)
        )

    def signed_genesis(self, *names: str) -> BundleDocument:
        message = committee_signing_bytes(self.genesis.raw)
        signatures = {
            self.towers[name].identity: self.towers[name].identity_key.sign(message).signature
            for name in names
        }
        return BundleDocument(self.genesis.raw, signatures)

    def bundle(self, *decisions: BundleDecision) -> Bundle:
        return Bundle(
            network=self.network,
            committees=(self.signed_genesis(*self.names),),
            keys=(),
            plans=(BundlePlan(self.plan_hash, self.plan),),
            decisions=decisions,
            records=self.records(),
            log=format_verifier_key(self.log),
        )

    def alarm(self) -> Bundle:
        """Give the bundle of an alarm: fast by bob and carol, full by three, a linked decision, outcomes."""
        fast = self.decide()
        full = self.decide(tier=Tier.FULL)
        linked = self.decide(
            subject="link:collateral", parent=decision_id(self.network, fast), anchor=block(99)
        )
        mandate = self.mandate(fast)
        self.attest("bob", fast, mandate)  # 0
        self.attest("carol", fast, mandate)  # 1
        self.refuse("alice", fast, "dissent")  # 2
        self.refuse("dave", fast, "abstain")  # 3
        for name in ("alice", "bob", "carol"):  # 4, 5, 6
            self.attest(name, full, self.mandate(full))
        self.refuse("dave", linked, "abstain")  # 7
        for name in ("dave", "bob"):  # 8, 9
            self.attest(name, linked, self.mandate(linked))
        for name in ("alice", "dave"):  # 10, 11
            self.see(name, mandate, self.leaf("halt"))
        self.see("bob", mandate, self.leaf("disable"))  # 12
        return self.bundle(
            self.entry(fast, ("bob", "carol"), (0, 1, 2, 3), (10, 11, 12)),
            self.entry(full, ("alice", "bob", "carol"), (4, 5, 6), ()),
            self.entry(linked, ("dave", "bob"), (7, 8, 9), ()),
        )

    def policy(self) -> bytes:
        return format_policy(Policy(logs=(self.log,)))


def attestation_body(
    decision: Decision, verdict: str, digest: bytes | None, signature: bytes | None
) -> dict[str, Value]:
    return {
        "decision": decision_value(decision),
        "digest": digest,
        "signature": signature,
        "trace": TRACE,
        "verdict": verdict,
    }


def outcome_body(mandate: Mandate, leaf: ActLeaf, **changes: Value) -> dict[str, Value]:
    body: dict[str, Value] = {
        "act_id": leaf.act_id,
        "block": block_value(block(101, leaf.chain)),
        "chain": leaf.chain,
        "decision_id": mandate.decision_id,
        "effect": "started",
        "gas_used": 171_000,
        "gateway": leaf.gateway,
        "mandate_digest": mandate_digest(mandate),
        "tx": sha256(leaf.act_id),
        "until": mandate.not_before + leaf.duration_s,
    }
    return {**body, **changes}


@pytest.fixture
def town() -> Town:
    """Give the town of alice, bob, carol and dave, with an empty log."""
    return Town()


@pytest.fixture
def other_town() -> Town:
    """Give a town with other keys, whose alarms mean nothing here."""
    return Town("elsewhere")
