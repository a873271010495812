"""The longest time that anything could be frozen, as a gateway's numbers bound it. Pure arithmetic.

The gateway books frozen seconds in fixed windows, summed over acts, and any two adjacent windows together
stay within the cap (adapters' gateway documents, section 3). So no sliding window exceeds it. Without a break
one act can be frozen for the cap if that is shorter than a window; for `2 · cap - window` if it is between
one and two windows (a full window, and the rest on either side of it); and without end from two windows on.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.gateway_report import ActReport, GatewayReport, UndoKind

FAST = 1


@dataclass(frozen=True, slots=True)
class Bound:
    """By one kind of mandate: in any window, in any two windows' time, and without a break (None: no end)."""

    window_s: int
    two_windows_s: int
    run_s: int | None


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


def longest_run(cap_s: int, window_s: int) -> int | None:
    """How long one act can be frozen without a break; None where it has no end."""
    if cap_s >= 2 * window_s:
        return None
    return cap_s if cap_s <= window_s else 2 * cap_s - window_s


def bound(cap_s: int, window_s: int) -> Bound:
    """What a cap means for one act that takes all of it."""
    in_window = min(cap_s, window_s)
    return Bound(in_window, min(2 * cap_s, 2 * window_s), longest_run(cap_s, window_s))


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
