"""Structured log lines: a constant phrase that names what happened, and its facts as fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import TextIO

from relay.core.types import Millis

MAX_VALUE_CHARS = 512
"""A longer value is cut: what a peer sent must not fill the disk."""


class Level(IntEnum):
    DEBUG = 10
    INFO = 20
    NOTICE = 25
    WARNING = 30
    ERROR = 40
    PAGE = 50


class LogStyle(StrEnum):
    JSON = "json"
    PLAIN = "plain"
    COLOUR = "colour"


_COLOURS = {
    Level.DEBUG: "\x1b[2m",
    Level.INFO: "\x1b[36m",
    Level.NOTICE: "\x1b[35m",
    Level.WARNING: "\x1b[33m",
    Level.ERROR: "\x1b[31m",
    Level.PAGE: "\x1b[1;41m",
}
_RESET = "\x1b[0m"


def style_for(stream: TextIO, environ: Mapping[str, str]) -> LogStyle:
    """Give colour for a terminal (unless NO_COLOR or TERM=dumb), JSON lines for everything else."""
    if not stream.isatty():
        return LogStyle.JSON
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return LogStyle.PLAIN if plain else LogStyle.COLOUR


@dataclass(frozen=True, slots=True)
class Log:
    """Writes one line per event to `stream`, in one write, so that lines of several threads do not mix."""

    stream: TextIO
    clock: Callable[[], Millis]
    style: LogStyle = LogStyle.JSON
    least: Level = Level.INFO
    bound: Mapping[str, object] = field(default_factory=dict)

    def bind(self, **fields: object) -> Log:
        """Give a log that adds `fields` to every line."""
        return Log(self.stream, self.clock, self.style, self.least, {**self.bound, **fields})

    def debug(self, event: str, /, **fields: object) -> None:
        self.write(Level.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self.write(Level.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self.write(Level.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self.write(Level.ERROR, event, fields)

    def write(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        """Write one line; a level below `least` is left out."""
        if level < self.least:
            return
        at = datetime.fromtimestamp(self.clock() / 1000, tz=UTC)
        facts = {name: _plain(value) for name, value in {**self.bound, **fields}.items()}
        if self.style is LogStyle.JSON:
            line = _json_line(at, level, event, facts)
        else:
            line = _human_line(at, level, event, facts, coloured=self.style is LogStyle.COLOUR)
        self.stream.write(line + "\n")
        self.stream.flush()


def _plain(value: object) -> str | int | bool | None:
    """Bytes become hex, other objects their repr: a `Secret` shows as such."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, bytes):
        value = value.hex()
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"


def _json_line(at: datetime, level: Level, event: str, facts: Mapping[str, str | int | bool | None]) -> str:
    head = {"at": at.isoformat(timespec="milliseconds"), "level": level.name.lower(), "event": event}
    return json.dumps({**facts, **head}, ensure_ascii=False, separators=(",", ":"))


def _human_line(
    at: datetime, level: Level, event: str, facts: Mapping[str, str | int | bool | None], *, coloured: bool
) -> str:
    name = level.name.lower().ljust(7)
    if coloured:
        name = f"{_COLOURS[level]}{name}{_RESET}"
    shown = " ".join(f"{key}={_quoted(value)}" for key, value in facts.items())
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {name} {event}" + (f"  {shown}" if shown else "")


def _quoted(value: str | int | None) -> str:
    # SECURITY: a peer's text must not forge lines or move the cursor of the operator's terminal.
    text = str(value)
    return text if text.isprintable() and text and " " not in text else json.dumps(text)


__all__ = ["MAX_VALUE_CHARS", "Level", "Log", "LogStyle", "style_for"]
