"""A story as one HTML file: nothing is fetched, nothing is run (SPEC 4). Text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
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
    Row,
    Section,
    Sheet,
    StampRow,
    Stamps,
    Table,
    Timeline,
    Tone,
)
from relay.audit.story import Mark
from relay.audit.story_scale import scale
from relay.audit.story_style import STYLE, STYLE_DIGEST
from relay.audit.texts import clean, pieces, plain
from relay.audit.timeline import by_clock

__all__ = ["story_html"]

# SECURITY: nearly every text here is a stranger's. Each goes through `_t` or `_cell`, which leave no markup
# and nothing unseen in it, and keep its direction to itself; the policy lets no script run anyway.
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; base-uri 'none'; form-action 'none'"


def story_html(sheet: Sheet) -> str:
    """Give the whole page."""
    head = (
        f"<header><h1>{_t(sheet.title)}</h1>\n"
        f'<p class="sub">{_t(sheet.subtitle)}</p>\n'
        + "".join(f'<p class="notice">{_t(notice)}</p>\n' for notice in sheet.notices)
        + f'<p><span class="pill {sheet.verdict.tone.value}">{_t(sheet.verdict.text)}</span></p>\n'
        f'<p class="lead">{_t(sheet.lead.text)}</p></header>\n'
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(plain(sheet.title))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + head
        + "\n".join(_section(section) for section in sheet.sections)
        + f"\n<footer><p>{_t(sheet.foot)}</p></footer>\n</main>\n</body>\n</html>\n"
    )


def _t(text: str) -> str:
    """A text, with strangers' words kept apart."""
    return "".join(
        f"<bdi>{escape(part)}</bdi>" if is_theirs else escape(part) for is_theirs, part in pieces(text)
    )


def _cell(cell: Cell) -> str:
    if cell.is_code:
        lines = "\n".join(escape(clean(line)) for line in cell.text.split("\n"))
        return f'<code dir="ltr">{lines}</code>' if cell.text else ""
    # A cell as a whole may be a stranger's: its direction stays within it.
    text = f"<bdi>{_t(cell.text)}</bdi>" if cell.text else ""
    return text if cell.tone is Tone.PLAIN or not text else f'<span class="{cell.tone.value}">{text}</span>'


def _section(section: Section) -> str:
    inner = "\n".join(_block(block) for block in section.blocks)
    return f"<section>\n<h2>{_t(section.title)}</h2>\n{inner}\n</section>"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, tone):
            return f'<p class="{tone.value}">{_t(text)}</p>'
        case Lines(text):
            return f'<pre dir="ltr">{escape(clean(text))}</pre>'
        case Facts(facts):
            return _facts(facts)
        case Table():
            return _table(block)
        case Items(items, empty):
            inner = "".join(f"<li>{_cell(item)}</li>" for item in items)
            return f"<ul>{inner}</ul>" if items else f"<p>{_t(empty)}</p>"
        case Stamps() | Timeline() | Card():
            return _large(block)
        case _:
            assert_never(block)


def _large(block: Stamps | Timeline | Card) -> str:
    match block:
        case Stamps(stamps):
            return f'<div class="stamps">{"".join(_stamp(stamp) for stamp in stamps)}</div>'
        case Timeline(marks):
            return _timeline(marks)
        case Card(title, pill, blocks):
            mark = f' <span class="pill">{_t(pill)}</span>' if pill else ""
            inner = "\n".join(_block(each) for each in blocks)
            return f'<div class="card"><h3>{_t(title)}{mark}</h3>\n{inner}</div>'
        case _:
            assert_never(block)


def _facts(facts: Iterable[tuple[str, Cell]]) -> str:
    pairs = "".join(f"<dt>{_t(name)}</dt><dd>{_cell(cell)}</dd>" for name, cell in facts)
    return f"<dl>{pairs}</dl>"


def _table(table: Table) -> str:
    if not table.rows:
        return f"<p>{_t(table.empty)}</p>"
    head = "".join(f"<th>{_t(column)}</th>" for column in table.columns)
    body = "".join(_row(table.columns, row) for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(columns: Sequence[str], row: Row) -> str:
    cells = "".join(
        f'<td data-name="{escape(column)}">{_cell(cell)}</td>' if cell.text else "<td></td>"
        for column, cell in zip(columns, row, strict=True)
    )
    return f"<tr>{cells}</tr>"


def _stamp(stamp: StampRow) -> str:
    times = "".join(
        f'<span class="when">{_cell(when)}</span> <span class="whose">{_cell(source)}</span> '
        for when, source in stamp.times
    )
    return f'<div class="stamp"><b>{_t(stamp.name)}</b> {times}<small>{_t(stamp.how)}</small></div>'


def _timeline(marks: Sequence[Mark]) -> str:
    parts: list[str] = []
    for title, own in by_clock(marks):
        items = "".join(_mark(mark) for mark in own)
        parts.append(f'<h3>{_t(title)}</h3>\n{scale(own)}\n<ol class="marks">{items}</ol>')
    return "\n".join(parts)


def _mark(mark: Mark) -> str:
    when = f"{moment_words(mark.moment)} · {source_words(mark.moment)}"
    detail = f"<small>{_t(mark.detail)}</small>" if mark.detail else ""
    return (
        f'<li><span class="dot {mark.tone}"></span><time>{_t(when)}</time> {_t(mark.title)} {detail}'
        f" <small>{_t(mark.proof)}</small></li>"
    )
