"""Every reading straight from its definition (SPEC 5.2, plans SPEC 1.2), over the whole list of blocks.

Slow and plain on purpose: nothing is kept from one question to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from proofs.hashes import keccak256
from relay.core.events import BlockObserved
from relay.core.metrics import INT64_MAX, INT64_MIN, Fault, Reading
from relay.core.observations import EventRow, GatewayEventKind
from relay.core.plan import EventMetric, MatchMetric, Measure, PlanMetric, Reduce, StateMetric, Take, Weight
from relay.core.types import BlockRef, Gateway

Blocks = Sequence[BlockObserved]
Group = tuple[str, ...]
FAILED = Reading(None, Fault.CALL)


def block_of(observed: BlockObserved) -> BlockRef:
    return observed.reads.header.block


def until(blocks: Blocks, at: BlockRef, since: int) -> list[BlockObserved]:
    """The blocks that count, up to the one that is read."""
    return [each for each in blocks if since <= block_of(each).number <= at.number]


def bounded(value: int) -> Reading:
    if value > INT64_MAX:
        return Reading(INT64_MAX, Fault.OVERFLOW)
    return Reading(INT64_MIN, Fault.OVERFLOW) if value < INT64_MIN else Reading(value)


def floor(value: int | Fraction, weight: Weight) -> int:
    return (value * weight.price / Fraction(10**weight.scale)).__floor__()


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- events


def in_window(metric: EventMetric, block: BlockRef, at: BlockRef) -> bool:
    if metric.window is None:
        return True
    if metric.window.seconds is not None:
        return block.timestamp > at.timestamp - metric.window.seconds
    return block.number > at.number - (metric.window.blocks or 0)


def of_events(
    metric: EventMetric, queries: Sequence[int], blocks: Blocks, at: BlockRef, since: int
) -> Reading:
    """An event metric; `queries` are the indices of its sources."""
    groups = grouped(
        metric, queries, [each for each in until(blocks, at, since) if in_window(metric, block_of(each), at)]
    )
    totals = {group: total(metric, rows) for group, rows in groups.items() if len(rows) >= metric.at_least}
    weights = {group: metric.keys[group[0]].weight if metric.keys else metric.weight for group in totals}
    if not metric.by:
        return bounded(floor(totals.get((), 0), metric.weight))
    if metric.reduce is Reduce.MAX:
        return bounded(max((floor(totals[group], weights[group]) for group in totals), default=0))
    if metric.reduce is Reduce.SUM:
        parts = (Fraction(totals[g] * weights[g].price, 10 ** weights[g].scale) for g in totals)
        return bounded(sum(parts, Fraction(0)).__floor__())
    return named(metric, {group: bounded(floor(totals[group], weights[group])) for group in totals})


def grouped(
    metric: EventMetric, queries: Sequence[int], blocks: Blocks
) -> dict[Group, list[tuple[EventRow, bool]]]:
    """The events that count, by group, each with whether it is taken away."""
    groups: dict[Group, list[tuple[EventRow, bool]]] = {}
    for each in blocks:
        own = [(row, False) for row in each.reads.rows if row.query == queries[0]]
        if metric.minus:
            own += [(row, True) for row in each.reads.rows if row.query == queries[1]]
        for row, is_taken in own:
            group = tuple(text(row.fields[name]) for name in metric.by)
            wanted = all(text(row.fields[name]) == value for name, value in metric.where.items())
            if wanted and (not metric.keys or group[0] in metric.keys):
                groups.setdefault(group, []).append((row, is_taken))
    return groups


def named(metric: EventMetric, groups: dict[Group, Reading]) -> Reading:
    """The map that rules see."""
    found = {key.name: bounded(0) for key in metric.keys.values()} if len(metric.by) == 1 else {}
    for group, reading in groups.items():
        first = metric.keys[group[0]].name if metric.keys else group[0]
        found["/".join((first, *group[1:]))] = reading
    fault = Fault.OVERFLOW if any(each.fault for each in found.values()) else None
    return Reading({name: each.value for name, each in found.items()}, fault)  # type: ignore[misc]


def total(metric: EventMetric, rows: Sequence[tuple[EventRow, bool]]) -> int:
    """What the events of one group come to, before it is weighed."""
    if metric.measure is Measure.DISTINCT:
        return len({text(row.fields[metric.value or ""]) for row, _ in rows})
    if metric.measure is Measure.MAX:
        return max(size(metric, row) for row, _ in rows)
    value, taken = metric.value, metric.minus.value if metric.minus else None
    amounts = [-integer(row, taken) if is_taken else integer(row, value) for row, is_taken in rows]
    return sum(amounts)


def integer(row: EventRow, name: str | None) -> int:
    value = 1 if name is None else row.fields[name]
    assert isinstance(value, int)
    return value


def size(metric: EventMetric, row: EventRow) -> int:
    amount = integer(row, metric.value)
    if metric.per is None:
        return amount
    per = integer(row, metric.per)
    return 10**400 if per == 0 else (Fraction(amount * 10**metric.ratio_scale, per)).__floor__()


# --- events without a partner


def unmatched(metric: MatchMetric, found: Sequence[EventRow], against: Sequence[EventRow]) -> Reading:
    """`found` and `against` as they are seen, each in the order of its chain: every partner is used once."""

    def key(row: EventRow, fields: tuple[str, ...]) -> Group:
        return tuple(text(row.fields[name]) for name in fields)

    def meant(rows: Sequence[EventRow], where: Mapping[str, str]) -> list[EventRow]:
        return [row for row in rows if all(text(row.fields[name]) == value for name, value in where.items())]

    found, against = meant(found, metric.found.where), meant(against, metric.against.where)
    partners = [key(row, metric.against.key) for row in against]
    left: list[EventRow] = []
    for row in found:
        if key(row, metric.found.key) in partners:
            partners.remove(key(row, metric.found.key))
        else:
            left.append(row)
    return bounded(floor(sum(integer(row, metric.value) for row in left), metric.weight))


def rows_of(blocks: Blocks, query: int, at: BlockRef, since: int) -> list[EventRow]:
    return [row for each in until(blocks, at, since) for row in each.reads.rows if row.query == query]


# --- state


def of_state(
    metric: StateMetric, queries: Sequence[int], blocks: Blocks, at: BlockRef, since: int
) -> Reading:
    """A state metric; `queries` are the indices of its price or number, and of an oracle's time."""
    own = until(blocks, at, since)
    numbers = [answer(each, queries[0]) for each in own]
    if metric.equals is not None:
        numbers = [None if number is None else int(number == metric.equals) for number in numbers]
    if not own:
        return FAILED
    reading = over(metric, [block_of(each) for each in own], numbers)
    if not metric.is_map:
        return reading
    set_at = answer(own[-1], queries[1])
    if reading.value is None or set_at is None:
        return Reading(None, reading.fault or Fault.CALL)
    age = bounded(at.timestamp - set_at)
    return Reading({"age_s": age.value, "price": reading.value}, reading.fault or age.fault)  # type: ignore[dict-item]


