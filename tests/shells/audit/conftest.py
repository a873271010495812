"""A log to be copied, and a disk that need not be waited for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.shells.audit.followed_house import House
from tests.shells.audit.logs import Keeper


@pytest.fixture(autouse=True)
def _no_power_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes end here, machines do not: what was written is there."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "log")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, stack)
