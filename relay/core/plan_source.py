"""What is wrong with a plan, all of it: each error with its file, line and key (plans SPEC 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from relay.core.errors import PlanError

MAX_ERRORS = 50
"""More are not told: they would not be read."""

Path = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_KEY = re.compile(
    r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")


class Source:
    """Where tables come from: a file of text, or (`text` None) canonical bytes; and what is wrong there."""

    def __init__(self, where: str, text: str | None) -> None:
        self.where = where
        self.is_text = text is not None
        self._text = text
        self._lines: dict[Path, int] | None = None
        self._noted: dict[Path, list[PlanError]] = {}
        self._count = 0

    def error(self, path: Path, problem: str, *, remedy: str = "") -> PlanError:
        """Give an error with the file, the line where it can be told, and the key."""
        line = self._line_of(path)
        place = self.where if line is None else f"{self.where}:{line}"
        key = ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in path)
        return PlanError(f"{place}: {key}" if key else place, problem, remedy=remedy, line=line)

    def note(self, path: Path, problem: str, *, remedy: str = "") -> None:
        """Take note of an error; after `MAX_ERRORS` of them only of where it is."""
        errors = self._noted.setdefault(path, [])
        if self._count < MAX_ERRORS:
            errors.append(self.error(path, problem, remedy=remedy))
            self._count += 1

    @property
    def errors(self) -> tuple[PlanError, ...]:
        """What was noted, by line; what has no line stands last."""
        found = [error for errors in self._noted.values() for error in errors]
        return tuple(sorted(found, key=lambda error: (error.line is None, error.line or 0)))

    def is_noted(self, path: Path) -> bool:
        """Tell whether something is wrong with exactly this key or table itself."""
        return path in self._noted

    def is_sound(self, *paths: Path) -> bool:
        """Tell whether nothing is wrong with these keys, in them, or with a table around them.

        What depends on them can only be judged then: an error must not make others.
        """
        return not any(
            noted[: len(path)] == path or path[: len(noted)] == noted
            for noted in self._noted
            for path in paths
        )

    def _line_of(self, path: Path) -> int | None:
        """Find the line of the key, or of the innermost table around it."""
        if self._text is None:
            return None
        if self._lines is None:
            self._lines = _lines_by_path(self._text)
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return None


def _lines_by_path(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    for number, path in _lines(text):
        lines.setdefault(path, number)
    return lines


def _lines(text: str) -> Iterator[tuple[int, Path]]:
    prefix: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            prefix = _parts(header[2])
            if header[1] == "[[":
                counts[prefix] = counts.get(prefix, -1) + 1
                prefix = (*prefix, str(counts[prefix]))
            yield number, prefix
        elif key := _KEY.match(line):
            yield number, (*prefix, *_parts(key[1]))


def _parts(text: str) -> Path:
    return tuple(match[1] or match[2] or match[3] or "" for match in _PART.finditer(text))


__all__ = ["MAX_ERRORS", "Path", "Source"]
