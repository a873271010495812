"""Members in processes of their own: killed without a word, started again, and caught up."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.shells.gossip.town import PATIENCE_S, Town

pytestmark = pytest.mark.asyncio(loop_scope="function")
# Importing py-libp2p takes a second of CPU, and longer on a busy machine.
START_S = 3 * PATIENCE_S
ROOT = Path(__file__).parents[3]


class Member:
    """One process, its input and its output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tell(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(words) + "\n").encode())
        await self._process.stdin.drain()

    async def hear(self, first: str) -> list[str]:
        """The next line that begins with this word."""
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode().split():
            if line[0] == first:
                return line[1:]
        raise AssertionError(f"the process ended before it said {first}")

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(town: Town, name: str, path: Path) -> AsyncIterator[Member]:
    folder = path / name
    folder.mkdir(exist_ok=True)
    peers = {
        town.identities[peer].hex(): town.address(peer) for peer in ("alice", "bob", "carol") if peer != name
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("member_process.py")),
        town.seeds[name].hex(),
        town.address(name),
        json.dumps(peers),
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1_000_000,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    member = Member(process)
    try:
        yield member
    finally:
        if process.returncode is None:
            await member.kill()


async def test_a_killed_member_catches_up_byte_for_byte_from_those_that_stayed(
    town: Town, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(START_S),
        running(town, "alice", tmp_path) as alice,
        running(town, "carol", tmp_path) as carol,
    ):
        async with running(town, "bob", tmp_path) as bob:
            await bob.tell("connected", "2")
            await bob.hear("connected")
            await alice.tell("connected", "2")
            await alice.hear("connected")
            await alice.tell("broadcast", b"before".hex())
            assert await bob.hear("mail") == [town.identities["alice"].hex(), b"before".hex()]
            await bob.kill()
        missed = [os.urandom(size) for size in (1, 100, 3_000, 100_000, 262_144)]
        for envelope in missed[:4]:
            await alice.tell("store", envelope.hex())
        await carol.tell("store", missed[4].hex())

        async with running(town, "bob", tmp_path) as bob:
            received = {(await bob.hear("mail"))[1] for _ in missed}

            assert received == {envelope.hex() for envelope in missed}
            await bob.tell("connected", "2")
            await bob.hear("connected")
            await bob.tell("broadcast", b"after".hex())
            while (await alice.hear("mail"))[1] != b"after".hex():
                pass


async def test_two_processes_cannot_share_a_port(town: Town, tmp_path: Path) -> None:
    async with asyncio.timeout(START_S), running(town, "alice", tmp_path) as alice:
        await alice.hear("address")

        async with running(town, "alice", tmp_path) as twin:
            with pytest.raises(AssertionError, match="ended before"):
                await twin.hear("address")
