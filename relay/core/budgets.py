"""How many decisions a link or reports may bring about in a window of a plan's budget (plans SPEC 1.5)."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["is_spent"]


def is_spent(others_s: Iterable[int], at_s: int, *, window_s: int, records: int) -> bool:
    """Tell whether an anchor at `at_s` would put more than `records` times into some window that holds it.

    `others_s` are the anchors' times that are spent already; decisions of one time, as of a fast rung and its
    full copy, are one record. Every window counts, not the one before the anchor alone: else whoever anchors
    backwards in time spends nothing.
    """
    times = sorted({at_s, *(each for each in others_s if abs(each - at_s) < window_s)})
    firsts = (first for first in times if first <= at_s)
    return any(sum(1 for each in times if 0 <= each - first < window_s) > records for first in firsts)
