"""Sealed fields: signed now, shown later and one by one (`proofs/SPEC.md` 13).

A kind of statement fixes the names of its sealed fields, so a field has one place in the tree, and an author
cannot have sealed two values under one name to choose from later.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.canonical import CanonicalError, Value, decode, encode
from proofs.envelope import MAX_ENVELOPE_BYTES
from proofs.errors import ProofError
from proofs.fields import FieldError, fields_of
from proofs.jsonfields import base64_field, each_item, hex_item
from proofs.kinds import Digest
from proofs.nesting import json_value
from proofs.text import base64_text
from proofs.tree import (
    HASH_BYTES,
    CompactRange,
    TreeError,
    inclusion_proof,
    leaf_digest,
    verify_inclusion,
)

__all__ = [
    "DISCLOSURE_SCHEMA",
    "MAX_DISCLOSURE_BYTES",
    "MAX_FIELDS",
    "SALT_BYTES",
    "SEALED_FIELDS",
    "SEED_BYTES",
    "Disclosure",
    "DisclosureError",
    "DisclosureFile",
    "Sealed",
    "decode_disclosure",
    "disclose",
    "disclosure_value",
    "encode_disclosure",
    "open_field",
    "open_fields",
    "read_disclosure",
    "seal",
    "sealed_of",
]

DISCLOSURE_SCHEMA: Final = "tocsin/disclosure/1"
SEALED_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "readiness": ("reason", "remedy"),
    "signal": ("note", "reporter"),
}
"""By the envelope's kind: the names of what is under its `sealed`, ascending (core SPEC 3)."""
SEED_BYTES: Final = 32
SALT_BYTES: Final = 32
MAX_FIELDS: Final = 16
MAX_FIELD_BYTES: Final = 64
MAX_VALUE_BYTES: Final = 16_384
MAX_DISCLOSURE_BYTES: Final = 1 << 20
_MAX_PATH: Final = 4
_MAX_DEPTH: Final = 4
_MAX_TOKENS: Final = 512
_KEYS: Final = frozenset({"schema", "envelope", "fields"})
_FIELD_KEYS: Final = ("field", "salt", "value", "path")


