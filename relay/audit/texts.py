"""Strangers' words in our sentences: marked, so that they stay apart, and shown without tricks.

SECURITY: a plan, a committee document or a trace may hold anything: markup, terminal escapes, marks that
turn the direction of what follows. Every shower of a story passes its texts through `pieces` or `clean`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["clean", "named", "pieces", "plain", "quoted"]

# Neither can stand in a text that went through `clean`, so nobody can forge them.
_OPEN: Final = "\x02"
_CLOSE: Final = "\x03"
_NAME_CHARACTERS: Final = 80


def clean(text: str) -> str:
    """Write what would not be seen, or would change how the rest is seen, as its escape."""
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def quoted(text: str) -> str:
    """Mark a stranger's text within one of ours."""
    return f"{_OPEN}{clean(text)}{_CLOSE}"


def named(name: str) -> str:
    """Mark a name that a stranger chose, as much of it as names need."""
    return quoted(name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…")


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Give a text in parts, each with whether it is a stranger's; all of them clean."""
    for part in text.split(_OPEN):
        before, mark, after = part.partition(_CLOSE)
        if mark:
            yield True, clean(before)
            yield False, clean(after)
        else:
            yield False, clean(part)


def plain(text: str) -> str:
    """Give a text without its marks, for terminals and programs."""
    return "".join(part for _, part in pieces(text))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="surrogatepass").decode("ascii")
