"""One node on a stage: blocks by hand, peers who say what the test says, and effects as words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from proofs.decision import BlockRef, Decision
from proofs.envelope import parse_envelope
from proofs.hashes import sha256
from proofs.kinds import Digest, Millis
from proofs.mandate import Op, Tier
from relay.core.committees import Committees
from relay.core.compiled import CompiledPlan
from relay.core.decisions import Prepared, prepare
from relay.core.effects import (
    Anchor,
    Changed,
    Effect,
    Forward,
    LogEntry,
    Notice,
    Page,
    Releasable,
    SignAttestation,
    SignStatement,
    Stop,
    Submit,
    UnlockSigner,
)
from relay.core.events import BlockObserved, ChainFinalized, ChainReorged, Event, Received, Signed, Started
from relay.core.messages import Attestation, Message, Recalled, Signal, Verdict
from relay.core.node import Node, NodeSettings
from relay.core.observations import BlockReads, CallValue, EventRow, GatewayEvent, PlanRegistered
from relay.core.types import Header, PlanHash
from tests.sim.keys import EMPTY_TRACE, committee_of
from tests.sim.plans import HOME, compile_text

SOLO = """
format = "tocsin/plan/1"
protocol = "vault"
version = 1
mode = "armed"
reason = "more left than came"
contacts = ["mailto:vault@sim.example"]

[clock]
reference = "sim:home"
rearm_s = 120
patience_s = 60
mandate_fast_s = 120
mandate_full_s = 480

[chains."sim:home"]
gateway = "gateway-home"
targets = ["vault"]
since = 1

[metrics.lost]
read = "event_sum"
chain = "sim:home"
from = "vault"
event = "Lost(int256 amount)"
value = "amount"
[metrics.price]
read = "call"
chain = "sim:home"
from = "oracle"
call = "price()"
on_fault = "trigger"

[rules.drained]
when = "lost > 100"
hold = HOLD
step = "24s"
ladder = [["halt"], ["close"]]
[rules.oracle]
when = "price > 1000000"
step = "24s"
ladder = [["halt"], ["close"]]

[acts.halt]
verb = "pause"
chain = "sim:home"
target = "vault"
call = "pause()"
state = "paused()"
value = 1
undo = "unpause()"
tier = "fast"
lasts = "5m"
[acts.close]
verb = "lock"
chain = "sim:home"
target = "vault"
call = "close()"
state = "closed()"
value = 1
undo = "open()"
tier = "full"
lasts = "10m"

