"""`tocsin demo` as a stranger runs it: one command, one JSON object, nothing left behind."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapters.evm.demo.scenario import COLUMNS, Kind
from proofs.hashes import sha256
from relay.cli.settings import Answer
from tests.cli.calls import tocsin
from tests.e2e.scene import short

WAIT_S = 600
RELAYS = 4
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "schema": str,
    "contained": bool,
    "verified": bool,
    "false_triggers": int,
    "quiet_hours": (int, float),
    "quorum": str,
    "certificate_kind": str,
    "certificate_ms": (int, float),
    "containment_blocks": dict,
    "value_out_usd": (int, float),
    "value_saved_usd": (int, float),
    "acts": list,
    "bundle": str,
    "more_bundles": list,
    "policy": str,
    "policy_hash": str,
    "network": str,
    "story": str,
    "more_stories": list,
    "log_dir": str,
    "killed": str,
    "witnesses": list,
    "witnesses_needed": int,
    "logs_compared": int,
    "omissions": int,
    "commands": list,
}
ACT_KEYS: Mapping[str, type] = {
    "chain": str,
    "act": str,
    "tx": str,
    "block": int,
    "gas": int,
    "effect": str,
    "certificate": str,
}


@pytest.fixture
def events(tmp_path: Path, seed: int) -> Path:
    """A short recording: what `--events` takes."""
    scenario = short(seed % 2**32, thefts=20)
    file = tmp_path / "events.csv"
    with file.open("w", newline="", encoding="utf-8") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)
        for step in scenario.steps:
            chain, label = "far" if step.kind is Kind.BURN else "near", "attack" if step.is_attack else ""
            row = (step.timestamp, chain, step.kind, step.withdrawal_id, step.token, step.amount)
            writer.writerow((*row, step.value_usd, label))
    return file


def start(events: Path, *arguments: object) -> subprocess.Popen[str]:
    """Run it on this recording; what it leaves lies beside it."""
    return subprocess.Popen(
        [sys.executable, "-m", "relay.cli", "demo", "--json", "--events", events, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(events.parent)},
    )


def processes() -> dict[int, tuple[int, str]]:
    """All processes of this machine that run: pid → (parent, command line)."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue  # no process, or one that has just ended
        if state != "Z":
            found[int(folder.name)] = (int(parent), command)
    return found


def descendants(pid: int) -> dict[int, str]:
    """The processes that one has started, directly or not, with their command lines."""
    running, found = processes(), {pid: ""}
    while True:
        more = {
            child: command
            for child, (parent, command) in running.items()
            if parent in found and child not in found
        }
        if not more:
            del found[pid]
            return found
        found |= more


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s in vain: {what}"
        threading.Event().wait(0.2)  # what is asked is another process


@pytest.mark.slow
@pytest.mark.parametrize("quorum", ["frost", "ecdsa"])
def test_the_demonstration_contains_the_attack_and_proves_it(events: Path, quorum: str) -> None:
    seen: dict[int, str] = {}
    with start(events, "--pace", 0.5, "--quorum", quorum) as process:
        wait_for(lambda: note(seen, process.pid) >= RELAYS or process.poll() is not None, "four relays run")
        out, err = process.communicate(timeout=WAIT_S)

    assert process.returncode == Answer.YES, err[-3_000:]
    report = json.loads(out)
    for key, kind in KEYS.items():
        assert isinstance(report[key], kind), key
    assert report["schema"] == "tocsin/demo/1"
    assert (report["contained"], report["verified"], report["false_triggers"]) == (True, True, 0)
    assert len(report["containment_blocks"]) == 2
    assert report["value_saved_usd"] > 0
    for act in report["acts"]:
        assert {key: type(act[key]) for key in ACT_KEYS} == ACT_KEYS
    assert (report["quorum"], report["certificate_kind"]) == (quorum, quorum)
    assert {(act["chain"], act["certificate"]) for act in report["acts"]} == {
        (chain, quorum) for chain in report["containment_blocks"]
    }, "what landed on both chains"
    check_ceremony(report, err, is_expected=quorum == "frost")
    assert (Path(report["log_dir"]) / "checkpoint").read_text().startswith("demo/")
    check_story(report, err)
    shown: set[tuple[str, str, str]] = set()
    for bundle in (report["bundle"], *report["more_bundles"]):
        said = tocsin("audit", "verify", bundle, "--policy", report["policy"], "--json")
        assert said.code == Answer.YES
        shown |= acts_shown(said.document)
        assert not any("not shown" in limit for limit in said.document["not_proved"])
        assert {decision["certificate"]["kind"] for decision in said.document["decisions"]} == {quorum}
        assert [keys["digest"] for keys in said.document["keys"]] == (
            [report["ceremony"]["document"]] if quorum == "frost" else []
        )
    assert shown >= {(act["chain"], act["act"], act["tx"]) for act in report["acts"]}
    assert not seen.keys() & processes().keys(), "a process was left behind"


