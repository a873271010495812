"""Group keys from a dealer, for towns: what a ceremony ends in, without one (threshold SPEC 2)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.committee import fast_quorum, full_quorum
from proofs.groupkeys import KeyGroup, KeysDocument, KeysStatement, build_keys
from proofs.kinds import Digest, Identity, NetworkId
from proofs.points import Suite
from relay.threshold.groups import SECP256K1
from tests.threshold.shares import share_out

Shares = Mapping[Identity, Mapping[str, int]]
"""By holder and name of the group."""


@dataclass(frozen=True)
class Dealt:
    """A keys document, and the shares that nobody but their holders has elsewhere."""

    document: KeysDocument
    shares: Shares
    secrets: Mapping[str, int]


def deal(
    members: Sequence[Identity],
    network: NetworkId,
    chance: random.Random,
    *,
    key_epoch: int = 1,
    committee_epoch: int = 1,
    ceremony: Digest | None = None,
    again: Dealt | None = None,
) -> Dealt:
    """Deal both tiers' keys to all members; `again` refreshes the shares of its keys."""
    holders = tuple(sorted(members))
    groups, secrets = [], {}
    shares: dict[Identity, dict[str, int]] = {holder: {} for holder in holders}
    for name, threshold in (("fast", fast_quorum(len(holders))), ("full", full_quorum(len(holders)))):
        secret = None if again is None else again.secrets[name]
        shared = share_out(SECP256K1, threshold, len(holders), chance, secret=secret)
        for number, holder in enumerate(holders, start=1):
            shares[holder][name] = shared.shares[number]
        points = tuple(shared.verification_share(number) for number in sorted(shared.shares))
        groups.append(KeyGroup(name, Suite.SECP256K1, threshold, shared.key, points))
        secrets[name] = shared.secret
    statement = KeysStatement(
        network=network,
        ceremony=ceremony or Digest(chance.randbytes(32)),
        transcript=Digest(chance.randbytes(32)),
        committee_epoch=committee_epoch,
        key_epoch=key_epoch,
        generation=1 if again is None else again.document.generation + 1,
        holders=holders,
        groups=tuple(groups),
    )
    return Dealt(build_keys(statement), shares, secrets)
