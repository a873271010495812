"""`tocsin signal keygen` and `send --key`: reports signed here and told to a node (plans SPEC 1.6)."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proofs.hashes import sha256
from proofs.kinds import Digest, NetworkId, PlanHash
from proofs.reports import Report, Subject, verify_report
from relay.api import Api, ApiOptions, Json, ReportPorts, ReportRequest
from relay.cli.settings import Answer
from tests.cli.calls import tocsin
from tests.shells.api.quiet import quiet_ports

NETWORK, PLAN, BLOCK, OPEN_BLOCK = (bytes([number]) * 32 for number in range(1, 5))
TX = "0x" + "Ab" * 32
TX_ID = sha256(TX.lower().encode())


def row(**changes: Json) -> dict[str, Json]:
    """Give what a node tells of one plan's reports."""
    plain: dict[str, Json] = {
        "network": NETWORK.hex(),
        "plan_hash": PLAN.hex(),
        "report": "attack",
        "in_force": True,
        "block": {"hash": BLOCK.hex(), "number": 7},
        "open": [],
    }
    return {**plain, **changes}


@dataclass
class Running:
    """An interface that serves until the test ends."""

    rows: list[dict[str, Json]] = field(default_factory=lambda: [row()])
    told: list[ReportRequest] = field(default_factory=list)
    url: str = ""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    is_open: threading.Event = field(default_factory=threading.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, request: ReportRequest) -> str:
        self.told.append(request)
        return "subject-1"

    async def serve(self, directory: Path) -> None:
        ports = ReportPorts(overview=lambda: self.rows, tell=self.tell)
        options = ApiOptions(directory, token=b"the-token")
        async with Api(options, quiet_ports(), None, ports) as api:
            self.url = api.url
            self.is_open.set()
            await self.closing.wait()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    running = Running()
    thread = threading.Thread(target=lambda: running.loop.run_until_complete(running.serve(tmp_path)))
    thread.start()
    assert running.is_open.wait(10)
    yield running
    running.loop.call_soon_threadsafe(running.closing.set)
    thread.join(10)
    running.loop.close()
    assert not thread.is_alive()


@pytest.fixture
def send(node: Running, tmp_path: Path) -> tuple[str, ...]:
    """Give the words up to the options of one report."""
    token = tmp_path / "token"
    token.write_text("the-token\n")
    token.chmod(0o600)
    assert tocsin("signal", "keygen", tmp_path / "oscar.key").code == Answer.YES
    base = ("signal", "send", "--url", node.url, "--token-file", str(token))
    return (*base, "--key", str(tmp_path / "oscar.key"))


def test_a_new_key_is_private_named_as_plans_name_it_and_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "oscar.key"

    said = tocsin("signal", "keygen", file)

    assert said.code == Answer.YES
    assert said.out.startswith("ed25519:")
    assert len(said.out.strip()) == len("ed25519:") + 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = tocsin("signal", "keygen", file)
    assert again.code == Answer.USAGE
    assert "expected no file yet" in again.err


def test_a_report_is_signed_for_the_nodes_block_and_told(node: Running, send: tuple[str, ...]) -> None:
    said = tocsin(*send, "--report", "attack", "--id", TX, "--json")

    assert said.code == Answer.YES, said.err
    assert said.document["id"] == "subject-1"
    told = node.told[0]
    assert (told.plan_hash, told.block, told.report_id) == (PLAN, BLOCK, TX_ID)
    subject = Subject(NetworkId(NETWORK), PlanHash(PLAN), "attack", Digest(BLOCK), TX_ID)
    verify_report(Report(subject, told.reporter, told.signature))
    assert said.document["reporter"] == f"ed25519:{told.reporter.hex()}"


def test_a_subject_of_the_same_occasion_that_is_open_is_joined(node: Running, send: tuple[str, ...]) -> None:
    node.rows = [row(open=[{"report_id": TX_ID.hex(), "block": OPEN_BLOCK.hex()}])]

    assert tocsin(*send, "--report", "attack", "--id", TX).code == Answer.YES
    mine = f"ed25519:{node.told[0].reporter.hex()}"
    signed = {"report_id": TX_ID.hex(), "block": PLAN.hex(), "reporters": [mine]}
    node.rows = [row(open=[signed, {"report_id": TX_ID.hex(), "block": OPEN_BLOCK.hex()}])]
    assert tocsin(*send, "--report", "attack", "--id", TX_ID.hex()).code == Answer.YES
    assert tocsin(*send, "--report", "attack", "--id", "something else").code == Answer.YES
    assert tocsin(*send, "--report", "attack", "--id", TX, "--block", f"0x{PLAN.hex()}").code == Answer.YES

    assert [each.block for each in node.told] == [OPEN_BLOCK, OPEN_BLOCK, BLOCK, PLAN]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--report", "other", "--id", "x"), "known there: attack"),
        (("--report", "attack", "--id", "x", "--plan", "00" * 32), "expected reports of a plan in force"),
        (("--report", "attack", "--id", "x", "--block", "0x12"), "--block: expected 64 hex digits"),
        (("--report", "attack"), "--id: expected a value"),
        (("--id", "x"), "--report: expected a value"),
    ],
)
def test_what_cannot_be_signed_is_refused_by_name(
    node: Running, send: tuple[str, ...], words: tuple[str, ...], said: str
) -> None:
    answer = tocsin(*send, *words)

    assert (answer.code, node.told) == (Answer.USAGE, [])
    assert said in answer.err


def test_plans_that_are_not_in_force_are_not_signed_for(node: Running, send: tuple[str, ...]) -> None:
    node.rows = [row(in_force=False), row(plan_hash=BLOCK.hex())]
    assert tocsin(*send, "--report", "attack", "--id", "x").code == Answer.YES
    assert node.told[0].plan_hash == BLOCK

    node.rows = [row(), row(plan_hash=BLOCK.hex())]
    assert "--plan: expected the plan's hash" in tocsin(*send, "--report", "attack", "--id", "x").err


def test_a_report_without_a_key_and_a_signal_without_a_subject_are_refused(node: Running) -> None:
    words = ("signal", "send", "--url", node.url)
    assert "--key: expected a reporter's key" in tocsin(*words, "--report", "attack", "--id", "x").err
    assert "--subject: expected a value" in tocsin(*words, "--plan", PLAN.hex(), "--reporter", "bob").err
