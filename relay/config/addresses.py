"""Addresses as a configuration file writes them: sockets, multiaddrs, URLs, chains."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

MAX_PORT = 65_535
CAIP2 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_MULTIADDR_PARTS = 5


def parse_bind(text: str) -> tuple[str, int] | None:
    """Read `127.0.0.1:9330` or `[::1]:9330`; None for anything else. Port 0 is any free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not _is_port(port, least=0):
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return (str(address), int(port)) if bracketed == (address.version == 6) else None


def is_listen_multiaddr(text: str) -> bool:
    """Tell whether `text` is `/ip4/<address>/tcp/<port>` or `/ip6/…`; port 0 is any free one."""
    parts = text.split("/")
    return _is_multiaddr(parts, least_port=0) and parts[1] in ("ip4", "ip6")


def is_peer_multiaddr(text: str) -> bool:
    """Tell whether others can dial `text`: an address or DNS name, and a port."""
    return _is_multiaddr(text.split("/"), least_port=1)


def is_rpc_url(text: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether `text` is an absolute URL of one of `schemes`."""
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and port_is_right and " " not in text


def is_loopback_url(text: str) -> bool:
    """Tell whether a URL stays on this machine, so that it can hold no key worth hiding."""
    host = urlsplit(text).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_port(text: str, *, least: int) -> bool:
    return (
        text.isascii()
        and text.isdigit()
        and len(text) <= len(str(MAX_PORT))
        and least <= int(text) <= MAX_PORT
    )


def _is_multiaddr(parts: list[str], *, least_port: int) -> bool:
    if len(parts) != _MULTIADDR_PARTS or parts[0] or parts[3] != "tcp":
        return False
    if not _is_port(parts[4], least=least_port):
        return False
    if parts[1] in ("dns", "dns4", "dns6"):
        return _HOST_NAME.fullmatch(parts[2]) is not None
    try:
        return parts[1] == f"ip{ip_address(parts[2]).version}"
    except ValueError:
        return False


__all__ = ["CAIP2", "is_listen_multiaddr", "is_loopback_url", "is_peer_multiaddr", "is_rpc_url", "parse_bind"]
