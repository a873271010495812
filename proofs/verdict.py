"""What a verified bundle says (`proofs/SPEC.md` 10)."""

from collections.abc import Mapping
from dataclasses import dataclass

from proofs.canonical import Value
from proofs.checkpoint import Checkpoint
from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.groupkeys import KeysDocument
from proofs.kinds import (
    ActHash,
    ActId,
    Caip2,
    DecisionId,
    Digest,
    Gateway,
    Millis,
    NetworkId,
    PlanHash,
    Seconds,
)

__all__ = [
    "ActVerdict",
    "DecisionVerdict",
    "DisclosedField",
    "EpochAnchor",
    "Finality",
    "KeysAnchor",
    "LogAnchor",
    "MemberStatement",
    "SeenOutcome",
    "ShownReceipt",
    "SignedByGroup",
    "SignedByMembers",
    "Verdict",
    "Witnessed",
    "keys_anchor",
]


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
    """The log that the records stand in; `witnesses` cosigned its newest checkpoint here, `missing` did not.

    Both are of the policy; without one, the members' own cosigner keys. `quorum` is what the policy asks for.
    """

    vkey: str
    member: str | None
    newest: Checkpoint
    witnesses: tuple[str, ...]
    missing: tuple[str, ...]
    quorum: str | None


@dataclass(frozen=True, slots=True)
class ShownReceipt:
    """A proved receipt with the event in it: transaction `tx_index` of the block, its log number `log`.

    `header_named_by` are the members whose signed outcomes or headers name this very block.
    """

    tx_index: int
    log: int
    names_mandate: bool
    header_named_by: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Finality:
    """Who signed that a block is final; `is_agreed` when an honest member must be among them."""

    said_by: tuple[str, ...]
    is_agreed: bool
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
    finality: Finality


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
class MemberStatement:
    """What a member said beside verdicts and outcomes: its word alone, unless an `equivocation`.

    `at_ms` by its own clock; `record` is the digest of its envelope; `facts` as JSON has them.
    """

    kind: str
    said_by: str
    at_ms: Millis
    record: Digest
    words: str
    facts: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A log of `size` held something at `at_s` (seconds), by the clock of the witness `by`."""

    at_s: int
    by: str
    size: int


@dataclass(frozen=True, slots=True)
class DisclosedField:
    """A sealed field of a record, shown later: its author sealed this very value when he signed."""

    record: Digest
    kind: str
    said_by: str
    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class DecisionVerdict:
    """A decision with a valid certificate, and who said what to it.

    `certified_by` are those who stand behind it: whose attestation to this very mandate is in the log, of a
    certificate of kind 1 the signers. `astray` attested to another mandate than the decision gives; `silent`
    said nothing in this bundle. `reporters` (Ed25519 keys) called for it, where it is one of reports.
    `witnessed` tells since when all of its records were in the log, if witnesses' keys are known.
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
    statements: tuple[MemberStatement, ...] = ()
    witnessed: Witnessed | None = None


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
    disclosed: tuple[DisclosedField, ...]
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
