"""Bundles: one file on what was decided, by whom, on what ground, what came of it (`proofs/SPEC.md` 9).

A bundle has one spelling: reading a file and writing it gives the same bytes. Reading checks form only;
`proofs.verify` checks what it says.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from proofs.canonical import Value
from proofs.committee import MAX_DOCUMENT_BYTES
from proofs.decision import MAX_CHAIN_BYTES, Decision, decision_value, parse_decision
from proofs.envelope import MAX_ENVELOPE_BYTES
from proofs.errors import ProofError
from proofs.fields import FieldError, Fields, fields_of
from proofs.jsonfields import base64_field, base64_item, hex_field, hex_item, number_item
from proofs.kinds import ActHash, ActId, Caip2, DecisionId, Digest, Gateway, Identity, NetworkId, PlanHash
from proofs.mandate import MAX_ACTS, ActLeaf, Mandate, Op, Tier, leaf_hash
from proofs.nesting import bounded_json
from proofs.receipts import MAX_HEADER_BYTES, MAX_NODE_BYTES, MAX_TX_INDEX, ReceiptProof
from proofs.terms import MAX_PLAN_BYTES
from proofs.text import base64_text
from proofs.tlogproof import MAX_PROOF_CHARACTERS
from proofs.trie import MAX_TRIE_NODES

__all__ = [
    "BUNDLE_SCHEMA",
    "MAX_BUNDLE_BYTES",
    "MAX_RECEIPTS",
    "Bundle",
    "BundleCommittee",
    "BundleDecision",
    "BundleError",
    "BundlePlan",
    "BundleReceipt",
    "BundleRecord",
    "decode_bundle",
    "encode_bundle",
]

BUNDLE_SCHEMA = "tocsin/bundle/2"
MAX_BUNDLE_BYTES = 16 << 20
MAX_JSON_DEPTH = 8
MAX_JSON_TOKENS = 1_000_000
MAX_COMMITTEES = 256
MAX_PLANS = 64
MAX_DECISIONS = 1_024
MAX_RECORDS = 32_768
MAX_RECEIPTS = 256
"""Of one decision."""
MAX_CERTIFICATE_BYTES = 4_096
MAX_SIGNATURES = 64
MAX_KEY_CHARACTERS = 512
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1
_T = TypeVar("_T")


class BundleError(ProofError):
    """`bundle-size`, `bundle-json` (no JSON of ours), `bundle-form` (another spelling)."""


@dataclass(frozen=True, slots=True)
class BundleCommittee:
    """A committee document as signed, and the Ed25519 signatures under it."""

    document: bytes
    signatures: Mapping[Identity, bytes]


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """A plan in its canonical form."""

    plan_hash: PlanHash
    canonical: bytes


@dataclass(frozen=True, slots=True)
class BundleReceipt:
    """The receipt that shows an outcome: `outcome` is the number of a record that tells of it."""

    outcome: int
    proof: ReceiptProof


@dataclass(frozen=True, slots=True)
class BundleDecision:
    """A decision, what was signed for it, and the numbers of the records that belong to it.

    The file has the leaves in the order of their tree, the receipts in that of their outcomes.
    """

    decision: Decision
    mandate: Mandate
    leaves: tuple[ActLeaf, ...]
    certificate: bytes
    attestations: tuple[int, ...]
    outcomes: tuple[int, ...]
    receipts: tuple[BundleReceipt, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """An entry of the audit log, and the text of the tlog-proof that it stands there."""

    envelope: bytes
    tlog_proof: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """All parts; `committees` from genesis on, `log` the vkey of the log that every record is in."""

    network: NetworkId
    committees: tuple[BundleCommittee, ...]
    plans: tuple[BundlePlan, ...]
    decisions: tuple[BundleDecision, ...]
    records: tuple[BundleRecord, ...]
    log: str


def encode_bundle(bundle: Bundle) -> bytes:
    """Give the file of a bundle.

    Raises:
        BundleError: `bundle-size`.
    """
    parts: dict[str, Value] = {
        "schema": BUNDLE_SCHEMA,
        "network": bundle.network.hex(),
        "committees": [_committee_value(committee) for committee in bundle.committees],
        "plans": [
            {"plan_hash": plan.plan_hash.hex(), "canonical": base64_text(plan.canonical)}
            for plan in bundle.plans
        ],
        "decisions": [_decision_value(decision) for decision in bundle.decisions],
        "records": [
            {"envelope": base64_text(record.envelope), "tlog_proof": record.tlog_proof}
            for record in bundle.records
        ],
        "log": {"vkey": bundle.log},
    }
    data = json.dumps(parts, ensure_ascii=True, indent=1, sort_keys=True).encode() + b"\n"
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleError("bundle-size", f"expected at most {MAX_BUNDLE_BYTES} bytes, got {len(data)}")
    return data


def decode_bundle(data: bytes) -> Bundle:
    """Read a bundle, checking form and limits only.

    Raises:
        BundleError: `bundle-size`, `bundle-json`, `bundle-form`.
        FieldError: `shape`, an unknown, missing or wrong field.
        MandateError: `mandate-range`.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleError("bundle-size", f"expected at most {MAX_BUNDLE_BYTES} bytes, got {len(data)}")
    fields = fields_of(_parse_json(data), "bundle", _KEYS)
    if fields.raw("schema") != BUNDLE_SCHEMA:
        raise FieldError(fields.path("schema"), BUNDLE_SCHEMA, repr(fields.raw("schema")))
    bundle = Bundle(
        network=NetworkId(hex_field(fields, "network", 32)),
        committees=_each(fields, "committees", MAX_COMMITTEES, _committee),
        plans=_each(fields, "plans", MAX_PLANS, _plan),
        decisions=_each(fields, "decisions", MAX_DECISIONS, _decision),
        records=_each(fields, "records", MAX_RECORDS, _record),
        log=_log(fields),
    )
    if encode_bundle(bundle) != data:
        raise BundleError("bundle-form", "expected the one spelling of a bundle, got another")
    return bundle


