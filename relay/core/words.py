"""Spans, amounts and conditions in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from proofs.committee import fast_quorum, full_quorum
from proofs.mandate import Tier
from relay.core.plan import Verb

__all__ = [
    "WHILE_IT_STANDS",
    "condition_words",
    "count_words",
    "joined",
    "number_words",
    "span",
    "tier_words",
]

_NO_COUNT = 1 << 96
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

WHILE_IT_STANDS: Mapping[Verb, str] = {
    Verb.DRILL: "Nothing is frozen: a harmless call shows that the way works.",
    Verb.RATE_LIMIT: "You can take out or send only so much in a span of time; what is above it must wait.",
    Verb.CAP: "You can add or borrow nothing above the lowered cap. What is there stays yours to use.",
    Verb.MARGIN: "You need more collateral for the same position. Positions with less may be liquidated.",
    Verb.DISABLE_COLLATERAL: "You cannot borrow anew against the asset. Repaying goes on.",
    Verb.DISCONNECT_ORACLE: "You cannot do what needs this price: borrow, liquidate or trade against it.",
    Verb.LOCK: "You cannot move what is locked, also not to withdraw it or to repay with it.",
    Verb.HALT_LIQUIDATIONS: "Nobody can be liquidated. Bad debt may grow, and lenders bear it.",
    Verb.PAUSE: "You cannot use the contract: deposits, withdrawals, repayments and liquidations stop.",
    Verb.FAILOVER: "Another implementation, audited before, answers in the place of the one you know.",
}
"""What people cannot do while an act of a verb stands (plans SPEC 1.3)."""

_TIERS = {
    Tier.FAST: "fast: one more than could be liars, at least two",
    Tier.FULL: "full: so many that two such groups share an honest member",
}
_OPERATORS = {
    ">": "is more than",
    "<": "is less than",
    ">=": "is at least",
    "<=": "is at most",
    "==": "is",
    "!=": "is not",
    "&&": "and",
    "||": "or",
    "!": "not",
    "*": "×",
    "/": "÷",
}
_LOOPS = {"exists": "for some", "all": "for every", "exists_one": "for exactly one"}
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|[A-Za-z_]\w*|\d+|[<>=!]=|&&|\|\||\S")
_LOOP = re.compile(r"\b([A-Za-z_]\w*)\s*\.\s*(exists_one|exists|all)\s*\(\s*([A-Za-z_]\w*)\s*,")
_ENTRY = re.compile(r"\b([A-Za-z_]\w*)\[\s*([^\[\]]+?)\s*\]")


def span(seconds: int) -> str:
    """A span as `2 d 12 h`, exactly."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    parts: list[str] = []
    rest = seconds
    for name, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number:,} {name}")
    return " ".join(parts) or "0 s"


def count_words(number: int, one: str, many: str = "") -> str:
    """`1 act`, `3 acts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def number_words(value: int) -> str:
    """A number as people write it; one too large to be a count, as addresses and hashes are, in hex."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if abs(value) < _NO_COUNT else f"0x{value:x}"


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "nothing"


def tier_words(tier: Tier, members: int | None = None) -> str:
    """Who must agree on an act of a tier; with numbers where the committee's size is known."""
    if members is None:
        return _TIERS[tier]
    needed = fast_quorum(members) if tier is Tier.FAST else full_quorum(members)
    return f"{tier.name.lower()}: {needed} of {members}"


def condition_words(text: str, limits: Mapping[str, int]) -> str:
    """A condition as a sentence: operators in words, loops as `for some t of released`, limits with values.

    Where the condition holds more than that (texts, `? :`), the words stay close to its own.
    """
    flat = _ENTRY.sub(r"\1 of \2", _LOOP.sub(_loop, text))
    words = [_word(each, limits) for each in _WORD.findall(flat)]
    said = " ".join(words)
    for loose, tight in (
        (" . ", "."),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" :", ":"),
        ("[ ", "["),
        (" ]", "]"),
    ):
        said = said.replace(loose, tight)
    return said


def _loop(found: re.Match[str]) -> str:
    return f"({_LOOPS[found[2]]} {found[3]} of {found[1]}: "


def _word(word: str, limits: Mapping[str, int]) -> str:
    if word in limits:
        return f"{word} ({limits[word]:,})"
    if word.isdigit():
        return f"{int(word):,}"
    return _OPERATORS.get(word, word)
