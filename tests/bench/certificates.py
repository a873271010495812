"""From the edge to the certificate on all members: real processes, real lane, real chains, on one machine.

Each near block opens a slot of the bridge's plan while the rule stays true, so each makes a fast decision.
Times are each member's own (`timeline_us` of the incident, one machine, one clock): the edge is the first
member's verdict, the end the last member's certificate. Chains are not final here: full decisions stay out.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from adapters.evm import shapes
from adapters.evm.demo.network import Member
from relay.core.plan_file import parse_plan
from tests.bench import lane
from tests.bench.figure import Figure, Goal, quantile
from tests.e2e.scene import Scene, open_scene, until

__all__ = ["measure"]

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
REARM_S = 1_800
DEPTH = 10_000
CHAIN_IDS = (724_301, 724_302)
GOAL_RATIO = 3.0
LANE_PER_S = 5
"""Broadcasts per member and second for the floor: few, as attestations are."""


async def measure(size: int, decisions: int = 60, seed: int = 1) -> list[Figure]:
    """Measure with `size` members over so many decisions."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with open_scene(
            Path(folder), seed=seed, chain_ids=CHAIN_IDS, names=NAMES[:size], depth=DEPTH
        ) as scene:
            spans, shares = await _spans(scene, decisions)
    floor = shapes.mapping(await lane.measure(nodes=size, per_s=LANE_PER_S, seconds=6.0, frame_bytes=1_200))
    one_way_ms = {share: float(str(floor[f"one_way_{share}_ms"])) for share in ("p50", "p99")}
    figures = []
    for share, rank in (("p50", 0.5), ("p99", 0.99)):
        figures.append(
            Figure(
                f"edge → certificate on all, {size} processes, {share}",
                quantile(spans, rank),
                "ms",
                floor=one_way_ms[share],
                floor_name=f"one message one way, {share}",
                goal=GOAL_RATIO,
                side=Goal.AT_MOST,
                judged="ratio",
            )
        )
    figures.append(
        Figure(
            f"enough verdicts → certificate on all, {size} processes, p50",
            quantile(shares, 0.5),
            "ms",
            floor=one_way_ms["p50"],
            floor_name="one message one way, p50",
        )
    )
    return figures


async def _spans(scene: Scene, decisions: int) -> tuple[list[float], list[float]]:
    """Milliseconds from edge to certificate on all members; the same from the verdict that made it enough."""
    [first, *_] = scene.thefts()
    await scene.mine(near=[scene.bridge.steal(first)])
    await _certified(scene, 1)
    for number in range(2, decisions + 2):
        await scene.mine(after_s=REARM_S)
        await _certified(scene, number)
    views = [await _timelines(scene, member) for member in scene.network.members]
    ids = set.intersection(*(set(view) for view in views))
    assert len(ids) >= decisions, f"expected {decisions} decisions, got {len(ids)}"
    spans: list[float] = []
    shares: list[float] = []
    enough = scene.network.committee.fast
    for each in ids:
        judged = sorted(view[each]["judged"] for view in views)
        last = max(view[each]["certified"] for view in views)
        spans.append((last - judged[0]) / 1_000)
        shares.append((last - judged[enough - 1]) / 1_000)
    return spans, shares


async def _certified(scene: Scene, count: int) -> None:
    """Wait until every member has said so many times in its log that a certificate is complete, and is quiet.

    The log costs a member nothing to be read; its interface would, while it is being measured. The market's
    plan follows until its link's budget is spent.
    """
    [link] = parse_plan(scene.world.plan_texts["market"], where="market").listen
    linked = min(count, link.records)

    async def is_so() -> bool:
        texts = [member.log_file.read_text() for member in scene.network.members]
        return all(
            _count(text, "unbacked") >= count and _count(text, "link:bridge") >= linked for text in texts
        )

    await until(f"{count} certificates on every member", is_so)
    await asyncio.sleep(0.3)  # submissions and outcomes of this decision are not part of the next


def _count(text: str, subject: str) -> int:
    return sum(1 for line in text.splitlines() if '"certificate complete"' in line and f'"{subject}"' in line)


async def _timelines(scene: Scene, member: Member) -> dict[str, Mapping[str, int]]:
    found: dict[str, Mapping[str, int]] = {}
    listing = await scene.network.ask(member, "/v1/incidents")
    assert isinstance(listing, dict)
    for incident in listing["incidents"]:
        whole = await scene.network.ask(member, f"/v1/incidents/{incident['id']}")
        assert isinstance(whole, dict)
        for decision in whole["incident"]["decisions"]:
            times = decision["timeline_us"]
            is_ours = decision["subject"] == "unbacked" and decision["tier"] == "fast"
            if is_ours and {"judged", "certified"} <= times.keys():
                found[decision["id"]] = times
    return found
