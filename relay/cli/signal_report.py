"""Signing a report for the plan that a node has in force (plans SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from proofs.hashes import sha256
from proofs.kinds import Digest, NetworkId, PlanHash
from proofs.reports import Subject
from relay.cli.client import NodeClient, NodeUnreachable
from relay.core.errors import ConfigError
from relay.keys import open_reporter_key

__all__ = ["Occasion", "report_id_of", "sign_and_tell"]

LATEST = "latest"
_DIGEST_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is to be reported: the plan's reports by name, what was seen, which block, perhaps which plan."""

    report: str
    seen: str
    block: str
    plan_hash: str | None


def sign_and_tell(client: NodeClient, key_file: Path, wanted: Occasion) -> Mapping[str, str]:
    """Sign a report and tell the node; gives the subject's id and what was signed.

    Raises:
        ConfigError: the key file, or no plan in force has such reports.
        NodeUnreachable, NodeRefusal: as the node's client says.
    """
    key = open_reporter_key(key_file)
    row = _row(client, wanted)
    report_id = report_id_of(wanted.seen)
    subject = Subject(
        network=NetworkId(_digest("network", row.get("network"))),
        plan_hash=PlanHash(_digest("plan_hash", row.get("plan_hash"))),
        name=wanted.report,
        block=_block(row, report_id, wanted.block, key.name),
        report_id=report_id,
    )
    signed = {
        "plan_hash": subject.plan_hash.hex(),
        "report": subject.name,
        "block": subject.block.hex(),
        "report_id": subject.report_id.hex(),
        "reporter": key.name,
        "signature": key.sign(subject).signature.hex(),
    }
    return {"id": str(client.post("/v1/signals", signed).get("id")), **signed}


def report_id_of(seen: str) -> Digest:
    """Give the 32 bytes that name an occasion: `seen` itself if it is 64 hex digits, else its SHA-256.

    A transaction's hash with its 0x is hashed as a text in lower case: as monitors' findings are.
    """
    if len(seen) == _DIGEST_DIGITS and all(digit in "0123456789abcdefABCDEF" for digit in seen):
        return Digest(bytes.fromhex(seen))
    is_hash = seen.startswith("0x") and len(seen) == _DIGEST_DIGITS + 2
    return sha256((seen.lower() if is_hash else seen).encode())


def _row(client: NodeClient, wanted: Occasion) -> Mapping[str, object]:
    """Give what the node says of these reports of a plan in force."""
    rows = list(_maps(client.get("/v1/reports")[1].get("reports")))
    plan_hash = None if wanted.plan_hash is None else wanted.plan_hash.removeprefix("0x").lower()
    found = [
        row
        for row in rows
        if row.get("report") == wanted.report
        and row.get("in_force") is True
        and plan_hash in (None, row.get("plan_hash"))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError("--plan", f"expected the plan's hash, got several with {wanted.report}")
    names = ", ".join(sorted({str(row.get("report")) for row in rows})) or "none"
    raise ConfigError(
        "--report",
        f"expected reports of a plan in force at the node, got {wanted.report}",
        remedy=f"known there: {names}",
    )


def _block(row: Mapping[str, object], report_id: Digest, wanted: str, reporter: str) -> Digest:
    """Give the block to name: the one that others who saw it have named, else the node's."""
    if wanted != LATEST:
        return _digest("--block", wanted)
    same = [each for each in _maps(row.get("open")) if each.get("report_id") == report_id.hex()]
    for subject in sorted(same, key=lambda each: _names(each, reporter)):
        return _digest("block", subject.get("block"))
    for block in _maps([row.get("block")]):
        return _digest("block", block.get("hash"))
    raise ConfigError("--block", "expected a node that has read blocks, got one that has not")


def _names(subject: Mapping[str, object], reporter: str) -> bool:
    reporters = subject.get("reporters")
    return isinstance(reporters, list) and reporter in reporters


def _maps(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _digest(where: str, value: object) -> Digest:
    try:
        data = bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) * 2 != _DIGEST_DIGITS:
        problem = f"expected {_DIGEST_DIGITS} hex digits, got {str(value)[:80]!r}"
        raise (
            ConfigError(where, problem) if where.startswith("--") else NodeUnreachable(f"{where}: {problem}")
        )
    return Digest(data)
