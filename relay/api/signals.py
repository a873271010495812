"""Reading what a person or monitor told, in the body of `POST /v1/signals`."""

from __future__ import annotations

from collections.abc import Mapping

from relay.api.bodies import refused, text_of
from relay.api.ports import SignalRequest

MAX_SUBJECT_BYTES = 256
MAX_REPORTER_BYTES = 256
MAX_NOTE_BYTES = 4_096
PLAN_HASH_BYTES = 32
_KEYS = frozenset({"plan_hash", "subject", "reporter", "note"})


def open_signal(document: Mapping[str, object]) -> SignalRequest:
    """Read a signal: exactly the keys plan_hash (64 hex digits), subject, reporter, note.

    Raises:
        ProblemError: 422, naming the key, what was expected and what came.
    """
    if document.keys() != _KEYS:
        missing, unknown = sorted(_KEYS - document.keys()), sorted(document.keys() - _KEYS)
        said = [f"missing {', '.join(missing)}"] if missing else []
        said += [f"unknown {', '.join(map(repr, unknown[:4]))}"] if unknown else []
        raise refused("the body", "the keys note, plan_hash, reporter, subject", "; ".join(said))
    return SignalRequest(
        plan_hash=_plan_hash(document["plan_hash"]),
        subject=text_of("subject", document["subject"], MAX_SUBJECT_BYTES, least=1),
        reporter=text_of("reporter", document["reporter"], MAX_REPORTER_BYTES, least=1),
        note=text_of("note", document["note"], MAX_NOTE_BYTES, least=0),
    )


def _plan_hash(value: object) -> bytes:
    expected = f"{2 * PLAN_HASH_BYTES} hex digits"
    if not isinstance(value, str):
        raise refused("plan_hash", expected, type(value).__name__)
    digits = value.removeprefix("0x")
    try:
        plan_hash = bytes.fromhex(digits)
    except ValueError as error:
        raise refused("plan_hash", expected, "other text") from error
    if len(digits) != 2 * PLAN_HASH_BYTES or len(plan_hash) != PLAN_HASH_BYTES:
        raise refused("plan_hash", expected, f"{len(digits)} characters")
    return plan_hash


__all__ = ["MAX_NOTE_BYTES", "MAX_REPORTER_BYTES", "MAX_SUBJECT_BYTES", "open_signal"]
