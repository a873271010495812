"""Four members and more with real keys: their logs, honest or not, and their witnesses on real disks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.committee import (
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    build_committee,
    cosigner_key,
    log_key,
)
from proofs.kinds import Address, Digest, Identity
from proofs.note import (
    Note,
    NoteSignature,
    VerifierKey,
    cosigned_bytes,
    format_note,
    note_signature,
)
from proofs.tree import consistency_proof, leaf_digest, node_digest, root_at
from proofs.witness import AddCheckpoint, add_cosignatures, format_add_checkpoint
from relay.core.types import Millis
from relay.disk import Probe, no_probe
from relay.witness.desk import DeskParts, WitnessDesk
from relay.witness.logs import names_of_cosigner, quorum_of, witnessed_logs
from relay.witness.pushing import Publisher, PublisherParts, Witness, WitnessSilent
from relay.witness.store import ForkRow, WitnessStore

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
BEGAN = Millis(1_700_000_000_000)


@dataclass
class Clock:
    """A clock that stands until somebody moves it."""

    now_ms: Millis = BEGAN

    def __call__(self) -> Millis:
        return self.now_ms

    def forward(self, ms: int) -> None:
        self.now_ms = Millis(self.now_ms + ms)


@dataclass(frozen=True)
class Secrets:
    """A member's keys, from its name."""

    name: str

    @cached_property
    def identity(self) -> SigningKey:
        return self._key("identity")

    @cached_property
    def log(self) -> SigningKey:
        return self._key("log")

    @cached_property
    def cosigner(self) -> SigningKey:
        return self._key("cosigner")

    def _key(self, use: str) -> SigningKey:
        return SigningKey(sha256(f"witness tests: {use} of {self.name}".encode()).digest())

    def member(self) -> CommitteeMember:
        return CommitteeMember(
            identity=Identity(bytes(self.identity.verify_key)),
            attester=Address(sha256(f"attester of {self.name}".encode()).digest()[:20]),
            log=bytes(self.log.verify_key),
            cosigner=bytes(self.cosigner.verify_key),
            name=self.name,
            operator=self.name,
            addresses=(),
            providers={},
        )


def committee_of(names: Sequence[str] = NAMES[:4], network: str = "net") -> CommitteeDocument:
    """Give the first committee document of a network of these members."""
    members = tuple(Secrets(name).member() for name in names)
    return build_committee(CommitteeStatement(network, 1, 1, 1_600_000_000, True, None, members))


def key_of_log(document: CommitteeDocument, name: str) -> VerifierKey:
    return log_key(document, next(each for each in document.members if each.name == name))


def key_of_cosigner(document: CommitteeDocument, name: str) -> VerifierKey:
    return cosigner_key(document, next(each for each in document.members if each.name == name))


@dataclass(frozen=True)
class Story:
    """What a log says that it holds: its entries, under its key. Two stories of one log are a lie."""

    key: VerifierKey
    secret: SigningKey
    entries: tuple[bytes, ...]

    def grown(self, *more: bytes) -> Story:
        return Story(self.key, self.secret, self.entries + more)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        count = len(self.entries) if size is None else size
        return Checkpoint(self.key.name, count, root_at(count, self._node))

    def note(self, size: int | None = None) -> str:
        text = checkpoint_text(self.checkpoint(size))
        line = note_signature(self.key, self.secret.sign(text.encode()).signature)
        return format_note(Note(text, (line,)))

    def proof(self, first: int, second: int) -> tuple[Digest, ...]:
        return consistency_proof(first, second, self._node)

    def request(self, old: int = 0, size: int | None = None) -> bytes:
        """Give the body that asks to cosign this story up to a size."""
        count = len(self.entries) if size is None else size
        return format_add_checkpoint(AddCheckpoint(old, self.proof(old, count), self.note(count)))

    @cached_property
    def _nodes(self) -> dict[tuple[int, int], Digest]:
        return {}

    def _node(self, level: int, index: int) -> Digest:
        if level == 0:
            return leaf_digest(self.entries[index])
        place = (level, index)
        if place not in self._nodes:
            left, right = (self._node(level - 1, 2 * index + side) for side in (0, 1))
            self._nodes[place] = node_digest(left, right)
        return self._nodes[place]


def story_of(document: CommitteeDocument, name: str, size: int, version: str = "") -> Story:
    entries = tuple(f"{name} {version} {number}".encode() for number in range(size))
    return Story(key_of_log(document, name), Secrets(name).log, entries)


# ---- witnesses


