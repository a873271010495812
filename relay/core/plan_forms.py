"""The forms of a plan's texts and the bounds of its numbers (SPEC 5.5, plans SPEC 1)."""

from __future__ import annotations

from relay.core.expressions import MAX_EXPRESSION_BYTES
from relay.core.plan import DAY_S
from relay.core.plan_tables import Form

NAME = Form("a name of lower-case letters, digits and hyphens", r"[a-z][a-z0-9-]*", 48)
VARIABLE = Form("a name of lower-case letters, digits and underscores", r"[a-z][a-z0-9_]*", 48)
WORD = Form("a text without spaces", r"\S+", 256)
LINE = Form("a text", r".*\S.*", 1_024)
CHAIN = Form("a CAIP-2 chain", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", 41)
PLAN = Form("a plan as CAIP-2:gateway", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}:[-_.a-zA-Z0-9]+", 256)
FIELD = Form("a field's name", r"[A-Za-z_][A-Za-z0-9_]*", 64)
CALL = Form("a call or an event", r".*\S.*", 8_192)
UNIT = Form("a unit", r".*", 32)
GROUP = Form("a name without slash", r"[^/]+", 64)
VALUE = Form("a field's value", r".+", 256)
CONDITION = Form("an expression", r".*\S.*", MAX_EXPRESSION_BYTES)
_STEP = r"(?:[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\])"
PATH = Form('a path like "reserves[2].balance"', rf"{_STEP}(?:\.?{_STEP})*", 256)
SLOT = Form("a storage slot of 32 bytes as 0x and 64 hex digits", r"0x[0-9a-fA-F]{64}", 66)
REPORTER = Form("a key as ed25519: and 64 hex digits in lower case", r"ed25519:[0-9a-f]{64}", 72)
YEAR_S = 366 * DAY_S
UINT64_MAX = (1 << 64) - 1
UINT256_MAX = (1 << 256) - 1
INT256_MIN = -(1 << 255)
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
MAX_PRICE = 10**18
MAX_WINDOW_S = 90 * DAY_S
MAX_WINDOW_BLOCKS = 100_000
MAX_RECORDS = 1_000


def lowered(value: str) -> str:
    """Give hex in lower case, any other text as it is."""
    return value.lower() if value[:2] in ("0x", "0X") else value


__all__ = [
    "CALL",
    "CHAIN",
    "CONDITION",
    "FIELD",
    "GROUP",
    "INT64_MAX",
    "INT64_MIN",
    "INT256_MIN",
    "LINE",
    "MAX_PRICE",
    "MAX_RECORDS",
    "MAX_WINDOW_BLOCKS",
    "MAX_WINDOW_S",
    "NAME",
    "PATH",
    "PLAN",
    "REPORTER",
    "SLOT",
    "UINT64_MAX",
    "UINT256_MAX",
    "UNIT",
    "VALUE",
    "VARIABLE",
    "WORD",
    "YEAR_S",
    "lowered",
]
