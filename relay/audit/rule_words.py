"""A rule's values for people: scaled by their unit, and the entries of a map at which a rule is true.

A unit as `10^-6 tokens` says by what a value is scaled. Which entry makes a rule true is told of the plainest
form of rule alone, `name.exists(t, sum compared with sum)`: the base install has no interpreter of rules.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from relay.core.words import number_words

__all__ = ["TruePart", "true_parts", "value_words"]

_SCALED: Final = re.compile(r"10\^-(\d{1,2})(?: (.+))?")
_INTEGER: Final = re.compile(r"-?\d{1,100}")
_TERM: Final = r"(?:\d{1,19}|[A-Za-z_]\w*(?:\[\w+\])?)"
_SUM: Final = rf"{_TERM}(?: *\+ *{_TERM})*"
_EXISTS: Final = re.compile(
    rf"\b([A-Za-z_]\w*)\.exists\(\s*(\w+)\s*,\s*(({_SUM}) *(>=|<=|==|!=|>|<) *({_SUM}))\s*\)"
)
_COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class TruePart:
    """A comparison of a rule that is true at one entry; `metrics` are the maps that it reads there."""

    text: str
    key: str
    metrics: frozenset[str]


def value_words(value: str, unit: str) -> str:
    """Give a value with its unit: `10519859` of `10^-6 tokens` as `10.519859 tokens`; other texts alone."""
    if _INTEGER.fullmatch(value) is None:
        return value
    found = _SCALED.fullmatch(unit)
    if found is None:
        return f"{number_words(int(value))} {unit}".rstrip()
    whole, rest = divmod(abs(int(value)), 10 ** int(found[1]))
    fraction = f"{rest:0{int(found[1])}d}".rstrip("0") if rest else ""
    number = f"{'-' if value.startswith('-') else ''}{number_words(whole)}{'.' if fraction else ''}{fraction}"
    return f"{number} {found[2] or ''}".rstrip()


def true_parts(
    condition: str, values: Mapping[tuple[str, str], int], limits: Mapping[str, int]
) -> Iterator[TruePart]:
    """Give each entry at which a comparison of a condition is true; `values` by metric and entry (or "")."""
    for found in _EXISTS.finditer(condition):
        name, variable, text, left, compared, right = found.groups()
        maps = frozenset(re.findall(rf"(\w+)\[{variable}\]", text))
        for key in sorted(key for metric, key in values if metric == name and key):
            sums = [_sum(side, variable, key, (values, limits)) for side in (left, right)]
            if sums[0] is not None and sums[1] is not None and _COMPARISONS[compared](sums[0], sums[1]):
                yield TruePart(text, key, maps)


_Known = tuple[Mapping[tuple[str, str], int], Mapping[str, int]]


def _sum(text: str, variable: str, key: str, known: _Known) -> int | None:
    """Add up the terms of a side; None where one of them is not known."""
    total = 0
    for term in text.split("+"):
        value = _term(term.strip(), variable, key, known)
        if value is None:
            return None
        total += value
    return total


def _term(term: str, variable: str, key: str, known: _Known) -> int | None:
    values, limits = known
    if term.isdigit():
        return int(term)
    if term.endswith(f"[{variable}]"):
        return values.get((term.partition("[")[0], key))
    return limits.get(term, values.get((term, "")))
