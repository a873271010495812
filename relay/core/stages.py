"""In which order acts are released (plans SPEC 1.4)."""

from __future__ import annotations

from relay.core.plan import Plan

__all__ = ["stages_before"]


def stages_before(plan: Plan, name: str) -> tuple[str, ...]:
    """Give the acts of all stages before that of an act; an act that no stage names is of the first."""
    stages = () if plan.release is None else plan.release.stages
    stage_of = {act: number for number, acts in enumerate(stages) for act in acts}
    own = stage_of.get(name, 0)
    return tuple(act for act in plan.acts if stage_of.get(act, 0) < own)
