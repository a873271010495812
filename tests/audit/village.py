"""A village of four: an alarm, what each member's log holds of it, and nodes that serve bundle and log."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from proofs.bundle import BundleReceipt, encode_bundle
from proofs.canonical import Value, encode
from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.committee import log_key
from proofs.decision import block_value
from proofs.disclosure import seal
from proofs.kinds import Digest
from proofs.mandate import mandate_digest
from proofs.remarks import Header, Signal, remark_body
from proofs.terms import hash_of_plan
from proofs.tiles import ENTRIES, TILE_WIDTH, Tile, encode_entries, hash_tile, tile_path, tiles_of
from proofs.tree import CompactRange, leaf_digest
from tests.proofs.blocks import GAS, Block, receipt, started
from tests.proofs.conftest import (
    AWAY,
    GATEWAYS,
    HOME,
    NAMES,
    TRACE,
    Town,
    attestation_body,
    block,
    outcome_body,
    plan_value,
)
from tests.proofs.incident import NOW_S, City, _records
from tests.proofs.shown import NOISE

SEED = bytes(range(32))
SEALED: dict[str, Value] = {"note": "a caller says funds are leaving", "reporter": "hotline"}
ADDRESS = "0x" + "ab" * 20


def words_plan(**changes: Value) -> dict[str, Value]:
    """The town's plan with the words that a story repeats."""
    plan = plan_value()
    acts: dict[str, Value] = {
        "halt": {"chain": HOME, "lasts": 21_600, "verb": "pause", "target": ADDRESS, "call": "pause()"},
        "disable": {
            "chain": AWAY,
            "lasts": 3_600,
            "verb": "disable-collateral",
            "target": ADDRESS,
            "call": "disable()",
        },
    }
    metric: dict[str, Value] = {"read": "event_sum", "unit": "tokens", "chain": HOME, "from": ADDRESS}
    words: dict[str, Value] = {
        "protocol": "acme-bridge",
        "reason": "More is released than was burned",
        "acts": acts,
        "metrics": {"released": {**metric, "event": "Release()"}, "burned": {**metric, "event": "Burn()"}},
        "rules": {"unbacked": {"ladder": [["halt", "disable"]], "when": "released > burned"}},
    }
    return {**plan, **words, **changes}


class Village(City):
    """Four members, all but carol of whom cosign; f is 1, and two logs are enough for an honest one."""

    def __init__(self, salt: str = "", **plan: Value) -> None:
        Town.__init__(self, salt, NAMES)
        self.plan = encode(words_plan(**plan))
        self.plan_hash = hash_of_plan(self.plan)


