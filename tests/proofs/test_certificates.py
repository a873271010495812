"""Certificates of kind 2: one signature in one spelling, checked by the group key alone (core SPEC 4.5)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import coincurve
import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from proofs.certificates import (
    CERTIFICATE_ECDSA,
    CERTIFICATE_FROST,
    FROST_CERTIFICATE_BYTES,
    CertificateError,
    certificate_kind,
    encode_certificate,
    encode_frost_certificate,
    verify_certificate,
    verify_frost_certificate,
)
from proofs.hashes import keccak256
from proofs.kinds import Address, NetworkId
from proofs.mandate import MandateError, Tier, key_proof_digest
from proofs.points import PointError, Suite
from proofs.schnorr import SchnorrError, challenge, verify_frost
from tests.vectors.make_frost import document

# RFC 9591, Appendix E.5.
KEY = bytes.fromhex("02f37c34b66ced1fb51c34a90bdae006901f10625cc06c4f64663b0eae87d87b4f")
SIGNATURE = bytes.fromhex(
    "0205b6d04d3774c8929413e3c76024d54149c372d57aae62574ed74319b5ea14d0"
    "c65dde8492a7471437e6c2fe3da49b90d23f642b5c6dbe7e36089f096dd97324"
)
MESSAGE = b"test"
ORDER = Suite.SECP256K1.order
FIELD = 2**256 - 2**32 - 977
DIGEST = bytes(range(32))

VECTORS = Path(__file__).parent.parent / "vectors" / "frost.json"
CASES = [
    pytest.param(case, id=f"key-epoch-{case['keyEpoch']}")
    for case in json.loads(VECTORS.read_text())["cases"]
]


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def point(scalar: int) -> bytes:
    return coincurve.PublicKey.from_secret(word(scalar)).format()


def signed(secret: int, digest: bytes, nonce: int) -> bytes:
    """A signature by one who knows the whole secret."""
    commitment = point(nonce)
    return commitment + word((nonce + challenge(commitment, point(secret), digest) * secret) % ORDER)


CERTIFICATE = encode_frost_certificate(signed(7, DIGEST, 5))
# x = 1 is a point's; FIELD + 1 would be another spelling of it.
Y_OF_ONE = pow(1 + 7, (FIELD + 1) // 4, FIELD)
RX, RY, Z = (CERTIFICATE[start : start + 32] for start in (1, 33, 65))


def address(encoded: bytes) -> bytes:
    return keccak256(coincurve.PublicKey(encoded).format(compressed=False)[1:])[12:]


def commitment_as_a_contract_finds_it(key: bytes, digest: bytes, signature: bytes) -> bytes:
    """The address of z·G − c·P, by ecrecover: another way to the same answer, and the one that chains take.

    Recovery gives (s·K − h·G) / r for the K of x-coordinate r; with K = P, r = Px, h = −z·Px, s = −c·Px.
    """
    x = int.from_bytes(key[1:], "big")
    factor = challenge(signature[:33], key, digest)
    h, s = (-int.from_bytes(signature[33:], "big") * x) % ORDER, (-factor * x) % ORDER
    compact = word(x) + word(s) + bytes([key[0] - 2])
    found = coincurve.PublicKey.from_signature_and_message(compact, word(h), hasher=None)
    return address(found.format())


def test_the_signature_of_the_rfc_verifies_and_becomes_a_certificate() -> None:
    verify_frost(KEY, MESSAGE, SIGNATURE)
    certificate = encode_frost_certificate(SIGNATURE)

    assert len(certificate) == FROST_CERTIFICATE_BYTES
    assert certificate_kind(certificate) == certificate[0] == CERTIFICATE_FROST
    x, y = (int.from_bytes(certificate[start : start + 32], "big") for start in (1, 33))
    assert y * y % FIELD == (x**3 + 7) % FIELD
    assert (certificate[1:33], y % 2, certificate[65:]) == (SIGNATURE[1:33], 0, SIGNATURE[33:])
    verify_frost_certificate(MESSAGE, certificate, KEY)


@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
def test_ecrecover_finds_the_same_commitment(secret: int, nonce: int, digest: bytes) -> None:
    key, signature = point(secret), signed(secret, digest, nonce)

    verify_frost_certificate(digest, encode_frost_certificate(signature), key)
    assert commitment_as_a_contract_finds_it(key, digest, signature) == address(signature[:33])
    other = bytes([digest[0] ^ 1]) + digest[1:]
    assert commitment_as_a_contract_finds_it(key, other, signature) != address(signature[:33])


@pytest.mark.parametrize(
    ("certificate", "check"),
    [
        (b"", "certificate-kind"),
        (b"\1" + CERTIFICATE[1:], "certificate-kind"),
        (b"\3" + CERTIFICATE[1:], "certificate-kind"),
        (CERTIFICATE[:1], "certificate-length"),
        (CERTIFICATE[:-1], "certificate-length"),
        (CERTIFICATE + b"\0", "certificate-length"),
        (b"\2" + bytes(64) + Z, "certificate-point"),
        (b"\2" + RX + RX + Z, "certificate-point"),
        (b"\2" + RX + word(FIELD) + Z, "certificate-point"),
        (b"\2" + word(FIELD + 1) + word(Y_OF_ONE) + Z, "certificate-point"),
        (b"\2" + RX + RY + bytes(32), "certificate-scalar"),
        (b"\2" + RX + RY + word(ORDER), "certificate-scalar"),
        (b"\2" + RX + RY + b"\xff" * 32, "certificate-scalar"),
        (b"\2" + RX + RY + word(ORDER - 1), "certificate-signature"),
        (b"\2" + RX + RY + word(ORDER - int.from_bytes(Z, "big")), "certificate-signature"),
        (b"\2" + RX + word(FIELD - int.from_bytes(RY, "big")) + Z, "certificate-signature"),
        (encode_frost_certificate(signed(8, DIGEST, 5)), "certificate-signature"),
        (encode_frost_certificate(signed(7, bytes(32), 5)), "certificate-signature"),
    ],
)
def test_a_frost_certificate_falls_by_name(certificate: bytes, check: str) -> None:
    verify_frost_certificate(DIGEST, CERTIFICATE, point(7))
    assert Y_OF_ONE**2 % FIELD == 8

    with pytest.raises(CertificateError) as caught:
        verify_frost_certificate(DIGEST, certificate, point(7))

    assert caught.value.check == check


@pytest.mark.parametrize(
    "key", [b"", bytes(33), point(7) + b"\0", b"\4" + point(7)[1:], b"\2" + b"\xff" * 32]
)
def test_a_key_that_is_no_point_has_no_certificate(key: bytes) -> None:
    with pytest.raises(CertificateError) as caught:
        verify_frost_certificate(DIGEST, CERTIFICATE, key)
    assert caught.value.check == "certificate-key"


def test_the_key_of_another_tier_has_no_part_in_it() -> None:
    with pytest.raises(CertificateError) as caught:
        verify_frost_certificate(DIGEST, CERTIFICATE, point(8))
    assert caught.value.check == "certificate-signature"


@given(st.integers(0, 8 * FROST_CERTIFICATE_BYTES - 1))
def test_no_bit_of_a_certificate_can_be_another(bit: int) -> None:
    flipped = bytearray(CERTIFICATE)
    flipped[bit // 8] ^= 1 << bit % 8

    with pytest.raises(CertificateError):
        verify_frost_certificate(DIGEST, bytes(flipped), point(7))


@given(st.one_of(st.binary(max_size=100), st.binary(min_size=96, max_size=96).map(b"\2".__add__)))
def test_random_bytes_are_refused_by_name(certificate: bytes) -> None:
    with pytest.raises(CertificateError, match="certificate-"):
        verify_frost_certificate(DIGEST, certificate, point(7))


@pytest.mark.parametrize(
    ("signature", "check"),
    [
        (b"", "certificate-length"),
        (SIGNATURE[:-1], "certificate-length"),
        (SIGNATURE + b"\0", "certificate-length"),
        (bytes(65), "certificate-point"),
        (b"\2" + word(5) + SIGNATURE[33:], "certificate-point"),
        (b"\4" + SIGNATURE[1:], "certificate-point"),
    ],
)
def test_what_is_no_signature_becomes_no_certificate(signature: bytes, check: str) -> None:
    with pytest.raises(CertificateError) as caught:
        encode_frost_certificate(signature)
    assert caught.value.check == check


@pytest.mark.parametrize(
    ("key", "signature", "check"),
    [
        (KEY, SIGNATURE[:-1], "schnorr-length"),
        (KEY[1:], SIGNATURE, "schnorr-key"),
        (coincurve.PublicKey(KEY).format(compressed=False), SIGNATURE, "schnorr-key"),
        (b"\2" + word(5), SIGNATURE, "schnorr-key"),
        (KEY, b"\4" + SIGNATURE[1:], "schnorr-point"),
        (KEY, bytes(33) + SIGNATURE[33:], "schnorr-point"),
        (KEY, SIGNATURE[:33] + bytes(32), "schnorr-scalar"),
        (KEY, SIGNATURE[:33] + word(ORDER), "schnorr-scalar"),
        (KEY, b"\3" + SIGNATURE[1:], "schnorr-signature"),
        (b"\3" + KEY[1:], SIGNATURE, "schnorr-signature"),
    ],
)
def test_a_signature_falls_by_name(key: bytes, signature: bytes, check: str) -> None:
    with pytest.raises(SchnorrError) as caught:
        verify_frost(key, MESSAGE, signature)
    assert caught.value.check == check


def test_a_certificate_is_of_one_kind() -> None:
    listed = encode_certificate({Address(bytes(20)): bytes(65)})

    assert certificate_kind(listed) == CERTIFICATE_ECDSA
    for other in (b"", b"\0", b"\3" + bytes(96)):
        with pytest.raises(CertificateError, match="certificate-kind"):
            certificate_kind(other)
    with pytest.raises(CertificateError, match="certificate-kind"):
        verify_certificate(DIGEST, CERTIFICATE, [Address(bytes(20))] * 4, 2)
    with pytest.raises(CertificateError, match="certificate-kind"):
        verify_frost_certificate(DIGEST, listed, point(7))


def test_possession_is_signed_as_another_eip712_encoder_says(chance: random.Random) -> None:
    fields = "bytes32 network,uint32 keyEpoch,uint8 tier,uint256 x,uint8 parity"
    types = {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "version", "type": "string"}],
        "KeyProof": [dict(zip(("type", "name"), field.split(), strict=True)) for field in fields.split(",")],
    }
    network, key = NetworkId(chance.randbytes(32)), point(chance.randrange(1, ORDER))
    found = set()

    negated = bytes([key[0] ^ 1]) + key[1:]
    cases = [(Tier.FAST, 3, key), (Tier.FULL, 3, key), (Tier.FAST, 4, key), (Tier.FAST, 3, negated)]

    for tier, epoch, proved in cases:
        message = {
            "network": network,
            "keyEpoch": epoch,
            "tier": int(tier),
            "x": int.from_bytes(proved[1:], "big"),
            "parity": proved[0],
        }
        typed = encode_typed_data(
            full_message={
                "types": types,
                "primaryType": "KeyProof",
                "domain": {"name": "Tocsin", "version": "1"},
                "message": message,
            }
        )
        digest = key_proof_digest(network, epoch, tier, proved)
        assert digest == keccak(b"\x19" + typed.version + typed.header + typed.body)
        found.add(digest)

    assert len(found | {key_proof_digest(NetworkId(bytes(32)), 3, Tier.FAST, key)}) == 5


def test_possession_is_of_a_point_in_a_key_epoch_of_its_range() -> None:
    network = NetworkId(bytes(32))

    with pytest.raises(PointError):
        key_proof_digest(network, 1, Tier.FAST, bytes(33))
    with pytest.raises(MandateError):
        key_proof_digest(network, 1 << 32, Tier.FAST, point(1))
    with pytest.raises(MandateError):
        key_proof_digest(NetworkId(b""), 1, Tier.FAST, point(1))


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    assert document() == VECTORS.read_text()


@pytest.mark.parametrize("case", CASES)
def test_keys_and_possessions_are_those_of_the_vectors(case: dict) -> None:
    network = NetworkId(unhex(case["network"]))
    for tier in Tier:
        entry, other = (case["groups"][name.name.lower()] for name in (tier, Tier(3 - tier)))
        key, possession = unhex(entry["key"]), unhex(entry["possession"])

        digest = key_proof_digest(network, case["keyEpoch"], tier, key)

        assert key == bytes([entry["parity"]]) + unhex(entry["x"])
        assert digest == unhex(entry["proofDigest"])
        verify_frost_certificate(digest, possession, key)
        for foreign in (
            key_proof_digest(network, case["keyEpoch"] + 1, tier, key),
            unhex(other["proofDigest"]),
        ):
            with pytest.raises(CertificateError):
                verify_frost_certificate(foreign, possession, key)


@pytest.mark.parametrize("case", CASES)
def test_certificates_are_those_of_the_vectors_and_their_negatives_are_refused(case: dict) -> None:
    for entry in case["certificates"]:
        key = unhex(case["groups"][Tier(entry["tier"]).name.lower()]["key"])
        digest = unhex(entry["digest"])

        verify_frost_certificate(digest, unhex(entry["certificate"]), key)
        assert len(entry["negatives"]) > 10
        for negative in entry["negatives"]:
            with pytest.raises(CertificateError):
                verify_frost_certificate(digest, unhex(negative["bytes"]), key)
