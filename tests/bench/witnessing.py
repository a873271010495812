"""From a signed checkpoint to a served one: seven logs, each witnessed by all seven members.

Real journals, logs, publishers and desks on their own SQLite files; requests and answers as signed envelopes
over real lanes on the loopback. All seven run in this one process on one disk, so that what seven machines do
at once is done here in turn. The floor is what cannot be left out: k commits on disk, one after another, each
with its signature, and the checkpoint file.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint
from proofs.committee import CommitteeDocument
from proofs.envelope import signing_bytes
from proofs.hashes import sha256
from proofs.note import NoteSignature, VerifierKey
from relay.core.committees import Committees
from relay.core.types import Digest, Identity
from relay.core.wire import open_message, payload_of, seal
from relay.core.witnessing import AddCheckpointAsked, CheckpointAdded
from relay.disk import replace_file
from relay.gossip import Lane, LaneConfig, LanePeer
from relay.journal import AuditLog, Journal, LogCheckpoint
from relay.journal.auditlog import Signer
from relay.witness.desk import WitnessDesk
from relay.witness.logs import quorum_of
from relay.witness.pushing import Publisher, PublisherParts, Witness
from tests.bench.auditlog import LIMITS, envelopes
from tests.bench.figure import Figure, quantile
from tests.bench.lane import Nothing, free_ports
from tests.shells.witness.circle import (
    BEGAN,
    NAMES,
    Clock,
    Heard,
    Secrets,
    committee_of,
    key_of_cosigner,
    key_of_log,
    open_desk,
)

__all__ = ["measure"]

ROUNDS = 20
ENTRIES = 16
_Message = AddCheckpointAsked | CheckpointAdded


async def measure(seed: int = 1) -> list[Figure]:
    """Publish checkpoints of `ENTRIES` new entries: of one log at a time, then of all seven at once."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with _circle(Path(folder)) as members:
            single = [await member.publish() for _ in range(ROUNDS) for member in members]
            together: list[float] = []
            for _ in range(ROUNDS):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(member.publish()) for member in members]
                together += [task.result() for task in tasks]
            threshold = quorum_of(members[0].document).threshold
            bare = [await asyncio.to_thread(_bare_s, Path(folder), threshold) for _ in range(ROUNDS)]
    floor_ms = 1e3 * quantile(bare, 0.5)
    return [
        Figure(
            f"checkpoint signed to {threshold} of {len(NAMES)} cosignatures and served, {name}, p{share}",
            1e3 * quantile(times, share / 100),
            "ms",
            floor=floor_ms,
            floor_name="ms of bare commits and signatures",
        )
        for name, times in (("one log", single), ("all logs at once", together))
        for share in (50, 99)
    ]


class _TimedLog(AuditLog):
    """Tells when a checkpoint is signed, and when it is served."""

    def __init__(self, journal: Journal, directory: Path, origin: str, log_key: bytes) -> None:
        super().__init__(journal, directory, origin, log_key)
        self.signed_at = 0.0
        self.served_at = 0.0
        self.served = asyncio.Event()

    async def sign(self, sign: Signer) -> LogCheckpoint:
        signed = await super().sign(sign)
        self.served.clear()  # what the turn published before were late cosignatures
        self.signed_at = perf_counter()
        return signed

    async def publish(
        self, checkpoint: Checkpoint, cosignatures: Sequence[NoteSignature], sign: Signer
    ) -> LogCheckpoint:
        published = await super().publish(checkpoint, cosignatures, sign)
        if checkpoint.size == self.signed_size and not self.served.is_set():
            self.served_at = perf_counter()
            self.served.set()
        return published


