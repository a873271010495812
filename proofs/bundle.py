"""Bundles: one file on what was decided, by whom, on what ground, what came of it (`proofs/SPEC.md` 9).

A bundle has one spelling: reading a file and writing it gives the same bytes. Reading checks form only;
`proofs.verify` checks what it says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from proofs.bundledecision import (
    MAX_RECEIPTS,
    MAX_RECORDS,
    BundleDecision,
    BundleReceipt,
    bundle_decision_value,
    read_bundle_decision,
)
from proofs.canonical import Value
from proofs.committee import MAX_DOCUMENT_BYTES
from proofs.disclosure import Disclosure, disclosure_value, read_disclosure
from proofs.envelope import MAX_ENVELOPE_BYTES
from proofs.errors import ProofError
from proofs.fields import FieldError, Fields, fields_of
from proofs.groupkeys import MAX_KEYS_BYTES
from proofs.jsonfields import base64_field, each_item, hex_field, hex_item, number_item
from proofs.kinds import Identity, NetworkId, PlanHash
from proofs.nesting import json_value
from proofs.terms import MAX_PLAN_BYTES
from proofs.text import base64_text
from proofs.tlogproof import MAX_PROOF_CHARACTERS

__all__ = [
    "BUNDLE_SCHEMA",
    "MAX_BUNDLE_BYTES",
    "MAX_RECEIPTS",
    "Bundle",
    "BundleDecision",
    "BundleDisclosure",
    "BundleDocument",
    "BundleError",
    "BundlePlan",
    "BundleReceipt",
    "BundleRecord",
    "decode_bundle",
    "encode_bundle",
]

BUNDLE_SCHEMA = "tocsin/bundle/4"
MAX_BUNDLE_BYTES = 16 << 20
MAX_JSON_DEPTH = 8
MAX_JSON_TOKENS = 1_000_000
MAX_COMMITTEES = 256
MAX_KEYS = 256
MAX_PLANS = 64
MAX_DECISIONS = 1_024
MAX_DISCLOSED = 1_024
MAX_SIGNATURES = 64
MAX_KEY_CHARACTERS = 512


class BundleError(ProofError):
    """`bundle-size`, `bundle-json` (no JSON of ours), `bundle-form` (another spelling)."""


@dataclass(frozen=True, slots=True)
class BundleDocument:
    """A committee or keys document as signed, and the Ed25519 signatures under it."""

    document: bytes
    signatures: Mapping[Identity, bytes]


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """A plan in its canonical form."""

    plan_hash: PlanHash
    canonical: bytes


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """An entry of the audit log, and the text of the tlog-proof that it stands there."""

    envelope: bytes
    tlog_proof: str


@dataclass(frozen=True, slots=True)
class BundleDisclosure:
    """A sealed field of the record of that number, opened."""

    record: int
    opened: Disclosure


@dataclass(frozen=True, slots=True)
class Bundle:
    """All parts; `committees` from genesis on, `log` the vkey of the log that every record is in.

    `keys` are of the key epochs of the certificates of kind 2, one document each. The file has `disclosed` in
    the order of records and fields.
    """

    network: NetworkId
    committees: tuple[BundleDocument, ...]
    keys: tuple[BundleDocument, ...]
    plans: tuple[BundlePlan, ...]
    decisions: tuple[BundleDecision, ...]
    records: tuple[BundleRecord, ...]
    log: str
    disclosed: tuple[BundleDisclosure, ...] = ()


def encode_bundle(bundle: Bundle) -> bytes:
    """Give the file of a bundle.

    Raises:
        BundleError: `bundle-size`.
    """
    parts: dict[str, Value] = {
        "schema": BUNDLE_SCHEMA,
        "network": bundle.network.hex(),
        "committees": [_document_value(committee) for committee in bundle.committees],
        "keys": [_document_value(keys) for keys in bundle.keys],
        "plans": [
            {"plan_hash": plan.plan_hash.hex(), "canonical": base64_text(plan.canonical)}
            for plan in bundle.plans
        ],
        "decisions": [bundle_decision_value(decision) for decision in bundle.decisions],
        "records": [
            {"envelope": base64_text(record.envelope), "tlog_proof": record.tlog_proof}
            for record in bundle.records
        ],
        "disclosed": [
            {"record": each.record, **disclosure_value(each.opened)}
            for each in sorted(bundle.disclosed, key=lambda each: (each.record, each.opened.field))
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
        committees=each_item(fields, "committees", _committee, max_items=MAX_COMMITTEES),
        keys=each_item(fields, "keys", _keys, max_items=MAX_KEYS),
        plans=each_item(fields, "plans", _plan, max_items=MAX_PLANS),
        decisions=each_item(fields, "decisions", read_bundle_decision, max_items=MAX_DECISIONS),
        records=each_item(fields, "records", _record, max_items=MAX_RECORDS),
        log=_log(fields),
        disclosed=each_item(fields, "disclosed", _disclosed, max_items=MAX_DISCLOSED),
    )
    if encode_bundle(bundle) != data:
        raise BundleError("bundle-form", "expected the one spelling of a bundle, got another")
    return bundle


_KEYS = frozenset(
    {"schema", "network", "committees", "keys", "plans", "decisions", "disclosed", "records", "log"}
)
_DOCUMENT_KEYS = frozenset({"document", "signatures"})
_PLAN_KEYS = frozenset({"plan_hash", "canonical"})
_RECORD_KEYS = frozenset({"envelope", "tlog_proof"})


def _parse_json(data: bytes) -> Value:
    try:
        return json_value(
            data, max_bytes=MAX_BUNDLE_BYTES, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS
        )
    except ValueError as error:
        raise BundleError("bundle-json", f"expected JSON, got {str(error)[:80]}") from error


def _document_value(signed: BundleDocument) -> dict[str, Value]:
    return {
        "document": base64_text(signed.document),
        "signatures": {
            identity.hex(): base64_text(signature) for identity, signature in signed.signatures.items()
        },
    }


def _committee(value: Value, where: str) -> BundleDocument:
    return _document(value, where, MAX_DOCUMENT_BYTES)


def _keys(value: Value, where: str) -> BundleDocument:
    return _document(value, where, MAX_KEYS_BYTES)


def _document(value: Value, where: str, max_bytes: int) -> BundleDocument:
    fields = fields_of(value, where, _DOCUMENT_KEYS)
    signed = fields.mapping("signatures", max_items=MAX_SIGNATURES)
    signatures = fields_of(signed, fields.path("signatures"), signed)
    return BundleDocument(
        document=base64_field(fields, "document", max_bytes),
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


def _disclosed(value: Value, where: str) -> BundleDisclosure:
    if not isinstance(value, Mapping) or "record" not in value:
        raise FieldError(where, "a field of a record", "other")
    number = number_item(value["record"], f"{where}.record", MAX_RECORDS)
    opened = {key: item for key, item in value.items() if key != "record"}
    return BundleDisclosure(number, read_disclosure(opened, where))


def _log(fields: Fields) -> str:
    log = fields_of(fields.raw("log"), fields.path("log"), ("vkey",))
    return log.text("vkey", max_bytes=MAX_KEY_CHARACTERS)
