"""The bodies of the ceremony's envelopes (SPEC 3): messages into maps of plain values, and back.

A reader checks types and bounds. Whether points lie on a curve, and whether a deal is what the proposal asks
for, is judged later, on the message: what has this form and is wrong is evidence against its author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, assert_never

from proofs.canonical import Value, encode
from proofs.fields import FieldError, Fields, fields_of, text_of
from proofs.groupkeys import GROUP_NAMES
from proofs.hashes import tagged
from proofs.kinds import Digest, Identity, NetworkId
from relay.threshold.messages import (
    CeremonyMessage,
    Complaint,
    Deal,
    GroupDeal,
    Join,
    Proposal,
    RotationTerms,
    Transcript,
)

__all__ = [
    "CEREMONY_KIND",
    "CEREMONY_READERS",
    "MAX_PARTICIPANTS",
    "ceremony_body",
    "ceremony_id",
    "read_ceremony_body",
    "statement_digest",
]

MAX_PARTICIPANTS: Final = 50
_MAX_NUMBER: Final = 1 << 53
_MAX_TIME: Final = 1 << 40
_U32: Final = (1 << 32) - 1
_IDENTITY_BYTES: Final = 32
_X25519_BYTES: Final = 32
_MAX_POINT_BYTES: Final = 33
_MAX_SEALED_BYTES: Final = 256
_SIGNATURE_BYTES: Final = 64
_MAX_PROOF_BYTES: Final = 65
_Ordered = TypeVar("_Ordered", str, bytes)

CEREMONY_KIND: Final[Mapping[type[CeremonyMessage], str]] = {
    Proposal: "ceremony_proposal",
    Join: "ceremony_join",
    Deal: "ceremony_deal",
    Complaint: "ceremony_complaint",
    Transcript: "ceremony_transcript",
}


def ceremony_id(proposal: Proposal, proposer: Identity) -> Digest:
    """Give what every later message names the ceremony by."""
    return tagged("tocsin/ceremony/1", encode(ceremony_body(proposal)) + proposer)


def statement_digest(author: Identity, message: CeremonyMessage) -> Digest:
    """Give what others call this message of `author` by; one that is signed again later keeps it."""
    kind = CEREMONY_KIND[type(message)]
    return tagged("tocsin/ceremony-statement/1", encode([author, kind, ceremony_body(message)]))


# ---- writing


def ceremony_body(message: CeremonyMessage) -> dict[str, Value]:
    """Give the body of `message`."""
    match message:
        case Proposal():
            return _proposal_value(message)
        case Join():
            return {"ceremony": message.ceremony, "pairs": _pairs(message.pairs)}
        case Deal():
            return {
                "ceremony": message.ceremony,
                "groups": [_group_deal_value(group) for group in message.groups],
                "joins": message.joins,
                "sealed": _pairs(message.sealed),
            }
        case Complaint():
            return {
                "ceremony": message.ceremony,
                "deal": message.deal,
                "dealer": message.dealer,
                "secret": message.secret,
            }
        case Transcript():
            return {
                "ceremony": message.ceremony,
                "document": message.document,
                "proofs": [[name, message.proofs[name]] for name in sorted(message.proofs)],
                "signature": message.signature,
            }
        case _:
            assert_never(message)


def _proposal_value(proposal: Proposal) -> dict[str, Value]:
    return {
        "base": proposal.base,
        "committee": proposal.committee,
        "committee_epoch": proposal.committee_epoch,
        "deadline_ms": proposal.deadline_ms,
        "dealers": list(proposal.dealers),
        "generation": proposal.generation,
        "groups": list(proposal.groups),
        "key_epoch": proposal.key_epoch,
        "network": proposal.network,
        "receivers": list(proposal.receivers),
        "rotation": None if proposal.rotation is None else _rotation_value(proposal.rotation),
        "salt": proposal.salt,
    }


def _rotation_value(rotation: RotationTerms) -> dict[str, Value]:
    return {"not_after": rotation.not_after, "not_before": rotation.not_before, "revoke": rotation.revoke}


def _group_deal_value(group: GroupDeal) -> dict[str, Value]:
    return {"commitments": list(group.commitments), "name": group.name, "proof": group.proof}


def _pairs(values: Mapping[Identity, bytes]) -> list[Value]:
    return [[identity, values[identity]] for identity in sorted(values)]


# ---- reading


def read_ceremony_body(kind: str, body: Value) -> CeremonyMessage:
    """Read the body of an envelope of `kind`, one of `CEREMONY_KIND`.

    Raises:
        FieldError: the kind is another, or a field is missing, unknown, of another type or out of bounds.
    """
    reader = CEREMONY_READERS.get(kind)
    if reader is None:
        raise FieldError("kind", f"one of {', '.join(sorted(CEREMONY_READERS))}", repr(kind))
    return reader(body)


_PROPOSAL_KEYS: Final = (
    "base",
    "committee",
    "committee_epoch",
    "deadline_ms",
    "dealers",
    "generation",
    "groups",
    "key_epoch",
    "network",
    "receivers",
    "rotation",
    "salt",
)


def _proposal(body: Value) -> Proposal:
    fields = fields_of(body, "ceremony_proposal", _PROPOSAL_KEYS)
    return Proposal(
        network=NetworkId(fields.binary("network", length=32)),
        committee=Digest(fields.binary("committee", length=32)),
        committee_epoch=fields.integer("committee_epoch", minimum=1, maximum=_U32),
        key_epoch=fields.integer("key_epoch", minimum=1, maximum=_U32),
        generation=fields.integer("generation", minimum=1, maximum=_U32),
        base=None if fields.is_nil("base") else Digest(fields.binary("base", length=32)),
        dealers=_identities(fields, "dealers"),
        receivers=_identities(fields, "receivers"),
        groups=_names(fields),
        rotation=None if fields.is_nil("rotation") else _rotation(fields.raw("rotation")),
        deadline_ms=fields.integer("deadline_ms", maximum=_MAX_NUMBER),
        salt=fields.binary("salt", length=16),
    )


def _rotation(value: Value) -> RotationTerms:
    where = "ceremony_proposal.rotation"
    fields = fields_of(value, where, ("not_after", "not_before", "revoke"))
    return RotationTerms(
        not_before=fields.integer("not_before", maximum=_MAX_TIME),
        not_after=fields.integer("not_after", maximum=_MAX_TIME),
        revoke=fields.boolean("revoke"),
    )


def _join(body: Value) -> Join:
    fields = fields_of(body, "ceremony_join", ("ceremony", "pairs"))
    return Join(
        ceremony=Digest(fields.binary("ceremony", length=32)),
        pairs=_by_identity(fields, "pairs", min_bytes=_X25519_BYTES, max_bytes=_X25519_BYTES),
    )


def _deal(body: Value) -> Deal:
    fields = fields_of(body, "ceremony_deal", ("ceremony", "groups", "joins", "sealed"))
    groups = tuple(
        _group_deal(group, f"{fields.path('groups')}[{index}]")
        for index, group in enumerate(fields.array("groups", max_items=len(GROUP_NAMES)))
    )
    _ascending([group.name for group in groups], fields.path("groups"), "groups in ascending order of name")
    return Deal(
        ceremony=Digest(fields.binary("ceremony", length=32)),
        joins=Digest(fields.binary("joins", length=32)),
        groups=groups,
        sealed=_by_identity(fields, "sealed", min_bytes=_X25519_BYTES, max_bytes=_MAX_SEALED_BYTES),
    )


def _group_deal(value: Value, where: str) -> GroupDeal:
    fields = fields_of(value, where, ("commitments", "name", "proof"))
    commitments = fields.array("commitments", max_items=MAX_PARTICIPANTS)
    points = [point for point in commitments if isinstance(point, bytes) and len(point) <= _MAX_POINT_BYTES]
    if len(points) != len(commitments):
        raise FieldError(fields.path("commitments"), f"points of at most {_MAX_POINT_BYTES} bytes", "others")
    return GroupDeal(
        name=_name(fields.raw("name"), fields.path("name")),
        commitments=tuple(points),
        proof=fields.binary("proof", max_bytes=_MAX_PROOF_BYTES),
    )


def _complaint(body: Value) -> Complaint:
    fields = fields_of(body, "ceremony_complaint", ("ceremony", "deal", "dealer", "secret"))
    return Complaint(
        ceremony=Digest(fields.binary("ceremony", length=32)),
        dealer=Identity(fields.binary("dealer", length=_IDENTITY_BYTES)),
        deal=Digest(fields.binary("deal", length=32)),
        secret=fields.binary("secret", length=_X25519_BYTES),
    )


def _transcript(body: Value) -> Transcript:
    fields = fields_of(body, "ceremony_transcript", ("ceremony", "document", "proofs", "signature"))
    where = fields.path("proofs")
    entries = [_pair(entry, where) for entry in fields.array("proofs", max_items=len(GROUP_NAMES))]
    proofs = {_name(name, where): _bytes(proof, where, 0, _MAX_PROOF_BYTES) for name, proof in entries}
    _ascending(list(proofs), where, "proofs in ascending order of name")
    if len(proofs) != len(entries):
        raise FieldError(where, "each name once", "one twice")
    return Transcript(
        ceremony=Digest(fields.binary("ceremony", length=32)),
        document=Digest(fields.binary("document", length=32)),
        signature=fields.binary("signature", length=_SIGNATURE_BYTES),
        proofs=proofs,
    )


CEREMONY_READERS: Final[Mapping[str, Callable[[Value], CeremonyMessage]]] = {
    "ceremony_proposal": _proposal,
    "ceremony_join": _join,
    "ceremony_deal": _deal,
    "ceremony_complaint": _complaint,
    "ceremony_transcript": _transcript,
}


def _identities(fields: Fields, key: str) -> tuple[Identity, ...]:
    where = fields.path(key)
    entries = fields.array(key, max_items=MAX_PARTICIPANTS)
    identities = [Identity(_bytes(entry, where, _IDENTITY_BYTES, _IDENTITY_BYTES)) for entry in entries]
    _ascending(identities, where, "identities in ascending order")
    return tuple(identities)


def _names(fields: Fields) -> tuple[str, ...]:
    where = fields.path("groups")
    names = [_name(name, where) for name in fields.array("groups", max_items=len(GROUP_NAMES))]
    _ascending(names, where, "names in ascending order")
    return tuple(names)


def _name(value: Value, where: str) -> str:
    name = text_of(value, where, max_bytes=16)
    if name not in GROUP_NAMES:
        raise FieldError(where, f"one of {', '.join(GROUP_NAMES)}", repr(name))
    return name


def _by_identity(fields: Fields, key: str, *, min_bytes: int, max_bytes: int) -> dict[Identity, bytes]:
    """Read `[[identity, bytes] …]` in ascending order of identity, each once."""
    where = fields.path(key)
    entries = [_pair(entry, where) for entry in fields.array(key, max_items=MAX_PARTICIPANTS)]
    identities = [Identity(_bytes(first, where, _IDENTITY_BYTES, _IDENTITY_BYTES)) for first, _ in entries]
    _ascending(identities, where, "identities in ascending order")
    values = [_bytes(second, where, min_bytes, max_bytes) for _, second in entries]
    return dict(zip(identities, values, strict=True))


def _pair(value: Value, where: str) -> tuple[Value, Value]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise FieldError(where, "arrays of two", "another item")
    return value[0], value[1]


def _bytes(value: Value, where: str, min_bytes: int, max_bytes: int) -> bytes:
    if not isinstance(value, bytes) or not min_bytes <= len(value) <= max_bytes:
        raise FieldError(where, f"{min_bytes} to {max_bytes} bytes", "another item")
    return value


def _ascending(values: Sequence[_Ordered], where: str, what: str) -> None:
    if list(values) != sorted(set(values)):
        raise FieldError(where, f"{what}, each once", "another order")