def check_story(report: Mapping, told: str) -> None:
    """The evidence came without the killed member, and the commands shown answer that all of it holds."""
    others = {"alice", "bob", "carol", "dave"} - {report["killed"]}
    assert (set(report["witnesses"]), report["witnesses_needed"]) == (others, 3)
    assert f"{report['killed']} is killed" in told
    assert (report["logs_compared"], report["omissions"]) == (RELAYS, 0)
    page = Path(report["story"]).read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert sha256(Path(report["policy"]).read_bytes()).hex() == report["policy_hash"]
    folder, *commands = report["commands"]
    assert folder == f"cd {Path(report['policy']).parent}"
    assert len(commands) == 2 * (1 + len(report["more_bundles"]))
    for command in commands:
        assert command in told
        program, *words = shlex.split(command)
        assert program == "tocsin"
        assert f"--policy-hash {report['policy_hash']} --network {report['network']}" in command
        with contextlib.chdir(folder.removeprefix("cd ")):
            said = tocsin(*words)
        assert said.code == Answer.YES, said.out + said.err


def check_ceremony(report: Mapping, told: str, *, is_expected: bool) -> None:
    """The story and the report tell of a ceremony, or both of none."""
    assert ("the members make their group keys" in told) == is_expected
    if not is_expected:
        assert (report["ceremony"], report["frost_ms"]) == (None, None)
        return
    made = report["ceremony"]
    assert (made["holders"], made["generation"]) == (RELAYS, 1)
    assert (made["fast_threshold"], made["full_threshold"]) == (2, 3)
    assert made["ms"] > 0
    assert report["certificate_ms"] == report["frost_ms"] > 0


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_no_process_behind(events: Path, told: signal.Signals) -> None:
    seen: dict[int, str] = {}
    with start(events) as process:
        wait_for(lambda: note(seen, process.pid) >= RELAYS or process.poll() is not None, "four relays run")

        process.send_signal(told)
        out, err = process.communicate(timeout=WAIT_S)

    assert process.returncode == Answer.INTERRUPTED, err[-3_000:]
    assert len(seen) > RELAYS
    assert out == ""
    assert "Traceback" not in err
    assert not seen.keys() & processes().keys(), "a process was left behind"


def acts_shown(verdict: Mapping) -> set[tuple[str, str, str]]:
    """Chain, act and transaction of each effect that a receipt in the bundle proves."""
    return {
        (act["chain"], act["name"], outcome["tx"])
        for decision in verdict["decisions"]
        for act in decision["acts"]
        for outcome in act["outcomes"]
        if outcome["receipt"] is not None
    }


def note(seen: dict[int, str], pid: int) -> int:
    """Remember the descendants; gives how many relays are among those seen so far."""
    seen |= descendants(pid)
    return sum(1 for command in seen.values() if "relay.cli" in command and " run" in command)
