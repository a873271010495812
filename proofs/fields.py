"""Reading the fields of a decoded map: each with its type and bound, unknown and missing keys refused."""

from collections.abc import Iterable, Mapping, Sequence

from proofs.canonical import Value
from proofs.errors import ProofError

__all__ = ["FieldError", "Fields", "fields_of", "text_of"]

_SHOWN = 4


class FieldError(ProofError):
    """A field of a map is missing, unknown, of another type or out of bounds; `check` is always `shape`."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__("shape", f"{where}: expected {expected}, got {got}", where=where)
        self.where = where


def fields_of(value: Value, where: str, keys: Iterable[str]) -> "Fields":
    """Take `value` as a map with exactly `keys`; `where` names it in errors.

    Raises:
        FieldError: no map, or a key is missing or unknown.
    """
    if not isinstance(value, Mapping):
        raise FieldError(where, "a map", _kind(value))
    expected = frozenset(keys)
    if value.keys() != expected:
        raise FieldError(where, "the keys of its form", _difference(expected, frozenset(value)))
    return Fields(value, where)


class Fields:
    """A map whose set of keys was checked; each method reads one field or raises `FieldError`."""

    __slots__ = ("_values", "_where")

    def __init__(self, values: Mapping[str, Value], where: str) -> None:
        self._values = values
        self._where = where

    def path(self, key: str) -> str:
        """Give the name of a field for errors."""
        return f"{self._where}.{key}"

    def raw(self, key: str) -> Value:
        """Give the value as it stands."""
        return self._values[key]

    def is_nil(self, key: str) -> bool:
        """Tell whether the field says *none*."""
        return self._values[key] is None

    def binary(self, key: str, *, length: int | None = None, max_bytes: int | None = None) -> bytes:
        """Give bytes, of exactly `length` or at most `max_bytes`."""
        value = self._values[key]
        if not isinstance(value, bytes):
            raise FieldError(self.path(key), "bytes", _kind(value))
        if length is not None and len(value) != length:
            raise FieldError(self.path(key), f"{length} bytes", f"{len(value)}")
        if max_bytes is not None and len(value) > max_bytes:
            raise FieldError(self.path(key), f"at most {max_bytes} bytes", f"{len(value)}")
        return value

    def integer(self, key: str, *, minimum: int = 0, maximum: int) -> int:
        """Give an integer within the bounds, both included."""
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int):
            raise FieldError(self.path(key), "an integer", _kind(value))
        if not minimum <= value <= maximum:
            raise FieldError(self.path(key), f"an integer from {minimum} to {maximum}", f"{value}")
        return value

    def boolean(self, key: str) -> bool:
        """Give true or false."""
        value = self._values[key]
        if not isinstance(value, bool):
            raise FieldError(self.path(key), "true or false", _kind(value))
        return value

    def text(self, key: str, *, max_bytes: int) -> str:
        """Give text of 1 to `max_bytes` bytes of UTF-8 without control characters."""
        return text_of(self._values[key], self.path(key), max_bytes=max_bytes)

    def array(self, key: str, *, max_items: int) -> Sequence[Value]:
        """Give an array of at most `max_items`."""
        value = self._values[key]
        if not isinstance(value, list | tuple):
            raise FieldError(self.path(key), "an array", _kind(value))
        if len(value) > max_items:
            raise FieldError(self.path(key), f"at most {max_items} items", f"{len(value)}")
        return value

    def mapping(self, key: str, *, max_items: int) -> Mapping[str, Value]:
        """Give a map with free keys, at most `max_items` of them."""
        value = self._values[key]
        if not isinstance(value, Mapping):
            raise FieldError(self.path(key), "a map", _kind(value))
        if len(value) > max_items:
            raise FieldError(self.path(key), f"at most {max_items} keys", f"{len(value)}")
        return value


def text_of(value: Value, where: str, *, max_bytes: int) -> str:
    """Take `value` as text of 1 to `max_bytes` bytes of UTF-8 without control characters.

    Raises:
        FieldError: it is something else.
    """
    if not isinstance(value, str):
        raise FieldError(where, "text", _kind(value))
    # A lone surrogate, which JSON can say, has no UTF-8; it is not printable either.
    length = len(value.encode(errors="surrogatepass"))
    if not 1 <= length <= max_bytes:
        raise FieldError(where, f"text of 1 to {max_bytes} bytes", f"{length}")
    if not value.isprintable():
        raise FieldError(where, "printable text", repr(value))
    return value


def _kind(value: Value) -> str:
    return "nil" if value is None else type(value).__name__


def _difference(expected: frozenset[str], got: frozenset[str]) -> str:
    missing, unknown = sorted(expected - got)[:_SHOWN], sorted(got - expected)[:_SHOWN]
    parts = [f"missing {', '.join(missing)}"] if missing else []
    parts += [f"unknown {', '.join(map(repr, unknown))}"] if unknown else []
    return "; ".join(parts)
