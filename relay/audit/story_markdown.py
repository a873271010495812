"""A story as Markdown: the same blocks, for repositories, mails and reports (SPEC 4). Text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from relay.audit.clock_words import moment_words, source_words
from relay.audit.sheet import (
    Block,
    Card,
    Cell,
    Facts,
    Items,
    Lines,
    Paragraph,
    Sheet,
    Stamps,
    Table,
    Timeline,
)
from relay.audit.story import Mark
from relay.audit.texts import clean, plain
from relay.audit.timeline import by_clock

__all__ = ["story_markdown"]

# SECURITY: what Markdown or the HTML in it gives a meaning to is escaped, also in our own words: they quote.
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~&$@]|^[-+=])")
_SCHEME: Final = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")


def story_markdown(sheet: Sheet) -> str:
    """Give the whole document."""
    return "\n\n".join(part for part in _document(sheet) if part) + "\n"


def _document(sheet: Sheet) -> Iterator[str]:
    yield f"# {_t(sheet.title)}"
    yield _t(sheet.subtitle)
    for notice in sheet.notices:
        yield f"> {_t(notice)}"
    yield f"**{_t(sheet.verdict.text)}**"
    yield _t(sheet.lead.text)
    for section in sheet.sections:
        yield f"## {_t(section.title)}"
        for block in section.blocks:
            yield from _block(block, depth=3)
    yield f"*{_t(sheet.foot)}*"


def _t(text: str) -> str:
    # A zero-width joiner would be unseen: the word before the colon is broken up in the open.
    flat = _SPECIAL.sub(r"\\\1", plain(text))
    return _SCHEME.sub(lambda found: f"{found[1]}&#8203;", flat)


def _cell(cell: Cell) -> str:
    if not cell.is_code:
        return _t(cell.text)
    return "<br>".join(_code(line) for line in cell.text.split("\n")) if cell.text else ""


def _code(text: str) -> str:
    """A code span whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    # In a table a bar ends the cell, also within code.
    return f"{fence} {clean(text)} {fence}".replace("|", "\\|")


def _block(block: Block, depth: int) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield _t(text)
        case Lines(text):
            yield "\n".join(f"    {line}" for line in clean(text).split("\n"))
        case Facts(facts):
            yield "\n".join(f"- {_t(name) or '…'}: {_cell(cell)}" for name, cell in facts)
        case Table():
            yield _table(block)
        case Items(items, empty):
            yield "\n".join(f"- {_cell(item)}" for item in items) or _t(empty)
        case Stamps() | Timeline() | Card():
            yield from _large(block, depth)
        case _:
            assert_never(block)


def _large(block: Stamps | Timeline | Card, depth: int) -> Iterator[str]:
    match block:
        case Stamps(stamps):
            rows = [
                ("" if number else _t(each.name), _cell(when), _cell(source), "" if number else _t(each.how))
                for each in stamps
                for number, (when, source) in enumerate(each.times)
            ]
            yield _rows(("stamp", "when", "whose clock", "how it is known"), rows)
        case Timeline(marks):
            for title, own in by_clock(marks):
                yield f"{'#' * depth} {_t(title)}"
                yield "\n".join(_mark(mark) for mark in own)
        case Card(title, pill, blocks):
            yield f"{'#' * depth} {_t(title)}" + (f" ({_t(pill)})" if pill else "")
            for each in blocks:
                yield from _block(each, depth + 1)
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    if not table.rows:
        return _t(table.empty)
    return _rows(table.columns, [tuple(_cell(cell) for cell in row) for row in table.rows])


def _rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(_t(column) for column in columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _mark(mark: Mark) -> str:
    when = f"{moment_words(mark.moment)} ({source_words(mark.moment)})"
    detail = f": {_t(mark.detail)}" if mark.detail else ""
    return f"- {_t(when)}: **{_t(mark.title)}**{detail} ({_t(mark.proof)})"
