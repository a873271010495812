"""Committee documents: who the members are, how many must agree, and the chain of epochs (core SPEC 2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import VerifyKey

from proofs.canonical import Value, decode, encode
from proofs.errors import ProofError
from proofs.fields import FieldError, Fields, fields_of, text_of
from proofs.hashes import tagged
from proofs.kinds import Address, Caip2, Identity, NetworkId
from proofs.mandate import Tier
from proofs.note import KeyKind, VerifierKey, verifier_key

__all__ = [
    "COMMITTEE_FORMAT",
    "MAX_DOCUMENT_BYTES",
    "MAX_MEMBERS",
    "MIN_MEMBERS",
    "CommitteeDocument",
    "CommitteeError",
    "CommitteeMember",
    "CommitteeStatement",
    "SignedCommittee",
    "build_committee",
    "committee_signing_bytes",
    "cosigner_key",
    "fast_quorum",
    "full_quorum",
    "log_key",
    "malicious_bound",
    "parse_committee",
    "verify_committee_chain",
    "verify_committee_signatures",
]

COMMITTEE_FORMAT = "tocsin/committee/1"
MIN_MEMBERS = 4
MAX_MEMBERS = 50
MAX_DOCUMENT_BYTES = 262_144
MAX_NAME_BYTES = 64
MAX_MULTIADDR_BYTES = 256
MAX_ADDRESSES = 8
MAX_CHAINS = 64
MAX_PROVIDERS = 16
_SIGNING_TAG = b"tocsin/committee-signature/1\n"
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


class CommitteeError(ProofError):
    """A committee document, its signatures or the chain of epochs is not in order."""


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """One seat: an organisation's node. Keys are Ed25519 (32 bytes) but for the attester's address.

    `providers` names, for each chain, whom the member reads it from.
    """

    identity: Identity
    attester: Address
    log: bytes
    cosigner: bytes
    name: str
    operator: str
    addresses: tuple[str, ...]
    providers: Mapping[Caip2, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class CommitteeStatement:
    """What a document says. `activates_at` in seconds; `genesis` is `None` in the first document only."""

    name: str
    committee_epoch: int
    key_epoch: int
    activates_at: int
    demo: bool
    genesis: NetworkId | None
    members: tuple[CommitteeMember, ...]


@dataclass(frozen=True, slots=True)
class CommitteeDocument:
    """A parsed document; `raw` are its canonical bytes, `network` the id of the network it belongs to."""

    raw: bytes
    network: NetworkId
    name: str
    committee_epoch: int
    key_epoch: int
    activates_at: int
    demo: bool
    genesis: NetworkId | None
    members: tuple[CommitteeMember, ...]

    @property
    def f(self) -> int:
        """How many members may be malicious."""
        return malicious_bound(len(self.members))

    @property
    def fast(self) -> int:
        """Attesters behind a fast mandate."""
        return fast_quorum(len(self.members))

    @property
    def full(self) -> int:
        """Attesters behind a full mandate."""
        return full_quorum(len(self.members))

    def threshold(self, tier: Tier) -> int:
        """Give the number of attesters that a mandate of `tier` needs."""
        return self.fast if tier is Tier.FAST else self.full

    def member(self, identity: bytes) -> CommitteeMember | None:
        """Give the member of that identity, if there is one."""
        return next((member for member in self.members if member.identity == identity), None)

    def attesters(self) -> dict[Address, CommitteeMember]:
        """Give the members by attester address."""
        return {member.attester: member for member in self.members}


@dataclass(frozen=True, slots=True)
class SignedCommittee:
    """A document and the Ed25519 signatures under it, by identity."""

    document: CommitteeDocument
    signatures: Mapping[Identity, bytes]


def malicious_bound(n: int) -> int:
    """Give f: how many of n members may be malicious (core SPEC 2.1)."""
    return (n - 1) // 3


def fast_quorum(n: int) -> int:
    """Give the fast threshold: one honest member at least re-derived what so many signed."""
    return max(malicious_bound(n) + 1, 2)


def full_quorum(n: int) -> int:
    """Give the full threshold: two such quorums share an honest member."""
    return (n + malicious_bound(n)) // 2 + 1


def log_key(document: CommitteeDocument, member: CommitteeMember) -> VerifierKey:
    """Give the key under which a member's log signs; its name is the origin of the log."""
    return verifier_key(f"{document.name}/{member.name}", KeyKind.ED25519, member.log)


def cosigner_key(document: CommitteeDocument, member: CommitteeMember) -> VerifierKey:
    """Give the key under which a member cosigns checkpoints."""
    name = f"{document.name}/{member.name}/cosigner"
    return verifier_key(name, KeyKind.COSIGNATURE, member.cosigner)


