"""Log lines: one event, one line, whatever the facts contain."""

from __future__ import annotations

import io
import json

import pytest

from relay.core.types import Millis
from relay.telemetry import Level, Log, LogStyle, style_for


class Secret:
    def __repr__(self) -> str:
        return "Secret(…)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_noon() -> Millis:
    return Millis(1_700_049_600_123)


def log_to(stream: io.StringIO, style: LogStyle = LogStyle.JSON, least: Level = Level.INFO) -> Log:
    return Log(stream, at_noon, style, least)


def test_a_line_is_one_object_with_time_level_event_and_facts() -> None:
    stream = io.StringIO()

    log_to(stream).bind(chain="eip155:1").info("block read", number=7, hash=b"\xab")

    assert json.loads(stream.getvalue()) == {
        "at": "2023-11-15T12:00:00.123+00:00",
        "level": "info",
        "event": "block read",
        "chain": "eip155:1",
        "number": 7,
        "hash": "ab",
    }


@pytest.mark.parametrize("style", list(LogStyle))
def test_text_of_a_peer_cannot_forge_a_line_or_move_the_cursor(style: LogStyle) -> None:
    stream = io.StringIO()

    log_to(stream, style).warning("dropped", peer="x\n12:00:00 error all is lost\x1b[2J")

    assert stream.getvalue().count("\n") == 1
    assert "\x1b[2J" not in stream.getvalue()


def test_a_field_cannot_replace_the_head_of_a_line() -> None:
    stream = io.StringIO()

    log_to(stream).write(Level.INFO, "dropped", {"level": "page", "event": "other"})

    assert json.loads(stream.getvalue())["event"] == "dropped"
    assert json.loads(stream.getvalue())["level"] == "info"


def test_secrets_show_as_such_and_long_values_are_cut() -> None:
    stream = io.StringIO()

    log_to(stream).info("opened", key=Secret(), note="x" * 10_000)

    assert "Secret(…)" in stream.getvalue()
    assert len(stream.getvalue()) < 1_000


def test_a_level_below_the_least_is_left_out() -> None:
    stream = io.StringIO()
    log = log_to(stream, least=Level.WARNING)

    log.debug("a")
    log.info("b")
    log.error("c")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["c"]


def test_colour_is_for_terminals_that_want_it() -> None:
    assert style_for(Terminal(), {}) is LogStyle.COLOUR
    assert style_for(Terminal(), {"NO_COLOR": "1"}) is LogStyle.PLAIN
    assert style_for(Terminal(), {"TERM": "dumb"}) is LogStyle.PLAIN
    assert style_for(io.StringIO(), {}) is LogStyle.JSON
