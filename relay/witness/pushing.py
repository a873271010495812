"""The log's side: each checkpoint to all witnesses, and to the world once enough have cosigned (SPEC 2).

A process begins with the tree that was recorded last. Until a quorum has cosigned that one, nothing new is
signed: two quorums share an honest member, so that whoever has seen more of this log says so in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from proofs.checkpoint import Checkpoint, parse_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import Note, NoteSignature, VerifierKey, is_timely, parse_note, verify_note
from proofs.witness import (
    AddCheckpoint,
    Cosigned,
    Refused,
    WrongSize,
    format_add_checkpoint,
    read_answer,
)
from relay.core.types import Millis
from relay.witness.logs import Quorum

__all__ = [
    "PATIENCE_MS",
    "Log",
    "Missing",
    "Publisher",
    "PublisherParts",
    "Signed",
    "Witness",
    "WitnessSilent",
]

PATIENCE_MS: Final = 5_000
"""So long a checkpoint may gather cosignatures before a newer one takes its place."""
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 60.0
_MOST_TURNS: Final = 4
"""Requests to one witness for one checkpoint, each from the size that it named in its last answer."""


class WitnessSilent(Exception):
    """A witness gives no answer; says why."""


class Signed(Protocol):
    """A checkpoint of our log, pending or published, as a note."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def note(self) -> str: ...


class Log(Protocol):
    """Our own log: `relay.journal.AuditLog`."""

    @property
    def signed_size(self) -> int: ...

    @property
    def published(self) -> Signed | None: ...

    async def sign(self, sign: Callable[[bytes], Awaitable[bytes]]) -> Signed: ...

    async def sign_recorded(self, sign: Callable[[bytes], Awaitable[bytes]]) -> Signed: ...

    async def publish(
        self,
        checkpoint: Checkpoint,
        cosignatures: Sequence[NoteSignature],
        sign: Callable[[bytes], Awaitable[bytes]],
    ) -> Signed: ...

    async def root(self, size: int) -> Digest: ...

    async def consistency_proof(self, first: int, second: int) -> tuple[Digest, ...]: ...


class Witness(Protocol):
    """Whoever may cosign: a member on the lane, ourselves, or a stranger over HTTP."""

    @property
    def key(self) -> VerifierKey: ...

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Give status and body of the answer; raises `WitnessSilent`."""
        ...


@dataclass(frozen=True, slots=True)
class PublisherParts:
    """What the publisher is made of beside its log."""

    sign: Callable[[bytes], Awaitable[bytes]]
    """The signature of the log's key over a checkpoint body."""
    quorum: Callable[[], Quorum]
    """That of the committee document in force."""
    witnesses: Callable[[], Sequence[Witness]]
    """Whom to ask now."""
    page: Callable[[str], None]
    notice: Callable[[str, Mapping[str, str | int]], None]
    clock: Callable[[], Millis]


@dataclass(frozen=True, slots=True)
class Missing:
    """A witness that has not cosigned the newest checkpoint; `since_ms` is when it was first wanted."""

    key: VerifierKey
    since_ms: Millis
    reason: str


@dataclass(slots=True)
class _Pending:
    """A checkpoint that gathers cosignatures."""

    signed: Signed
    began_ms: Millis
    lines: dict[VerifierKey, NoteSignature] = field(default_factory=dict)
    published: int = -1
    """How many of the lines are published; -1 before the quorum."""


