"""Bytes and numbers in the JSON of a bundle: hex for hashes and names, base64 for the rest."""

from collections.abc import Callable
from typing import TypeVar

from proofs.canonical import Value
from proofs.fields import FieldError, Fields, fields_of
from proofs.text import from_base64

__all__ = ["base64_field", "base64_item", "each_item", "hex_field", "hex_item", "number_item"]

_T = TypeVar("_T")


def hex_field(fields: Fields, key: str, length: int) -> bytes:
    """Give a field of `length` bytes in hex."""
    return hex_item(fields.raw(key), fields.path(key), length)


def hex_item(value: Value, where: str, length: int) -> bytes:
    """Take `value` as `length` bytes in hex.

    Raises:
        FieldError: it is something else.
    """
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != length:
        raise FieldError(where, f"{length} bytes in hex", repr(value)[:80])
    return data


def base64_field(fields: Fields, key: str, max_bytes: int) -> bytes:
    """Give a field of at most `max_bytes` in base64."""
    return base64_item(fields.raw(key), fields.path(key), max_bytes)


def base64_item(value: Value, where: str, max_bytes: int) -> bytes:
    """Take `value` as at most `max_bytes` in base64.

    Raises:
        FieldError: it is something else.
    """
    data = from_base64(value) if isinstance(value, str) and len(value) <= 2 * max_bytes + 4 else None
    if data is None or len(data) > max_bytes:
        raise FieldError(where, f"at most {max_bytes} bytes in base64", "other")
    return data


def number_item(value: Value, where: str, maximum: int) -> int:
    """Take `value` as an integer from 0 to `maximum`.

    Raises:
        FieldError: it is something else.
    """
    return fields_of({"number": value}, where, ("number",)).integer("number", maximum=maximum)


def each_item(
    fields: Fields, key: str, read: Callable[[Value, str], _T], *, max_items: int
) -> tuple[_T, ...]:
    """Give what `read` makes of each item of an array of at most `max_items`; it is told the item's place."""
    values = fields.array(key, max_items=max_items)
    return tuple(read(value, f"{fields.path(key)}[{index}]") for index, value in enumerate(values))
