"""Keys documents: a key epoch's group keys, who holds shares, and who signed that (threshold SPEC 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import VerifyKey

from proofs.canonical import Value, decode, encode
from proofs.committee import MAX_MEMBERS, MIN_MEMBERS, CommitteeDocument, full_quorum
from proofs.errors import ProofError
from proofs.fields import FieldError, Fields, fields_of
from proofs.hashes import sha256, tagged
from proofs.kinds import Digest, Identity, NetworkId
from proofs.mandate import Tier
from proofs.points import Suite, check_point, evaluate

__all__ = [
    "GROUP_NAMES",
    "KEYS_FORMAT",
    "MAX_KEYS_BYTES",
    "MIN_HOLDERS",
    "KeyGroup",
    "KeysDocument",
    "KeysError",
    "KeysStatement",
    "SignedKeys",
    "build_keys",
    "group_name",
    "group_suite",
    "group_tier",
    "keys_signing_bytes",
    "parse_keys",
    "verify_keys",
    "verify_reshared",
]

KEYS_FORMAT = "tocsin/keys/1"
MIN_HOLDERS = full_quorum(MIN_MEMBERS)
MAX_KEYS_BYTES = 16_384
"""Two tiers of two suites for 50 holders take some 9 kB."""
GROUP_NAMES = ("fast", "fast/ed25519", "full", "full/ed25519")
"""In ascending order, as they stand in a document."""
_SIGNING_TAG = b"tocsin/keys-signature/1\n"
_U32 = (1 << 32) - 1


class KeysError(ProofError):
    """A keys document, or the signatures under it, are not in order."""


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """One group key. `shares` are the verification shares of the holders, in their order; points encoded."""

    name: str
    suite: Suite
    threshold: int
    key: bytes
    shares: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeysStatement:
    """What a document says; `holders` ascend, holder number i from 1 on has identifier i."""

    network: NetworkId
    ceremony: Digest
    transcript: Digest
    committee_epoch: int
    key_epoch: int
    generation: int
    holders: tuple[Identity, ...]
    groups: tuple[KeyGroup, ...]


@dataclass(frozen=True, slots=True)
class KeysDocument:
    """A parsed document; `raw` are its canonical bytes. Each group's points lie on one polynomial."""

    raw: bytes
    network: NetworkId
    ceremony: Digest
    transcript: Digest
    committee_epoch: int
    key_epoch: int
    generation: int
    holders: tuple[Identity, ...]
    groups: tuple[KeyGroup, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the document."""
        return sha256(self.raw)

    def group(self, name: str) -> KeyGroup | None:
        """Give the group of that name, if there is one."""
        return next((group for group in self.groups if group.name == name), None)

    def key_id(self, name: str) -> Digest:
        """Give what names this key of this document in signing sessions."""
        return tagged("tocsin/key/1", self.raw + name.encode())

    def identifier(self, identity: bytes) -> int | None:
        """Give a holder's number, from 1 on; None for who holds nothing."""
        return next((i for i, holder in enumerate(self.holders, start=1) if holder == identity), None)


@dataclass(frozen=True, slots=True)
class SignedKeys:
    """A document and the Ed25519 signatures under it, by identity."""

    document: KeysDocument
    signatures: Mapping[Identity, bytes]


def group_name(tier: Tier) -> str:
    """Give the name of the secp256k1 group that signs mandates of `tier`."""
    return "fast" if tier is Tier.FAST else "full"


def group_tier(name: str) -> Tier:
    """Give the tier whose mandates the group of that name signs; `name` is one of `GROUP_NAMES`."""
    return Tier.FAST if name.startswith("fast") else Tier.FULL


def group_suite(name: str) -> Suite:
    """Give the suite of the group of that name, one of `GROUP_NAMES`."""
    return Suite.ED25519 if name.endswith("/ed25519") else Suite.SECP256K1


def keys_signing_bytes(raw: bytes) -> bytes:
    """Give what a holder's identity key signs to put the document `raw` in force."""
    return _SIGNING_TAG + raw


def build_keys(statement: KeysStatement) -> KeysDocument:
    """Make the document of `statement`; groups may come in any order.

    Raises:
        ProofError: whatever `parse_keys` would refuse.
    """
    groups = sorted(statement.groups, key=lambda group: group.name)
    return parse_keys(
        encode(
            {
                "ceremony": statement.ceremony,
                "committee_epoch": statement.committee_epoch,
                "format": KEYS_FORMAT,
                "generation": statement.generation,
                "groups": [_group_value(group) for group in groups],
                "holders": list(statement.holders),
                "key_epoch": statement.key_epoch,
                "network": statement.network,
                "transcript": statement.transcript,
            }
        )
    )


_KEYS = frozenset(
    {
        "ceremony",
        "committee_epoch",
        "format",
        "generation",
        "groups",
        "holders",
        "key_epoch",
        "network",
        "transcript",
    }
)
_GROUP_KEYS = frozenset({"key", "name", "shares", "suite", "threshold"})


def parse_keys(raw: bytes) -> KeysDocument:
    """Read a keys document (threshold SPEC 2); two tiers and 50 holders take about 80 ms of CPU.

    Raises:
        CanonicalError: the bytes are too many or not canonical.
        FieldError: `shape`.
        PointError: `point`.
        KeysError: `keys-format`, `keys-holders`, `keys-groups`, `keys-threshold`, `keys-shares`,
            `keys-shared-key`, `keys-polynomial`.
    """
    fields = fields_of(decode(raw, limit_bytes=MAX_KEYS_BYTES), "keys", _KEYS)
    if fields.raw("format") != KEYS_FORMAT:
        raise KeysError("keys-format", f"expected {KEYS_FORMAT}, got {fields.raw('format')!r}")
    holders = _holders(fields)
    return KeysDocument(
        raw=raw,
        network=NetworkId(fields.binary("network", length=32)),
        ceremony=Digest(fields.binary("ceremony", length=32)),
        transcript=Digest(fields.binary("transcript", length=32)),
        committee_epoch=fields.integer("committee_epoch", minimum=1, maximum=_U32),
        key_epoch=fields.integer("key_epoch", minimum=1, maximum=_U32),
        generation=fields.integer("generation", minimum=1, maximum=_U32),
        holders=holders,
        groups=_groups(fields, len(holders)),
    )


def verify_keys(signed: SignedKeys, committee: CommitteeDocument) -> None:
    """Check that a document is in force: made for `committee`, and signed by every holder.

    Raises:
        KeysError: `keys-network`, `keys-epoch`, `keys-holder` (no member), `keys-holders` (fewer than a full
            quorum), `keys-threshold`, `keys-signer` (no holder), `keys-signature`, `keys-unsigned`.
    """
    document = signed.document
    _check_committee(document, committee)
    message = keys_signing_bytes(document.raw)
    for identity, signature in signed.signatures.items():
        if document.identifier(identity) is None:
            raise KeysError("keys-signer", f"expected signatures of holders, got one of {identity.hex()}")
        try:
            VerifyKey(identity).verify(message, signature)
        except (BadSignatureError, NaclValueError) as error:
            raise KeysError(
                "keys-signature", f"expected the signature of {identity.hex()}, got another"
            ) from error
    missing = [holder.hex() for holder in document.holders if holder not in signed.signatures]
    if missing:
        raise KeysError(
            "keys-unsigned", f"expected the signature of every holder, got none of {', '.join(missing)}"
        )


def verify_reshared(document: KeysDocument, base: KeysDocument) -> None:
    """Check that `document` shares anew the very keys of `base`, in a later generation.

    Raises:
        KeysError: `keys-network`, `keys-epoch`, `keys-generation`, `keys-changed`.
    """
    if document.network != base.network:
        raise KeysError("keys-network", f"expected {base.network.hex()}, got {document.network.hex()}")
    if document.key_epoch != base.key_epoch or document.committee_epoch < base.committee_epoch:
        raise KeysError(
            "keys-epoch",
            f"expected key epoch {base.key_epoch} of committee epoch {base.committee_epoch} or later, "
            f"got {document.key_epoch} of {document.committee_epoch}",
        )
    # Generations that were signed for and never came into force are left out.
    if document.generation <= base.generation:
        raise KeysError(
            "keys-generation",
            f"expected a generation above {base.generation}, got {document.generation}",
        )
    if _public_keys(document) != _public_keys(base):
        raise KeysError("keys-changed", "expected the group keys of the generation before, got others")


def _check_committee(document: KeysDocument, committee: CommitteeDocument) -> None:
    if document.network != committee.network:
        raise KeysError("keys-network", f"expected {committee.network.hex()}, got {document.network.hex()}")
    epochs = (document.committee_epoch, document.key_epoch)
    expected = (committee.committee_epoch, committee.key_epoch)
    if epochs != expected:
        raise KeysError("keys-epoch", f"expected committee and key epoch {expected}, got {epochs}")
    for holder in document.holders:
        if committee.member(holder) is None:
            raise KeysError("keys-holder", f"expected members as holders, got {holder.hex()}", holder=holder)
    if len(document.holders) < committee.full:
        raise KeysError(
            "keys-holders", f"expected at least {committee.full} holders, got {len(document.holders)}"
        )
    for group in document.groups:
        threshold = committee.threshold(group_tier(group.name))
        if group.threshold != threshold:
            raise KeysError(
                "keys-threshold", f"{group.name}: expected threshold {threshold}, got {group.threshold}"
            )


def _public_keys(document: KeysDocument) -> list[tuple[str, bytes]]:
    return [(group.name, group.key) for group in document.groups]


def _holders(fields: Fields) -> tuple[Identity, ...]:
    entries = fields.array("holders", max_items=MAX_MEMBERS)
    holders: list[Identity] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, bytes) or len(entry) != 32:
            raise FieldError(f"{fields.path('holders')}[{index}]", "32 bytes", repr(entry))
        holders.append(Identity(entry))
    if len(holders) < MIN_HOLDERS:
        raise KeysError("keys-holders", f"expected at least {MIN_HOLDERS} holders, got {len(holders)}")
    if holders != sorted(set(holders)):
        raise KeysError("keys-holders", "expected holders in ascending order, each once")
    return tuple(holders)


