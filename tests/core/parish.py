"""Nodes that hold ceremonies together: the core of each, its journal, and what its signer would do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from nacl.signing import SigningKey

from proofs.committee import CommitteeDocument
from proofs.groupkeys import KeysDocument, SignedKeys
from proofs.hashes import sha256
from relay.core.ceremonies import Ceremonies
from relay.core.ceremony_effects import (
    CeremonyEnded,
    CeremonyEvent,
    CeremonyJoined,
    CeremonyProposed,
    CeremonyStep,
    KeepEvidence,
    PutInForce,
)
from relay.core.ceremony_running import Running
from relay.core.ceremony_terms import CeremonyWish, propose_dkg, propose_reshare
from relay.core.committees import Committees
from relay.core.effects import Effect, SignStatement
from relay.core.types import Digest, Identity, Millis
from relay.threshold.bodies import ceremony_id
from relay.threshold.messages import CeremonyMessage, Complaint, Proposal
from relay.threshold.record import Duty
from relay.threshold.secrets import deal_of, join_of, open_deals, transcript_of
from tests.sim.keys import Keys, committee_of

DEADLINE_MS = Millis(1_000_000)
Word = tuple[Keys, CeremonyMessage]


@dataclass
class Priest:
    """One member: its core, what it journalled, and its secrets."""

    keys: Keys
    parish: Parish
    core: Ceremonies = field(init=False)
    journal: list[Callable[[Ceremonies], Sequence[Effect]]] = field(default_factory=list)
    shares: dict[Digest, dict[str, int]] = field(default_factory=dict)
    in_force: list[SignedKeys] = field(default_factory=list)
    erased: list[Digest] = field(default_factory=list)
    evidence: dict[str, bytes] = field(default_factory=dict)
    times_kept: int = 0
    dies_before_force: bool = False
    """Whether it is killed when keys are to be put in force, once."""
    is_up: bool = True
    said: int = 0

    def __post_init__(self) -> None:
        self.core = self._fresh()

    @property
    def identity(self) -> Identity:
        return self.keys.identity

    def _fresh(self) -> Ceremonies:
        return Ceremonies(self.identity, Committees((self.parish.committee,)))

    def tell(self, event: CeremonyEvent) -> None:
        self._apply(lambda core: core.apply(event, self.parish.now_ms))

    def hear(self, author: Keys, message: CeremonyMessage) -> None:
        now_ms = self.parish.now_ms
        envelope, read = author.say(message, self.parish.committee, now_ms)
        self._apply(lambda core: core.hear(envelope, read, now_ms))  # type: ignore[arg-type] - of a ceremony

    def tick(self) -> None:
        self._do(self.core.tick(self.parish.now_ms))

    def restart(self) -> None:
        """Replay the journal into a new core, and begin again."""
        self.core = self._fresh()
        for step in self.journal:
            step(self.core)
        self.is_up = True
        self._do(self.core.started(self.parish.now_ms))

    def running(self, ceremony: Digest) -> Running:
        found = self.core.get(ceremony)
        assert found is not None
        return found

    def _apply(self, step: Callable[[Ceremonies], Sequence[Effect]]) -> None:
        self.journal.append(step)
        self._do(step(self.core))

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SignStatement(message):
                    self._say(message)  # type: ignore[arg-type] - of a ceremony
                case CeremonyStep():
                    self.go_on(effect)
                case PutInForce() if self.dies_before_force:
                    self.is_up = self.dies_before_force = False
                case PutInForce(keys):
                    self.in_force.append(keys)
                    now_ms = self.parish.now_ms
                    self._apply(partial(Ceremonies.keys_in_force, document=keys.document, now_ms=now_ms))
                case CeremonyEnded(ceremony):
                    self.erased.append(ceremony)
                case KeepEvidence(_, name, raw):
                    self.evidence[name] = raw
                    self.times_kept += 1
                case _:
                    pass

    def go_on(self, effect: CeremonyStep) -> None:
        if effect.duty is Duty.OPEN and self.parish.held is not None:
            self.parish.held.append((self, effect))
            return
        for message in self._step(effect):
            self._say(message)

    def _say(self, message: CeremonyMessage) -> None:
        self.said += 1
        self.parish.mail.append((self.keys, message))

    def _step(self, effect: CeremonyStep) -> Sequence[CeremonyMessage]:
        """Do what the signer does: all of it follows from one seed."""
        ceremony, seed = effect.ceremony, sha256(b"seed" + self.identity)
        base = ceremony.terms.base
        old = None if base is None else self.shares.get(base.digest)
        match effect.duty:
            case Duty.JOIN:
                return [join_of(seed, ceremony.terms, self.identity)]
            case Duty.DEAL:
                return [deal_of(seed, ceremony, self.identity, old)]
            case Duty.OPEN:
                found = open_deals(seed, ceremony, self.identity, old)
                if isinstance(found, tuple):
                    return found
                self.shares[found.document.digest] = dict(found.secrets)
                return [transcript_of(seed, ceremony, self.identity, found, self._sign)]

    def _sign(self, message: bytes) -> bytes:
        key: SigningKey = self.keys.identity_key
        return bytes(key.sign(message).signature)


@dataclass
class Parish:
    """All members, and the mail between them: everybody hears each word once, also whoever said it."""

    size: int = 4
    now_ms: Millis = Millis(1_000)
    twist: Callable[[Keys, CeremonyMessage], Sequence[CeremonyMessage]] = lambda _author, message: [message]
    """What a member says in place of its word."""
    committee: CommitteeDocument = field(init=False)
    priests: list[Priest] = field(init=False)
    mail: list[Word] = field(default_factory=list)
    kept: list[Word] = field(default_factory=list)
    held: list[tuple[Priest, CeremonyStep]] | None = None
    """What signers are busy with, if they are slow: what was dealt to them."""

    def __post_init__(self) -> None:
        self.committee, keys = committee_of(self.size)
        self.priests = [Priest(each, self) for each in keys.values()]

    def __getitem__(self, name: str) -> Priest:
        return next(priest for priest in self.priests if priest.keys.name == name)

    def deliver(self) -> None:
        """Deliver until nothing is on its way."""
        while self.mail:
            author, message = self.mail.pop(0)
            for said in self.twist(author, message):
                self.kept.append((author, said))
                for priest in self.priests:
                    if priest.is_up:
                        priest.hear(author, said)

    def let_go(self) -> None:
        """Let the slow signers come to an end."""
        held, self.held = self.held or [], None
        for priest, effect in held:
            priest.go_on(effect)
        self.deliver()

    def heal(self, priest: Priest) -> None:
        """Bring a member all that was said, as anti-entropy does."""
        for author, message in self.kept:
            priest.hear(author, message)
        self.deliver()

    def wish(self, **changes: object) -> CeremonyWish:
        fields = {
            "without": (),
            "replace": (),
            "groups": (),
            "rotation": None,
            "deadline_ms": DEADLINE_MS,
            "generation": self.priests[0].core.next_generation(1),
            "salt": bytes(16),
            **changes,
        }
        return CeremonyWish(**fields)  # type: ignore[arg-type] - fields by name

    def propose(self, proposer: str = "alice", **changes: object) -> Digest:
        """Let a member propose new keys; gives the ceremony's id."""
        return self.ask(proposer, propose_dkg(self.wish(**changes), self.committee, self.committee))

    def propose_reshare(self, base: KeysDocument, proposer: str = "alice", **changes: object) -> Digest:
        wish = self.wish(**{"salt": bytes([1]) * 16, **changes})
        return self.ask(proposer, propose_reshare(wish, self.committee, base))

    def ask(self, proposer: str, proposal: Proposal) -> Digest:
        self[proposer].tell(CeremonyProposed(proposal, self.now_ms))
        self.deliver()
        return ceremony_id(proposal, self[proposer].identity)

    def join(self, ceremony: Digest, *names: str) -> None:
        """Let members' operators join; all of them without names."""
        for priest in self.priests:
            if not names or priest.keys.name in names:
                priest.tell(CeremonyJoined(ceremony, self.now_ms))
        self.deliver()

    def make_keys(self) -> KeysDocument:
        """Run a whole DKG."""
        self.join(self.propose())
        return self.priests[0].in_force[-1].document


def complaints(words: Sequence[Word]) -> list[Complaint]:
    return [message for _, message in words if isinstance(message, Complaint)]