[release]
when = "lost <= 100"
hold = 4
"""
BEGIN_S = 1_200_000
"""The beginning of a slot."""
BLOCK_S = 12


def solo_plan(*, hold: int = 1, mode: str = "armed") -> CompiledPlan:
    """Give a plan over one chain."""
    return compile_text(SOLO.replace("HOLD", str(hold)).replace('mode = "armed"', f'mode = "{mode}"'))


@dataclass
class Stage:
    """A node called alice, in a committee of four or more."""

    hold: int = 1
    size: int = 4
    mode: str = "armed"
    registered: bool = True
    compiled: CompiledPlan | None = None
    """Another plan than the one over one chain; its reference chain is the same."""
    blocks: list[BlockRef] = field(default_factory=list)
    now_ms: int = BEGIN_S * 1_000
    fork: int = 0

    def __post_init__(self) -> None:
        self.plan = self.compiled or solo_plan(hold=self.hold, mode=self.mode)
        self.committee, self.keys = committee_of(self.size)
        self.me = self.keys["alice"].identity
        self.committees = Committees((self.committee,))
        times = dict.fromkeys(self.plan.queries, BLOCK_S * 1_000)
        self.node = Node(NodeSettings(self.me, self.committee, (self.plan,), times))
        self.names = {each.identity: name for name, each in self.keys.items()}

    # ---- events

    def started(self, *, boot: int = 1, instance: bytes = b"i" * 16) -> Started:
        return Started(Millis(self.now_ms), boot, instance)

    def release(self) -> None:
        """Let the node sign: its peers remember nothing."""
        self.node.advance(self.started())
        for name in list(self.keys)[1:]:
            self.node.advance(self.recalled(name))

    def recalled(self, name: str, *newest: bytes) -> Received:
        assert self.node.recall is not None
        answer = Recalled(
            about=self.me,
            nonce=self.node.recall.nonce,
            boot=0,
            statements=len(newest),
            newest_at_ms=Millis(0),
            newest=tuple(Digest(each) for each in newest),
        )
        return self.said(name, answer)

    def block(
        self,
        lost: int = 0,
        *,
        after_s: int = BLOCK_S,
        price: int | None = 1,
        gateway_events: Sequence[GatewayEvent] = (),
        head: BlockRef | None = None,
    ) -> BlockObserved:
        """Make the next block, in which `lost` leaves the vault."""
        number = len(self.blocks) + 1
        timestamp = self.blocks[-1].timestamp + after_s if self.blocks else BEGIN_S
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        block = BlockRef(
            HOME, Digest(sha256(f"{number}/{timestamp}/{self.fork}".encode() + parent)), number, timestamp
        )
        plans: tuple[PlanRegistered, ...] = ()
        if number == 1 and self.registered:
            gateway = self.plan.gateways[HOME]
            plans = (PlanRegistered(gateway, 0, self.plan.plan.hash, PlanHash(bytes(32)), 0),)
        self.blocks.append(block)
        reads = BlockReads(
            Header(block, parent),
            (EventRow(0, 0, bytes(32), {"amount": lost}),) if lost else (),
            (CallValue(0, price, None if price is not None else "reverted"),),
            tuple(gateway_events),
            plans,
        )
        return BlockObserved(reads, 2, 3, block if head is None else head)

    def final(self, number: int) -> ChainFinalized:
        return ChainFinalized(self.blocks[number - 1])

    def back_to(self, number: int) -> ChainReorged:
        del self.blocks[number:]
        self.fork += 1
        return ChainReorged(HOME, self.blocks[-1])

    def decision(
        self,
        at: BlockRef,
        *,
        op: Op = Op.PROTECT,
        subject: str = "drained",
        rung: int = 0,
        tier: Tier = Tier.FAST,
        key_epoch: int = 1,
    ) -> Decision:
        return Decision(at, key_epoch, op, None, self.plan.plan.hash, rung, subject, tier)

    def prepared(self, decision: Decision) -> Prepared:
        return prepare(self.committee.network, self.plan, decision)

    def attests(
        self, name: str, decision: Decision, *, digest: bytes | None = None, at_ms: int = 0
    ) -> Received:
        """Let a member attest; to another digest if the test says so."""
        envelope, message = self.keys[name].attest(
            self.prepared(decision), self.committee, at_ms or self.now_ms, digest=digest
        )
        return Received(envelope, message, Millis(self.now_ms))

    def judges(self, name: str, decision: Decision, verdict: Verdict) -> Received:
        return self.said(name, Attestation(decision, verdict, EMPTY_TRACE))

    def signal(self) -> Signal:
        return Signal(self.plan.plan.hash, "a subject", Digest(bytes(32)))

    def said(self, name: str, message: Message, *, at_ms: int = 0) -> Received:
        envelope, read = self.keys[name].say(message, self.committee, at_ms or self.now_ms)
        return Received(envelope, read, Millis(self.now_ms))

    def says(self, message: Message) -> Signed:
        """Do what our own signer does with a statement."""
        envelope, read = self.keys["alice"].say(message, self.committee, self.now_ms)
        return Signed(envelope, read, Millis(self.now_ms))

    def signs(self, effect: SignAttestation) -> Signed:
        """Do what our own signer does."""
        if effect.verdict is Verdict.ATTEST:
            envelope, message = self.keys["alice"].attest(effect.prepared, self.committee, self.now_ms)
        else:
            plain = Attestation(effect.prepared.decision, effect.verdict, effect.trace)
            envelope, message = self.keys["alice"].say(plain, self.committee, self.now_ms)
        return Signed(envelope, message, Millis(self.now_ms))

    def run(self, *events: Event) -> list[Effect]:
        """Feed events, and give what they brought."""
        return [effect for event in events for effect in self.node.advance(event)]

    def drained(self) -> BlockRef:
        """Start, register and drain: the rule is true from block 2 on; nobody has attested yet."""
        self.release()
        self.run(self.block(), self.block(500))
        return self.blocks[1]

    # ---- effects as words

    def words(self, effects: Iterable[Effect]) -> list[str]:
        """Tell what effects there are; what only watchers and counters want is left out."""
        return [word for effect in effects if (word := self.word(effect))]

    def word(self, effect: Effect) -> str:  # noqa: C901  one case per effect
        match effect:
            case SignAttestation(prepared, verdict, _):
                decision = prepared.decision
                what = (
                    f"{decision.subject}/{decision.rung}" if decision.op is Op.PROTECT else decision.subject
                )
                kind = "" if decision.op is Op.PROTECT else f"{decision.op.name.lower()} "
                return f"{verdict} {kind}{what} {decision.tier.name.lower()} at {decision.anchor.number}"
            case SignStatement(message, to):
                towards = f" to {self.names[to]}" if to is not None else ""
                return f"say {type(message).__name__.lower()}{towards}"
            case LogEntry(_, raw):
                return f"log {kind_of(raw)}"
            case Submit(_, call):
                return f"submit {type(call).__name__.lower()}"
            case UnlockSigner():
                return "unlock"
            case Page(kind, _):
                return f"page: {kind}"
            case Stop():
                return "stop"
            case Forward(_, to):
                return f"forward to {self.names[to]}"
            case Notice("attestation dropped", facts):
                return f"drop: {facts['reason']}"
            case Notice("submission dropped", facts):
                return f"not sent: {facts['reason']}"
            case Notice("submission rests", facts):
                return f"rests: {facts['reason']}"
            case Anchor():
                return "anchor"
            case Releasable(digests):
                return f"publish {len(digests)}"
            case Notice() | Changed():
                return ""


def kind_of(raw: bytes) -> str:
    """Give an envelope's kind and author's word."""
    return parse_envelope(raw).fields.kind


@dataclass
class Play:
    """A conversation: `play >> event << words`; several events in a row gather their effects."""

    stage: Stage
    _words: list[str] = field(default_factory=list)

    def __rshift__(self, event: Event) -> Self:
        self._words += self.stage.words(self.stage.node.advance(event))
        return self

    def __lshift__(self, expected: str | Sequence[str]) -> Self:
        wanted = [expected] if isinstance(expected, str) else list(expected)
        found, self._words = self._words, []
        assert found == wanted, f"expected {wanted}, got {found}"
        return self
