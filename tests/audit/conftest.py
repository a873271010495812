"""One incident for the tests of its story."""

from __future__ import annotations

import pytest

from tests.audit.scene import Scene
from tests.audit.village import Alarm, Village


@pytest.fixture
def scene() -> Scene:
    village = Village()
    return Scene(village, Alarm(village))
