"""Hashes as they are given on a command line: 32 bytes in hex."""

from __future__ import annotations

from collections.abc import Sequence

import click

from relay.cli.settings import settings_of

__all__ = ["hashes", "one_hash", "pinned_network"]

_HASH_BYTES = 32


def one_hash(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    """Read the hash of an option that may be left out."""
    return None if value is None else _digest(value)


def pinned_network(context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    """Read the id of the network that must be the one: given here, or before the command's name.

    There --network elsewhere names a directory: it must not be passed over here, where it is a pin.
    """
    given = settings_of(context).network if value is None else value
    return None if given is None else _digest(given)


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
