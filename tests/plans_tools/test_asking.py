"""`tocsin plan new` at a terminal, and tools that take a node's own plans."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

from relay.plans.templates import ready_plan
from tests.cli.calls import tocsin
from tests.plans_tools.conftest import BRIDGE, MARKET

PATIENCE_S = 60


def _talk(arguments: list[str], answers: list[str]) -> tuple[int, str]:
    """Run the command at a terminal of its own, answer each question; give exit code and what was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "relay.cli", *arguments]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown, asked = b"", 0
    try:
        while select.select([ours], [], [], PATIENCE_S)[0]:
            try:
                part = os.read(ours, 4_096)
            except OSError:  # The other side has closed its terminal.
                break
            shown += part
            # Every question ends with a colon and a blank.
            if asked < len(answers) and shown.endswith(b": "):
                os.write(ours, answers[asked].encode() + b"\n")
                asked += 1
    finally:
        os.close(ours)
        code = running.wait(PATIENCE_S)
    return code, shown.decode(errors="replace")


def test_at_a_terminal_it_asks_for_each_place_and_again_for_what_cannot_stand(tmp_path: Path) -> None:
    ready = ready_plan("pausable")
    file = tmp_path / "acme.plan.toml"
    examples = [place.example for place in ready.placeholders if place.default is None]

    code, shown = _talk(["plan", "new", "--from", "pausable", "-o", str(file)], ['no "quotes"', *examples])

    assert code == 0, shown
    assert "without quotes and backslashes" in shown
    assert "where users and validators reach you" in shown
    assert tocsin("plan", "check", file).code == 0


def _node_with_plans(home: Path) -> None:
    assert tocsin("init", "acme", "--home", home).code == 0
    for name, source in (("bridge", BRIDGE), ("market", MARKET)):
        folder = home / "acme" / "plans" / name
        folder.mkdir(parents=True)
        shutil.copy(source, folder / "1.plan.toml")


def test_without_a_file_they_take_the_plans_of_the_node(tmp_path: Path) -> None:
    home = tmp_path / "nodes"
    _node_with_plans(home)

    graph = tocsin("plan", "graph", "--home", home, "--json")
    cost = tocsin("plan", "cost", "--home", home, "--json")

    plans = graph.document["plans"]
    assert isinstance(plans, list)
    assert {plan["protocol"] for plan in plans} == {"example-bridge", "example-market"}
    alone = cost.document["alone"]
    assert isinstance(alone, dict)
    assert sorted(alone) == ["example-bridge 1", "example-market 1"]
