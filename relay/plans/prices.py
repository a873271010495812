"""What a back-test says of a plan's price, read from its result file (plans SPEC 4). Bytes in, value out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from relay.core.errors import ConfigError
from relay.core.plan import Plan

__all__ = ["Price", "read_price"]

SCHEMA = "tocsin/plan-backtest/1"
_MOST = 10**15
"""No hours, triggers or seconds of a back-test come near."""


@dataclass(frozen=True, slots=True)
class Price:
    """Hours a year that people would be frozen out for nothing, with 95 % bounds, and how late it was.

    `rate` counts false triggers per 1,000 quiet hours; `rate_at_most` and `frozen_at_most` are the one-sided
    bounds, told where none was seen. `delay_s` is None where the data hold no incident, or (`is_missed`) one
    that the plan does not detect. Of the metrics in `unmeasured` the data told nothing.
    """

    quiet_hours: float
    triggers: int
    rate: float
    rate_low: float
    rate_high: float
    rate_at_most: float
    frozen_hours: float
    frozen_low: float
    frozen_high: float
    frozen_at_most: float
    delay_s: int | None = None
    out_share: float | None = None
    is_missed: bool = False
    unmeasured: tuple[str, ...] = ()


def read_price(content: bytes, plan: Plan, where: str) -> Price:
    """Read what `tocsin plan backtest --json` gave.

    Raises:
        ConfigError: another document, another plan's result, or one over data without quiet time.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, "expected JSON, got another text") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ConfigError(
            where, f"expected the schema {SCHEMA}", remedy="tocsin plan backtest PLAN --data FILE --json"
        )
    of = document.get("plan")
    if not isinstance(of, dict) or of.get("hash") != plan.hash.hex():
        problem = f"expected a result of {plan.hash.hex()}, got one of another plan or version"
        raise ConfigError(where, problem, remedy="back-test this version")
    try:
        return _price(document)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"expected quiet time and figures of the whole plan, got a document without ({error})"
        raise ConfigError(
            where, problem, remedy="back-test it anew, with data before the incident"
        ) from error


def _price(document: Mapping[str, object]) -> Price:
    whole, data = _table(document["all"]), _table(document["data"])
    rate, frozen = _table(whole["per_1000_quiet_hours"]), _table(whole["frozen_hours_a_year"])
    detection = {} if whole["detection"] is None else _table(whole["detection"])
    delay, share = detection.get("delay_s"), detection.get("value_out_share")
    return Price(
        quiet_hours=_number(data["quiet_hours"]),
        triggers=int(_number(whole["quiet_triggers"])),
        rate=_number(rate["counted"]),
        rate_low=_number(rate["low"]),
        rate_high=_number(rate["high"]),
        rate_at_most=_number(rate["at_most"]),
        frozen_hours=_number(frozen["expected"]),
        frozen_low=_number(frozen["low"]),
        frozen_high=_number(frozen["high"]),
        frozen_at_most=_number(frozen["at_most"]),
        delay_s=None if delay is None else int(_number(delay)),
        out_share=None if share is None else _number(share),
        is_missed=whole["detection"] is None and data["attack"] is not None,
        unmeasured=_names(data["missing"]),
    )


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"no table: {value!r}")
    return {str(key): inner for key, inner in value.items()}


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"no names: {value!r}"[:80])
    return tuple(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    # JSON as Python reads it also has NaN and infinity, and integers beyond every float.
    if not 0 <= value <= _MOST:
        raise ValueError(f"no figure: {value!r}"[:80])
    return float(value)
