"""Bounds on JSON from strangers, held before a parser sees it.

Python's parser builds what it reads by calling itself: a deep nesting can end the interpreter, and many small
containers fill memory a hundred times over.
"""

import json
import re
from collections.abc import Sequence
from typing import NoReturn

from proofs.canonical import Value

__all__ = ["bounded_json", "json_value"]

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|["\[\]{}]', re.DOTALL)


def bounded_json(data: bytes, *, max_depth: int, max_tokens: int) -> str:
    """Give `data` as text that may be handed to a JSON parser: it may still be no JSON.

    `max_depth` bounds containers within containers, `max_tokens` strings and brackets. The parser must get
    this text and not the bytes, of which it would guess another encoding than the one that was looked at.

    Raises:
        ValueError: for other bytes than UTF-8, a string without end, and what goes beyond the bounds.
    """
    text = data.decode()
    depth = 0
    for number, match in enumerate(_TOKENS.finditer(text), start=1):
        lexeme = match[0]
        if lexeme == '"':
            raise ValueError("a string without end")
        if lexeme in "[{":
            depth += 1
        elif lexeme in "]}":
            depth -= 1
        if depth > max_depth or number > max_tokens:
            raise ValueError(f"more than a nesting of {max_depth} or {max_tokens} strings and brackets")
    return text


def json_value(data: bytes, *, max_bytes: int, max_depth: int, max_tokens: int) -> Value:
    """Read small JSON of ours: integers only, each key once, within the bounds of `bounded_json`.

    Raises:
        ValueError: for anything else.
    """
    if len(data) > max_bytes:
        raise ValueError(f"expected at most {max_bytes} bytes, got {len(data)}")
    value: Value = json.loads(
        bounded_json(data, max_depth=max_depth, max_tokens=max_tokens),
        object_pairs_hook=_object,
        parse_float=_refuse_number,
        parse_constant=_refuse_number,
    )
    return value


def _object(pairs: Sequence[tuple[str, Value]]) -> dict[str, Value]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("expected each key once, got one twice")
    return values


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"expected integers, got {text[:80]}")
