"""Blocks that a back-test does not make show no difference (plans SPEC 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.compiled import CompiledPlan
from relay.core.evaluate import PlanEvaluator
from relay.core.schedule import Schedule
from relay.core.view import ChainView
from relay.plans.backtest import GridSettings, backtest
from relay.plans.feed import ChainFeed, rows_by_chain
from relay.plans.grid import Grid
from relay.plans.needs import rules_only
from relay.plans.results import PlanResult
from relay.plans.rows import EventSeen, Observations, Sample
from tests.plans.worlds import FOREIGN, HOME, compiled_of, event, plan_text, sample

START_S = 1_700_000_003
_SIDES = {"in": FOREIGN, "out": HOME}
_STATE = 'from = "0x3333333333333333333333333333333333333333"\n'


def _of_events(name: str, side: str, read: str, rest: str) -> str:
    return f'[metrics.{name}]\nread = "{read}"\nchain = "{_SIDES[side]}"\n{side.upper()}\n{rest}\n'


def _of_state(name: str, side: str, rest: str) -> str:
    call = 'read = "call"\ncall = "level() returns (uint256)"'
    return f'[metrics.{name}]\n{call}\nchain = "{_SIDES[side]}"\n{_STATE}{rest}\n'


def _windows(side: str) -> dict[str, str]:
    return {
        f"sum_s_{side}": _of_events(f"sum_s_{side}", side, "event_sum", 'value = "amount"\nwindow = "40s"'),
        f"sum_b_{side}": _of_events(
            f"sum_b_{side}", side, "event_sum", 'value = "amount"\nwindow_blocks = 3'
        ),
        f"total_{side}": _of_events(f"total_{side}", side, "event_sum", 'value = "amount"'),
        f"most_{side}": _of_events(f"most_{side}", side, "event_max", 'value = "amount"\nwindow = "31s"'),
        f"many_{side}": _of_events(
            f"many_{side}", side, "event_distinct", 'value = "kind"\nwindow_blocks = 4'
        ),
    }


def _states(side: str) -> dict[str, str]:
    takes = {
        f"{take}_{kind}_{side}": _of_state(f"{take}_{kind}_{side}", side, f'take = "{take}"\n{window}')
        for take in ("first", "min", "max", "mean", "variance")
        for kind, window in (("s", 'window = "50s"'), ("b", "window_blocks = 4"))
    }
    return {f"level_{side}": _of_state(f"level_{side}", side, ""), **takes}


_ORACLE = f'[metrics.feed]\nread = "oracle"\nchain = "{FOREIGN}"\n{_STATE}'
_MATCH = f"""[metrics.open]
read = "event_unmatched"
chain = "{HOME}"
OUT
key = ["id"]
against = {{ chain = "{FOREIGN}", from = "0x3333333333333333333333333333333333333333", \
event = "In(uint256 id,string kind,uint256 amount)", key = ["id"] }}
"""
FAMILIES = {
    "windows": {**_windows("in"), **_windows("out")},
    "states": {**_states("in"), **_states("out")},
    "others": {
        "feed.price": _ORACLE,
        "feed.age_s": _ORACLE,
        "open": _MATCH,
        "silent": f'[metrics.silent]\nread = "silence"\nchain = "{FOREIGN}"\n',
        "total_in": _windows("in")["total_in"],
    },
}

events = st.builds(
    event,
    st.integers(0, 400),
    st.sampled_from(["in", "out"]),
    st.integers(1, 9),
    id=st.sampled_from("123"),
    kind=st.sampled_from("ab"),
)


@st.composite
def worlds(draw: st.DrawFn, family: str) -> tuple[str, Observations, GridSettings]:
    """Give a plan of one to three rules, each over one or two metrics, with rows and the rhythm of chains."""
    metrics_of, rules, used = FAMILIES[family], [], set()
    for number in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from(sorted(metrics_of)), min_size=1, max_size=2, unique=True))
        used |= set(names)
        parts = [f"{name} {draw(st.sampled_from('<>'))} {draw(st.integers(0, 15))}" for name in names]
        joined = draw(st.sampled_from([" && ", " || "])).join(parts)
        hold, rearm = draw(st.integers(1, 4)), draw(st.sampled_from(["30s", "100s", "30m"]))
        rules.append(
            f'[rules.r{number}]\nwhen = "{joined}"\nhold = {hold}\nrearm = "{rearm}"\nstep = "1s"\n'
            'ladder = [["halt"]]\n'
        )
    metrics = "".join(sorted({metrics_of[name] for name in used}))
    lag_s, every = draw(st.sampled_from([1, 5, 20, 60])), draw(st.sampled_from([1, 1, 1, 2, 3]))
    text = plan_text(metrics, "".join(rules), lag_s=lag_s, every=every)
    block_times = {FOREIGN: draw(st.sampled_from([2, 7, 12]))}
    return text, draw(rows(used)), GridSettings(12, block_times, allows_missing=True)


@st.composite
def rows(draw: st.DrawFn, used: set[str]) -> Observations:
    """Give rows of the metrics in use, some of them of an attack."""
    begins_s = draw(st.one_of(st.none(), st.integers(0, 400)))

    def placed(row: EventSeen | Sample) -> EventSeen | Sample:
        is_attack = begins_s is not None and row.timestamp >= begins_s
        return replace(row, timestamp=START_S + row.timestamp, label="attack" if is_attack else "")

    names = sorted({name.partition(".")[0] for name in used if name.startswith(("feed", *_levels()))})
    values = st.one_of(st.integers(0, 30), st.none()) if names else st.none()
    series = st.builds(sample, st.integers(0, 400), st.sampled_from(names or ["none"]), values)
    seen = [placed(row) for row in draw(st.lists(events, min_size=1, max_size=12))]
    told = [placed(row) for row in draw(st.lists(series, max_size=8))] if names else []
    return Observations.of(
        events=[row for row in seen if isinstance(row, EventSeen)],
        series=_agreeing([row for row in told if isinstance(row, Sample)]),
    )


def _agreeing(series: list[Sample]) -> list[Sample]:
    """Let all metrics over one side's level say the same of one time: they are one reading."""
    values: dict[tuple[int, str], int | None] = {}
    for row in series:
        values.setdefault((row.timestamp, row.metric.rpartition("_")[2]), row.value)
    return [replace(row, value=values[row.timestamp, row.metric.rpartition("_")[2]]) for row in series]


