"""FROST(secp256k1, SHA-256) signatures, as anybody checks them (RFC 9591, 6.5; threshold SPEC 1).

Such a signature is a Schnorr signature: how many members made it, and which, it does not say.
"""

import hashlib

from coincurve import PublicKey

from proofs.errors import ProofError
from proofs.points import Suite

__all__ = ["FROST_SIGNATURE_BYTES", "SchnorrError", "challenge", "hash_to_scalar", "verify_frost"]

FROST_SIGNATURE_BYTES = 65
"""R compressed (33) ‖ z (32)."""
_ORDER = Suite.SECP256K1.order
_CONTEXT = b"FROST-secp256k1-SHA256-v1"
_POINT_BYTES = Suite.SECP256K1.point_bytes
_BLOCK_BYTES, _HASH_BYTES = 64, 32
_WIDE_BYTES = 48


class SchnorrError(ProofError):
    """The bytes are no signature over the message by the key."""


def hash_to_scalar(message: bytes, tag: bytes) -> int:
    """Give RFC 9380 `hash_to_field` of `message` over the order, with the suite's context and `tag`.

    `tag` is `chal`, `rho` or `nonce` for the RFC's own hashes.
    """
    return int.from_bytes(_expand(message, _CONTEXT + tag), "big") % _ORDER


def challenge(commitment: bytes, key: bytes, message: bytes) -> int:
    """Give the challenge of the group commitment R for `key` (33 bytes each) and `message`: H2 of the RFC."""
    return hash_to_scalar(commitment + key + message, b"chal")


def verify_frost(key: bytes, message: bytes, signature: bytes) -> None:
    """Check that `signature` (65 bytes, R ‖ z) over `message` is by the group key (33 bytes).

    Raises:
        SchnorrError: `schnorr-key`, `schnorr-length`, `schnorr-point`, `schnorr-scalar`, `schnorr-signature`.
    """
    if len(signature) != FROST_SIGNATURE_BYTES:
        raise SchnorrError(
            "schnorr-length", f"expected {FROST_SIGNATURE_BYTES} bytes of signature, got {len(signature)}"
        )
    public = _point(key)
    if public is None:
        raise SchnorrError("schnorr-key", "expected a compressed point as key, got other bytes")
    commitment, response = bytes(signature[:_POINT_BYTES]), bytes(signature[_POINT_BYTES:])
    if _point(commitment) is None:
        raise SchnorrError("schnorr-point", "expected R to be a compressed point, got other bytes")
    # Zero is refused too: no signer meets it, and it would ask the library for the identity.
    if not 0 < int.from_bytes(response, "big") < _ORDER:
        raise SchnorrError("schnorr-scalar", "expected z above zero and below the order, got another number")
    if _commitment_of(public, challenge(commitment, bytes(key), message), response) != commitment:
        raise SchnorrError("schnorr-signature", "expected z·G = R + c·P, got another point")


def _commitment_of(public: PublicKey, factor: int, response: bytes) -> bytes | None:
    """Give z·G − c·P, compressed; None if it is the identity, or the challenge is zero."""
    if not factor:
        return None
    negated = public.multiply((_ORDER - factor).to_bytes(_HASH_BYTES, "big"))
    try:
        return bytes(PublicKey.from_valid_secret(response).combine([negated]).format())
    except ValueError:
        return None


def _point(encoded: bytes) -> PublicKey | None:
    # SECURITY: libsecp256k1 also takes 65 bytes, and coincurve takes what is not bytes for a parsed key.
    if len(encoded) != _POINT_BYTES:
        return None
    try:
        return PublicKey(bytes(encoded))
    except ValueError:
        return None


def _expand(message: bytes, tag: bytes) -> bytes:
    """Give 48 bytes of RFC 9380 `expand_message_xmd` with SHA-256 (5.3.1)."""
    suffix = tag + bytes([len(tag)])
    head = hashlib.sha256(bytes(_BLOCK_BYTES) + message + _WIDE_BYTES.to_bytes(2, "big") + b"\0" + suffix)
    first = hashlib.sha256(head.digest() + b"\1" + suffix).digest()
    mixed = bytes(one ^ other for one, other in zip(head.digest(), first, strict=True))
    return (first + hashlib.sha256(mixed + b"\2" + suffix).digest())[:_WIDE_BYTES]
