"""One running network for all tests of this directory that only need one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.e2e.scene import Scene, open_scene
from tests.e2e.story import Story, tell

CHAIN_IDS = (724_101, 724_102)
"""Of these tests alone: an anvil of somebody else on a port that was ours is noticed."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scene(tmp_path_factory) -> AsyncIterator[Scene]:
    """Two chains and four members that have read the quiet part of a scenario."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"scenario seed {seed}")
    home: Path = tmp_path_factory.mktemp("network")
    async with open_scene(home, seed=seed, chain_ids=CHAIN_IDS) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def story(scene: Scene) -> Story:
    """The attack, over and contained; all four members run."""
    return await tell(scene)