def _levels() -> tuple[str, ...]:
    return ("level", "first", "min", "max", "mean", "variance")


@dataclass(frozen=True)
class Told:
    """What the core alone makes of the same rows: quiet edges and the detection, by rule."""

    edges: dict[str, list[int]]
    detected: dict[str, int | None]


def step_by_step(compiled: CompiledPlan, data: Observations, settings: GridSettings, end_s: int) -> Told:
    """Let the core see every block of every chain, and take all evaluations as a node does."""
    plan = rules_only(compiled)
    rows = rows_by_chain(plan, data)
    views = {chain: ChainView(queries, keep_s=10**9) for chain, queries in plan.queries.items()}
    evaluator, schedule = PlanEvaluator(plan, views), Schedule(plan, views)
    begin_s = data.first_s
    for chain, lag_s in ((HOME, 0), (FOREIGN, plan.plan.chains[FOREIGN].lag_s)):
        since = plan.plan.chains[chain].since
        grid = Grid(settings.block_time_of(chain), begin_s - lag_s, since, rows[chain].times())
        begin_s = grid.start_s
        ChainFeed(rows[chain], grid, views[chain], None).feed(grid.at_or_after(end_s + 1))
    attack = data.attack()
    attack_s = 1 << 62 if attack is None else attack.start_s
    told = Told({name: [] for name in plan.rules}, dict.fromkeys(plan.rules))
    for edge in schedule.extend(evaluator.advance()):
        if edge.block.timestamp < attack_s and edge.block.timestamp <= end_s:
            told.edges[edge.rule].append(edge.block.timestamp)
    for step in schedule.steps:
        for name, rule in plan.plan.rules.items():
            is_held = step.streaks[name] >= rule.hold and attack_s <= step.block.timestamp <= end_s
            if is_held and told.detected[name] is None:
                told.detected[name] = step.block.timestamp
    return told


def shown(result: PlanResult) -> dict[str, object]:
    """Give all that a result says but how much work it was."""
    return {
        name: (rule.triggers, rule.detection, rule.rate, rule.frozen, rule.holds_throughout)
        for name, rule in {**result.rules, "": result.plan}.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60)
@given(drawn=st.data())
def test_a_run_that_skips_blocks_gives_what_the_core_makes_of_all_blocks(
    family: str, drawn: st.DataObject
) -> None:
    text, data, grid = drawn.draw(worlds(family))
    compiled = compiled_of(text)

    skipping = backtest(compiled, data, grid)
    whole = backtest(compiled, data, replace(grid, skips_idle=False))
    told = step_by_step(compiled, data, grid, skipping.end_s)

    note(f"triggers {bool(whole.plan.triggers)}, detected {whole.plan.detection is not None}")
    note(f"skips {skipping.evaluations < whole.evaluations}")
    assert shown(skipping) == shown(whole)
    assert skipping.evaluations <= whole.evaluations
    for name, rule in skipping.rules.items():
        assert [block.timestamp for block in rule.triggers] == told.edges[name]
        assert (rule.detection and rule.detection.block.timestamp) == told.detected[name]
