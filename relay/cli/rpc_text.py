"""Addresses of endpoints as they are given on a command line: `[NAME=]URL` or `[NAME=]@FILE`."""

from __future__ import annotations

import re
from pathlib import Path

from relay.config import read_private_line
from relay.config.addresses import is_rpc_url
from relay.core.errors import ConfigError

__all__ = ["named_url", "rpc_url"]

_NAMED = re.compile(r"([^=@/]{1,64})=(.+)", re.DOTALL)


def named_url(text: str, option: str) -> tuple[str | None, str]:
    """Give the name before `=`, if there is one, and the address.

    Raises:
        ConfigError: it is no address; the text is not repeated, since it may hold a key.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        return None, rpc_url(text, option)
    return found[1].strip(), rpc_url(found[2], option)


def rpc_url(text: str, option: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """Give an address, or the one in a private file for `@FILE`.

    Raises:
        ConfigError: as `named_url`.
    """
    url = read_private_line(Path(text[1:]), where=option) if text.startswith("@") else text
    if not is_rpc_url(url, schemes):
        expected = " or ".join(f"{scheme}://host…" for scheme in schemes)
        raise ConfigError(option, f"expected {expected}, or @FILE with one, got other text")
    return url
