"""Reading the body of `POST /v1/signals`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from proofs.nesting import bounded_json
from relay.api.ports import SignalRequest
from relay.api.problems import ProblemError

MAX_SUBJECT_BYTES = 256
MAX_REPORTER_BYTES = 256
MAX_NOTE_BYTES = 4_096
PLAN_HASH_BYTES = 32
MAX_JSON_DEPTH = 8
MAX_JSON_TOKENS = 256
_KEYS = frozenset({"plan_hash", "subject", "reporter", "note"})


def open_signal(body: bytes) -> SignalRequest:
    """Read a signal from JSON: exactly the keys plan_hash (64 hex digits), subject, reporter, note.

    Raises:
        ProblemError: 422, naming the key, what was expected and what came.
    """
    document = _object(body)
    if document.keys() != _KEYS:
        missing, unknown = sorted(_KEYS - document.keys()), sorted(document.keys() - _KEYS)
        said = [f"missing {', '.join(missing)}"] if missing else []
        said += [f"unknown {', '.join(map(repr, unknown[:4]))}"] if unknown else []
        raise _refused("the body", "the keys note, plan_hash, reporter, subject", "; ".join(said))
    return SignalRequest(
        plan_hash=_plan_hash(document["plan_hash"]),
        subject=_text(document, "subject", MAX_SUBJECT_BYTES, least=1),
        reporter=_text(document, "reporter", MAX_REPORTER_BYTES, least=1),
        note=_text(document, "note", MAX_NOTE_BYTES, least=0),
    )


def _refused(where: str, expected: str, got: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: expected {expected}, got {got}")


def _object(body: bytes) -> Mapping[str, object]:
    try:
        text = bounded_json(body, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS)
        document: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise _refused("the body", "a JSON object", "something else") from error
    if not isinstance(document, dict):
        raise _refused("the body", "a JSON object", type(document).__name__)
    return {str(key): value for key, value in document.items()}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a key stands twice")
    return built


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _plan_hash(value: object) -> bytes:
    expected = f"{2 * PLAN_HASH_BYTES} hex digits"
    if not isinstance(value, str):
        raise _refused("plan_hash", expected, type(value).__name__)
    digits = value.removeprefix("0x")
    try:
        plan_hash = bytes.fromhex(digits)
    except ValueError as error:
        raise _refused("plan_hash", expected, "other text") from error
    if len(digits) != 2 * PLAN_HASH_BYTES or len(plan_hash) != PLAN_HASH_BYTES:
        raise _refused("plan_hash", expected, f"{len(digits)} characters")
    return plan_hash


def _text(document: Mapping[str, object], key: str, most: int, *, least: int) -> str:
    value = document[key]
    if not isinstance(value, str):
        raise _refused(key, "text", type(value).__name__)
    try:
        length = len(value.encode())
    except UnicodeEncodeError as error:
        raise _refused(key, "text in UTF-8", "a surrogate") from error
    if not least <= length <= most:
        raise _refused(key, f"text of {least} to {most} bytes", f"{length}")
    if not all(character.isprintable() or character == "\n" for character in value):
        raise _refused(key, "printable text", "control characters")
    return value


__all__ = ["MAX_NOTE_BYTES", "MAX_REPORTER_BYTES", "MAX_SUBJECT_BYTES", "open_signal"]
