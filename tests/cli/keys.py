"""Group keys of the bench's committee, whose secrets the test knows, as its keys file has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proofs.committee import committee_signing_bytes
from proofs.groupkeys import KeysStatement, SignedKeys, build_keys, group_name, keys_signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from proofs.mandate import Tier, encode_frost_certificate
from proofs.points import Suite
from relay.config import KeptKeys, dump_committee, dump_keys, keys_file, possession_digest
from relay.config.committee_files import dump_signatures, signatures_file
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from tests.adapters.evm.office.bench import IDENTITIES, committee
from tests.proofs.group_points import group_of, polynomial

__all__ = ["kept_keys", "sign_by_group", "write_committee", "write_keys"]


def kept_keys(*, shown: Sequence[Tier] = tuple(Tier), generation: int = 1, key_epoch: int = 1) -> KeptKeys:
    """Keys that all holders signed for; `shown` are the tiers whose key has signed for itself."""
    document = build_keys(
        KeysStatement(
            network=committee().network,
            ceremony=Digest(sha256(b"ceremony")),
            transcript=Digest(sha256(b"transcript")),
            committee_epoch=1,
            key_epoch=key_epoch,
            generation=generation,
            holders=tuple(sorted(member.identity for member in committee().members)),
            groups=tuple(group_of(group_name(tier), 1 + int(tier), 4) for tier in Tier),
        )
    )
    message = keys_signing_bytes(document.raw)
    signatures = {bytes(key.verify_key): key.sign(message).signature for key in IDENTITIES}
    possession = {
        group_name(tier): sign_by_group(tier, possession_digest(document, group_name(tier))) for tier in shown
    }
    return KeptKeys(SignedKeys(document, signatures), possession)


def sign_by_group(tier: Tier, digest: bytes) -> bytes:
    """The certificate of kind 2 that enough holders would make."""
    secret = polynomial(Suite.SECP256K1, 1 + int(tier), b"group of " + group_name(tier).encode())[0]
    return encode_frost_certificate(sign_alone(SECP256K1, secret, digest, b"nonce"))


def write_committee(folder: Path) -> Path:
    """Write the committee document as a node has it, signed by all."""
    document = committee()
    message = committee_signing_bytes(document.raw)
    signatures = {Identity(bytes(key.verify_key)): key.sign(message).signature for key in IDENTITIES}
    file = folder / "epoch-0001.toml"
    file.write_text(dump_committee(document))
    signatures_file(file).write_text(dump_signatures(document, signatures))
    return file


def write_keys(folder: Path, keys: KeptKeys) -> Path:
    """Write the keys where a node has them."""
    file = keys_file(folder, keys.document)
    file.write_text(dump_keys(keys))
    return file
