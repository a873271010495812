"""What a verified bundle says, for eyes and for programs (`proofs/SPEC.md` 10)."""

from dataclasses import dataclass

from proofs.canonical import Value
from proofs.checkpoint import Checkpoint
from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.groupkeys import KeysDocument
from proofs.kinds import ActHash, ActId, Caip2, DecisionId, Digest, Gateway, NetworkId, PlanHash, Seconds

__all__ = [
    "VERDICT_SCHEMA",
    "ActVerdict",
    "DecisionVerdict",
    "EpochAnchor",
    "KeysAnchor",
    "LogAnchor",
    "SeenOutcome",
    "ShownReceipt",
    "SignedByGroup",
    "SignedByMembers",
    "Verdict",
    "keys_anchor",
    "verdict_value",
]

VERDICT_SCHEMA = "tocsin/verdict/1"


@dataclass(frozen=True, slots=True)
class EpochAnchor:
    """A committee document that was in force; `digest` is SHA-256 of it."""

    committee_epoch: int
    key_epoch: int
    digest: Digest
    members: int
    f: int
    demo: bool


@dataclass(frozen=True, slots=True)
class KeysAnchor:
    """A keys document that was in force: every one of `holders` signed it; `digest` is SHA-256 of it."""

    committee_epoch: int
    key_epoch: int
    generation: int
    ceremony: Digest
    digest: Digest
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignedByMembers:
    """A certificate of kind 1: the signatures of these members."""

    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignedByGroup:
    """A certificate of kind 2: one signature by the group key of that name in `keys` (33 bytes)."""

    group: str
    key: bytes
    keys: KeysAnchor


@dataclass(frozen=True, slots=True)
class LogAnchor:
    """The log that the records stand in; `witnesses` cosigned the newest checkpoint, by the policy's word."""

    vkey: str
    member: str | None
    newest: Checkpoint
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownReceipt:
    """A proved receipt with the event in it: transaction `tx_index` of the block, its log number `log`.

    `header_named_by` are the members whose signed outcomes name this very block.
    """

    tx_index: int
    log: int
    names_mandate: bool
    header_named_by: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class SeenOutcome:
    """A gateway event, and the members that signed to have read it; without `receipt` that is all."""

    effect: str
    block: BlockRef
    tx: bytes
    until: int
    gas_used: int
    seen_by: tuple[str, ...]
    source: str
    receipt: ShownReceipt | None


@dataclass(frozen=True, slots=True)
class ActVerdict:
    """An act of a decision, and what came of it; without outcomes nobody signed to have seen one."""

    name: str
    chain: Caip2
    gateway: Gateway
    act_id: ActId
    act_hash: ActHash
    duration_s: Seconds
    outcomes: tuple[SeenOutcome, ...]