@dataclass
class Heard:
    """What a desk or a publisher told its node."""

    forks: list[ForkRow] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    notices: list[tuple[str, Mapping[str, str | int]]] = field(default_factory=list)

    async def found(self, fork: ForkRow) -> None:
        self.forks.append(fork)

    def notice(self, name: str, facts: Mapping[str, str | int]) -> None:
        self.notices.append((name, facts))


@asynccontextmanager
async def open_desk(
    path: Path,
    document: CommitteeDocument,
    name: str,
    *,
    clock: Clock | None = None,
    heard: Heard | None = None,
    probe: Probe = no_probe,
    convicted: Callable[[VerifierKey], bool] = lambda _: False,
) -> AsyncIterator[WitnessDesk]:
    """Open the witness of a member on the file `path`."""
    secret, member = Secrets(name).cosigner, Secrets(name).member()
    told = Heard() if heard is None else heard

    async def cosign(body: bytes, at_s: int) -> bytes:
        return bytes(secret.sign(cosigned_bytes(body.decode(), at_s)).signature)

    parts = DeskParts(
        logs=lambda: witnessed_logs([document]),
        names=lambda: names_of_cosigner([document], member.identity, member.cosigner),
        cosign=cosign,
        is_convicted=convicted,
        found=told.found,
        page=told.pages.append,
        notice=told.notice,
        clock=Clock() if clock is None else clock,
    )
    async with WitnessStore.open(path, document.network, probe=probe) as store:
        desk = WitnessDesk(store, parts)
        await desk.load()
        yield desk


# ---- a log's side


@dataclass
class MemoryLog:
    """An honest log that keeps nothing: what `relay.journal.AuditLog` does, in memory."""

    story: Story
    recorded: int = 0
    published: SignedNote | None = None
    files: list[str] = field(default_factory=list)
    """Every version of what is served."""

    @property
    def key(self) -> VerifierKey:
        return self.story.key

    @property
    def signed_size(self) -> int:
        return self.recorded

    async def sign(self, sign: Callable[[bytes], Awaitable[bytes]]) -> SignedNote:
        del sign
        self.recorded = len(self.story.entries)
        return SignedNote(self.story.checkpoint(), self.story.note())

    async def sign_recorded(self, sign: Callable[[bytes], Awaitable[bytes]]) -> SignedNote:
        del sign
        return SignedNote(self.story.checkpoint(self.recorded), self.story.note(self.recorded))

    async def publish(
        self,
        checkpoint: Checkpoint,
        cosignatures: Sequence[NoteSignature],
        sign: Callable[[bytes], Awaitable[bytes]],
    ) -> SignedNote:
        del sign
        note = add_cosignatures(self.story.note(checkpoint.size), cosignatures)
        self.published = SignedNote(checkpoint, note)
        self.files.append(note)
        return self.published

    async def root(self, size: int) -> Digest:
        return self.story.checkpoint(size).root

    async def consistency_proof(self, first: int, second: int) -> tuple[Digest, ...]:
        if second > len(self.story.entries):
            raise KeyError((first, second))
        return self.story.proof(first, second)


@dataclass(frozen=True)
class SignedNote:
    checkpoint: Checkpoint
    note: str


@dataclass
class Door:
    """A witness as a log reaches it; may be shut."""

    key: VerifierKey
    desk: WitnessDesk
    is_shut: bool = False
    asked: list[bytes] = field(default_factory=list)

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        self.asked.append(raw)
        if self.is_shut:
            raise WitnessSilent("shut")
        answer = await self.desk.add_checkpoint(raw)
        return answer.status, answer.body


async def no_signature(_body: bytes) -> bytes:
    raise AssertionError("a log of these tests signs by itself")


def publisher_of(
    log: MemoryLog,
    document: CommitteeDocument,
    witnesses: Sequence[Witness],
    group: asyncio.TaskGroup,
    *,
    clock: Clock | None = None,
    heard: Heard | None = None,
) -> Publisher:
    told = Heard() if heard is None else heard
    parts = PublisherParts(
        sign=no_signature,
        quorum=lambda: quorum_of(document),
        witnesses=lambda: witnesses,
        page=told.pages.append,
        notice=told.notice,
        clock=Clock() if clock is None else clock,
    )
    return Publisher(log, parts, group)


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Let other tasks and threads run until something holds."""
    try:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - writer threads of SQLite set no event of ours
                await asyncio.sleep(0.001)
    except TimeoutError as error:
        raise AssertionError(f"within 10 s: {what}") from error


__all__ = [
    "BEGAN",
    "NAMES",
    "Clock",
    "Door",
    "Heard",
    "MemoryLog",
    "Secrets",
    "SignedNote",
    "Story",
    "committee_of",
    "key_of_cosigner",
    "key_of_log",
    "open_desk",
    "publisher_of",
    "story_of",
    "until",
]
