"""Anchors read from a chain by plain JSON-RPC, held against the logs that they name."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest

from proofs.checkpoint import parse_checkpoint
from proofs.hashes import sha256
from proofs.policy import parse_policy
from relay.audit import rpc as plain_rpc
from relay.audit.anchors import LOG_ANCHORED, anchors_of
from relay.audit.gather import places_of
from relay.audit.incident import Investigation, investigate
from relay.audit.opening import Trust
from relay.audit.rpc import Endpoint, RpcError
from relay.audit.story import Answer
from tests.audit.village import GATEWAYS, Alarm, Village, log_files, put
from tests.proofs.conftest import HOME
from tests.proofs.incident import NOW_S
from tests.shells.audit.servers import answering, head

KEY = "k3y-in-the-path"


class Chain:
    """An endpoint of the village's home chain; `widest` is how many blocks it gives logs of at once."""

    def __init__(self, chain_id: int = 31_337, widest: int = 1 << 40) -> None:
        self.chain_id, self.widest, self.head = chain_id, widest, 5_000
        self.logs: list[dict[str, object]] = []
        self.asked: list[str] = []

    def anchored(self, incident: str, origin: str, size: int, root: bytes, **changes: object) -> None:
        log: dict[str, object] = {
            "address": GATEWAYS[HOME],
            "topics": [f"0x{LOG_ANCHORED.hex()}", f"0x{incident}", f"0x{sha256(origin.encode()).hex()}"],
            "data": f"0x{size.to_bytes(32, 'big').hex()}{root.hex()}",
            "blockNumber": hex(4_000 + len(self.logs)),
            "transactionHash": f"0x{bytes([len(self.logs)] * 32).hex()}",
        }
        self.logs.append({**log, **changes})

    def answer(self, method: str, params: list[Mapping[str, str]]) -> dict[str, object]:
        self.asked.append(method)
        if method == "eth_chainId":
            return {"result": hex(self.chain_id)}
        if method == "eth_blockNumber":
            return {"result": hex(self.head)}
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        if last - first + 1 > self.widest:
            return {"error": {"code": -32_005, "message": "range too wide"}}
        found = [log for log in self.logs if first <= int(str(log["blockNumber"]), 16) <= last]
        return {"result": found}


@contextmanager
def rpc(chain: Chain) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps({"id": 1, "jsonrpc": "2.0", **chain.answer(asked["method"], asked["params"])})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{KEY}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def alarm() -> Alarm:
    return Alarm(Village())


@pytest.fixture
def found(alarm: Alarm, tmp_path: Path) -> Investigation:
    """Give what two members' folders hold of the alarm."""
    sources: list[str] = []
    for name in ("alice", "bob"):
        folder = put(tmp_path / name, {"a.bundle": alarm.bundle(name)})
        put(folder / "log", log_files(alarm.village, name, alarm.said))
        sources.append(str(folder))
    raw = alarm.village.cosigned_policy()
    trust = Trust(raw, parse_policy(raw), NOW_S)
    return investigate(list(places_of(sources, None)), alarm.id, trust, lambda: NOW_S)


def root_of(alarm: Alarm, keeper: str, size: int) -> bytes:
    note = log_files(alarm.village, keeper, alarm.said[:size])["checkpoint"].decode()
    return parse_checkpoint(note.partition("\n\n")[0] + "\n").root


def test_an_anchor_that_a_log_begins_with_is_consistent(alarm: Alarm, found: Investigation) -> None:
    chain = Chain()
    chain.anchored(alarm.id, "town/alice", 9, root_of(alarm, "alice", 9))
    chain.anchored(alarm.id, "town/bob", 10, root_of(alarm, "bob", 10))
    with rpc(chain) as url:
        anchors, findings = anchors_of(found.case, found.readers, {HOME: url})

    assert findings == []
    assert anchors is not None
    assert [(each.log, each.size, each.is_consistent) for each in anchors] == [
        ("alice", 9, True),
        ("bob", 10, True),
    ]


def test_an_anchor_of_another_history_is_told_and_convicts_nobody(alarm: Alarm, found: Investigation) -> None:
    chain = Chain()
    chain.anchored(alarm.id, "town/alice", 9, bytes(32))
    with rpc(chain) as url:
        anchors, (finding,) = anchors_of(found.case, found.readers, {HOME: url})

    assert anchors is not None
    assert anchors[0].is_consistent is False
    assert (finding.name, finding.answer) == ("anchor", Answer.UNKNOWN)


