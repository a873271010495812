"""A page as blocks: what every form of a story shows, before it is text, HTML or Markdown.

Texts may hold strangers' words (`texts.quoted`); cells that are strangers' own are escaped by whoever shows
them. Blocks are few on purpose: each form must know all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.audit.story import Mark

__all__ = [
    "Block",
    "Card",
    "Cell",
    "Facts",
    "Items",
    "Lines",
    "Paragraph",
    "Row",
    "Section",
    "Sheet",
    "StampRow",
    "Stamps",
    "Table",
    "Timeline",
    "Tone",
    "code",
    "words",
]


class Tone(StrEnum):
    """How a text is meant; shown as a colour where there are any, never by that alone."""

    PLAIN = "plain"
    SOFT = "soft"
    STRONG = "strong"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of a table or a fact; `is_code` for hashes, calls and the like."""

    text: str
    tone: Tone = Tone.PLAIN
    is_code: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences; `is_lead` for the first paragraph."""

    text: str
    tone: Tone = Tone.PLAIN
    is_lead: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A formula, or other text whose letters count."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    facts: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, and rows as long; `empty` is said where there are none."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    empty: str = "None."


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences, each with its tone; `empty` is said where there are none."""

    items: tuple[Cell, ...]
    empty: str = "None."


@dataclass(frozen=True, slots=True)
class StampRow:
    """A stamp: its name, each time with whose clock it is by, how it is known."""

    name: str
    times: tuple[tuple[Cell, Cell], ...]
    how: str


@dataclass(frozen=True, slots=True)
class Stamps:
    """The five stamps."""

    stamps: tuple[StampRow, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Moments in order, those of blocks and those of members' clocks apart."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """Blocks that belong together under a title; `pill` is a short word beside it."""

    title: str
    pill: str
    blocks: tuple[Block, ...]


Block = Paragraph | Lines | Facts | Table | Items | Stamps | Timeline | Card


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole page; `verdict` is the answer in a few words, with its tone, `notices` stand before all."""

    title: str
    subtitle: str
    verdict: Cell
    notices: tuple[str, ...]
    lead: Paragraph
    sections: tuple[Section, ...]
    foot: str


def words(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    """Give a cell of plain words."""
    return Cell(text, tone)


def code(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    """Give a cell whose letters count."""
    return Cell(text, tone, is_code=True)