@dataclass(slots=True)
class _Courier:
    """What we know of one witness: the size that it last named, and how long it has not cosigned."""

    witness: Witness
    size: int = 0
    wait_s: float = 0.0
    since_ms: Millis | None = None
    reason: str = "not asked yet"
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Publisher:
    """Signs, gathers, publishes. `turn` is called at the checkpoint interval; `group` asks the witnesses."""

    def __init__(self, log: Log, parts: PublisherParts, group: asyncio.TaskGroup) -> None:
        self._log = log
        self._parts = parts
        self._group = group
        self._couriers: dict[VerifierKey, _Courier] = {}
        self._pending: _Pending | None = None
        self._is_confirmed = False
        self._claimed: set[tuple[VerifierKey, int]] = set()
        self.stopped = ""
        """Why this log signs nothing more; empty while it does."""

    @property
    def pending(self) -> Signed | None:
        """The checkpoint that gathers cosignatures, or has them."""
        return None if self._pending is None else self._pending.signed

    def cosigned_by(self) -> tuple[VerifierKey, ...]:
        """Give who has cosigned the newest checkpoint, in this process."""
        return () if self._pending is None else tuple(self._pending.lines)

    def waiting_ms(self) -> int:
        """Give for how long the newest checkpoint has waited for its quorum; 0 once it is published."""
        pending = self._pending
        if pending is None or pending.published >= 0:
            return 0
        return max(0, self._parts.clock() - pending.began_ms)

    def witnesses(self) -> tuple[VerifierKey, ...]:
        """Give whom this log asks, in that order."""
        return tuple(self._couriers)

    def missing(self) -> list[Missing]:
        """Give who has not cosigned the newest checkpoint, in the order in which they are asked."""
        have = self.cosigned_by()
        return [
            Missing(key, courier.since_ms, courier.reason)
            for key, courier in self._couriers.items()
            if key not in have and courier.since_ms is not None
        ]

    async def turn(self) -> None:
        """Sign what became releasable, if its time has come, and publish cosignatures that came late.

        Raises:
            ConfigError, JournalError: as the log's methods.
        """
        if self.stopped:
            return
        self._meet()
        pending = self._pending
        if pending is None:
            self._begin(await self._log.sign_recorded(self._parts.sign))
            return
        await self._publish(pending)
        if self._may_replace(pending):
            signed = await self._log.sign(self._parts.sign)
            if signed.checkpoint != pending.signed.checkpoint:
                self._begin(signed)

    def wake(self, key: VerifierKey) -> None:
        """Ask this witness at once: it can be reached again."""
        courier = self._couriers.get(key)
        if courier is not None:
            courier.wait_s = 0.0
            courier.wake.set()

    async def heard(self, note: str) -> None:
        """Take the cosignatures of a checkpoint that somebody shows; that our log signed it was checked.

        One of which this disk knows nothing shows that it is older than what this log has signed: it stops.
        """
        parsed = parse_note(note)
        shown, pending = parse_checkpoint(parsed.text), self._pending
        size = shown.size
        if size > self._log.signed_size or shown.root != await self._log.root(size):
            self.stop(f"a checkpoint of size {size} is shown that it signed and this disk does not know")
            return
        # SECURITY: a cosignature that is shown may be an old one: it does not tell what its witness knows.
        if pending is None or pending.signed.checkpoint != shown or not self._is_confirmed:
            return
        for key in self._couriers.keys() - pending.lines.keys():
            named = (line for line in parsed.signatures if (line.name, line.key_id) == (key.name, key.key_id))
            line = next(named, None)
            if line is not None and self._is_right(parsed, key):
                await self._took(pending, key, line)

    def _is_right(self, shown: Note, key: VerifierKey) -> bool:
        """Tell whether readers will count the cosignature of `key` under a note, of which there is a line."""
        try:
            at_s = verify_note(shown, [key])[0].at_s
        except ProofError:
            return False
        return at_s is not None and is_timely(at_s, self._parts.clock() // 1_000)

    # ---- one checkpoint

    def _may_replace(self, pending: _Pending) -> bool:
        if pending.published >= 0:
            return True
        return self._is_confirmed and self._parts.clock() - pending.began_ms >= PATIENCE_MS

    def _begin(self, signed: Signed) -> None:
        now_ms = self._parts.clock()
        self._pending = _Pending(signed, now_ms)
        for courier in self._couriers.values():
            courier.since_ms = now_ms if courier.since_ms is None else courier.since_ms
            courier.wake.set()

    async def _took(self, pending: _Pending, key: VerifierKey, line: NoteSignature) -> None:
        pending.lines[key] = line
        courier = self._couriers.get(key)
        if courier is not None:
            courier.since_ms, courier.wait_s = None, 0.0
        # What comes after the quorum is added at the next turn, all at once.
        if pending.published < 0:
            await self._publish(pending)

    async def _publish(self, pending: _Pending) -> None:
        keys = tuple(pending.lines)
        if self.stopped or len(keys) <= pending.published or not self._parts.quorum().is_reached(keys):
            return
        pending.published = len(keys)
        await self._log.publish(pending.signed.checkpoint, list(pending.lines.values()), self._parts.sign)
        self._is_confirmed = True

    def stop(self, reason: str) -> None:
        """Sign nothing more, and say so: this disk is older than what the log has signed."""
        if not self.stopped:
            self.stopped = reason
            text = f"this node's log signs nothing more: {reason}; give it a new home and a new key"
            self._parts.page(text)

    # ---- witnesses

    def _meet(self) -> None:
        """Begin to ask those who became witnesses, and leave those who are none any more."""
        wanted = {witness.key: witness for witness in self._parts.witnesses()}
        for key in self._couriers.keys() - wanted.keys():
            left = self._couriers.pop(key).task
            if left is not None:
                left.cancel()
        for key, witness in wanted.items():
            if key not in self._couriers:
                courier = _Courier(witness)
                courier.since_ms = None if self._pending is None else self._parts.clock()
                self._couriers[key] = courier
                courier.task = self._group.create_task(self._ask_for_ever(courier), name=f"ask {key.name}")

    async def _ask_for_ever(self, courier: _Courier) -> None:
        while True:
            courier.wake.clear()
            pending = self._pending
            if pending is None or courier.witness.key in pending.lines or self.stopped:
                await courier.wake.wait()
                continue
            await self._ask(courier, pending)
            if courier.witness.key in pending.lines or self._pending is not pending:
                continue
            courier.wait_s = min(_LONGEST_WAIT_S, courier.wait_s * 2 or _FIRST_WAIT_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(courier.wait_s):
                    await courier.wake.wait()

    async def _ask(self, courier: _Courier, pending: _Pending) -> None:
        """Ask for one cosignature, from the size that the witness last named; once more from another."""
        checkpoint, key = pending.signed.checkpoint, courier.witness.key
        for _ in range(_MOST_TURNS):
            old = min(courier.size, checkpoint.size)
            proof = await self._log.consistency_proof(old, checkpoint.size)
            raw = format_add_checkpoint(AddCheckpoint(old, proof, pending.signed.note))
            try:
                status, body = await courier.witness.ask(raw)
            except WitnessSilent as silence:
                courier.reason = str(silence)
                return
            now_s = self._parts.clock() // 1_000
            match read_answer(status, body, (checkpoint, key), now_s=now_s):
                case Cosigned(line):
                    courier.size = checkpoint.size
                    await self._took(pending, key, line)
                    return
                case WrongSize(held) if held <= checkpoint.size and held != old:
                    courier.size = held
                case WrongSize(held):
                    self._claim(courier, held)
                    return
                case Refused(refused, reason):
                    courier.reason = f"{refused}: {reason}"
                    return
        courier.reason = "it names another size each time"

    def _claim(self, courier: _Courier, held: int) -> None:
        """Take note that a witness names a size above ours; only a note with our signature shows it."""
        courier.reason = f"it says that it holds size {held}"
        claim = (courier.witness.key, held)
        if held > self._log.signed_size and claim not in self._claimed and len(self._claimed) < 256:
            self._claimed.add(claim)
            name = courier.witness.key.name
            self._parts.notice("witness names a size above ours", {"witness": name, "size": held})
