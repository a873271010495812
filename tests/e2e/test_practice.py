"""`tocsin demo --practice` as a stranger runs it: his plan acts, is extended, released, and nothing stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli.settings import Answer
from tests.cli.calls import tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The ready plan of a pausable contract, filled in for the practice vault."""
    file = tmp_path / "vault.plan.toml"
    assert tocsin("plan", "new", "--from", "pausable", "--practice", "-o", file).code == Answer.YES
    return file


def practise(plan: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "relay.cli", "demo", "--practice", str(plan), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


def test_a_plan_from_the_book_protects_is_extended_and_released(plan: Path) -> None:
    done = practise(plan)

    assert done.returncode == Answer.YES, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == "tocsin/practice/1"
    assert (report["held"], report["failed_step"], report["quiet_edges"]) == (True, "", 0)
    assert report["delay_s"] <= 60
    assert report["ended"] == ["pause-target released by the members"]
    told = [entry["kind"] for entry in report["timeline"]]
    order = [told.index(kind) for kind in ("theft", "edge", "started", "extended", "ended")]
    assert order == sorted(order)
    assert report["slots"] >= 3, "decided again in each slot while the rule is true"


def test_a_plan_that_does_not_see_the_theft_is_told_so(plan: Path) -> None:
    plan.write_text(plan.read_text().replace("drain_bp = 2_000", "drain_bp = 200_000"))

    done = practise(plan)

    assert done.returncode == Answer.NO, done.stdout + done.stderr
    assert "no act landed" in json.loads(done.stdout)["failed_step"]
