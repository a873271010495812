"""The tables of a plan beside its metrics, one reader for each kind (SPEC 5.2 to 5.5, plans SPEC 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.mandate import Tier
from relay.core import plan as limits
from relay.core import plan_forms as forms
from relay.core.expressions import RESERVED
from relay.core.plan import (
    DAY_S,
    Act,
    Budget,
    Clock,
    Listen,
    Metric,
    PlanChain,
    ReleaseRule,
    Reports,
    Rule,
    Rung,
    Verb,
)
from relay.core.plan_metrics import chain_of
from relay.core.plan_tables import Table
from relay.core.ports import ActText
from relay.core.types import Caip2

_TIERS = {"fast": Tier.FAST, "full": Tier.FULL}
_LASTS_S = {Tier.FAST: 6 * 3_600, Tier.FULL: 3 * DAY_S}
_CAP_S = {Tier.FAST: limits.FAST_CAP_S, Tier.FULL: limits.FULL_CAP_S}


@dataclass(frozen=True, slots=True)
class Scope:
    """What links and reports are held against: the rest of the plan."""

    clock: Clock
    chains: Mapping[str, PlanChain]
    metrics: Mapping[str, Metric]
    acts: Mapping[str, Act]


def read_clock(table: Table) -> Clock:
    """Read `[clock]`."""
    clock = Clock(
        reference=Caip2(table.text("reference", forms.CHAIN)),
        lag_s=table.integer("lag_s", 0, DAY_S, default=60),
        patience_s=table.integer("patience_s", 1, DAY_S, default=600),
        rearm_s=table.integer("rearm_s", 10, DAY_S, default=1_800),
        fast_after=table.integer("fast_after", 1, 10_000, default=1),
        mandate_fast_s=table.integer("mandate_fast_s", 10, DAY_S, default=1_800),
        mandate_full_s=table.integer("mandate_full_s", 10, 7 * DAY_S, default=21_600),
        frost_patience_ms=table.integer("frost_patience_ms", 0, 60_000, default=1_000),
        every=table.integer("every", 1, 10_000, default=1),
    )
    table.done()
    return clock


def check_reference(clock: Clock, table: Table) -> None:
    """Refuse a reference that is no chain with a gateway, before its lag is asked for."""
    chains = table.tables_with("chains", "gateway")
    is_known = table.source.is_sound(("clock", "reference")) and not table.source.is_noted(("chains",))
    if clock.reference not in chains and is_known:
        table.source.note(
            ("clock", "reference"),
            f"expected a chain of the plan with a gateway ({', '.join(chains) or 'none'}), "
            f"got {clock.reference}",
        )


def read_chain(clock: Clock, name: str, table: Table) -> PlanChain:
    """Read `[chains."CAIP-2"]`; a lag is demanded of every chain but the reference, which has none."""
    if not forms.CHAIN.matches(name):
        table.note_itself(f"expected {forms.CHAIN.name}")
    return PlanChain(
        gateway=table.optional_text("gateway", forms.WORD),
        lag_s=_lag(clock, name, table),
        since=table.integer("since", 0, forms.UINT64_MAX),
        targets=table.text_set("targets", forms.WORD, limits.MAX_TARGETS),
    )


def _lag(clock: Clock, name: str, table: Table) -> int:
    if name == clock.reference:
        return table.integer("lag_s", 0, 0, default=0)
    is_known = table.source.is_sound(("clock", "reference"))
    if is_known and not table.has("lag_s"):
        table.note(
            "lag_s",
            "expected this key, got nothing",
            remedy=f"only the reference chain, {clock.reference}, has no lag",
        )
        table.absent("lag_s")
        return 1
    return table.integer("lag_s", 1 if is_known else 0, DAY_S, default=None if is_known else 0)


def read_limits(table: Table) -> dict[str, int]:
    """Read `[limits]`: names of their own, that no metric has."""
    if len(table.names) > limits.MAX_LIMITS:
        table.source.note(table.path, f"expected at most {limits.MAX_LIMITS}, got {len(table.names)}")
    for name in table.names[: limits.MAX_LIMITS]:
        if not forms.VARIABLE.matches(name) or name in RESERVED:
            table.note(name, f"expected {forms.VARIABLE.name}, no word of CEL, got this name")
    return {
        name: table.integer(name, forms.INT64_MIN, forms.INT64_MAX)
        for name in table.names[: limits.MAX_LIMITS]
    }


def read_act(chains: Mapping[str, PlanChain], name: str, table: Table) -> Act:
    """Read `[acts.NAME]`; the gateway is that of the act's chain, which must list what the act touches."""
    if not forms.NAME.matches(name):
        table.note_itself(f"expected {forms.NAME.name}")
    chain = chain_of(table, chains)
    if table.has("undo") and table.has("restore"):
        table.note("restore", "expected `undo` or `restore`, got both")
    tier = _TIERS[table.choice("tier", tuple(_TIERS))]
    text = ActText(
        name=name,
        chain=chain,
        gateway=_gateway(table, chains, chain),
        target=table.text("target", forms.WORD),
        call=table.text("call", forms.CALL),
        state=table.text("state", forms.CALL),
        value=table.scalar("value", forms.UINT256_MAX),
        compare=table.choice("compare", ("=", "<=", ">="), default="="),
        undo=table.optional_text("undo", forms.CALL),
        restore=table.optional_text("restore", forms.CALL),
        state_target=table.optional_text("state_target", forms.WORD),
        state_word=table.integer("state_word", 0, 255, default=0),
        gas=table.integer("gas", 1, 30_000_000, default=200_000),
    )
    _check_targets(table, chains, text)
    cap_s = _lasts_cap_s(table, tier)
    longer = 'a few members may not freeze for longer: tier = "full" may' if tier is Tier.FAST else ""
    lasts_s = table.seconds("lasts", 1, cap_s, default=_LASTS_S[tier], remedy=longer)
    return Act(text=text, verb=Verb(table.choice("verb", tuple(Verb))), tier=tier, lasts_s=lasts_s)