@dataclass(frozen=True, slots=True)
class DecisionVerdict:
    """A decision with a valid certificate, and who said what to it.

    `certified_by` are those who stand behind it: whose attestation to this very mandate is in the log, of a
    certificate of kind 1 the signers. `astray` attested to another mandate than the decision gives; `silent`
    said nothing in this bundle. `reporters` (Ed25519 keys) called for it, where it is one of reports.
    """

    decision_id: DecisionId
    decision: Decision
    digest: Digest
    not_after: int
    threshold: int
    certificate: SignedByMembers | SignedByGroup
    certified_by: tuple[str, ...]
    attested: tuple[str, ...]
    dissented: tuple[str, ...]
    abstained: tuple[str, ...]
    astray: tuple[str, ...]
    silent: tuple[str, ...]
    acts: tuple[ActVerdict, ...]
    reporters: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was checked held; whom that rests on, what it says, and what it does not prove."""

    network: NetworkId
    network_name: str
    network_pinned: bool
    policy_hash: Digest | None
    policy_pinned: bool
    epochs: tuple[EpochAnchor, ...]
    keys: tuple[KeysAnchor, ...]
    plans: tuple[PlanHash, ...]
    plans_pinned: bool
    log: LogAnchor
    records: int
    decisions: tuple[DecisionVerdict, ...]
    checks: tuple[str, ...]
    not_proved: tuple[str, ...]


def keys_anchor(document: KeysDocument, committee: CommitteeDocument) -> KeysAnchor:
    """Name a keys document that was checked against `committee`."""
    members = [committee.member(holder) for holder in document.holders]
    return KeysAnchor(
        committee_epoch=document.committee_epoch,
        key_epoch=document.key_epoch,
        generation=document.generation,
        ceremony=document.ceremony,
        digest=document.digest,
        holders=tuple(member.name for member in members if member is not None),
    )


def verdict_value(verdict: Verdict) -> dict[str, Value]:
    """Give the verdict as a JSON object; bytes are hex."""
    return {
        "schema": VERDICT_SCHEMA,
        "verified": True,
        "network": verdict.network.hex(),
        "network_name": verdict.network_name,
        "network_pinned": verdict.network_pinned,
        "policy_hash": None if verdict.policy_hash is None else verdict.policy_hash.hex(),
        "policy_pinned": verdict.policy_pinned,
        "epochs": [_epoch_value(epoch) for epoch in verdict.epochs],
        "keys": [_keys_value(keys) for keys in verdict.keys],
        "plans": [plan.hex() for plan in verdict.plans],
        "plans_pinned": verdict.plans_pinned,
        "log": {
            "vkey": verdict.log.vkey,
            "member": verdict.log.member,
            "size": verdict.log.newest.size,
            "root": verdict.log.newest.root.hex(),
            "witnesses": list(verdict.log.witnesses),
        },
        "records": verdict.records,
        "decisions": [_decision_value(decision) for decision in verdict.decisions],
        "checks": list(verdict.checks),
        "not_proved": list(verdict.not_proved),
    }


def _epoch_value(epoch: EpochAnchor) -> dict[str, Value]:
    return {
        "committee_epoch": epoch.committee_epoch,
        "key_epoch": epoch.key_epoch,
        "digest": epoch.digest.hex(),
        "members": epoch.members,
        "f": epoch.f,
        "demo": epoch.demo,
    }


def _keys_value(keys: KeysAnchor) -> dict[str, Value]:
    return {
        "committee_epoch": keys.committee_epoch,
        "key_epoch": keys.key_epoch,
        "generation": keys.generation,
        "ceremony": keys.ceremony.hex(),
        "digest": keys.digest.hex(),
        "holders": list(keys.holders),
    }


def _certificate_value(certificate: SignedByMembers | SignedByGroup) -> dict[str, Value]:
    if isinstance(certificate, SignedByMembers):
        return {"kind": "ecdsa", "signers": list(certificate.signers)}
    return {
        "kind": "frost",
        "group": certificate.group,
        "key": certificate.key.hex(),
        "keys": certificate.keys.digest.hex(),
        "ceremony": certificate.keys.ceremony.hex(),
        "generation": certificate.keys.generation,
    }


def _decision_value(verdict: DecisionVerdict) -> dict[str, Value]:
    decision = verdict.decision
    return {
        "decision_id": verdict.decision_id.hex(),
        "op": decision.op.name.lower(),
        "tier": decision.tier.name.lower(),
        "subject": decision.subject,
        "rung": decision.rung,
        "plan_hash": decision.plan_hash.hex(),
        "parent": None if decision.parent is None else decision.parent.hex(),
        "key_epoch": decision.key_epoch,
        "anchor": _block_value(decision.anchor),
        "digest": verdict.digest.hex(),
        "not_after": verdict.not_after,
        "threshold": verdict.threshold,
        "certificate": _certificate_value(verdict.certificate),
        "certified_by": list(verdict.certified_by),
        "attested": list(verdict.attested),
        "dissented": list(verdict.dissented),
        "abstained": list(verdict.abstained),
        "astray": list(verdict.astray),
        "silent": list(verdict.silent),
        "reporters": [f"ed25519:{reporter.hex()}" for reporter in verdict.reporters],
        "acts": [_act_value(act) for act in verdict.acts],
    }


def _act_value(act: ActVerdict) -> dict[str, Value]:
    return {
        "name": act.name,
        "chain": act.chain,
        "gateway": act.gateway.hex(),
        "act_id": act.act_id.hex(),
        "act_hash": act.act_hash.hex(),
        "duration_s": act.duration_s,
        "outcomes": [
            {
                "effect": outcome.effect,
                "block": _block_value(outcome.block),
                "tx": outcome.tx.hex(),
                "until": outcome.until,
                "gas_used": outcome.gas_used,
                "seen_by": list(outcome.seen_by),
                "source": outcome.source,
                "receipt": None if outcome.receipt is None else _receipt_value(outcome.receipt),
            }
            for outcome in act.outcomes
        ],
    }


def _receipt_value(receipt: ShownReceipt) -> dict[str, Value]:
    return {
        "tx_index": receipt.tx_index,
        "log": receipt.log,
        "names_mandate": receipt.names_mandate,
        "header_named_by": list(receipt.header_named_by),
        "source": receipt.source,
    }


def _block_value(block: BlockRef) -> dict[str, Value]:
    return {
        "chain": block.chain,
        "hash": block.hash.hex(),
        "number": block.number,
        "timestamp": block.timestamp,
        "timestamp_source": "block",
    }
