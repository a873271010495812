"""Reading TOML strictly: every key known, of its type and within its bounds, or an error that names it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from relay.core.errors import ConfigError

MAX_FILE_BYTES = 1_048_576


def read_toml(path: Path, *, remedy: str = "") -> dict[str, object]:
    """Read a TOML file of at most `MAX_FILE_BYTES`; `remedy` is what to do when there is none.

    Raises:
        ConfigError: it is missing, unreadable, too large, no UTF-8 or no TOML (with line and column).
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(str(path), "expected a file, got none", remedy=remedy) from error
    except OSError as error:
        raise ConfigError(str(path), f"expected a readable file, got: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(str(path), f"expected at most {MAX_FILE_BYTES} bytes, got more")
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"expected UTF-8, got other bytes at offset {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(str(path), f"expected TOML, got: {error}") from error


class Table:
    """One TOML table whose keys are checked; each method reads one key or raises `ConfigError`.

    `where` is the table's own name within the file, empty for the file itself.
    """

    def __init__(
        self,
        file: Path,
        where: str,
        value: object,
        *,
        required: Iterable[str] = (),
        optional: Iterable[str] = (),
    ) -> None:
        self.file = file
        self._where = where
        if not isinstance(value, Mapping):
            raise ConfigError(self.name(""), f"expected a table, got {_kind(value)}")
        self._values: dict[str, object] = {str(key): item for key, item in value.items()}
        needed = tuple(required)
        self._refuse_unknown((*needed, *optional))
        for key in needed:
            if key not in self._values:
                raise ConfigError(self.name(key), "expected a value, got none", remedy="add the key")

    def error(self, key: str, expected: str, got: str, *, remedy: str = "") -> ConfigError:
        """Make the error for one key."""
        return ConfigError(self.name(key), f"expected {expected}, got {got}", remedy=remedy)

    def has(self, key: str) -> bool:
        """Tell whether the file says anything for `key`."""
        return key in self._values

    def keys(self) -> tuple[str, ...]:
        """Give the keys that stand in the file, in its order."""
        return tuple(self._values)

    def text(self, key: str, default: str | None = None, *, most: int = 256) -> str:
        """Give printable text of 1 to `most` characters."""
        value = self._values.get(key, default)
        return self._text(key, value, most)

    def texts(self, key: str, *, most: int, chars: int = 256) -> tuple[str, ...]:
        """Give a list of at most `most` different texts; empty when the key does not stand."""
        value = self._values.get(key, [])
        if not isinstance(value, list):
            raise self.error(key, "a list of texts", _kind(value))
        if len(value) > most:
            raise self.error(key, f"at most {most} items", str(len(value)))
        items = tuple(self._text(f"{key}[{index}]", item, chars) for index, item in enumerate(value))
        if len(set(items)) != len(items):
            raise self.error(key, "each item once", "one twice")
        return items

    def integer(self, key: str, default: int | None = None, *, least: int, most: int) -> int:
        """Give an integer within the bounds, both included."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, "an integer", _kind(value))
        if not least <= value <= most:
            raise self.error(key, f"an integer from {least} to {most}", str(value))
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "true or false", _kind(value))
        return value

    def binary(self, key: str, *, length: int) -> bytes:
        """Give bytes written as hex digits, with or without 0x."""
        text = self.text(key, most=2 * length + 2).removeprefix("0x")
        try:
            value = bytes.fromhex(text)
        except ValueError as error:
            raise self.error(key, f"{2 * length} hex digits", "other text") from error
        if len(value) != length or len(text) != 2 * length:
            raise self.error(key, f"{2 * length} hex digits", f"{len(text)} characters")
        return value

    def table(self, key: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()) -> Table:
        """Give a table within; an empty one when the key does not stand."""
        name = f"{self._where}.{key}" if self._where else key
        return Table(self.file, name, self._values.get(key, {}), required=required, optional=optional)

    def tables(
        self, key: str, *, most: int, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> tuple[Table, ...]:
        """Give a list of tables; empty when the key does not stand."""
        value = self._values.get(key, [])
        name = f"{self._where}.{key}" if self._where else key
        if not isinstance(value, list):
            raise self.error(key, f"tables [[{name}]]", _kind(value))
        if len(value) > most:
            raise self.error(key, f"at most {most} tables", str(len(value)))
        needed, allowed = tuple(required), tuple(optional)
        return tuple(
            Table(self.file, f"{name}[{index}]", item, required=needed, optional=allowed)
            for index, item in enumerate(value)
        )

    def open_table(self, key: str, *, most: int) -> Table:
        """Give a table whose keys are free names, at most `most` of them."""
        value = self._values.get(key, {})
        keys = [str(name) for name in value] if isinstance(value, Mapping) else []
        if len(keys) > most:
            raise self.error(key, f"at most {most} keys", str(len(keys)))
        return self.table(key, optional=keys)

    def name(self, key: str) -> str:
        """Give file and key as errors name them."""
        path = ".".join(part for part in (self._where, key) if part)
        return f"{self.file}: {path}" if path else str(self.file)

    def _text(self, key: str, value: object, most: int) -> str:
        if not isinstance(value, str):
            raise self.error(key, "text", _kind(value))
        if not 1 <= len(value) <= most:
            raise self.error(key, f"text of 1 to {most} characters", str(len(value)))
        if not value.isprintable():
            raise self.error(key, "printable text", "control characters")
        return value

    def _refuse_unknown(self, known: tuple[str, ...]) -> None:
        for key in self._values:
            if key in known:
                continue
            near = get_close_matches(key, known, n=1)
            remedy = (
                f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known)) or 'none'}"
            )
            raise ConfigError(self.name(key), "expected a known key, got this one", remedy=remedy)


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "an integer", str: "text", list: "a list", dict: "a table"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


__all__ = ["MAX_FILE_BYTES", "Table", "read_toml"]
