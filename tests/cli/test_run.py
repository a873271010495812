"""`tocsin run`: how a node is started, told to stop, and what is said when it cannot go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli.settings import Answer
from tests.cli.calls import tocsin

RPC = ("--rpc", "eip155:1", "one", "http://127.0.0.1:1", "--rpc", "eip155:1", "two", "http://127.0.0.1:2")

# A node that serves at once, and then either waits to be told or stops itself.
PROGRAM = """
import asyncio
import sys
from relay import app
from relay.cli import main

async def run(config, *, passphrase, ready):
    ready("http://127.0.0.1:1")
    sys.stdout.flush()
    if {stops!r}:
        raise app.NodeStopped("another instance bears this identity")
    try:
        await asyncio.Event().wait()
    finally:
        print("ended in order", flush=True)

app.run = run
main(["run", *{arguments!r}])
"""


@pytest.fixture
def node(home: Path) -> Path:
    assert tocsin("init", "acme", *RPC).code == Answer.YES
    return home / "acme"


def start(*arguments: str, stops: bool = False) -> subprocess.Popen[str]:
    program = PROGRAM.format(stops=stops, arguments=arguments)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


@pytest.mark.parametrize(
    ("told", "code"), [(signal.SIGTERM, Answer.YES), (signal.SIGINT, Answer.INTERRUPTED)]
)
def test_a_node_that_is_told_to_stop_ends_in_order(node: Path, told: signal.Signals, code: Answer) -> None:
    with start("--json") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == '{"schema": "tocsin/run/1", "url": "http://127.0.0.1:1"}\n'

        process.send_signal(told)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (code, "ended in order\n")
    assert "Traceback" not in err


def test_a_node_that_stops_itself_is_exit_code_4(node: Path) -> None:
    with start(stops=True) as process:
        out, err = process.communicate(timeout=60)

    assert process.returncode == Answer.REFUSED
    assert "serving at http://127.0.0.1:1" in out
    assert "error: the node stopped itself: another instance bears this identity" in err
    assert "Traceback" not in err


def test_a_node_without_a_committee_says_which_file_it_wants(node: Path) -> None:
    said = tocsin("run")

    assert said.code == Answer.USAGE
    assert str(node / "committee" / "epoch-0001.toml") in said.err


def test_a_passphrase_file_that_is_gone_is_named(node: Path, tmp_path: Path) -> None:
    file = node / "node.toml"
    text = file.read_text().replace(
        'passphrase_env = "TOCSIN_PASSPHRASE"', 'passphrase_file = "secrets/none"'
    )
    file.write_text(text)

    said = tocsin("run")

    assert said.code == Answer.USAGE
    assert str(node / "secrets" / "none") in said.err
