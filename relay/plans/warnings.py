"""What a plan's writer should know, though nothing refuses it (plans SPEC 2). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from relay.core.compiled import CompiledPlan
from relay.core.expressions import Condition
from relay.core.observations import ReadKind
from relay.core.plan import Mode, Plan, StateMetric, Verb
from relay.core.words import span
from relay.plans.bounds import longest_run
from relay.plans.directions import tokens_of

__all__ = ["Warned", "warnings"]

FRESH_S = 7 * 86_400
SHADOW_DAYS = 30
LONG_RUN_S = 30 * 86_400

Warned = tuple[str, str, str]
"""The key, what is to be known, and what can be done about it."""


def warnings(compiled: CompiledPlan, rehearsed_ago_s: int | None) -> tuple[Warned, ...]:
    """Give what is not refused and should be known, in the order of the file's parts.

    `rehearsed_ago_s` is the age of the newest rehearsal of this plan in which all held, or None.
    """
    plan = compiled.plan
    return (
        *_about_chains(plan),
        *_about_unused(compiled),
        *_about_rules(compiled),
        *_about_acts(plan),
        *_about_time(compiled),
        *_about_mode(plan, rehearsed_ago_s),
    )


def _about_chains(plan: Plan) -> Iterator[Warned]:
    used = {
        (act.text.chain, target.lower())
        for act in plan.acts.values()
        for target in (act.text.target, act.text.state_target)
        if target is not None
    }
    for chain, each in plan.chains.items():
        for target in each.targets:
            if (chain, target.lower()) not in used:
                yield f'chains."{chain}".targets', f"no act uses {target}", "take it off the list"


def _about_unused(compiled: CompiledPlan) -> Iterator[Warned]:
    """What nothing uses was perhaps meant somewhere."""
    plan, conditions = compiled.plan, _conditions(compiled)
    read = {name for condition in conditions for name in condition.reads}
    read |= {link.exposure for link in plan.listen if link.exposure is not None}
    named = {token for condition in conditions for token in tokens_of(condition.text)}
    ladders = [rule.ladder for rule in plan.rules.values()]
    ladders += [link.ladder for link in plan.listen]
    ladders += [report.ladder for report in plan.reports.values()]
    decided = {act for ladder in ladders for rung in ladder for act in rung.acts}
    for name in sorted(plan.limits.keys() - named):
        yield f"limits.{name}", "no condition uses it", "take it out, or use it where it was meant"
    for name in sorted(plan.metrics.keys() - read):
        yield f"metrics.{name}", "no condition reads it", "take it out, or read it where it was meant"
    for name in sorted(plan.acts.keys() - decided):
        yield f"acts.{name}", "no ladder names it: it never comes", "take it out, or name it in a ladder"
    if not ladders:
        yield "rules", "no rule, link or report: this plan never acts", "write at least one rule"


def _conditions(compiled: CompiledPlan) -> tuple[Condition, ...]:
    release = () if compiled.release is None else (compiled.release,)
    links = (link.when for link in compiled.links.values())
    return (*compiled.rules.values(), *links, *compiled.reports.values(), *release)


def _about_rules(compiled: CompiledPlan) -> Iterator[Warned]:
    for name, condition in compiled.rules.items():
        metrics = (compiled.plan.metrics[metric] for metric in condition.reads)
        oracles = {
            (metric.chain, metric.read.address.lower())
            for metric in metrics
            if isinstance(metric, StateMetric) and metric.read.kind is ReadKind.ORACLE
        }
        if len(oracles) == 1:
            ((_, address),) = oracles
            yield (
                f"rules.{name}.when",
                f"one provider's oracle, {address}, decides alone: a false reading is an alarm",
                "compare it with a second source, or hold it for several samples",
            )


def _about_acts(plan: Plan) -> Iterator[Warned]:
    for name, act in plan.acts.items():
        if act.verb is Verb.PAUSE:
            yield (
                f"acts.{name}.verb",
                "a pause also stops repayments and liquidations: debts grow meanwhile",
                "see whether rate-limit, cap or disable-collateral is enough, or a grace time for borrowers",
            )
        if act.verb is not Verb.DRILL and act.text.undo is None and act.text.restore is None:
            yield (
                f"acts.{name}.undo",
                "no undo: what it does stays until the protocol itself takes it back",
                "give `undo`, or `restore` for a value",
            )


def _about_time(compiled: CompiledPlan) -> Iterator[Warned]:
    budget = compiled.plan.budget
    run_s = longest_run(budget.frozen_time_s, budget.window_s)
    if run_s is None or run_s > LONG_RUN_S:
        how_long = "without end" if run_s is None else span(run_s)
        yield (
            "budget.frozen_time",
            f"an act may stand {how_long} without a break, if it is renewed",
            "see whether people can be kept out for less: 21 d is the default, of 30",
        )
    if compiled.release is not None and not compiled.release.reads:
        yield (
            "release.when",
            "reads no metric: acts end early whether or not the cause is gone",
            "ask for what shows that it has healed",
        )


def _about_mode(plan: Plan, rehearsed_ago_s: int | None) -> Iterator[Warned]:
    if plan.mode is not Mode.ARMED:
        return
    if rehearsed_ago_s is None or rehearsed_ago_s > FRESH_S:
        known = "none" if rehearsed_ago_s is None else f"one {rehearsed_ago_s // 86_400} d old"
        yield (
            "mode",
            f"armed without a rehearsal of this version younger than 7 d in which all held, got {known}",
            "tocsin plan rehearse FILE --fork URL",
        )
    yield (
        "mode",
        f"armed: whether it ran {SHADOW_DAYS} d in shadow cannot be told from a file",
        "see the shadow decisions of a node that had it: tocsin incident list",
    )
