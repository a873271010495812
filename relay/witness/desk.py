"""The witness: judges what it is to cosign, sees every checkpoint, finds forks, keeps debts (SPEC 1, 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.checkpoint import CheckpointError, parse_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import (
    NoteError,
    NoteSignature,
    VerifierKey,
    cosignature,
    parse_note,
    verify_note,
)
from proofs.tree import verify_consistency
from proofs.witness import Answer, accepted_answer, add_cosignatures, open_request
from relay.core.errors import JournalError, TocsinError
from relay.core.types import Millis
from relay.witness.store import (
    MAX_DEBTS,
    MAX_SEEN,
    CosignedRow,
    ForkRow,
    SeenRow,
    Sighting,
    WitnessStore,
    log_name,
    plain_note,
    two_roots,
)

__all__ = ["ASK_AFTER_MS", "ASK_EVERY_MS", "OWES_AFTER_MS", "Debt", "DeskParts", "WitnessDesk"]

ASK_AFTER_MS: Final = 10_000
"""A log's own next request may prove what we saw of it elsewhere: so long we wait before we ask."""
ASK_EVERY_MS: Final = 60_000
OWES_AFTER_MS: Final = 60_000
"""From when a checkpoint was seen until its log, which has not proved it consistent, is not cosigned."""


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What the desk is made of beside its disk."""

    logs: Callable[[], Mapping[str, Sequence[VerifierKey]]]
    """The log keys that are witnessed, by origin."""
    names: Callable[[], Sequence[VerifierKey]]
    """The names under which our cosigner's key signs."""
    cosign: Callable[[bytes, int], Awaitable[bytes]]
    """Gives the signature of our cosigner's key over a checkpoint body and a time in seconds."""
    is_convicted: Callable[[VerifierKey], bool]
    """Tells whether members have shown a fork of this log."""
    found: Callable[[ForkRow], Awaitable[None]]
    """Told of each fork that is found here."""
    page: Callable[[str], None]
    notice: Callable[[str, Mapping[str, str | int]], None]
    clock: Callable[[], Millis]


@dataclass(frozen=True, slots=True)
class Debt:
    """A checkpoint that a log has signed and that nothing joins to what we cosigned of it.

    `owes` tells that the log has had its time: it is not cosigned until it proves it.
    """

    key: VerifierKey
    size: int
    root: Digest
    since_ms: Millis
    owes: bool


