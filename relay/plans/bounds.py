"""How long a budget lets anything be frozen. Pure arithmetic.

A gateway books frozen seconds in fixed windows, summed over acts, and any two adjacent windows together stay
within the cap (the gateway's own document, section 3). So no sliding window exceeds it. Without a break one
act can be frozen for the cap if that is shorter than a window; for `2 · cap - window` if it is between one
and two windows (a full window, and the rest on either side of it); and without end from two windows on.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bound", "bound", "longest_run", "within"]


@dataclass(frozen=True, slots=True)
class Bound:
    """By one kind of mandate: in any window, in any two windows' time, and without a break (None: no end)."""

    window_s: int
    two_windows_s: int
    run_s: int | None


def longest_run(cap_s: int, window_s: int) -> int | None:
    """How long one act can be frozen without a break; None where it has no end."""
    if cap_s >= 2 * window_s:
        return None
    return cap_s if cap_s <= window_s else 2 * cap_s - window_s


def bound(cap_s: int, window_s: int) -> Bound:
    """What a cap means for one act that takes all of it."""
    in_window = min(cap_s, window_s)
    return Bound(in_window, min(2 * cap_s, 2 * window_s), longest_run(cap_s, window_s))


def within(cap_s: int, window_s: int, span_s: int) -> int:
    """How much can be booked in any `span_s`: as many windows as cover it, and never more than it has."""
    windows = -(-span_s // window_s)
    return min(span_s, windows * min(cap_s, window_s))
