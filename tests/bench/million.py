"""A log of a million entries: memory, disk and speed of a process that appends and publishes them.

    python -m tests.bench --only million

Two to five minutes, two gigabytes of disk: it runs only when it is asked for by name.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from nacl.signing import SigningKey

from relay.core.types import Millis
from relay.journal import AuditLog, Journal
from tests.bench.auditlog import LIMITS, envelopes
from tests.bench.figure import Figure

__all__ = ["measure"]

ENTRIES = 1_000_000
BATCH = 256
PUBLISH_EVERY = 32
"""Batches: an interval of a busy hour, not of a quiet one."""
MARKS = (0, 100_000, 500_000, ENTRIES)
"""Sizes at which the process tells what it has used so far."""

Told = dict[str, float]


async def measure(seed: int = 1) -> list[Figure]:
    """Let a process of its own write the log, so that its memory is nobody else's."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.million", folder, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await child.communicate()
        if child.returncode:
            raise RuntimeError(f"expected status 0, got {child.returncode}")
        journal_bytes = sum(p.stat().st_size for p in (Path(folder) / "state").iterdir())
        log_bytes = sum(p.stat().st_size for p in (Path(folder) / "log").rglob("*") if p.is_file())
    told: list[Told] = [json.loads(line) for line in output.splitlines()]
    empty, first, _, last = told
    return [
        Figure(
            f"peak memory after {ENTRIES:,} entries appended and published",
            last["peak_mb"],
            "MB",
            floor=empty["peak_mb"],
            floor_name="MB with an empty log",
        ),
        Figure(
            f"of it from entry {first['entries']:,.0f} on, for each 1,000,000 more",
            (last["peak_mb"] - first["peak_mb"]) / (last["entries"] - first["entries"]) * 1e6,
            "MB",
        ),
        Figure(
            f"appended and published, entries {told[2]['entries']:,.0f} to {ENTRIES:,}",
            (last["entries"] - told[2]["entries"]) / (last["at_s"] - told[2]["at_s"]),
            "1/s",
            floor=(first["entries"] - empty["entries"]) / (first["at_s"] - empty["at_s"]),
            floor_name=f"1/s up to entry {first['entries']:,.0f}",
        ),
        Figure(
            "journal on disk", journal_bytes / ENTRIES, "bytes an entry", floor=912, floor_name="its event"
        ),
        Figure("tiles on disk", log_bytes / ENTRIES, "bytes an entry", floor=896, floor_name="its envelope"),
    ]


async def _write(home: Path) -> None:
    key = SigningKey(bytes(32))

    async def sign(body: bytes) -> bytes:
        return bytes(key.sign(body).signature)

    path, began_s, size, batches = home / "state" / "journal.sqlite", perf_counter(), 0, 0
    async with Journal.open(path, clock=lambda: Millis(0), limits=LIMITS) as journal:
        log = await AuditLog.open(journal, home / "log", origin="net/alice", log_key=bytes(key.verify_key))
        for mark in MARKS:
            while size < mark:
                new = envelopes(size, min(BATCH, mark - size))
                await journal.append([b"received" + each.raw + bytes(8) for each in new], new)
                size, batches = size + len(new), batches + 1
                if batches % PUBLISH_EVERY == 0 or size == mark:
                    await log.publish((await log.sign(sign)).checkpoint, (), sign)
            told = {"entries": size, "peak_mb": _peak_mb(), "at_s": perf_counter() - began_s}
            sys.stdout.write(json.dumps(told) + "\n")


def _peak_mb() -> float:
    """Read the largest memory of this program; what getrusage tells begins with that of its parent."""
    [line] = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) / 1_024


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1])))
