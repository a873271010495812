"""Members that lie: each way to do so is a class, and mallory does all of it."""

from __future__ import annotations

import random
from dataclasses import replace

from proofs.decision import BlockRef, Decision, decision_id
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import Op, Tier
from relay.core.decisions import prepare
from relay.core.errors import WireError
from relay.core.messages import (
    Absence,
    Accusation,
    Attestation,
    Header,
    Message,
    Outcome,
    ReadinessChange,
    Recall,
    Recalled,
    Shadow,
    Signal,
    Verdict,
    Void,
)
from relay.core.types import ActId, EnvelopeDigest, PlanHash
from relay.core.types import Gateway as GatewayAddress
from relay.core.wire import open_message
from tests.sim.keys import EMPTY_TRACE, Keys
from tests.sim.plans import HOME
from tests.sim.session_liars import Saboteur
from tests.sim.town import Liar, Town


class Silent(Liar):
    """Withholds everything."""


class Mallory(Liar):
    """Does everything that an authenticated member can do, at random."""

    def __init__(self, keys: Keys, town: Town, chance: random.Random) -> None:
        super().__init__(keys, town, chance)
        self.newest: BlockRef | None = None
        self.attested: list[Attestation] = []
        self.saboteur = Saboteur(keys, town, chance)
        self.bridge = next(plan for plan in town.plans if plan.plan.protocol == "bridge")

    def receive(self, raw: bytes) -> None:
        """Answer at once what wants an answer, or is worth contradicting."""
        super().receive(raw)
        try:
            envelope, message = open_message(raw, self.town.committees, at_s=self.town.now_s)
        except WireError:
            return  # another liar's garbage
        if isinstance(message, Attestation) and len(self.attested) < 200:
            self.attested.append(message)
        if isinstance(message, Recall):
            self._mislead(envelope.author, message)
        elif isinstance(message, Attestation) and self.chance.random() < 0.3:
            self._contradict(message)
        elif self.chance.random() < 0.5:
            self.saboteur.receive(raw)

    def act(self) -> None:
        """Front-run the newest block, then do something at random."""
        blocks = self.town.chains[HOME].blocks
        if blocks and blocks[-1].header.block != self.newest:
            self.newest = blocks[-1].header.block
            self._front_run(self.newest)
        if self.chance.random() < 0.15:
            self.chance.choice((self._flood, self._replay, self._lie, self._chatter, self._garble))()

    def _say(self, message: Message) -> None:
        envelope, _ = self.keys.say(message, self.town.committee, self.town.now_ms)
        for member in self.town.committee.members:
            if member.identity != self.keys.identity and self.chance.random() < 0.8:
                self.town.send(self.keys.identity, member.identity, envelope.raw)

    def _attest(self, decision: Decision, digest: bytes | None = None) -> None:
        compiled = next(plan for plan in self.town.plans if plan.plan.hash == decision.plan_hash)
        right = prepare(self.town.committee.network, compiled, decision).digest
        signed = Digest(right if digest is None else digest)
        self._say(Attestation(decision, Verdict.ATTEST, EMPTY_TRACE, signed, self.keys.sign_mandate(signed)))

    def _decision(self, anchor: BlockRef, **changes: object) -> Decision:
        plain = Decision(
            anchor=anchor,
            key_epoch=1,
            op=Op.PROTECT,
            parent=None,
            plan_hash=self.bridge.plan.hash,
            rung=0,
            subject="unbacked",
            tier=Tier.FAST,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]  # one field, of its own type

    def _front_run(self, head: BlockRef) -> None:
        """Say something false about the decision that everybody is about to make, before they do."""
        wrong = replace(head, number=head.number + 1)
        late = replace(head, timestamp=head.timestamp + 1)
        self._attest(self._decision(self.chance.choice((wrong, late))))

    def _contradict(self, attestation: Attestation) -> None:
        """Attest to what an honest member attests, and to something else under its name."""
        self._attest(attestation.decision)
        self._attest(attestation.decision, sha256(self.chance.randbytes(8)))

    def _lie(self) -> None:
        """Attest to what no rule gives."""
        blocks = self.town.chains[HOME].blocks
        if not blocks:
            return
        anchor = self.chance.choice(blocks[-30:]).header.block
        self._attest(
            self.chance.choice(
                (
                    self._decision(anchor),
                    self._decision(anchor, subject="broken-oracle"),
                    self._decision(anchor, rung=1, tier=Tier.FULL),
                    self._decision(anchor, tier=Tier.FULL),
                    self._decision(anchor, op=Op.RELEASE, subject="halt", tier=Tier.FULL),
                    self._decision(anchor, op=Op.EXTEND, subject="halt", tier=Tier.FULL),
                    self._decision(anchor, key_epoch=2),
                )
            )
        )

    def _flood(self) -> None:
        """Open decisions on blocks that nobody has."""
        for _ in range(20):
            now = self.town.now_s + self.chance.randrange(-200, 400)
            self._attest(
                self._decision(BlockRef(HOME, Digest(self.chance.randbytes(32)), 10**6, max(now, 0)))
            )

    def _replay(self) -> None:
        """Send again what somebody once said."""
        for raw in self.chance.sample(self.heard, min(20, len(self.heard))):
            for member in self.town.committee.members:
                self.town.send(self.keys.identity, member.identity, raw)

    def _chatter(self) -> None:
        """Say what is allowed and not so."""
        about = Digest(self.chance.randbytes(32))
        block = BlockRef(HOME, about, 7, 7)
        outcome = Outcome(
            about,  # type: ignore[arg-type]  # any 32 bytes will do
            about,
            HOME,
            GatewayAddress(about),
            ActId(about),
            block,
            bytes(32),
            "started",
            9,
            9,
        )
        self._say(outcome)
        self._say(Void(about, block, False))  # type: ignore[arg-type]  # likewise
        self._say(Signal(PlanHash(about), "subject", about))
        self._say(ReadinessChange(f"fact {about.hex()}", "failed", about))
        self._remark(about, block)

    def _remark(self, nonsense: Digest, block: BlockRef) -> None:
        """Say of a decision that is known what is not so: all are absent, faulty, and a block is final."""
        if not self.attested:
            return
        decision = self.chance.choice(self.attested).decision
        about = decision_id(self.town.committee.network, decision)
        members = [member.identity for member in self.town.committee.members]
        some = sorted(self.chance.sample(members, self.chance.randrange(1, len(members) + 1)))
        self._say(Absence(about, tuple(some)))
        self._say(Accusation(about, self.chance.choice(members), "bad signature share", nonsense))
        self._say(Header(about, HOME, block))
        self._say(Shadow(decision, EMPTY_TRACE))

    def _garble(self) -> None:
        """Send bytes that are no message, and messages that are not its own."""
        if not self.heard:
            return
        raw = bytearray(self.chance.choice(self.heard))
        raw[self.chance.randrange(len(raw))] ^= 1 << self.chance.randrange(8)
        for member in self.town.committee.members:
            self.town.send(self.keys.identity, member.identity, bytes(raw))

    def _mislead(self, about: Identity, question: Recall) -> None:
        """Remember statements that were never made."""
        newest = tuple(EnvelopeDigest(Digest(self.chance.randbytes(32))) for _ in range(3))
        self._say(Recalled(about, question.nonce, question.boot + 5, 3, Millis(self.town.now_ms), newest))
