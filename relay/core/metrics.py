"""From events to the numbers that rules see (SPEC 5.2): exact integers, scaled once at the end by floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.core.observations import EventRow
from relay.core.plan import EventMetric, Reduce, Weight, text_of_field

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
MAX_GROUPS = 4_096
"""Groups that a sum since `since` keeps; a chain that makes more faults the metric."""
MAX_ENTRIES = 64
"""Entries of a map that rules see and attestations carry."""
MAX_ENTRY_BYTES = 128
Group = tuple[str, ...]


class Fault(StrEnum):
    """Facts that leave a metric without a usable value."""

    OVERFLOW = "overflow"
    GROUPS = "too many groups"
    FIELD = "field is no integer"
    CALL = "call failed"


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric at one block.

    With a fault the value is None, or saturated when that is `overflow`; rules do not see it.
    """

    value: int | Mapping[str, int] | None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """What one event adds: None for an amount that is no integer."""

    group: Group
    amount: int | None


def items_of(metric: EventMetric, rows: Iterable[EventRow]) -> list[Item]:
    """Give what the metric counts of a block's events."""
    return [item for row in rows if (item := _item(metric, row)) is not None]


def _item(metric: EventMetric, row: EventRow) -> Item | None:
    fields = row.fields
    if any(text_of_field(fields[name]) != text for name, text in metric.where.items()):
        return None
    group = tuple(text_of_field(fields[name]) for name in metric.by)
    if metric.keys and group[0] not in metric.keys:
        return None
    if metric.value is None:
        return Item(group, 1)
    amount = fields[metric.value]
    return Item(group, amount if isinstance(amount, int) and not isinstance(amount, bool) else None)


def reading_of(metric: EventMetric, groups: Mapping[Group, tuple[int, int]]) -> Reading:
    """Make the reading from (total, events) by group."""
    kept = {group: total for group, (total, events) in groups.items() if events >= metric.at_least}
    if not metric.by:
        return saturated(scaled(kept.get((), 0), metric.weight))
    match metric.reduce:
        case Reduce.MAX:
            return saturated(max((scaled(total, _weight(metric, g)) for g, total in kept.items()), default=0))
        case Reduce.SUM:
            return saturated(_exact_sum((total, _weight(metric, g)) for g, total in kept.items()))
        case None:
            return _map_reading(metric, kept)


def _weight(metric: EventMetric, group: Group) -> Weight:
    return metric.keys[group[0]].weight if metric.keys else metric.weight


def scaled(total: int, weight: Weight) -> int:
    return total * weight.price // _power_of_ten(weight.scale)


def _power_of_ten(scale: int) -> int:
    power: int = 10**scale
    return power


def _exact_sum(parts: Iterable[tuple[int, Weight]]) -> int:
    """Add amounts of different scales with one floor at the end."""
    listed = list(parts)
    finest = max((weight.scale for _, weight in listed), default=0)
    exact = sum(total * weight.price * _power_of_ten(finest - weight.scale) for total, weight in listed)
    return exact // _power_of_ten(finest)


def saturated(value: int) -> Reading:
    bounded = min(max(value, INT64_MIN), INT64_MAX)
    return Reading(bounded, None if bounded == value else Fault.OVERFLOW)


def _map_reading(metric: EventMetric, kept: Mapping[Group, int]) -> Reading:
    named = {key.name: 0 for key in metric.keys.values()} if len(metric.by) == 1 else {}
    fault: Fault | None = None
    for group, total in kept.items():
        name = _group_name(metric, group)
        if name is None:
            return Reading(None, Fault.GROUPS)
        entry = saturated(scaled(total, _weight(metric, group)))
        assert isinstance(entry.value, int)
        named[name], fault = entry.value, fault or entry.fault
    if len(named) > MAX_ENTRIES:
        return Reading(None, Fault.GROUPS)
    return Reading({name: named[name] for name in sorted(named)}, fault)


def _group_name(metric: EventMetric, group: Group) -> str | None:
    """Give the name that rules see, or None for a text that would not fit or not be told apart."""
    first = metric.keys[group[0]].name if metric.keys else group[0]
    parts = (first, *group[1:])
    if len(parts) > 1 and any("/" in part for part in parts):
        return None
    name = "/".join(parts)
    return name if len(name.encode(errors="surrogatepass")) <= MAX_ENTRY_BYTES else None


__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "MAX_ENTRIES",
    "MAX_ENTRY_BYTES",
    "MAX_GROUPS",
    "Fault",
    "Group",
    "Item",
    "Reading",
    "items_of",
    "reading_of",
    "saturated",
    "scaled",
]
