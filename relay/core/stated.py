"""The decisions that a log or bundle speaks of, found again: what a link follows, and how a run began.

Whoever fills a log may state any decision, and many: what is asked here costs no more in a long log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proofs.decision import Decision, decision_id
from proofs.mandate import Op
from relay.core.compiled import CompiledPlan
from relay.core.decisions import is_linked
from relay.core.plan import MAX_HOPS
from relay.core.types import DecisionId, NetworkId, PlanHash

__all__ = ["StatedDecisions", "Step", "Way"]

Step = tuple[CompiledPlan, Decision]


@dataclass(frozen=True, slots=True)
class Way:
    """What a link follows: its parent, and what that follows in turn, up to a decision that no link made.

    `hops` is how many there are; `steps` are the nearest of them, at most one more than any link may be down.
    """

    steps: tuple[Step, ...]
    hops: int


class StatedDecisions:
    """All decisions that were stated under plans that are known, by id and by run."""

    def __init__(
        self, network: NetworkId, plans: Mapping[PlanHash, CompiledPlan], decisions: Iterable[Decision]
    ) -> None:
        self._steps: dict[DecisionId, Step] = {}
        self._hops: dict[DecisionId, int | None] = {}
        begun_s: dict[tuple[PlanHash, str], set[int]] = {}
        for decision in dict.fromkeys(decisions):
            compiled = plans.get(decision.plan_hash)
            # An id leaves out the anchor's chain: where it is not the plan's, a liar restated the decision.
            if compiled is None or decision.anchor.chain != compiled.plan.clock.reference:
                continue
            self._keep(decision_id(network, decision), (compiled, decision))
            if decision.op is Op.PROTECT and decision.rung == 0:
                begun_s.setdefault((decision.plan_hash, decision.subject), set()).add(
                    decision.anchor.timestamp
                )
        self._begun_s = {run: sorted(times_s) for run, times_s in begun_s.items()}

    def first_rung_s(self, decision: Decision, rearm_s: int) -> int | None:
        """Give when the earliest first rung was anchored of which `decision` may be a later one, if any."""
        at_s = decision.anchor.timestamp
        times_s = self._begun_s.get((decision.plan_hash, decision.subject), [])
        place = bisect_right(times_s, at_s - rearm_s)
        return times_s[place] if place < len(times_s) and times_s[place] <= at_s else None

    def way_to(self, parent_id: DecisionId) -> Way | None:
        """Give the way to a link's parent; None where a decision on it or its plan is not here."""
        hops = self._hops_to(parent_id)
        if hops is None:
            return None
        steps: list[Step] = []
        found: DecisionId | None = parent_id
        while found is not None and len(steps) <= MAX_HOPS:
            steps.append(self._steps[found])
            found = _above(steps[-1])
        return Way(tuple(steps), hops)

    def _keep(self, found: DecisionId, step: Step) -> None:
        """Of several of one id keep the latest: one that was stated allows for what follows it."""
        known = self._steps.get(found)
        if known is None or known[1].anchor.timestamp < step[1].anchor.timestamp:
            self._steps[found] = step

    def _hops_to(self, parent_id: DecisionId) -> int | None:
        """Count the plans on the way, each decision once; ids are hashes, so no way is a circle."""
        passed: list[DecisionId] = []
        found: DecisionId | None = parent_id
        while found is not None and found not in self._hops:
            passed.append(found)
            step = self._steps.get(found)
            if step is None:
                self._hops[passed.pop()] = None
                break
            found = _above(step)
        hops = 0 if found is None else self._hops[found]
        for each in reversed(passed):
            hops = None if hops is None else hops + 1
            self._hops[each] = hops
        return hops


def _above(step: Step) -> DecisionId | None:
    """Give the decision that this one follows. Reports rest on a subject, which is none: a way ends there."""
    decision = step[1]
    return decision.parent if is_linked(decision) else None
