"""Keys of the committees of `committees`, signed by all holders and by themselves."""

from __future__ import annotations

import random

from proofs.certificates import encode_frost_certificate
from proofs.committee import CommitteeDocument
from proofs.groupkeys import SignedKeys, keys_signing_bytes
from relay.config import KeptKeys, possession_digest
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from tests.shells.config.committees import identity_key
from tests.sim.dealer import Dealt, deal

__all__ = ["kept", "keys_of"]


def keys_of(committee: CommitteeDocument, seed: int = 1, again: Dealt | None = None) -> Dealt:
    """Deal the keys of a committee to all its members; `again` shares those anew."""
    members = [member.identity for member in committee.members]
    return deal(members, committee.network, random.Random(seed), again=again)


def kept(dealt: Dealt, committee: CommitteeDocument) -> KeptKeys:
    """Sign them as their holders do, and let each key show itself."""
    document = dealt.document
    signatures = {
        member.identity: bytes(identity_key(member.name).sign(keys_signing_bytes(document.raw)).signature)
        for member in committee.members
    }
    possession = {
        name: encode_frost_certificate(
            sign_alone(SECP256K1, secret, possession_digest(document, name), bytes(64))
        )
        for name, secret in dealt.secrets.items()
    }
    return KeptKeys(SignedKeys(document, signatures), possession)
