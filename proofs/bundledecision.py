"""The decisions of a bundle: what was signed for each, and where its records stand (`proofs/SPEC.md` 9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from proofs.canonical import Value
from proofs.decision import MAX_CHAIN_BYTES, Decision, decision_value, parse_decision
from proofs.fields import FieldError, Fields, fields_of
from proofs.jsonfields import base64_field, base64_item, each_item, hex_field, number_item
from proofs.kinds import ActHash, ActId, Caip2, DecisionId, Digest, Gateway, NetworkId, PlanHash
from proofs.mandate import MAX_ACTS, ActLeaf, Mandate, Op, Tier, leaf_hash
from proofs.receipts import MAX_HEADER_BYTES, MAX_NODE_BYTES, MAX_TX_INDEX, ReceiptProof
from proofs.reported import is_reported
from proofs.text import base64_text
from proofs.trie import MAX_TRIE_NODES

__all__ = [
    "MAX_RECEIPTS",
    "MAX_RECORDS",
    "MAX_STATEMENTS",
    "BundleDecision",
    "BundleReceipt",
    "bundle_decision_value",
    "read_bundle_decision",
]

MAX_RECORDS = 32_768
"""Of one bundle."""
MAX_RECEIPTS = 256
"""Of one decision."""
MAX_REPORTS = 32
"""Of one decision: a plan's reports have no more reporters."""
MAX_STATEMENTS = 1_024
"""Of one decision."""
MAX_CERTIFICATE_BYTES = 4_096
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class BundleReceipt:
    """The receipt that shows an outcome: `outcome` is the number of a record that tells of it."""

    outcome: int
    proof: ReceiptProof


@dataclass(frozen=True, slots=True)
class BundleDecision:
    """A decision, what was signed for it, and the numbers of the records that belong to it.

    `certificate` is of either kind (core SPEC 4.5).

    The file has the leaves in the order of their tree, the receipts in that of their outcomes.
    """

    decision: Decision
    mandate: Mandate
    leaves: tuple[ActLeaf, ...]
    certificate: bytes
    attestations: tuple[int, ...]
    outcomes: tuple[int, ...]
    receipts: tuple[BundleReceipt, ...] = ()
    reports: tuple[int, ...] = ()
    """Numbers of the records by which reporters called for it; only decisions of reports have any."""
    headers: tuple[int, ...] = ()
    """Numbers of the records by which members say that a block of an outcome is final."""
    statements: tuple[int, ...] = ()
    """Numbers of the records that say something else of it."""

    def numbers(self) -> tuple[int, ...]:
        """Give the numbers of all records that belong to it."""
        return (*self.reports, *self.attestations, *self.outcomes, *self.headers, *self.statements)


_DECISION_KEYS = frozenset(
    (
        *("decision", "mandate", "leaves", "certificate"),
        *("attestations", "outcomes", "receipts", "headers", "statements"),
    )
)
_RECEIPT_KEYS = frozenset({"outcome", "tx_index", "header", "nodes"})
_MANDATE_KEYS = frozenset(
    ("network", "key_epoch", "tier", "plan_hash", "op", "decision_id", "acts_root", "not_before", "not_after")
)
_LEAF_KEYS = frozenset({"chain", "gateway", "act_id", "act_hash", "duration_s"})


def bundle_decision_value(entry: BundleDecision) -> dict[str, Value]:
    """Give a decision as a bundle has it."""
    mandate, anchor, parent = entry.mandate, entry.decision.anchor, entry.decision.parent
    reports: dict[str, Value] = {"reports": list(entry.reports)} if is_reported(entry.decision) else {}
    return {
        **reports,
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
        "headers": list(entry.headers),
        "statements": list(entry.statements),
        "receipts": [
            _receipt_value(receipt) for receipt in sorted(entry.receipts, key=lambda each: each.outcome)
        ],
    }


def read_bundle_decision(value: Value, where: str) -> BundleDecision:
    """Read a decision of a bundle, checking its form only.

    Raises:
        FieldError: `shape`.
        MandateError: `mandate-range`.
    """
    # The key stands exactly where a decision's subject says that reports called for it.
    has_reports = isinstance(value, Mapping) and "reports" in value
    fields = fields_of(value, where, {*_DECISION_KEYS, "reports"} if has_reports else _DECISION_KEYS)
    decision = _inner_decision(fields)
    if has_reports != is_reported(decision):
        raise FieldError(
            fields.path("reports"), "reports exactly for a decision of reports", decision.subject
        )
    return BundleDecision(
        decision=decision,
        mandate=_mandate(fields.raw("mandate"), fields.path("mandate")),
        leaves=each_item(fields, "leaves", _leaf, max_items=MAX_ACTS),
        certificate=base64_field(fields, "certificate", MAX_CERTIFICATE_BYTES),
        attestations=each_item(fields, "attestations", _number, max_items=MAX_RECORDS),
        outcomes=each_item(fields, "outcomes", _number, max_items=MAX_RECORDS),
        receipts=each_item(fields, "receipts", _receipt, max_items=MAX_RECEIPTS),
        headers=each_item(fields, "headers", _number, max_items=MAX_RECORDS),
        statements=each_item(fields, "statements", _number, max_items=MAX_STATEMENTS),
        reports=each_item(fields, "reports", _number, max_items=MAX_REPORTS) if has_reports else (),
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
            nodes=each_item(fields, "nodes", _node, max_items=MAX_TRIE_NODES),
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
