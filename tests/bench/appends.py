"""Appends with fsync per second, beside bare SQLite; `python -m tests.bench.log` tells more."""

from __future__ import annotations

import asyncio

from adapters.evm import shapes
from tests.bench import log
from tests.bench.figure import Figure, Goal

__all__ = ["measure"]


async def measure() -> list[Figure]:
    """Journal appends at batches of 1, 16 and 256."""
    journal = shapes.mapping((await asyncio.to_thread(log.run))["journal"])
    figures = []
    for batch in log.BATCHES:
        found = shapes.mapping(journal[f"batch_{batch}"])
        rate, share = float(str(found["appends_per_s"])), float(str(found["share_of_bare_sqlite"]))
        figures.append(
            Figure(
                f"journal appends with fsync, batch {batch}",
                rate,
                "1/s",
                floor=rate / share,
                floor_name="bare SQLite",
                goal=0.5,
                side=Goal.AT_LEAST,
                judged="ratio",
            )
        )
    return figures
