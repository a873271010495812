"""A home without the caller's own settings, and a plan file to work on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.calls import PASSPHRASE

BRIDGE = Path("tests/plans/bridge.plan.toml")
MARKET = Path("tests/plans/market.plan.toml")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOCSIN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def bridge(tmp_path: Path) -> Path:
    return Path(shutil.copy(BRIDGE, tmp_path))


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return Path(shutil.copy(MARKET, tmp_path))
