"""What a running node costs while nothing happens: memory and processor time, from the kernel's own books."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from adapters.evm.demo.network import Member
from tests.bench.figure import Figure, Goal
from tests.e2e.scene import Scene, open_scene

__all__ = ["measure"]

CHAIN_IDS = (724_303, 724_304)
IDLE_S = 36.0
BLOCK_EVERY_S = 12.0
GOAL_RSS_MB = 200.0
GOAL_CPU_PERCENT = 1.0


async def measure(seed: int = 1, idle_s: float = IDLE_S) -> list[Figure]:
    """Measure four nodes: first while both chains stand still, then with a block every twelve seconds."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with open_scene(Path(folder), seed=seed, chain_ids=CHAIN_IDS) as scene:
            still = await _cpu_percent(scene, idle_s, mining=False)
            mining = await _cpu_percent(scene, idle_s, mining=True)
            memory = max(_rss_mb(member) for member in scene.network.members)
    return [
        Figure("memory of a node (largest of four)", memory, "MB", goal=GOAL_RSS_MB, side=Goal.AT_MOST),
        Figure(
            "idle processor time of a node, chains still",
            still,
            "% of a core",
            goal=GOAL_CPU_PERCENT,
            side=Goal.AT_MOST,
        ),
        Figure(
            "idle processor time of a node, a block every 12 s",
            mining,
            "% of a core",
            goal=GOAL_CPU_PERCENT,
            side=Goal.AT_MOST,
        ),
    ]


async def _cpu_percent(scene: Scene, seconds: float, *, mining: bool) -> float:
    """The largest share of a core that any of the nodes used."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    before = [_cpu_s(member) for member in scene.network.members]
    while (left_s := began_s + seconds - loop.time()) > 0:
        await asyncio.sleep(min(left_s, BLOCK_EVERY_S))
        if mining:
            await scene.mine()
    took_s = loop.time() - began_s
    used_s = [_cpu_s(member) - then for member, then in zip(scene.network.members, before, strict=True)]
    return 100 * max(used_s) / took_s


def _cpu_s(member: Member) -> float:
    assert member.process is not None
    fields = Path(f"/proc/{member.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(member: Member) -> float:
    assert member.process is not None
    status = Path(f"/proc/{member.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1_024
