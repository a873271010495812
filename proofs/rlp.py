"""RLP: the form of Ethereum's headers, receipts and tries (Yellow Paper, appendix B), in one spelling."""

from collections.abc import Sequence
from typing import TypeAlias

from proofs.errors import ProofError

__all__ = ["MAX_RLP_DEPTH", "MAX_RLP_ITEMS", "Item", "RlpError", "decode_rlp", "encode_rlp", "integer_bytes"]

Item: TypeAlias = "bytes | Sequence[Item]"
"""A string of bytes, or a list. `decode_rlp` gives lists as tuples."""

MAX_RLP_DEPTH = 8
"""Lists within lists; a receipt has four."""
MAX_RLP_ITEMS = 65_536
_STRING, _LIST = 0x80, 0xC0
_SHORT = 56
"""From this length on, the length stands in bytes of its own."""


class RlpError(ProofError):
    """`rlp-size`, `rlp-truncated`, `rlp-trailing`, `rlp-form` (not shortest), `rlp-depth`, `rlp-items`."""


def encode_rlp(item: Item) -> bytes:
    """Give the one spelling of `item`."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _STRING:
            return item
        return _head(len(item), _STRING) + item
    content = b"".join(map(encode_rlp, item))
    return _head(len(content), _LIST) + content


def decode_rlp(data: bytes, *, limit_bytes: int) -> Item:
    """Read one item that fills `data`; what comes back encodes to exactly `data` again.

    Raises:
        RlpError: too many bytes, items or lists within lists; the end too early or too late; a longer
            spelling than the shortest.
    """
    if len(data) > limit_bytes:
        raise RlpError("rlp-size", f"expected at most {limit_bytes} bytes, got {len(data)}")
    item, end = _Reader(data).item(0, len(data), 0)
    if end != len(data):
        raise RlpError("rlp-trailing", f"expected the end, got {len(data) - end} more bytes")
    return item


def integer_bytes(number: int) -> bytes:
    """Give an integer as RLP has it: big-endian without leading zeros, zero as nothing."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _head(length: int, base: int) -> bytes:
    if length < _SHORT:
        return bytes([base + length])
    size = integer_bytes(length)
    return bytes([base + _SHORT - 1 + len(size)]) + size


class _Reader:
    """Reads items of one document and counts them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0

    def item(self, start: int, end: int, depth: int) -> tuple[Item, int]:
        """Give the item at `start`, which must end by `end`, and where it ends."""
        self._items += 1
        if self._items > MAX_RLP_ITEMS:
            raise RlpError("rlp-items", f"expected at most {MAX_RLP_ITEMS} items, got more")
        place, after = self._span(start, end)
        if self._data[start] < _LIST:
            return self._data[place:after], after
        if depth == MAX_RLP_DEPTH:
            raise RlpError("rlp-depth", f"expected at most {MAX_RLP_DEPTH} lists within lists, got more")
        parts: list[Item] = []
        while place < after:
            part, place = self.item(place, after, depth + 1)
            parts.append(part)
        return tuple(parts), after

    def _span(self, start: int, end: int) -> tuple[int, int]:
        """Give the content's first byte and the byte after its last."""
        if start >= end:
            raise RlpError("rlp-truncated", "expected an item, got the end")
        first = self._data[start]
        if first < _STRING:
            return start, start + 1
        base = _STRING if first < _LIST else _LIST
        if first < base + _SHORT:
            place, length = start + 1, first - base
        else:
            place, length = self._long(start, first - base - _SHORT + 1)
        if place + length > end:
            raise RlpError("rlp-truncated", f"expected {length} bytes of content, got {max(0, end - place)}")
        if base == _STRING and length == 1 and self._data[place] < _STRING:
            raise RlpError("rlp-form", "expected a small byte as itself, got a head before it")
        return place, place + length

    def _long(self, start: int, size: int) -> tuple[int, int]:
        """Give where the content starts and its length, which stands in `size` bytes."""
        place = start + 1 + size
        length = int.from_bytes(self._data[start + 1 : place], "big")
        if place > len(self._data):
            raise RlpError("rlp-truncated", f"expected a length of {size} bytes, got the end")
        if self._data[start + 1] == 0 or length < _SHORT:
            raise RlpError("rlp-form", "expected the shortest form of a length, got a longer one")
        return place, length
