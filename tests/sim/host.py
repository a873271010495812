"""One honest member: a node, its disk and its signer, and a process that may end at any durable write."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from proofs.committee import CommitteeDocument
from proofs.decision import decision_id
from proofs.hashes import sha256
from relay.core.ceremony_effects import KeepEvidence
from relay.core.compiled import CompiledPlan
from relay.core.effects import (
    Anchor,
    Commit,
    CommitPossession,
    Effect,
    Forward,
    KeepCertificate,
    LogEntry,
    Notice,
    Page,
    Releasable,
    SignAttestation,
    SignShare,
    SignStatement,
    Stop,
    Submit,
    UnlockSigner,
)
from relay.core.errors import GuardRefusal, WireError
from relay.core.events import (
    AnchorEnded,
    BlockObserved,
    BlockUnread,
    ChainFinalized,
    ChainReorged,
    CommitteeLearned,
    Event,
    KeysInForce,
    OwnStatementFound,
    Received,
    Signed,
    SigningRefused,
    Started,
    SubmissionEnded,
    ThresholdSigned,
    Ticked,
)
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import LOGGED, SESSION, Attestation, Verdict
from relay.core.node import Node, NodeSettings, is_journalled
from relay.core.observations import BlockReads
from relay.core.ports import Submission, SubmissionStatus
from relay.core.types import BlockRef, Caip2, Identity, Millis
from relay.core.wire import open_message
from tests.sim.chain import Sent, SimChain
from tests.sim.dealer import Dealt
from tests.sim.keys import Crashed, Guard, Keys
from tests.sim.signing import Desk, Release


class WriteFault(StrEnum):
    """How a process ends at a durable write."""

    STORED = "failed and stored"
    NOT_STORED = "failed and not stored"


@dataclass
class Disk:
    """All that survives a process."""

    journal: list[bytes] = field(default_factory=list)
    kept: dict[bytes, bytes] = field(default_factory=dict)
    """Envelopes by digest, which anti-entropy offers."""
    log: dict[bytes, bytes] = field(default_factory=dict)
    released: set[bytes] = field(default_factory=set)
    evidence: dict[bytes, bytes] = field(default_factory=dict)
    """What was kept of faults, by digest."""
    guard: Guard = field(default_factory=Guard)
    boot: int = 0


class Mail(Protocol):
    """The network as a host sees it."""

    def broadcast(self, author: Identity, raw: bytes) -> None: ...

    def send(self, author: Identity, to: Identity, raw: bytes) -> None: ...


@dataclass
class Setting:
    """What all hosts share."""

    committee: CommitteeDocument
    plans: tuple[CompiledPlan, ...]
    chains: dict[Caip2, SimChain]
    mail: Mail
    later: list[CommitteeDocument] = field(default_factory=list)
    """Further committee documents, in every member's directory."""
    keys: list[Dealt] = field(default_factory=list)
    """Group keys in force, with everybody's shares."""
    entropy: Callable[[int], bytes] = bytes


