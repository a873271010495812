"""Certificates: what shows a gateway that enough members stand behind a mandate (SPEC 4.5 of the core).

Kind 1 is a list of ECDSA signatures and says whose; kind 2 is one signature by the group key of the tier, and
says that enough holders of shares took part, not which.
"""

from collections.abc import Collection, Mapping

import coincurve

from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.kinds import Address
from proofs.schnorr import FROST_SIGNATURE_BYTES, SchnorrError, verify_frost

__all__ = [
    "CERTIFICATE_ECDSA",
    "CERTIFICATE_FROST",
    "FROST_CERTIFICATE_BYTES",
    "SIGNATURE_BYTES",
    "CertificateError",
    "certificate_kind",
    "encode_certificate",
    "encode_frost_certificate",
    "recover_address",
    "split_certificate",
    "verify_certificate",
    "verify_frost_certificate",
]

SIGNATURE_BYTES = 65
CERTIFICATE_ECDSA = 0x01
CERTIFICATE_FROST = 0x02
FROST_CERTIFICATE_BYTES = 97
"""Kind ‖ Rx ‖ Ry ‖ z."""
_HALF_ORDER = bytes.fromhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
_WORD = 32


class CertificateError(ProofError):
    """The bytes are no certificate over the digest by enough attesters."""


def certificate_kind(certificate: bytes) -> int:
    """Give `CERTIFICATE_ECDSA` or `CERTIFICATE_FROST`, by the first byte.

    Raises:
        CertificateError: `certificate-kind`.
    """
    kind = certificate[0] if certificate else None
    if kind not in (CERTIFICATE_ECDSA, CERTIFICATE_FROST):
        raise CertificateError(
            "certificate-kind", f"expected kind 01 or 02, got {certificate[:1].hex() or 'nothing'}"
        )
    return kind


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Give the address whose key made `signature` (r ‖ s ‖ v, v 27 or 28, low s) over `digest` (32 bytes).

    Raises:
        CertificateError: `signature-form` or `signature-recover`.
    """
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        raise CertificateError(
            "signature-form", f"expected {SIGNATURE_BYTES} bytes with v 27 or 28, got others"
        )
    if signature[32:64] > _HALF_ORDER:
        raise CertificateError("signature-form", "expected s in the lower half, got the upper")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        key = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError as error:
        raise CertificateError("signature-recover", "expected a point of the curve, got none") from error
    return Address(keccak256(key.format(compressed=False)[1:])[12:])


def encode_certificate(signatures: Mapping[Address, bytes]) -> bytes:
    """Give the certificate of `signatures` by signer's address (core SPEC 4.5)."""
    return bytes([CERTIFICATE_ECDSA]) + b"".join(signatures[signer] for signer in sorted(signatures))


def split_certificate(certificate: bytes) -> tuple[bytes, ...]:
    """Give the signatures of a certificate in its order, 65 bytes each, at least one.

    Raises:
        CertificateError: `certificate-kind`, `certificate-length`.
    """
    if certificate[:1] != bytes([CERTIFICATE_ECDSA]):
        raise CertificateError(
            "certificate-kind", f"expected kind 01, got {certificate[:1].hex() or 'nothing'}"
        )
    body = certificate[1:]
    if not body or len(body) % SIGNATURE_BYTES:
        raise CertificateError(
            "certificate-length", f"expected signatures of 65 bytes, got {len(body)} bytes"
        )
    return tuple(body[start : start + SIGNATURE_BYTES] for start in range(0, len(body), SIGNATURE_BYTES))


def verify_certificate(
    digest: bytes, certificate: bytes, attesters: Collection[Address], threshold: int
) -> tuple[Address, ...]:
    """Check a certificate over `digest` and give its signers, ascending (core SPEC 4.5).

    Raises:
        CertificateError: `certificate-kind`, `certificate-length`, `certificate-threshold`, `signature-form`,
            `signature-recover`, `certificate-order`, `certificate-signer`.
    """
    signatures = split_certificate(certificate)
    # SECURITY: a recovery costs 40 µs; no certificate has more signatures than there are attesters.
    if not threshold <= len(signatures) <= len(attesters):
        raise CertificateError(
            "certificate-threshold",
            f"expected {threshold} to {len(attesters)} signatures, got {len(signatures)}",
            threshold=threshold,
            got=len(signatures),
        )
    signers: list[Address] = []
    for signature in signatures:
        signer = recover_address(digest, signature)
        if signers and signer <= signers[-1]:
            raise CertificateError(
                "certificate-order", "expected strictly ascending signers, got another order"
            )
        if signer not in attesters:
            raise CertificateError(
                "certificate-signer", f"expected an attester, got 0x{signer.hex()}", signer=signer
            )
        signers.append(signer)
    return tuple(signers)


def encode_frost_certificate(signature: bytes) -> bytes:
    """Give the certificate of a FROST signature (65 bytes, R ‖ z): R uncompressed (threshold SPEC 1.1).

    Raises:
        CertificateError: `certificate-length`, `certificate-point`.
    """
    if len(signature) != FROST_SIGNATURE_BYTES:
        raise CertificateError(
            "certificate-length", f"expected {FROST_SIGNATURE_BYTES} bytes of signature, got {len(signature)}"
        )
    commitment = _point(signature[:-_WORD]).format(compressed=False)
    return bytes([CERTIFICATE_FROST]) + commitment[1:] + signature[-_WORD:]


def verify_frost_certificate(digest: bytes, certificate: bytes, key: bytes) -> None:
    """Check a certificate over `digest` by the group key (33 bytes, compressed) of tier and key epoch.

    Raises:
        CertificateError: `certificate-kind`, `certificate-length`, `certificate-key`, `certificate-point`,
            `certificate-scalar`, `certificate-signature`.
    """
    if certificate[:1] != bytes([CERTIFICATE_FROST]):
        raise CertificateError(
            "certificate-kind", f"expected kind 02, got {certificate[:1].hex() or 'nothing'}"
        )
    if len(certificate) != FROST_CERTIFICATE_BYTES:
        raise CertificateError(
            "certificate-length", f"expected {FROST_CERTIFICATE_BYTES} bytes, got {len(certificate)}"
        )
    commitment = _point(b"\x04" + certificate[1 : 1 + 2 * _WORD]).format()
    try:
        verify_frost(key, digest, commitment + certificate[-_WORD:])
    except SchnorrError as error:
        if error.check == "schnorr-key":
            raise CertificateError("certificate-key", error.message) from error
        if error.check == "schnorr-scalar":
            raise CertificateError("certificate-scalar", error.message) from error
        raise CertificateError("certificate-signature", error.message) from error


def _point(encoded: bytes) -> coincurve.PublicKey:
    try:
        return coincurve.PublicKey(bytes(encoded))
    except ValueError as error:
        raise CertificateError("certificate-point", "expected R on the curve, got other bytes") from error
