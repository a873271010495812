"""From events to the numbers that rules see (SPEC 5.2): exact integers, scaled once at the end by floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proofs.hashes import sha256
from relay.core.observations import EventRow, Field
from relay.core.plan import MAX_SCALE, EventMetric, Measure, Reduce, Weight, text_of_field

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
MAX_GROUPS = 4_096
"""Groups that a sum since `since` keeps; a chain that makes more faults the metric."""
MAX_SET = 65_536
"""Texts that a metric of different texts, or of events without a partner, keeps apart; more fault it."""
MAX_PLAIN_TEXT = 64
"""Characters of a text that are kept as they are; of a longer one its hash tells it apart."""
INFINITE = 1 << 1_024
"""A ratio to nothing: saturated whatever its scale."""
MAX_ENTRIES = 64
"""Entries of a map that rules see and attestations carry."""
MAX_ENTRY_BYTES = 128
_POWERS: Final[tuple[int, ...]] = tuple([10**scale for scale in range(MAX_SCALE + 1)])
Group = tuple[str, ...]
Mark = str | bytes
"""What tells a text from others: itself, or its SHA-256 where it is long."""


class Fault(StrEnum):
    """Facts that leave a metric without a usable value."""

    OVERFLOW = "overflow"
    GROUPS = "too many groups"
    FIELD = "field is no integer"
    CALL = "call failed"
    BASE = "change of what is not above zero"


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric at one block.

    With a fault the value is None, or saturated when that is `overflow`; rules do not see it.
    """

    value: int | Mapping[str, int] | None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """What one event adds: None for an amount that is no integer. `mark` is of different texts alone."""

    group: Group
    amount: int | None
    mark: Mark = ""


def items_of(metric: EventMetric, rows: Iterable[EventRow], taken: Iterable[EventRow] = ()) -> list[Item]:
    """Give what the metric counts of a block's events, and of those of `minus`, which take away."""
    items = [_item(metric, group, row) for row in rows if (group := _group(metric, row)) is not None]
    for row in taken:
        group = _group(metric, row)
        if group is not None:
            items.append(_taken_item(metric, group, row))
    return items


def is_meant(where: Mapping[str, str], row: EventRow) -> bool:
    """Tell whether an event's fields have the texts that `where` demands."""
    fields = row.fields
    for name, text in where.items():  # noqa: SIM110 - a generator costs more, at every event
        if text_of_field(fields[name]) != text:
            return False
    return True


def _group(metric: EventMetric, row: EventRow) -> Group | None:
    if metric.where and not is_meant(metric.where, row):
        return None
    if not metric.by:
        return ()
    group = tuple([text_of_field(row.fields[name]) for name in metric.by])
    return None if metric.keys and group[0] not in metric.keys else group


def _item(metric: EventMetric, group: Group, row: EventRow) -> Item:
    if metric.value is None:
        return Item(group, 1)
    value = row.fields[metric.value]
    if metric.measure is Measure.DISTINCT:
        return Item(group, 1, mark_of(value))
    amount = integer_of(value)
    if metric.per is None or amount is None:
        return Item(group, amount)
    per = integer_of(row.fields[metric.per])
    return Item(group, None if per is None else _ratio(amount, per, metric.ratio_scale))


def _taken_item(metric: EventMetric, group: Group, row: EventRow) -> Item:
    minus = metric.minus
    assert minus is not None
    if minus.value is None:
        return Item(group, -1)
    amount = integer_of(row.fields[minus.value])
    return Item(group, None if amount is None else -amount)


def _ratio(amount: int, per: int, scale: int) -> int:
    return amount * _POWERS[scale] // per if per else INFINITE


def integer_of(value: Field) -> int | None:
    """Give a field's integer, or None where it is of another type."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mark_of(value: Field) -> Mark:
    """Give what tells the text of a field from others, in bounded space."""
    text = text_of_field(value)
    return text if len(text) <= MAX_PLAIN_TEXT else bytes(sha256(text.encode(errors="surrogatepass")))


def reading_of(metric: EventMetric, groups: Mapping[Group, tuple[int, int]]) -> Reading:
    """Make the reading from (total, events) by group; events that take away count among a group's too."""
    at_least = metric.at_least
    if not metric.by:
        total, events = groups.get((), (0, 0))
        return saturated(scaled(total if events >= at_least else 0, metric.weight))
    kept = {group: total for group, (total, events) in groups.items() if events >= at_least}
    match metric.reduce:
        case Reduce.MAX:
            return saturated(max((scaled(total, _weight(metric, g)) for g, total in kept.items()), default=0))
        case Reduce.SUM:
            return saturated(_exact_sum((total, _weight(metric, g)) for g, total in kept.items()))
        case None:
            return _map_reading(metric, kept)


def _weight(metric: EventMetric, group: Group) -> Weight:
    return metric.keys[group[0]].weight if metric.keys else metric.weight


def scaled(total: int, weight: Weight, parts: int = 1) -> int:
    """Weigh a total, or its mean over `parts`: ⌊total · price / (10^scale · parts)⌋."""
    return total * weight.price // (_POWERS[weight.scale] * parts)


def _exact_sum(parts: Iterable[tuple[int, Weight]]) -> int:
    """Add amounts of different scales with one floor at the end."""
    listed = list(parts)
    finest = max((weight.scale for _, weight in listed), default=0)
    exact = sum(total * weight.price * _POWERS[finest - weight.scale] for total, weight in listed)
    return exact // _POWERS[finest]


def saturated(value: int) -> Reading:
    """Give the reading of an integer: within 64 bits, with a fault where that changed it."""
    if INT64_MIN <= value <= INT64_MAX:
        return Reading(value)
    return Reading(_bounded(value), Fault.OVERFLOW)


def _bounded(value: int) -> int:
    return min(max(value, INT64_MIN), INT64_MAX)


def _map_reading(metric: EventMetric, kept: Mapping[Group, int]) -> Reading:
    named = {key.name: 0 for key in metric.keys.values()} if len(metric.by) == 1 else {}
    is_named = bool(named)
    fault: Fault | None = None
    for group, total in kept.items():
        name = metric.keys[group[0]].name if is_named else _group_name(metric, group)
        if name is None:
            return Reading(None, Fault.GROUPS)
        exact = scaled(total, _weight(metric, group))
        named[name] = bounded = _bounded(exact)
        if bounded != exact:
            fault = Fault.OVERFLOW
    if len(named) > MAX_ENTRIES:
        return Reading(None, Fault.GROUPS)
    return Reading({name: named[name] for name in sorted(named)}, fault)


def _group_name(metric: EventMetric, group: Group) -> str | None:
    """Give the name that rules see, or None for a text that would not fit or not be told apart."""
    first = metric.keys[group[0]].name if metric.keys else group[0]
    name = first
    if len(group) > 1:
        if any("/" in part for part in (first, *group[1:])):
            return None
        name = "/".join((first, *group[1:]))
    # A character has at most four bytes.
    is_short = len(name) * 4 <= MAX_ENTRY_BYTES
    return name if is_short or len(name.encode(errors="surrogatepass")) <= MAX_ENTRY_BYTES else None


__all__ = [
    "INFINITE",
    "INT64_MAX",
    "INT64_MIN",
    "MAX_ENTRIES",
    "MAX_ENTRY_BYTES",
    "MAX_GROUPS",
    "MAX_SET",
    "Fault",
    "Group",
    "Item",
    "Mark",
    "Reading",
    "integer_of",
    "is_meant",
    "items_of",
    "mark_of",
    "reading_of",
    "saturated",
    "scaled",
]
