"""Witnessing in a running node: the desk and the publisher on the lane (relay/witness/SPEC.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, assert_never

from proofs.checkpoint import parse_checkpoint
from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.note import VerifierKey, parse_note
from proofs.witness import Answer, parse_add_checkpoint
from relay.core.committees import Committees
from relay.core.errors import GuardRefusal
from relay.core.types import Digest, Identity, Millis
from relay.core.wire import payload_of, seal
from relay.core.witnessing import (
    MAX_ANSWER_BYTES,
    MAX_NOTES,
    AddCheckpointAsked,
    CheckpointAdded,
    Consistency,
    ProveConsistency,
    Witnessed,
    WitnessingMessage,
)
from relay.gossip.buckets import Bucket, Rate
from relay.telemetry import Telemetry
from relay.witness.desk import WitnessDesk
from relay.witness.logs import logs_of, quorum_of, remembered
from relay.witness.pushing import Publisher, WitnessSilent

__all__ = ["GOSSIP_EVERY_S", "LaneWitness", "OwnWitness", "Witnessing", "WitnessingTools"]

GOSSIP_EVERY_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0
_ANSWER_S: Final = 5.0
_RATE: Final = Rate(per_s=8, burst=32)
_MAX_UNDER_WAY: Final = 64


@dataclass(frozen=True, slots=True)
class WitnessingTools:
    """What witnessing is done with: who we are, our voice, and our log."""

    me: Identity
    committees: Callable[[], Committees]
    sign: Callable[[bytes], Awaitable[bytes]]
    """The signature of our identity over an envelope's payload; may raise `GuardRefusal`."""
    connected: Callable[[], frozenset[bytes]]
    send: Callable[[Identity, bytes], Awaitable[None]]
    broadcast: Callable[[bytes], Awaitable[None]]
    log: VerifierKey
    prove: Callable[[int, int], Awaitable[tuple[Digest, ...]]]
    """Proves our log consistent between two sizes; raises KeyError where it never had them."""
    telemetry: Telemetry
    clock: Callable[[], Millis]
    clock_s: Callable[[], float]
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class OwnWitness:
    """This node's own desk, under the name of its cosigner in the committee in force."""

    key: VerifierKey
    desk: WitnessDesk

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Judge a request of our own log as anybody's."""
        answer = await self.desk.add_checkpoint(raw)
        return answer.status, answer.body


