"""What an operator gets wrong, and a disk that fills up: a node that says why, ends, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.evm.demo.network import OPERATORS, Member
from relay.cli.settings import Answer
from tests.e2e.scene import WAIT_S, Scene, log_lines, logged

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
]

ROOM_BYTES = 64 << 10
"""What is left on the disk that fills up: a few blocks."""
MOST_BLOCKS = 400


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that did not want to run: its exit code, and what it said."""

    code: int
    said: str


@pytest.fixture
def node_file(scene: Scene) -> Iterator[Path]:
    """Dave's configuration, to be spoilt; it is restored afterwards."""
    file = scene.member("dave").directory.node_file
    text = file.read_text()
    yield file
    file.write_text(text)


async def run_to_its_end(scene: Scene, member: Member) -> Ended:
    """Start a member that is expected to refuse."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "relay.cli",
        "--home",
        str(member.directory.home),
        "run",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TOCSIN_PASSPHRASE": scene.network.passphrase},
    )
    try:
        async with asyncio.timeout(WAIT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, said.decode())


async def test_a_node_is_refused_the_http_address_of_another(scene: Scene, node_file: Path) -> None:
    dave, bob = scene.member("dave"), scene.member("bob")
    await scene.stop(dave)
    change(node_file, str(dave.api_port), str(bob.api_port))

    ended = await run_to_its_end(scene, dave)

    assert ended.code == Answer.USAGE, ended.said
    assert f"api.bind 127.0.0.1:{bob.api_port}" in ended.said
    assert "Traceback" not in ended.said


async def test_a_node_is_refused_the_lane_address_of_another(scene: Scene, node_file: Path) -> None:
    dave, bob = scene.member("dave"), scene.member("bob")
    await stop_if_running(scene, dave)
    change(node_file, str(dave.lane_port), str(bob.lane_port))

    ended = await run_to_its_end(scene, dave)

    assert ended.code == Answer.USAGE, ended.said
    assert f"/ip4/127.0.0.1/tcp/{bob.lane_port}" in ended.said
    assert "Traceback" not in ended.said


async def test_a_second_node_on_the_same_directory_is_refused(scene: Scene) -> None:
    bob = scene.member("bob")

    ended = await run_to_its_end(scene, bob)

    assert ended.code == Answer.USAGE, ended.said
    assert bob.process is not None
    assert str(bob.process.pid) in ended.said, "it names the process that has the files"


async def test_endpoints_of_another_chain_that_leave_too_few_are_named_with_both_chains(
    scene: Scene, node_file: Path
) -> None:
    dave = scene.member("dave")
    await stop_if_running(scene, dave)
    for operator in dave.operators[:2]:
        number = OPERATORS.index(operator)
        right, wrong = scene.proxies[scene.near].urls[number], scene.proxies[scene.far].urls[number]
        change(node_file, right, wrong)

    ended = await run_to_its_end(scene, dave)

    assert ended.code == Answer.USAGE, ended.said
    assert any(operator in ended.said for operator in dave.operators[:2])
    for named in (scene.near, scene.far):
        assert named in ended.said
    assert "Traceback" not in ended.said


async def test_a_node_stops_when_its_disk_is_full_and_loses_nothing(scene: Scene) -> None:
    dave = scene.member("dave")
    await stop_if_running(scene, dave)
    dave.log_file.rename(dave.log_file.with_suffix(".before"))
    await scene.start(dave)
    assert dave.process is not None
    write_ahead = dave.directory.journal_file.with_name(dave.directory.journal_file.name + "-wal")
    size = write_ahead.stat().st_size + ROOM_BYTES
    resource.prlimit(dave.process.pid, resource.RLIMIT_FSIZE, (size, size))

    for _ in range(MOST_BLOCKS):
        if dave.process.returncode is not None:
            break
        await scene.mine()
        await scene.read_by_all([member for member in scene.running() if member is not dave])
    async with asyncio.timeout(WAIT_S):
        code = await dave.process.wait()

    assert code == Answer.REFUSED, dave.log_file.read_text()[-1_000:]
    assert "expected the disk to take a write" in dave.log_file.read_text()
    before, kept = events(dave), logged(dave)

    await scene.start(dave)
    await scene.read_by_all()
    assert events(dave)[: len(before)] == before
    assert kept.items() <= logged(dave).items()
    assert any(line["event"] == "journal replayed" and line["events"] for line in log_lines(dave))


def change(file: Path, old: str, new: str) -> None:
    """Spoil a file: at least one thing in it is another afterwards."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


async def stop_if_running(scene: Scene, member: Member) -> None:
    if member in scene.running():
        await scene.stop(member)


def events(member: Member) -> list[tuple[int, bytes]]:
    """A member's journal: the events with their numbers."""
    file = member.directory.journal_file.absolute().as_uri()
    with closing(sqlite3.connect(f"{file}?mode=ro", uri=True, timeout=30)) as journal:
        return journal.execute("SELECT seq, bytes FROM event ORDER BY seq").fetchall()
