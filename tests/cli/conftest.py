"""A home without the caller's own settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calls import PASSPHRASE


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOCSIN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
