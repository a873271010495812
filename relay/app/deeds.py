"""Doing what the node wants done: signing, mailing, submitting, publishing; results go back as events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

from relay.app.anchor import anchor
from relay.app.ceremonies import CeremonyDeeds
from relay.app.keys import KeysFiles
from relay.app.rotations import RotationDeeds
from relay.app.sessions import SessionDeeds
from relay.core.ceremony_effects import (
    CeremonyEffect,
    CeremonyEnded,
    CeremonyMoved,
    CeremonyStep,
    KeepEvidence,
    KeepPossession,
    PutInForce,
    RetireShares,
)
from relay.core.committees import Committees
from relay.core.effects import (
    Anchor,
    Changed,
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
    SignRotation,
    SignShare,
    SignStatement,
    Stop,
    Submit,
    SubmitRotation,
    UnlockSigner,
)
from relay.core.errors import GuardRefusal, TocsinError
from relay.core.events import Event, Signed, SigningRefused, SubmissionEnded
from relay.core.messages import CEREMONY, LOGGED, SESSION, Attestation, Message, Verdict
from relay.core.ports import Execute, GatewayCall, Submission, SubmissionStatus, Submitter
from relay.core.types import Caip2, Digest, Identity, Millis
from relay.core.wire import payload_of, seal
from relay.gossip import Lane
from relay.journal import AuditLog
from relay.keys import LocalSigner
from relay.telemetry import Telemetry
from relay.threshold.messages import SigningRequest

__all__ = ["Deeds", "NodeStopped", "Tools"]

MAX_SUBMISSION_S: Final = 600.0
MAX_HELD: Final = 64
"""Session effects that wait for the signer to be unlocked: as many as have nonces open at once."""


class NodeStopped(TocsinError):
    """The node must not go on; says why."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The shells that effects are done with."""

    committees: Callable[[], Committees]
    """The committee documents that the node knows now."""
    signer: LocalSigner
    keys: KeysFiles
    evidence: Path
    """Where evidence of faults is kept."""
    lane: Lane
    audit: AuditLog
    submitters: Mapping[Caip2, Submitter]
    telemetry: Telemetry
    clock: Callable[[], Millis]
    judged: Callable[[bytes], None]
    """Told when our own verdict on a decision is known."""
    counted: Callable[[bytes], None]
    """Told when a word on a decision was counted, perhaps the last that its certificate needed."""
    changed: Callable[[bytes], None]
    """Told the same once it is on disk."""
    reached: Callable[[bytes, str], None]
    """Told when a decision's call was first `submitted`, and when it first `landed`."""
    moved: Callable[[bytes], None]
    """Told when the view of a ceremony has changed."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What was begun before the events were on disk; nothing of it leaves before `on_disk` is set."""

    on_disk: asyncio.Event
    begun: frozenset[int]
    """Places of the effects that were begun."""