def _lasts_cap_s(table: Table, tier: Tier) -> int:
    return _CAP_S[tier] if table.is_sound("tier") else limits.FULL_CAP_S


def _gateway(table: Table, chains: Mapping[str, PlanChain], chain: Caip2) -> str:
    gateway = chains[chain].gateway if chain in chains else None
    if gateway is None and table.is_sound("chain") and table.source.is_sound(("chains", chain, "gateway")):
        table.note("chain", f"expected a chain of the plan that has a gateway, got {chain}")
    return gateway or ""


def _check_targets(table: Table, chains: Mapping[str, PlanChain], text: ActText) -> None:
    path = ("chains", text.chain, "targets")
    if text.chain not in chains or not table.is_sound("chain") or not table.source.is_sound(path):
        return
    targets = chains[text.chain].targets
    if not targets:
        table.source.note(
            path,
            "expected the contracts that acts on this chain call or read, got none",
            remedy=f'write targets = ["{text.target}"] if that is what this plan may touch',
        )
        return
    listed = {forms.lowered(target) for target in targets}
    for key, target in (("target", text.target), ("state_target", text.state_target)):
        if target is not None and table.is_sound(key) and forms.lowered(target) not in listed:
            table.note(key, f"expected one of the chain's targets ({', '.join(targets)}), got {target}")


def read_rule(clock: Clock, acts: Mapping[str, Act], name: str, table: Table) -> Rule:
    """Read `[rules.NAME]`."""
    if not forms.NAME.matches(name) or name == "release":
        table.note_itself(f"expected {forms.NAME.name}, other than `release`")
    return Rule(
        name=name,
        when=table.text("when", forms.CONDITION),
        hold=table.integer("hold", 1, limits.MAX_HOLD, default=1),
        ladder=_ladder(table, acts, limits.MAX_RUNGS),
        step_s=table.seconds("step", 1, DAY_S, default=min(600, clock.rearm_s)),
        rearm_s=table.seconds("rearm", 10, DAY_S, default=clock.rearm_s),
    )


def _ladder(table: Table, acts: Mapping[str, Act], most: int) -> tuple[Rung, ...]:
    rungs = table.rungs("ladder", forms.NAME, most, limits.MAX_ACTS)
    _check_known(table, "ladder", acts, [name for names in rungs for name in names])
    return tuple(_rung(table, acts, names) for names in rungs)


def _check_known(table: Table, key: str, acts: Mapping[str, Act], names: Sequence[str]) -> None:
    if table.source.is_noted(("acts",)):
        return
    for name in sorted(set(names) - acts.keys()):
        table.note(key, f"expected acts of the plan ({', '.join(acts) or 'none'}), got {name}")


def _rung(table: Table, acts: Mapping[str, Act], names: Sequence[str]) -> Rung:
    tiers = {
        acts[name].tier for name in names if table.source.is_sound(("acts", name, "tier")) and name in acts
    }
    if len(tiers) > 1:
        table.note("ladder", f"expected rungs of one tier, got fast and full in [{', '.join(names)}]")
    return Rung(tuple(names), min(tiers, default=Tier.FAST))


