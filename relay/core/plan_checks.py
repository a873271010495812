"""What a plan must be beyond the form of its tables: references that hold, spans that fit (SPEC 5.4).

Each check looks only at what is sound: an error that was noted must not make others.
"""

from __future__ import annotations

from relay.core import plan as limits
from relay.core.plan import Plan, Rule
from relay.core.plan_source import Source


def check_plan(plan: Plan, source: Source) -> None:
    """Note in `source` why the plan could not work, or would do more than it says."""
    _check_clock(plan, source)
    _check_names(plan, source)
    for rule in plan.rules.values():
        _check_ladder(rule, source)
        _check_durations(plan, rule, source)
    _check_undo(plan, source)
    _check_release(plan, source)
    _check_budget(plan, source)


def _check_clock(plan: Plan, source: Source) -> None:
    full, fast = plan.clock.mandate_full_s, plan.clock.mandate_fast_s
    if full < fast and source.is_sound(("clock", "mandate_full_s"), ("clock", "mandate_fast_s")):
        source.note(("clock", "mandate_full_s"), f"expected at least mandate_fast_s, {fast}, got {full}")


def _check_names(plan: Plan, source: Source) -> None:
    for name in sorted(plan.limits.keys() & plan.metrics.keys()):
        source.note(("limits", name), "expected a name that no metric has, got that of one")


def _check_ladder(rule: Rule, source: Source) -> None:
    path = ("rules", rule.name)
    named = [act for rung in rule.ladder for act in rung.acts]
    for act in sorted({act for act in named if named.count(act) > 1}):
        source.note((*path, "ladder"), f"expected each act in one rung only, got one twice: {act}")
    tiers = [rung.tier for rung in rule.ladder]
    if tiers != sorted(tiers) and source.is_sound(*(("acts", act, "tier") for act in named)):
        source.note((*path, "ladder"), "expected the least harm first, got a fast rung after a full one")
    is_known = source.is_sound((*path, "ladder"), (*path, "step"), (*path, "rearm"), ("clock", "rearm_s"))
    if (len(rule.ladder) - 1) * rule.step_s >= rule.rearm_s and is_known:
        source.note(
            (*path, "step"),
            f"expected the last of {len(rule.ladder)} rungs within rearm, {rule.rearm_s} s, "
            f"got {rule.step_s} s each",
        )


def _check_durations(plan: Plan, rule: Rule, source: Source) -> None:
    """Refuse an act that does not outlast the slot and the one after it.

    A rule that stays true decides anew in every slot: protection would lapse between two decisions.
    """
    if not source.is_sound(("rules", rule.name, "rearm"), ("clock", "rearm_s")):
        return
    for act in dict.fromkeys(act for rung in rule.ladder for act in rung.acts):
        path = ("acts", act, "lasts")
        if act not in plan.acts or not source.is_sound(path, ("acts", act, "tier")):
            continue
        if plan.acts[act].lasts_s < 2 * rule.rearm_s:
            source.note(
                path,
                f"expected at least twice the rearm of rule {rule.name}, {2 * rule.rearm_s} s, "
                f"got {plan.acts[act].lasts_s} s",
            )


def _check_undo(plan: Plan, source: Source) -> None:
    for name, act in plan.acts.items():
        path = ("acts", name)
        is_endless = act.text.undo is None and act.text.restore is None
        is_known = source.is_sound((*path, "lasts"), (*path, "tier"))
        if is_endless and act.lasts_s > limits.FAST_CAP_S and is_known:
            source.note(
                (*path, "lasts"),
                f"expected at most {limits.FAST_CAP_S} s of an act without undo or restore, "
                f"got {act.lasts_s} s",
                remedy="no call of ours ends such an act, its target must: it cannot claim a long duration",
            )


def _check_release(plan: Plan, source: Source) -> None:
    if plan.release is None or not source.is_sound(("release", "hold")):
        return
    longest = max((rule.hold for rule in plan.rules.values()), default=1)
    if plan.release.hold < longest:
        source.note(
            ("release", "hold"),
            f"expected at least the longest hold of a rule, {longest}, got {plan.release.hold}",
            remedy="opening must not be easier than closing",
        )


def _check_budget(plan: Plan, source: Source) -> None:
    budget = plan.budget
    path = ("budget", "frozen_time")
    if not source.is_sound(path, ("budget", "fast_time"), ("budget", "window")):
        return
    if not budget.fast_time_s <= budget.frozen_time_s <= budget.window_s:
        source.note(
            path,
            "expected fast_time <= frozen_time <= window, "
            f"got {budget.fast_time_s} s, {budget.frozen_time_s} s and {budget.window_s} s",
        )
    elif budget.frozen_time_s == budget.window_s:
        source.note(
            path,
            f"expected less than the window, {budget.window_s} s, got the whole of it",
            remedy="such a plan could act for ever: the budget is what ends it",
        )


__all__ = ["check_plan"]
