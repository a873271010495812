"""Reading a plan's tables: each key with its form, bound and default; unknown keys refused (SPEC 5.5).

Nothing here raises: what is wrong is noted in the `Source`, and a value that stands in for it lets the
reading go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeGuard, TypeVar

from proofs.canonical import Value
from relay.core.plan import text_of_field
from relay.core.plan_source import MAX_ERRORS, Path, Source

Scalar = int | str | bool
_T = TypeVar("_T")
_V = TypeVar("_V", int, str, "int | bool")

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}")


class Form:
    """A form of text, with the words for it in errors."""

    def __init__(self, name: str, pattern: str, most_bytes: int) -> None:
        self.name = f"{name}, at most {most_bytes} bytes"
        self.pattern = pattern
        self.most_bytes = most_bytes
        self._compiled = re.compile(pattern, re.DOTALL)

    def matches(self, text: str) -> bool:
        """Tell whether `text` has this form; never with control characters or lone surrogates."""
        return (
            text.isprintable()
            and len(text.encode()) <= self.most_bytes
            and self._compiled.fullmatch(text) is not None
        )

    def read(self, value: object) -> str | None:
        """Give `value` where it is a text of this form."""
        return value if isinstance(value, str) and self.matches(value) else None


class Table:
    """One table; every method reads one key, checks it, and writes it to `normal` with its default filled in.

    A key without default is demanded. `done` refuses the keys that nobody read. A table is silent once it
    is `mute`: when it is none, or when its error leaves open what the other keys mean.
    """

    def __init__(self, values: object, path: Path, source: Source) -> None:
        self._values: Mapping[str, object] = {}
        self._is_mute = False
        self.source = source
        self.path = path
        self.normal: dict[str, Value] = {}
        if isinstance(values, Mapping) and all(isinstance(key, str) for key in values):
            self._values = values
        else:
            source.note(path, f"expected a table, got {_kind(values)}")
            self.mute()

    def mute(self) -> None:
        """Tell nothing more of this table."""
        self._is_mute = True

    def done(self) -> None:
        """Refuse keys that this table does not have."""
        for key in sorted(self._values.keys() - self.normal.keys())[:MAX_ERRORS]:
            near = get_close_matches(key[:64], self.normal, 1)
            self.note(
                key,
                f"expected one of {', '.join(sorted(self.normal))}, got an unknown key",
                remedy=f"did you mean {near[0]}?" if near else "",
            )

    def note(self, key: str, problem: str, *, remedy: str = "") -> None:
        """Take note of an error of `key`."""
        if not self._is_mute:
            self.source.note((*self.path, key), problem, remedy=remedy)

    def note_itself(self, problem: str) -> None:
        """Take note of an error of this table's own name."""
        self.source.note(self.path, f"{problem}, got {shown(self.path[-1])}")

    def is_sound(self, *keys: str) -> bool:
        """Tell whether nothing is wrong with these keys."""
        return not self._is_mute and self.source.is_sound(*((*self.path, key) for key in keys))

    def has(self, key: str) -> bool:
        """Tell whether the key is present."""
        return self._values.get(key) is not None

    def absent(self, key: str) -> None:
        """Write that an optional key is absent."""
        self.normal[key] = None

    def tables_with(self, key: str, inner: str) -> tuple[str, ...]:
        """Give the names of the tables under `key` that have the key `inner`, in ascending order."""
        outer = self._values.get(key)
        if not isinstance(outer, Mapping):
            return ()
        return tuple(
            sorted(
                name
                for name, table in outer.items()
                if isinstance(table, Mapping) and table.get(inner) is not None
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The keys as written, in ascending order."""
        return tuple(sorted(self._values))

    def text(self, key: str, form: Form, *, default: str | None = None) -> str:
        """Give a text of `form`."""
        return self._read(key, default, form.read, form.name, "")

    def optional_text(self, key: str, form: Form) -> str | None:
        """Give a text of `form`, or None where the key is absent."""
        if not self.has(key):
            self.absent(key)
            return None
        return self.text(key, form)

    def choice(self, key: str, choices: Sequence[str], *, default: str | None = None) -> str:
        """Give one of `choices`."""

        def read(value: object) -> str | None:
            return value if isinstance(value, str) and value in choices else None

        return self._read(key, default, read, f"one of {', '.join(choices)}", choices[0])

    def integer(self, key: str, least: int, most: int, *, default: int | None = None) -> int:
        """Give an integer within the bounds, both included."""

        def read(value: object) -> int | None:
            return value if _is_integer(value) and least <= value <= most else None

        return self._read(key, default, read, f"an integer from {least} to {most}", least)

    def number(self, key: str, least: int, most: int) -> int:
        """Give an integer that may also be written `true`, `false` or as hex in a text."""

        def read(value: object) -> int | None:
            found = _number(value)
            return found if found is not None and least <= found <= most else None

        expected = 'true, false, an integer or "0x…"'
        if not least <= 0 <= most or most.bit_length() < 256:
            expected += f" from {least} to {most}"
        return self._read(key, None, read, expected, least)

    def scalar(self, key: str, most: int) -> int | bool:
        """Give true, false, or an integer from 0 to `most`, which may be written as hex in a text."""

        def read(value: object) -> int | bool | None:
            found = value if isinstance(value, bool) else _number(value)
            return found if found is not None and 0 <= found <= most else None

        return self._read(key, None, read, f'true, false, "0x…" or an integer from 0 to {most}', 0)

    def seconds(
        self, key: str, least: int, most: int, *, default: int | None = None, remedy: str = ""
    ) -> int:
        """Give a duration, written like `10m` in a file and as whole seconds in the canonical form."""
        is_text = self.source.is_text and self.has(key)
        value = self._read(
            key,
            default,
            _duration if is_text else _whole_seconds,
            'a duration like "90s", "10m", "6h" or "30d"',
            least,
        )
        if not least <= value <= most:
            self.note(key, f"expected {least} to {most} seconds, got {value}", remedy=remedy)
        return value

    def optional_seconds(self, key: str, least: int, most: int) -> int | None:
        """Give a duration, or None where the key is absent."""
        if not self.has(key):
            self.absent(key)
            return None
        return self.seconds(key, least, most)

    def optional_integer(self, key: str, least: int, most: int) -> int | None:
        """Give an integer within the bounds, or None where the key is absent."""
        if not self.has(key):
            self.absent(key)
            return None
        return self.integer(key, least, most)

    def written(self, key: str, form: Form) -> str:
        """Give the text of a boolean, an integer or a text, which must be of `form`."""

        def read(value: object) -> str | None:
            return form.read(text_of_field(value) if isinstance(value, bool | int) else value)

        return self._read(key, None, read, form.name, "")

    def texts(self, key: str, form: Form, most: int, *, least: int = 0) -> tuple[str, ...]:
        """Give an array of distinct texts of `form`, empty where the key is absent."""
        found = self._texts(key, self.array(key, most), form)
        if len(found) < least and self.is_sound(key):
            self.note(key, f"expected at least {least}, got {len(found)}")
        self.normal[key] = list(found)
        return found

    def text_set(self, key: str, form: Form, most: int, *, least: int = 0) -> tuple[str, ...]:
        """Give an array of distinct texts whose order says nothing, in ascending order."""
        found = tuple(sorted(self.texts(key, form, most, least=least)))
        self.normal[key] = list(found)
        return found

    def rungs(
        self, key: str, form: Form, most_rungs: int, most_acts: int, *, least: int = 1
    ) -> tuple[tuple[str, ...], ...]:
        """Give an array of `least` to `most_rungs` arrays, each of one or more distinct texts."""
        outer = self.array(key, most_rungs)
        if len(outer) < least and self.is_sound(key):
            self.note(key, f"expected at least {least} array of acts, got {len(outer)}")
        found: list[tuple[str, ...]] = []
        for rung in outer:
            if isinstance(rung, list | tuple) and 1 <= len(rung) <= most_acts:
                found.append(self._texts(key, rung, form))
            else:
                self.note(key, f"expected arrays of 1 to {most_acts} acts, got {shown(rung)}")
        self.normal[key] = [list(rung) for rung in found]
        return tuple(found)

    def scalars(self, key: str, most: int) -> tuple[Scalar, ...]:
        """Give an array of integers, texts and booleans, empty where the key is absent."""
        found: list[Scalar] = []
        for item in self.array(key, most):
            if isinstance(item, int | str):
                found.append(item)
            else:
                self.note(key, f"expected integers, texts and booleans, got {shown(item)}")
        self.normal[key] = list(found)
        return tuple(found)

    def array(self, key: str, most: int) -> Sequence[object]:
        """Give an array, empty where the key is absent; the caller writes `normal`."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple) or len(value) > most:
            self.note(key, f"expected an array of at most {most}, got {shown(value)}")
            return []
        return value

    def table(self, key: str) -> Table:
        """Give the table under `key`, an empty one where it is absent."""
        inner = Table(self._values.get(key, {}), (*self.path, key), self.source)
        self.normal[key] = inner.normal
        return inner

    def optional_table(self, key: str) -> Table | None:
        """Give the table under `key`, or None where it is absent."""
        if not self.has(key):
            self.absent(key)
            return None
        return self.table(key)

    def tables(self, key: str, most: int, read: Callable[[str, Table], _T]) -> dict[str, _T]:
        """Read a table of tables with free names, in ascending order of the names."""
        outer = self.table(key)
        if len(outer.names) > most:
            self.note(key, f"expected at most {most}, got {len(outer.names)}")
        found: dict[str, _T] = {}
        for name in outer.names[:most]:
            inner = outer.table(name)
            found[name] = read(name, inner)
            inner.done()
        return found

    def named(
        self, key: str, most: int, read: Callable[[Table], _T], name_of: Callable[[_T], str]
    ) -> tuple[_T, ...]:
        """Read an array of tables, each with a name of its own, and give them in the order of the names."""
        found: dict[str, tuple[_T, dict[str, Value]]] = {}
        for index, item in enumerate(self.array(key, most)):
            inner = Table(item, (*self.path, key, str(index)), self.source)
            value = read(inner)
            inner.done()
            name = name_of(value)
            if name in found and inner.is_sound("name"):
                inner.note("name", f"expected a name of its own, got {name} twice")
            found[name] = (value, inner.normal)
        in_order = [found[name] for name in sorted(found)]
        self.normal[key] = [normal for _, normal in in_order]
        return tuple(value for value, _ in in_order)

    def _read(
        self, key: str, default: _V | None, read: Callable[[object], _V | None], expected: str, instead: _V
    ) -> _V:
        value = self._values.get(key)
        if value is None and default is None:
            self.note(key, "expected this key, got nothing")
            found = None
        else:
            found = default if value is None else read(value)
            if found is None:
                self.note(key, f"expected {expected}, got {shown(value)}")
        found = instead if found is None else found
        self.normal[key] = found
        return found

    def _texts(self, key: str, items: Sequence[object], form: Form) -> tuple[str, ...]:
        found: list[str] = []
        for item in items:
            text = form.read(item)
            if text is None:
                self.note(key, f"expected {form.name}, got {shown(item)}")
            elif text in found:
                self.note(key, f"expected each only once, got {text} twice")
            else:
                found.append(text)
        return tuple(found)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value, 16) if _HEX.fullmatch(value) else None
    return int(value) if isinstance(value, int) else None


def _duration(value: object) -> int | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNIT_S[match[2]] if match else None


def _whole_seconds(value: object) -> int | None:
    return value if _is_integer(value) else None


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


def shown(value: object) -> str:
    """Give a value for an error, cut where it is long."""
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:80]}…"
    return _kind(value)


__all__ = ["Form", "Scalar", "Source", "Table", "shown"]
