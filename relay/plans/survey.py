"""All that is wrong with a plan file, at once (plans SPEC 2). Pure: text and adapters in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from relay.core.compiled import CompiledPlan, PlanCompiler, compile_plan
from relay.core.errors import PlanError
from relay.core.plan import Plan
from relay.core.plan_file import survey_plan
from relay.core.plan_source import Source

__all__ = ["TextSurvey", "placed", "survey_text"]

_STEP = re.compile(r'"([^"]*)"|([^."]+)')


@dataclass(frozen=True, slots=True)
class TextSurvey:
    """What came of a plan file: the plan where its form is right, compiled where nothing is wrong."""

    errors: tuple[PlanError, ...]
    plan: Plan | None = None
    compiled: CompiledPlan | None = None


def survey_text(text: str, where: str, adapters: Mapping[str, PlanCompiler]) -> TextSurvey:
    """Read a plan file and compile its parts, each by itself: one that is refused hides no other."""
    found = survey_plan(text, where=where)
    if not isinstance(found, Plan):
        return TextSurvey(found)
    plan, source = found, Source(where, text)
    errors = [placed(error, source) for error in _errors_of_parts(plan, adapters)]
    if errors:
        return TextSurvey(_sorted(errors), plan)
    try:
        return TextSurvey((), plan, compile_plan(plan, adapters))
    except PlanError as error:
        return TextSurvey((placed(error, source),), plan)


def _errors_of_parts(plan: Plan, adapters: Mapping[str, PlanCompiler]) -> Iterator[PlanError]:
    """Compile chains, metrics, acts and conditions one by one, each beside those that are in order."""
    bare = replace(plan, chains={}, metrics={}, acts={}, rules={}, release=None, listen=(), reports={})
    chains = dict(plan.chains)
    for chain, each in plan.chains.items():
        error = _error_of(replace(bare, chains={chain: each}), adapters)
        if error is not None:
            del chains[chain]
            yield error
    with_chains = replace(bare, chains=chains)
    sound = dict(plan.metrics)
    for name, metric in plan.metrics.items():
        # What stands on a refused chain is not refused a second time.
        error = _error_of(replace(with_chains, metrics={name: metric}), adapters)
        if error is not None:
            del sound[name]
            if metric.chain in chains:
                yield error
    yield from _errors_of_acts(plan, with_chains, adapters)
    unsound = plan.metrics.keys() - sound.keys()
    yield from _errors_of_conditions(plan, replace(with_chains, metrics=sound), unsound, adapters)


def _errors_of_acts(plan: Plan, bare: Plan, adapters: Mapping[str, PlanCompiler]) -> Iterator[PlanError]:
    for name, act in plan.acts.items():
        if act.text.chain in bare.chains:
            error = _error_of(replace(bare, acts={name: act}), adapters)
            if error is not None:
                yield error


def _errors_of_conditions(
    plan: Plan, bare: Plan, unsound: frozenset[str] | set[str], adapters: Mapping[str, PlanCompiler]
) -> Iterator[PlanError]:
    trials: list[tuple[str, Plan]] = [
        (rule.when, replace(bare, rules={name: rule})) for name, rule in plan.rules.items()
    ]
    trials += [(link.when, replace(bare, listen=(link,))) for link in plan.listen]
    trials += [
        (report.when, replace(bare, reports={name: report}))
        for name, report in plan.reports.items()
        if report.when is not None
    ]
    if plan.release is not None:
        trials.append((plan.release.when, replace(bare, release=plan.release)))
    for text, trial in trials:
        if unsound & set(re.findall(r"\w+", text)):
            continue
        error = _error_of(trial, adapters)
        if error is not None:
            yield error


def _error_of(plan: Plan, adapters: Mapping[str, PlanCompiler]) -> PlanError | None:
    try:
        compile_plan(plan, adapters)
    except PlanError as error:
        return error
    return None


def placed(error: PlanError, source: Source) -> PlanError:
    """Give an error about a key with the file and line where the key stands."""
    path = tuple(quoted or bare for quoted, bare in _STEP.findall(error.where))
    return source.error(path, error.problem, remedy=error.remedy)


def _sorted(errors: list[PlanError]) -> tuple[PlanError, ...]:
    """Each once, in the order of the lines."""
    distinct = {(error.where, error.problem): error for error in errors}.values()
    return tuple(sorted(distinct, key=lambda error: (error.line is None, error.line or 0)))
