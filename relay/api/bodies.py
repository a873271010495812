"""Reading the JSON bodies of requests: bounded, exact, and refused in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from proofs.nesting import bounded_json
from relay.api.problems import ProblemError

__all__ = ["integer", "known_keys", "object_of", "refused", "text_of", "texts"]

MAX_JSON_DEPTH = 8
MAX_JSON_TOKENS = 256


def refused(where: str, expected: str, got: str) -> ProblemError:
    """Give the 422 that names the key, what was expected and what came."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: expected {expected}, got {got}")


def object_of(body: bytes) -> Mapping[str, object]:
    """Read a JSON object; no key twice, no number that JSON does not have.

    Raises:
        ProblemError: 422, it is something else, or nested too deep.
    """
    try:
        text = bounded_json(body, max_depth=MAX_JSON_DEPTH, max_tokens=MAX_JSON_TOKENS)
        document: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise refused("the body", "a JSON object", "something else") from error
    if not isinstance(document, dict):
        raise refused("the body", "a JSON object", type(document).__name__)
    return {str(key): value for key, value in document.items()}


def known_keys(document: Mapping[str, object], known: frozenset[str]) -> Mapping[str, object]:
    """Give the document back if it has no other keys than these.

    Raises:
        ProblemError: 422, naming some of the others.
    """
    unknown = sorted(document.keys() - known)
    if unknown:
        said = ", ".join(repr(key[:32]) for key in unknown[:4])
        raise refused("the body", f"the keys {', '.join(sorted(known))}", f"unknown {said}")
    return document


def text_of(key: str, value: object, most: int, *, least: int) -> str:
    """Give printable text of `least` to `most` bytes; line ends are allowed.

    Raises:
        ProblemError: 422.
    """
    if not isinstance(value, str):
        raise refused(key, "text", type(value).__name__)
    try:
        length = len(value.encode())
    except UnicodeEncodeError as error:
        raise refused(key, "text in UTF-8", "a surrogate") from error
    if not least <= length <= most:
        raise refused(key, f"text of {least} to {most} bytes", f"{length}")
    if not all(character.isprintable() or character == "\n" for character in value):
        raise refused(key, "printable text", "control characters")
    return value


def texts(document: Mapping[str, object], key: str, *, most: int, max_bytes: int) -> tuple[str, ...]:
    """Give a list of texts; none when the key is missing.

    Raises:
        ProblemError: 422.
    """
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > most:
        raise refused(key, f"a list of at most {most} texts", "something else")
    return tuple(text_of(key, each, max_bytes, least=1) for each in value)


def integer(
    document: Mapping[str, object], key: str, least: int, most: int, *, default: int | None = None
) -> int:
    """Give a whole number within bounds; `default` when the key is missing and there is one.

    Raises:
        ProblemError: 422.
    """
    value = document.get(key, default)
    if type(value) is not int or not least <= value <= most:
        raise refused(key, f"a whole number from {least} to {most}", repr(value)[:32])
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a key stands twice")
    return built


def _no_constant(name: str) -> object:
    raise ValueError(name)
