"""How plain values are shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

YES_MARK = "[green]✓[/]"
NO_MARK = "[red]✗[/]"
UNKNOWN_MARK = "[yellow]?[/]"
_BLOCK_KEYS = {"chain", "number", "hash", "timestamp"}


def cell(value: object) -> str:
    """Give a value as safe text: no markup, no control characters, booleans as words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return escape(text if text.isprintable() else repr(text))


def table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under column names."""
    grid = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        grid.add_row(*(flat(value) for value in row))
    console.print(grid)


def marked_table(
    console: Console, columns: Sequence[str], rows: Iterable[tuple[bool | None, Sequence[object]]]
) -> None:
    """Print rows under column names, each behind a mark; None is *could not tell*. Nothing is cut off."""
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for held, row in rows:
        mark = UNKNOWN_MARK if held is None else YES_MARK if held else NO_MARK
        grid.add_row(mark, *(flat(value) for value in row))
    console.print(grid)


def facts(console: Console, values: Mapping[str, object]) -> None:
    """Print names and values, one line each; what is nested is indented."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        if isinstance(value, Mapping):
            console.print(f"[bold]{cell(name)}[/]")
            for inner, what in value.items():
                console.print(f"  {cell(inner)}  {flat(what)}")
        else:
            console.print(f"[bold]{cell(name).ljust(width)}[/]  {flat(value)}")


def flat(value: object) -> str:
    """Give a value, nested or not, as one line of safe text."""
    if isinstance(value, Mapping) and value.keys() == _BLOCK_KEYS:
        return f"block {cell(value['number'])}"
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(name)} {flat(what)}" for name, what in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(flat(item) for item in value) or "–"
    return cell(value)


def checks(console: Console, found: Iterable[tuple[bool | None, str, str, str]]) -> None:
    """Print (held, name, detail, remedy) lines; None is *could not tell*."""
    for held, name, detail, remedy in found:
        mark = UNKNOWN_MARK if held is None else YES_MARK if held else NO_MARK
        console.print(f"{mark} {cell(name)}" + (f"  {cell(detail)}" if detail else ""))
        if remedy and held is not True:
            console.print(f"    try: {cell(remedy)}")


__all__ = ["NO_MARK", "UNKNOWN_MARK", "YES_MARK", "cell", "checks", "facts", "flat", "marked_table", "table"]
