"""Committee documents as people read them: TOML for the canonical bytes that are signed (SPEC 2.2)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from proofs.committee import (
    COMMITTEE_FORMAT,
    MAX_MEMBERS,
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    SignedCommittee,
    build_committee,
    verify_committee_chain,
)
from proofs.errors import ProofError
from proofs.kinds import Address, Caip2, Identity, NetworkId
from relay.config.addresses import CAIP2, is_peer_multiaddr
from relay.config.table import Table, read_toml
from relay.core.errors import ConfigError

SIGNATURES_FORMAT = "tocsin/committee-signatures/1"
SIGNATURE_BYTES = 64
_U32 = (1 << 32) - 1
_U63 = (1 << 63) - 1
_MEMBER_KEYS = ("name", "operator", "identity", "attester", "log", "cosigner", "addresses")


def load_committee(file: Path) -> CommitteeDocument:
    """Read a committee document; members may stand in any order.

    Raises:
        ConfigError: naming file and key.
    """
    top = Table(
        file,
        "",
        read_toml(file),
        required=("format", "name", "committee_epoch", "key_epoch", "activates_at", "members"),
        optional=("demo", "genesis"),
    )
    if top.text("format") != COMMITTEE_FORMAT:
        raise top.error("format", COMMITTEE_FORMAT, repr(top.text("format")))
    members = top.tables("members", most=MAX_MEMBERS, required=_MEMBER_KEYS, optional=("providers",))
    statement = CommitteeStatement(
        name=top.text("name", most=64),
        committee_epoch=top.integer("committee_epoch", least=1, most=_U32),
        key_epoch=top.integer("key_epoch", least=1, most=_U32),
        activates_at=top.integer("activates_at", least=0, most=_U63),
        demo=top.boolean("demo", default=False),
        genesis=NetworkId(top.binary("genesis", length=32)) if top.has("genesis") else None,
        members=tuple(_member(table) for table in members),
    )
    try:
        return build_committee(statement)
    except ProofError as error:
        raise ConfigError(str(file), str(error)) from error


def dump_committee(document: CommitteeDocument) -> str:
    """Give the TOML form; reading it back gives the same canonical bytes."""
    lines = [
        f"format = {json.dumps(COMMITTEE_FORMAT)}",
        f"name = {_text(document.name)}",
        f"committee_epoch = {document.committee_epoch}",
        f"key_epoch = {document.key_epoch}",
        f"activates_at = {document.activates_at}",
        f"demo = {json.dumps(document.demo)}",
    ]
    if document.genesis is not None:
        lines.append(f'genesis = "{document.genesis.hex()}"')
    for member in document.members:
        lines += _member_lines(member)
    return "\n".join(lines) + "\n"


def load_signatures(file: Path, document: CommitteeDocument) -> dict[Identity, bytes]:
    """Read the signatures under `document`; whether they are right is for `verify_committee_chain` to say.

    Raises:
        ConfigError: naming file and key; also when they were made under another document.
    """
    top = Table(file, "", read_toml(file), required=("format", "document", "signatures"))
    if top.text("format") != SIGNATURES_FORMAT:
        raise top.error("format", SIGNATURES_FORMAT, repr(top.text("format")))
    digest = sha256(document.raw).digest()
    if top.binary("document", length=32) != digest:
        remedy = "the document was changed after it was signed"
        raise top.error("document", digest.hex(), top.text("document"), remedy=remedy)
    table = top.open_table("signatures", most=MAX_MEMBERS)
    return {_identity(table, key): _signature(table, key) for key in table.keys()}  # noqa: SIM118 - a Table


def dump_signatures(document: CommitteeDocument, signatures: Mapping[Identity, bytes]) -> str:
    """Give the file of signatures under `document`."""
    lines = [
        f"format = {json.dumps(SIGNATURES_FORMAT)}",
        f'document = "{sha256(document.raw).hexdigest()}"',
        "",
        "[signatures]",
    ]
    for identity in sorted(signatures):
        lines.append(f'{identity.hex()} = "{base64.b64encode(signatures[identity]).decode()}"')
    return "\n".join(lines) + "\n"


def signatures_file(committee_file: Path) -> Path:
    """Where the signatures of a committee file lie: `epoch-0001.sigs` beside `epoch-0001.toml`."""
    return committee_file.with_suffix(".sigs")


def load_signed_committee(file: Path) -> SignedCommittee:
    """Read a document and the signatures beside it.

    Raises:
        ConfigError: naming file and key.
    """
    document = load_committee(file)
    return SignedCommittee(document, load_signatures(signatures_file(file), document))


def load_committee_chain(directory: Path) -> tuple[SignedCommittee, ...]:
    """Read `epoch-0001.toml` and all that follow, each in force by the one before.

    Raises:
        ConfigError: naming the file; also for a gap, a wrong or missing signature.
    """
    return _load_chain(_committee_files(directory), directory)


@dataclass(frozen=True, slots=True)
class KnownCommittees:
    """The documents in force by their signatures; `problem` says why the one after them is not."""

    chain: tuple[SignedCommittee, ...]
    problem: ConfigError | None = None


def load_known_committees(directory: Path) -> KnownCommittees:
    """Read `epoch-0001.toml` and those that follow as far as each is in force by the one before.

    A document that still gathers signatures is no reason not to run.

    Raises:
        ConfigError: as `load_committee_chain`, of the first document.
    """
    files = _committee_files(directory)
    problem: ConfigError | None = None
    for most in range(len(files), 0, -1):
        try:
            return KnownCommittees(_load_chain(files[:most], directory), problem)
        except ConfigError as error:
            problem = error
    assert problem is not None, "there is at least one file"
    raise problem


def _committee_files(directory: Path) -> list[Path]:
    files = sorted(directory.glob("epoch-[0-9][0-9][0-9][0-9].toml"))
    if not files:
        remedy = "put the network's signed committee documents there"
        raise ConfigError(str(directory / "epoch-0001.toml"), "expected a file, got none", remedy=remedy)
    return files


def _load_chain(files: Sequence[Path], directory: Path) -> tuple[SignedCommittee, ...]:
    chain = tuple(load_signed_committee(file) for file in files)
    for file, signed in zip(files, chain, strict=True):
        expected = int(file.stem.removeprefix("epoch-"))
        if signed.document.committee_epoch != expected:
            problem = f"expected epoch {expected}, got {signed.document.committee_epoch}"
            raise ConfigError(f"{file}: committee_epoch", problem)
    try:
        verify_committee_chain(chain)
    except ProofError as error:
        raise ConfigError(str(directory), str(error)) from error
    return chain


def _member(table: Table) -> CommitteeMember:
    addresses = table.texts("addresses", most=8)
    for address in addresses:
        if not is_peer_multiaddr(address):
            raise table.error("addresses", "/dns4/<name>/tcp/<port> or an /ip4, /ip6 one", repr(address))
    providers = table.open_table("providers", most=64)
    for chain in providers.keys():  # noqa: SIM118 - a Table
        if CAIP2.fullmatch(chain) is None:
            raise providers.error(chain, "a CAIP-2 name as eip155:1", "this name")
    return CommitteeMember(
        identity=Identity(table.binary("identity", length=32)),
        attester=Address(table.binary("attester", length=20)),
        log=table.binary("log", length=32),
        cosigner=table.binary("cosigner", length=32),
        name=table.text("name", most=64),
        operator=table.text("operator", most=64),
        addresses=addresses,
        providers={Caip2(chain): providers.texts(chain, most=16, chars=64) for chain in providers.keys()},  # noqa: SIM118 - a Table
    )


def _member_lines(member: CommitteeMember) -> list[str]:
    lines = [
        "",
        "[[members]]",
        f"name = {_text(member.name)}",
        f"operator = {_text(member.operator)}",
        f'identity = "{member.identity.hex()}"',
        f'attester = "0x{member.attester.hex()}"',
        f'log = "{member.log.hex()}"',
        f'cosigner = "{member.cosigner.hex()}"',
        f"addresses = [{', '.join(map(_text, member.addresses))}]",
    ]
    if member.providers:
        lines.append("[members.providers]")
    for chain, providers in sorted(member.providers.items()):
        lines.append(f"{_text(chain)} = [{', '.join(map(_text, providers))}]")
    return lines


def _text(text: str) -> str:
    # Control characters are refused in these texts, so a JSON string is a TOML string.
    return json.dumps(text, ensure_ascii=False)


def _identity(table: Table, key: str) -> Identity:
    try:
        identity = bytes.fromhex(key)
    except ValueError:
        identity = b""
    if identity.hex() != key or len(identity) != 32:
        raise table.error(key, "an identity of 64 hex digits in lower case", "this key")
    return Identity(identity)


def _signature(table: Table, key: str) -> bytes:
    try:
        signature = base64.b64decode(table.text(key), validate=True)
    except (binascii.Error, ValueError) as error:
        raise table.error(key, "a signature in base64", "other text") from error
    if len(signature) != SIGNATURE_BYTES:
        raise table.error(key, f"a signature of {SIGNATURE_BYTES} bytes", str(len(signature)))
    return signature


__all__ = [
    "SIGNATURES_FORMAT",
    "KnownCommittees",
    "dump_committee",
    "dump_signatures",
    "load_committee",
    "load_committee_chain",
    "load_known_committees",
    "load_signatures",
    "load_signed_committee",
    "signatures_file",
]
