"""The record of a plan's newest rehearsal: a file beside the plan, `acme.plan.rehearsal.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.core.plan import Plan
from relay.core.rehearsal import ActRehearsal, Part, verdict
from relay.disk import replace_file

__all__ = ["RECORD_SCHEMA", "Record", "read_record", "rehearsal_document", "words_of_record", "write_record"]

RECORD_SCHEMA = "tocsin/rehearsal/1"
MAX_BYTES = 1 << 20
FRESH_S = 7 * 86_400
"""A plan should be armed on a rehearsal no older than this."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says: of which plan, when, by the clock of whoever rehearsed, and with what result."""

    plan_hash: str
    at_s: int
    held: bool | None
    failed: tuple[str, ...]


def record_file(plan_file: Path) -> Path:
    """Give the record's place beside a plan file."""
    return plan_file.with_name(plan_file.name.removesuffix(".toml") + ".rehearsal.json")


def write_record(plan_file: Path, document: Mapping[str, object]) -> Path:
    """Keep a rehearsal.

    Raises:
        OSError: the folder takes no file.
    """
    file = record_file(plan_file)
    content = json.dumps({"schema": RECORD_SCHEMA, **document}, indent=2, ensure_ascii=False) + "\n"
    replace_file(file, content.encode())
    return file


def read_record(plan_file: Path, plan_hash: bytes) -> Record | None:
    """Give the record of this very plan; None where there is none that can be read."""
    try:
        with record_file(plan_file).open("rb") as file:
            document = json.loads(file.read(MAX_BYTES))
        failed = tuple(str(act["name"]) for act in document["acts"] if act["held"] is False)
        record = Record(str(document["hash"]), int(document["rehearsed_at"]), document["held"], failed)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if record.plan_hash == plan_hash.hex() else None


def words_of_record(record: Record | None, now_s: int) -> str:
    """Give it as a line for people."""
    if record is None:
        return "never rehearsed"
    age_s = max(0, now_s - record.at_s)
    age = f"{age_s // 86_400} d" if age_s >= 2 * 86_400 else f"{age_s // 3_600} h"
    result = (
        "all held" if record.held else f"failed: {', '.join(record.failed)}" if record.failed else "not told"
    )
    old = ", older than 7 d" if age_s > FRESH_S else ""
    return f"rehearsed {age} ago{old}, {result}"


def rehearsal_document(
    plan: Plan, found: Sequence[ActRehearsal], problems: Mapping[str, str], at_s: int
) -> dict[str, object]:
    """Give a rehearsal as JSON holds it; `problems` are the chains that could not be read."""
    held = [act.held for act in found] + [None for _ in problems]
    return {
        "protocol": plan.protocol,
        "version": plan.version,
        "hash": plan.hash.hex(),
        "rehearsed_at": at_s,
        "held": verdict(held),
        "acts": [_act(act) for act in found],
        "problems": dict(problems),
    }


def _act(act: ActRehearsal) -> dict[str, object]:
    return {
        "name": act.name,
        "chain": act.chain,
        "block": {"number": act.block.number, "hash": act.block.hash.hex(), "timestamp": act.block.timestamp},
        "caller": act.caller,
        "held": act.held,
        "call": _part(act.call),
        "check": _part(act.check),
        "undo": _part(act.undo),
        "getter_gas": act.getter_gas,
        "warnings": list(act.warnings),
    }


def _part(part: Part) -> dict[str, object]:
    return {
        "outcome": part.outcome.value,
        "held": part.held,
        "gas_used": part.gas_used,
        "gas_cap": part.gas_cap,
        "reason": part.reason,
        "remedy": part.remedy,
    }
