"""Numbers and bytes in lines of text, each in exactly one spelling (C2SP)."""

import base64
import binascii
import re

__all__ = ["base64_text", "decimal", "from_base64"]

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def base64_text(data: bytes) -> str:
    """Give standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes | None:
    """Read standard base64, or give `None` if `text` is not what `base64_text` would write."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Python lets the unused bits of the last character pass.
    return data if base64_text(data) == text else None


def decimal(text: str) -> int | None:
    """Read an unsigned decimal below 2^63 without leading zeros, or give `None`."""
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number < 1 << 63 else None
