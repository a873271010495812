"""What a plan must be beyond the form of its tables: references that hold, spans that fit (SPEC 5.4)."""

from __future__ import annotations

from proofs.mandate import Tier
from relay.core import plan as limits
from relay.core.plan import Plan, Rule
from relay.core.plan_tables import Source


def check_plan(plan: Plan, source: Source) -> None:
    """Refuse a plan that could not work, or would do more than it says.

    Raises:
        PlanError: with the key at fault.
    """
    _check_reference(plan, source)
    _check_metrics(plan, source)
    for rule in plan.rules.values():
        _check_ladder(plan, rule, source)
    _check_acts(plan, source)
    _check_release(plan, source)
    _check_budget(plan, source)
    _check_links(plan, source)


def _check_reference(plan: Plan, source: Source) -> None:
    reference = plan.clock.reference
    if reference not in plan.chains or plan.chains[reference].gateway is None:
        known = ", ".join(chain for chain, each in plan.chains.items() if each.gateway is not None) or "none"
        source.refuse(
            ("clock", "reference"), f"expected a chain of the plan with a gateway ({known}), got {reference}"
        )
    if plan.clock.mandate_full_s < plan.clock.mandate_fast_s:
        source.refuse(
            ("clock", "mandate_full_s"),
            f"expected at least mandate_fast_s, {plan.clock.mandate_fast_s}, got {plan.clock.mandate_full_s}",
        )


def _check_metrics(plan: Plan, source: Source) -> None:
    for metric in plan.metrics.values():
        if metric.chain not in plan.chains:
            source.refuse(
                ("metrics", metric.name, "chain"),
                f"expected a chain of the plan ({', '.join(plan.chains) or 'none'}), got {metric.chain}",
            )


def _check_ladder(plan: Plan, rule: Rule, source: Source) -> None:
    path = ("rules", rule.name)
    tiers = [rung.tier for rung in rule.ladder]
    if tiers != sorted(tiers):
        source.refuse((*path, "ladder"), "expected the least harm first, got a fast rung after a full one")
    named = [act for rung in rule.ladder for act in rung.acts]
    if len(set(named)) != len(named):
        source.refuse((*path, "ladder"), "expected each act in one rung only, got one twice")
    if (len(rule.ladder) - 1) * rule.step_s >= rule.rearm_s:
        source.refuse(
            (*path, "step"),
            f"expected the last of {len(rule.ladder)} rungs within rearm, {rule.rearm_s} s, "
            f"got {rule.step_s} s each",
        )
    for act in named:
        # A rule that stays true decides anew in every slot; an act must outlast the slot and the one after
        # it, or protection lapses between two decisions.
        if plan.acts[act].lasts_s < 2 * rule.rearm_s:
            source.refuse(
                ("acts", act, "lasts"),
                f"expected at least twice the rearm of rule {rule.name}, {2 * rule.rearm_s} s, "
                f"got {plan.acts[act].lasts_s} s",
            )


def _check_acts(plan: Plan, source: Source) -> None:
    for name, act in plan.acts.items():
        is_endless = act.text.undo is None and act.text.restore is None
        if is_endless and act.lasts_s > limits.FAST_CAP_S:
            source.refuse(
                ("acts", name, "lasts"),
                f"expected at most {limits.FAST_CAP_S} s of an act without undo or restore, "
                f"got {act.lasts_s} s",
                remedy="no call of ours ends such an act, its target must: it cannot claim a long duration",
            )


def _check_release(plan: Plan, source: Source) -> None:
    if plan.release is None:
        return
    longest = max((rule.hold for rule in plan.rules.values()), default=1)
    if plan.release.hold < longest:
        source.refuse(
            ("release", "hold"),
            f"expected at least the longest hold of a rule, {longest}, got {plan.release.hold}",
            remedy="opening must not be easier than closing",
        )


def _check_budget(plan: Plan, source: Source) -> None:
    budget = plan.budget
    if not budget.fast_time_s <= budget.frozen_time_s <= budget.window_s:
        source.refuse(
            ("budget", "frozen_time"),
            "expected fast_time <= frozen_time <= window, "
            f"got {budget.fast_time_s} s, {budget.frozen_time_s} s and {budget.window_s} s",
        )


def _check_links(plan: Plan, source: Source) -> None:
    own = plan.chains[plan.clock.reference].gateway
    for index, link in enumerate(plan.listen):
        path = ("listen", str(index))
        if any(link.name == other.name for other in plan.listen[:index]):
            source.refuse((*path, "name"), f"expected a name of its own, got {link.name} twice")
        if link.ladder[0].tier is not Tier.FAST:
            source.refuse((*path, "ladder"), "expected fast acts: what others saw authorises no heavier ones")
        if link.chain == plan.clock.reference and own is not None and link.gateway.lower() == own.lower():
            source.refuse((*path, "plan"), "expected another protocol's plan, got this one's own gateway")


__all__ = ["check_plan"]
