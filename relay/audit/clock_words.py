"""Times in words: the day, the time of the day, and whose word it is (SPEC 4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from relay.audit.story import Clock, Moment
from relay.audit.texts import quoted
from relay.core.words import count_words

__all__ = ["day_words", "gap_words", "moment_words", "source_words", "time_words"]

_DAY_MS: Final = 86_400_000
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999, which is as far as calendars here go."""


def time_words(at_ms: int) -> str:
    """A time of the day as `20:13:36 UTC`."""
    return _shown(at_ms, "%H:%M:%S UTC")


def day_words(at_ms: int) -> str:
    """A day as `14 November 2023`; months by name, since their order differs between countries."""
    return _shown(at_ms, "%d %B %Y").lstrip("0")


def gap_words(gap_ms: int) -> str:
    """By how many days a clock is ahead of another (behind it: negative), as `1,100 days ahead of`."""
    days = count_words(abs(gap_ms) // _DAY_MS, "day")
    return f"{days} {'ahead of' if gap_ms > 0 else 'behind'}"


def moment_words(moment: Moment | None) -> str:
    """A time as people write it; `not told` where there is none."""
    if moment is None:
        return "not told"
    at = time_words(moment.at_ms)
    if moment.clock is Clock.SELF_ASSERTED:
        # Members answer within a second of each other.
        at = at.replace(" UTC", f".{moment.at_ms % 1_000:03d} UTC")
    return f"{day_words(moment.at_ms)}, {at}"


def source_words(moment: Moment | None) -> str:
    """Whose word a time is."""
    if moment is None:
        return ""
    how = "by its own clock" if moment.clock is Clock.BLOCK else moment.clock.value
    return quoted(moment.whose) if moment.clock is Clock.AUDITOR else f"{quoted(moment.whose)}, {how}"


def _shown(at_ms: int, form: str) -> str:
    seconds = at_ms // 1_000
    if not 0 <= seconds <= _LAST_SECOND:
        return f"{seconds} s"
    return datetime.fromtimestamp(seconds, tz=UTC).strftime(form)