def test_anchors_of_unread_and_unknown_logs_are_listed_as_such(alarm: Alarm, found: Investigation) -> None:
    chain = Chain()
    chain.anchored(alarm.id, "town/carol", 3, bytes(32))
    chain.anchored(alarm.id, "elsewhere/alice", 3, bytes(32))
    chain.anchored(alarm.id, "town/alice", 12, bytes(32))
    with rpc(chain) as url:
        anchors, _ = anchors_of(found.case, found.readers, {HOME: url})

    assert anchors is not None
    assert [(each.log, each.is_consistent) for each in anchors[:2]] == [("carol", None), (None, None)]
    assert anchors[2].is_consistent is None, "a copy may be older than the anchor"


def test_logs_that_are_not_the_event_of_this_incident_are_passed_over(
    alarm: Alarm, found: Investigation
) -> None:
    chain = Chain()
    root = root_of(alarm, "alice", 9)
    chain.anchored("00" * 32, "town/alice", 9, root)
    chain.anchored(alarm.id, "town/alice", 9, root, address="0x" + "99" * 20)
    chain.anchored(alarm.id, "town/alice", 9, root, data="0x00")
    chain.anchored(alarm.id, "town/alice", 9, root, topics=["0x", None])
    chain.logs.append({"address": None, "blockNumber": "0xfa0"})
    with rpc(chain) as url:
        assert anchors_of(found.case, found.readers, {HOME: url}) == ((), [])


def test_an_endpoint_that_gives_few_blocks_at_once_is_asked_in_pieces(
    alarm: Alarm, found: Investigation
) -> None:
    chain = Chain(widest=700)
    chain.anchored(alarm.id, "town/alice", 9, root_of(alarm, "alice", 9))
    with rpc(chain) as url:
        anchors, findings = anchors_of(found.case, found.readers, {HOME: url})

    assert (len(anchors or ()), findings) == (1, [])
    assert chain.asked.count("eth_getLogs") > 5


@pytest.mark.parametrize("what", ["another chain", "gone", "no endpoint of it"])
def test_what_cannot_be_read_is_told_without_the_address(found: Investigation, what: str) -> None:
    with rpc(Chain(chain_id=1)) as url:
        chain = "eip155:1" if what == "no endpoint of it" else HOME
        anchors, findings = anchors_of(found.case, found.readers, {chain: url})
    if what == "gone":
        anchors, findings = anchors_of(found.case, found.readers, {HOME: url})

    assert (anchors, [finding.answer for finding in findings]) == (None, [Answer.UNKNOWN])
    assert KEY not in findings[0].words


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"-1\r\n" + bytes(1 << 20), "expected an answer, got HTTPException"),
        (b"-5\r\nx", "expected an answer, got HTTPException"),
        (b"10000\r\n" + b'{"result": "0x' + b"f" * 60_000, "expected an answer, got IncompleteRead"),
    ],
)
def test_an_endpoint_that_answers_without_end_is_not_read_without_bound(body: bytes, told: str) -> None:
    def say(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked") + body)

    with answering(say) as (url, _), pytest.raises(RpcError, match=told):
        Endpoint(url).call("eth_chainId", ())


def test_an_endpoint_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_rpc, "TIMEOUT_S", 0.2)

    def say(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head("200 OK", "Content-Length: 1000"))
        while not over.wait(0.05):
            connection.sendall(b" ")

    began = monotonic()
    with answering(say) as (url, _), pytest.raises(RpcError, match="TimeoutError"):
        Endpoint(url).call("eth_chainId", ())
    assert monotonic() - began < 5


def test_numbers_that_no_chain_has_are_none(found: Investigation) -> None:
    class Odd(Chain):
        def answer(self, method: str, params: list[Mapping[str, str]]) -> dict[str, object]:
            given = super().answer(method, params)
            return {"result": "0x" + "f" * 6_000} if method == "eth_blockNumber" else given

    with rpc(Odd()) as url:
        anchors, odd = anchors_of(found.case, found.readers, {HOME: url})

    assert anchors is None
    assert "expected a number" in odd[0].words