def _groups(fields: Fields, holders: int) -> tuple[KeyGroup, ...]:
    entries = fields.array("groups", max_items=len(GROUP_NAMES))
    groups = tuple(_group(entry, f"keys.groups[{index}]", holders) for index, entry in enumerate(entries))
    names = [group.name for group in groups]
    if not names or names != sorted(set(names)):
        raise KeysError(
            "keys-groups", "expected groups in ascending order of name, at least one and each once"
        )
    if len({_unsigned(group) for group in groups}) != len(groups):
        raise KeysError("keys-shared-key", "expected a key of its own for each group, got one twice")
    for group in groups:
        _check_polynomial(group)
    return groups


def _unsigned(group: KeyGroup) -> bytes:
    """Give a group's key without its sign: who can sign with a key can sign with its negative."""
    if group.suite is Suite.ED25519:
        return bytes([*group.key[:-1], group.key[-1] & 0x7F])
    return group.key[1:]


def _group(value: Value, where: str, holders: int) -> KeyGroup:
    fields = fields_of(value, where, _GROUP_KEYS)
    name = fields.text("name", max_bytes=16)
    if name not in GROUP_NAMES:
        raise KeysError(
            "keys-groups", f"{where}.name: expected one of {', '.join(GROUP_NAMES)}, got {name!r}"
        )
    suite = group_suite(name)
    if fields.raw("suite") != suite.value:
        raise KeysError("keys-groups", f"{where}.suite: expected {suite}, got {fields.raw('suite')!r}")
    threshold = fields.integer("threshold", maximum=MAX_MEMBERS)
    if not 2 <= threshold <= holders:
        raise KeysError("keys-threshold", f"{where}.threshold: expected 2 to {holders}, got {threshold}")
    shares = fields.array("shares", max_items=MAX_MEMBERS)
    if len(shares) != holders:
        raise KeysError(
            "keys-shares", f"{where}.shares: expected one of each of {holders} holders, got {len(shares)}"
        )
    return KeyGroup(
        name=name,
        suite=suite,
        threshold=threshold,
        key=_point(fields.raw("key"), fields.path("key"), suite),
        shares=tuple(_point(share, fields.path("shares"), suite) for share in shares),
    )


