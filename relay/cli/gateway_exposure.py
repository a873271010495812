"""The longest time that anything could be frozen, as a gateway's numbers bound it. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.gateway_report import ActReport, GatewayReport, UndoKind
from relay.plans.bounds import Bound, bound, longest_run

FAST = 1


@dataclass(frozen=True, slots=True)
class ActBound:
    """One act: by one mandate, and renewed as far as the budget goes.

    `is_undone` is False where the gateway takes nothing back: then no budget bounds the effect.
    """

    act: ActReport
    once_s: int
    fast_run_s: int | None
    run_s: int | None
    is_undone: bool


@dataclass(frozen=True, slots=True)
class Exposure:
    """A gateway's bounds: by fast mandates alone, by both tiers, and act by act."""

    fast: Bound
    both: Bound
    acts: tuple[ActBound, ...]


def exposure(report: GatewayReport) -> Exposure:
    """The bounds of a gateway as its acts, skew and budget stand now."""
    acts = [act for act in report.acts if act.is_on]
    cap_s = report.budget.all_s if acts else 0
    # A fast charge is booked under both caps.
    fast_s = min(report.budget.fast_s, cap_s) if any(act.tier == FAST for act in acts) else 0
    fast, both = bound(fast_s, report.window_s), bound(cap_s, report.window_s)
    return Exposure(fast, both, tuple(_act(act, report, fast, both) for act in acts))


def _act(act: ActReport, report: GatewayReport, fast: Bound, both: Bound) -> ActBound:
    # A mandate's time may run ahead of this chain's by the skew, and the budget clips it.
    once_s = min(act.duration_s + report.skew_s, report.budget.all_s)
    return ActBound(
        act=act,
        once_s=once_s,
        fast_run_s=fast.run_s if act.tier == FAST else 0,
        run_s=both.run_s,
        is_undone=act.terms is not None and act.terms.undo is not UndoKind.NONE,
    )


__all__ = ["ActBound", "Bound", "Exposure", "bound", "exposure", "longest_run"]
