"""The parts of a plan file, one reader for each kind of table (SPEC 5.2 to 5.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proofs.mandate import Tier
from relay.core import plan as limits
from relay.core.expressions import MAX_EXPRESSION_BYTES, RESERVED
from relay.core.observations import ReadKind, StateRead
from relay.core.plan import (
    DAY_S,
    Act,
    Budget,
    Clock,
    EventMetric,
    Key,
    Listen,
    Measure,
    Metric,
    OnFault,
    PlanChain,
    Reduce,
    ReleaseRule,
    Rule,
    Rung,
    StateMetric,
    Verb,
    Weight,
    Window,
)
from relay.core.plan_tables import Form, Table
from relay.core.ports import ActText
from relay.core.types import Caip2

NAME = Form("a name of lower-case letters, digits and hyphens", r"[a-z][a-z0-9-]*", 48)
WORD = Form("a text without spaces", r"\S+", 256)
LINE = Form("a text", r".*\S.*", 1_024)
_METRIC = Form("a name of lower-case letters, digits and underscores", r"[a-z][a-z0-9_]*", 48)
_CHAIN = Form("a CAIP-2 chain", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", 41)
_LINK = Form("a plan as CAIP-2:gateway", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}:[-_.a-zA-Z0-9]+", 256)
_FIELD = Form("a field's name", r"[A-Za-z_][A-Za-z0-9_]*", 64)
_CALL = Form("a call or an event", r".*\S.*", 8_192)
_UNIT = Form("a unit", r".*", 32)
_KEY = Form("a name without slash", r"[^/]+", 64)
_VALUE = Form("a field's value", r".+", 256)
_CONDITION = Form("an expression", r".*\S.*", MAX_EXPRESSION_BYTES)
_YEAR_S = 366 * DAY_S
_UINT64_MAX = (1 << 64) - 1
_UINT256_MAX = (1 << 256) - 1
_MAX_PRICE = 10**18
_TIERS = {"fast": Tier.FAST, "full": Tier.FULL}
_LASTS_S = {Tier.FAST: 6 * 3_600, Tier.FULL: 3 * DAY_S}
_CAP_S = {Tier.FAST: limits.FAST_CAP_S, Tier.FULL: limits.FULL_CAP_S}


def read_clock(table: Table) -> Clock:
    """Read `[clock]`."""
    clock = Clock(
        reference=Caip2(table.text("reference", _CHAIN)),
        lag_s=table.integer("lag_s", 0, DAY_S, default=60),
        patience_s=table.integer("patience_s", 1, DAY_S, default=600),
        rearm_s=table.integer("rearm_s", 10, DAY_S, default=1_800),
        fast_after=table.integer("fast_after", 1, 10_000, default=1),
        mandate_fast_s=table.integer("mandate_fast_s", 10, DAY_S, default=1_800),
        mandate_full_s=table.integer("mandate_full_s", 10, 7 * DAY_S, default=21_600),
        frost_patience_ms=table.integer("frost_patience_ms", 0, 60_000, default=1_000),
    )
    table.done()
    return clock


def read_chain(clock: Clock, name: str, table: Table) -> PlanChain:
    """Read `[chains."CAIP-2"]`; a lag is demanded of every chain but the reference, which has none."""
    if not _CHAIN.matches(name):
        table.refuse_itself(f"expected {_CHAIN.name}")
    is_reference = name == clock.reference
    if not is_reference and not table.has("lag_s"):
        table.refuse(
            "lag_s",
            "expected this key, got nothing",
            remedy=f"only the reference chain, {clock.reference}, has no lag",
        )
    return PlanChain(
        gateway=table.optional_text("gateway", WORD),
        lag_s=table.integer("lag_s", 0, 0, default=0) if is_reference else table.integer("lag_s", 1, DAY_S),
        since=table.integer("since", 0, _UINT64_MAX),
    )


def read_metric(name: str, table: Table) -> Metric:
    """Read `[metrics.NAME]`."""
    if not _METRIC.matches(name) or name in RESERVED:
        table.refuse_itself(f"expected {_METRIC.name}, no word of CEL")
    read = table.choice("read", ("event_sum", "event_count", "call"))
    chain = Caip2(table.text("chain", _CHAIN))
    address = table.text("from", WORD)
    on_fault = OnFault(table.choice("on_fault", tuple(OnFault), default=OnFault.FALSE))
    unit = table.text("unit", _UNIT, default="")
    if read == "call":
        return StateMetric(
            name=name,
            read=StateRead(
                chain=chain,
                kind=ReadKind.CALL,
                address=address,
                call=table.text("call", _CALL),
                args=table.scalars("args", 32),
                word=table.integer("word", 0, 255, default=0),
            ),
            weight=Weight(table.integer("scale", 0, limits.MAX_SCALE, default=0)),
            on_fault=on_fault,
            unit=unit,
        )
    weight = _weight(table, Weight()) if read == "event_sum" else Weight()
    by = table.texts("by", _FIELD, limits.MAX_BY)
    metric = EventMetric(
        name=name,
        chain=chain,
        address=address,
        event=table.text("event", _CALL),
        value=table.text("value", _FIELD) if read == "event_sum" else None,
        weight=weight,
        measure=Measure(read),
        by=by,
        keys=_keys(table, weight, is_weighted=read == "event_sum"),
        where=_where(table),
        window=_window(table),
        at_least=table.integer("at_least", 1, 1_000_000, default=1),
        reduce=_reduce(table),
        on_fault=on_fault,
        unit=unit,
    )
    if not by and (metric.keys or metric.reduce or metric.at_least > 1):
        table.refuse("by", "expected fields to group by, beside `keys`, `reduce` or `at_least`, got none")
    return metric


def _window(table: Table) -> Window | None:
    seconds = table.optional_seconds("window", 1, 90 * DAY_S)
    return None if seconds is None else Window(seconds=seconds)


def _weight(table: Table, default: Weight) -> Weight:
    return Weight(
        scale=table.integer("scale", 0, limits.MAX_SCALE, default=default.scale),
        price=table.integer("price", 1, _MAX_PRICE, default=default.price),
    )


def _keys(table: Table, default: Weight, *, is_weighted: bool) -> dict[str, Key]:
    def read(_value: str, inner: Table) -> Key:
        return Key(inner.text("name", _KEY), _weight(inner, default) if is_weighted else Weight())

    keys = table.tables("keys", limits.MAX_KEYS, read)
    if len({key.name for key in keys.values()}) != len(keys):
        table.refuse("keys", "expected a name of its own for each, got one twice")
    for value in keys:
        if value != _lowered(value):
            table.refuse("keys", f"expected hex in lower case, got {value}")
    return keys


def _where(table: Table) -> dict[str, str]:
    inner = table.table("where")
    found = {name: inner.written(name, _VALUE) for name in inner.names}
    for name, value in found.items():
        if not _FIELD.matches(name):
            inner.refuse(name, f"expected {_FIELD.name}")
        if value != _lowered(value):
            inner.refuse(name, f"expected hex in lower case, got {value}")
    return found


def _lowered(value: str) -> str:
    return value.lower() if value[:2] in ("0x", "0X") else value


def _reduce(table: Table) -> Reduce | None:
    if not table.has("reduce"):
        table.absent("reduce")
        return None
    return Reduce(table.choice("reduce", tuple(Reduce)))


def read_act(chains: Mapping[str, PlanChain], name: str, table: Table) -> Act:
    """Read `[acts.NAME]`; the gateway is that of the act's chain."""
    if not NAME.matches(name):
        table.refuse_itself(f"expected {NAME.name}")
    chain = table.text("chain", _CHAIN)
    gateway = chains[chain].gateway if chain in chains else None
    if gateway is None:
        table.refuse("chain", f"expected a chain of the plan that has a gateway, got {chain}")
    if table.has("undo") and table.has("restore"):
        table.refuse("restore", "expected `undo` or `restore`, got both")
    tier = _TIERS[table.choice("tier", tuple(_TIERS))]
    text = ActText(
        name=name,
        chain=Caip2(chain),
        gateway=gateway,
        target=table.text("target", WORD),
        call=table.text("call", _CALL),
        state=table.text("state", _CALL),
        value=table.scalar("value", _UINT256_MAX),
        compare=table.choice("compare", ("=", "<=", ">="), default="="),
        undo=table.optional_text("undo", _CALL),
        restore=table.optional_text("restore", _CALL),
        state_target=table.optional_text("state_target", WORD),
        state_word=table.integer("state_word", 0, 255, default=0),
        gas=table.integer("gas", 1, 30_000_000, default=200_000),
    )
    lasts_s = table.seconds("lasts", 1, _CAP_S[tier], default=_LASTS_S[tier])
    return Act(text=text, verb=Verb(table.choice("verb", tuple(Verb))), tier=tier, lasts_s=lasts_s)