@dataclass(slots=True)
class Deeds:
    """Does effects in `group`, and hands results to `put`."""

    tools: Tools
    group: asyncio.TaskGroup
    put: Callable[[Event], Awaitable[None]]
    unlocked: bool = False
    _signing: set[tuple[bytes, Verdict]] = field(default_factory=set)
    _held: deque[Effect] = field(default_factory=lambda: deque(maxlen=MAX_HELD))
    """What sessions want and a locked signer does not do yet; the newest stay."""

    def foresee(self, effects: Sequence[Effect]) -> Foreseen:
        """Begin to sign while the events are on their way to disk: the guard's own write needs the same time.

        A signature that is ready earlier waits. If the journal refuses, the process ends and nothing left.
        """
        on_disk = asyncio.Event()
        begun: set[int] = set()
        for place, effect in enumerate(effects):
            if isinstance(effect, SignAttestation):
                self.tools.judged(effect.prepared.id)
                if self._begin_attestation(effect, on_disk):
                    begun.add(place)
            elif self._begin_session(effect):
                begun.add(place)
            elif isinstance(effect, Changed):
                self.tools.counted(effect.decision_id)
        return Foreseen(on_disk, frozenset(begun))

    async def perform(self, effects: Sequence[Effect], foreseen: Foreseen) -> None:  # noqa: C901 - one dispatch
        """Do all of `effects`, in order; what takes time goes on in the background."""
        foreseen.on_disk.set()
        releasable: list[Digest] = []
        for place, effect in enumerate(effects):
            match effect:
                case UnlockSigner():
                    await self.tools.signer.release_guard()
                    self.unlocked = True
                    self._begin_held()
                case SignAttestation():
                    if place not in foreseen.begun:
                        self._begin_attestation(effect, foreseen.on_disk)
                case Commit() | CommitPossession() | SignShare() | KeepCertificate():
                    if place not in foreseen.begun and not self._begin_session(effect):
                        self._held.append(effect)
                case SignStatement():
                    if place not in foreseen.begun:
                        self.group.create_task(self._state(effect), name="state")
                case Forward(raw, to):
                    await self.tools.lane.send(to, raw)
                case Submit():
                    self.group.create_task(self._submit(effect), name="submit")
                case SignRotation() | SubmitRotation():
                    self.group.create_task(self._rotations().do(effect), name="rotation")
                case Anchor():
                    self.group.create_task(self._anchor(effect), name="anchor")
                case Releasable(digests):
                    releasable += digests
                case LogEntry():
                    pass  # the pump has put it into the commit
                case (
                    CeremonyStep()
                    | PutInForce()
                    | CeremonyEnded()
                    | KeepEvidence()
                    | KeepPossession()
                    | RetireShares()
                    | CeremonyMoved()
                ):
                    self._begin_ceremony(effect)
                case Page() | Notice() | Changed() | Stop():
                    self._tell(effect)
                case _:
                    assert_never(effect)
        if releasable:
            self.group.create_task(self.tools.audit.release(releasable), name="release")

    def _rotations(self) -> RotationDeeds:
        tools = self.tools

        async def say(payload: bytes, signature: bytes) -> None:
            await self._say(payload, signature, None)

        return RotationDeeds(tools.signer, tools.clock, self._payload, say, self._carry, self.put)

    def _begin_ceremony(self, effect: CeremonyEffect) -> None:
        """Begin our part in a ceremony; what caused it is on disk."""
        tools = self.tools
        deeds = CeremonyDeeds(
            signer=tools.signer,
            keys=tools.keys,
            evidence=tools.evidence,
            telemetry=tools.telemetry,
            clock=tools.clock,
            say=self._state,
            put=self.put,
            moved=tools.moved,
        )
        self.group.create_task(deeds.do(effect), name="ceremony")

    # --- signing

    def _begin_attestation(self, effect: SignAttestation, on_disk: asyncio.Event) -> bool:
        """Begin to sign a verdict, and tell whether it is under way.

        Before the peers have answered the guard is locked; the node asks again when it opens.
        """
        key = (effect.prepared.id, effect.verdict)
        if self.unlocked and key not in self._signing:
            self._signing.add(key)
            self.group.create_task(self._attest(effect, on_disk), name="attest")
        return self.unlocked

    async def _attest(self, effect: SignAttestation, on_disk: asyncio.Event) -> None:
        prepared, signer = effect.prepared, self.tools.signer
        plain = Attestation(decision=prepared.decision, verdict=effect.verdict, trace=effect.trace)

        at_s = prepared.decision.anchor.timestamp
        epoch = self.tools.committees().in_force(at_s).committee_epoch

        def payload(mandate_signature: bytes) -> bytes:
            return self._payload(
                Attestation(
                    decision=prepared.decision,
                    verdict=effect.verdict,
                    trace=effect.trace,
                    digest=prepared.digest,
                    signature=mandate_signature,
                ),
                epoch,
            )

        try:
            if effect.verdict is Verdict.ATTEST:
                signed, signature = await signer.sign_attestation(
                    prepared.id, prepared.decision.key_epoch, prepared.mandate, payload
                )
            else:
                signed = self._payload(plain, epoch)
                signature = await signer.sign_envelope(signed)
        except GuardRefusal as refusal:
            await self.put(SigningRefused(prepared.id, prepared.decision.key_epoch, refusal.reason))
            return
        finally:
            self._signing.discard((prepared.id, effect.verdict))
        self.tools.telemetry.metrics.count("signatures", kind=effect.verdict.value)
        # DURABLE: what made us say it is on disk before anybody hears it.
        await on_disk.wait()
        await self._say(signed, signature, None)

    def _begin_session(self, effect: Effect) -> bool:
        """Begin what belongs to a signing session, which waits for no commit; tell if it is under way."""
        tools = self.tools
        # A certificate is kept by whoever hears its shares; to have one made, the signer must be unlocked.
        if not self.unlocked and not isinstance(effect, KeepCertificate):
            return False
        if isinstance(effect, Commit | CommitPossession | SignShare | KeepCertificate):
            deeds = SessionDeeds(tools.signer, tools.telemetry, tools.clock, self._state, self.put)
            self.group.create_task(deeds.do(effect), name="session")
            return True
        if isinstance(effect, SignStatement) and isinstance(effect.message, SigningRequest):
            self.group.create_task(self._state(effect), name="session")
            return True
        return False

    def _begin_held(self) -> None:
        """Begin what the sessions wanted before the signer was unlocked: they do not ask again."""
        while self._held:
            self._begin_session(self._held.popleft())

    async def _state(self, effect: SignStatement) -> None:
        payload = self._payload(effect.message, effect.committee_epoch)
        try:
            signature = await self.tools.signer.sign_envelope(payload)
        except GuardRefusal as refusal:
            # What we cannot say is no reason to stop: it decides nothing.
            self.tools.telemetry.notice("statement refused", reason=refusal.reason)
            return
        await self._say(payload, signature, effect.to)

    async def _say(self, payload: bytes, signature: bytes, to: Identity | None) -> None:
        """Send what was signed, and let the node hear it too."""
        envelope, message = seal(payload, signature)
        if to is None:
            await self.tools.lane.broadcast(envelope.raw)
        else:
            await self.tools.lane.send(to, envelope.raw)
        if isinstance(message, LOGGED + SESSION + CEREMONY):
            await self.put(Signed(envelope, message, self.tools.clock()))

    def _payload(self, message: Message, committee_epoch: int | None) -> bytes:
        tools, at_ms = self.tools, self.tools.clock()
        me = tools.signer.identity
        committee = tools.committees().spoken_under(me, at_ms // 1_000, committee_epoch)
        return payload_of(message, committee=committee, author=me, at_ms=at_ms)

    # --- submitting

    async def _submit(self, effect: Submit) -> None:
        call = effect.call
        decision = call.mandate.decision_id if isinstance(call, Execute) else None
        if decision is not None:
            self.tools.reached(decision, "submitted")
        submission = await self._carry(call)
        if decision is not None and submission.status is SubmissionStatus.LANDED:
            self.tools.reached(decision, "landed")
        await self.put(SubmissionEnded(effect.key, submission))

    async def _anchor(self, effect: Anchor) -> None:
        await self.put(await anchor(effect, self.tools.audit, self._carry))

    async def _carry(self, call: GatewayCall) -> Submission:
        """Carry a call to its chain, and see what became of it."""
        submitter = self.tools.submitters.get(call.chain)
        if submitter is None:
            submission = Submission(SubmissionStatus.UNAVAILABLE, reason="no submitter for this chain")
        else:
            try:
                async with asyncio.timeout(MAX_SUBMISSION_S):
                    submission = await submitter.submit(call)
            except TimeoutError:
                submission = Submission(SubmissionStatus.TIMED_OUT, reason="gave up waiting")
        self.tools.telemetry.metrics.count("submissions", chain=call.chain, status=submission.status.value)
        return submission

    # --- telling

    def _tell(self, effect: Page | Notice | Changed | Stop) -> None:
        match effect:
            case Page(kind, text):
                self.tools.telemetry.page(kind, text)
            case Notice(name, facts):
                self._notice(name, facts)
            case Changed(decision_id):
                self.tools.changed(decision_id)
            case Stop(reason):
                raise NodeStopped(reason)
            case _:
                assert_never(effect)

    def _notice(self, name: str, facts: Mapping[str, str | int]) -> None:
        telemetry = self.tools.telemetry
        if name == "attestation dropped":
            telemetry.dropped(str(facts["reason"]), signer=facts["signer"])
        else:
            telemetry.notice(name, **facts)
