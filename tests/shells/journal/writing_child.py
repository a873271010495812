"""A process that appends until it is killed or its disk is full, and says what was acknowledged.

    python writing_child.py JOURNAL [STEP COUNT]

Event n is `event n` and brings the envelope `envelope n`. With STEP and COUNT the process kills itself when
that step is reached for the COUNT-th time. A `JournalError` is printed, and ends the process with status 3.
"""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

from proofs.hashes import sha256
from relay.core.errors import JournalError
from relay.core.types import Millis
from relay.journal import DiskLimits, Journal, LogEntry, StoredEnvelope


class KillAt:
    def __init__(self, step: str, count: int) -> None:
        self.step = step
        self.left = count

    def __call__(self, step: str) -> None:
        self.left -= step == self.step
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def write(path: Path, probe: KillAt) -> None:
    limits = DiskLimits(min_free_bytes=0, ballast_bytes=0)
    async with Journal.open(path, clock=lambda: Millis(0), limits=limits, probe=probe) as journal:
        number = 0
        while True:
            number += 1
            raw = b"envelope %d" % number
            envelope = StoredEnvelope(raw, sha256(raw), Millis(1), LogEntry.HELD)
            print(await journal.append([b"event %d" % number], [envelope]), flush=True)


def main() -> int:
    path, *rest = sys.argv[1:]
    limit = int(os.environ.get("FILE_LIMIT_BYTES", "0"))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        asyncio.run(write(Path(path), KillAt(rest[0], int(rest[1])) if rest else KillAt("", -1)))
    except JournalError as error:
        print(error, flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
