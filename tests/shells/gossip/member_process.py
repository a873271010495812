"""A member in a process of its own: prints what it receives, keeps it in a folder, sends what it is told.

Input, a line each: `broadcast <frame>`, `store <frame>`, in hex, and `connected <number>`, which is answered
when it is so. Output: `address <multiaddr>`, `mail <peer> <frame>`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from relay.gossip import Lane, LaneConfig, LanePeer


class Folder:
    """Envelopes as files, in the order of their numbers: what survives a SIGKILL."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[bytes, Path] = {}
        for file in sorted(path.iterdir()):
            self._digests[sha256(file.read_bytes()).digest()] = file

    def put(self, envelope: bytes) -> None:
        digest = sha256(envelope).digest()
        if digest not in self._digests:
            file = self._path / f"{len(self._digests):06}"
            file.write_bytes(envelope)
            self._digests[digest] = file

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        places = tuple(enumerate(self._digests, 1))
        return tuple(reversed(places[: None if before is None else before - 1]))[:limit]

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        return [digest for digest in digests if digest not in self._digests]

    async def get(self, digest: bytes) -> bytes | None:
        file = self._digests.get(digest)
        return None if file is None else file.read_bytes()


async def hear(lane: Lane, folder: Folder) -> None:
    async for mail in lane:
        folder.put(mail.frame)
        print("mail", mail.peer.hex(), mail.frame.hex(), flush=True)


async def obey(lane: Lane, folder: Folder) -> None:
    lines = asyncio.StreamReader(limit=1_000_000)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).split():
        match line:
            case [b"broadcast", frame]:
                folder.put(bytes.fromhex(frame.decode()))
                await lane.broadcast(bytes.fromhex(frame.decode()))
            case [b"store", frame]:
                folder.put(bytes.fromhex(frame.decode()))
            case [b"connected", number]:
                await lane.wait_connected(int(number))
                print("connected", number.decode(), flush=True)
            case _:
                raise AssertionError(line)


async def main(seed: str, listen: str, peers: dict[str, str], path: str) -> None:
    config = LaneConfig(
        listen=listen,
        peers=tuple(LanePeer(bytes.fromhex(identity), (address,)) for identity, address in peers.items()),
        redial_min_s=0.05,
        redial_max_s=0.5,
    )
    folder = Folder(Path(path))
    async with (
        Lane.open(identity_seed=bytes.fromhex(seed), config=config, store=folder) as lane,
        asyncio.TaskGroup() as group,
    ):
        print("address", lane.address, flush=True)
        hearing = group.create_task(hear(lane, folder))
        await obey(lane, folder)
        hearing.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]))
