"""How fast a log is mirrored over HTTP from a node's own interface, beside a bare download of its files."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from relay.api import Api, ApiOptions
from relay.audit.mirror import MirrorTerms, mirror
from relay.audit.web import WebSource
from tests.bench.figure import Figure, Goal
from tests.shells.api.quiet import quiet_ports
from tests.shells.audit.logs import NOW_S, Keeper, policy_of

__all__ = ["measure"]

ENTRIES = 50_000
ENTRY_BYTES = 900
ROUNDS = 3


async def measure() -> list[Figure]:
    """Give entries a second: a new mirror, beside the download; and one that is there and checked again."""
    return await asyncio.to_thread(_measured)


def _measured() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        folder = Path(directory)
        keeper = Keeper(folder / "log")
        entries = [number.to_bytes(8, "big") * (ENTRY_BYTES // 8) for number in range(ENTRIES)]
        keeper.publish(entries)
        bare, new, again = [], [], []
        with _served(keeper.folder) as url:
            for number in range(ROUNDS):
                copy = folder / f"mirror-{number}"
                bare.append(_rate(lambda to=folder / f"bare-{number}": _download(url, keeper.folder, to)))
                new.append(_rate(lambda to=copy: _mirror(url, keeper, to)))
                again.append(_rate(lambda to=copy: _mirror(url, keeper, to)))
                shutil.rmtree(copy)
    floor, name = median(bare), "bare download"
    return [
        Figure(
            "entries mirrored, checked, on disk",
            median(new),
            "1/s",
            floor=floor,
            floor_name=name,
            goal=0.8,
            side=Goal.AT_LEAST,
            judged="ratio",
        ),
        Figure("entries of a mirror checked again", median(again), "1/s", floor=floor, floor_name=name),
    ]


def _rate(work: Callable[[], None]) -> float:
    began = perf_counter()
    work()
    return ENTRIES / (perf_counter() - began)


def _mirror(url: str, keeper: Keeper, copy: Path) -> None:
    with closing(WebSource(url)) as source:
        mirror(source, copy, MirrorTerms(policy_of(keeper), NOW_S))


def _download(url: str, log: Path, copy: Path) -> None:
    """Get every file on one connection and write it down, with no check and no fsync."""
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port)) as connection:
        for path in sorted(str(path.relative_to(log)) for path in log.rglob("*") if path.is_file()):
            connection.request("GET", f"/{path}")
            content = connection.getresponse().read()
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(content)


@contextmanager
def _served(log: Path) -> Iterator[str]:
    """Serve a log as a node does, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(str(log), theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(log: str, pipe: Connection) -> None:
    asyncio.run(_serving(Path(log), pipe))


async def _serving(log: Path, pipe: Connection) -> None:
    async with Api(ApiOptions(log), quiet_ports()) as api:
        pipe.send(api.url)
        await asyncio.to_thread(pipe.recv)