def committee_signing_bytes(document: bytes) -> bytes:
    """Give what a member's identity key signs to put `document` in force."""
    return _SIGNING_TAG + document


def build_committee(statement: CommitteeStatement) -> CommitteeDocument:
    """Make the document of `statement`; members may come in any order.

    Raises:
        ProofError: whatever `parse_committee` would refuse.
    """
    members = sorted(statement.members, key=lambda member: member.identity)
    return parse_committee(
        encode(
            {
                "activates_at": statement.activates_at,
                "committee_epoch": statement.committee_epoch,
                "demo": statement.demo,
                "format": COMMITTEE_FORMAT,
                "genesis": statement.genesis,
                "key_epoch": statement.key_epoch,
                "members": [_member_value(member) for member in members],
                "name": statement.name,
            }
        )
    )


_KEYS = frozenset(
    {"activates_at", "committee_epoch", "demo", "format", "genesis", "key_epoch", "members", "name"}
)
_MEMBER_KEYS = frozenset(
    {"addresses", "attester", "cosigner", "identity", "log", "name", "operator", "providers"}
)


def parse_committee(raw: bytes) -> CommitteeDocument:
    """Read a committee document (core SPEC 2.2).

    Raises:
        CanonicalError: the bytes are too many or not canonical.
        FieldError: `shape`.
        CommitteeError: `committee-format`, `committee-size`, `committee-order`, `committee-shared-key`,
            `committee-genesis`.
    """
    fields = fields_of(decode(raw, limit_bytes=MAX_DOCUMENT_BYTES), "committee", _KEYS)
    if fields.raw("format") != COMMITTEE_FORMAT:
        raise CommitteeError("committee-format", f"expected {COMMITTEE_FORMAT}, got {fields.raw('format')!r}")
    entries = fields.array("members", max_items=MAX_MEMBERS)
    if len(entries) < MIN_MEMBERS:
        raise CommitteeError("committee-size", f"expected at least {MIN_MEMBERS} members, got {len(entries)}")
    members = tuple(_member(entry, f"committee.members[{index}]") for index, entry in enumerate(entries))
    _check_members(members)
    epoch = fields.integer("committee_epoch", minimum=1, maximum=_U32)
    genesis = None if fields.is_nil("genesis") else NetworkId(fields.binary("genesis", length=32))
    if (genesis is None) != (epoch == 1):
        raise CommitteeError("committee-genesis", "expected the genesis id in every epoch but the first")
    return CommitteeDocument(
        raw=raw,
        network=NetworkId(tagged("tocsin/network/1", raw)) if genesis is None else genesis,
        name=_name(fields),
        committee_epoch=epoch,
        key_epoch=fields.integer("key_epoch", minimum=1, maximum=_U32),
        activates_at=fields.integer("activates_at", maximum=_U64),
        demo=fields.boolean("demo"),
        genesis=genesis,
        members=members,
    )


def verify_committee_signatures(signed: SignedCommittee, previous: CommitteeDocument | None) -> None:
    """Check that a document is in force: signed by every genesis member, or by a full quorum of `previous`.

    Raises:
        CommitteeError: `committee-signer` (none of those who may sign), `committee-signature`,
            `committee-quorum`.
    """
    document = signed.document
    signers = document if previous is None else previous
    needed = len(document.members) if previous is None else signers.full
    message = committee_signing_bytes(document.raw)
    for identity, signature in signed.signatures.items():
        if signers.member(identity) is None:
            raise CommitteeError(
                "committee-signer",
                f"expected a member of epoch {signers.committee_epoch}, got {identity.hex()}",
            )
        try:
            VerifyKey(identity).verify(message, signature)
        except (BadSignatureError, NaclValueError) as error:
            raise CommitteeError(
                "committee-signature", f"expected the signature of {identity.hex()}, got another"
            ) from error
    if len(signed.signatures) < needed:
        raise CommitteeError(
            "committee-quorum", f"expected {needed} signatures, got {len(signed.signatures)}", needed=needed
        )


def verify_committee_chain(chain: Sequence[SignedCommittee]) -> NetworkId:
    """Check the documents from genesis on, each in force by the one before, and give the network's id.

    The attesters of a key epoch never change: other attesters, another key epoch. The name of a log has one
    key for ever.

    Raises:
        CommitteeError: as `verify_committee_signatures`; `committee-genesis`, `committee-epoch`,
            `committee-key-epoch`, `committee-log`.
    """
    if not chain:
        raise CommitteeError("committee-genesis", "expected the genesis document, got no document")
    previous: CommitteeDocument | None = None
    for signed in chain:
        _check_succession(signed.document, previous)
        verify_committee_signatures(signed, previous)
        previous = signed.document
    _check_logs(signed.document for signed in chain)
    return chain[0].document.network


