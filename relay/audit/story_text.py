"""A story on a terminal: the same blocks, folded to its width (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, assert_never

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

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
    Tone,
)
from relay.audit.story import Mark
from relay.audit.texts import clean, plain
from relay.audit.timeline import by_clock

__all__ = ["show_story"]

_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.SOFT: "dim",
    Tone.STRONG: "bold",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}
_MARKS: Final = {"alarm": "bold red", "acted": "green", "refused": "yellow", "ended": "dim"}
_INDENT: Final = (0, 0, 0, 2)


def show_story(console: Console, sheet: Sheet) -> None:
    """Print it. Nothing of a stranger's text is read as markup or as a terminal's command."""
    # Our consoles do not fold by themselves; a story is prose, so it is folded here.
    shown = Console(
        file=console.file, no_color=console.no_color, highlight=False, soft_wrap=False, width=console.width
    )
    shown.print(Text(plain(sheet.title), style="bold"))
    shown.print(Text(plain(sheet.subtitle), style="dim"))
    for notice in sheet.notices:
        shown.print(Text(plain(notice), style="yellow"))
    shown.print(_text(sheet.verdict))
    shown.print()
    shown.print(Text(plain(sheet.lead.text)))
    for section in sheet.sections:
        shown.print()
        shown.print(Text(plain(section.title), style="bold underline"))
        for block in section.blocks:
            shown.print(_block(block))
    shown.print()
    shown.print(Text(plain(sheet.foot), style="dim"))


def _text(cell: Cell) -> Text:
    text = clean(cell.text.replace("\n", " ")) if cell.is_code else plain(cell.text)
    return Text(text, style=_STYLES[cell.tone], overflow="fold")


def _block(block: Block) -> RenderableType:
    match block:
        case Paragraph(text, tone):
            return Text(plain(text), style=_STYLES[tone])
        case Lines(text):
            return Padding(Text(clean(text), style="cyan", overflow="fold"), _INDENT)
        case Facts(facts):
            return _pairs([(Text(plain(name), style="dim"), _text(cell)) for name, cell in facts])
        case Table():
            return _table(block)
        case Items(items, empty):
            return _pairs([(Text("·"), _text(item)) for item in items]) if items else Text(plain(empty))
        case Stamps() | Timeline() | Card():
            return _large(block)
        case _:
            assert_never(block)


def _large(block: Stamps | Timeline | Card) -> RenderableType:
    match block:
        case Stamps(stamps):
            return _pairs(
                [
                    (
                        Text(plain(each.name), style="bold"),
                        _lines(*map(_text, chain.from_iterable(each.times)), Text(plain(each.how), "dim")),
                    )
                    for each in stamps
                ]
            )
        case Timeline(marks):
            return _timeline(marks)
        case Card(title, pill, blocks):
            head = Text(plain(title), style="bold")
            head.append(f"  {plain(pill)}" if pill else "", style="dim")
            return Padding(Group(Text(""), head, *map(_block, blocks)), _INDENT)
        case _:
            assert_never(block)


def _lines(*texts: Text) -> RenderableType:
    return Group(*[text for text in texts if text.plain])


def _pairs(rows: Iterable[tuple[Text, RenderableType]]) -> RichTable:
    table = RichTable(show_header=False, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _table(table: Table) -> RenderableType:
    if not table.rows:
        return Text(plain(table.empty))
    shown = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in table.columns:
        shown.add_column(Text(plain(column)), overflow="fold")
    for row in table.rows:
        shown.add_row(*[_text(cell) for cell in row])
    return shown


def _timeline(marks: Sequence[Mark]) -> RenderableType:
    parts: list[RenderableType] = []
    for title, own in by_clock(marks):
        parts += [Text(title, style="dim"), *map(_mark, own)]
    return Group(*parts)


def _mark(mark: Mark) -> RenderableType:
    when = Text(f"{plain(moment_words(mark.moment))} · {plain(source_words(mark.moment))}", style="dim")
    title = Text(plain(mark.title), style=_MARKS.get(mark.tone, ""))
    detail = Text(" · ".join(part for part in (plain(mark.detail), plain(mark.proof)) if part), style="dim")
    return _pairs([(Text("•", style=_MARKS.get(mark.tone, "")), _lines(title, when, detail))])