def _fast_ladder(table: Table, acts: Mapping[str, Act], why: str) -> tuple[Rung, ...]:
    ladder = _ladder(table, acts, 1)
    if any(rung.tier is not Tier.FAST for rung in ladder):
        table.note("ladder", f"expected fast acts: {why} authorises no heavier ones")
    return ladder


def read_release(table: Table, acts: Mapping[str, Act]) -> ReleaseRule | None:
    """Read `[release]`, if there is one."""
    inner = table.optional_table("release")
    if inner is None:
        return None
    inner.choice("tier", ("full",), default="full")
    release = ReleaseRule(
        when=inner.text("when", forms.CONDITION),
        hold=inner.integer("hold", 1, limits.MAX_HOLD, default=300),
        stages=inner.rungs("stages", forms.NAME, limits.MAX_ACTS, limits.MAX_ACTS, least=0),
    )
    named = [name for stage in release.stages for name in stage]
    _check_known(inner, "stages", acts, named)
    for name in sorted({name for name in named if named.count(name) > 1}):
        inner.note("stages", f"expected each act in one stage only, got {name} twice")
    inner.done()
    return release


def read_budget(table: Table) -> Budget:
    """Read `[budget]`."""
    budget = Budget(
        window_s=table.seconds("window", DAY_S, forms.YEAR_S, default=30 * DAY_S),
        fast_time_s=table.seconds("fast_time", 1, forms.YEAR_S, default=DAY_S),
        fast_records=table.integer("fast_records", 1, forms.MAX_RECORDS, default=3),
        frozen_time_s=table.seconds("frozen_time", 1, forms.YEAR_S, default=21 * DAY_S),
    )
    table.done()
    return budget


def read_link(scope: Scope, table: Table) -> Listen:
    """Read one `[[listen]]`."""
    chain, _, gateway = table.text("plan", forms.PLAN).rpartition(":")
    shares = table.text("shares", forms.NAME)
    link = Listen(
        name=table.text("name", forms.NAME, default=shares),
        chain=Caip2(chain),
        gateway=gateway,
        shares=shares,
        when=table.text("when", forms.CONDITION),
        ladder=_fast_ladder(table, scope.acts, "what others saw"),
        max_hops=table.integer("max_hops", 1, limits.MAX_HOPS, default=2),
        exposure=_exposure(scope, table),
        records=_records(table),
    )
    own = scope.chains[chain].gateway if chain == scope.clock.reference and chain in scope.chains else None
    if own is not None and gateway.lower() == own.lower():
        table.note("plan", "expected another protocol's plan, got this one's own gateway")
    return link


def _exposure(scope: Scope, table: Table) -> str | None:
    name = table.optional_text("exposure", forms.VARIABLE)
    if name is None or not table.is_sound("exposure"):
        return None
    numbers = [each for each, metric in scope.metrics.items() if not metric.is_map]
    is_open = name in scope.metrics and not table.source.is_sound(("metrics", name))
    if name not in numbers and not is_open and not table.source.is_noted(("metrics",)):
        known = ", ".join(numbers) or "none"
        table.note("exposure", f"expected a metric of one value of this plan ({known}), got {name}")
    return name


def _records(table: Table) -> int:
    return table.integer("records", 1, forms.MAX_RECORDS, default=3)


def read_reports(acts: Mapping[str, Act], table: Table) -> Reports:
    """Read one `[[reports]]`."""
    reporters = table.text_set("reporters", forms.REPORTER, limits.MAX_REPORTERS, least=1)
    need = table.integer("need", 1, limits.MAX_REPORTERS)
    if need > len(reporters) and table.is_sound("need", "reporters"):
        table.note("need", f"expected at most the number of reporters, {len(reporters)}, got {need}")
    return Reports(
        name=table.text("name", forms.NAME),
        reporters=tuple(bytes.fromhex(reporter.rpartition(":")[2]) for reporter in reporters),
        need=need,
        ladder=_fast_ladder(table, acts, "what outsiders say"),
        when=table.optional_text("when", forms.CONDITION),
        records=_records(table),
    )


__all__ = [
    "Scope",
    "check_reference",
    "read_act",
    "read_budget",
    "read_chain",
    "read_clock",
    "read_limits",
    "read_link",
    "read_release",
    "read_reports",
    "read_rule",
]