@dataclass
class _Member:
    """One node of the circle, as far as witnessing needs it."""

    document: CommitteeDocument
    secrets: Secrets
    journal: Journal
    log: _TimedLog
    desk: WitnessDesk
    lane: Lane
    publisher: Publisher | None = None
    _waiting: dict[tuple[bytes, Digest], asyncio.Future[tuple[int, bytes]]] = field(default_factory=dict)

    async def publish(self) -> float:
        """Append, sign, have it cosigned; gives the seconds from the signature to the served file."""
        assert self.publisher is not None
        new = envelopes(self.journal.log_size, ENTRIES)
        await self.journal.append([each.raw for each in new], new)
        await self.publisher.turn()
        async with asyncio.timeout(60):
            await self.log.served.wait()
        return self.log.served_at - self.log.signed_at

    async def hear(self) -> None:
        """Answer requests and take answers, for ever."""
        committees = Committees((self.document,))
        async for mail in self.lane:
            envelope, message = open_message(mail.frame, committees, at_s=BEGAN // 1_000)
            if isinstance(message, AddCheckpointAsked):
                answer = await self.desk.add_checkpoint(message.body)
                about = Digest(sha256(message.body))
                await self._say(CheckpointAdded(about, answer.status, answer.body), envelope.author)
            elif isinstance(message, CheckpointAdded):
                self._waiting[envelope.author, message.about].set_result((message.status, message.body))

    async def exchange(self, identity: Identity, raw: bytes) -> tuple[int, bytes]:
        waiting: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[identity, Digest(sha256(raw))] = waiting
        await self._say(AddCheckpointAsked(raw), identity)
        return await waiting

    async def _say(self, message: _Message, to: Identity) -> None:
        me = Identity(bytes(self.secrets.identity.verify_key))
        payload = payload_of(message, committee=self.document, author=me, at_ms=BEGAN)
        envelope, _ = seal(payload, self.secrets.identity.sign(signing_bytes(payload)).signature)
        await self.lane.send(to, envelope.raw)

    def witnesses(self) -> list[Witness]:
        """Give all members' desks: our own at once, the others over the lane."""
        return [
            _Asked(
                key_of_cosigner(self.document, name),
                self._own if name == self.secrets.name else self._by(name),
            )
            for name in sorted(NAMES, key=lambda name: name != self.secrets.name)
        ]

    async def _own(self, raw: bytes) -> tuple[int, bytes]:
        answer = await self.desk.add_checkpoint(raw)
        return answer.status, answer.body

    def _by(self, name: str) -> Callable[[bytes], Awaitable[tuple[int, bytes]]]:
        identity = Secrets(name).member().identity
        return lambda raw: self.exchange(identity, raw)


class _Couriers(asyncio.TaskGroup):
    """Remembers its tasks, which would go on for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[asyncio.Task[None]] = []

    def create_task(self, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = super().create_task(*args, **kwargs)
        self.tasks.append(task)
        return task


@dataclass(frozen=True)
class _Asked:
    key: VerifierKey
    how: Callable[[bytes], Awaitable[tuple[int, bytes]]]

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        return await self.how(raw)


@asynccontextmanager
async def _circle(home: Path) -> AsyncIterator[list[_Member]]:
    document = committee_of(NAMES)
    addresses = [f"/ip4/127.0.0.1/tcp/{port}" for port in free_ports(len(NAMES))]
    peers = tuple(
        LanePeer(Secrets(name).member().identity, (address,))
        for name, address in zip(NAMES, addresses, strict=True)
    )
    async with AsyncExitStack() as held:
        members: list[_Member] = []
        for name, listen in zip(NAMES, addresses, strict=True):
            config = LaneConfig(listen=listen, peers=peers, redial_max_s=0.5)
            members.append(await _member(home / name, document, name, config, held))
        async with asyncio.timeout(60):
            for member in members:
                await member.lane.wait_connected(len(NAMES) - 1)
        group = await held.enter_async_context(asyncio.TaskGroup())
        running = [group.create_task(member.hear()) for member in members]
        async with _Couriers() as couriers:
            for member in members:
                member.publisher = _publisher(member, couriers)
            for member in members:
                await member.publisher.turn()  # the tree of before is confirmed first
                await member.log.served.wait()
            yield members
            for task in (*running, *couriers.tasks):
                task.cancel()


async def _member(
    home: Path, document: CommitteeDocument, name: str, config: LaneConfig, held: AsyncExitStack
) -> _Member:
    secrets = Secrets(name)
    journal = await held.enter_async_context(
        Journal.open(home / "journal.sqlite", clock=lambda: BEGAN, limits=LIMITS)
    )
    log = await _TimedLog.open(
        journal,
        home / "log",
        origin=key_of_log(document, name).name,
        log_key=bytes(secrets.log.verify_key),
    )
    desk = await held.enter_async_context(open_desk(home / "witness.sqlite", document, name))
    seed = bytes(secrets.identity)
    lane = await held.enter_async_context(Lane.open(identity_seed=seed, config=config, store=Nothing()))
    return _Member(document, secrets, journal, log, desk, lane)


def _publisher(member: _Member, group: asyncio.TaskGroup) -> Publisher:
    async def sign(body: bytes) -> bytes:
        return bytes(member.secrets.log.sign(body).signature)

    heard = Heard()
    parts = PublisherParts(
        sign=sign,
        quorum=lambda: quorum_of(member.document),
        witnesses=member.witnesses,
        page=heard.pages.append,
        notice=heard.notice,
        clock=Clock(),
    )
    return Publisher(member.log, parts, group)


def _bare_s(home: Path, commits: int) -> float:
    key, body = SigningKey(bytes(32)), os.urandom(200)
    took_s = 0.0
    for number in range(commits):
        with closing(sqlite3.connect(home / f"bare-{number}.sqlite", isolation_level=None)) as bare:
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
                bare.execute(statement)
            bare.execute("CREATE TABLE IF NOT EXISTS t (bytes BLOB)")
            began = perf_counter()
            bare.execute("INSERT INTO t VALUES (?)", (body,))
            key.sign(body)
            took_s += perf_counter() - began
    began = perf_counter()
    replace_file(home / "bare", body)
    return took_s + perf_counter() - began
