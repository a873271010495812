"""What durability costs: appends and guarded signatures per second, beside bare SQLite and bare ECDSA.

    python -m tests.bench.log

A batch of n is one call with n events and the envelopes they brought, as the node's pump makes it; "callers"
are n tasks that wait together with one each, and so share a commit. Ratios are taken within one run, turn by
turn, because the disk's own speed changes from minute to minute. The floor is bare SQLite that is as durable
(WAL, FULL): one table without index, one transaction a batch, the bytes that the call is given, each event
and its envelope. As events hold their envelopes, the journal stores those bytes once; `share_of_bare_events`
is by a floor that also does.
"""

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import coincurve
from nacl.signing import SigningKey

from proofs.hashes import keccak256, sha256
from proofs.kinds import DecisionId, NetworkId, PlanHash
from proofs.mandate import Mandate, Op, Tier, mandate_digest
from relay.core.types import Millis
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope
from relay.keys import KdfCost, Secret, generate, open_signer

BATCHES = (1, 16, 256)
ROUNDS = 7
APPENDS = {1: 60, 16: 640, 256: 2_560}
"""In one round: long enough for some dozen commits, short enough for the whole to take seconds."""
ENVELOPE_BYTES = 900
_LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)

Figures = dict[str, object]


def run() -> Figures:
    """Measure, and give the figures by name."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        return asyncio.run(_run(Path(directory)))


async def _run(home: Path) -> Figures:
    journal = await _journal(home)
    guard = await _guard(home)
    return {
        "schema": "tocsin/bench/log/1",
        "envelope_bytes": ENVELOPE_BYTES,
        "journal": journal,
        "audit_log": await _audit_log(home),
        "guard": guard,
    }


class _Envelopes:
    """An endless supply of distinct envelopes."""

    def __init__(self) -> None:
        self._count = 0

    def take(self, entry: LogEntry = LogEntry.HELD) -> StoredEnvelope:
        self._count += 1
        raw = self._count.to_bytes(8, "big") * (ENVELOPE_BYTES // 8)
        return StoredEnvelope(raw, sha256(raw), Millis(1), entry)


async def _journal(home: Path) -> Figures:
    """Events with the envelope they bring, against the same bytes and batches in a bare table."""
    measured: dict[int, list[tuple[float, ...]]] = {batch: [] for batch in BATCHES}
    envelopes = _Envelopes()
    with _bare(home / "bare.sqlite") as bare, _bare(home / "events.sqlite") as once:
        async with Journal.open(home / "journal.sqlite", clock=lambda: Millis(0), limits=_LIMITS) as journal:
            for _ in range(ROUNDS):
                for batch in BATCHES:
                    items = [envelopes.take() for _ in range(APPENDS[batch])]
                    both = [(row,) for item in items for row in (_event(item), item.raw)]
                    floor = _bare_rate(bare, both, 2 * batch) / 2
                    floor_once = _bare_rate(once, [(_event(item),) for item in items], batch)
                    rate = await _append_rate(journal, items, batch)
                    rate_of_callers = await _callers_rate(journal, envelopes, batch)
                    measured[batch].append((rate, rate / floor, rate / floor_once, rate_of_callers / floor))
    names = ("appends_per_s", "share_of_bare_sqlite", "share_of_bare_events", "share_with_callers")
    return {
        f"batch_{batch}": {
            name: round(median(column), 3)
            for name, column in zip(names, zip(*measured[batch], strict=True), strict=True)
        }
        for batch in BATCHES
    }


def _event(envelope: StoredEnvelope) -> bytes:
    """Give the size and place of what the core writes (core SPEC 7.1)."""
    return b"received" + envelope.raw + bytes(9)


def _bare(path: Path) -> closing[sqlite3.Connection]:
    bare = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE t (bytes BLOB)",
    ):
        bare.execute(statement)
    return closing(bare)


def _bare_rate(bare: sqlite3.Connection, rows: list[tuple[bytes]], batch: int) -> float:
    began = perf_counter()
    for first in range(0, len(rows), batch):
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany("INSERT INTO t VALUES (?)", rows[first : first + batch])
        bare.execute("COMMIT")
    return len(rows) / (perf_counter() - began)


async def _append_rate(journal: Journal, items: list[StoredEnvelope], batch: int) -> float:
    calls = [
        (
            [_event(item) for item in items[first : first + batch]],
            [replace(item, in_event=place) for place, item in enumerate(items[first : first + batch])],
        )
        for first in range(0, len(items), batch)
    ]
    began = perf_counter()
    for events, envelopes in calls:
        await journal.append(events, envelopes)
    return len(items) / (perf_counter() - began)


async def _callers_rate(journal: Journal, envelopes: _Envelopes, batch: int) -> float:
    items = [replace(envelopes.take(), in_event=0) for _ in range(APPENDS[batch])]
    events = [_event(item) for item in items]
    return await _rate(len(items), batch, lambda n: journal.append([events[n]], [items[n]]))


async def _audit_log(home: Path) -> Figures:
    """Entries appended, released, and published with tiles and a signed checkpoint for each batch."""
    key = SigningKey(bytes(32))

    async def sign(body: bytes) -> bytes:
        return bytes(key.sign(body).signature)

    figures: Figures = {}
    envelopes = _Envelopes()
    async with Journal.open(home / "published.sqlite", clock=lambda: Millis(0), limits=_LIMITS) as journal:
        log = await AuditLog.open(journal, home / "log", origin="net/alice", log_key=bytes(key.verify_key))
        for batch in BATCHES:
            publications = 10
            began = perf_counter()
            for _ in range(publications):
                items = [envelopes.take(LogEntry.RELEASED) for _ in range(batch)]
                await journal.append([item.raw for item in items], items)
                await log.publish((await log.sign(sign)).checkpoint, (), sign)
            figures[f"batch_{batch}_entries_per_s"] = round(publications * batch / (perf_counter() - began))
    return figures


async def _guard(home: Path) -> Figures:
    """Mandates signed through the guard, against bare ECDSA signatures over the same digests."""
    cost, passphrase = KdfCost(passes=1, memory_bytes=8 << 10), Secret(b"bench")
    generate(home / "keys", passphrase, cost=cost)
    key = coincurve.PrivateKey()
    figures: Figures = {}
    number = 0
    async with open_signer(home / "keys", guard_path=home / "guard.sqlite", passphrase=passphrase) as signer:
        await signer.release_guard()
        for batch in BATCHES:
            mandates = [_mandate(number + n) for n in range(APPENDS[batch])]
            number += len(mandates)

            def sign(n: int, mandates: list[Mandate] = mandates) -> Awaitable[bytes]:
                return signer.sign_mandate(mandates[n].decision_id, 1, mandates[n])

            rate = await _rate(len(mandates), batch, sign)
            began = perf_counter()
            for mandate in mandates:
                key.sign_recoverable(mandate_digest(mandate), hasher=None)
            bare_rate = len(mandates) / (perf_counter() - began)
            figures[f"batch_{batch}"] = {
                "signatures_per_s": round(rate),
                "share_of_bare_ecdsa": round(rate / bare_rate, 3),
            }
    return figures


async def _rate(count: int, batch: int, work: Callable[[int], Awaitable[object]]) -> float:
    """Give works per second when `batch` of them wait at a time."""

    async def one(number: int) -> None:
        await work(number)

    began = perf_counter()
    for first in range(0, count, batch):
        async with asyncio.TaskGroup() as group:
            for number in range(first, min(first + batch, count)):
                group.create_task(one(number))
    return count / (perf_counter() - began)


def _mandate(number: int) -> Mandate:
    word = sha256(number.to_bytes(8, "big"))
    return Mandate(
        network=NetworkId(word),
        key_epoch=1,
        tier=Tier.FAST,
        plan_hash=PlanHash(word),
        op=Op.PROTECT,
        decision_id=DecisionId(word),
        acts_root=keccak256(word),
        not_before=1_000,
        not_after=2_800,
    )


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
