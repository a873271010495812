"""A plan over what happened: when it would have acted, too late or for nothing (plans SPEC 4).

The views, the evaluator and the schedule are the core's own. Blocks at which nothing can change are not made;
what is counted over blocks (holds, slots, numbers) is counted as if they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.core.compiled import CompiledPlan
from relay.core.evaluate import Evaluation, PlanEvaluator
from relay.core.schedule import Schedule, Step
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView
from relay.plans.changes import all_turns, turns_of
from relay.plans.collector import no_cycles
from relay.plans.feed import ChainFeed, ChainRows, missing_data, rows_by_chain
from relay.plans.grid import Grid
from relay.plans.needs import rules_only, series_names
from relay.plans.results import PlanResult, RuleSeen, Seen, judge
from relay.plans.rows import Attack, DataError, Observations

__all__ = ["DEFAULT_BLOCK_TIME_S", "GridSettings", "backtest", "holds_throughout", "observe"]

DEFAULT_BLOCK_TIME_S: Final = 12
_TELL_EVERY: Final = 4_096
"""Evaluations between two words of progress."""


@dataclass(frozen=True, slots=True)
class GridSettings:
    """How chains are thought to have gone on.

    `block_time_s` is between the blocks of every chain that `chain_block_times_s` does not name. With
    `skips_idle` blocks at which nothing can change are not made; without it all are, for the same result.
    `allows_missing` takes a plan of which some metric has no data: its events never came, its state faults.
    """

    block_time_s: int = DEFAULT_BLOCK_TIME_S
    chain_block_times_s: Mapping[Caip2, int] = field(default_factory=dict)
    skips_idle: bool = True
    allows_missing: bool = False

    def block_time_of(self, chain: Caip2) -> int:
        return self.chain_block_times_s.get(chain, self.block_time_s)


def backtest(
    compiled: CompiledPlan,
    data: Observations,
    settings: GridSettings | None = None,
    told: Callable[[float], None] | None = None,
) -> PlanResult:
    """Evaluate a plan over the data; `told` hears from time to time which share of the time is through.

    Raises:
        DataError: there are no rows, one does not fit the plan, or a metric has no data.
    """
    return judge(compiled, observe(compiled, data, settings, told))


def observe(
    compiled: CompiledPlan,
    data: Observations,
    settings: GridSettings | None = None,
    told: Callable[[float], None] | None = None,
) -> Seen:
    """Give what a plan's rules did over the data, before it is judged; as `backtest`.

    Raises:
        DataError: as `backtest`.
    """
    settings = GridSettings() if settings is None else settings
    _check(compiled, data, settings)
    with no_cycles():
        run = _Run(rules_only(compiled), data, settings)
        run.go(told or _nobody)
        return run.seen()


def holds_throughout(
    compiled: CompiledPlan, data: Observations, settings: GridSettings | None = None
) -> tuple[str, ...]:
    """Give the rules that are true at every evaluated block of the data (plans SPEC 2).

    Raises:
        DataError: as `backtest`.
    """
    result = backtest(compiled, data, settings)
    return tuple(name for name, rule in result.rules.items() if rule.holds_throughout)


def _check(compiled: CompiledPlan, data: Observations, settings: GridSettings) -> None:
    if not len(data):
        raise DataError("data", "expected at least one row, got none")
    for step_s in (settings.block_time_s, *settings.chain_block_times_s.values()):
        if step_s < 1:
            raise DataError("block time", f"expected 1 s or more, got {step_s}")
    names = series_names(compiled.plan)
    for metric in sorted({row.metric for row in data.series} - names.keys()):
        known = ", ".join(names) or "none"
        raise DataError(f"series {metric}", f"expected a metric of state ({known}), got {metric}")
    missing = missing_data(compiled, data)
    if missing and not settings.allows_missing:
        wanted = "; ".join(f"{name} ({what})" for name, what in missing.items())
        raise DataError(
            "data",
            f"expected rows of every metric, got none of {wanted}",
            remedy="add a file, rename its columns by --map, or give --allow-missing",
        )


def _nobody(share: float) -> None:
    del share


@dataclass(slots=True)
class _Known:
    """What is known of one rule while the run goes on."""

    edges: list[BlockRef] = field(default_factory=list)
    detected: BlockRef | None = None
    is_always_true: bool = True


class _Run:
    """One pass of one plan over the data."""

    def __init__(self, compiled: CompiledPlan, data: Observations, settings: GridSettings) -> None:
        plan = compiled.plan
        reference = plan.clock.reference
        self._compiled = compiled
        self._rules = tuple(plan.rules.values())
        self._every = plan.clock.every
        self._data = data
        self._allows_missing = settings.allows_missing
        self._attack: Attack | None = data.attack()
        # Chains that no rule reads are left alone: nobody waits for them. A silence needs no pin, but blocks.
        read = {chain for metric in plan.metrics.values() for chain in (metric.chain, *metric.chains)}
        read.discard(reference)
        lags = {chain: plan.chains[chain].lag_s for chain in sorted(read)}
        rows = rows_by_chain(compiled, data)
        own = self._grid(reference, data.first_s, rows, settings)
        others = {
            chain: self._grid(chain, own.start_s - lag_s, rows, settings) for chain, lag_s in lags.items()
        }
        grids = {reference: own, **others}
        views = {chain: ChainView(queries, keep_s=0) for chain, queries in compiled.queries.items()}
        self._evaluator = PlanEvaluator(compiled, views)
        self._schedule = Schedule(compiled, views)
        self._last_false: BlockRef | None = None
        """The newest evaluated block, where no rule was true at it: the schedule has not seen it."""
        self._was_false = False
        turns = turns_of(compiled, grids, rows) if settings.skips_idle else all_turns(grids)
        feeds = {
            chain: ChainFeed(rows[chain], grids[chain], views[chain], turns.made[chain]) for chain in grids
        }
        self._feed = feeds.pop(reference)
        self._others = tuple((feed, lags[chain]) for chain, feed in feeds.items())
        self._reference = own
        self._turns = self._marked(turns.evaluated)
        self.end_s = self._end(max([*lags.values(), 0]), settings.block_time_of(reference))
        self._evaluations = 0
        self._known = {rule.name: _Known() for rule in self._rules}

    def _grid(
        self, chain: Caip2, begin_s: int, rows: Mapping[Caip2, ChainRows], settings: GridSettings
    ) -> Grid:
        since = self._compiled.plan.chains[chain].since
        return Grid(settings.block_time_of(chain), begin_s, since, rows[chain].times())

    def _marked(self, turns: Sequence[int] | None) -> Sequence[int] | None:
        """Add the beginning of the attack to the turns: what is held by then is a detection."""
        if turns is None or self._attack is None:
            return turns
        return sorted({*turns, self._reference.evaluated(self._attack.start_s, self._every)})

    def _end(self, lag_s: int, step_s: int) -> int:
        """Give the time at which also the last row has been seen and held."""
        held = (max([rule.hold for rule in self._rules], default=1) - 1) * self._every * step_s
        return self._reference.evaluated(self._data.last_s + lag_s, self._every) + held

    def go(self, told: Callable[[float], None]) -> None:
        """Evaluate every block whose turn it is."""
        start_s = self._reference.start_s
        for time_s in self._times():
            for feed, lag_s in self._others:
                feed.settle(time_s - lag_s)
            self._take(self._feed.feed(time_s))
            if not self._evaluations % _TELL_EVERY:
                told((time_s - start_s) / (self.end_s - start_s))
        told(1.0)

    def _times(self) -> Iterator[int]:
        """Give the times of the blocks to evaluate, by what the schedule holds after each."""
        grid, turns, at = self._reference, self._turns, 0
        now_s = grid.evaluated(grid.start_s, self._every)
        while now_s <= self.end_s:
            yield now_s
            if turns is None:
                now_s = grid.evaluated(now_s + 1, self._every)
                continue
            while at < len(turns) and turns[at] <= now_s:
                at += 1
            following_s = turns[at] if at < len(turns) else self.end_s + 1
            now_s = min([following_s, *self._awaited(now_s)]) if self._last_false is None else following_s

    def _awaited(self, now_s: int) -> Iterator[int]:
        """Give when each true rule becomes held, or makes the edge of the next slot, if nothing changes."""
        streaks = self._schedule.steps[-1].streaks
        for rule in self._rules:
            if streaks[rule.name] >= rule.hold:
                yield self._reference.evaluated((now_s // rule.rearm_s + 1) * rule.rearm_s, self._every)
            elif streaks[rule.name]:
                yield self._reference.evaluated(now_s + 1, self._every)

    def _take(self, block: BlockRef) -> None:
        """Evaluate a block. Of those at which no rule is true the schedule gets the last one only."""
        outcomes = self._evaluator.rules_at(block)
        assert outcomes is not None, "expected a block that was just made"
        self._evaluations += 1
        if not any(rule.effective for rule in outcomes.values()):
            self._last_false = block
            self._was_false = True
            return
        fresh = [block] if self._last_false is None else [self._last_false, block]
        self._last_false = None
        for edge in self._schedule.extend(map(self._evaluation, fresh)):
            self._known[edge.rule].edges.append(edge.block)
        self._look(self._schedule.steps[-1])

    def _evaluation(self, block: BlockRef) -> Evaluation:
        evaluation = self._evaluator.evaluate_at(block)
        assert evaluation is not None, "expected a block that views keep until the next turn"
        return evaluation

    def _look(self, step: Step) -> None:
        is_attacked = self._attack is not None and step.block.timestamp >= self._attack.start_s
        for rule in self._rules:
            known, streak = self._known[rule.name], step.streaks[rule.name]
            known.is_always_true = known.is_always_true and streak > 0
            if is_attacked and known.detected is None and streak >= rule.hold:
                known.detected = step.block

    def seen(self) -> Seen:
        """Give what the run saw."""
        grid, attack = self._reference, self._attack
        return Seen(
            first_s=self._data.first_s,
            end_s=self.end_s,
            rows=len(self._data),
            evaluations=self._evaluations,
            attack=attack,
            attack_block=None if attack is None else grid.number(attack.start_s),
            missing=tuple(sorted(missing_data(self._compiled, self._data))) if self._allows_missing else (),
            rules={
                name: RuleSeen(tuple(each.edges), each.detected, each.is_always_true and not self._was_false)
                for name, each in self._known.items()
            },
        )
