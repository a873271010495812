"""Decoded values into plain types. What has another type than its ABI says is a fault of ours."""

from __future__ import annotations

from collections.abc import Mapping

NOBODY = "0x" + "00" * 20


def whole(values: Mapping[str, object], name: str) -> int:
    value = values[name]
    assert isinstance(value, int), name
    return int(value)


def octets(values: Mapping[str, object], name: str) -> bytes:
    value = values[name]
    assert isinstance(value, bytes), name
    return value


def text(values: Mapping[str, object], name: str) -> str:
    value = values[name]
    assert isinstance(value, str), name
    return value


def struct(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = values[name]
    assert isinstance(value, dict), name
    return value


def items(values: Mapping[str, object], name: str) -> tuple[object, ...]:
    value = values[name]
    assert isinstance(value, tuple), name
    return value


def somebody(address: str) -> str | None:
    """An address; None for the zero address."""
    return None if address == NOBODY else address


__all__ = ["NOBODY", "items", "octets", "somebody", "struct", "text", "whole"]
