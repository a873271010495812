"""A ring of members that sign together: real sessions and nonces, mail in any order, and who lies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from proofs.committee import malicious_bound
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis, NetworkId
from proofs.mandate import Tier
from relay.threshold.frost import Commitment, Nonces, commit, sign_share, verify
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SessionMessage,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from relay.threshold.sessions import Sessions
from relay.threshold.tasks import GroupKey, Task, coordinators_of, mandate_keys
from relay.threshold.wants import Aggregated, Answer, Ask, BadShare, Open, Refused, Want
from tests.sim.dealer import Dealt, deal

NETWORK = NetworkId(sha256(b"ring"))


@dataclass
class Member:
    """One member's sessions and nonces. `boot` rises with each start, which loses all nonces."""

    me: Identity
    ring: Ring
    boot: int = 1
    sessions: Sessions = field(init=False)
    nonces: dict[tuple[Digest, Identity], tuple[OpenCommitment, Nonces]] = field(default_factory=dict)
    seq: int = 0
    found: list[Want] = field(default_factory=list)
    """What it aggregated, whom it convicts, what it refused."""

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.me)
        for dealt in self.ring.keys:
            self.sessions.put_in_force(dealt.document, self.ring.now_ms)

    @property
    def signatures(self) -> list[bytes]:
        return [want.signature for want in self.found if isinstance(want, Aggregated)]

    @property
    def convicted(self) -> set[Identity]:
        return {want.member for want in self.found if isinstance(want, BadShare)}

    @property
    def refusals(self) -> set[str]:
        return {want.reason for want in self.found if isinstance(want, Refused)}

    def do(self, wants: Iterable[Want]) -> None:
        """Do what the sessions want, and everything that follows from it here."""
        for want in wants:
            match want:
                case Open():
                    self.say(self.commit(want))
                case Ask(request):
                    self.say(request)
                case Answer():
                    self.say(self.answer(want))
                case Aggregated() | BadShare() | Refused():
                    self.found.append(want)

    def say(self, message: SessionMessage) -> None:
        self.ring.broadcast(self.me, message)
        self.do(self.sessions.heard(self.me, message, self.ring.now_ms))

    def hear(self, author: Identity, message: SessionMessage) -> None:
        self.do(self.sessions.heard(author, message, self.ring.now_ms))

    def attested(self, author: Identity, task: Task) -> None:
        self.do(self.sessions.attested(task, author, self.ring.now_ms))

    def restart(self) -> None:
        """Begin again: nonces are gone, and a higher boot says so."""
        self.boot += 1
        self.nonces.clear()
        self.sessions.started()
        self.do(self.sessions.resume(self.ring.now_ms))

    # ---- as a signer

    def fresh(self, key: GroupKey, digest: Digest, coordinator: Identity) -> OpenCommitment:
        share = self.ring.share_of(self.me, key)
        nonces, public = commit(SECP256K1, share, self.ring.chance.randbytes(64))
        self.seq += 1
        opened = OpenCommitment(self.seq, public.hiding, public.binding)
        self.nonces[(digest, coordinator)] = (opened, nonces)
        return opened

    def commit(self, want: Open) -> Commitments:
        key = self.ring.key(want.key_id)
        batch = {each: self.fresh(key, want.task.digest, each) for each in want.coordinators}
        return Commitments(want.task.digest, want.key_id, self.boot, batch)

    def answer(self, want: Answer) -> SignatureShare:
        """Sign with a nonce that is gone from then on."""
        request, key = want.request, self.ring.key(want.request.key_id)
        _, nonces = self.nonces.pop((request.digest, want.coordinator))
        self.ring.released.append((nonces.commitment, want.session))
        number = key.identifiers[self.me]
        share = sign_share(key.package(request), number, self.ring.share_of(self.me, key), nonces)
        following = self.fresh(key, request.digest, want.coordinator) if want.goes_on else None
        encoded = SECP256K1.scalar_to_bytes(share)
        return SignatureShare(
            request.digest, request.key_id, want.coordinator, want.session, encoded, self.boot, following
        )


