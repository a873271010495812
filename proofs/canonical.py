"""Canonical msgpack: the one encoding of everything that we sign or hash ourselves (core SPEC 1.1)."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgpack

from proofs.errors import ProofError

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "MAX_MAGNITUDE_BYTES", "CanonicalError", "Value", "decode", "encode"]

Value: TypeAlias = "bool | int | bytes | str | Sequence[Value] | Mapping[str, Value] | None"
"""What canonical msgpack can say. `decode` gives arrays as tuples and maps as dicts."""

MAX_DEPTH = 12
"""Containers within containers; a scalar alone has depth 0."""
MAX_ITEMS = 65_536
"""Of one document: every scalar, container and key counts as one."""
MAX_MAGNITUDE_BYTES = 1_024
BIG_INTEGER_EXT = 1
_MIN_INT = -(1 << 63)
_MAX_INT = (1 << 64) - 1


class CanonicalError(ProofError):
    """The bytes are not canonical msgpack, or the value has no such form."""


def encode(value: Value) -> bytes:
    """Give the canonical bytes of `value`; the order in which a map was filled does not matter.

    Raises:
        CanonicalError: `canonical-type` (float, foreign object, key that is no str), `canonical-integer`,
            `canonical-depth`, `canonical-items`.
    """
    data = _pack(_ordered(value, 0))
    _scan(data)
    return data


def decode(data: bytes, *, limit_bytes: int) -> Value:
    """Read canonical msgpack; what comes back encodes to exactly `data` again.

    Length, nesting and item count are checked on the headers alone, before anything is built.

    Raises:
        CanonicalError: `canonical-size`, `canonical-depth`, `canonical-items`, `canonical-truncated`,
            `canonical-trailing`, `canonical-type`, `canonical-text`, `canonical-key`, `canonical-order`,
            `canonical-integer`, `canonical-form`.
    """
    if len(data) > limit_bytes:
        raise CanonicalError("canonical-size", f"expected at most {limit_bytes} bytes, got {len(data)}")
    _scan(data)
    try:
        value: Value = msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=False,
            object_pairs_hook=_map,
            ext_hook=_big_integer,
        )
    except UnicodeDecodeError as error:
        raise CanonicalError("canonical-text", "expected UTF-8, got other bytes") from error
    # The order of keys was checked while building, so packing in that order shows every other deviation.
    if _pack(value) != data:
        raise CanonicalError("canonical-form", "expected the shortest form of each item, got a longer one")
    return value


def _ordered(value: Value, depth: int) -> Value:
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if depth == MAX_DEPTH:
        raise CanonicalError("canonical-depth", f"expected nesting of at most {MAX_DEPTH}, got more")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise CanonicalError("canonical-type", "expected keys of type str, got another type")
        # Ascending code points are ascending UTF-8 bytes.
        return {str(key): _ordered(value[key], depth + 1) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(item, depth + 1) for item in value]
    raise CanonicalError("canonical-type", f"expected a canonical type, got {type(value).__name__}")


def _pack(value: Value) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True, default=_beyond_64_bits)
    except UnicodeEncodeError as error:
        raise CanonicalError("canonical-text", "expected text in UTF-8, got a surrogate") from error
    return packed


def _beyond_64_bits(value: object) -> msgpack.ExtType:
    if not isinstance(value, int):
        raise CanonicalError("canonical-type", f"expected a canonical type, got {type(value).__name__}")
    magnitude = abs(value)
    length = (magnitude.bit_length() + 7) // 8
    if length > MAX_MAGNITUDE_BYTES:
        raise CanonicalError(
            "canonical-integer", f"expected a magnitude of at most {MAX_MAGNITUDE_BYTES} bytes, got {length}"
        )
    return msgpack.ExtType(BIG_INTEGER_EXT, bytes([value < 0]) + magnitude.to_bytes(length, "big"))


def _map(pairs: Sequence[tuple[Value, Value]]) -> dict[str, Value]:
    built: dict[str, Value] = {}
    previous: str | None = None
    for key, value in pairs:
        if not isinstance(key, str):
            raise CanonicalError("canonical-key", f"expected keys of type str, got {type(key).__name__}")
        if previous is not None and key <= previous:
            raise CanonicalError(
                "canonical-order", f"expected keys in ascending order, got {key!r} after {previous!r}"
            )
        built[key] = value
        previous = key
    return built


def _big_integer(_code: int, data: bytes) -> int:
    if not 2 <= len(data) <= MAX_MAGNITUDE_BYTES + 1 or data[0] > 1 or data[1] == 0:
        raise CanonicalError(
            "canonical-integer", "expected a sign and the shortest magnitude, got other bytes"
        )
    magnitude = int.from_bytes(data[1:], "big")
    value = -magnitude if data[0] else magnitude
    if _MIN_INT <= value <= _MAX_INT:
        raise CanonicalError("canonical-integer", "expected a msgpack int, got an ext of 64 bits or fewer")
    return value


_SCALAR, _SIZED, _ARRAY, _MAP, _REFUSED = range(5)


def _header(first: int) -> tuple[int, int]:
    """Give (kind, n): n data bytes (scalar), length bytes (sized), or children known from the byte itself."""
    if first <= 0x7F or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
        return _SCALAR, 0
    if first <= 0x8F:
        return _MAP, 2 * (first & 0x0F)
    if first <= 0x9F:
        return _ARRAY, first & 0x0F
    if first <= 0xBF:
        return _SCALAR, first & 0x1F
    return _WIDE.get(first, (_REFUSED, 0))


_WIDE = {
    **{0xC4 + i: (_SIZED, 1 << i) for i in range(3)},  # bin
    **{0xC7 + i: (_SIZED, 1 << i) for i in range(3)},  # ext
    **{0xCC + i: (_SCALAR, 1 << i) for i in range(4)},  # uint
    **{0xD0 + i: (_SCALAR, 1 << i) for i in range(4)},  # int
    **{0xD4 + i: (_SIZED, 0) for i in range(5)},  # fixext
    **{0xD9 + i: (_SIZED, 1 << i) for i in range(3)},  # str
    **{0xDC + i: (_ARRAY, 2 << i) for i in range(2)},
    **{0xDE + i: (_MAP, 2 << i) for i in range(2)},
}
_HEADERS = tuple(_header(first) for first in range(256))
_SKIPS = tuple(1 + extent if kind == _SCALAR else 0 for kind, extent in _HEADERS)
_FIX_EXT = {0xD4 + i: 1 << i for i in range(5)}
_EXT = frozenset({0xC7, 0xC8, 0xC9, *_FIX_EXT})
_BIN_8, _STR_8 = 0xC4, 0xD9
_FIRST_WIDE_CONTAINER = 0xDC


def _scan(data: bytes) -> None:
    """Walk the headers, building nothing: nesting, item count, and one item that ends where `data` ends.

    This runs for every message that arrives: the common cases come first, and the end of `data` is found by
    running into it.
    """
    skips, position, items = _SKIPS, 0, 1
    left = 1  # items still to come in the innermost container
    outer: list[int] = []  # the same, of the containers around it
    try:
        while True:
            first = data[position]
            left -= 1
            if skip := skips[first]:
                position += skip
            elif first in (_BIN_8, _STR_8):
                position += 2 + data[position + 1]
            elif _HEADERS[first][0] == _SIZED:
                position = _after_sized(data, position)
            else:
                outer.append(left)
                left, position = _container(data, position)
                items += left
                _within_limits(len(outer), items)
            while not left:
                if not outer:
                    return _ended(position, len(data))
                left = outer.pop()
    except IndexError as error:
        raise CanonicalError("canonical-truncated", "expected more bytes, got the end") from error


def _after_sized(data: bytes, position: int) -> int:
    """Give the position after the bin, str or ext at `position`."""
    first = data[position]
    start = position + 1 + _HEADERS[first][1]
    length = _FIX_EXT.get(first) or int.from_bytes(data[position + 1 : start], "big")
    if first not in _EXT:
        return start + length
    # The library would build a time stamp of ext type -1 by itself.
    if data[start] != BIG_INTEGER_EXT:
        raise CanonicalError("canonical-type", f"expected ext type {BIG_INTEGER_EXT}, got {data[start]}")
    return start + 1 + length


def _container(data: bytes, position: int) -> tuple[int, int]:
    """Give (children, position after the header) of the array or map at `position`."""
    first = data[position]
    kind, extent = _HEADERS[first]
    if kind == _REFUSED:
        raise CanonicalError("canonical-type", f"expected a canonical type, got byte 0x{first:02x}")
    if first < _FIRST_WIDE_CONTAINER:
        return extent, position + 1
    start = position + 1 + extent
    count = int.from_bytes(data[position + 1 : start], "big")
    return (2 * count if kind == _MAP else count), start


def _within_limits(depth: int, items: int) -> None:
    if depth > MAX_DEPTH:
        raise CanonicalError("canonical-depth", f"expected nesting of at most {MAX_DEPTH}, got more")
    if items > MAX_ITEMS:
        raise CanonicalError("canonical-items", f"expected at most {MAX_ITEMS} items, got more")


def _ended(position: int, end: int) -> None:
    if position > end:
        raise CanonicalError("canonical-truncated", "expected more bytes, got the end")
    if position < end:
        raise CanonicalError("canonical-trailing", f"expected the end, got {end - position} more bytes")