_KEYS = frozenset({"schema", "network", "committees", "plans", "decisions", "records", "log"})
_COMMITTEE_KEYS = frozenset({"document", "signatures"})
_PLAN_KEYS = frozenset({"plan_hash", "canonical"})
_RECORD_KEYS = frozenset({"envelope", "tlog_proof"})
_DECISION_KEYS = frozenset(
    {"decision", "mandate", "leaves", "certificate", "attestations", "outcomes", "receipts"}
)
_RECEIPT_KEYS = frozenset({"outcome", "tx_index", "header", "nodes"})
_MANDATE_KEYS = frozenset(
    ("network", "key_epoch", "tier", "plan_hash", "op", "decision_id", "acts_root", "not_before", "not_after")
)
_LEAF_KEYS = frozenset({"chain", "gateway", "act_id", "act_hash", "duration_s"})


def _parse_json(data: bytes) -> Value:
    try:
        text = bounded_json(data, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS)
        value: Value = json.loads(
            text, object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number
        )
    except ValueError as error:
        raise BundleError("bundle-json", f"expected JSON, got {str(error)[:80]}") from error
    return value


def _object(pairs: Sequence[tuple[str, Value]]) -> dict[str, Value]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise BundleError("bundle-json", "expected each key once, got one twice")
    return values


def _refuse_number(text: str) -> NoReturn:
    raise BundleError("bundle-json", f"expected integers, got {text[:80]}")


def _each(fields: Fields, key: str, most: int, read: Callable[[Value, str], _T]) -> tuple[_T, ...]:
    values = fields.array(key, max_items=most)
    return tuple(read(value, f"{fields.path(key)}[{index}]") for index, value in enumerate(values))


def _committee_value(committee: BundleCommittee) -> dict[str, Value]:
    return {
        "document": base64_text(committee.document),
        "signatures": {
            identity.hex(): base64_text(signature) for identity, signature in committee.signatures.items()
        },
    }


def _committee(value: Value, where: str) -> BundleCommittee:
    fields = fields_of(value, where, _COMMITTEE_KEYS)
    signed = fields.mapping("signatures", max_items=MAX_SIGNATURES)
    signatures = fields_of(signed, fields.path("signatures"), signed)
    return BundleCommittee(
        document=base64_field(fields, "document", MAX_DOCUMENT_BYTES),
        signatures={
            Identity(hex_item(identity, signatures.path(identity), 32)): base64_field(
                signatures, identity, 64
            )
            for identity in signed
        },
    )


def _plan(value: Value, where: str) -> BundlePlan:
    fields = fields_of(value, where, _PLAN_KEYS)
    return BundlePlan(
        PlanHash(hex_field(fields, "plan_hash", 32)), base64_field(fields, "canonical", MAX_PLAN_BYTES)
    )


def _record(value: Value, where: str) -> BundleRecord:
    fields = fields_of(value, where, _RECORD_KEYS)
    proof = fields.raw("tlog_proof")
    if not isinstance(proof, str) or len(proof) > MAX_PROOF_CHARACTERS:
        raise FieldError(
            fields.path("tlog_proof"), f"text of {MAX_PROOF_CHARACTERS} characters at most", "other"
        )
    return BundleRecord(base64_field(fields, "envelope", MAX_ENVELOPE_BYTES), proof)


def _log(fields: Fields) -> str:
    log = fields_of(fields.raw("log"), fields.path("log"), ("vkey",))
    return log.text("vkey", max_bytes=MAX_KEY_CHARACTERS)