def read_rule(clock: Clock, acts: Mapping[str, Act], name: str, table: Table) -> Rule:
    """Read `[rules.NAME]`."""
    if not NAME.matches(name) or name == "release":
        table.refuse_itself(f"expected {NAME.name}, other than `release`")
    return Rule(
        name=name,
        when=table.text("when", _CONDITION),
        hold=table.integer("hold", 1, limits.MAX_HOLD, default=1),
        ladder=_ladder(table, acts, limits.MAX_RUNGS),
        step_s=table.seconds("step", 1, DAY_S, default=min(600, clock.rearm_s)),
        rearm_s=table.seconds("rearm", 10, DAY_S, default=clock.rearm_s),
    )


def _ladder(table: Table, acts: Mapping[str, Act], most: int) -> tuple[Rung, ...]:
    return tuple(_rung(table, acts, names) for names in table.rungs("ladder", NAME, most, limits.MAX_ACTS))


def _rung(table: Table, acts: Mapping[str, Act], names: Sequence[str]) -> Rung:
    unknown = sorted(set(names) - acts.keys())
    if unknown:
        table.refuse("ladder", f"expected acts of the plan ({', '.join(acts) or 'none'}), got {unknown[0]}")
    tiers = {acts[name].tier for name in names}
    if len(tiers) > 1:
        table.refuse("ladder", f"expected rungs of one tier, got fast and full in [{', '.join(names)}]")
    return Rung(tuple(names), tiers.pop())


