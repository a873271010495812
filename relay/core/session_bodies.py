"""The bodies of signing sessions' messages (threshold SPEC 4): values into maps, and back.

Points are read as 32 or 33 bytes: whether they lie on a curve is found where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never

from proofs.canonical import Value
from proofs.certificates import FROST_CERTIFICATE_BYTES
from proofs.committee import MAX_MEMBERS
from proofs.fields import FieldError, Fields, fields_of
from proofs.kinds import Digest, Identity
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SessionMessage,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
    ThresholdCertificate,
)

__all__ = ["SESSION_READERS", "session_body_of"]

MAX_NUMBER: Final = 1 << 53
_POINT_BYTES: Final = (32, 33)


def session_body_of(message: SessionMessage | ThresholdCertificate) -> dict[str, Value]:
    """Give the body of `message` (threshold SPEC 4)."""
    match message:
        case Commitments():
            batch = sorted(message.batch.items())
            return {
                "batch": [[coordinator, *_opened(each)] for coordinator, each in batch],
                "boot": message.boot,
                "digest": message.digest,
                "key_id": message.key_id,
            }
        case SigningRequest():
            lines = message.commitments
            return {
                "commitments": [[line.signer, line.boot, *_opened(line.open)] for line in lines],
                "digest": message.digest,
                "key_id": message.key_id,
            }
        case SignatureShare():
            return {
                "boot": message.boot,
                "coordinator": message.coordinator,
                "digest": message.digest,
                "key_id": message.key_id,
                "next": None if message.next is None else _opened(message.next),
                "session": message.session,
                "share": message.share,
            }
        case ThresholdCertificate():
            return {
                "certificate": message.certificate,
                "digest": message.digest,
                "key_id": message.key_id,
            }
        case _:
            assert_never(message)


def _opened(commitment: OpenCommitment) -> list[Value]:
    return [commitment.seq, commitment.hiding, commitment.binding]


# ---- reading


def _commitments(body: Value) -> SessionMessage:
    fields = fields_of(body, "commitments", ("batch", "boot", "digest", "key_id"))
    items = fields.array("batch", max_items=MAX_MEMBERS)
    batch: dict[Identity, OpenCommitment] = {}
    for item in items:
        match item:
            case (bytes(coordinator), seq, hiding, binding) if len(coordinator) == 32:
                batch[Identity(coordinator)] = _open(fields.path("batch"), (seq, hiding, binding))
            case _:
                raise FieldError(fields.path("batch"), "items of coordinator, seq and two points", "another")
    _ascend(fields, "batch", list(batch), len(items))
    return Commitments(
        digest=_digest(fields, "digest"),
        key_id=_digest(fields, "key_id"),
        boot=fields.integer("boot", maximum=MAX_NUMBER),
        batch=batch,
    )


def _signing_request(body: Value) -> SessionMessage:
    fields = fields_of(body, "signing_request", ("commitments", "digest", "key_id"))
    items = fields.array("commitments", max_items=MAX_MEMBERS)
    where = fields.path("commitments")
    lines: list[SignerCommitment] = []
    for item in items:
        match item:
            case (bytes(signer), int(boot), seq, hiding, binding) if len(signer) == 32 and _is_number(boot):
                opened = _open(where, (seq, hiding, binding))
                lines.append(SignerCommitment(Identity(signer), boot, opened))
            case _:
                raise FieldError(where, "items of signer, boot, seq and two points", "another")
    _ascend(fields, "commitments", [line.signer for line in lines], len(items))
    return SigningRequest(_digest(fields, "digest"), _digest(fields, "key_id"), tuple(lines))


def _signature_share(body: Value) -> SessionMessage:
    keys = ("boot", "coordinator", "digest", "key_id", "next", "session", "share")
    fields = fields_of(body, "signature_share", keys)
    following = None if fields.is_nil("next") else _open(fields.path("next"), fields.raw("next"))
    return SignatureShare(
        digest=_digest(fields, "digest"),
        key_id=_digest(fields, "key_id"),
        coordinator=Identity(fields.binary("coordinator", length=32)),
        session=_digest(fields, "session"),
        share=fields.binary("share", length=32),
        boot=fields.integer("boot", maximum=MAX_NUMBER),
        next=following,
    )


def _threshold_certificate(body: Value) -> ThresholdCertificate:
    fields = fields_of(body, "threshold_certificate", ("certificate", "digest", "key_id"))
    return ThresholdCertificate(
        digest=_digest(fields, "digest"),
        key_id=_digest(fields, "key_id"),
        certificate=fields.binary("certificate", length=FROST_CERTIFICATE_BYTES),
    )


def _open(where: str, value: Value) -> OpenCommitment:
    match value:
        case (int(seq), bytes(hiding), bytes(binding)) if _is_number(seq):
            if len(hiding) == len(binding) and len(hiding) in _POINT_BYTES:
                return OpenCommitment(seq, hiding, binding)
    raise FieldError(where, "a number and two points of 32 or 33 bytes", "another commitment")


def _is_number(value: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def _ascend(fields: Fields, key: str, identities: Sequence[Identity], items: int) -> None:
    """Check that members stand in ascending order, each once."""
    if len(identities) != items or sorted(set(identities)) != list(identities):
        raise FieldError(fields.path(key), "members in ascending order, each once", "another order")


def _digest(fields: Fields, key: str) -> Digest:
    return Digest(fields.binary(key, length=32))


SESSION_READERS: Final[Mapping[str, Callable[[Value], SessionMessage | ThresholdCertificate]]] = {
    "commitments": _commitments,
    "signing_request": _signing_request,
    "signature_share": _signature_share,
    "threshold_certificate": _threshold_certificate,
}
