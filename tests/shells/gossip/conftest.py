from __future__ import annotations

import pytest

from tests.shells.gossip.town import Mallory, Town


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def mallory() -> type[Mallory]:
    return Mallory
