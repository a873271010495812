"""A trace as it was logged, read back: what an attestation says that its author saw (SPEC 3)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from proofs.canonical import Value
from proofs.decision import parse_block
from proofs.fields import FieldError, Fields, fields_of
from relay.core.evaluate import MetricValue
from relay.core.metrics import INT64_MAX, INT64_MIN, MAX_ENTRIES
from relay.core.plan import ORACLE_FIELDS, EventMetric, Metric, StateMetric
from relay.core.types import BlockRef, Caip2

__all__ = ["TRACE_KEYS", "LoggedTrace", "TraceError", "problem_of", "read_trace"]

TRACE_KEYS = ("agreement", "faulted", "pins", "result", "rule", "values")
MAX_CHAINS = 16
MAX_METRICS = 64


class TraceError(ValueError):
    """A trace has not the form of one: names the field, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class LoggedTrace:
    """The parts of a trace; `result` is a bool, `"fault"`, or None where its author could not tell."""

    rule: str
    result: Value
    agreement: Mapping[str, Value]
    faulted: tuple[str, ...]
    pins: Mapping[Caip2, BlockRef]
    values: Mapping[str, MetricValue]

    def is_blind(self, rule: str) -> bool:
        """Tell whether it is that of a member that could not evaluate `rule` at this block at all."""
        return self.result is None and not self.values and not self.faulted and self.rule in ("", rule)


def read_trace(trace: Mapping[str, Value]) -> LoggedTrace:
    """Read a trace; its form only.

    Raises:
        TraceError: a field is missing, unknown, or of another type.
    """
    try:
        return _read(fields_of(trace, "trace", TRACE_KEYS))
    except FieldError as error:
        raise TraceError(error.message) from error


def problem_of(metric: Metric, value: MetricValue) -> str | None:
    """Say why a plan's metric never has such a value; None where it may have.

    An oracle's map and one by `keys` alone have all entries that are named, and no others; of keys and other
    fields, groups of these keys.
    """
    if isinstance(value, Mapping) != metric.is_map:
        kind = "map" if metric.is_map else "integer"
        return f"expected {metric.name} to be a {kind}, got another kind"
    if not isinstance(value, Mapping):
        return None
    odd = sorted(_odd_entries(metric, value.keys()))
    return f"expected in {metric.name} the entries that its plan names, not so: {odd[0]!r}" if odd else None


def _odd_entries(metric: Metric, entries: Set[str]) -> Set[str]:
    """Give what is there and should not be, or is not there and should be."""
    if isinstance(metric, StateMetric):
        return entries ^ set(ORACLE_FIELDS)
    if not isinstance(metric, EventMetric) or not metric.keys:
        return set()
    named = {key.name for key in metric.keys.values()}
    if len(metric.by) == 1:
        return entries ^ named
    return {entry for entry in entries if entry.partition("/")[0] not in named}


def _read(fields: Fields) -> LoggedTrace:
    result = fields.raw("result")
    if result is not None and result != "fault" and not isinstance(result, bool):
        raise TraceError(f"expected a result of true, false, fault or none, got {result!r}")
    pins = fields.mapping("pins", max_items=MAX_CHAINS)
    values = fields.mapping("values", max_items=MAX_METRICS)
    return LoggedTrace(
        rule=_text(fields.raw("rule"), "rule"),
        result=result,
        agreement=_agreement(fields.mapping("agreement", max_items=MAX_CHAINS)),
        faulted=_texts(fields.raw("faulted")),
        pins={Caip2(name): parse_block(pin, f"pins.{name}") for name, pin in pins.items()},
        values={name: _value(value, f"values.{name}") for name, value in values.items()},
    )


def _text(value: Value, where: str) -> str:
    if not isinstance(value, str):
        raise TraceError(f"expected a text in {where}, got {type(value).__name__}")
    return value


def _texts(value: Value) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_METRICS:
        raise TraceError(f"expected at most {MAX_METRICS} names in faulted, got another value")
    return tuple(_text(each, "faulted") for each in value)


def _agreement(value: Mapping[str, Value]) -> Mapping[str, Value]:
    """Hold that each is [agreeing, asked]: a member that says it read something says of how many it did."""
    for chain, each in value.items():
        where = f"agreement.{chain}"
        counts = each if isinstance(each, (list, tuple)) else ()
        numbers = [_integer(count, where) for count in counts]
        if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
            raise TraceError(f"expected [agreeing, asked], at least one and no more than asked, in {where}")
    return value


def _value(value: Value, where: str) -> MetricValue:
    if isinstance(value, Mapping):
        if len(value) > MAX_ENTRIES:
            raise TraceError(f"expected at most {MAX_ENTRIES} entries in {where}, got {len(value)}")
        return {name: _integer(entry, where) for name, entry in value.items()}
    return _integer(value, where)


def _integer(value: Value, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TraceError(f"expected an integer in {where}, got {type(value).__name__}")
    if not INT64_MIN <= value <= INT64_MAX:
        raise TraceError(f"expected a signed 64-bit integer in {where}, got {value}")
    return value
