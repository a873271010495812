"""Members with fixed keys who perform ceremonies, honest or with a twist, and sign with what they made."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nacl.signing import SigningKey

from proofs.committee import CommitteeDocument, CommitteeMember, CommitteeStatement, build_committee
from proofs.envelope import Envelope, PayloadFields, assemble_envelope, build_payload, open_envelope
from proofs.envelope import signing_bytes as envelope_bytes
from proofs.groupkeys import KeysDocument
from proofs.hashes import sha256
from proofs.kinds import Address, Digest, Identity, Millis, NetworkId
from relay.threshold.bodies import CEREMONY_KIND, ceremony_body
from relay.threshold.ceremony import Ceremony, Duty, Step, Taken, begin, take
from relay.threshold.frost import Package, aggregate, commit, sign_share, verify
from relay.threshold.messages import CeremonyMessage, Complaint, Proposal
from relay.threshold.secrets import Shares, deal_of, join_of, open_deals, pair_secret, transcript_of
from relay.threshold.terms import group_of

__all__ = [
    "DEADLINE_MS",
    "Performance",
    "Player",
    "Troupe",
    "Twist",
    "combinations",
    "complaint_of",
    "honest",
    "replay",
    "said_by",
    "seven",
    "sign_with",
    "silent",
]

DEADLINE_MS = 1_000_000
Twist = Callable[[Identity, CeremonyMessage], Sequence[CeremonyMessage]]
"""What a member says instead of the message that it should; nothing for silence."""


@dataclass(frozen=True)
class Player:
    """A member: an identity key, and the seed of its secrets in this ceremony."""

    name: str
    key: SigningKey

    @property
    def identity(self) -> Identity:
        return Identity(bytes(self.key.verify_key))

    @property
    def seed(self) -> bytes:
        return sha256(b"seed/" + self.name.encode())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message).signature

    def member(self) -> CommitteeMember:
        named = self.name.encode()
        return CommitteeMember(
            identity=self.identity,
            attester=Address(sha256(b"attester/" + named)[:20]),
            log=sha256(b"log/" + named),
            cosigner=sha256(b"cosigner/" + named),
            name=self.name,
            operator=self.name,
            addresses=(),
            providers={},
        )


def _player(name: str) -> Player:
    return Player(name, SigningKey(sha256(b"identity/" + name.encode())))


def honest(_author: Identity, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
    """Say what one should."""
    return (message,)


def silent(who: Identity, kind: type[CeremonyMessage]) -> Twist:
    """Keep `who` from saying messages of this kind."""
    return lambda author, message: () if author == who and isinstance(message, kind) else (message,)


@dataclass(frozen=True)
class Performance:
    """A ceremony after all was said, everybody's shares as far as they got any, and every envelope."""

    ceremony: Ceremony
    shares: Mapping[Identity, Shares]
    envelopes: tuple[tuple[Envelope, CeremonyMessage], ...]

    @property
    def document(self) -> KeysDocument:
        result = self.ceremony.result()
        assert result is not None, self.ceremony.troubles()
        return result.document


@dataclass
class Troupe:
    """A committee of `names`, in ascending order of identity."""

    names: Sequence[str]
    key_epoch: int = 1
    genesis: NetworkId | None = None
    epoch: int = 1
    players: dict[Identity, Player] = field(init=False)
    committee: CommitteeDocument = field(init=False)

    def __post_init__(self) -> None:
        players = sorted(map(_player, self.names), key=lambda player: player.identity)
        self.players = {player.identity: player for player in players}
        members = tuple(player.member() for player in players)
        statement = CommitteeStatement("troupe", self.epoch, self.key_epoch, 0, True, self.genesis, members)
        self.committee = build_committee(statement)

    @classmethod
    def of(cls, n: int) -> Troupe:
        return cls([f"member-{i}" for i in range(n)])

    @property
    def identities(self) -> tuple[Identity, ...]:
        return tuple(self.players)

    def next_epoch(self, names: Sequence[str], *, rotated: bool = False) -> Troupe:
        """The committee after this one, of the same network."""
        key_epoch = self.key_epoch + rotated
        return Troupe(names, key_epoch, self.committee.network, self.epoch + 1)

    def proposal(self, groups: Iterable[str] = ("fast", "full"), **changes: object) -> Proposal:
        plain = Proposal(
            network=self.committee.network,
            committee=Digest(sha256(self.committee.raw)),
            committee_epoch=self.committee.committee_epoch,
            key_epoch=self.committee.key_epoch,
            generation=1,
            base=None,
            dealers=self.identities,
            receivers=self.identities,
            groups=tuple(sorted(groups)),
            rotation=None,
            deadline_ms=DEADLINE_MS,
            salt=bytes(16),
        )
        return replace(plain, **changes)  # type: ignore[arg-type]  # names are the dataclass's own

    def reshare(self, base: KeysDocument, **changes: object) -> Proposal:
        reshared: dict[str, object] = {
            "base": base.digest,
            "dealers": base.holders,
            "generation": base.generation + 1,
            "groups": tuple(group.name for group in base.groups),
        }
        return self.proposal(**{**reshared, **changes})  # type: ignore[arg-type]  # as above

    def envelope(self, author: Identity, message: CeremonyMessage, at_ms: int = 1) -> Envelope:
        """Sign a message as its author would."""
        payload = build_payload(
            PayloadFields(
                network=self.committee.network,
                author=author,
                committee_epoch=self.committee.committee_epoch,
                kind=CEREMONY_KIND[type(message)],
                at_ms=Millis(at_ms),
                body=ceremony_body(message),
            )
        )
        return open_envelope(assemble_envelope(payload, _sign(author, payload, self)))

    def begin(self, proposal: Proposal, base: KeysDocument | None = None) -> Ceremony:
        envelope = self.envelope(proposal.receivers[0], proposal)
        return begin(envelope, proposal, self.committee, base)

    def perform(
        self,
        proposal: Proposal,
        *,
        base: KeysDocument | None = None,
        old: Mapping[Identity, Shares] | None = None,
        twist: Twist = honest,
        visitors: Mapping[Identity, Player] | None = None,
    ) -> Performance:
        """Let everybody do its duty, one after the other, until nobody has one."""
        self.players = {**self.players, **(visitors or {})}
        stage = _Stage(self, self.begin(proposal, base), old or {}, twist)
        while any(stage.act(player) for player in self.players.values()):
            pass
        proposed = (stage.ceremony.proposed.envelope, proposal)
        return Performance(stage.ceremony, stage.shares, (proposed, *stage.envelopes))


