"""Signed envelopes: how a member says something, and what the audit log holds (core SPEC 1.2).

An arriving envelope goes through `parse_envelope` (limits, form), then the caller's own checks (known signer,
fresh, wanted), then `verify_envelope` (the signature, 53 µs). The two results are different types.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import VerifyKey

from proofs.canonical import Value, decode, encode
from proofs.errors import ProofError
from proofs.fields import fields_of
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis, NetworkId

__all__ = [
    "MAX_ENVELOPE_BYTES",
    "Envelope",
    "EnvelopeError",
    "PayloadFields",
    "UnverifiedEnvelope",
    "assemble_envelope",
    "build_payload",
    "open_envelope",
    "parse_envelope",
    "signing_bytes",
    "verify_envelope",
]

MAX_ENVELOPE_BYTES = 65_535
"""An entry of the audit log has a length of 16 bits."""
MAX_KIND_BYTES = 32
SIGNATURE_BYTES = 64
_VERSION = 1
_SIGNATURE_BYTES = 64
_HEAD = bytes([0x93, _VERSION])
"""An array of three, and the first of them."""
_BIN_8, _BIN_16, _BIN_64 = b"\xc4", b"\xc5", b"\xc4\x40"
_BYTE = 0xFF
_SIGNING_TAG = b"tocsin/envelope/1\n"
_KEYS = frozenset({"at_ms", "author", "body", "committee_epoch", "kind", "network"})
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


class EnvelopeError(ProofError):
    """The bytes are no envelope: `envelope-form`, `envelope-size`, or `envelope-signature`."""


@dataclass(frozen=True, slots=True)
class PayloadFields:
    """What an author states; `at_ms` is its own clock's word, `body` has the form of its `kind` (SPEC 3)."""

    network: NetworkId
    author: Identity
    committee_epoch: int
    kind: str
    at_ms: Millis
    body: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """An envelope of the right form, whose signature nobody has checked."""

    raw: bytes
    payload: bytes
    signature: bytes
    fields: PayloadFields


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope that `author` signed; `raw` are the bytes that came, never encoded again."""

    raw: bytes
    digest: Digest
    network: NetworkId
    author: Identity
    committee_epoch: int
    kind: str
    at_ms: Millis
    body: Mapping[str, Value]


def build_payload(fields: PayloadFields) -> bytes:
    """Give the bytes that state `fields`.

    Raises:
        CanonicalError: the body has no canonical form.
    """
    return encode(
        {
            "at_ms": fields.at_ms,
            "author": fields.author,
            "body": fields.body,
            "committee_epoch": fields.committee_epoch,
            "kind": fields.kind,
            "network": fields.network,
        }
    )


def signing_bytes(payload: bytes) -> bytes:
    """Give what the identity key signs."""
    return _SIGNING_TAG + payload


def assemble_envelope(payload: bytes, signature: bytes) -> bytes:
    """Join a payload and its Ed25519 signature (64 bytes) into an envelope.

    Raises:
        EnvelopeError: `envelope-size`.
    """
    raw = encode([_VERSION, payload, signature])
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise EnvelopeError("envelope-size", f"expected at most {MAX_ENVELOPE_BYTES} bytes, got {len(raw)}")
    return raw


def parse_envelope(raw: bytes) -> UnverifiedEnvelope:
    """Read an envelope without checking its signature.

    Raises:
        EnvelopeError: `envelope-form`.
        CanonicalError: a limit, or another encoding than the canonical one.
        FieldError: `shape`, an unknown, missing or wrong field of the payload.
    """
    payload, signature = _split(raw)
    fields = fields_of(decode(payload, limit_bytes=MAX_ENVELOPE_BYTES), "envelope", _KEYS)
    body = fields.raw("body")
    if not isinstance(body, Mapping):
        raise EnvelopeError("envelope-form", "expected a body that is a map, got another type")
    stated = PayloadFields(
        network=NetworkId(fields.binary("network", length=32)),
        author=Identity(fields.binary("author", length=32)),
        committee_epoch=fields.integer("committee_epoch", minimum=1, maximum=_U32),
        kind=fields.text("kind", max_bytes=MAX_KIND_BYTES),
        at_ms=Millis(fields.integer("at_ms", maximum=_U64)),
        body=body,
    )
    return UnverifiedEnvelope(raw=raw, payload=payload, signature=signature, fields=stated)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Take the one canonical spelling of [1, payload, 64 bytes of signature] apart.

    The form is fixed, so looking at its few header bytes is all that a decoder would do, and much faster.
    """
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise EnvelopeError("envelope-size", f"expected at most {MAX_ENVELOPE_BYTES} bytes, got {len(raw)}")
    end = len(raw) - len(_BIN_64) - _SIGNATURE_BYTES
    start = 4 if raw[2:3] == _BIN_8 else 5
    length = max(0, end - start)
    # A payload of 256 bytes or more has a length of 16 bits, a shorter one of 8: never the other way round.
    header = _BIN_8 + bytes([length]) if length <= _BYTE else _BIN_16 + length.to_bytes(2, "big")
    if end < start or raw[:start] != _HEAD + header or raw[end : end + len(_BIN_64)] != _BIN_64:
        raise EnvelopeError("envelope-form", "expected [1, payload, 64 bytes of signature], got another form")
    return raw[start:end], raw[end + len(_BIN_64) :]


def verify_envelope(unverified: UnverifiedEnvelope) -> Envelope:
    """Check the author's signature.

    Raises:
        EnvelopeError: `envelope-signature`.
    """
    fields = unverified.fields
    try:
        VerifyKey(fields.author).verify(signing_bytes(unverified.payload), unverified.signature)
    except (BadSignatureError, NaclValueError) as error:
        raise EnvelopeError(
            "envelope-signature", "expected the author's signature, got another", author=fields.author
        ) from error
    return Envelope(
        raw=unverified.raw,
        digest=sha256(unverified.raw),
        network=fields.network,
        author=fields.author,
        committee_epoch=fields.committee_epoch,
        kind=fields.kind,
        at_ms=fields.at_ms,
        body=fields.body,
    )


def open_envelope(raw: bytes) -> Envelope:
    """Read an envelope and check its signature.

    Raises:
        ProofError: whatever `parse_envelope` and `verify_envelope` raise.
    """
    return verify_envelope(parse_envelope(raw))