def _point(value: Value, where: str, suite: Suite) -> bytes:
    if not isinstance(value, bytes):
        raise FieldError(where, "bytes", repr(value))
    check_point(suite, value)
    return value


def _check_polynomial(group: KeyGroup) -> None:
    """Check that key and shares are the values at 0, 1, 2, … of one polynomial of degree threshold − 1.

    Of no higher: who has a share off it could never sign, and nobody would know before the alarm. And of no
    lower: fewer holders than the threshold could sign.
    """
    base = group.shares[: group.threshold]
    if evaluate(group.suite, base[:-1], 0) == group.key:
        raise KeysError(
            "keys-polynomial",
            f"{group.name}: expected a key for {group.threshold} holders, got one for fewer",
        )
    if evaluate(group.suite, base, 0) != group.key:
        raise KeysError(
            "keys-polynomial", f"{group.name}: expected the key that the shares give, got another"
        )
    for place in range(group.threshold + 1, len(group.shares) + 1):
        if evaluate(group.suite, base, place) != group.shares[place - 1]:
            raise KeysError(
                "keys-polynomial", f"{group.name}: expected share {place} on the polynomial of the others"
            )


def _group_value(group: KeyGroup) -> dict[str, Value]:
    return {
        "key": group.key,
        "name": group.name,
        "shares": list(group.shares),
        "suite": group.suite.value,
        "threshold": group.threshold,
    }