def answer(observed: BlockObserved, query: int) -> int | None:
    return next((call.value for call in observed.reads.calls if call.query == query), None)


def over(metric: StateMetric, blocks: list[BlockRef], numbers: list[int | None]) -> Reading:
    weight = Weight() if metric.equals is not None else metric.weight
    if metric.over is None:
        return FAILED if numbers[-1] is None else bounded(floor(numbers[-1], weight))
    window, newest = metric.over.window, blocks[-1]
    mark: Callable[[BlockRef], int]
    if window.seconds is not None:
        mark, begin = (lambda block: block.timestamp), newest.timestamp - window.seconds
    else:
        mark, begin = (lambda block: block.number), newest.number - (window.blocks or 0)
    before = [index for index, block in enumerate(blocks) if mark(block) <= begin]
    first = before[-1] if before else 0
    stood, times = numbers[first:], [block.timestamp for block in blocks[first:]]
    if any(number is None for number in stood):
        return FAILED
    known = [number for number in stood if number is not None]
    if before and window.seconds is not None:
        times[0] = begin
    return taken(metric.over.take, known, times, weight)


def taken(take: Take, numbers: list[int], times: list[int], weight: Weight) -> Reading:
    """`numbers` stand from their time up to the next one; the last one's time is that of the read block."""
    match take:
        case Take.FIRST:
            return bounded(floor(numbers[0], weight))
        case Take.MIN:
            return bounded(floor(min(numbers), weight))
        case Take.MAX:
            return bounded(floor(max(numbers), weight))
        case Take.MEAN:
            lasted = times[-1] - times[0]
            area = sum(n * (end - start) for n, start, end in zip(numbers, times, times[1:], strict=False))
            return bounded(floor(Fraction(area, lasted) if lasted else numbers[-1], weight))
        case Take.VARIANCE:
            changes = [(x, y) for y, x in pairwise(numbers) if x != y]
            if any(y <= 0 for _, y in changes):
                return Reading(None, Fault.BASE)
            return bounded(sum(Fraction((x - y) * 10_000, y).__floor__() ** 2 for x, y in changes))


# --- another plan's acts


def of_acts(metric: PlanMetric, gateway: Gateway, blocks: Blocks, at: BlockRef, since: int) -> Reading:
    standing: set[bytes] = set()
    for each in until(blocks, at, since):
        for event in each.reads.gateway_events:
            names = {bytes(keccak256(name.encode())) for name in metric.acts}
            if event.gateway == gateway and (not names or event.act_id in names):
                if event.kind is GatewayEventKind.STARTED:
                    standing.add(event.act_id)
                elif event.kind is GatewayEventKind.ENDED:
                    standing.discard(event.act_id)
    return Reading(len(standing))
