"""Commands that talk to a running node, over a real interface in another thread."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from relay.api import Api, ApiOptions, ApiPorts, Json, Readiness, SignalRequest
from relay.cli.settings import Answer
from tests.cli.calls import tocsin
from tests.shells.api.quiet import quiet_ports

FIRST, SECOND = "aa" * 32, "ab" * 32
BLOCK = {"chain": "eip155:1", "number": 7, "hash": "00" * 32, "timestamp": 1_700_000_000}
SHORT: Mapping[str, Json] = {
    "id": FIRST,
    "protocol": "acme",
    "rule": "unbacked",
    "began": BLOCK,
    "decisions_count": 1,
    "certified": True,
    "contained": False,
}
ACT: Mapping[str, Json] = {"act": "halt", "chain": "eip155:1", "effect": "started", "block": BLOCK}
DECISION: Mapping[str, Json] = {"id": FIRST, "op": "protect", "verdicts": {"bob": "attest"}, "acts": [ACT]}


@dataclass
class Running:
    """An interface that serves until the test ends."""

    facts: tuple[Readiness, ...] = (Readiness("signer", ready=True),)
    signals: list[SignalRequest] = field(default_factory=list)
    url: str = ""
    api: Api | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    is_open: threading.Event = field(default_factory=threading.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def ports(self) -> ApiPorts:
        full = {**SHORT, "decisions": [DECISION]}
        return replace(
            quiet_ports(),
            status=lambda: {"member": "alice", "chains": {"eip155:1": {"tip": BLOCK}}},
            incidents=lambda: [SHORT, {**SHORT, "id": SECOND, "rule": "[red]no markup[/]\x1b[2J"}],
            incident=lambda name: full if name == FIRST else None,
            readiness=lambda: self.facts,
            tell_signal=self.tell,
        )

    async def tell(self, signal: SignalRequest) -> str:
        self.signals.append(signal)
        return "signal-1"

    async def serve(self, directory: Path) -> None:
        options = ApiOptions(directory, token=b"the-token", keepalive_s=0.05, max_streams=1)
        async with Api(options, self.ports()) as self.api:
            self.url = self.api.url
            self.is_open.set()
            await self.closing.wait()

    def publish(self, kind: str, document: Mapping[str, Json]) -> None:
        assert self.api is not None
        self.loop.call_soon_threadsafe(self.api.publish, kind, document)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.closing.set)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    running = Running()
    thread = threading.Thread(target=lambda: running.loop.run_until_complete(running.serve(tmp_path)))
    thread.start()
    assert running.is_open.wait(10)
    yield running
    running.close()
    thread.join(10)
    running.loop.close()
    assert not thread.is_alive()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("the-token\n")
    file.chmod(0o600)
    return file


def test_status_of_a_ready_node_is_yes(node: Running) -> None:
    said = tocsin("status", "--url", node.url, "--json")

    assert said.code == Answer.YES
    assert said.document["schema"] == "tocsin/status/1"
    assert (said.document["ready"], said.document["member"]) == (True, "alice")
    assert "block 7" in tocsin("status", "--url", node.url).out


def test_status_of_an_unready_node_names_the_fact_and_its_remedy(node: Running) -> None:
    node.facts = (Readiness("signer", ready=False, reason="locked", remedy="see that peers are reachable"),)

    said = tocsin("status", "--url", node.url)

    assert said.code == Answer.NO
    assert "✗ signer  locked" in said.out
    assert "try: see that peers are reachable" in said.out
    assert tocsin("status", "--url", node.url, "--quiet").out == ""


def test_status_without_a_node_is_could_not_tell(node: Running) -> None:
    node.close()
    said = tocsin("status", "--url", "http://127.0.0.1:1")

    assert said.code == Answer.UNKNOWN
    assert "expected a running node" in said.err


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:9330", "http://", "http://[::1"])
def test_a_url_that_is_none_is_a_usage_error(url: str) -> None:
    said = tocsin("status", "--url", url)

    assert said.code == Answer.USAGE
    assert "expected http://host:port" in said.err


def test_something_that_is_no_node_is_told_apart(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async def ask() -> int:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            said = await asyncio.to_thread(tocsin, "status", "--url", f"http://127.0.0.1:{port}")
            assert "expected a node's answer" in said.err
            return said.code

    assert asyncio.run(ask()) == Answer.UNKNOWN


def test_incidents_are_listed_without_markup_or_control_characters(node: Running) -> None:
    said = tocsin("incident", "list", "--url", node.url)

    assert FIRST[:16] in said.out
    assert "[red]no markup" in said.out
    assert "\x1b[2J" not in said.out
    assert tocsin("incident", "list", "--url", node.url, "--json").document["schema"] == "tocsin/incidents/1"


def test_an_incident_is_shown_by_the_beginning_of_its_id(node: Running) -> None:
    said = tocsin("incident", "show", FIRST[:2] + FIRST[:4], "--url", node.url)

    assert said.code == Answer.YES, said.err
    assert "bob  attest" in said.out
    assert "halt" in said.out
    document = tocsin("incident", "show", FIRST, "--url", node.url, "--json").document
    assert (document["schema"], document["incident"]["id"]) == ("tocsin/incident/1", FIRST)  # type: ignore[index] - JSON


@pytest.mark.parametrize(("name", "code", "said"), [("a", 2, "2 incidents"), ("ff", 1, "no incident")])
def test_an_incident_must_be_one_of_those_listed(node: Running, name: str, code: int, said: str) -> None:
    answer = tocsin("incident", "show", name, "--url", node.url)

    assert answer.code == code
    assert said in answer.err


def test_watch_gives_one_line_for_each_update(node: Running) -> None:
    async def watch() -> str:
        async with asyncio.TaskGroup() as group:
            call = asyncio.to_thread(tocsin, "incident", "watch", "--count", 2, "--json", "--url", node.url)
            watching = group.create_task(call)
            while not watching.done():  # until the watcher is there, updates go to nobody
                node.publish("incident", SHORT)
                await asyncio.wait((watching,), timeout=0.02)
        return watching.result().out

    lines = [json.loads(line) for line in asyncio.run(watch()).splitlines()]

    expected = ("tocsin/event/1", "incident", FIRST)
    assert [(line["schema"], line["event"], line["id"]) for line in lines] == [expected, expected]


def test_watch_ends_with_could_not_tell_when_the_node_stops(node: Running) -> None:
    async def watch() -> int:
        assert node.api is not None
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            call = asyncio.to_thread(tocsin, "incident", "watch", "--url", node.url)
            watching = group.create_task(call)
            while not node.api._streams._clients:
                await asyncio.wait((watching,), timeout=0.02)
            node.close()
        return watching.result().code

    assert asyncio.run(watch()) == Answer.UNKNOWN


def test_a_signal_is_told_with_the_token(node: Running, token: Path) -> None:
    said = tocsin(
        "signal", "send", "--plan", FIRST, "--subject", "unbacked", "--note", "bad", "--reporter", "bob",
        "--url", node.url, "--token-file", token, "--json",
    )  # fmt: skip

    assert said.code == Answer.YES, said.out
    assert said.document == {"schema": "tocsin/signal/1", "id": "signal-1"}
    assert node.signals == [SignalRequest(bytes.fromhex(FIRST), "unbacked", "bob", "bad")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"--plan": "zz"}, "plan_hash: expected 64 hex digits"),
        ({"--token-file": None}, "expected Authorization"),
    ],
)
def test_a_refused_signal_is_told_in_the_nodes_words(
    node: Running, token: Path, changes: Mapping[str, str | None], told: str
) -> None:
    options = {"--plan": FIRST, "--subject": "x", "--reporter": "bob", "--token-file": str(token), **changes}
    words = [word for name, value in options.items() if value is not None for word in (name, value)]

    said = tocsin("signal", "send", "--url", node.url, *words)

    assert said.code == Answer.NO
    assert told in said.err
    assert node.signals == []


def test_a_token_file_open_to_others_is_refused(node: Running, token: Path) -> None:
    token.chmod(0o644)

    said = tocsin("status", "--url", node.url, "--token-file", token)

    assert said.code == Answer.USAGE
    assert f"chmod 600 {token}" in said.err


def test_a_plan_is_checked_and_hashed(tmp_path: Path) -> None:
    plan = Path(__file__).parents[1] / "plans" / "bridge.plan.toml"

    checked = tocsin("plan", "check", plan, "--json")

    assert checked.code == Answer.YES, checked.out
    assert checked.document["schema"] == "tocsin/plan-check/1"
    assert checked.document["hash"] == tocsin("plan", "hash", plan).out.strip()
    assert tocsin("plan", "hash", plan, "--json").document["schema"] == "tocsin/plan-hash/1"

    broken = tmp_path / "broken.plan.toml"
    shutil.copy(plan, broken)
    broken.write_text(plan.read_text().replace("[clock]", "[clok]", 1))
    refused = tocsin("plan", "check", broken)
    assert refused.code == Answer.NO
    assert ":10: clok" in refused.out
    assert tocsin("plan", "hash", broken).code == Answer.USAGE