def _check_logs(documents: Iterable[CommitteeDocument]) -> None:
    """Check that no name of a log goes to another key.

    A cosignature tells of a name, a size and a root, and of no key: whoever held two keys of one name could
    have a history cosigned under each, and then put either key under both.
    """
    keys: dict[str, bytes] = {}
    for document in documents:
        for log in (log_key(document, member) for member in document.members):
            if keys.setdefault(log.name, log.public_key) != log.public_key:
                raise CommitteeError(
                    "committee-log",
                    f"expected the log key of {log.name} in an earlier epoch, got another: a member with a "
                    "new log key needs a new name",
                )


def _check_succession(document: CommitteeDocument, previous: CommitteeDocument | None) -> None:
    expected_epoch = 1 if previous is None else previous.committee_epoch + 1
    if document.committee_epoch != expected_epoch:
        raise CommitteeError(
            "committee-epoch", f"expected epoch {expected_epoch}, got {document.committee_epoch}"
        )
    if previous is None:
        return
    if document.network != previous.network:
        raise CommitteeError(
            "committee-genesis", f"expected {previous.network.hex()}, got {document.network.hex()}"
        )
    if document.activates_at < previous.activates_at:
        raise CommitteeError(
            "committee-epoch",
            f"expected activation from {previous.activates_at} on, got {document.activates_at}",
        )
    same_attesters = document.attesters().keys() == previous.attesters().keys()
    rotated = document.key_epoch - previous.key_epoch
    if rotated not in ((0, 1) if same_attesters else (1,)):
        raise CommitteeError(
            "committee-key-epoch",
            f"expected the key epoch to rise by one for new attesters, got {rotated}",
        )


def _name(fields: Fields) -> str:
    """Give a name that can be part of a key's name: neither space nor plus."""
    name = fields.text("name", max_bytes=MAX_NAME_BYTES)
    if "+" in name or any(map(str.isspace, name)):
        raise FieldError(fields.path("name"), "a name without space and plus", repr(name))
    return name


def _member(value: Value, where: str) -> CommitteeMember:
    fields = fields_of(value, where, _MEMBER_KEYS)
    return CommitteeMember(
        identity=Identity(fields.binary("identity", length=32)),
        attester=Address(fields.binary("attester", length=20)),
        log=fields.binary("log", length=32),
        cosigner=fields.binary("cosigner", length=32),
        name=_name(fields),
        operator=fields.text("operator", max_bytes=MAX_NAME_BYTES),
        addresses=_texts(fields, "addresses", max_items=MAX_ADDRESSES, max_bytes=MAX_MULTIADDR_BYTES),
        providers=_providers(fields),
    )


def _texts(fields: Fields, key: str, *, max_items: int, max_bytes: int) -> tuple[str, ...]:
    values = fields.array(key, max_items=max_items)
    return tuple(text_of(value, fields.path(key), max_bytes=max_bytes) for value in values)


def _providers(fields: Fields) -> dict[Caip2, tuple[str, ...]]:
    chains = fields.mapping("providers", max_items=MAX_CHAINS)
    per_chain = fields_of(chains, fields.path("providers"), chains)
    return {
        Caip2(chain): _texts(per_chain, chain, max_items=MAX_PROVIDERS, max_bytes=MAX_NAME_BYTES)
        for chain in chains
    }


def _check_members(members: Sequence[CommitteeMember]) -> None:
    identities = [member.identity for member in members]
    if identities != sorted(identities):
        raise CommitteeError("committee-order", "expected members in ascending order of identity")
    keys = [key for member in members for key in (member.identity, member.log, member.cosigner)]
    for what, values in (
        ("key", keys),
        ("name", [member.name for member in members]),
        ("attester", [member.attester for member in members]),
    ):
        if len(set(values)) != len(values):
            raise CommitteeError("committee-shared-key", f"expected each {what} once, got one twice")


def _member_value(member: CommitteeMember) -> dict[str, Value]:
    return {
        "addresses": list(member.addresses),
        "attester": member.attester,
        "cosigner": member.cosigner,
        "identity": member.identity,
        "log": member.log,
        "name": member.name,
        "operator": member.operator,
        "providers": {chain: list(providers) for chain, providers in member.providers.items()},
    }
