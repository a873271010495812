"""A journal that asks for little room, and envelopes to put into it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from proofs.hashes import sha256
from relay.core.types import Millis
from relay.journal import DiskLimits, Journal, LogEntry, StoredEnvelope

SMALL = DiskLimits(min_free_bytes=0, ballast_bytes=4_096)
OpenJournal = Callable[..., AbstractAsyncContextManager[Journal]]
MakeEnvelope = Callable[..., StoredEnvelope]


@pytest.fixture
def open_journal(tmp_path: Path) -> OpenJournal:
    return partial(
        Journal.open, tmp_path / "state" / "journal.sqlite", clock=lambda: Millis(1_000), limits=SMALL
    )


@pytest.fixture
def envelope() -> MakeEnvelope:
    def make(number: int, log_entry: LogEntry = LogEntry.HELD, expires_at_ms: int = 2_000) -> StoredEnvelope:
        raw = b"envelope %d" % number
        return StoredEnvelope(raw, sha256(raw), Millis(expires_at_ms), log_entry)

    return make
