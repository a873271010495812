"""Members that attest like anybody, hold real shares, and lie in signing sessions."""

from __future__ import annotations

import random
from dataclasses import replace

from proofs.kinds import Digest, Identity
from relay.core.decisions import Prepared, prepare
from relay.core.errors import WireError
from relay.core.messages import Attestation, Verdict
from relay.core.wire import open_message
from relay.threshold.frost import Nonces, commit, sign_share
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SessionMessage,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from relay.threshold.tasks import GroupKey, Task, coordinators_of, mandate_keys, session_id
from tests.sim.keys import EMPTY_TRACE, Keys
from tests.sim.town import Liar, Town


class Saboteur(Liar):
    """Attests to what others attest, shows everybody other commitments, gives bad shares, and asks at once
    and in conflict where it coordinates.
    """

    def __init__(self, keys: Keys, town: Town, chance: random.Random) -> None:
        super().__init__(keys, town, chance)
        self.attested: set[bytes] = set()
        self.nonces: dict[bytes, Nonces] = {}
        """By the hiding commitment."""
        self.seen: dict[bytes, dict[Identity, SignerCommitment]] = {}
        """Commitments for us as coordinator, by digest."""

    @property
    def me(self) -> Identity:
        return self.keys.identity

    def receive(self, raw: bytes) -> None:
        """Answer everything with something wrong."""
        super().receive(raw)
        try:
            envelope, message = open_message(raw, self.town.committees, at_s=self.town.now_s)
        except WireError:
            return
        match message:
            case Attestation(verdict=Verdict.ATTEST):
                self._attest(message)
            case Commitments():
                self._rush(envelope.author, message)
            case SigningRequest():
                self._answer(envelope.author, message)
            case SignatureShare(coordinator=self.me, next=OpenCommitment() as following):
                line = SignerCommitment(envelope.author, message.boot, following)
                self.seen.setdefault(message.digest, {})[envelope.author] = line
            case _:
                pass

    # ---- what it says

    def _tell(self, message: SessionMessage | Attestation, to: Identity | None = None) -> None:
        envelope, _ = self.keys.say(message, self.town.committees.newest, self.town.now_ms)
        peers = [member.identity for member in self.town.committees.newest.members]
        for peer in peers if to is None else [to]:
            if peer != self.me:
                self.town.send(self.me, peer, envelope.raw)

    def _attest(self, heard: Attestation) -> None:
        compiled = next(each for each in self.town.plans if each.plan.hash == heard.decision.plan_hash)
        prepared = prepare(self.town.committee.network, compiled, heard.decision)
        if prepared.digest != heard.digest or prepared.digest in self.attested:
            return
        self.attested.add(prepared.digest)
        signature = self.keys.sign_mandate(prepared.digest)
        self._tell(Attestation(heard.decision, Verdict.ATTEST, EMPTY_TRACE, prepared.digest, signature))
        self._commit(prepared)

    def _commit(self, prepared: Prepared) -> None:
        """Commit otherwise to each peer."""
        key = self._key(prepared)
        if key is None:
            return
        committee = self.town.committees.newest
        members = tuple(member.identity for member in committee.members)
        task = Task(prepared.digest, prepared.decision.tier, key.key_epoch, members, committee.f)
        for member in members:
            batch = {each: self._fresh(key) for each in coordinators_of(task)}
            self._tell(Commitments(prepared.digest, key.key_id, 1, batch), to=member)

    def _fresh(self, key: GroupKey) -> OpenCommitment:
        nonces, public = commit(SECP256K1, self._share(key), self.chance.randbytes(64))
        self.nonces[public.hiding] = nonces
        return OpenCommitment(self.chance.randrange(9), public.hiding, public.binding)

    def _shares(self, good: bytes) -> list[bytes]:
        """Give what it says instead of its share."""
        return self.chance.sample([good, bytes(32), b"\xff" * 32, self.chance.randbytes(32)], 2)

    def _answer(self, coordinator: Identity, request: SigningRequest) -> None:
        """Give a bad share, or a good one; twice, and under other names of the session."""
        key = self._key_of(request.key_id)
        mine = next((line for line in request.commitments if line.signer == self.me), None)
        if mine is None or key is None or mine.open.hiding not in self.nonces:
            return
        number, nonces = key.identifiers[self.me], self.nonces[mine.open.hiding]
        good = SECP256K1.scalar_to_bytes(sign_share(key.package(request), number, self._share(key), nonces))
        session = session_id(coordinator, request)
        for share in self._shares(good):
            said = SignatureShare(
                request.digest, request.key_id, coordinator, session, share, 1, self._fresh(key)
            )
            self._tell(said)
            self._tell(replace(said, session=Digest(self.chance.randbytes(32))))

    def _rush(self, author: Identity, message: Commitments) -> None:
        """Ask whoever has committed, in conflict, for another message, and for commitments of nobody."""
        opened, key = message.batch.get(self.me), self._key_of(message.key_id)
        if opened is None or key is None:
            return
        seen = self.seen.setdefault(message.digest, {})
        seen[author] = SignerCommitment(author, message.boot, opened)
        for _ in range(3):
            others = [each for each in key.holders if each != author]
            chosen = sorted([author, *self.chance.sample(others, key.threshold - 1)])
            lines = tuple(seen.get(each, SignerCommitment(each, 1, opened)) for each in chosen)
            request = SigningRequest(message.digest, message.key_id, lines)
            self._tell(request, to=self.chance.choice(key.holders))
            self._tell(replace(request, digest=Digest(self.chance.randbytes(32))))
            self._tell(replace(request, key_id=Digest(self.chance.randbytes(32))))

    # ---- what it holds

    def _key(self, prepared: Prepared) -> GroupKey | None:
        decision = prepared.decision
        keys = self._keys()
        wanted = (decision.key_epoch, decision.tier)
        return next((key for key in reversed(keys) if (key.key_epoch, key.tier) == wanted), None)

    def _key_of(self, key_id: Digest) -> GroupKey | None:
        return next((key for key in self._keys() if key.key_id == key_id), None)

    def _keys(self) -> list[GroupKey]:
        held = [dealt for dealt in self.town.group_keys if self.me in dealt.shares]
        return [key for dealt in held for key in mandate_keys(dealt.document)]

    def _share(self, key: GroupKey) -> int:
        name = key.tier.name.lower()
        dealt = next(each for each in self.town.group_keys if each.document.key_id(name) == key.key_id)
        return dealt.shares[self.me][name]


class BadSigner(Saboteur):
    """Commits in time, and gives nothing but bad shares."""

    def _shares(self, good: bytes) -> list[bytes]:
        return [bytes(31) + good[:1]]

    def _rush(self, author: Identity, message: Commitments) -> None:
        """Coordinate nothing."""