def _decision_value(entry: BundleDecision) -> dict[str, Value]:
    mandate, anchor, parent = entry.mandate, entry.decision.anchor, entry.decision.parent
    return {
        "decision": {
            **decision_value(entry.decision),
            "anchor": {
                "chain": anchor.chain,
                "hash": anchor.hash.hex(),
                "number": anchor.number,
                "timestamp": anchor.timestamp,
            },
            "parent": None if parent is None else parent.hex(),
            "plan_hash": entry.decision.plan_hash.hex(),
        },
        "mandate": {
            "network": mandate.network.hex(),
            "key_epoch": mandate.key_epoch,
            "tier": int(mandate.tier),
            "plan_hash": mandate.plan_hash.hex(),
            "op": int(mandate.op),
            "decision_id": mandate.decision_id.hex(),
            "acts_root": mandate.acts_root.hex(),
            "not_before": mandate.not_before,
            "not_after": mandate.not_after,
        },
        "leaves": [_leaf_value(leaf) for leaf in sorted(entry.leaves, key=leaf_hash)],
        "certificate": base64_text(entry.certificate),
        "attestations": list(entry.attestations),
        "outcomes": list(entry.outcomes),
        "receipts": [
            _receipt_value(receipt) for receipt in sorted(entry.receipts, key=lambda each: each.outcome)
        ],
    }


def _decision(value: Value, where: str) -> BundleDecision:
    fields = fields_of(value, where, _DECISION_KEYS)
    return BundleDecision(
        decision=_inner_decision(fields),
        mandate=_mandate(fields.raw("mandate"), fields.path("mandate")),
        leaves=_each(fields, "leaves", MAX_ACTS, _leaf),
        certificate=base64_field(fields, "certificate", MAX_CERTIFICATE_BYTES),
        attestations=_each(fields, "attestations", MAX_RECORDS, _number),
        outcomes=_each(fields, "outcomes", MAX_RECORDS, _number),
        receipts=_each(fields, "receipts", MAX_RECEIPTS, _receipt),
    )


def _number(value: Value, where: str) -> int:
    return number_item(value, where, MAX_RECORDS)


def _receipt_value(receipt: BundleReceipt) -> dict[str, Value]:
    return {
        "outcome": receipt.outcome,
        "tx_index": receipt.proof.index,
        "header": base64_text(receipt.proof.header),
        "nodes": [base64_text(node) for node in receipt.proof.nodes],
    }


def _receipt(value: Value, where: str) -> BundleReceipt:
    fields = fields_of(value, where, _RECEIPT_KEYS)
    return BundleReceipt(
        outcome=fields.integer("outcome", maximum=MAX_RECORDS),
        proof=ReceiptProof(
            index=fields.integer("tx_index", maximum=MAX_TX_INDEX),
            header=base64_field(fields, "header", MAX_HEADER_BYTES),
            nodes=_each(fields, "nodes", MAX_TRIE_NODES, _node),
        ),
    )


def _node(value: Value, where: str) -> bytes:
    return base64_item(value, where, MAX_NODE_BYTES)


def _inner_decision(fields: Fields) -> Decision:
    """Read a decision as a message has it, once its bytes are bytes again."""
    where = fields.path("decision")
    decision = fields.mapping("decision", max_items=16)
    inner = fields_of(decision, where, decision)
    anchor = fields_of(decision.get("anchor"), f"{where}.anchor", ("chain", "hash", "number", "timestamp"))
    restored: dict[str, Value] = {
        **decision,
        "anchor": {
            **{key: anchor.raw(key) for key in ("chain", "number", "timestamp")},
            "hash": hex_field(anchor, "hash", 32),
        },
    }
    for key in ("parent", "plan_hash"):
        if decision.get(key) is not None:
            restored[key] = hex_field(inner, key, 32)
    return parse_decision(restored, where)


def _mandate(value: Value, where: str) -> Mandate:
    fields = fields_of(value, where, _MANDATE_KEYS)
    return Mandate(
        network=NetworkId(hex_field(fields, "network", 32)),
        key_epoch=fields.integer("key_epoch", minimum=1, maximum=_U32),
        tier=Tier(fields.integer("tier", minimum=Tier.FAST, maximum=Tier.FULL)),
        plan_hash=PlanHash(hex_field(fields, "plan_hash", 32)),
        op=Op(fields.integer("op", minimum=Op.PROTECT, maximum=Op.RELEASE)),
        decision_id=DecisionId(hex_field(fields, "decision_id", 32)),
        acts_root=Digest(hex_field(fields, "acts_root", 32)),
        not_before=fields.integer("not_before", maximum=_U64),
        not_after=fields.integer("not_after", maximum=_U64),
    )


def _leaf_value(leaf: ActLeaf) -> dict[str, Value]:
    return {
        "chain": leaf.chain,
        "gateway": leaf.gateway.hex(),
        "act_id": leaf.act_id.hex(),
        "act_hash": leaf.act_hash.hex(),
        "duration_s": leaf.duration_s,
    }


def _leaf(value: Value, where: str) -> ActLeaf:
    fields = fields_of(value, where, _LEAF_KEYS)
    return ActLeaf(
        chain=Caip2(fields.text("chain", max_bytes=MAX_CHAIN_BYTES)),
        gateway=Gateway(hex_field(fields, "gateway", 32)),
        act_id=ActId(hex_field(fields, "act_id", 32)),
        act_hash=ActHash(hex_field(fields, "act_hash", 32)),
        duration_s=fields.integer("duration_s", maximum=_U64),
    )
