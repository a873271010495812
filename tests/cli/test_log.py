"""`tocsin log`, against an interface that says what a node would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relay.api import Api, ApiOptions, Json, LogPorts
from relay.cli.settings import Answer
from tests.cli.calls import tocsin
from tests.shells.api.quiet import quiet_ports

CHECKPOINT = {"size": 7, "root": "ab" * 32}


def document(**changes: Json) -> dict[str, Json]:
    log: dict[str, Json] = {
        "origin": "net/alice",
        "vkey": "net/alice+00000000+AAAA",
        "quorum": 3,
        "of": 4,
        "signed": CHECKPOINT,
        "published": CHECKPOINT,
        "cosigned": [{"name": "net/bob/cosigner", "at_s": 1_700_000_000}],
        "missing": [{"name": "net/dave/cosigner", "since_ms": 1_700_000_000_000, "reason": "not connected"}],
        "waiting_ms": 0,
        "stopped": "",
    }
    log.update({name: value for name, value in changes.items() if name in log})
    others: dict[str, Json] = {
        "witness": {"working": True},
        "witnessed": [{"origin": "net/bob", "size": 9, "root": "cd" * 32, "at_s": 1_700_000_000}],
        "forks": [],
        "debts": [],
    }
    return {"log": log, **{name: changes.get(name, value) for name, value in others.items()}}


@dataclass
class Told:
    document: dict[str, Json] = field(default_factory=document)
    url: str = ""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Told]:
    told, loop, is_open, closing = Told(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        ports = LogPorts(log=lambda: told.document)
        async with Api(ApiOptions(tmp_path), quiet_ports(), log=ports) as api:
            told.url = api.url
            is_open.set()
            await closing.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_open.wait(10)
    yield told
    loop.call_soon_threadsafe(closing.set)
    thread.join(10)
    loop.close()


def test_a_log_in_order_is_yes_and_shows_who_is_missing(node: Told) -> None:
    said = tocsin("log", "--url", node.url)

    assert said.code == Answer.YES
    for shown in (
        "net/alice",
        "7 entries, cosigned by 1 (needs 3 of 4)",
        "2023-11-14 22:13:20 UTC",
        "missing since",
        "not connected",
    ):
        assert shown in said.out
    assert tocsin("log", "--url", node.url, "--json").document["log"]["published"] == CHECKPOINT


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stopped": "a checkpoint of size 9 is shown"}, "this log has stopped: a checkpoint of size 9"),
        ({"waiting_ms": 60_000}, "has waited 60 s for its cosignatures"),
        ({"witness": {"working": False}}, "this node's witness cosigns nothing"),
        ({"forks": [{"origin": "net/bob", "size": 5}]}, "fork: net/bob has signed two roots for size 5"),
        ({"debts": [{"origin": "net/bob", "size": 5, "owes": True}]}, "net/bob owes a proof for size 5"),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(node: Told, changes: dict[str, Json], problem: str) -> None:
    node.document = document(**changes)

    said = tocsin("log", "--url", node.url)

    assert said.code == Answer.NO
    assert problem in said.out
    assert "try: " in said.out
    problems = tocsin("log", "--url", node.url, "--json").document["problems"]
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_log_that_still_has_time_is_in_order(node: Told) -> None:
    node.document = document(waiting_ms=59_999, debts=[{"origin": "net/bob", "size": 5, "owes": False}])

    assert tocsin("log", "--url", node.url, "--quiet").code == Answer.YES


def test_an_answer_of_another_shape_is_no_yes(node: Told) -> None:
    node.document = {"log": "nonsense", "forks": 5, "witness": []}

    assert tocsin("log", "--url", node.url).code == Answer.NO
