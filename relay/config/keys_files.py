"""Keys files: a keys document, its holders' signatures, and proofs that the keys can sign (threshold SPEC 2).

`<node>/committee/keys-<key epoch>-<generation>.keys`, TOML around the canonical bytes:
```
format = "tocsin/keys-file/1"
document = "<base64>"
[signatures]
<identity> = "<base64>"
[possession]              may lack groups until the members have signed them, and has none of Ed25519
fast = "<base64>"
```
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proofs.certificates import FROST_CERTIFICATE_BYTES, verify_frost_certificate
from proofs.committee import MAX_MEMBERS, CommitteeDocument
from proofs.errors import ProofError
from proofs.groupkeys import (
    GROUP_NAMES,
    MAX_KEYS_BYTES,
    KeysDocument,
    KeysError,
    SignedKeys,
    group_tier,
    parse_keys,
    verify_keys,
)
from proofs.kinds import Digest, Identity
from proofs.mandate import key_proof_digest
from relay.config.table import Table, read_toml
from relay.core.errors import ConfigError

__all__ = [
    "KEYS_FILE_FORMAT",
    "KeptKeys",
    "KnownKeys",
    "check_keys",
    "dump_keys",
    "keys_file",
    "keys_files",
    "load_keys",
    "load_known_keys",
    "possession_digest",
]

KEYS_FILE_FORMAT: Final = "tocsin/keys-file/1"
_SIGNATURE_BYTES: Final = 64
_IDENTITY_BYTES: Final = 32
_MAX_FILES: Final = 1_024


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """What a keys file holds; `possession` has certificates of kind 2 (97 bytes) by name of group."""

    signed: SignedKeys
    possession: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def document(self) -> KeysDocument:
        """The keys document."""
        return self.signed.document


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """The keys of a directory that are in force, oldest first, and why others are not."""

    keys: tuple[KeptKeys, ...]
    problems: tuple[ConfigError, ...] = ()


def keys_file(directory: Path, document: KeysDocument) -> Path:
    """Give where the keys of a document lie."""
    return directory / f"keys-{document.key_epoch:04d}-{document.generation:04d}.keys"


def keys_files(directory: Path) -> list[Path]:
    """Give the keys files of a directory by key epoch and generation."""
    # Of too many the newest count; and a number may have more digits than four.
    return sorted(directory.glob("keys-*.keys"), key=_numbers)[-_MAX_FILES:]


def _numbers(file: Path) -> tuple[list[int], str]:
    return [int(part) for part in file.stem.split("-")[1:] if part.isdecimal()], file.name


def load_keys(file: Path) -> KeptKeys:
    """Read a keys file; whether the keys are in force is for `check_keys` to say.

    Raises:
        ConfigError: naming file and key.
    """
    remedy = "copy it from another member: it holds nothing secret"
    top = Table(
        file,
        "",
        read_toml(file, remedy=remedy),
        required=("format", "document", "signatures"),
        optional=("possession",),
    )
    if top.text("format") != KEYS_FILE_FORMAT:
        raise top.error("format", KEYS_FILE_FORMAT, repr(top.text("format")))
    try:
        document = parse_keys(_base64(top, "document", MAX_KEYS_BYTES))
    except ProofError as error:
        raise ConfigError(top.name("document"), str(error), remedy=remedy) from error
    signatures = top.open_table("signatures", most=MAX_MEMBERS)
    possession = top.open_table("possession", most=len(GROUP_NAMES))
    return KeptKeys(
        SignedKeys(
            document, {_identity(signatures, key): _fixed(signatures, key) for key in _names(signatures)}
        ),
        {key: _base64(possession, key, FROST_CERTIFICATE_BYTES) for key in _names(possession)},
    )


def dump_keys(keys: KeptKeys) -> str:
    """Give the file's text."""
    signatures, possession = keys.signed.signatures, keys.possession
    lines = [f"format = {json.dumps(KEYS_FILE_FORMAT)}", f'document = "{_text(keys.document.raw)}"', ""]
    lines.append("[signatures]")
    lines += [f'{identity.hex()} = "{_text(signatures[identity])}"' for identity in sorted(signatures)]
    lines += ["", "[possession]"]
    lines += [f'{json.dumps(name)} = "{_text(possession[name])}"' for name in sorted(possession)]
    return "\n".join(lines) + "\n"


def check_keys(keys: KeptKeys, committee: CommitteeDocument) -> None:
    """Check that keys are in force for a committee, and each proof that a key can sign.

    Raises:
        ProofError: the first check that failed.
    """
    verify_keys(keys.signed, committee)
    for name, certificate in keys.possession.items():
        group = keys.document.group(name)
        if group is None or name.endswith("/ed25519"):
            raise KeysError("keys-possession", f"expected proofs of groups on secp256k1, got one of {name}")
        verify_frost_certificate(possession_digest(keys.document, name), certificate, group.key)


def possession_digest(document: KeysDocument, name: str) -> Digest:
    """Give what the group of that name signs to show that it can (threshold SPEC 1.2)."""
    group = document.group(name)
    assert group is not None, f"the document has a group {name}"
    return key_proof_digest(document.network, document.key_epoch, group_tier(name), group.key)


def load_known_keys(directory: Path, committees: Sequence[CommitteeDocument]) -> KnownKeys:
    """Read the keys files of a directory, and tell apart which are in force for one of these committees."""
    keys: list[KeptKeys] = []
    problems: list[ConfigError] = []
    for file in keys_files(directory):
        try:
            keys.append(_checked(file, committees))
        except ConfigError as error:
            problems.append(error)
    keys.sort(key=lambda each: (each.document.key_epoch, each.document.generation))
    return KnownKeys(tuple(keys), tuple(problems))


def _checked(file: Path, committees: Sequence[CommitteeDocument]) -> KeptKeys:
    keys = load_keys(file)
    epoch = keys.document.committee_epoch
    committee = next((each for each in committees if each.committee_epoch == epoch), None)
    if committee is None:
        raise ConfigError(str(file), f"expected keys of a known committee epoch, got {epoch}")
    try:
        check_keys(keys, committee)
    except ProofError as error:
        raise ConfigError(str(file), str(error)) from error
    return keys


def _names(table: Table) -> list[str]:
    return list(table.keys())


def _identity(table: Table, key: str) -> Identity:
    try:
        identity = bytes.fromhex(key)
    except ValueError:
        identity = b""
    if identity.hex() != key or len(identity) != _IDENTITY_BYTES:
        raise table.error(key, "an identity of 64 hex digits in lower case", "this key")
    return Identity(identity)


def _fixed(table: Table, key: str) -> bytes:
    signature = _base64(table, key, _SIGNATURE_BYTES)
    if len(signature) != _SIGNATURE_BYTES:
        raise table.error(key, f"a signature of {_SIGNATURE_BYTES} bytes", str(len(signature)))
    return signature


def _base64(table: Table, key: str, most: int) -> bytes:
    try:
        value = base64.b64decode(table.text(key, most=2 * most), validate=True)
    except binascii.Error as error:
        raise table.error(key, "bytes in base64", "other text") from error
    if len(value) > most:
        raise table.error(key, f"at most {most} bytes", str(len(value)))
    return value


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
