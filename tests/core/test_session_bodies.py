"""Session messages on the wire: what is read is what was said, nothing else is read (threshold SPEC 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.canonical import Value, decode, encode
from proofs.fields import FieldError
from proofs.kinds import Digest, Identity
from relay.core.bodies import body_of, read_body
from relay.core.messages import KIND, PASSING
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SessionMessage,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
    ThresholdCertificate,
)

LIMIT = 1 << 17
word = st.binary(min_size=32, max_size=32)
number = st.integers(0, 1 << 53)
opened = st.sampled_from((32, 33)).flatmap(
    lambda size: st.builds(
        OpenCommitment,
        number,
        st.binary(min_size=size, max_size=size),
        st.binary(min_size=size, max_size=size),
    )
)
lines = st.dictionaries(word.map(Identity), st.tuples(number, opened), max_size=6).map(
    lambda found: tuple(SignerCommitment(each, boot, one) for each, (boot, one) in sorted(found.items()))
)
messages = st.one_of(
    st.builds(
        Commitments,
        word.map(Digest),
        word.map(Digest),
        number,
        st.dictionaries(word.map(Identity), opened, max_size=6),
    ),
    st.builds(SigningRequest, word.map(Digest), word.map(Digest), lines),
    st.builds(
        SignatureShare,
        word.map(Digest),
        word.map(Digest),
        word.map(Identity),
        word.map(Digest),
        word,
        number,
        st.none() | opened,
    ),
    st.builds(ThresholdCertificate, word.map(Digest), word.map(Digest), st.binary(min_size=97, max_size=97)),
)


def wired(body: Value) -> Value:
    return decode(encode(body), limit_bytes=LIMIT)


@given(messages)
def test_a_session_message_comes_back_as_it_was_said(message: SessionMessage | ThresholdCertificate) -> None:
    assert isinstance(message, PASSING)
    assert read_body(KIND[type(message)], wired(body_of(message))) == message


A, B = bytes(31) + b"a", bytes(31) + b"b"
POINT = b"\x02" * 33
LINE = [1, POINT, POINT]
COMMITMENTS = {"batch": [[A, *LINE], [B, *LINE]], "boot": 1, "digest": A, "key_id": B}
REQUEST = {"commitments": [[A, 1, *LINE], [B, 1, *LINE]], "digest": A, "key_id": B}
SHARE = {"boot": 1, "coordinator": A, "digest": A, "key_id": B, "next": LINE, "session": B, "share": A}
CERTIFICATE = {"certificate": bytes(97), "digest": A, "key_id": B}


@pytest.mark.parametrize(
    ("kind", "body", "changes"),
    [
        ("commitments", COMMITMENTS, {"batch": [[B, *LINE], [A, *LINE]]}),
        ("commitments", COMMITMENTS, {"batch": [[A, *LINE], [A, *LINE]]}),
        ("commitments", COMMITMENTS, {"batch": [[A[1:], *LINE]]}),
        ("commitments", COMMITMENTS, {"batch": [[A, 1, POINT]]}),
        ("commitments", COMMITMENTS, {"batch": [[A, 1, POINT, POINT[1:]]]}),
        ("commitments", COMMITMENTS, {"batch": [[A, True, POINT, POINT]]}),
        ("commitments", COMMITMENTS, {"batch": [[A, -1, POINT, POINT]]}),
        ("commitments", COMMITMENTS, {"batch": [[bytes([n]) * 32, *LINE] for n in range(51)]}),
        ("commitments", COMMITMENTS, {"boot": -1}),
        ("commitments", COMMITMENTS, {"boot": (1 << 53) + 1}),
        ("commitments", COMMITMENTS, {"digest": A[1:]}),
        ("commitments", COMMITMENTS, {"coordinator": A}),
        ("signing_request", REQUEST, {"commitments": [[B, 1, *LINE], [A, 1, *LINE]]}),
        ("signing_request", REQUEST, {"commitments": [[A, 1, *LINE], [A, 2, *LINE]]}),
        ("signing_request", REQUEST, {"commitments": [[A, *LINE]]}),
        ("signing_request", REQUEST, {"commitments": [[A, True, *LINE]]}),
        ("signing_request", REQUEST, {"commitments": [[A, 1, 1, b"", b""]]}),
        ("signing_request", REQUEST, {"commitments": A}),
        ("signature_share", SHARE, {"share": A + b"a"}),
        ("signature_share", SHARE, {"share": None}),
        ("signature_share", SHARE, {"next": [1, POINT]}),
        ("signature_share", SHARE, {"next": [1, POINT + b"a", POINT + b"a"]}),
        ("signature_share", SHARE, {"session": A[1:]}),
        ("threshold_certificate", CERTIFICATE, {"certificate": bytes(96)}),
        ("threshold_certificate", CERTIFICATE, {"key_id": None}),
    ],
)
def test_a_malformed_session_message_is_refused(
    kind: str, body: dict[str, Value], changes: dict[str, Value]
) -> None:
    read_body(kind, wired(body))  # the plain one is well

    with pytest.raises(FieldError):
        read_body(kind, wired({**body, **changes}))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("commitments", COMMITMENTS),
        ("signing_request", REQUEST),
        ("signature_share", SHARE),
        ("threshold_certificate", CERTIFICATE),
    ],
)
def test_every_key_is_wanted(kind: str, body: dict[str, Value]) -> None:
    for key in body:
        with pytest.raises(FieldError):
            read_body(kind, wired({name: value for name, value in body.items() if name != key}))
