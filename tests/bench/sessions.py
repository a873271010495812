"""From the edge to a certificate, of both kinds, for committees that no single machine can run.

Time is simulated, costs are not: each member is one core with a queue, and whatever it does (opening and
signing envelopes, counting attestations, sessions, shares, aggregation) is done by the real code and takes
the processor time that it took here. What must be on disk first waits for a commit as long as one took here.
All members see the edge at once. A hop is log-normal, for each message and receiver its own; a stream keeps
its order, and what is said right behind something else arrives right behind it.

A figure is of all members that take part, over all rounds: from the edge until a member has the certificate.
Its floor is one hop, the same share of all hops.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import Tier
from relay.core.committees import Committees
from relay.core.messages import Message
from relay.core.wire import open_message
from relay.keys.guard import Guard
from relay.keys.spent import Spending
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
from relay.threshold.sessions import Sessions
from relay.threshold.tasks import GroupKey, Task, mandate_keys
from relay.threshold.wants import Aggregated, Answer, Ask, Open, Want
from tests.bench.figure import Figure, Goal, quantile
from tests.bench.intake import attestation_cost_ms
from tests.sim.dealer import Dealt, deal
from tests.sim.keys import Keys, genesis_of

__all__ = ["measure"]

SIZES = (4, 7, 13, 19, 25)
ROUNDS = 40
HOP_MS = 80.0
DISTANCE = 0.55
JITTER = 0.25
"""Spreads of the logarithm of a hop: of where two members stand, and of one message between them. Together
they are 0.6: one hop in a hundred takes four times the median.
"""
BURST_MS = 15.0
"""What is sent so soon after something else travels with it."""
GOAL_LIST = 1.5
GOAL_THRESHOLD = 4.0
GOAL_SILENT = 2.0
WITHIN_MS = 60_000.0


async def measure(seed: int = 1) -> list[Figure]:
    """Measure all sizes, with everybody and with f silent."""
    sys.stderr.write(f"seed {seed}; a hop is {HOP_MS:.0f} ms × e^({DISTANCE} · pair + {JITTER} · message)\n")
    commit_ms = await _disk_commit_ms()
    figures: list[Figure] = []
    for size in SIZES:
        scene = Scene(size, random.Random(seed * 1_000 + size), commit_ms)
        for tier in Tier:
            figures += _figures(scene, tier)
    return figures


def _figures(scene: Scene, tier: Tier) -> list[Figure]:
    found: list[Figure] = []
    honest: dict[tuple[str, float], float] = {}
    for silent in (0, scene.committee.f):
        rounds = [Round(scene, tier, silent).run() for _ in range(ROUNDS)]
        for kind, goal in (("list", GOAL_LIST), ("threshold", GOAL_THRESHOLD)):
            spans = [span for each in rounds for span in each.spans(kind)]
            for share, rank in (("p50", 0.5), ("p99", 0.99)):
                value = quantile(spans, rank)
                name = f"edge → {kind}, {tier.name.lower()}, {scene.size} members, {silent} silent, {share}"
                hop = HOP_MS if share == "p50" else quantile(scene.hops, rank)
                figure = Figure(name, value, "ms", floor=hop, floor_name=f"one hop, {share}")
                if silent == 0:
                    honest[(kind, rank)] = value
                    figure = replace(figure, goal=goal, side=Goal.AT_MOST, judged="ratio")
                else:
                    beside = honest[(kind, rank)]
                    figure = replace(
                        figure, floor=beside, floor_name="with everybody", goal=GOAL_SILENT, judged="ratio"
                    )
                found.append(figure)
        first = quantile([each.first("threshold") for each in rounds], 0.5)
        name = (
            f"edge → threshold, {tier.name.lower()}, {scene.size} members, {silent} silent, p50 of the first"
        )
        found.append(Figure(name, first, "ms", floor=HOP_MS, floor_name="one hop, p50"))
    return found


# ---- what things cost


async def _disk_commit_ms() -> float:
    """Give how long it takes until the use of a nonce is on disk."""
    took: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with Guard.open(Path(folder) / "guard.sqlite") as guard:
            await guard.release()
            boot = await guard.begin_boot()
            for number in range(40):
                nonce = number.to_bytes(33, "big")
                began_s = time.perf_counter()
                await guard.spend(Spending(nonce, nonce, Digest(bytes(32)), boot), None)
                took.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(took)


def _cost_ms(work: Callable[[], object], times: int = 20) -> float:
    """Give the median processor time of some work."""
    took = []
    for _ in range(times):
        began_s = time.process_time()
        work()
        took.append((time.process_time() - began_s) * 1_000)
    return statistics.median(took)


class Scene:
    """A committee with keys, and what its messages cost to say and to hear."""

    def __init__(self, size: int, chance: random.Random, commit_ms: float) -> None:
        self.size, self.chance, self.commit_ms = size, chance, commit_ms
        self.keys = [Keys(f"member-{number:02d}") for number in range(size)]
        self.committee = genesis_of("bench", self.keys)
        self.members = tuple(member.identity for member in self.committee.members)
        self.dealt: Dealt = deal(self.members, self.committee.network, chance)
        self.hops: list[float] = []
        self.spread = (DISTANCE, JITTER)
        self.distances: dict[tuple[Identity, Identity], float] = {}
        """Between members, of the round under way; 1 is the median."""
        self.attestation_ms = attestation_cost_ms(self.committee, self.keys, chance)
        self.message_ms = {
            type(message): (self._saying_ms(message), self._hearing_ms(message))
            for tier in Tier
            for message in self._samples(tier)
        }

    def hop_ms(self, one: Identity, other: Identity) -> float:
        """Give how long a message between two members takes."""
        pair = (min(one, other), max(one, other))
        if pair not in self.distances:
            self.distances[pair] = self.chance.lognormvariate(0.0, self.spread[0])
        hop = HOP_MS * self.distances[pair] * self.chance.lognormvariate(0.0, self.spread[1])
        self.hops.append(hop)
        return hop

    def key(self, tier: Tier) -> GroupKey:
        """Give the key of a tier."""
        return next(key for key in mandate_keys(self.dealt.document) if key.tier is tier)

    def _samples(self, tier: Tier) -> Iterable[SessionMessage]:
        """Give one message of each kind, as large as they are here."""
        key, point = self.key(tier), SECP256K1.base(7)
        opened, digest = OpenCommitment(1, point, point), Digest(bytes(32))
        coordinators = self.members[: self.committee.f + 1]
        yield Commitments(digest, key.key_id, 1, dict.fromkeys(coordinators, opened))
        signers = sorted(self.members)[: key.threshold]
        yield SigningRequest(digest, key.key_id, tuple(SignerCommitment(each, 1, opened) for each in signers))
        yield SignatureShare(digest, key.key_id, self.members[0], digest, bytes(32), 1, opened)

    def _saying_ms(self, message: Message) -> float:
        return _cost_ms(lambda: self.keys[0].say(message, self.committee, 1_000))

    def _hearing_ms(self, message: Message) -> float:
        envelope, _ = self.keys[0].say(message, self.committee, 1_000)
        committees = Committees((self.committee,))
        return _cost_ms(lambda: open_message(envelope.raw, committees, at_s=1))


# ---- one decision


@dataclass
class Member:
    """One core: what it does waits until it has done what came before."""

    me: Identity
    sessions: Sessions
    free_ms: float = 0.0
    attesters: set[Identity] = field(default_factory=set)
    nonces: dict[bytes, Nonces] = field(default_factory=dict)
    seq: int = 0
    reached: dict[str, float] = field(default_factory=dict)


@dataclass(order=True)
class Happening:
    at_ms: float
    order: int
    member: Member = field(compare=False)
    author: Identity | None = field(compare=False, default=None)
    message: SessionMessage | None = field(compare=False, default=None)
    """None with an author: its attestation; None without one: a tick."""


class Round:
    """One decision among `silent` members that say nothing at all."""

    def __init__(self, scene: Scene, tier: Tier, silent: int) -> None:
        self.scene, self.key = scene, scene.key(tier)
        digest = Digest(sha256(scene.chance.randbytes(16)))
        committee = scene.committee
        self.task = Task(digest, tier, 1, scene.members, committee.f)
        speaking = scene.chance.sample(scene.members, scene.size - silent)
        self.members = {each: Member(each, Sessions(each)) for each in speaking}
        scene.distances.clear()
        self._heap: list[Happening] = []
        self._streams: dict[tuple[Identity, Identity], tuple[float, float, float]] = {}
        """By author and receiver: when the last message was sent, its hop, and when it arrives."""
        self._order = itertools.count()
        for member in self.members.values():
            member.sessions.put_in_force(scene.dealt.document, Millis(0))

    def first(self, kind: str) -> float:
        """Give when some member had the certificate."""
        return min(self.spans(kind))

    def spans(self, kind: str) -> list[float]:
        """Give when each member had the certificate."""
        return [member.reached[kind] for member in self.members.values()]

    def run(self) -> Round:
        """Let everybody see the edge at zero."""
        for member in self.members.values():
            # Signed while its journal entry is on its way to disk.
            self._happen(0.0, member, member.me)
        while self._heap:
            happening = heapq.heappop(self._heap)
            assert happening.at_ms < WITHIN_MS, "a certificate within a minute"
            self._take(happening)
            if all(len(member.reached) == 2 for member in self.members.values()):
                return self
        raise AssertionError("a certificate of both kinds at every member")

    def _happen(
        self, at_ms: float, member: Member, author: Identity | None, message: SessionMessage | None = None
    ) -> None:
        heapq.heappush(self._heap, Happening(at_ms, next(self._order), member, author, message))

    def _take(self, happening: Happening) -> None:
        member = happening.member
        begins_ms = max(happening.at_ms, member.free_ms)
        began_s = time.process_time()
        now_ms = Millis(int(begins_ms))
        wants, charged_ms = self._heard(happening, begins_ms)
        said = [(self._made(member, want), want) for want in wants]
        charged_ms += (time.process_time() - began_s) * 1_000
        charged_ms += sum(self.scene.message_ms[type(made)][0] for made, _ in said if made is not None)
        member.free_ms = begins_ms + charged_ms
        for made, want in said:
            self._follow(member, made, want)
        if len(member.attesters) >= self.key.threshold:
            member.reached.setdefault("list", member.free_ms)
        due = member.sessions.next_due_ms()
        if due is not None and due > now_ms:
            self._happen(float(due), member, None)

    def _heard(self, happening: Happening, begins_ms: float) -> tuple[list[Want], float]:
        """Give what a member wants upon a message, and what opening it costs."""
        member, author, message = happening.member, happening.author, happening.message
        now_ms = Millis(int(begins_ms))
        if author is None:
            return member.sessions.tick(now_ms), 0.0
        if message is not None:
            charged_ms = 0.0 if author == member.me else self.scene.message_ms[type(message)][1]
            return member.sessions.heard(author, message, now_ms), charged_ms
        charged_ms = self.scene.attestation_ms
        member.attesters.add(author)
        if author == member.me:
            self._broadcast(member, begins_ms + charged_ms + self.scene.commit_ms, None)
        return member.sessions.attested(self.task, author, now_ms), charged_ms

    def _follow(self, member: Member, message: SessionMessage | None, want: Want) -> None:
        if isinstance(want, Aggregated):
            member.reached.setdefault("threshold", member.free_ms)
        if message is None:
            return
        # A share leaves when its nonce is spent on disk.
        waits_ms = self.scene.commit_ms if isinstance(message, SignatureShare) else 0.0
        self._broadcast(member, member.free_ms + waits_ms, message)
        self._happen(member.free_ms + waits_ms, member, member.me, message)

    def _broadcast(self, member: Member, at_ms: float, message: SessionMessage | None) -> None:
        for peer in self.members.values():
            if peer is member:
                continue
            sent_ms, hop_ms, arrived_ms = self._streams.get((member.me, peer.me), (-HOP_MS, 0.0, 0.0))
            if at_ms - sent_ms > BURST_MS:
                hop_ms = self.scene.hop_ms(member.me, peer.me)
            arrives_ms = max(at_ms + hop_ms, arrived_ms)
            self._streams[(member.me, peer.me)] = (at_ms, hop_ms, arrives_ms)
            self._happen(arrives_ms, peer, member.me, message)

    # ---- the signer

    def _made(self, member: Member, want: Want) -> SessionMessage | None:
        match want:
            case Open(task, key_id, coordinators):
                batch = {each: self._fresh(member) for each in coordinators}
                return Commitments(task.digest, key_id, 1, batch)
            case Ask(request):
                return request
            case Answer():
                return self._share(member, want)
            case _:
                return None

    def _fresh(self, member: Member) -> OpenCommitment:
        member.seq += 1
        nonces, public = commit(SECP256K1, self._secret(member), self.scene.chance.randbytes(64))
        member.nonces[public.hiding] = nonces
        return OpenCommitment(member.seq, public.hiding, public.binding)

    def _share(self, member: Member, want: Answer) -> SignatureShare:
        request = want.request
        mine = next(line for line in request.commitments if line.signer == member.me)
        nonces = member.nonces.pop(mine.open.hiding)
        number = self.key.identifiers[member.me]
        share = sign_share(self.key.package(request), number, self._secret(member), nonces)
        return SignatureShare(
            digest=request.digest,
            key_id=request.key_id,
            coordinator=want.coordinator,
            session=want.session,
            share=SECP256K1.scalar_to_bytes(share),
            boot=1,
            next=self._fresh(member) if want.goes_on else None,
        )

    def _secret(self, member: Member) -> int:
        return self.scene.dealt.shares[member.me][self.key.tier.name.lower()]