@dataclass(frozen=True, slots=True)
class LaneWitness:
    """A member's desk, asked over the lane."""

    key: VerifierKey
    identity: Identity
    exchange: Callable[[Identity, bytes], Awaitable[tuple[int, bytes]]]

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its answer; raises `WitnessSilent`."""
        return await self.exchange(self.identity, raw)


@dataclass(slots=True)
class Witnessing:
    """Takes what members say of checkpoints, and tells them what our witness has cosigned."""

    tools: WitnessingTools
    desk: WitnessDesk
    group: asyncio.TaskGroup
    publisher: Publisher | None = None
    """Our log's side; set once it is made, which needs this object's `exchange`."""
    _buckets: dict[Identity, Bucket] = field(default_factory=dict)
    _waiting: dict[tuple[Identity, Digest], asyncio.Future[tuple[int, bytes]]] = field(default_factory=dict)
    _under_way: int = 0
    _met: frozenset[bytes] = frozenset()
    _owners: Callable[[Sequence[CommitteeDocument]], Mapping[VerifierKey, Identity]] = field(
        default_factory=lambda: remembered(logs_of)
    )
    _told_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._told_s = self.tools.clock_s()

    # ---- from members

    def take(self, envelope: Envelope, message: WitnessingMessage) -> None:
        """Take a member's message, within the bounds (SPEC 4); what it asks for is done in the background."""
        author = envelope.author
        bucket = self._buckets.setdefault(author, Bucket(_RATE, self.tools.clock_s))
        is_answer = isinstance(message, CheckpointAdded)
        if not bucket.take(1) or (self._under_way >= _MAX_UNDER_WAY and not is_answer):
            self.tools.telemetry.dropped("witness_flood", peer=author.hex()[:16])
            return
        if isinstance(message, CheckpointAdded):
            self._answered(author, message)  # nothing is left to do: others' floods are no reason to drop it
            return
        self._under_way += 1
        self.group.create_task(self._do(author, message), name="witness")

    def _answered(self, author: Identity, message: CheckpointAdded) -> None:
        waiting = self._waiting.get((author, message.about))
        if waiting is not None and not waiting.done():
            waiting.set_result((message.status, message.body))

    async def _do(
        self, author: Identity, message: AddCheckpointAsked | Witnessed | ProveConsistency | Consistency
    ) -> None:
        try:
            match message:
                case AddCheckpointAsked(body):
                    await self._add(author, body)
                case Witnessed(notes):
                    await self._look_at(notes)
                case ProveConsistency(first, second):
                    await self._prove(author, first, second)
                case Consistency(first, second, proof):
                    for key in self._logs_of(author):
                        await self.desk.proved(key, (first, second), proof)
                case _:
                    assert_never(message)
        finally:
            self._under_way -= 1

    async def _add(self, author: Identity, body: bytes) -> None:
        answer = await self.add_checkpoint(body)
        about = Digest(sha256(body))
        await self._say(CheckpointAdded(about, answer.status, answer.body[:MAX_ANSWER_BYTES]), author)
        if answer.status == 200:
            return
        # A size proves nothing to a log about itself: its own signature over more than it knows does.
        held = self.desk.held()
        for key in self._logs_of(author):
            if key in held and held[key].held.size > _size_asked(body):
                await self._tell([key], author)

    async def add_checkpoint(self, raw: bytes) -> Answer:
        """Judge a request, wherever it came from; what it shows of our own log our log hears."""
        # Who asks may hang up at any time: what is on disk by then must be known and told all the same.
        return await asyncio.shield(self.group.create_task(self._judge(raw), name="add checkpoint"))

    async def _judge(self, raw: bytes) -> Answer:
        answer = await self.desk.add_checkpoint(raw)
        with suppress(ProofError):
            note = parse_add_checkpoint(raw).checkpoint
            if note.partition("\n")[0] == self.tools.log.name:
                await self._look_at([note])
        return answer

    async def _look_at(self, notes: Sequence[str]) -> None:
        for note in notes:
            key = await self.desk.see(note)
            if key == self.tools.log and self.publisher is not None:
                await self.publisher.heard(note)

    async def _prove(self, author: Identity, first: int, second: int) -> None:
        try:
            proof = await self.tools.prove(first, second)
        except KeyError:
            return  # we never signed so much
        await self._say(Consistency(first, second, proof), author)

    # ---- to members

    async def exchange(self, identity: Identity, raw: bytes) -> tuple[int, bytes]:
        """Ask a member's witness; raises `WitnessSilent`."""
        if identity not in self.tools.connected():
            raise WitnessSilent("not connected")
        key = (identity, Digest(sha256(raw)))
        waiting: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            await self._say(AddCheckpointAsked(raw), identity)
            async with asyncio.timeout(_ANSWER_S):
                return await waiting
        except TimeoutError as error:
            raise WitnessSilent(f"no answer within {_ANSWER_S:.0f} s") from error
        finally:
            self._waiting.pop(key, None)

    async def run(self) -> None:
        """Tell members what was cosigned, and ask logs for what they owe, for ever."""
        await self.desk.tell_forks()
        while True:
            await self.turn()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def turn(self) -> None:
        """Greet who came, tell what is new where it is time, and ask for what is owed."""
        await self._greet()
        now_s = self.tools.clock_s()
        if self.desk.has_changed and now_s - self._told_s >= GOSSIP_EVERY_S:
            self._told_s = now_s
            await self._tell(self.desk.take_changed(), None)
        await self._dun()

    async def _dun(self) -> None:
        """Ask logs whose members can be reached for the proofs that they have not given."""
        connected = self.tools.connected()
        owners = self._owners(self.tools.committees().documents)
        reached = {key for key, owner in owners.items() if owner in connected}
        for key, first, second in self.desk.ask_now(reached.__contains__):
            await self._say(ProveConsistency(first, second), owners[key])

    async def _greet(self) -> None:
        """Show who is newly connected what we hold, and ask for what it has not cosigned."""
        connected, committees = self.tools.connected(), self.tools.committees()
        for identity in connected - self._met:
            await self._tell(list(self.desk.held()), Identity(identity))
            for key, member in quorum_of(committees.in_force(self.tools.clock() // 1_000)).cosigners.items():
                if self.publisher is not None and member == identity:
                    self.publisher.wake(key)
        self._met = connected

    async def _tell(self, keys: Sequence[VerifierKey], to: Identity | None) -> None:
        notes = [note for key in keys if (note := await self.desk.cosigned_note(key)) is not None]
        for first in range(0, len(notes), MAX_NOTES):
            await self._say(Witnessed(tuple(notes[first : first + MAX_NOTES])), to)

    async def _say(self, message: WitnessingMessage, to: Identity | None) -> None:
        tools, at_ms = self.tools, self.tools.clock()
        committee = tools.committees().spoken_under(tools.me, at_ms // 1_000, None)
        payload = payload_of(message, committee=committee, author=tools.me, at_ms=at_ms)
        try:
            envelope, _ = seal(payload, await tools.sign(payload))
        except GuardRefusal as refusal:
            tools.telemetry.notice("statement refused", reason=refusal.reason)
            return
        if to is None:
            await tools.broadcast(envelope.raw)
        else:
            await tools.send(to, envelope.raw)

    def _logs_of(self, identity: Identity) -> list[VerifierKey]:
        owners = self._owners(self.tools.committees().documents)
        return [key for key, owner in owners.items() if owner == identity]


def _size_asked(body: bytes) -> int:
    try:
        return parse_checkpoint(parse_note(parse_add_checkpoint(body).checkpoint).text).size
    except ProofError:
        return 0