@dataclass
class Alarm:
    """Attested by three, dissented by dave; two acts land, with receipts; headers, a sealed signal."""

    village: Village
    number: int = 0
    traces: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    said: list[bytes] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        village = self.village
        self.decision = village.decide(anchor=block(100 + 10 * self.number))
        mandate = village.mandate(self.decision)
        digest = mandate_digest(mandate)
        for name in ("alice", "bob", "carol"):
            signature = village.towers[name].sign_digest(digest)
            self._attest(name, attestation_body(self.decision, "attest", digest, signature))
        self._attest("dave", attestation_body(self.decision, "dissent", None, None))
        until = mandate.not_before + 21_600
        number, at_s = 101 + 10 * self.number, mandate.not_before + 12
        halted = [NOISE, receipt(started(mandate, village.leaf("halt"), until))]
        disabled = [NOISE, receipt(started(mandate, village.leaf("disable"), until))]
        home = Block(HOME, halted, number=number, timestamp=at_s)
        away = Block(AWAY, disabled, number=number, timestamp=at_s)
        for name, act, where in (("alice", "halt", home), ("bob", "halt", home), ("bob", "disable", away)):
            seen = outcome_body(mandate, village.leaf(act), block=block_value(where.ref()), until=until)
            self.say(name, "outcome", {**seen, "gas_used": GAS - 21_000})
        for name in ("alice", "bob"):
            self.say(name, "header", remark_body(Header(mandate.decision_id, HOME, home.ref())))
        signal = Signal(self.decision.plan_hash, "unbacked", seal(SEALED, SEED))
        self.signal = self.say("dave", "signal", remark_body(signal))
        self.entry = replace(
            village.entry(self.decision, ("bob", "carol"), (0, 1, 2, 3), (4, 5, 6)),
            receipts=(BundleReceipt(4, home.proof(1)), BundleReceipt(6, away.proof(1))),
            headers=(7, 8),
            statements=(9,),
        )

    @property
    def id(self) -> str:
        return self.entry.mandate.decision_id.hex()

    @property
    def dissent(self) -> bytes:
        return self.said[3]

    def _attest(self, name: str, body: dict[str, Value]) -> bytes:
        return self.say(name, "attestation", {**body, "trace": self.traces.get(name, TRACE)})

    def say(self, name: str, kind: str, body: dict[str, Value]) -> bytes:
        at_ms = 1_659_390_000_000 + 100_000 * self.number + 10 * len(self.said)
        raw = self.village.envelope(name, kind, body, at_ms)
        self.said.append(raw)
        return raw

    def noise(self, count: int, at_ms: int = 1_659_395_000_000) -> list[bytes]:
        """Give entries that are about nothing here, by everybody in turn."""
        body: dict[str, Value] = {"fact": "disk", "sealed": bytes(32), "standing": "held"}
        return [
            self.village.envelope(NAMES[each % len(NAMES)], "readiness", body, at_ms + each)
            for each in range(count)
        ]

    def bundle(self, keeper: str, before: Sequence[bytes] = ()) -> bytes:
        """Give the bundle from a log that held `before` and then all of this."""
        places = {raw: len(before) + place for place, raw in enumerate(self.said)}
        entries = [*before, *self.said]
        records, vkey = _records(self.village, self.said, places, entries, keeper)
        return encode_bundle(replace(self.village.bundle(self.entry), records=records, log=vkey))


def log_files(village: Village, keeper: str, entries: Sequence[bytes], at_s: int = NOW_S) -> dict[str, bytes]:
    """Give the files of a member's log, cosigned from `at_s` on."""
    nodes: dict[tuple[int, int], Digest] = {}
    compact = CompactRange()
    for entry in entries:
        compact, completed = compact.append_nodes(leaf_digest(entry))
        nodes.update({(level, index): node for level, index, node in completed})
    key = log_key(village.genesis, village.towers[keeper].member())
    text = checkpoint_text(Checkpoint(key.name, compact.size, compact.root()))
    files = {"checkpoint": village.witnessed(text, keeper, at_s).encode()}
    for newest in tiles_of(len(entries)):
        for tile in (*(Tile(newest.level, index) for index in range(newest.index)), newest):
            files[tile_path(tile)] = hash_tile(tile, lambda level, index: nodes[level, index])
            if tile.level == 0:
                bundle = Tile(ENTRIES, tile.index, tile.width)
                first = tile.index * TILE_WIDTH
                files[tile_path(bundle)] = encode_entries(entries[first : first + tile.width])
    return files


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@dataclass
class Node:
    """What a node serves, by path; `asked` are the paths that were read."""

    files: dict[str, bytes]
    token: str | None = None
    asked: list[str] = field(default_factory=list)

    def with_bundle(self, alarm: Alarm, bundle: bytes) -> Node:
        incident = {"id": alarm.id, "decisions": [{"id": alarm.id}]}
        self.files |= {
            "v1/incidents": json.dumps({"incidents": [incident]}).encode(),
            f"v1/incidents/{alarm.id}": json.dumps({"incident": incident}).encode(),
            f"v1/decisions/{alarm.id}/bundle": bundle,
        }
        return self


@contextmanager
def served(*nodes: Node) -> Iterator[list[str]]:
    """Serve nodes over loopback; gives their addresses."""
    with ExitStack() as stack:
        yield [stack.enter_context(_serve(node)) for node in nodes]


@contextmanager
def _serve(node: Node) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            node.asked.append(path)
            content = node.files.get(path)
            is_open = path == "checkpoint" or path.startswith("tile/") or node.token is None
            if not is_open and self.headers.get("Authorization") != f"Bearer {node.token}":
                self._answer(401, b"")
            else:
                self._answer(404 if content is None else 200, content or b"")

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


__all__ = ["ADDRESS", "GATEWAYS", "SEALED", "SEED", "Alarm", "Node", "Village", "log_files", "put", "served"]
