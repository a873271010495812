"""Killed from outside and out of room: what was acknowledged is there, and nothing is there by half."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from proofs.hashes import sha256
from relay.disk import CommitPoint
from relay.journal import Journal

OpenJournal = Callable[..., AbstractAsyncContextManager[Journal]]
REPOSITORY = Path(__file__).parents[3]
CHILD = [sys.executable, str(Path(__file__).with_name("writing_child.py"))]


def environment(**more: str) -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def run(arguments: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


def run_and_kill(arguments: Sequence[str], after_lines: int) -> str:
    with subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        output = "".join(child.stdout.readline() for _ in range(after_lines))
        child.kill()
        return output + child.stdout.read()


def acknowledged(output: str) -> list[int]:
    return [int(line) for line in output.splitlines() if line.isdigit()]


async def check_whole(journal: Journal) -> int:
    """Every event has its envelope and its log entry; gives how many there are."""
    events = [pair async for pair in journal.replay()]
    assert events == [(n, b"event %d" % n) for n in range(1, len(events) + 1)]
    for number, _ in events:
        assert await journal.has(sha256(b"envelope %d" % number))
    assert not await journal.has(sha256(b"envelope %d" % (len(events) + 1)))
    assert journal.log_size == len(events)
    return len(events)


@pytest.mark.parametrize(("point", "stored"), [(CommitPoint.BEFORE, 2), (CommitPoint.AFTER, 3)])
@pytest.mark.asyncio
async def test_a_killed_process_has_stored_its_last_append_or_not(
    tmp_path: Path, open_journal: OpenJournal, point: CommitPoint, stored: int
) -> None:
    result = run([*CHILD, str(tmp_path / "state" / "journal.sqlite"), point, "3"])

    assert result.returncode == -signal.SIGKILL, result.stderr
    assert acknowledged(result.stdout) == [1, 2]
    async with open_journal() as journal:
        assert await check_whole(journal) == stored


@pytest.mark.asyncio
async def test_killed_at_any_moment_nothing_acknowledged_is_lost(
    tmp_path: Path, open_journal: OpenJournal, chance: random.Random
) -> None:
    wanted = chance.randint(1, 60)
    output = run_and_kill([*CHILD, str(tmp_path / "state" / "journal.sqlite")], after_lines=wanted)

    async with open_journal() as journal:
        assert await check_whole(journal) >= max(acknowledged(output)) >= wanted


@pytest.mark.asyncio
async def test_a_full_disk_is_a_named_error_and_loses_nothing_acknowledged(
    tmp_path: Path, open_journal: OpenJournal
) -> None:
    result = run([*CHILD, str(tmp_path / "state" / "journal.sqlite")], FILE_LIMIT_BYTES="262144")

    assert result.returncode == 3, result.stderr
    assert "journal.sqlite: expected the disk to take a write, got: " in result.stdout
    async with open_journal() as journal:
        assert await check_whole(journal) >= max(acknowledged(result.stdout)) > 0


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to mount a file system of 1 MiB")
def test_a_file_system_without_room_stops_the_writer(tmp_path: Path) -> None:
    mounted = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} || exit 77; exec "$@"'

    result = run(["unshare", "--mount", "sh", "-c", mounted, "sh", *CHILD, str(tmp_path / "journal.sqlite")])

    if result.returncode not in (0, 3):
        pytest.skip(f"may not mount a file system here: {result.stderr.strip()[-100:]}")
    assert result.returncode == 3
    assert "expected the disk to take a write, got: database or disk is full" in result.stdout
    assert acknowledged(result.stdout)
