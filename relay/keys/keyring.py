"""The keys of one member: made once, opened at each start."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import coincurve
from nacl.signing import SigningKey

from proofs.hashes import keccak256
from relay.core.errors import KeyFileError
from relay.core.types import Address, Identity
from relay.keys.files import (
    SECRET_BYTES,
    KdfCost,
    KeyDerivation,
    KeyKind,
    Sealing,
    new_salt,
    seal_key,
    sealing_of,
    unseal_key,
    write_key,
)
from relay.keys.secret import Secret

__all__ = [
    "DEFAULT_SUBMITTER",
    "Keyring",
    "PublicKeys",
    "add_submitter",
    "address_of",
    "generate",
    "keyring_sealing",
    "open_identity",
    "open_keyring",
    "open_keyring_with",
    "public_keys",
]

DEFAULT_SUBMITTER = "default"
_FIXED = (KeyKind.IDENTITY, KeyKind.ATTESTER, KeyKind.LOG, KeyKind.COSIGNER)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SECP256K1 = frozenset({KeyKind.ATTESTER, KeyKind.SUBMITTER})
_COST = KdfCost()


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What a committee document says of a member, and the accounts that pay for its transactions, by name."""

    identity: Identity
    attester: Address
    log: bytes
    cosigner: bytes
    submitters: Mapping[str, Address]


@dataclass(frozen=True, slots=True)
class Keyring:
    """The opened keys that a running node signs with."""

    identity: SigningKey
    attester: coincurve.PrivateKey
    log: SigningKey
    cosigner: SigningKey
    submitter: coincurve.PrivateKey

    def __repr__(self) -> str:
        return "Keyring(…)"


def generate(directory: Path, passphrase: Secret, *, cost: KdfCost = _COST) -> PublicKeys:
    """Make all keys of a member in `directory`, with one submitter named `default`.

    Raises:
        KeyFileError: one of the files exists (then none is written), or the disk refuses.
    """
    wanted = [(_fixed(directory, kind), kind) for kind in _FIXED]
    wanted.append((_submitter(directory, DEFAULT_SUBMITTER), KeyKind.SUBMITTER))
    for path, _ in wanted:
        if path.exists():
            raise KeyFileError(
                str(path),
                "expected no file, got one",
                remedy="keys are never overwritten: take another directory",
            )
    derivation, salt = KeyDerivation(passphrase), new_salt()
    for path, kind in wanted:
        write_key(path, seal_key(kind, _fresh(kind), derivation, salt, cost))
    return _public_keys(directory, derivation)


def add_submitter(directory: Path, name: str, passphrase: Secret, *, cost: KdfCost = _COST) -> Address:
    """Make one more key that pays for transactions; `name` is 1 to 32 of a-z, 0-9 and `-`.

    Raises:
        KeyFileError: bad name, the file exists, or the disk refuses.
    """
    secret = _fresh(KeyKind.SUBMITTER)
    write_key(
        _submitter(directory, name),
        seal_key(KeyKind.SUBMITTER, secret, KeyDerivation(passphrase), new_salt(), cost),
    )
    return address_of(coincurve.PrivateKey(secret.reveal()))


def public_keys(directory: Path, passphrase: Secret) -> PublicKeys:
    """Open all keys in `directory` and give their public halves.

    Raises:
        KeyFileError: one does not open.
    """
    return _public_keys(directory, KeyDerivation(passphrase))


def _public_keys(directory: Path, derivation: KeyDerivation) -> PublicKeys:
    names = sorted(path.stem for path in (directory / "submitter").glob("*.key"))
    ring = {kind: unseal_key(_fixed(directory, kind), kind, derivation) for kind in _FIXED}
    return PublicKeys(
        identity=Identity(bytes(SigningKey(ring[KeyKind.IDENTITY].reveal()).verify_key)),
        attester=address_of(coincurve.PrivateKey(ring[KeyKind.ATTESTER].reveal())),
        log=bytes(SigningKey(ring[KeyKind.LOG].reveal()).verify_key),
        cosigner=bytes(SigningKey(ring[KeyKind.COSIGNER].reveal()).verify_key),
        submitters={name: address_of(_open_submitter(directory, name, derivation)) for name in names},
    )


def open_keyring(directory: Path, passphrase: Secret, submitter: str = DEFAULT_SUBMITTER) -> Keyring:
    """Open the keys that a running node signs with.

    Raises:
        KeyFileError: one does not open.
    """
    return open_keyring_with(directory, KeyDerivation(passphrase), submitter)


def open_keyring_with(directory: Path, derivation: KeyDerivation, submitter: str) -> Keyring:
    """As `open_keyring`; what is derived on the way serves for files of the same salt."""

    def opened(kind: KeyKind) -> bytes:
        return unseal_key(_fixed(directory, kind), kind, derivation).reveal()

    return Keyring(
        identity=SigningKey(opened(KeyKind.IDENTITY)),
        attester=coincurve.PrivateKey(opened(KeyKind.ATTESTER)),
        log=SigningKey(opened(KeyKind.LOG)),
        cosigner=SigningKey(opened(KeyKind.COSIGNER)),
        submitter=_open_submitter(directory, submitter, derivation),
    )


def keyring_sealing(directory: Path) -> Sealing:
    """Give salt and cost of the member's keys: files made later share the work of opening them.

    Raises:
        KeyFileError: the identity's file is missing, open to others or malformed.
    """
    return sealing_of(_fixed(directory, KeyKind.IDENTITY), KeyKind.IDENTITY)


def open_identity(directory: Path, passphrase: Secret) -> Secret:
    """Give the identity seed (32 bytes): libp2p proves it in every handshake, so the committee lane needs it.

    Raises:
        KeyFileError: it does not open.
    """
    return unseal_key(_fixed(directory, KeyKind.IDENTITY), KeyKind.IDENTITY, KeyDerivation(passphrase))


def address_of(key: coincurve.PrivateKey) -> Address:
    """Give the account of a secp256k1 key."""
    point: bytes = key.public_key.format(compressed=False)
    return Address(keccak256(point[1:])[12:])


def _fresh(kind: KeyKind) -> Secret:
    if kind in _SECP256K1:
        return Secret(coincurve.PrivateKey().secret)  # within the order of the group
    return Secret(secrets.token_bytes(SECRET_BYTES))


def _open_submitter(directory: Path, name: str, derivation: KeyDerivation) -> coincurve.PrivateKey:
    secret = unseal_key(_submitter(directory, name), KeyKind.SUBMITTER, derivation)
    return coincurve.PrivateKey(secret.reveal())


def _fixed(directory: Path, kind: KeyKind) -> Path:
    return directory / f"{kind}.key"


def _submitter(directory: Path, name: str) -> Path:
    if _NAME.fullmatch(name) is None:
        raise KeyFileError(f"submitter {name!r}", "expected a name of 1 to 32 of a-z, 0-9 and -, got another")
    return directory / "submitter" / f"{name}.key"
