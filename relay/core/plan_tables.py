"""Reading a plan's tables: each key with its form and bound, unknown keys refused, errors with their line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn, TypeVar

from proofs.canonical import Value
from relay.core.errors import PlanError
from relay.core.plan import text_of_field

Path = tuple[str, ...]
Raw = Mapping[str, object]
_T = TypeVar("_T")

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_KEY = re.compile(
    r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")


class Source:
    """Where the tables come from: a file of text, or (`text` None) canonical bytes."""

    def __init__(self, where: str, text: str | None) -> None:
        self.where = where
        self.is_text = text is not None
        self._text = text

    def refuse(self, path: Path, problem: str, *, remedy: str = "") -> NoReturn:
        """Raise `PlanError` with the file, the line when it can be told, and the key."""
        line = _line_of(self._text, path) if self._text is not None else None
        place = self.where if line is None else f"{self.where}:{line}"
        key = ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in path)
        raise PlanError(f"{place}: {key}" if key else place, problem, remedy=remedy)


def _line_of(text: str, path: Path) -> int | None:
    """Find the line of the key, or of the innermost table around it."""
    best, best_length = None, 0
    for number, found in _lines(text):
        if best_length < len(found) <= len(path) and path[: len(found)] == found:
            best, best_length = number, len(found)
    return best


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


class Table:
    """One table; every method reads one key, checks it, and writes it to `normal` with its default filled in.

    A method whose `default` is `...` demands the key. `done` refuses the keys that nobody read.
    """

    def __init__(self, values: object, path: Path, source: Source) -> None:
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            source.refuse(path, f"expected a table, got {_kind(values)}")
        self._values: Raw = values
        self._source = source
        self.path = path
        self.normal: dict[str, Value] = {}

    def done(self) -> None:
        """Refuse keys that this table does not have."""
        for key in sorted(self._values.keys() - self.normal.keys()):
            known = ", ".join(sorted(self.normal))
            self._source.refuse((*self.path, key), f"expected one of {known}, got an unknown key")

    def refuse(self, key: str, problem: str, *, remedy: str = "") -> NoReturn:
        """Raise `PlanError` about `key`."""
        self._source.refuse((*self.path, key), problem, remedy=remedy)

    def refuse_itself(self, problem: str) -> NoReturn:
        """Raise `PlanError` about this table's own name."""
        self._source.refuse(self.path, f"{problem}, got {_shown(self.path[-1])}")

    def text(self, key: str, form: Form, *, default: str | None = None) -> str:
        """Give a text of `form`."""
        value = self._get(key, default)
        if not isinstance(value, str) or not form.matches(value):
            self.refuse(key, f"expected {form.name}, got {_shown(value)}")
        self.normal[key] = value
        return value

    def optional_text(self, key: str, form: Form) -> str | None:
        """Give a text of `form`, or None where the key is absent."""
        if self._values.get(key) is None:
            self.normal[key] = None
            return None
        return self.text(key, form)

    def choice(self, key: str, choices: Sequence[str], *, default: str | None = None) -> str:
        """Give one of `choices`."""
        value = self._get(key, default)
        if not isinstance(value, str) or value not in choices:
            self.refuse(key, f"expected one of {', '.join(choices)}, got {_shown(value)}")
        self.normal[key] = value
        return value

    def integer(self, key: str, least: int, most: int, *, default: int | None = None) -> int:
        """Give an integer within the bounds, both included."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(key, f"expected an integer from {least} to {most}, got {_shown(value)}")
        self.normal[key] = value
        return value

    def seconds(self, key: str, least: int, most: int, *, default: int | None = None) -> int:
        """Give a duration, written like `10m` in a file and as whole seconds in the canonical form."""
        written = self._get(key, default)
        if self._source.is_text and self.has(key):
            match = _DURATION.fullmatch(written) if isinstance(written, str) else None
            value = int(match[1]) * _UNIT_S[match[2]] if match else None
        else:
            value = written if isinstance(written, int) and not isinstance(written, bool) else None
        if value is None:
            self.refuse(key, f'expected a duration like "90s", "10m", "6h" or "30d", got {_shown(written)}')
        if not least <= value <= most:
            self.refuse(key, f"expected {least} to {most} seconds, got {value}")
        self.normal[key] = value
        return value

    def optional_seconds(self, key: str, least: int, most: int) -> int | None:
        """Give a duration, or None where the key is absent."""
        if self._values.get(key) is None:
            self.normal[key] = None
            return None
        return self.seconds(key, least, most)

    def scalar(self, key: str, most: int) -> int | bool:
        """Give true, false, or an integer from 0 to `most`."""
        value = self._get(key, None)
        if not isinstance(value, int) or not 0 <= value <= most:
            self.refuse(key, f"expected true, false or an integer from 0 to {most}, got {_shown(value)}")
        self.normal[key] = value
        return value

    def written(self, key: str, form: Form) -> str:
        """Give the text of a boolean, an integer or a text, which must be of `form`."""
        value = self._get(key, None)
        if isinstance(value, bool | int):
            value = text_of_field(value)
        if not isinstance(value, str) or not form.matches(value):
            self.refuse(key, f"expected {form.name}, got {_shown(value)}")
        self.normal[key] = value
        return value

    def texts(self, key: str, form: Form, most: int) -> tuple[str, ...]:
        """Give an array of distinct texts of `form`, empty where the key is absent."""
        found = tuple(self._as_text(key, item, form) for item in self.array(key, most))
        if len(set(found)) != len(found):
            self.refuse(key, "expected each only once, got one twice")
        self.normal[key] = list(found)
        return found

    def rungs(self, key: str, form: Form, most_rungs: int, most_acts: int) -> tuple[tuple[str, ...], ...]:
        """Give an array of 1 to `most_rungs` arrays of texts."""
        outer = self.array(key, most_rungs)
        if not outer:
            self.refuse(key, "expected at least one rung, got none")
        found: list[tuple[str, ...]] = []
        for rung in outer:
            if not isinstance(rung, list | tuple) or not 1 <= len(rung) <= most_acts:
                self.refuse(key, f"expected rungs of 1 to {most_acts} acts, got {_shown(rung)}")
            found.append(tuple(self._as_text(key, act, form) for act in rung))
        self.normal[key] = [list(rung) for rung in found]
        return tuple(found)

    def scalars(self, key: str, most: int) -> tuple[int | str | bool, ...]:
        """Give an array of integers, texts and booleans, empty where the key is absent."""
        found: list[int | str | bool] = []
        for item in self.array(key, most):
            if not isinstance(item, int | str):
                self.refuse(key, f"expected integers, texts and booleans, got {_shown(item)}")
            found.append(item)
        self.normal[key] = list(found)
        return tuple(found)

    def array(self, key: str, most: int) -> Sequence[object]:
        """Give an array, empty where the key is absent; the caller writes `normal`."""
        value = self._values.get(key)
        if value is None:
            value = []
        if not isinstance(value, list | tuple) or len(value) > most:
            self.refuse(key, f"expected an array of at most {most}, got {_shown(value)}")
        return value

    def table(self, key: str) -> Table:
        """Give the table under `key`, an empty one where it is absent."""
        value = self._values.get(key)
        inner = Table({} if value is None else value, (*self.path, key), self._source)
        self.normal[key] = inner.normal
        return inner

    def tables(self, key: str, most: int, read: Callable[[str, Table], _T]) -> dict[str, _T]:
        """Read a table of tables with free names, in ascending order of the names."""
        outer = self.table(key)
        if len(outer.names) > most:
            self.refuse(key, f"expected at most {most}, got {len(outer.names)}")
        found: dict[str, _T] = {}
        for name in outer.names:
            inner = outer.table(name)
            found[name] = read(name, inner)
            inner.done()
        return found

    def each(self, key: str, most: int, read: Callable[[Table], _T]) -> tuple[_T, ...]:
        """Read an array of tables, in its order."""
        found: list[_T] = []
        normal: list[Value] = []
        for index, item in enumerate(self.array(key, most)):
            inner = Table(item, (*self.path, key, str(index)), self._source)
            found.append(read(inner))
            inner.done()
            normal.append(inner.normal)
        self.normal[key] = normal
        return tuple(found)

    def has(self, key: str) -> bool:
        """Tell whether the key is present."""
        return self._values.get(key) is not None

    def absent(self, key: str) -> None:
        """Write that an optional table is absent."""
        self.normal[key] = None

    @property
    def names(self) -> tuple[str, ...]:
        """The keys as written, in ascending order."""
        return tuple(sorted(self._values))

    def _get(self, key: str, default: object) -> object:
        value = self._values.get(key)
        value = default if value is None else value
        if value is None:
            self.refuse(key, "expected this key, got nothing")
        return value

    def _as_text(self, key: str, item: object, form: Form) -> str:
        if not isinstance(item, str) or not form.matches(item):
            self.refuse(key, f"expected {form.name}, got {_shown(item)}")
        return item


class Form:
    """A form of text, with the words for it in errors."""

    def __init__(self, name: str, pattern: str, most_bytes: int) -> None:
        self.name = f"{name}, at most {most_bytes} bytes"
        self._pattern = re.compile(pattern, re.DOTALL)
        self._most_bytes = most_bytes

    def matches(self, text: str) -> bool:
        """Tell whether `text` has this form; never with control characters or lone surrogates."""
        return (
            text.isprintable()
            and len(text.encode()) <= self._most_bytes
            and self._pattern.fullmatch(text) is not None
        )


def _kind(value: object) -> str:
    names = {
        dict: "a table",
        list: "an array",
        tuple: "an array",
        str: "a text",
        int: "an integer",
        bool: "a boolean",
    }
    return names.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:80]}…"
    return _kind(value)


__all__ = ["Form", "Path", "Source", "Table"]
