"""A group key whose polynomial the test knows, and what the holders beside us do with it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proofs.groupkeys import KeyGroup, KeysDocument, KeysStatement, build_keys
from proofs.hashes import keccak256
from proofs.kinds import Digest, Identity, NetworkId
from proofs.mandate import Mandate, Tier
from proofs.points import Suite
from relay.disk import Probe, no_probe
from relay.keys import LocalSigner, Secret
from relay.keys.files import KeyDerivation
from relay.keys.keyring import keyring_sealing
from relay.keys.sharefiles import ShareFiles
from relay.threshold import frost
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from relay.threshold.tasks import GroupKey, mandate_keys, session_id

__all__ = [
    "BOB",
    "CAROL",
    "COORDINATORS",
    "DAVE",
    "Others",
    "Sharing",
    "attest",
    "commit",
    "files_of",
    "line",
    "share_out",
]

BOB, CAROL, DAVE = (Identity(keccak256(name)) for name in (b"bob", b"carol", b"dave"))
COORDINATORS = (BOB, CAROL)


@dataclass(frozen=True)
class Sharing:
    """A keys document and all shares of it, by group and holder."""

    document: KeysDocument
    shares: Mapping[str, Mapping[Identity, int]]

    def key(self, tier: Tier = Tier.FAST) -> GroupKey:
        return next(key for key in mandate_keys(self.document) if key.tier is tier)

    def of(self, holder: Identity) -> dict[str, int]:
        return {name: shares[holder] for name, shares in self.shares.items()}


def share_out(
    holders: Sequence[Identity],
    network: NetworkId,
    *,
    thresholds: Mapping[str, int],
    key_epoch: int = 1,
    generation: int = 1,
    seed: int = 7,
) -> Sharing:
    """Deal all groups from one place, which is what a ceremony exists to avoid."""
    chance = random.Random(seed)
    ordered = sorted(holders)
    groups, shares = [], {}
    for name, threshold in thresholds.items():
        polynomial = [chance.randrange(1, SECP256K1.order) for _ in range(threshold)]
        values = [
            sum(coefficient * at**power for power, coefficient in enumerate(polynomial)) % SECP256K1.order
            for at in range(len(ordered) + 1)
        ]
        shares[name] = dict(zip(ordered, values[1:], strict=True))
        points = tuple(SECP256K1.base(value) for value in values)
        groups.append(KeyGroup(name, Suite.SECP256K1, threshold, points[0], points[1:]))
    statement = KeysStatement(
        network=network,
        ceremony=Digest(keccak256(b"ceremony %d" % seed)),
        transcript=Digest(keccak256(b"transcript")),
        committee_epoch=1,
        key_epoch=key_epoch,
        generation=generation,
        holders=tuple(ordered),
        groups=tuple(groups),
    )
    return Sharing(build_keys(statement), shares)


@dataclass
class Others:
    """All holders but one: they commit and sign whatever the test wants."""

    sharing: Sharing
    me: Identity
    tier: Tier = Tier.FAST
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    nonces: dict[OpenCommitment, frost.Nonces] = field(default_factory=dict)

    @property
    def key(self) -> GroupKey:
        return self.sharing.key(self.tier)

    def lines(self, count: int) -> list[SignerCommitment]:
        """Fresh commitments of the first `count` holders that are not `me`."""
        holders = [holder for holder in self.key.holders if holder != self.me][:count]
        return [self._line(holder) for holder in holders]

    def request(self, digest: Digest, mine: SignerCommitment) -> SigningRequest:
        """A request in good order, with our line in it."""
        lines = sorted([*self.lines(self.key.threshold - 1), mine], key=lambda line: line.signer)
        return SigningRequest(digest, self.key.key_id, tuple(lines))

    def finish(self, request: SigningRequest, share: SignatureShare) -> bytes:
        """Sign for all others, and give the verified signature."""
        assert share.session == session_id(share.coordinator, request)
        package = self.key.package(request)
        shares = {self.key.identifiers[self.me]: SECP256K1.read_scalar(share.share)}
        for line in request.commitments:
            if line.signer != self.me:
                number = self.key.identifiers[line.signer]
                secret = self.sharing.shares[self.tier.name.lower()][line.signer]
                shares[number] = frost.sign_share(package, number, secret, self.nonces[line.open])
        signature = frost.aggregate(package, shares)
        frost.verify(SECP256K1, self.key.key, request.digest, signature)
        return signature

    def _line(self, holder: Identity) -> SignerCommitment:
        secret = self.sharing.shares[self.tier.name.lower()][holder]
        nonces, commitment = frost.commit(SECP256K1, secret, self.chance.randbytes(64))
        opened = OpenCommitment(len(self.nonces) + 1, commitment.hiding, commitment.binding)
        self.nonces[opened] = nonces
        return SignerCommitment(holder, 1, opened)


def files_of(keys: Path, passphrase: Secret, probe: Probe = no_probe) -> ShareFiles:
    """The files of the member whose keys are in `keys`."""
    files = ShareFiles(keys / "threshold", KeyDerivation(passphrase), keyring_sealing(keys), probe)
    files.begin()
    return files


async def attest(signer: LocalSigner, mandate: Mandate) -> Mandate:
    """Have the guard let a mandate out."""
    await signer.release_guard()
    await signer.sign_mandate(mandate.decision_id, mandate.key_epoch, mandate)
    return mandate


async def commit(signer: LocalSigner, mandate: Mandate, sharing: Sharing) -> Commitments:
    """Have the signer commit to a mandate that was let out."""
    key_id = sharing.key(mandate.tier).key_id
    return await signer.commit(mandate.decision_id, mandate.key_epoch, mandate, key_id, COORDINATORS)


def line(
    signer: LocalSigner, said: Commitments | SignatureShare, coordinator: Identity = BOB
) -> SignerCommitment:
    """Our line in a request, from what we said last."""
    opened = said.batch[coordinator] if isinstance(said, Commitments) else said.next
    assert opened is not None
    return SignerCommitment(signer.identity, said.boot, opened)