@dataclass
class Silent(Member):
    """Attests, and takes part in nothing else."""

    def say(self, message: SessionMessage) -> None:
        pass


@dataclass
class Mute(Member):
    """Commits like anybody, and never gives a share."""

    def say(self, message: SessionMessage) -> None:
        if not isinstance(message, SignatureShare):
            super().say(message)


@dataclass
class Restarter(Member):
    """Answers each request by a restart: it commits again, under a higher boot."""

    def hear(self, author: Identity, message: SessionMessage) -> None:
        super().hear(author, message)
        asks = isinstance(message, SigningRequest) and any(
            line.signer == self.me for line in message.commitments
        )
        if asks and self.boot < 50:
            self.restart()

    def say(self, message: SessionMessage) -> None:
        if not isinstance(message, SignatureShare):
            super().say(message)


@dataclass
class Whisperer(Member):
    """Asks for nothing, and shows its shares to the coordinator alone."""

    def say(self, message: SessionMessage) -> None:
        match message:
            case Commitments():
                super().say(message)
            case SignatureShare():
                self.ring.send(self.me, message.coordinator, message)
                self.do(self.sessions.heard(self.me, message, self.ring.now_ms))
            case SigningRequest():
                pass


@dataclass
class BadSigner(Member):
    """Gives shares that are none."""

    def answer(self, want: Answer) -> SignatureShare:
        share = super().answer(want)
        return replace(share, share=self.ring.chance.choice((bytes(32), b"\xff" * 32, sha256(share.share))))


@dataclass
class TwoFaced(Member):
    """Shows each peer other commitments, and signs with one of them."""

    def say(self, message: SessionMessage) -> None:
        if not isinstance(message, Commitments):
            super().say(message)
            return
        for peer in self.ring.members:
            if peer == self.me:
                self.do(self.sessions.heard(self.me, message, self.ring.now_ms))
                continue
            opened = {each: self._another(message) for each in message.batch}
            self.ring.send(self.me, peer, replace(message, batch=opened))

    def _another(self, message: Commitments) -> OpenCommitment:
        key = self.ring.key(message.key_id)
        _, public = commit(SECP256K1, self.ring.share_of(self.me, key), self.ring.chance.randbytes(64))
        return OpenCommitment(self.seq, public.hiding, public.binding)


@dataclass
class Rusher(Member):
    """As a coordinator asks as soon and as often as it can, with whatever commitments it saw, and no more."""

    seen: dict[Identity, OpenCommitment] = field(default_factory=dict)

    def hear(self, author: Identity, message: SessionMessage) -> None:
        opened = None
        if isinstance(message, Commitments):
            opened = message.batch.get(self.me)
        elif isinstance(message, SignatureShare) and message.coordinator == self.me:
            opened = message.next
        if opened is None or author == self.me:
            return
        self.seen[author] = opened
        key = self.ring.key(message.key_id)
        others = [each for each in key.holders if each != author]
        for _ in range(3):
            asked = [author, *self.ring.chance.sample(others, key.threshold - 1)]
            self.ring.ask_as(self, message, {each: self.seen.get(each, opened) for each in sorted(asked)})


