"""The committee lane between processes: one-way time, CPU for each message, idle CPU, memory.

`python -m tests.bench.lane` prints one JSON object. All processes are on one machine, so their times compare
(CLOCK_MONOTONIC is one clock there), and only ratios within one run mean much on another machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from socket import socket

from relay.gossip import Lane, LaneConfig, LanePeer
from relay.gossip.secure import identity_of

__all__ = ["measure", "run"]

_STAMP_BYTES = 8
_ROOT = Path(__file__).parents[2]


class Nothing:
    """A store that holds nothing: anti-entropy is measured as idle cost only."""

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        return ()

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        return digests

    async def get(self, digest: bytes) -> bytes | None:
        return None


def run(
    *, nodes: int = 4, per_s: int = 75, seconds: float = 4.0, frame_bytes: int = 600
) -> dict[str, object]:
    """Figures of `nodes` processes in which each broadcasts `per_s` frames a second for `seconds`."""
    return asyncio.run(measure(nodes=nodes, per_s=per_s, seconds=seconds, frame_bytes=frame_bytes))


async def measure(*, nodes: int, per_s: int, seconds: float, frame_bytes: int) -> dict[str, object]:
    """As `run`, within an event loop."""
    seeds = [bytes([number + 1]) * 32 for number in range(nodes)]
    ports = free_ports(nodes)
    peers = [
        (identity_of(seed).hex(), f"/ip4/127.0.0.1/tcp/{port}")
        for seed, port in zip(seeds, ports, strict=True)
    ]
    async with AsyncExitStack() as stack:
        processes = []
        for seed, port in zip(seeds, ports, strict=True):
            process = await _start(json.dumps([seed.hex(), port, peers, per_s, seconds, frame_bytes]))
            stack.callback(_kill, process)
            processes.append(process)
        for word in (b"connected", b"idle"):
            for process in processes:
                await _hear(process, word)
            for process in processes:
                _tell(process)
        results = [json.loads(await _hear(process, b"result")) for process in processes]
    return _summary(results, nodes, per_s)


def _summary(results: list[dict[str, list[float]]], nodes: int, per_s: int) -> dict[str, object]:
    one_way_ms = sorted(time_ms for result in results for time_ms in result["one_way_ms"])
    sent = sum(result["sent"][0] for result in results)
    cpu_ms = sum(result["cpu_ms"][0] for result in results)
    return {
        "schema": "tocsin/bench-lane/1",
        "nodes": nodes,
        "broadcasts_per_s": nodes * per_s,
        "broadcasts": sent,
        "lost": sent * (nodes - 1) - len(one_way_ms),
        "one_way_p50_ms": round(one_way_ms[len(one_way_ms) // 2], 3),
        "one_way_p99_ms": round(one_way_ms[len(one_way_ms) * 99 // 100], 3),
        "cpu_ms_per_broadcast_and_node": round(cpu_ms / sent / nodes, 3),
        "cpu_ms_per_delivery": round(cpu_ms / len(one_way_ms), 3),
        "idle_cpu_percent": round(max(result["idle_percent"][0] for result in results), 2),
        "rss_mb": round(max(result["rss_mb"][0] for result in results), 1),
    }


# -- the parent


def free_ports(count: int) -> list[int]:
    probes = [socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


async def _start(arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.lane",
        arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


def _tell(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def _hear(process: asyncio.subprocess.Process, word: bytes) -> bytes:
    assert process.stdout is not None
    first, _, rest = (await process.stdout.readline()).partition(b" ")
    assert first.strip() == word, f"expected {word!r}, got {first[:40]!r}"
    return rest


# -- a member


async def _member(arguments: str) -> None:
    seed, port, peers, per_s, seconds, frame_bytes = json.loads(arguments)
    members = tuple(LanePeer(bytes.fromhex(identity), (address,)) for identity, address in peers)
    config = LaneConfig(listen=f"/ip4/127.0.0.1/tcp/{port}", peers=members, redial_max_s=0.5)
    one_way_ms: list[float] = []
    async with (
        Lane.open(identity_seed=bytes.fromhex(seed), config=config, store=Nothing()) as lane,
        asyncio.TaskGroup() as group,
    ):
        await lane.wait_connected(len(members) - 1)
        await _together("connected")
        idle_percent = await _idle_percent(seconds)
        await _together("idle")
        hearing = group.create_task(_hear_all(lane, one_way_ms))
        began_s = time.process_time()
        sent = await _speak(lane, per_s, seconds, frame_bytes)
        cpu_ms = (time.process_time() - began_s) * 1_000
        hearing.cancel()
    result = {
        "one_way_ms": one_way_ms,
        "sent": [sent],
        "cpu_ms": [cpu_ms],
        "idle_percent": [idle_percent],
        "rss_mb": [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024],
    }
    print("result", json.dumps(result), flush=True)


async def _together(word: str) -> None:
    print(word, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _idle_percent(seconds: float) -> float:
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    await asyncio.sleep(2 * seconds)
    return 100 * (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)


async def _speak(lane: Lane, per_s: int, seconds: float, frame_bytes: int) -> int:
    """Broadcast at an even pace, then wait until what is on its way has arrived."""
    began_s = time.monotonic()
    total = int(per_s * seconds)
    for number in range(total):
        await asyncio.sleep(began_s + number / per_s - time.monotonic())
        stamp = time.monotonic_ns().to_bytes(_STAMP_BYTES, "big")
        await lane.broadcast(stamp + os.urandom(frame_bytes - _STAMP_BYTES))
    await asyncio.sleep(1)
    return total


async def _hear_all(lane: Lane, one_way_ms: list[float]) -> None:
    async for mail in lane:
        sent_ns = int.from_bytes(mail.frame[:_STAMP_BYTES], "big")
        one_way_ms.append((time.monotonic_ns() - sent_ns) / 1e6)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_member(sys.argv[1]))
    else:
        print(json.dumps(run(), indent=1))
