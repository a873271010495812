"""Committees with real keys, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from nacl.signing import SigningKey

from proofs.committee import (
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    build_committee,
    committee_signing_bytes,
)
from proofs.kinds import Address, Caip2, Identity, NetworkId

__all__ = ["CHAIN", "NAMES", "SEVEN", "identity_key", "make_committee", "member", "sign"]

NAMES = ("alice", "bob", "carol", "dave")
SEVEN = (*NAMES, "erin", "frank", "grace")
"""As many as may arm a plan."""
CHAIN = Caip2("eip155:1")
THREE = ("one", "two", "three")


def identity_key(name: str) -> SigningKey:
    return SigningKey(sha256(f"identity of {name}".encode()).digest())


def member(name: str, operator: str | None = None, providers: Sequence[str] = THREE) -> CommitteeMember:
    def key(use: str) -> bytes:
        return sha256(f"{use} of {name}".encode()).digest()

    return CommitteeMember(
        identity=Identity(bytes(identity_key(name).verify_key)),
        attester=Address(key("attester")[:20]),
        log=key("log"),
        cosigner=key("cosigner"),
        name=name,
        operator=operator or f"{name} Inc",
        addresses=(f"/dns4/{name}.example/tcp/4001",),
        providers={CHAIN: tuple(providers)},
    )


def make_committee(
    members: Sequence[CommitteeMember] | None = None,
    *,
    epoch: int = 1,
    genesis: NetworkId | None = None,
    demo: bool = False,
) -> CommitteeDocument:
    chosen = [member(name) for name in NAMES] if members is None else members
    return build_committee(
        CommitteeStatement('acme"net”\\', epoch, 1, 1_700_000_000, demo, genesis, tuple(chosen))
    )


def sign(document: CommitteeDocument, names: Sequence[str]) -> Mapping[Identity, bytes]:
    message = committee_signing_bytes(document.raw)
    keys = [identity_key(name) for name in names]
    return {Identity(bytes(key.verify_key)): key.sign(message).signature for key in keys}
