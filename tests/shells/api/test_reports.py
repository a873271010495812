"""Reports and webhooks of the HTTP interface, over real sockets (plans SPEC 1.6)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from relay.api import Api, ApiOptions, Monitor, ReportPorts, ReportRequest, SignalRefused
from relay.api.reports import FRESH_MS, MAX_SEEN, Webhooks, report_id_of
from tests.shells.api.quiet import quiet_ports

TOKEN = b"the-token-of-alice"
SECRET = b"a secret of this monitor alone"
TX = "0x" + "Ab" * 32
FINDING = {"title": "unbacked", "body": f"released more than burned in {TX}"}
NOW_MS = 1_700_000_000_000
REPORT = {
    "plan_hash": "01" * 32,
    "report": "attack",
    "block": "0x" + "02" * 32,
    "report_id": "03" * 32,
    "reporter": "ed25519:" + "04" * 32,
    "signature": "05" * 64,
}


@dataclass
class Node:
    """An honest little node behind the interface."""

    told: list[ReportRequest] = field(default_factory=list)
    found: list[tuple[str, bytes]] = field(default_factory=list)
    refusal: str = ""
    now_ms: int = NOW_MS

    async def tell(self, request: ReportRequest) -> str:
        if self.refusal:
            raise SignalRefused(self.refusal)
        self.told.append(request)
        return "subject-1"

    async def find(self, name: str, report_id: bytes) -> str:
        if self.refusal:
            raise SignalRefused(self.refusal)
        self.found.append((name, report_id))
        return "subject-2"

    def ports(self) -> ReportPorts:
        return ReportPorts(
            overview=lambda: [{"report": "attack"}],
            tell=self.tell,
            monitors={
                "watcher": Monitor(SECRET),
                "other": Monitor(b"another secret, of other", ("alert", "id")),
            },
            found=self.find,
            clock_ms=lambda: self.now_ms,
        )


@dataclass
class Setup:
    node: Node
    api: Api
    client: aiohttp.ClientSession

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        async with self.client.post(self.api.url + path, data=body, headers=headers) as answer:
            document = json.loads(await answer.read())
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, document

    async def hook(
        self, finding: object = None, *, secret: bytes = SECRET, at_ms: int = NOW_MS, name: str = "watcher"
    ) -> tuple[int, dict[str, object]]:
        """Post as OpenZeppelin Monitor does."""
        body = json.dumps(FINDING if finding is None else finding, separators=(",", ":")).encode()
        return await self.post(f"/v1/webhooks/{name}", body, signed(body, secret=secret, at_ms=at_ms))


def signed(body: bytes, *, secret: bytes = SECRET, at_ms: int = NOW_MS) -> dict[str, str]:
    """Give the headers: HMAC-SHA256 in hex over the JSON bytes and the milliseconds right behind them."""
    digest = hmac.new(secret, body + str(at_ms).encode(), hashlib.sha256).hexdigest()
    return {"X-Signature": digest, "X-Timestamp": str(at_ms), "Content-Type": "application/json"}


@asynccontextmanager
async def serving(tmp_path: Path, **changes: object) -> AsyncIterator[Setup]:
    node = Node()
    options = ApiOptions(log_directory=tmp_path, token=TOKEN, **changes)  # type: ignore[arg-type]
    async with (
        Api(options, quiet_ports(), None, node.ports(), clock_s=lambda: 1_000.0) as api,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client,
    ):
        yield Setup(node, api, client)


# ---- what a reporter signed himself


@pytest.mark.asyncio
async def test_a_signed_report_with_the_token_reaches_the_node(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        headers = {"Authorization": f"Bearer {TOKEN.decode()}"}
        answer = await setup.post("/v1/signals", json.dumps(REPORT).encode(), headers)

        assert answer == (202, {"schema": "tocsin/report/1", "id": "subject-1"})
        parts = [bytes([number]) * 32 for number in range(1, 5)]
        expected = ReportRequest(parts[0], "attack", parts[1], parts[2], parts[3], bytes([5]) * 64)
        assert setup.node.told == [expected]
        async with setup.client.get(setup.api.url + "/v1/reports") as listed:
            assert (await listed.json())["reports"] == [{"report": "attack"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"block": "02" * 31}, "block: expected 64 hex digits"),
        ({"signature": "zz"}, "signature: expected 128 hex digits"),
        ({"block": "02 " * 32}, "block: expected 64 hex digits, got 96 characters"),
        ({"reporter": 7}, "reporter: expected 64 hex digits, got int"),
        ({"report": ""}, "report: expected text of 1 to 128 bytes"),
        ({"note": "x"}, "unknown 'note'"),
        ({"block": None}, "block: expected 64 hex digits, got NoneType"),
    ],
)
async def test_a_report_of_another_form_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    async with serving(tmp_path) as setup:
        headers = {"Authorization": f"Bearer {TOKEN.decode()}"}
        status, document = await setup.post("/v1/signals", json.dumps({**REPORT, **change}).encode(), headers)

        assert (status, setup.node.told) == (422, [])
        assert said in str(document["detail"])


@pytest.mark.asyncio
async def test_a_report_without_the_token_or_that_nobody_takes_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.post("/v1/signals", json.dumps(REPORT).encode(), {}))[0] == 401
        setup.node.refusal = "unknown reporter: the plan must name this key"
        headers = {"Authorization": f"Bearer {TOKEN.decode()}"}
        status, document = await setup.post("/v1/signals", json.dumps(REPORT).encode(), headers)

        assert (status, document["detail"]) == (422, setup.node.refusal)


# ---- webhooks


@pytest.mark.asyncio
async def test_a_monitors_finding_is_reported_by_the_hash_of_its_transaction(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert await setup.hook() == (202, {"schema": "tocsin/report/1", "id": "subject-2"})
        assert setup.node.found == [("watcher", hashlib.sha256(TX.lower().encode()).digest())]


def test_two_monitors_of_one_finding_name_it_alike() -> None:
    first = report_id_of(Monitor(SECRET), json.dumps(FINDING).encode())
    other = json.dumps({"alert": {"id": TX.lower(), "severity": 3}}).encode()

    assert report_id_of(Monitor(SECRET, ("alert", "id")), other) == first
    assert report_id_of(Monitor(SECRET, ("n",)), b'{"n": 7}') == hashlib.sha256(b"7").digest()


@pytest.mark.asyncio
async def test_another_key_body_or_time_than_was_signed_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        body = json.dumps(FINDING).encode()
        headers = signed(body)
        cases = [
            (body, signed(body, secret=b"the secret of somebody else")),
            (body + b" ", headers),
            (body, {**headers, "X-Timestamp": str(NOW_MS + 1)}),
            (body, {**headers, "X-Signature": "0" * 64}),
            (body, {"X-Signature": headers["X-Signature"]}),
            (body, {"X-Timestamp": headers["X-Timestamp"]}),
            (body, {**headers, "X-Signature": headers["X-Signature"][:-1]}),
            (body, {**headers, "X-Timestamp": "-1"}),
        ]
        for sent, said in cases:
            assert (await setup.post("/v1/webhooks/watcher", sent, said))[0] == 401, said
        assert (await setup.post("/v1/webhooks/other", body, headers))[0] == 401, "each has its own key"
        assert (await setup.post("/v1/webhooks/nobody", body, headers))[0] == 404
        assert setup.node.found == []


@pytest.mark.asyncio
async def test_a_stale_message_is_refused_and_one_at_the_edge_is_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        for late_ms in (-FRESH_MS - 1, FRESH_MS + 1):
            status, document = await setup.hook(at_ms=NOW_MS + late_ms)
            assert (status, "300 s" in str(document["detail"])) == (401, True)
        for late_ms in (-FRESH_MS, FRESH_MS):
            assert (await setup.hook(at_ms=NOW_MS + late_ms))[0] == 202


@pytest.mark.asyncio
async def test_one_message_is_taken_once_also_later(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.hook(at_ms=NOW_MS + FRESH_MS))[0] == 202
        assert (await setup.hook(at_ms=NOW_MS + FRESH_MS))[0] == 409
        setup.node.now_ms += 2 * FRESH_MS
        assert (await setup.hook(at_ms=NOW_MS + FRESH_MS))[0] == 409, "still fresh"
        setup.node.now_ms += 1
        assert (await setup.hook(at_ms=NOW_MS + FRESH_MS))[0] == 401, "no longer"
        assert len(setup.node.found) == 1


@pytest.mark.asyncio
async def test_who_cannot_remember_more_messages_takes_none() -> None:
    node = Node()
    webhooks = Webhooks(node.ports(), per_minute=1 << 20, clock_s=lambda: 0.0)
    body = json.dumps(FINDING).encode()
    for number in range(MAX_SEEN):
        await webhooks.take("watcher", signed(body, at_ms=NOW_MS - number), body)

    with pytest.raises(Exception, match="too many findings"):
        await webhooks.take("watcher", signed(body, at_ms=NOW_MS + 1), body)
    with pytest.raises(Exception, match="taken before"):
        await webhooks.take("watcher", signed(body), body)
    node.now_ms += 2 * FRESH_MS
    with pytest.raises(Exception, match="too many findings"):  # one that it took could still be fresh
        await webhooks.take("watcher", signed(body, at_ms=node.now_ms), body)
    node.now_ms += 1
    assert await webhooks.take("watcher", signed(body, at_ms=node.now_ms), body) == "subject-2"


@pytest.mark.asyncio
async def test_a_long_body_and_many_findings_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, findings_per_minute=2, max_body_bytes=2_048) as setup:
        assert (await setup.hook({**FINDING, "more": "x" * 4_096}))[0] == 413
        assert [(await setup.hook(at_ms=NOW_MS + number))[0] for number in range(3)] == [202, 202, 429]
        other = json.dumps({"alert": {"id": "7"}}).encode()
        headers = signed(other, secret=b"another secret, of other")
        assert (await setup.post("/v1/webhooks/other", other, headers))[0] == 202, "one does not stop another"


@pytest.mark.asyncio
async def test_a_finding_that_names_no_occasion_is_refused_with_the_remedy(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        status, document = await setup.hook({"title": "unbacked", "body": "something"})
        assert (status, "id_path" in str(document["remedy"])) == (422, True)
        assert (await setup.hook({"body": "0x" + "ab" * 33}))[0] == 422, "no hash of 32 bytes"
        for body in (b"[]", b"{", b'{"alert": 7}', b'{"alert": {"id": ""}}'):
            headers = signed(body, secret=b"another secret, of other")
            assert (await setup.post("/v1/webhooks/other", body, headers))[0] == 422
        assert setup.node.found == []


@pytest.mark.asyncio
async def test_a_finding_that_the_node_does_not_take_says_why(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        setup.node.refusal = "plan not in force: sign for the plan that is registered now"

        status, document = await setup.hook()

        assert (status, document["detail"]) == (422, setup.node.refusal)


@pytest.mark.asyncio
async def test_on_an_open_address_a_webhook_wants_no_token_and_all_else_does(tmp_path: Path) -> None:
    async with serving(tmp_path, host="0.0.0.0") as setup:
        port = setup.api.address[1]
        body = json.dumps(FINDING).encode()
        base = f"http://127.0.0.1:{port}"
        async with setup.client.post(
            f"{base}/v1/webhooks/watcher", data=body, headers=signed(body)
        ) as answer:
            assert answer.status == 202
        async with setup.client.get(f"{base}/v1/reports") as answer:
            assert answer.status == 401
