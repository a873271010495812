"""Whether a plan's spans suffice for the chains that it lives on (plans SPEC 2).

These are asked by `plan check` alone: how long a block takes and when it is final is known of a chain, not of
a plan, and a chain for practice may run a hundred times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proofs.mandate import Tier
from relay.core.errors import PlanError
from relay.core.plan import Plan, Verb
from relay.core.types import Caip2

FINALITY_S: Final = 900
"""Of a chain whose own is not known."""
FULL_PATIENCE_S: Final = 600
"""How long the full decision may take once its anchor is final."""
LANDING_S: Final = 120
"""How long a certified call may take to land."""


def check_spans(
    plan: Plan, block_time_s: Mapping[Caip2, float], finality_s: Mapping[Caip2, int]
) -> tuple[PlanError, ...]:
    """Give what is too short for these chains; `where` of each is a key of the plan.

    Without the block time of the reference chain the release's hold is not judged.
    """
    return (*_fast_acts(plan, finality_s), *_release(plan, block_time_s))


def least_fast_s(plan: Plan, finality_s: Mapping[Caip2, int]) -> int:
    """Give how long a fast act must last so that full protection can follow: twice what that may take.

    A full decision waits until its anchor and the blocks that it reads elsewhere are final, so the slowest
    chain of the plan counts.
    """
    slowest_s = max((finality_s.get(chain, FINALITY_S) for chain in plan.chains), default=FINALITY_S)
    return 2 * (slowest_s + FULL_PATIENCE_S + LANDING_S)


def _fast_acts(plan: Plan, finality_s: Mapping[Caip2, int]) -> tuple[PlanError, ...]:
    least_s = least_fast_s(plan, finality_s)
    return tuple(
        PlanError(
            f"acts.{name}.lasts",
            f"expected at least {least_s} s of a fast act, got {act.lasts_s} s",
            remedy=f"twice finality, {FULL_PATIENCE_S} s to sign and {LANDING_S} s to land: "
            "full protection must be able to follow while the fast one stands",
        )
        for name, act in plan.acts.items()
        if act.tier is Tier.FAST and act.verb is not Verb.DRILL and act.lasts_s < least_s
    )


def _release(plan: Plan, block_time_s: Mapping[Caip2, float]) -> tuple[PlanError, ...]:
    each_s = block_time_s.get(plan.clock.reference)
    if plan.release is None or each_s is None:
        return ()
    held_s = plan.release.hold * plan.clock.every * each_s
    least_s = plan.clock.mandate_fast_s
    if held_s >= least_s:
        return ()
    return (
        PlanError(
            "release.hold",
            f"expected at least {least_s} s, the life of a fast mandate, got {held_s:g} s: "
            f"{plan.release.hold} evaluations, each {plan.clock.every} blocks of {each_s:g} s",
            remedy="a certificate that somebody withheld would close again what was opened",
        ),
    )


__all__ = ["FINALITY_S", "FULL_PATIENCE_S", "LANDING_S", "check_spans", "least_fast_s"]