class DisclosureError(ProofError):
    """`sealed-form`, `sealed-root` (it does not lead there), `sealed-record`, `sealed-twice`."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an envelope has sealed: the root, and the names of the fields under it, ascending."""

    root: Digest
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One field, opened: with its salt (32 bytes) and the path from its leaf to the root, leaf side first."""

    field: str
    salt: bytes
    value: Value
    path: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class DisclosureFile:
    """A record as it was said, and fields of it, ascending by name; nothing in it is verified."""

    envelope: bytes
    fields: tuple[Disclosure, ...]


def seal(fields: Mapping[str, Value], seed: bytes) -> Digest:
    """Give the root over `fields` under salts of the secret `seed` (32 random bytes).

    Raises:
        DisclosureError: `sealed-form`, no field, too many, or one that is too large.
        CanonicalError: a value has no canonical form.
    """
    return _range_of(fields, seed)[0].root()


def disclose(fields: Mapping[str, Value], seed: bytes, name: str) -> Disclosure:
    """Give the opening of one of the `fields` that `seal` sealed.

    Raises:
        DisclosureError: `sealed-form`, as `seal`, or there is no field `name`.
    """
    _, nodes = _range_of(fields, seed)
    names = sorted(fields)
    if name not in fields:
        raise DisclosureError("sealed-form", f"expected one of {', '.join(names)}, got {name!r}")
    path = inclusion_proof(names.index(name), len(names), lambda level, index: nodes[level, index])
    return Disclosure(name, _salt(seed, name), fields[name], path)


def sealed_of(kind: str, body: Mapping[str, Value]) -> Sealed:
    """Give what the body of a `kind` of envelope has sealed.

    Raises:
        DisclosureError: `sealed-record`, such an envelope seals nothing.
    """
    names, root = SEALED_FIELDS.get(kind), body.get("sealed")
    if names is None or not isinstance(root, bytes) or len(root) != HASH_BYTES:
        raise DisclosureError(
            "sealed-record", f"expected one of {', '.join(SEALED_FIELDS)} with a sealed root, got {kind!r}"
        )
    return Sealed(Digest(root), names)


def open_field(sealed: Sealed, disclosure: Disclosure) -> Value:
    """Give the value, which was under the root when its author signed it.

    Raises:
        DisclosureError: `sealed-form`, `sealed-root`.
    """
    if disclosure.field not in sealed.names:
        raise DisclosureError(
            "sealed-form", f"expected one of {', '.join(sealed.names)}, got {disclosure.field!r}"
        )
    leaf = _leaf(disclosure.field, disclosure.salt, disclosure.value)
    place = sealed.names.index(disclosure.field)
    try:
        verify_inclusion(leaf, place, len(sealed.names), disclosure.path, sealed.root)
    except TreeError as error:
        raise DisclosureError(
            "sealed-root", f"expected field {disclosure.field} under {sealed.root.hex()}, got another"
        ) from error
    return disclosure.value


def open_fields(sealed: Sealed, disclosures: Sequence[Disclosure]) -> dict[str, Value]:
    """Give the values of several openings of one record.

    Raises:
        DisclosureError: as `open_field`; `sealed-twice`.
    """
    values: dict[str, Value] = {}
    for disclosure in disclosures:
        if disclosure.field in values:
            raise DisclosureError("sealed-twice", f"expected each field once, got {disclosure.field} again")
        values[disclosure.field] = open_field(sealed, disclosure)
    return values


def disclosure_value(disclosure: Disclosure) -> dict[str, Value]:
    """Give the JSON of an opened field."""
    return {
        "field": disclosure.field,
        "salt": base64_text(disclosure.salt),
        "value": base64_text(encode(disclosure.value)),
        "path": [node.hex() for node in disclosure.path],
    }


def read_disclosure(value: Value, where: str) -> Disclosure:
    """Read an opened field; whether it leads to a root is not looked at.

    Raises:
        FieldError: `shape`.
        CanonicalError: the value is not canonical.
    """
    fields = fields_of(value, where, _FIELD_KEYS)
    return Disclosure(
        field=fields.text("field", max_bytes=MAX_FIELD_BYTES),
        salt=base64_field(fields, "salt", SALT_BYTES),
        value=decode(base64_field(fields, "value", MAX_VALUE_BYTES), limit_bytes=MAX_VALUE_BYTES),
        path=each_item(fields, "path", _node, max_items=_MAX_PATH),
    )


def encode_disclosure(file: DisclosureFile) -> bytes:
    """Give the file of opened fields of one record."""
    parts: dict[str, Value] = {
        "schema": DISCLOSURE_SCHEMA,
        "envelope": base64_text(file.envelope),
        "fields": [disclosure_value(each) for each in sorted(file.fields, key=lambda each: each.field)],
    }
    return json.dumps(parts, ensure_ascii=True, indent=1, sort_keys=True).encode() + b"\n"


def decode_disclosure(data: bytes) -> DisclosureFile:
    """Read a file of opened fields, checking form only: then open the envelope, and each field under it.

    Raises:
        DisclosureError: `sealed-form`, `sealed-twice`.
    """
    try:
        file = _file(
            json_value(data, max_bytes=MAX_DISCLOSURE_BYTES, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS)
        )
    except (ValueError, FieldError, CanonicalError) as error:
        raise DisclosureError("sealed-form", f"expected a disclosure, got {str(error)[:200]}") from error
    names = [each.field for each in file.fields]
    if len(set(names)) != len(names):
        raise DisclosureError("sealed-twice", f"expected each field once, got {', '.join(names)}")
    if encode_disclosure(file) != data:
        raise DisclosureError("sealed-form", "expected the one spelling of a disclosure, got another")
    return file


def _file(value: Value) -> DisclosureFile:
    fields = fields_of(value, "disclosure", _KEYS)
    if fields.raw("schema") != DISCLOSURE_SCHEMA:
        raise FieldError(fields.path("schema"), DISCLOSURE_SCHEMA, repr(fields.raw("schema"))[:80])
    opened = each_item(fields, "fields", read_disclosure, max_items=MAX_FIELDS)
    if not opened:
        raise FieldError(fields.path("fields"), "one field at least", "none")
    return DisclosureFile(base64_field(fields, "envelope", MAX_ENVELOPE_BYTES), opened)


def _node(value: Value, where: str) -> Digest:
    return Digest(hex_item(value, where, HASH_BYTES))


def _range_of(fields: Mapping[str, Value], seed: bytes) -> tuple[CompactRange, dict[tuple[int, int], Digest]]:
    if not 1 <= len(fields) <= MAX_FIELDS or len(seed) != SEED_BYTES:
        raise DisclosureError(
            "sealed-form",
            f"expected 1 to {MAX_FIELDS} fields and a seed of {SEED_BYTES} bytes, got {len(fields)} and "
            f"{len(seed)} bytes",
        )
    compact, nodes = CompactRange(), dict[tuple[int, int], Digest]()
    for name in sorted(fields):
        compact, completed = compact.append_nodes(_leaf(name, _salt(seed, name), fields[name]))
        nodes.update({(level, index): node for level, index, node in completed})
    return compact, nodes


def _leaf(name: str, salt: bytes, value: Value) -> Digest:
    size = len(encode(value))
    if not 1 <= len(name.encode()) <= MAX_FIELD_BYTES or len(salt) != SALT_BYTES or size > MAX_VALUE_BYTES:
        raise DisclosureError(
            "sealed-form",
            f"expected a name of 1 to {MAX_FIELD_BYTES} bytes, a salt of {SALT_BYTES} and a value of at most "
            f"{MAX_VALUE_BYTES}, got {name[:80]!r}, {len(salt)} and {size}",
        )
    return leaf_digest(encode({"field": name, "salt": salt, "value": value}))


def _salt(seed: bytes, name: str) -> bytes:
    return hmac.digest(seed, name.encode(), "sha256")
