"""Killed before and after each durable write: what a stranger sees from outside, and what goes on after."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from proofs.checkpoint import open_checkpoint, parse_checkpoint
from proofs.errors import ProofError
from proofs.logreading import LogReader, missing_file, open_log
from proofs.note import parse_note, verify_note
from relay.core.types import Millis
from relay.disk import no_probe
from relay.journal import DiskLimits, Journal, Outbox
from relay.witness.store import WitnessStore, log_name
from tests.shells.journal.life import (
    COSIGNER,
    FIRST,
    LAST,
    LOG,
    NETWORK,
    SHELF,
    STEP,
    entry_of,
    event,
    live,
)

Said = list[tuple[str, object]]
STEPS = 28
"""A commit (before, after) each: boot, two appends, release, record, witness, put, drop. A rename each: two
bundles, three hash tiles, the checkpoint. Python makes no other durable write in this life.
"""


def said_in(home: Path) -> Said:
    return [(what, value) for what, value in map(json.loads, (home / "said").read_text().splitlines())]


def values(said: Said, what: str) -> list[str]:
    return [str(value) for name, value in said if name == what]


def appended(said: Said) -> list[bytes]:
    """Give the entries that were acknowledged, in order."""
    return [
        str(raw).encode() for what, new in said if what == "appended" and isinstance(new, list) for raw in new
    ]


def serve(home: Path) -> Callable[[str], bytes]:
    """Give the files of a log as a web server would: nothing of the node's is used."""

    def read(path: str) -> bytes:
        try:
            return (home / "log" / path).read_bytes()
        except FileNotFoundError:
            raise missing_file(path) from None

    return read


def read_as_a_stranger(home: Path) -> LogReader:
    """Check the served log under both keys, down to every entry; gives a reader for more questions."""
    read = serve(home)
    note = read("checkpoint").decode()
    assert {each.key for each in verify_note(parse_note(note), [LOG, COSIGNER])} == {LOG, COSIGNER}
    log = open_log(open_checkpoint(note, [LOG]).checkpoint, read)
    assert [number for number, _ in log.walk(0, log.checkpoint.size)] == list(range(log.checkpoint.size))
    return log


def checkpoints_told(said: Said) -> Iterator[str]:
    """Give the body of every checkpoint whose signature could have left the process."""
    for what, value in said:
        if what in ("signed", "cosigned", "published"):
            yield str(value) if what == "signed" else parse_note(str(value)).text


def test_a_process_killed_at_any_durable_write_loses_nothing_it_said_and_goes_on_with_one_history(
    tmp_path: Path,
) -> None:
    child = [sys.executable, str(Path(__file__).with_name("life.py")), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run(child, env=environment, check=True, timeout=240)

    assert {path.name for path in tmp_path.iterdir()} == {"first", *map(str, range(STEPS + 1))}
    assert values(said_in(tmp_path / str(STEPS)), "dropped") == [str(FIRST)]
    for step in range(STEPS + 1):
        home = tmp_path / str(step)
        try:
            check_what_is_served(home)
            asyncio.run(check_what_is_kept(home))
            asyncio.run(check_that_it_goes_on(home))
        except (AssertionError, ProofError) as error:
            raise AssertionError(f"killed at step {step}: {error}") from error


def check_what_is_served(home: Path) -> None:
    """It verifies, and follows from all that was ever served."""
    log = read_as_a_stranger(home)
    assert log.checkpoint.size in (FIRST, LAST)
    for note in values(said_in(home), "published"):
        log.check_start(open_checkpoint(note, [LOG]).checkpoint)


async def check_what_is_kept(home: Path) -> None:
    """All that was acknowledged, and of the write under way all or nothing."""
    said, limits = said_in(home), DiskLimits(min_free_bytes=0, ballast_bytes=0)
    path, clock = home / "state" / "journal.sqlite", lambda: Millis(0)
    async with Journal.open(path, clock=clock, limits=limits) as journal:
        replayed = [data async for _, data in journal.replay()]
    async with Outbox.open(home / "state" / "outbox.sqlite") as outbox:
        rows = await outbox.of(*SHELF).rows()
    async with WitnessStore.open(home / "state" / "witness.sqlite", NETWORK) as witness:
        held = (await witness.cosigned())[log_name(LOG)].held

    acknowledged = appended(said)
    entries = list(map(entry_of, replayed))
    assert entries[: len(acknowledged)] == acknowledged
    assert len(entries) in (len(acknowledged), min(len(acknowledged) + STEP, LAST))
    assert replayed == list(map(event, entries))
    cosigned = parse_checkpoint(parse_note(values(said, "cosigned")[-1]).text)
    assert (held.size, held.root) == (cosigned.size, cosigned.root) or held.size == LAST > cosigned.size
    assert max(map(int, values(said, "put"))) in rows
    assert not rows.keys() & set(map(int, values(said, "dropped")))
    assert all(row == b"transaction %d" % nonce for nonce, row in rows.items())


async def check_that_it_goes_on(home: Path) -> None:
    """To the whole log; whatever checkpoint had left the process before the kill, or could, starts it."""
    said = said_in(home)
    stored = appended(said)

    await live(home, LAST, no_probe, lambda what, value: said.append((what, value)))

    log = read_as_a_stranger(home)
    assert log.checkpoint.size == LAST
    assert [raw for _, raw in log.walk(0, len(stored))] == stored
    for text in checkpoints_told(said):
        log.check_start(parse_checkpoint(text))
    boots = list(map(int, values(said, "boot")))
    assert boots == sorted(set(boots))
