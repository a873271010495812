"""A plan over what happened: when it would have acted, too late or for nothing (plans SPEC 4).

The views, the evaluator and the schedule are the core's own. Blocks at which nothing can change are not made;
what is counted over blocks (holds, slots, numbers) is counted as if they were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.core.compiled import CompiledPlan
from relay.core.evaluate import PlanEvaluator
from relay.core.schedule import Edge, Schedule, Step
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView
from relay.plans.changes import Turns, turns_of
from relay.plans.feed import ChainFeed, ChainRows, missing_data, rows_by_chain
from relay.plans.grid import Grid
from relay.plans.results import PlanResult, RuleSeen, Seen, judge
from relay.plans.rows import Attack, DataError, Observations

__all__ = ["DEFAULT_BLOCK_TIME_S", "GridSettings", "backtest", "holds_throughout"]

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
    settings = GridSettings() if settings is None else settings
    _check(compiled, data, settings)
    run = _Run(compiled, data, settings)
    run.go(told or _nobody)
    return judge(compiled, run.seen())


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
class _Streak:
    """What is known of one rule while the run goes on."""

    edges: list[Edge] = field(default_factory=list)
    detected: BlockRef | None = None
    is_always_true: bool = True


class _Run:
    """One pass of one plan over the data."""

    def __init__(self, compiled: CompiledPlan, data: Observations, settings: GridSettings) -> None:
        plan = compiled.plan
        self._compiled = compiled
        self._rules = tuple(plan.rules.values())
        self._every = plan.clock.every
        self._data = data
        self._attack: Attack | None = data.attack()
        lags = {chain: each.lag_s for chain, each in plan.chains.items() if chain != plan.clock.reference}
        rows = rows_by_chain(compiled, data)
        reference = self._grid(plan.clock.reference, data.first_s, rows, settings)
        others = {
            chain: self._grid(chain, reference.start_s - lag_s, rows, settings)
            for chain, lag_s in lags.items()
        }
        grids = {plan.clock.reference: reference, **others}
        self._views = {
            chain: ChainView(queries, keep_s=max([*lags.values(), 0]) + settings.block_time_of(chain))
            for chain, queries in compiled.queries.items()
        }
        self._evaluator = PlanEvaluator(compiled, self._views)
        self._schedule = Schedule(compiled, self._views)
        feeds = {
            chain: ChainFeed(rows[chain], grids[chain], view, makes_all=not settings.skips_idle)
            for chain, view in self._views.items()
        }
        self._feed = feeds.pop(plan.clock.reference)
        self._others = tuple((feed, lags[chain]) for chain, feed in feeds.items())
        self._grid_of_reference = reference
        self._turns = turns_of(compiled, grids, rows) if settings.skips_idle else Turns(None)
        self.end_s = self._end(max([*lags.values(), 0]), settings.block_time_of(plan.clock.reference))
        self._evaluations = 0
        self._streaks = {rule.name: _Streak() for rule in self._rules}

    def _grid(
        self, chain: Caip2, begin_s: int, rows: Mapping[Caip2, ChainRows], settings: GridSettings
    ) -> Grid:
        since = self._compiled.plan.chains[chain].since
        return Grid(settings.block_time_of(chain), begin_s, since, rows[chain].times())

    def _end(self, lag_s: int, step_s: int) -> int:
        """Give the time at which also the last row has been seen and held."""
        held = (max([rule.hold for rule in self._rules], default=1) - 1) * self._every * step_s
        return self._grid_of_reference.evaluated(self._data.last_s + lag_s, self._every) + held

    def go(self, told: Callable[[float], None]) -> None:
        """Evaluate every block whose turn it is."""
        start_s = self._grid_of_reference.start_s
        for time_s in self._times():
            for feed, lag_s in self._others:
                pin_s = feed.grid.at_or_before(time_s - lag_s)
                feed.feed(pin_s)
                feed.feed(feed.grid.at_or_after(pin_s + 1))
            self._feed.feed(time_s)
            self._take()
            if not self._evaluations % _TELL_EVERY:
                told((time_s - start_s) / (self.end_s - start_s))
        told(1.0)

    def _times(self) -> Iterable[int]:
        """Give the times of the blocks to evaluate, by what the schedule holds after each."""
        grid, times = self._grid_of_reference, self._turns.times
        marked = [grid.start_s] + ([self._attack.start_s] if self._attack else [])
        marks = sorted(grid.evaluated(time_s, self._every) for time_s in marked)
        now_s = marks[0]
        while now_s <= self.end_s:
            yield now_s
            if times is None:
                now_s = grid.evaluated(now_s + 1, self._every)
                continue
            following = [_next(times, now_s), _next(marks, now_s), self._awaited(now_s)]
            now_s = min((time_s for time_s in following if time_s is not None), default=self.end_s + 1)

    def _awaited(self, now_s: int) -> int | None:
        """Give when a true rule becomes held, or makes the edge of the next slot, if nothing changes."""
        if not self._schedule.steps:
            return None
        streaks, grid = self._schedule.steps[-1].streaks, self._grid_of_reference
        awaited: int | None = None
        for rule in self._rules:
            streak = streaks[rule.name]
            if not streak:
                continue
            after_s = now_s + 1
            if streak >= rule.hold:
                after_s = (now_s // rule.rearm_s + 1) * rule.rearm_s
            at_s = grid.evaluated(after_s, self._every)
            awaited = at_s if awaited is None else min(awaited, at_s)
        return awaited

    def _take(self) -> None:
        """Take the evaluation of the block that was fed."""
        evaluations = self._evaluator.advance()
        self._evaluations += len(evaluations)
        for edge in self._schedule.extend(evaluations):
            self._streaks[edge.rule].edges.append(edge)
        for step in self._schedule.steps[-len(evaluations) :] if evaluations else ():
            self._look(step)

    def _look(self, step: Step) -> None:
        is_attacked = self._attack is not None and step.block.timestamp >= self._attack.start_s
        for rule in self._rules:
            known = self._streaks[rule.name]
            known.is_always_true = known.is_always_true and step.streaks[rule.name] > 0
            if is_attacked and known.detected is None and step.streaks[rule.name] >= rule.hold:
                known.detected = step.block

    def seen(self) -> Seen:
        """Give what the run saw."""
        grid, attack = self._grid_of_reference, self._attack
        return Seen(
            first_s=self._data.first_s,
            end_s=self.end_s,
            rows=len(self._data),
            evaluations=self._evaluations,
            attack=attack,
            attack_block=None if attack is None else grid.number(attack.start_s),
            rules={
                name: RuleSeen(tuple(edge.block for edge in each.edges), each.detected, each.is_always_true)
                for name, each in self._streaks.items()
            },
        )


def _next(times: Sequence[int], after_s: int) -> int | None:
    index = bisect_right(times, after_s)
    return times[index] if index < len(times) else None
