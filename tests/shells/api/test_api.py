"""The HTTP interface, spoken to over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from relay.api import Api, ApiOptions, ApiPorts, Json, Readiness, SignalRefused, SignalRequest
from relay.core.errors import ConfigError

TOKEN = b"the-token-of-alice"
DECISION = bytes(range(32))
PLAN = "ab" * 32
SIGNAL = {"plan_hash": PLAN, "subject": "unbacked", "reporter": "bob", "note": "looks bad"}


@dataclass
class Node:
    """An honest little node behind the interface."""

    signals: list[SignalRequest] = field(default_factory=list)
    facts: tuple[Readiness, ...] = (Readiness("journal", ready=True),)
    trouble: str = ""

    def incident(self, name: str) -> Mapping[str, Json] | None:
        return {"id": name, "rule": "unbacked"} if name == "first" else None

    async def bundle(self, decision_id: bytes) -> bytes | None:
        return b"a bundle" if decision_id == DECISION else None

    async def tell_signal(self, signal: SignalRequest) -> str:
        if signal.plan_hash != bytes.fromhex(PLAN):
            raise SignalRefused("plan_hash: expected a plan of this node, got another")
        self.signals.append(signal)
        return "signal-1"

    def ports(self) -> ApiPorts:
        return ApiPorts(
            status=lambda: {"network": "demo"},
            incidents=lambda: [{"id": "first"}],
            incident=self.incident,
            bundle=self.bundle,
            readiness=lambda: self.facts,
            health=lambda: self.trouble,
            tell_signal=self.tell_signal,
            signals=lambda: [{"subject": "unbacked", "reporter": "bob"}],
            remarks=lambda: {"shadows": [], "readiness": [{"fact": "funds"}]},
            metrics=lambda: (b"tocsin_up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        )


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Setup:
    node: Node
    api: Api
    client: aiohttp.ClientSession
    clock: Clock
    log: Path

    async def get(self, path: str, **options: object) -> tuple[int, dict[str, object]]:
        async with self.client.get(self.api.url + path, **options) as answer:
            return answer.status, json.loads(await answer.read())

    async def tell(self, body: object, token: str | None = TOKEN.decode()) -> tuple[int, dict[str, object]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.post(self.api.url + "/v1/signals", data=raw, headers=headers) as answer:
            document = json.loads(await answer.read())
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
                assert document["status"] == answer.status
            return answer.status, document


@asynccontextmanager
async def serving(tmp_path: Path, **changes: object) -> AsyncIterator[Setup]:
    log = tmp_path / "log"
    log.mkdir()
    options = replace(ApiOptions(log_directory=log, token=TOKEN), **changes)
    node, clock = Node(), Clock()
    async with (
        Api(options, node.ports(), clock_s=clock) as api,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client,
    ):
        yield Setup(node, api, client, clock, log)


@pytest.mark.asyncio
async def test_incidents_and_bundles_are_served_with_a_schema(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert await setup.get("/v1/status") == (200, {"schema": "tocsin/status/1", "network": "demo"})
        assert await setup.get("/v1/incidents") == (
            200,
            {"schema": "tocsin/incidents/1", "incidents": [{"id": "first"}]},
        )
        assert (await setup.get("/v1/incidents/first"))[1]["schema"] == "tocsin/incident/1"
        async with setup.client.get(f"{setup.api.url}/v1/decisions/{DECISION.hex()}/bundle") as answer:
            assert (answer.status, await answer.read()) == (200, b"a bundle")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    ["/v1/incidents/second", f"/v1/decisions/{'00' * 32}/bundle", "/v1/decisions/zz/bundle", "/v1/other"],
)
async def test_what_does_not_exist_is_a_problem_document(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as setup:
        status, document = await setup.get(path)

        assert status == document["status"] == 404
        assert document["detail"]


@pytest.mark.asyncio
async def test_a_signal_with_the_token_reaches_the_node(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert await setup.tell(SIGNAL) == (202, {"schema": "tocsin/signal/1", "id": "signal-1"})
        assert setup.node.signals == [SignalRequest(bytes.fromhex(PLAN), "unbacked", "bob", "looks bad")]


@pytest.mark.asyncio
@pytest.mark.parametrize("token", [None, "", "the-token-of-mallory", "the-token-of-alic", "\xe4"])
async def test_a_wrong_token_tells_nothing(tmp_path: Path, token: str | None) -> None:
    async with serving(tmp_path) as setup:
        status, document = await setup.tell(SIGNAL, token)

        assert status == 401
        assert "Bearer" in str(document["detail"])
        assert setup.node.signals == []


@pytest.mark.asyncio
async def test_who_told_us_what_is_shown_with_the_token_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        status, _ = await setup.get("/v1/signals")
        bearer = {"Authorization": f"Bearer {TOKEN.decode()}"}
        told = await setup.get("/v1/signals", headers=bearer)

        assert status == 401
        signals = [{"subject": "unbacked", "reporter": "bob"}]
        assert told == (200, {"schema": "tocsin/signals/1", "signals": signals})


@pytest.mark.asyncio
async def test_shadow_decisions_and_changes_of_readiness_are_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert await setup.get("/v1/remarks") == (
            200,
            {"schema": "tocsin/remarks/1", "shadows": [], "readiness": [{"fact": "funds"}]},
        )


@pytest.mark.asyncio
async def test_without_a_token_file_nobody_can_signal(tmp_path: Path) -> None:
    async with serving(tmp_path, token=None) as setup:
        assert (await setup.tell(SIGNAL, ""))[0] == 403


@pytest.mark.asyncio
async def test_guessing_tokens_is_slowed_down_for_everybody(tmp_path: Path) -> None:
    async with serving(tmp_path, failures_per_minute=3) as setup:
        assert [(await setup.tell(SIGNAL, "guess"))[0] for _ in range(4)] == [401, 401, 401, 429]
        assert (await setup.tell(SIGNAL))[0] == 429

        setup.clock.now_s += 60

        assert (await setup.tell(SIGNAL))[0] == 202


@pytest.mark.asyncio
async def test_signals_have_a_rate(tmp_path: Path) -> None:
    async with serving(tmp_path, signals_per_minute=2) as setup:
        assert [(await setup.tell(SIGNAL))[0] for _ in range(3)] == [202, 202, 429]

        setup.clock.now_s += 30

        assert (await setup.tell(SIGNAL))[0] == 202


@pytest.mark.asyncio
async def test_an_oversized_body_is_refused_before_it_is_read_to_the_end(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 1_024

    async with serving(tmp_path) as setup:
        assert (await setup.tell({**SIGNAL, "note": "x" * 20_000}))[0] == 413
        headers = {"Authorization": f"Bearer {TOKEN.decode()}"}
        url = setup.api.url + "/v1/signals"
        async with setup.client.post(url, data=endless(), headers=headers) as answer:
            assert answer.status == 413


@pytest.mark.asyncio
async def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path, body_timeout_s=0.05) as setup:
        reader, writer = await asyncio.open_connection(*setup.api.address)
        head = f"POST /v1/signals HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN.decode()}\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\nhalf".encode())

        async with asyncio.timeout(10):
            assert b"408" in await reader.readline()
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\xff", "a JSON object"),
        (b"[]", "a JSON object"),
        (b"[" * 10_000, "a JSON object"),
        ({**SIGNAL, "note": json.loads("[" * 64 + "]" * 64)}, "a JSON object"),
        ({**SIGNAL, "note": [[]] * 256}, "a JSON object"),
        (b'{"note": NaN}', "a JSON object"),
        (json.dumps(SIGNAL)[:-1].encode() + b', "note": "again"}', "a JSON object"),
        ({**SIGNAL, "urgent": True}, "unknown 'urgent'"),
        ({key: SIGNAL[key] for key in ("plan_hash", "note", "subject")}, "missing reporter"),
        ({**SIGNAL, "plan_hash": "ab"}, "plan_hash"),
        ({**SIGNAL, "plan_hash": "zz" * 32}, "plan_hash"),
        ({**SIGNAL, "plan_hash": 7}, "plan_hash"),
        ({**SIGNAL, "plan_hash": "cd" * 32}, "plan of this node"),
        ({**SIGNAL, "subject": ""}, "subject"),
        ({**SIGNAL, "subject": "x" * 257}, "subject"),
        ({**SIGNAL, "reporter": "\u001b[2J"}, "reporter"),
        ({**SIGNAL, "note": None}, "note"),
        (json.dumps(SIGNAL).replace("looks bad", "\\ud800").encode(), "note"),
    ],
)
async def test_a_malformed_signal_is_told_what_was_expected(tmp_path: Path, body: object, named: str) -> None:
    async with serving(tmp_path) as setup:
        status, document = await setup.tell(body)

        assert status == 422
        assert named in str(document["detail"])
        assert setup.node.signals == []


@pytest.mark.asyncio
async def test_readiness_names_each_fact_and_its_remedy(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.get("/readyz"))[0] == 200

        setup.node.facts = (
            Readiness("journal", ready=True),
            Readiness("guard", ready=False, reason="locked", remedy="wait for 2 answers"),
        )
        status, document = await setup.get("/readyz")

        assert status == 503
        assert document["ready"] is False
        assert document["facts"] == [
            {"name": "journal", "ready": True, "reason": "", "remedy": ""},
            {"name": "guard", "ready": False, "reason": "locked", "remedy": "wait for 2 answers"},
        ]


@pytest.mark.asyncio
async def test_health_and_metrics_say_how_it_goes(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.get("/healthz"))[0] == 200
        setup.node.trouble = "the journal takes no writes"
        assert await setup.get("/healthz") == (
            503,
            {"schema": "tocsin/health/1", "healthy": False, "reason": "the journal takes no writes"},
        )
        async with setup.client.get(setup.api.url + "/metrics") as answer:
            assert await answer.read() == b"tocsin_up 1\n"
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.asyncio
async def test_the_wrong_method_is_told_the_right_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup, setup.client.get(setup.api.url + "/v1/webhooks/one") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"


@pytest.mark.asyncio
async def test_a_page_with_a_name_of_its_own_cannot_read_a_loopback_interface(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.get("/v1/incidents", headers={"Host": "mallory.example"}))[0] == 421
        assert (await setup.get("/v1/incidents", headers={"Host": "localhost:1"}))[0] == 200
        assert (await setup.get("/v1/incidents", headers={"Host": "[::1]"}))[0] == 200


@pytest.mark.asyncio
async def test_beyond_loopback_only_the_log_and_the_health_are_open(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("note\n")
    api = Api(ApiOptions(tmp_path, host="192.0.2.1", token=TOKEN), Node().ports())
    # The rules of a public address, on a socket of this machine.
    async with TestServer(api._application()) as server, TestClient(server) as client:
        paths = ["/v1/incidents", "/v1/events", "/metrics", "/healthz", "/readyz", "/checkpoint"]
        assert [(await client.get(path)).status for path in paths] == [401, 401, 401, 200, 200, 200]
        headers = {"Authorization": f"Bearer {TOKEN.decode()}", "Host": "node.example"}
        assert (await client.get("/v1/incidents", headers=headers)).status == 200


@pytest.mark.asyncio
async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        host, port = setup.api.address
        with pytest.raises(ConfigError, match=rf"api\.bind {host}:{port}.*in use") as refusal:
            async with Api(ApiOptions(setup.log, port=port), Node().ports()):
                pass

        assert refusal.value.remedy
        assert (await setup.get("/healthz"))[0] == 200


@pytest.mark.asyncio
async def test_connections_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections=2) as setup:
        held = [await asyncio.open_connection(*setup.api.address) for _ in range(2)]
        for _, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in held:
            assert b"200" in await reader.readline()

        reader, writer = await asyncio.open_connection(*setup.api.address)
        async with asyncio.timeout(10):
            assert await reader.read() == b""

        for _, held_writer in [*held, (reader, writer)]:
            held_writer.close()


def test_a_token_is_not_shown_by_repr(tmp_path: Path) -> None:
    assert TOKEN.decode() not in repr(ApiOptions(tmp_path, token=TOKEN))
