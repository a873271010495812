"""A town of members on simulated chains and a bad network, moved on second by second; all chance from one
seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from proofs.committee import CommitteeDocument
from proofs.mandate import key_proof_digest
from relay.core.committees import Committees
from relay.core.compiled import CompiledPlan
from relay.core.types import Caip2, Identity
from relay.threshold.tasks import mandate_keys
from tests.sim.chain import GENESIS_S, ChainTerms, SimChain, make_chains
from tests.sim.dealer import deal
from tests.sim.host import Host, Setting
from tests.sim.keys import Keys, committee_of
from tests.sim.plans import AWAY, HOME, sim_plans

TERMS = (ChainTerms(HOME, block_s=12, final_depth=4), ChainTerms(AWAY, block_s=8, final_depth=5))
HEALING_S = 4
"""How often peers compare what they hold."""


@dataclass
class Weather:
    """How bad the network is: chances per frame, and the longest delay."""

    drop: float = 0.0
    duplicate: float = 0.0
    max_delay_ms: int = 300


@dataclass(order=True)
class Frame:
    due_ms: int
    order: int
    to: Identity = field(compare=False)
    raw: bytes = field(compare=False)


class Liar:
    """A member that does what it likes: sees all that is broadcast to it, and has its keys."""

    def __init__(self, keys: Keys, town: Town, chance: random.Random) -> None:
        self.keys = keys
        self.town = town
        self.chance = chance
        self.heard: list[bytes] = []

    def receive(self, raw: bytes) -> None:
        """Keep everything."""
        if len(self.heard) < 2_000:
            self.heard.append(raw)

    def act(self) -> None:
        """Do nothing: a silent member."""


LiarMaker = Callable[[Keys, "Town", random.Random], Liar]


class Town:
    """Members, chains, network and clock."""

    def __init__(
        self,
        chance: random.Random,
        *,
        size: int = 4,
        liars: Iterable[LiarMaker] = (),
        late: int = 0,
        plans: tuple[CompiledPlan, ...] | None = None,
        terms: tuple[ChainTerms, ...] = TERMS,
        has_keys: bool = True,
    ) -> None:
        self.chance = chance
        self.committee: CommitteeDocument
        self.committee, self.keys = committee_of(size)
        self.committees = Committees((self.committee,))
        """All documents that were ever signed."""
        self.plans = sim_plans() if plans is None else plans
        self.chains: dict[Caip2, SimChain] = make_chains(self.plans, self.committee, terms)
        self.now_ms = GENESIS_S * 1_000
        self.weather = Weather()
        self.is_lying = True
        self.loses: Callable[[Identity, bytes], bool] = lambda _author, _raw: False
        """Which frames of whom never arrive."""
        self.stalled: set[Caip2] = set()
        """Chains that make no blocks."""
        self._frames: list[Frame] = []
        self._sent = 0
        names = list(self.keys)
        makers = list(liars)
        secrets = random.Random(chance.random())
        identities = [member.identity for member in self.committee.members]
        self.group_keys = [deal(identities, self.committee.network, secrets)] if has_keys else []
        for chain in self.chains.values():
            chain.group_keys = self.group_keys
        self.setting = setting = Setting(
            self.committee, self.plans, self.chains, self, keys=self.group_keys, entropy=secrets.randbytes
        )
        honest = names[: len(names) - len(makers)]
        self.hosts: dict[str, Host] = {name: Host(self.keys[name], setting) for name in honest}
        self.liars = [
            make(self.keys[name], self, random.Random(chance.random()))
            for name, make in zip(names[len(honest) :], makers, strict=True)
        ]
        self._by_identity: dict[Identity, Host | Liar] = {
            each.keys.identity: each for each in (*self.hosts.values(), *self.liars)
        }
        self.late = honest[len(honest) - late :] if late else []
        self.checks: list[Callable[[Town], None]] = []
        for host in self.hosts.values():
            host.now_ms = self.now_ms
            if host.keys.name not in self.late:
                host.start()

    @property
    def now_s(self) -> int:
        return self.now_ms // 1_000

    def up(self) -> list[Host]:
        """Give the hosts that run."""
        return [host for host in self.hosts.values() if host.is_up]

    def announce(self, document: CommitteeDocument) -> None:
        """Put the next committee document into everybody's directory; whoever joins by it has a host."""
        self.committees = self.committees.with_next(document)
        self.setting.later.append(document)
        for host in self.up():
            host.learn()

    def join(self, name: str) -> Host:
        """Give a further member a machine; it starts with what is known."""
        host = self.hosts[name] = Host(Keys(name), self.setting)
        self.keys[name], self._by_identity[host.me] = host.keys, host
        host.now_ms = self.now_ms
        host.start()
        return host

    # ---- the network, as hosts see it

    def broadcast(self, author: Identity, raw: bytes) -> None:
        """Mail a frame to everybody else."""
        for identity in self._by_identity:
            if identity != author:
                self.send(author, identity, raw)

    def send(self, author: Identity, to: Identity, raw: bytes) -> None:
        """Mail a frame: late, twice or never."""
        if self.loses(author, raw):
            return
        copies = 2 if self.chance.random() < self.weather.duplicate else 1
        for _ in range(copies):
            if self.chance.random() >= self.weather.drop:
                self._sent += 1
                delay = self.chance.randrange(1, self.weather.max_delay_ms + 1)
                self._frames.append(Frame(self.now_ms + delay, self._sent, to, raw))

    def _deliver(self) -> None:
        while due := sorted(frame for frame in self._frames if frame.due_ms <= self.now_ms):
            self._frames = [frame for frame in self._frames if frame.due_ms > self.now_ms]
            for frame in due:
                self._by_identity[frame.to].receive(frame.raw)

    def _heal(self) -> None:
        """Anti-entropy: a pair of members at a time gives each other what one of them lacks."""
        hosts = self.up()
        for one in hosts:
            for other in hosts:
                for digest in sorted(one.disk.kept.keys() - other.disk.kept.keys()):
                    self.send(one.me, other.me, one.disk.kept[digest])

    # ---- time

    def step(self) -> None:
        """Let a second pass."""
        self.now_ms += 1_000
        for chain in self.chains.values():
            if self.now_s % chain.terms.block_s == 0 and chain.terms.name not in self.stalled:
                chain.mine(self.now_s)
        hosts = list(self.hosts.values())
        self.chance.shuffle(hosts)
        for host in hosts:
            self._watch(host)
        if self.now_s % HEALING_S == 0:
            self._heal()
        for liar in self.liars if self.is_lying else ():
            liar.act()
        self._deliver()
        for host in hosts:
            host.tick(self.now_ms)
        for check in self.checks:
            check(self)

    def _watch(self, host: Host) -> None:
        """Let a host look at the chains; at which of them it does so in time is chance."""
        host.now_ms = self.now_ms
        for chain in self.chains.values():
            if host.is_up and self.chance.random() < 0.7:
                host.watch(chain, most=6)

    def run(self, seconds: int) -> None:
        """Let `seconds` pass."""
        for _ in range(seconds):
            self.step()

    def run_until(self, condition: Callable[[], object], *, within_s: int, what: str) -> int:
        """Let time pass until a condition holds; give how many seconds it took."""
        for passed in range(within_s):
            if condition():
                return passed
            self.step()
        raise AssertionError(f"expected within {within_s} s: {what}")

    # ---- what happens in it

    def burn(self, amount: int) -> None:
        """Burn on the foreign chain."""
        self.chains[AWAY].emitted.append(("Burned", {"amount": amount}))

    def release(self, amount: int) -> None:
        """Release on the reference chain."""
        self.chains[HOME].emitted.append(("Released", {"amount": amount}))

    def certified(self, host: Host, subject: str) -> list[bytes]:
        """Give the ids of the certified decisions about a subject that a host knows, oldest anchor first."""
        assert host.node is not None
        found = [
            entry.tally.prepared
            for entry in host.node.book.entries.values()
            if entry.tally.certificate is not None and entry.tally.prepared.decision.subject == subject
        ]
        return [each.id for each in sorted(found, key=lambda each: each.decision.anchor.number)]

    def possessions(self) -> frozenset[bytes]:
        """Give what group keys sign to show that they can (threshold SPEC 1.2)."""
        keys = [key for dealt in self.group_keys for key in mandate_keys(dealt.document)]
        network = self.committee.network
        return frozenset(key_proof_digest(network, key.key_epoch, key.tier, key.key) for key in keys)

    def record_until(self, act: str) -> int | None:
        """Give until when an act's record at its gateway lasts, if there is one."""
        for chain in self.chains.values():
            for gateway in chain.world.gateways.values():
                if act in gateway.records:
                    return gateway.records[act].until
        return None

    def state(self, act: str) -> int:
        """Give the state that an act writes."""
        return next(
            gateway.states[act]
            for chain in self.chains.values()
            for gateway in chain.world.gateways.values()
            if act in gateway.states
        )
