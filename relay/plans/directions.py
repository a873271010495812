"""Which way a number in a condition works: does more of it make the condition true more often? Pure.

Told only where it is plain: `a > N`, `a * 10 >= N * b`, without subtraction on its side, and without anything
around it that turns an answer: negation, choice, a comparison of answers, `exists_one`, an index.
What it is multiplied with is taken to be positive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["literal_direction", "name_direction", "tokens_of"]

_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|[A-Za-z_]\w*|0x[0-9a-fA-F]+|\d+|[<>=!]=|&&|\|\||\S")
_BOUNDS = frozenset({"&&", "||", ","})
_TURNING = frozenset({"!", "?", "exists_one"})
_EQUAL = frozenset({"==", "!=", "in"})
_ANSWERS = frozenset({"true", "false"})
_UNCLEAR = frozenset({"-", "%", "!", "?", "/"})
_MORE = {">": -1, ">=": -1, "<": 1, "<=": 1}
"""With the number on the right: what more of it does to the comparison."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Give a condition's words and marks."""
    return tuple(_TOKEN.findall(text))


def name_direction(text: str, name: str) -> int:
    """Give +1 where more of the limit `name` makes a condition true more often, -1 less often, 0 not told."""
    tokens = tokens_of(text)
    found = {literal_direction(tokens, index) for index, token in enumerate(tokens) if token == name}
    return found.pop() if len(found) == 1 else 0


def literal_direction(tokens: Sequence[str], index: int) -> int:
    """Give the same for the number or name at `index`."""
    if _TURNING & set(tokens) or _compares_answers(tokens) or _is_index(tokens, index):
        return 0
    left, right = _edge(tokens, index, -1), _edge(tokens, index, 1)
    before, after = _at(tokens, left), _at(tokens, right)
    side = tokens[left + 1 : right]
    if _UNCLEAR & set(side):
        return 0
    if _EQUAL & {before, after}:
        return 0
    if before in _MORE and after not in _MORE:
        return _MORE[before]
    if after in _MORE and before not in _MORE:
        return -_MORE[after]
    return 0


def _compares_answers(tokens: Sequence[str]) -> bool:
    """Tell whether what `==`, `!=` or `in` compares may be an answer itself: then more may mean less."""
    beside = (
        (_at(tokens, at - 1), _at(tokens, at + 1)) for at, token in enumerate(tokens) if token in _EQUAL
    )
    return any(left == ")" or left in _ANSWERS or right == "(" or right in _ANSWERS for left, right in beside)


def _is_index(tokens: Sequence[str], index: int) -> bool:
    """Tell whether the number stands within square brackets."""
    before = tokens[:index]
    return before.count("[") > before.count("]")


def _edge(tokens: Sequence[str], index: int, step: int) -> int:
    """Walk to the comparison, the `&&` or the bracket that ends the side on which the number stands."""
    depth = 0
    opening, closing = ("([", ")]") if step > 0 else (")]", "([")
    at = index + step
    while 0 <= at < len(tokens):
        token = tokens[at]
        if depth == 0 and (token in _MORE or token in _BOUNDS or token in _EQUAL):
            return at
        if token in opening:
            depth += 1
        elif token in closing:
            # Out of a bracket: arithmetic goes on outside, unless the bracket ends a condition.
            if depth == 0 and _is_end(tokens, at, step):
                return at
            depth = max(0, depth - 1)
        at += step
    return at


def _is_end(tokens: Sequence[str], at: int, step: int) -> bool:
    beyond = _at(tokens, at + step)
    return beyond in ("", "&&", "||", ",", "(", ")") or (step < 0 and beyond.isidentifier())


def _at(tokens: Sequence[str], index: int) -> str:
    return tokens[index] if 0 <= index < len(tokens) else ""