def read_release(table: Table) -> ReleaseRule | None:
    """Read `[release]`, if there is one."""
    if not table.has("release"):
        table.absent("release")
        return None
    inner = table.table("release")
    inner.choice("tier", ("full",), default="full")
    release = ReleaseRule(
        when=inner.text("when", _CONDITION), hold=inner.integer("hold", 1, limits.MAX_HOLD, default=300)
    )
    inner.done()
    return release


def read_budget(table: Table) -> Budget:
    """Read `[budget]`."""
    budget = Budget(
        window_s=table.seconds("window", DAY_S, _YEAR_S, default=30 * DAY_S),
        fast_time_s=table.seconds("fast_time", 1, _YEAR_S, default=DAY_S),
        fast_records=table.integer("fast_records", 1, 1_000, default=3),
        frozen_time_s=table.seconds("frozen_time", 1, _YEAR_S, default=21 * DAY_S),
    )
    table.done()
    return budget


def read_link(acts: Mapping[str, Act], table: Table) -> Listen:
    """Read one `[[listen]]`."""
    chain, _, gateway = table.text("plan", _LINK).rpartition(":")
    shares = table.text("shares", NAME)
    return Listen(
        name=table.text("name", NAME, default=shares),
        chain=Caip2(chain),
        gateway=gateway,
        shares=shares,
        when=table.text("when", _CONDITION),
        ladder=_ladder(table, acts, 1),
        max_hops=table.integer("max_hops", 1, 8, default=2),
    )


__all__ = [
    "LINE",
    "NAME",
    "WORD",
    "read_act",
    "read_budget",
    "read_chain",
    "read_clock",
    "read_link",
    "read_metric",
    "read_release",
    "read_rule",
]
