"""Envelopes: one statement, one author, one spelling (core SPEC 1.2)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from proofs.canonical import Value, decode, encode
from proofs.envelope import (
    MAX_ENVELOPE_BYTES,
    EnvelopeError,
    PayloadFields,
    assemble_envelope,
    build_payload,
    open_envelope,
    parse_envelope,
    signing_bytes,
    verify_envelope,
)
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Identity, Millis, NetworkId

ALICE = SigningKey(sha256(b"alice"))
FIELDS = PayloadFields(
    network=NetworkId(sha256(b"network")),
    author=Identity(bytes(ALICE.verify_key)),
    committee_epoch=3,
    kind="signal",
    at_ms=Millis(1_659_390_000_123),
    body={"note": "the bell", "reporter": "bob"},
)


def sealed(payload: bytes) -> bytes:
    return assemble_envelope(payload, ALICE.sign(signing_bytes(payload)).signature)


RAW = sealed(build_payload(FIELDS))


def parts() -> tuple[Value, ...]:
    value = decode(RAW, limit_bytes=MAX_ENVELOPE_BYTES)
    assert isinstance(value, tuple)
    return value


def payload_with(**changes: Value) -> bytes:
    payload = decode(build_payload(FIELDS), limit_bytes=MAX_ENVELOPE_BYTES)
    assert isinstance(payload, dict)
    return encode({**payload, **changes})


def check_of(raw: bytes) -> str:
    with pytest.raises(ProofError) as caught:
        open_envelope(raw)
    return caught.value.check


def test_an_envelope_opens_to_what_its_author_said() -> None:
    envelope = open_envelope(RAW)

    assert (envelope.raw, envelope.digest) == (RAW, sha256(RAW))
    assert (envelope.network, envelope.author) == (FIELDS.network, FIELDS.author)
    assert (envelope.committee_epoch, envelope.kind) == (3, "signal")
    assert (envelope.at_ms, envelope.body) == (FIELDS.at_ms, FIELDS.body)


def test_form_is_checked_before_the_signature_and_without_it() -> None:
    unverified = parse_envelope(RAW[:-1] + bytes([RAW[-1] ^ 1]))

    assert unverified.fields == FIELDS
    with pytest.raises(EnvelopeError) as caught:
        verify_envelope(unverified)
    assert caught.value.check == "envelope-signature"


@pytest.mark.parametrize(
    "change",
    [
        {"network": bytes(32)},
        {"committee_epoch": 4},
        {"kind": "void"},
        {"at_ms": 7},
        {"body": {}},
        {"author": bytes(SigningKey(bytes(32)).verify_key)},
        {"author": bytes(32)},
    ],
)
def test_every_field_is_signed(change: dict[str, Value]) -> None:
    signature = parts()[2]
    assert isinstance(signature, bytes)

    assert check_of(assemble_envelope(payload_with(**change), signature)) == "envelope-signature"


def test_the_signature_is_for_envelopes_only() -> None:
    payload = build_payload(FIELDS)

    bare = assemble_envelope(payload, ALICE.sign(payload).signature)

    assert check_of(bare) == "envelope-signature"


def test_one_statement_has_one_envelope() -> None:
    version, payload, signature = parts()

    # In Python `True == 1` and `1.0 == 1`: each would be a second digest of the same statement.
    assert check_of(encode([True, payload, signature])) == "envelope-form"
    assert check_of(b"\x93\xd0\x01" + RAW[2:]) == "envelope-form"
    assert check_of(encode([version, payload, signature, None])) == "envelope-form"
    assert check_of(encode([2, payload, signature])) == "envelope-form"
    assert check_of(RAW + b"\0") == "envelope-form"


def test_a_signature_has_one_form() -> None:
    version, payload, signature = parts()
    assert isinstance(signature, bytes)
    order = (1 << 252) + 27_742_317_777_372_353_535_851_937_790_883_648_493
    larger = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")

    assert check_of(encode([version, payload, signature[:32] + larger])) == "envelope-signature"


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (b"", "envelope-form"),
        (bytes(MAX_ENVELOPE_BYTES + 1), "envelope-size"),
        (encode(None), "envelope-form"),
        (encode([1, {}, bytes(64)]), "envelope-form"),
        (encode([1, b"", bytes(63)]), "envelope-form"),
        (encode([1, b"", bytes(64)]), "canonical-truncated"),
        (encode([1, b"\xc0", bytes(64)]), "shape"),
        (sealed(payload_with(more=1)), "shape"),
        (sealed(payload_with(network=bytes(31))), "shape"),
        (sealed(payload_with(author=None)), "shape"),
        (sealed(payload_with(committee_epoch=0)), "shape"),
        (sealed(payload_with(committee_epoch=True)), "shape"),
        (sealed(payload_with(kind="")), "shape"),
        (sealed(payload_with(kind="k" * 33)), "shape"),
        (sealed(payload_with(kind="a\nb")), "shape"),
        (sealed(payload_with(at_ms=-1)), "shape"),
        (sealed(payload_with(at_ms="now")), "shape"),
        (sealed(payload_with(body=[])), "envelope-form"),
        (sealed(b"\x81\xd9\x01a\xc0"), "canonical-form"),
    ],
)
def test_an_envelope_of_another_form_is_refused_by_name(raw: bytes, check: str) -> None:
    assert check_of(raw) == check


def test_an_envelope_fits_into_an_entry_of_the_log() -> None:
    room = MAX_ENVELOPE_BYTES - len(sealed(build_payload(replace(FIELDS, body={"blob": b""}))))
    # Longer headers of the blob and of the payload around it.
    largest = sealed(build_payload(replace(FIELDS, body={"blob": bytes(room - 2)})))

    assert len(largest) == MAX_ENVELOPE_BYTES
    assert open_envelope(largest).raw == largest
    with pytest.raises(EnvelopeError) as caught:
        sealed(build_payload(replace(FIELDS, body={"blob": bytes(room - 1)})))
    assert caught.value.check == "envelope-size"


def test_every_flipped_bit_is_noticed() -> None:
    for place in range(len(RAW)):
        for bit in range(8):
            check_of(RAW[:place] + bytes([RAW[place] ^ 1 << bit]) + RAW[place + 1 :])


@given(st.binary(max_size=600), st.binary(max_size=70), st.integers(0, 3))
def test_what_is_taken_apart_is_what_a_decoder_reads(payload: bytes, signature: bytes, version: int) -> None:
    raw = encode([version, payload, signature])
    fits = version == 1 and len(signature) == 64

    assert (check_of(raw) != "envelope-form") == fits