def _sign(author: Identity, payload: bytes, troupe: Troupe) -> bytes:
    return troupe.players[author].sign(envelope_bytes(payload))


@dataclass
class _Stage:
    troupe: Troupe
    ceremony: Ceremony
    old: Mapping[Identity, Shares]
    twist: Twist
    shares: dict[Identity, Shares] = field(default_factory=dict)
    envelopes: list[tuple[Envelope, CeremonyMessage]] = field(default_factory=list)
    done: set[tuple[Identity, Duty]] = field(default_factory=set)

    def act(self, player: Player) -> bool:
        duty = self.ceremony.wants(player.identity, now_ms=1)
        if duty is None or (player.identity, duty) in self.done:
            return False
        self.done.add((player.identity, duty))
        for said in [m for message in self.duty(player, duty) for m in self.twist(player.identity, message)]:
            envelope = self.troupe.envelope(player.identity, said)
            self.envelopes.append((envelope, said))
            self.ceremony, taken = take(self.ceremony, envelope, said)
            assert taken in (Taken.NEW, Taken.CONTRADICTION, Taken.SURPLUS, Taken.KNOWN), taken
        return True

    def duty(self, player: Player, duty: Duty) -> Sequence[CeremonyMessage]:
        seed, me, ceremony = player.seed, player.identity, self.ceremony
        old = self.old[me].secrets if me in self.old else None
        if duty is Duty.JOIN:
            return (join_of(seed, ceremony.terms, me),)
        if duty is Duty.DEAL:
            return (deal_of(seed, ceremony, me, old),)
        opened = open_deals(seed, ceremony, me, old)
        if not isinstance(opened, Shares):
            return opened
        self.shares[me] = opened
        return (transcript_of(seed, ceremony, me, opened, player.sign),)


def complaint_of(performance: Performance, player: Player, dealer: Identity) -> Complaint:
    """Give the complaint of a receiver about this dealer's deal, whether there is reason for it or not."""
    ceremony = performance.ceremony
    deal = ceremony.word(Step.DEAL, dealer)
    assert deal is not None
    return Complaint(ceremony.id, dealer, deal.digest, pair_secret(player.seed, ceremony.id, dealer))


@functools.cache
def seven() -> tuple[Troupe, Performance]:
    """Seven members and their first keys, of both tiers; what it gives is not changed."""
    troupe = Troupe.of(7)
    return troupe, troupe.perform(troupe.proposal())


def sign_with(
    shares: Mapping[Identity, Shares], signers: Sequence[Identity], name: str, message: bytes
) -> bytes:
    """Sign `message` with the keys of that name, and check the signature."""
    document = shares[signers[0]].document
    keys = document.group(name)
    assert keys is not None
    group, chance = group_of(name), random.Random(message)
    numbers = {signer: document.holders.index(signer) + 1 for signer in signers}
    secrets = {numbers[signer]: shares[signer].secrets[name] for signer in signers}
    made = {number: commit(group, secret, chance.randbytes(64)) for number, secret in secrets.items()}
    package = Package(
        group, keys.key, {number: commitment for number, (_, commitment) in made.items()}, message
    )
    parts = {number: sign_share(package, number, secrets[number], made[number][0]) for number in secrets}
    signature = aggregate(package, parts)
    verify(group, keys.key, message, signature)
    return signature


def combinations(identities: Sequence[Identity], count: int, limit: int) -> list[tuple[Identity, ...]]:
    """Give up to `limit` choices of `count` identities, the first and the last among them."""
    every = list(itertools.islice(itertools.combinations(identities, count), 200))
    return [every[0], every[-1], *every[1 : limit - 1]] if len(every) > 1 else every


def replay(
    performance: Performance, chosen: list[tuple[Envelope, CeremonyMessage]], troupe: Troupe
) -> Ceremony:
    """Feed these envelopes to a fresh ceremony of the same proposal."""
    proposal = performance.ceremony.terms.proposal
    ceremony = troupe.begin(proposal, performance.ceremony.terms.base)
    for envelope, message in chosen:
        ceremony, _ = take(ceremony, envelope, message)
    return ceremony


def said_by(performance: Performance, who: Identity, kind: type[CeremonyMessage]) -> CeremonyMessage:
    return next(
        message
        for envelope, message in performance.envelopes
        if envelope.author == who and isinstance(message, kind)
    )