@dataclass
class Host:
    """One member's machine."""

    keys: Keys
    setting: Setting
    disk: Disk = field(default_factory=Disk)
    node: Node | None = None
    now_ms: int = 0
    fault: WriteFault | None = None
    """What happens at a durable write, after `good_writes` more of them."""
    good_writes: int = 0
    can_submit: bool = True
    """Without it nothing is sent, and nothing told of it."""
    trouble: Submission | None = None
    """How every submission of this member ends before anything is sent."""
    blind: set[Caip2] = field(default_factory=set)
    """Chains that it cannot read now."""
    lens: Callable[[BlockReads], BlockReads] = lambda reads: reads
    """What a lying quorum of its endpoints makes of a block."""
    unlocked: bool = False
    stopped: str = ""
    inputs: deque[Event] = field(default_factory=deque)
    pages: list[Page] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    signed: list[Attestation] = field(default_factory=list)
    """Every attestation that ever left this machine."""
    released: list[Release] = field(default_factory=list)
    """Every signature share that ever did."""
    desk: Desk | None = None
    """This process' session signer, while it runs."""

    @property
    def me(self) -> Identity:
        return self.keys.identity

    @property
    def is_up(self) -> bool:
        return self.node is not None

    # ---- the process

    def fresh_node(self) -> Node:
        """Make the node that this disk's journal gives."""
        times = {name: chain.terms.block_s * 1_000 for name, chain in self.setting.chains.items()}
        node = Node(NodeSettings(self.me, self.setting.committee, self.setting.plans, times))
        for data in self.disk.journal:
            for effect in node.advance(event_from_bytes(data)):
                if isinstance(effect, LogEntry):
                    self.disk.log[effect.digest] = effect.raw
                elif isinstance(effect, Releasable):
                    self.disk.released.update(effect.digests)
        return node

    def start(self) -> None:
        """Begin a run from what the disk holds."""
        self.node = self.fresh_node()
        self.disk.boot += 1
        self.unlocked, self.fault, self.stopped = False, None, ""
        self.inputs.clear()
        instance = sha256(f"{self.keys.name}/{self.disk.boot}/{self.now_ms}".encode())[:16]
        disk, setting = self.disk, self.setting
        self.desk = Desk(self.me, disk.guard, setting.keys, self._write, setting.entropy, self.released)
        self.learn()
        self.take(Started(Millis(self.now_ms), self.disk.boot, instance))

    def learn(self) -> None:
        """Take up the committee documents that the node does not know yet."""
        for document in self.setting.later:
            if self.node is not None and self.node.committees.by_epoch(document.committee_epoch) is None:
                self.take(CommitteeLearned(document))
        for dealt in self.setting.keys:
            if self.node is not None and dealt.document.digest not in self.node.signing.keys:
                if self.desk is not None:
                    self.desk.put(dealt)
                self.take(KeysInForce(dealt.document, Millis(self.now_ms)))

    def stop(self) -> None:
        """End the process: whatever is not on disk is lost."""
        self.node = None
        self.inputs.clear()

    def copy_of_disk(self) -> Disk:
        """Back up the machine."""
        return copy.deepcopy(self.disk)

    def take(self, event: Event) -> None:
        """Feed one event and everything that follows from it in this process."""
        self.inputs.append(event)
        try:
            while self.inputs and self.node is not None:
                self._step(self.node, self.inputs.popleft())
        except Crashed:
            self.stop()

    def _step(self, node: Node, event: Event) -> None:
        effects = node.advance(event)
        # What a peer said and the node dropped is not worth the disk.
        dropped = isinstance(event, Received) and all(isinstance(effect, Notice) for effect in effects)
        if is_journalled(event) and not dropped:
            self._write(lambda: self._commit(event, effects))
        for effect in effects:
            self._do(effect)

    def _commit(self, event: Event, effects: Sequence[Effect]) -> None:
        """One group commit: the event, the envelope it carries, the log entries it brings."""
        self.disk.journal.append(event_to_bytes(event))
        if isinstance(event, Received | Signed) and isinstance(event.message, LOGGED):
            self.disk.kept[event.envelope.digest] = event.envelope.raw
        for effect in effects:
            if isinstance(effect, LogEntry):
                self.disk.log[effect.digest] = effect.raw

    def _write(self, write: Callable[[], None]) -> None:
        if self.fault is not None and self.good_writes:
            self.good_writes -= 1
            write()
            return
        fault, self.fault = self.fault, None
        if fault is not WriteFault.NOT_STORED:
            write()
        if fault is not None:
            raise Crashed(fault)

    # ---- effects

    def _do(self, effect: Effect) -> None:  # noqa: C901  one case per effect
        match effect:
            case SignAttestation():
                if self.unlocked:
                    self._attest(effect)
            case SignStatement(message, to):
                document = self._spoken_under(effect.committee_epoch)
                envelope, said = self.keys.say(message, document, self.now_ms)
                self._mail(envelope.raw, to)
                if isinstance(said, (*LOGGED, *SESSION)):
                    self.inputs.append(Signed(envelope, said, Millis(self.now_ms)))
            case Commit() | CommitPossession() | SignShare():
                self._sign_together(effect)
            case KeepCertificate(digest, key_id, certificate):
                self.inputs.append(ThresholdSigned(digest, key_id, certificate, Millis(self.now_ms)))
            case Forward(raw, to):
                self.setting.mail.send(self.me, to, raw)
            case Submit():
                self._submit(effect)
            case Anchor():
                self._anchor(effect)
            case UnlockSigner():
                self.unlocked = True
                if self.desk is not None:
                    self.desk.unlocked = True
            case Releasable(digests):
                self.disk.released.update(digests)
            case Stop(reason):
                self.stopped = reason
                raise Crashed(reason)
            case Page():
                self.pages.append(effect)
            case Notice():
                self.notices.append(effect)
            case KeepEvidence(_, _, raw):
                self.disk.evidence[sha256(raw)] = raw
            case _:
                pass  # log entries are in the commit; nobody watches

    def _spoken_under(self, committee_epoch: int | None) -> CommitteeDocument:
        assert self.node is not None, "effects come of a node"
        return self.node.committees.spoken_under(self.me, self.now_ms // 1_000, committee_epoch)

    def _attest(self, effect: SignAttestation) -> None:
        assert self.node is not None, "effects come of a node"
        prepared = effect.prepared
        committee = self.node.committees.in_force(prepared.decision.anchor.timestamp)
        attestation = Attestation(prepared.decision, effect.verdict, effect.trace)
        if effect.verdict is Verdict.ATTEST:
            key = (prepared.id, prepared.decision.key_epoch)
            try:
                self.disk.guard.admit(key, prepared.digest, self._write)
            except GuardRefusal as refusal:
                self.inputs.append(SigningRefused(prepared.id, key[1], refusal.reason))
                return
            attestation = Attestation(
                prepared.decision,
                effect.verdict,
                effect.trace,
                prepared.digest,
                self.keys.sign_mandate(prepared.digest),
            )
        envelope, said = self.keys.say(attestation, committee, self.now_ms)
        self.signed.append(attestation)
        self._mail(envelope.raw, None)
        self.inputs.append(Signed(envelope, said, Millis(self.now_ms)))

    def _sign_together(self, effect: Commit | CommitPossession | SignShare) -> None:
        message = self.desk.answer(effect) if self.desk is not None else None
        if message is None:
            return
        envelope, said = self.keys.say(message, self._spoken_under(effect.committee_epoch), self.now_ms)
        self._mail(envelope.raw, None)
        self.inputs.append(Signed(envelope, said, Millis(self.now_ms)))

    def _mail(self, raw: bytes, to: Identity | None) -> None:
        if to is None:
            self.setting.mail.broadcast(self.me, raw)
        else:
            self.setting.mail.send(self.me, to, raw)

    def _submit(self, effect: Submit) -> None:
        def tell(submission: Submission) -> None:
            self.inputs.append(SubmissionEnded(effect.key, submission))

        if not self.can_submit:
            return
        chain = self.setting.chains[effect.call.chain]
        submission = self.trouble or chain.simulate(effect.call)
        if submission is not None:
            tell(submission)
        else:
            chain.pending.append(Sent(effect.call, tell))

    def _anchor(self, effect: Anchor) -> None:
        if not self.can_submit:
            return
        assert set(effect.entries) <= self.disk.released, "an anchor before the incident's entries are out"
        self.setting.chains[effect.chain].anchors.append((self.me, effect))
        landed = Submission(SubmissionStatus.LANDED)
        self.inputs.append(AnchorEnded(effect.incident_id, effect.chain, effect.decisions, landed))

    # ---- what comes from outside

    def receive(self, raw: bytes) -> None:
        """Take a frame, as the inbox of a real node does."""
        if self.node is None or sha256(raw) in self.disk.kept:
            return
        try:
            envelope, message = open_message(raw, self.node.committees, at_s=self.now_ms // 1_000)
        except WireError:
            return
        if envelope.author != self.me or not isinstance(message, LOGGED):
            self.take(Received(envelope, message, Millis(self.now_ms)))
            return
        is_held = True
        if isinstance(message, Attestation) and message.verdict is Verdict.ATTEST:
            key = (decision_id(envelope.network, message.decision), message.decision.key_epoch)
            is_held = self.disk.guard.held.get(key) == message.digest
            self.take(OwnStatementFound(envelope.digest, is_held))
        if is_held:
            self.take(Signed(envelope, message, Millis(self.now_ms)))

    def tick(self, now_ms: int) -> None:
        """Let time go on."""
        self.now_ms = now_ms
        if self.node is None:
            return
        due = self.node.next_deadline_ms()
        if (due is not None and due <= now_ms) or self.inputs:
            self.take(Ticked(Millis(now_ms)))

    def watch(self, chain: SimChain, most: int) -> None:
        """Read up to `most` blocks of a chain, as a detector does: re-orgs first, then in order."""
        name = chain.terms.name
        if name in self.blind:
            tip = self.node.views[name].tip if self.node is not None else None
            self.take(BlockUnread(name, 1 if tip is None else tip.number + 1, "no agreement"))
            return
        for _ in range(most):
            if self.node is None or not self._read_next(self.node, chain):
                break
        final = chain.final
        if self.node is not None and final is not None and final != self.node.views[name].finalized:
            self.take(ChainFinalized(final))

    def _read_next(self, node: Node, chain: SimChain) -> bool:
        tip = node.views[chain.terms.name].tip
        if tip is not None and not chain.contains(tip):
            self.take(ChainReorged(chain.terms.name, self._ancestor(node, chain)))
            return True
        number = 0 if tip is None else tip.number
        if number >= len(chain.blocks):
            return False
        self.take(BlockObserved(self.lens(chain.blocks[number]), 2, 3, chain.head))
        return True

    def _ancestor(self, node: Node, chain: SimChain) -> BlockRef:
        held = node.views[chain.terms.name].after(-1)
        return next(block for block in reversed(held) if chain.contains(block))
