"""An endpoint that answers nonsense is unavailable; it hangs nothing, fills no memory, leaks no key."""

import json

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.evm import rpc
from adapters.evm.endpoint import open_endpoint
from adapters.evm.refusals import refusal_reason
from adapters.evm.submit import open_submitter
from relay.core.errors import EndpointUnavailable
from relay.core.events import SubmissionEnded
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.ports import ChainSettings, EndpointAddress, Submission, SubmissionStatus
from relay.journal import Outbox
from tests.adapters.evm.door import Key

CHAIN = "eip155:940001"


def served(value):
    """A body that answers whatever was asked with `value`."""
    return lambda request: json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode()


def block(**changes):
    return {
        "number": "0x1",
        "hash": "0x" + "11" * 32,
        "parentHash": "0x" + "22" * 32,
        "timestamp": "0x1",
    } | changes


NONSENSE = {
    "no JSON": lambda _: b"<html>",
    "nothing": lambda _: b"",
    "a number": lambda _: b"17",
    "no id": lambda _: b'{"jsonrpc": "2.0", "result": "0x1"}',
    "another id": lambda _: b'{"jsonrpc": "2.0", "id": 999999, "result": "0x1"}',
    "an error for the batch": lambda _: (
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32005, "message": "slow down"}}'
    ),
    "an error that is none": lambda request: json.dumps({"id": request["id"], "error": "bad"}).encode(),
    "neither result nor error": lambda request: json.dumps({"id": request["id"]}).encode(),
    "a deep nest": lambda _: b"[" * 200_000,
    "null": served(None),
    "a list": served([1, 2]),
    "a block without hash": served(block(hash=None)),
    "a short hash": served(block(hash="0x11")),
    "a negative number": served(block(number="-0x1")),
    "a number beyond 64 bits": served(block(number="0x" + "f" * 17)),
    "a number beyond 52 bits": served(block(number="0x" + "1" + "0" * 13)),
    "a time beyond 40 bits": served(block(timestamp="0x" + "1" + "0" * 10)),
    "a decimal number": served(block(number=5)),
    "odd hex": served(block(parentHash="0x123")),
    "too much": lambda _: b" " * 4_000,
}


@pytest_asyncio.fixture
async def hostile(monkeypatch):
    """An endpoint whose answers a test sets; it is right about the chain only."""
    monkeypatch.setattr(rpc, "MAX_ANSWER_BYTES", 3_000)
    state = {"answer": served(None), "status": 200, "chain": served(hex(940001))}

    async def answer(request):
        asked = await request.json()
        if isinstance(asked, dict) and asked["method"] == "eth_chainId":
            return web.Response(body=state["chain"](asked))
        return web.Response(body=state["answer"](asked), status=state["status"], headers=state.get("headers"))

    application = web.Application()
    application.router.add_post("/{key}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}/secret-key"
    yield state
    await runner.cleanup()


def settings(hostile):
    return ChainSettings(CHAIN, (EndpointAddress("mallory-rpc", hostile["url"]),), need=1, timeout_ms=2_000)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_unavailability(hostile, name):
    hostile["answer"] = NONSENSE[name]
    async with open_endpoint(settings(hostile), settings(hostile).endpoints[0]) as endpoint:
        with pytest.raises(EndpointUnavailable, match="mallory-rpc") as refusal:
            await endpoint.head()

    assert "secret-key" not in str(refusal.value)


DEEP = 64


@pytest.mark.asyncio
@pytest.mark.parametrize("content", ["[" * DEEP + "]" * DEEP, "[" + "[]," * 300 + "[]]"])
async def test_more_nesting_than_an_answer_needs_is_unavailability(hostile, monkeypatch, content):
    monkeypatch.setattr(rpc, "MAX_JSON_TOKENS", 512)
    hostile["answer"] = served(json.loads(content))
    async with rpc.Rpc(CHAIN, settings(hostile).endpoints[0], 2_000) as client:
        with pytest.raises(EndpointUnavailable, match="no JSON within bounds"):
            await client.result("eth_getLogs")


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed_with_our_question(hostile):
    hostile["status"], hostile["headers"] = 307, {"location": "http://127.0.0.1:9/"}
    async with open_endpoint(settings(hostile), settings(hostile).endpoints[0]) as endpoint:
        with pytest.raises(EndpointUnavailable, match="HTTP status 307"):
            await endpoint.head()


@pytest.mark.asyncio
async def test_headers_that_do_not_stand_on_each_other_are_unavailability(hostile):
    def blocks(request):
        requests = request if isinstance(request, list) else [request]
        return json.dumps(
            [{"id": r["id"], "result": block(number=r["params"][0])} for r in requests]
        ).encode()

    hostile["answer"] = blocks
    async with open_endpoint(settings(hostile), settings(hostile).endpoints[0]) as endpoint:
        with pytest.raises(EndpointUnavailable, match="does not stand on the one before"):
            await endpoint.headers(1, 2)


def refused(message, data=None):
    """A body that refuses whatever was asked."""
    error = {"code": 3, "message": message, "data": data}
    return lambda request: json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()


@pytest.mark.asyncio
async def test_what_an_endpoint_says_of_an_error_can_be_written_down_and_holds_no_key(hostile):
    hostile["answer"] = refused("no such\nproject \ud800: secret-key")
    async with rpc.Rpc(CHAIN, settings(hostile).endpoints[0], 2_000) as client:
        (reply,) = await client.replies([rpc.Request("eth_call", [])])

    assert reply.text == "no such?project ?: …"
    assert event_from_bytes(event_to_bytes(ended(reply.text))) == ended(reply.text)


def ended(reason):
    return SubmissionEnded(b"call", Submission(SubmissionStatus.UNAVAILABLE, reason=reason))


def words(*numbers):
    return "".join(f"{number:064x}" for number in numbers)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("08c379a0" + words(32, 1 << 255), "undecodable revert data"),
        ("08c379a0" + words(1 << 255), "undecodable revert data"),
        ("08c379a0" + words(32, 2) + "fffe" + "00" * 30, "Error: \\xff\\xfe"),
        ("08c379a0" + words(32, 2) + "0a41" + "00" * 30, "Error: ?A"),
        ("4e487b71", "undecodable revert data"),
    ],
)
def test_a_revert_of_any_form_is_a_refusal_by_name(data, reason):
    assert refusal_reason(rpc.RpcError(3, "execution reverted", "0x" + data), {}) == reason


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [served(None), served("0xzz"), served([1]), refused("no")])
async def test_an_endpoint_that_cannot_tell_its_chain_or_a_balance_ends_nothing(hostile, answer, tmp_path):
    hostile["chain"] = hostile["answer"] = answer
    key = Key()
    async with (
        Outbox.open(tmp_path / "outbox.sqlite") as outbox,
        open_submitter(settings(hostile), key, outbox.of(CHAIN, key.submitter)) as submitter,
    ):
        with pytest.raises(EndpointUnavailable, match="mallory-rpc"):
            await submitter.balance()
