"""Trying a plan whose text is right: its spans, its rules now, its rules over data (plans SPEC 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.cli.findings import Finding
from relay.cli.gateway_reading import has_node
from relay.cli.node_files import this_node
from relay.cli.plan import read_plan_text
from relay.cli.plan_reading import read_now, rpc_by_chain
from relay.cli.settings import Settings
from relay.core.compiled import CompiledPlan
from relay.core.errors import ConfigError, PlanError
from relay.core.evaluate import Outcome, RuleOutcome
from relay.core.expressions import Result
from relay.core.plan import Plan
from relay.core.plan_source import Source
from relay.core.plan_spans import check_spans
from relay.core.ports import ChainSettings
from relay.core.types import Caip2
from relay.plans.judging import unjudged_rules, unknown_metrics
from relay.plans.survey import placed

__all__ = ["Trial", "over_data", "spans", "true_always", "true_now"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What the options of `plan check` ask for."""

    rpc: tuple[str, ...] = ()
    live: bool = False
    blocks: int = 1
    data: tuple[Path, ...] = ()
    maps: tuple[str, ...] = ()
    block_times: tuple[str, ...] = ()
    finalities: tuple[str, ...] = ()


def spans(settings: Settings, plan: Plan, trial: Trial, where: str) -> list[Finding]:
    """Tell what is too short for the plan's chains; block times are those of node.toml where it has them."""
    known = {each.chain: each.block_time_ms / 1_000 for each in _node_chains(settings)}
    times = known | by_chain(trial.block_times, "--block-time", plan)
    given = by_chain(trial.finalities, "--finality", plan)
    finality = {chain: round(value) for chain, value in given.items()}
    source = Source(where, read_plan_text(Path(where)))
    errors = (placed(error, source) for error in check_spans(plan, times, finality))
    found = [Finding(error.where, False, error.problem, error.remedy) for error in errors]
    reference = plan.clock.reference
    if plan.release is not None and reference not in times:
        problem = f"could not tell whether it is long enough without the block time of {reference}"
        found.append(Finding("release.hold", None, problem, "give --block-time SECONDS"))
    return found


def _node_chains(settings: Settings) -> Sequence[ChainSettings]:
    return this_node(settings).chains if has_node(settings) else ()


def by_chain(texts: Sequence[str], option: str, plan: Plan) -> dict[Caip2, float]:
    """Read `[CHAIN=]S`; without a chain it is of every chain of the plan.

    Raises:
        ConfigError: another text, or a chain that the plan does not have.
    """
    found: dict[Caip2, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            seconds = float(number)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= 30 * 86_400:
            raise ConfigError(option, f"expected [CHAIN=]SECONDS, got {text!r}")
        if name and name not in plan.chains:
            raise ConfigError(option, f"expected a chain of the plan ({', '.join(plan.chains)}), got {name}")
        found |= {chain: seconds for chain in plan.chains if name in ("", chain)}
    return found


def true_always(compiled: CompiledPlan, where: str) -> list[Finding]:
    """Tell which rules are true whatever the chains say: they read nothing, and would act in every slot."""
    source = Source(where, read_plan_text(Path(where)))
    problem = "expected a condition that reads a metric, got one that is true at every block"
    return [
        _refused(f"rules.{name}.when", problem, "it would act as soon as the plan is registered", source)
        for name, condition in compiled.rules.items()
        if not condition.reads and condition.evaluate({}) is Result.TRUE
    ]


def _refused(key: str, problem: str, remedy: str, source: Source) -> Finding:
    error = placed(PlanError(key, problem, remedy=remedy), source)
    return Finding(error.where, False, error.problem, error.remedy)


def true_now(settings: Settings, compiled: CompiledPlan, trial: Trial, where: str) -> list[Finding]:
    """Evaluate every rule at the newest block: one that is true there would act at once."""
    source = Source(where, read_plan_text(Path(where)))
    chains = rpc_by_chain(settings, tuple(compiled.plan.chains), trial.rpc)
    reading = read_now(compiled, chains, trial.blocks)
    block = reading.block
    if reading.evaluation is None:
        since = compiled.plan.chains[block.chain].since
        problem = f"could not tell at block {block.number} of {block.chain}: blocks count from {since} on"
        remedy = "set `since` to a block that the chain has"
        return [Finding(f"rules.{name}", None, problem, remedy) for name in compiled.rules]
    unjudged = unjudged_rules(compiled, unknown_metrics(compiled.plan, reading.read))
    return [
        _rule_now(name, outcome, unjudged.get(name), f"at block {block.number} of {block.chain}", source)
        for name, outcome in reading.evaluation.rules.items()
    ]


def _rule_now(
    name: str, outcome: RuleOutcome, unknown: tuple[str, ...] | None, where: str, source: Source
) -> Finding:
    if unknown or outcome.outcome is Outcome.ABSTAIN:
        missing = ", ".join(unknown or outcome.reads)
        problem = f"could not tell {where}: {missing} needs blocks or chains that were not read"
        return Finding(f"rules.{name}", None, problem, "read more --blocks, of every chain; or give --data")
    if outcome.effective:
        faults = f"; {', '.join(outcome.faulted)} cannot be read" if outcome.faulted else ""
        problem = f"expected a rule that is false {where}, got {outcome.outcome.value}{faults}"
        return _refused(f"rules.{name}", problem, "it would act as soon as the plan is registered", source)
    if outcome.faulted:
        problem = f"could not tell {where}: {', '.join(outcome.faulted)} cannot be read"
        return Finding(f"rules.{name}", None, problem, "see the metric's address and call")
    return Finding(f"rules.{name}", True, f"false {where}")


def over_data(compiled: CompiledPlan, trial: Trial, where: str) -> list[Finding]:
    """Evaluate every rule at every block of the data: one that always holds tells nothing."""
    from relay.plans.backtest import DEFAULT_BLOCK_TIME_S, GridSettings, holds_throughout
    from relay.plans.feed import missing_data
    from relay.plans.tables import load_tables

    source = Source(where, read_plan_text(Path(where)))
    data = load_tables(trial.data, compiled.plan, _mapping(trial.maps))
    given = by_chain(trial.block_times, "--block-time", compiled.plan)
    times = {chain: max(1, round(seconds)) for chain, seconds in given.items()}
    grid = GridSettings(DEFAULT_BLOCK_TIME_S, times, allows_missing=True)
    always = holds_throughout(compiled, data, grid)
    unjudged = unjudged_rules(compiled, frozenset(missing_data(compiled, data)))
    found: list[Finding] = []
    for name in compiled.rules:
        if name in unjudged:
            problem = f"could not tell over the data: they have nothing of {', '.join(unjudged[name])}"
            found.append(Finding(f"rules.{name}", None, problem, "add a table with it"))
        elif name in always:
            problem = "expected a rule that is false somewhere in the data, got one that holds throughout"
            found.append(_refused(f"rules.{name}", problem, "move its limit: it tells nothing", source))
        else:
            found.append(Finding(f"rules.{name}", True, "does not hold throughout the data"))
    return found


def _mapping(pairs: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        column, mark, name = pair.partition("=")
        if not mark or not column or not name:
            raise ConfigError("--map", f"expected COLUMN=NAME, got {pair!r}")
        found[column] = name
    return found
