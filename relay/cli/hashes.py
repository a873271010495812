"""Hashes as they are given on a command line: 32 bytes in hex."""

from __future__ import annotations

from collections.abc import Sequence

import click

__all__ = ["hashes", "one_hash"]

_HASH_BYTES = 32


def one_hash(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    """Read the hash of an option that may be left out."""
    return None if value is None else _digest(value)


def hashes(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[bytes, ...]:
    """Read the hashes of a repeatable option."""
    return tuple(_digest(value) for value in values)


def _digest(value: str) -> bytes:
    try:
        digest = bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        digest = b""
    if len(digest) != _HASH_BYTES:
        raise click.BadParameter(f"expected {_HASH_BYTES} bytes in hex, got {value!r}")
    return digest
