"""The tables of a plan's metrics, one reader for each kind (SPEC 5.2, plans SPEC 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from relay.core import plan as limits
from relay.core import plan_forms as forms
from relay.core.expressions import RESERVED
from relay.core.observations import ReadKind, StateRead
from relay.core.plan import (
    ChainMetric,
    Clock,
    EventMetric,
    Key,
    MatchMetric,
    MatchSide,
    Measure,
    Metric,
    Minus,
    OnFault,
    Over,
    PlanChain,
    PlanMetric,
    Reduce,
    StateMetric,
    Take,
    Watched,
    Weight,
    Window,
)
from relay.core.plan_tables import Table
from relay.core.types import Caip2

_PLAIN = Weight()


@dataclass(frozen=True, slots=True)
class Chains:
    """What a metric's table is held against: the plan's clock and chains."""

    clock: Clock
    chains: Mapping[str, PlanChain]


def read_metric(chains: Chains, name: str, table: Table) -> Metric:
    """Read `[metrics.NAME]`."""
    if not forms.VARIABLE.matches(name) or name in RESERVED:
        table.note_itself(f"expected {forms.VARIABLE.name}, no word of CEL")
    read = table.choice("read", tuple(_READERS))
    if not table.is_sound("read"):
        # Which other keys the table must have is not known.
        table.mute()
    return _READERS[read](chains, name, table)


def chain_of(table: Table, chains: Mapping[str, PlanChain], key: str = "chain") -> Caip2:
    """Read the name of a chain of the plan."""
    chain = table.text(key, forms.CHAIN)
    if chain not in chains and table.is_sound(key) and not table.source.is_noted(("chains",)):
        table.note(key, f"expected a chain of the plan ({', '.join(chains) or 'none'}), got {chain}")
    return Caip2(chain)


def _on_fault(table: Table) -> OnFault:
    return OnFault(table.choice("on_fault", tuple(OnFault), default=OnFault.FALSE))


def _unit(table: Table, default: str = "") -> str:
    return table.text("unit", forms.UNIT, default=default)


# ---- what contracts say


def _read_event(measure: Measure, chains: Chains, name: str, table: Table) -> EventMetric:
    is_weighted = measure in (Measure.SUM, Measure.MAX)
    weight = _weight(table) if is_weighted else Weight()
    per, ratio_scale = _ratio(table) if measure is Measure.MAX else (None, 0)
    metric = EventMetric(
        name=name,
        chain=chain_of(table, chains.chains),
        address=table.text("from", forms.WORD),
        event=table.text("event", forms.CALL),
        value=None if measure is Measure.COUNT else table.text("value", forms.FIELD),
        weight=weight,
        measure=measure,
        per=per,
        ratio_scale=ratio_scale,
        minus=_minus(measure, table) if measure in (Measure.SUM, Measure.COUNT) else None,
        by=table.texts("by", forms.FIELD, limits.MAX_BY),
        keys=_keys(table, weight, is_weighted=is_weighted),
        where=_where(table),
        window=_window(table),
        at_least=_at_least(table) if measure in (Measure.SUM, Measure.COUNT) else 1,
        reduce=_reduce(measure, table),
        on_fault=_on_fault(table),
        unit=_unit(table),
    )
    _check_groups(metric, table)
    return metric


def _check_groups(metric: EventMetric, table: Table) -> None:
    is_grouped = metric.keys or metric.reduce or metric.at_least > 1
    if is_grouped and not metric.by and table.is_sound("by"):
        table.note("by", "expected fields to group by, beside `keys`, `reduce` or `at_least`, got none")
    weights = [metric.weight, *(key.weight for key in metric.keys.values())]
    if metric.per is not None and any(weight != _PLAIN for weight in weights):
        table.note(
            "per",
            "expected no `scale` or `price` beside it, got one",
            remedy="a ratio has no unit: `ratio_scale` says how finely it is told",
        )


def _ratio(table: Table) -> tuple[str | None, int]:
    per = table.optional_text("per", forms.FIELD)
    ratio_scale = table.integer("ratio_scale", 0, limits.MAX_SCALE, default=0)
    if per is None and ratio_scale:
        table.note("ratio_scale", f"expected it beside `per`, got {ratio_scale} alone")
    return per, ratio_scale


def _minus(measure: Measure, table: Table) -> Minus | None:
    inner = table.optional_table("minus")
    if inner is None:
        return None
    minus = Minus(
        event=inner.text("event", forms.CALL),
        value=inner.text("value", forms.FIELD) if measure is Measure.SUM else None,
    )
    inner.done()
    return minus


def _at_least(table: Table) -> int:
    return table.integer("at_least", 1, 1_000_000, default=1)


def _reduce(measure: Measure, table: Table) -> Reduce | None:
    if measure is Measure.DISTINCT:
        return None
    if not table.has("reduce"):
        table.absent("reduce")
        return None
    choices = (Reduce.MAX,) if measure is Measure.MAX else tuple(Reduce)
    return Reduce(table.choice("reduce", choices))


def _weight(table: Table, default: Weight = _PLAIN) -> Weight:
    return Weight(
        scale=table.integer("scale", 0, limits.MAX_SCALE, default=default.scale),
        price=table.integer("price", 1, forms.MAX_PRICE, default=default.price),
    )


def _keys(table: Table, default: Weight, *, is_weighted: bool) -> dict[str, Key]:
    def read(_value: str, inner: Table) -> Key:
        return Key(inner.text("name", forms.GROUP), _weight(inner, default) if is_weighted else Weight())

    keys = table.tables("keys", limits.MAX_KEYS, read)
    if len({key.name for key in keys.values()}) != len(keys) and table.is_sound("keys"):
        table.note("keys", "expected a name of its own for each, got one twice")
    for value in keys:
        if value != forms.lowered(value):
            table.note("keys", f"expected hex in lower case, got {value}")
    return keys


def _where(table: Table) -> dict[str, str]:
    inner = table.table("where")
    found = {name: inner.written(name, forms.VALUE) for name in inner.names}
    for name, value in found.items():
        if not forms.FIELD.matches(name):
            inner.note(name, f"expected {forms.FIELD.name}")
        if value != forms.lowered(value):
            inner.note(name, f"expected hex in lower case, got {value}")
    return found


def _window(table: Table) -> Window | None:
    seconds = table.optional_seconds("window", 1, forms.MAX_WINDOW_S)
    blocks = table.optional_integer("window_blocks", 1, forms.MAX_WINDOW_BLOCKS)
    if seconds is not None and blocks is not None:
        table.note("window_blocks", "expected `window` or `window_blocks`, got both")
    return None if seconds is None and blocks is None else Window(seconds, None if seconds else blocks)


def _read_match(chains: Chains, name: str, table: Table) -> MatchMetric:
    value = table.optional_text("value", forms.FIELD)
    weight = _weight(table)
    if value is None and weight != Weight():
        table.note("value", "expected a field beside `scale` or `price`, got none")
    against = table.table("against")
    metric = MatchMetric(
        name=name,
        found=_side(chains, table),
        against=_side(chains, against),
        value=value,
        weight=weight,
        on_fault=_on_fault(table),
        unit=_unit(table),
    )
    against.done()
    found, other = len(metric.found.key), len(metric.against.key)
    if found != other and table.is_sound("key", "against"):
        against.note("key", f"expected as many fields as the other side's key, {found}, got {other}")
    return metric


def _side(chains: Chains, table: Table) -> MatchSide:
    return MatchSide(
        chain=chain_of(table, chains.chains),
        address=table.text("from", forms.WORD),
        event=table.text("event", forms.CALL),
        key=table.texts("key", forms.FIELD, limits.MAX_BY, least=1),
        where=_where(table),
    )


# ---- what a contract's state is


def _read_state(kind: ReadKind, chains: Chains, name: str, table: Table) -> StateMetric:
    read = StateRead(
        chain=chain_of(table, chains.chains),
        kind=kind,
        address=table.text("of" if kind is ReadKind.BALANCE else "from", forms.WORD),
    )
    match kind:
        case ReadKind.CALL:
            read = _with_call(read, table)
        case ReadKind.STORAGE:
            read = _with_slot(read, table)
        case ReadKind.BALANCE:
            read = replace(read, token=table.optional_text("token", forms.WORD))
        case ReadKind.SUPPLY | ReadKind.CODE_HASH | ReadKind.ORACLE:
            pass
    has_scale = kind is not ReadKind.CODE_HASH
    return StateMetric(
        name=name,
        read=read,
        weight=Weight(table.integer("scale", 0, limits.MAX_SCALE, default=0)) if has_scale else Weight(),
        equals=_equals(kind, table),
        over=_over(table),
        on_fault=_on_fault(table),
        unit=_unit(table),
    )


def _with_call(read: StateRead, table: Table) -> StateRead:
    path = table.optional_text("path", forms.PATH)
    if path is not None and table.has("word"):
        table.note("path", "expected `word` or `path`, got both")
    return replace(
        read,
        call=table.text("call", forms.CALL),
        args=table.scalars("args", 32),
        word=_word(table, path),
        path=path or "",
    )


def _word(table: Table, path: str | None) -> int:
    if path is None:
        return table.integer("word", 0, 255, default=0)
    table.absent("word")
    return 0


def _with_slot(read: StateRead, table: Table) -> StateRead:
    offset = table.integer("offset", 0, 31, default=0)
    size = table.integer("size", 1, 32, default=32 - offset)
    if offset + size > 32 and table.is_sound("offset", "size"):
        table.note("size", f"expected at most {32 - offset} bytes from offset {offset}, got {size}")
    slot = table.text("slot", forms.SLOT).lower()
    table.normal["slot"] = slot
    return replace(read, slot=slot, offset=offset, size=size)


def _equals(kind: ReadKind, table: Table) -> int | None:
    if kind is ReadKind.ORACLE:
        return None
    if kind is not ReadKind.CODE_HASH and not table.has("equals"):
        table.absent("equals")
        return None
    return table.number("equals", forms.INT256_MIN, forms.UINT256_MAX)


def _over(table: Table) -> Over | None:
    window = _window(table)
    if not table.has("take"):
        table.absent("take")
        if window is not None:
            table.note("take", f"expected one of {', '.join(Take)} beside the window, got nothing")
        return None
    take = Take(table.choice("take", tuple(Take)))
    if window is None:
        if table.is_sound("window", "window_blocks"):
            table.note("take", "expected `window` or `window_blocks` beside it, got neither")
        return None
    if take is Take.VARIANCE and table.has("equals"):
        table.note("take", "expected no variance of what is 1 or 0, got variance beside `equals`")
    return Over(take, window)


# ---- what plans and chains do


def _read_plan(chains: Chains, name: str, table: Table) -> PlanMetric:
    chain, _, gateway = table.text("plan", forms.PLAN).rpartition(":")
    if chain not in chains.chains and table.is_sound("plan") and not table.source.is_noted(("chains",)):
        known = ", ".join(chains.chains) or "none"
        table.note("plan", f"expected a gateway on a chain of this plan ({known}), got one on {chain}")
    return PlanMetric(
        name=name,
        chain=Caip2(chain),
        gateway=gateway,
        acts=table.text_set("acts", forms.NAME, limits.MAX_ACTS),
        on_fault=_on_fault(table),
        unit=_unit(table, "acts"),
    )


def _read_watched(watched: Watched, chains: Chains, name: str, table: Table) -> ChainMetric:
    chain = chain_of(table, chains.chains)
    reference = chains.clock.reference
    if watched is Watched.SILENCE and chain == reference and table.is_sound("chain"):
        table.note(
            "chain",
            f"expected another chain than the reference, got {chain}",
            remedy="rules are evaluated at the reference chain's blocks: while it is silent, none is",
        )
    return ChainMetric(name=name, chain=chain, watched=watched, on_fault=_on_fault(table), unit=_unit(table))


_READERS: Mapping[str, Callable[[Chains, str, Table], Metric]] = {
    **{measure.value: partial(_read_event, measure) for measure in Measure},
    "event_unmatched": _read_match,
    **{kind.value: partial(_read_state, kind) for kind in ReadKind},
    "plan": _read_plan,
    **{watched.value: partial(_read_watched, watched) for watched in Watched},
}
"""By the value of `read`."""
READS = tuple(_READERS)

__all__ = ["READS", "Chains", "chain_of", "read_metric"]
