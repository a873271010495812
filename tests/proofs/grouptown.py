"""The group keys of a town: its keys documents, and certificates by some of its members' shares."""

from dataclasses import replace

from proofs.bundle import Bundle, BundleDocument
from proofs.groupkeys import KeysDocument, KeysStatement, build_keys, group_name, keys_signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.mandate import Mandate, Tier, encode_frost_certificate, mandate_digest
from proofs.points import Suite
from relay.threshold.frost import Package, aggregate, commit, sign_share, verify
from relay.threshold.groups import SECP256K1
from tests.proofs.conftest import Town
from tests.proofs.group_points import group_of, polynomial, value_at

__all__ = ["frost_certificate", "keys_of", "signed_keys", "with_frost"]


def keys_of(town: Town, **changes: object) -> KeysDocument:
    """Give the town's keys document: every member holds a share of both groups."""
    statement = KeysStatement(
        network=town.network,
        ceremony=Digest(sha256(b"ceremony")),
        transcript=Digest(sha256(b"transcript")),
        committee_epoch=1,
        key_epoch=1,
        generation=1,
        holders=tuple(sorted(tower.identity for tower in town.towers.values())),
        groups=tuple(
            group_of(group_name(tier), town.genesis.threshold(tier), len(town.names)) for tier in Tier
        ),
    )
    return build_keys(replace(statement, **changes))


def signed_keys(town: Town, *names: str, document: KeysDocument | None = None) -> BundleDocument:
    """Give the document with the signatures of these members, of all if none is named."""
    raw = (document or keys_of(town)).raw
    message = keys_signing_bytes(raw)
    towers = [town.towers[name] for name in names or town.names]
    return BundleDocument(raw, {each.identity: each.identity_key.sign(message).signature for each in towers})


def frost_certificate(town: Town, mandate: Mandate, *names: str, tier: Tier | None = None) -> bytes:
    """Give the certificate by these members' shares of the mandate's group, or of the group of `tier`."""
    tier, digest = tier or mandate.tier, mandate_digest(mandate)
    name, threshold = group_name(tier), town.genesis.threshold(tier)
    assert len(names) == threshold
    key = group_of(name, threshold, len(town.names)).key
    coefficients = polynomial(Suite.SECP256K1, threshold, b"group of " + name.encode())
    document = keys_of(town)
    shares = {
        identifier: value_at(Suite.SECP256K1, coefficients, identifier)
        for identifier in (document.identifier(town.towers[each].identity) for each in names)
        if identifier is not None
    }
    nonces = {
        identifier: commit(SECP256K1, share, sha256(digest + bytes([identifier])) * 2)[0]
        for identifier, share in shares.items()
    }
    package = Package(SECP256K1, key, {number: pair.commitment for number, pair in nonces.items()}, digest)
    signature = aggregate(
        package,
        {number: sign_share(package, number, share, nonces[number]) for number, share in shares.items()},
    )
    verify(SECP256K1, key, digest, signature)
    return encode_frost_certificate(signature)


def with_frost(town: Town, bundle: Bundle, *numbers: int) -> Bundle:
    """Give the bundle with certificates of kind 2 for the decisions of these numbers, and the keys for them.

    They are made by shares of the last members in order of name, whoever attested.
    """
    decisions = list(bundle.decisions)
    for number in numbers:
        mandate = decisions[number].mandate
        names = town.names[-town.genesis.threshold(mandate.tier) :]
        decisions[number] = replace(decisions[number], certificate=frost_certificate(town, mandate, *names))
    return replace(bundle, decisions=tuple(decisions), keys=(signed_keys(town),) if numbers else ())