class WitnessDesk:
    """One node's witness. Without a store, or with one that has failed, it cosigns nothing."""

    def __init__(self, store: WitnessStore | None, parts: DeskParts) -> None:
        self._store = store
        self._parts = parts
        self._cosigned: dict[str, CosignedRow] = {}
        self._roots: dict[str, dict[int, Digest]] = {}
        """The checkpoints kept of each log: root by size."""
        self._unproved: dict[str, dict[int, SeenRow]] = {}
        """Those of them that nothing joins to what was cosigned."""
        self._forks: dict[str, ForkRow] = {}
        self._false: set[tuple[str, int]] = set()
        """Debts for which the log gave a proof that proves nothing."""
        self._told: set[tuple[str, int]] = set()
        self._asked_ms: dict[tuple[str, int], Millis] = {}
        self._changed: dict[VerifierKey, None] = {}

    async def load(self) -> None:
        """Read what was held when the process before this one ended.

        Raises:
            JournalError: the disk refuses.
        """
        assert self._store is not None, "nothing to read from"
        self._cosigned = await self._store.cosigned()
        for log, rows in (await self._store.seen()).items():
            self._roots[log] = {size: row.checkpoint.root for size, row in rows.items()}
            self._unproved[log] = {size: row for size, row in rows.items() if not row.is_proved}
        self._forks = await self._store.forks()

    @property
    def is_working(self) -> bool:
        """Tell whether this witness can cosign at all."""
        return self._store is not None

    # ---- requests

    async def add_checkpoint(self, raw: bytes) -> Answer:
        """Answer a request (`proofs/SPEC.md` 12); what it changes is on disk before this returns."""
        if self._store is None:
            return Answer(503, b"this witness has no disk to remember by\n")
        opened = open_request(raw, self._parts.logs())
        if isinstance(opened, Answer):
            return opened
        note = plain_note(opened.note, opened.key)
        sighting = Sighting(opened.key, opened.checkpoint, note, self._parts.clock())
        try:
            added = await self._store.add(
                opened, sighting, self._parts.clock() // 1_000, self._refusal(opened.key)
            )
        except JournalError as error:
            self.fail(error)
            return Answer(503, b"this witness's disk refuses\n")
        await self._note(sighting, added.fork)
        log = log_name(opened.key)
        if added.is_proved:
            self._mark_proved(log, opened.checkpoint.size)
        if isinstance(added.outcome, Answer):
            return added.outcome
        self._cosigned[log] = added.outcome
        self._changed[opened.key] = None
        return accepted_answer(await self._lines(added.outcome))

    def _refusal(self, key: VerifierKey) -> Answer | None:
        """Say why a log is not cosigned although its request is right."""
        if self._is_forked(key):
            return two_roots(key)
        owed = [str(debt.size) for debt in self._debts_of(key) if debt.owes]
        if owed:
            text = f"{key.name} owes a consistency proof with size {', '.join(owed)}\n"
            return Answer(403, text.encode())
        return None

    async def _lines(self, row: CosignedRow) -> list[NoteSignature]:
        body = parse_note(row.note).text.encode()
        signature = await self._parts.cosign(body, row.at_s)
        return [cosignature(name, row.at_s, signature) for name in self._parts.names()]

    # ---- what is seen

    async def see(self, raw: str) -> VerifierKey | None:
        """Take a signed checkpoint from wherever it came; gives the log's key, or None if it is of none."""
        if self._store is None:
            return None
        found = self._sighting(raw)
        if found is None:
            return None
        if self._roots.get(log_name(found.key), {}).get(found.checkpoint.size) == found.checkpoint.root:
            return found.key
        try:
            fork = await self._store.see(found)
        except JournalError as error:
            self.fail(error)
            return found.key
        await self._note(found, fork)
        return found.key

    def _sighting(self, raw: str) -> Sighting | None:
        try:
            note = parse_note(raw)
            checkpoint = parse_checkpoint(note.text)
            keys = self._parts.logs().get(checkpoint.origin, ())
            key = verify_note(note, keys)[0].key
        except (NoteError, CheckpointError):
            return None
        return Sighting(key, checkpoint, plain_note(note, key), self._parts.clock())

    async def _note(self, sighting: Sighting, fork: ForkRow | None) -> None:
        """Take into memory what the disk has taken."""
        log, checkpoint = log_name(sighting.key), sighting.checkpoint
        if fork is not None:
            if log not in self._forks:
                self._forks[log] = fork
                await self._parts.found(fork)
            return
        held = self._cosigned.get(log)
        if held is not None and held.held.size == checkpoint.size:
            return  # there may have been no room to keep it among what was seen: it is no debt for that
        kept, unproved = self._roots.setdefault(log, {}), self._unproved.setdefault(log, {})
        if not checkpoint.size or checkpoint.size in kept or len(unproved) >= MAX_DEBTS:
            return
        if len(kept) >= MAX_SEEN:
            del kept[next(size for size in kept if size not in unproved)]
        kept[checkpoint.size] = checkpoint.root
        unproved[checkpoint.size] = SeenRow(checkpoint, sighting.note, sighting.at_ms, is_proved=False)

    def _is_forked(self, key: VerifierKey) -> bool:
        return log_name(key) in self._forks or self._parts.is_convicted(key)

    async def tell_forks(self) -> None:
        """Tell again of the forks that nobody has taken: a crash may have come before they were told."""
        for key, fork in self.forks().items():
            if not self._parts.is_convicted(key):
                await self._parts.found(fork)

    # ---- debts

    def debts(self) -> list[Debt]:
        """Give what logs have not proved, of those of which we cosigned entries."""
        return [debt for key in self._keys() for debt in self._debts_of(key)]

    def _debts_of(self, key: VerifierKey) -> list[Debt]:
        log, now_ms = log_name(key), self._parts.clock()
        held = self._cosigned.get(log)
        # Every history continues the empty one: there is nothing yet to be joined to, nor a proof to ask for.
        if held is None or not held.held.size or self._is_forked(key):
            return []
        return [
            Debt(
                key=key,
                size=size,
                root=row.checkpoint.root,
                since_ms=row.at_ms,
                owes=now_ms - row.at_ms >= OWES_AFTER_MS or (log, size) in self._false,
            )
            for size, row in self._unproved.get(log, {}).items()
        ]

    def ask_now(self, can_ask: Callable[[VerifierKey], bool]) -> list[tuple[VerifierKey, int, int]]:
        """Give what is to be asked now: a log, and the two sizes between which it is to prove consistency.

        Says once of each log that owes a proof that it does.
        """
        now_ms, wanted = self._parts.clock(), list[tuple[VerifierKey, int, int]]()
        for debt in self.debts():
            log = log_name(debt.key)
            name = (log, debt.size)
            if debt.owes and name not in self._told:
                self._told.add(name)
                self._parts.notice("log owes a proof", {"log": debt.key.name, "size": debt.size})
            asked_ms = self._asked_ms.get(name)
            due_ms = debt.since_ms + ASK_AFTER_MS if asked_ms is None else asked_ms + ASK_EVERY_MS
            if now_ms < due_ms or not can_ask(debt.key):
                continue
            self._asked_ms[name] = now_ms
            held = self._cosigned[log].held.size
            wanted.append((debt.key, min(held, debt.size), max(held, debt.size)))
        return wanted

    async def proved(self, key: VerifierKey, sizes: tuple[int, int], proof: Sequence[Digest]) -> None:
        """Take the consistency proof that a log gave between two sizes: one held, the other owed."""
        log, (first, second) = log_name(key), sizes
        known, unproved = dict(self._roots.get(log, {})), self._unproved.get(log, {})
        row = self._cosigned.get(log)
        if row is not None:
            known[row.held.size] = row.held.root
        debts = [size for size in sizes if size in unproved]
        if self._store is None or len(debts) != 1 or not {first, second} <= known.keys():
            return
        try:
            verify_consistency((first, known[first]), (second, known[second]), proof)
        except ProofError:
            self._false.add((log, debts[0]))
            return
        try:
            await self._store.prove(log, (debts[0],))
        except JournalError as error:
            self.fail(error)
            return
        self._mark_proved(log, debts[0])

    def _mark_proved(self, log: str, size: int) -> None:
        self._unproved.get(log, {}).pop(size, None)
        self._false.discard((log, size))
        self._asked_ms.pop((log, size), None)
        if (log, size) in self._told:
            self._told.discard((log, size))
            self._parts.notice("log has proved what it owed", {"log": log.partition("+")[0], "size": size})

    # ---- questions

    @property
    def has_changed(self) -> bool:
        """Tell whether something was cosigned since `take_changed`."""
        return bool(self._changed)

    def take_changed(self) -> list[VerifierKey]:
        """Give the logs of which something was cosigned since this was last asked."""
        changed, self._changed = self._changed, {}
        return list(changed)

    def held(self) -> dict[VerifierKey, CosignedRow]:
        """Give what we cosigned last of each log that is witnessed."""
        found = ((key, self._cosigned.get(log_name(key))) for key in self._keys())
        return {key: row for key, row in found if row is not None}

    def forks(self) -> dict[VerifierKey, ForkRow]:
        """Give the forks that were found here."""
        found = ((key, self._forks.get(log_name(key))) for key in self._keys())
        return {key: fork for key, fork in found if fork is not None}

    async def cosigned_note(self, key: VerifierKey) -> str | None:
        """Give the newest checkpoint of a log that we cosigned, with our cosignature."""
        row = self._cosigned.get(log_name(key))
        return None if row is None else add_cosignatures(row.note, await self._lines(row))

    def _keys(self) -> list[VerifierKey]:
        return [key for keys in self._parts.logs().values() for key in keys]

    def fail(self, error: TocsinError) -> None:
        """Cosign nothing from now on: what is not remembered could be contradicted."""
        self._store = None
        self._parts.page(f"this node's witness stops: {error}")