@dataclass
class Ring:
    """The members, their mail and their clock. Liars are the last of the coordinators' order or any."""

    chance: random.Random
    size: int
    members: dict[Identity, Member] = field(default_factory=dict)
    keys: list[Dealt] = field(default_factory=list)
    now_ms: Millis = Millis(1_000)
    released: list[tuple[Commitment, Digest]] = field(default_factory=list)
    """Every nonce pair that gave a share, and for which session."""
    mail: list[tuple[Identity, Identity, SessionMessage | Task]] = field(default_factory=list)
    delay: Callable[[Identity, Identity], bool] = lambda _author, _to: False
    """Which mail is held back."""

    @property
    def identities(self) -> tuple[Identity, ...]:
        return tuple(sorted(Identity(sha256(f"member {each}".encode())) for each in range(self.size)))

    def key(self, key_id: Digest) -> GroupKey:
        found = (key for dealt in self.keys for key in mandate_keys(dealt.document))
        return next(key for key in found if key.key_id == key_id)

    def share_of(self, member: Identity, key: GroupKey) -> int:
        name = "fast" if key.tier is Tier.FAST else "full"
        dealt = next(each for each in self.keys if each.document.key_id(name) == key.key_id)
        return dealt.shares[member][name]

    def task(self, name: str = "mandate", *, tier: Tier = Tier.FULL, key_epoch: int = 1) -> Task:
        digest = sha256(name.encode())
        return Task(digest, tier, key_epoch, self.identities, malicious_bound(self.size))

    # ---- mail

    def broadcast(self, author: Identity, message: SessionMessage | Task) -> None:
        for peer in self.members:
            if peer != author:
                self.send(author, peer, message)

    def send(self, author: Identity, to: Identity, message: SessionMessage | Task) -> None:
        self.mail.append((author, to, message))

    def attest(self, task: Task, attesters: Iterable[Identity]) -> None:
        for each in attesters:
            self.broadcast(each, task)
            self.members[each].attested(each, task)

    def ask_as(self, liar: Member, message: SessionMessage, lines: dict[Identity, OpenCommitment]) -> None:
        """Send a request that some member made up."""
        asked = tuple(SignerCommitment(each, 1, opened) for each, opened in lines.items())
        self.broadcast(liar.me, SigningRequest(message.digest, message.key_id, asked))

    def deliver(self, *, most: int = 200_000) -> None:
        """Deliver all mail in any order, what is held back never."""
        for _ in range(most):
            ready = [at for at, (author, to, _) in enumerate(self.mail) if not self.delay(author, to)]
            if not ready:
                return
            author, to, message = self.mail.pop(self.chance.choice(ready))
            if isinstance(message, Task):
                self.members[to].attested(author, message)
            else:
                self.members[to].hear(author, message)
        raise AssertionError("the mail does not end")

    def settle(self, *, within_ms: int = 60_000) -> None:
        """Deliver, and let time pass, until nothing is due any more."""
        until = self.now_ms + within_ms
        self.deliver()
        while self.now_ms < until:
            due = [at for each in self.members.values() if (at := each.sessions.next_due_ms()) is not None]
            if not due:
                return
            self.now_ms = max(self.now_ms, min(due))
            for each in self.members.values():
                each.do(each.sessions.tick(self.now_ms))
            self.deliver()

    # ---- what must hold

    def check(self, task: Task, *, honest: Iterable[Identity]) -> None:
        """The signature is there and good, at every honest member; no nonce gave two shares."""
        name = "fast" if task.tier is Tier.FAST else "full"
        for each in honest:
            (signature,) = self.members[each].signatures
            group = self.keys[-1].document.group(name)
            assert group is not None
            verify(SECP256K1, group.key, task.digest, signature)
        self.check_nonces()

    def check_nonces(self) -> None:
        pairs = [commitment for commitment, _ in self.released]
        assert len(set(pairs)) == len(pairs), "a nonce pair gave two shares"


Maker = Callable[[Identity, Ring], Member]


def ring_of(size: int, seed: int, *, liars: Iterable[Maker] = (), first: bool = True) -> Ring:
    """Make a ring; the liars are the first coordinators of the default mandate, or its last members."""
    ring = Ring(random.Random(seed), size)
    ring.keys.append(deal(ring.identities, NETWORK, ring.chance))
    makers = list(liars)
    order = list(coordinators_of(ring.task()))
    order += [each for each in ring.identities if each not in order]
    chosen = order if first else order[::-1]
    lying = dict(zip(chosen, makers, strict=False))
    for each in ring.identities:
        ring.members[each] = lying.get(each, Member)(each, ring)
    return ring
