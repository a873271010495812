"""What a node tells of a plan at work: its newest values, and its links with what is at stake."""

from __future__ import annotations

from collections.abc import Mapping

from relay.api import Json
from relay.core.evaluate import Evaluation
from relay.core.node import Node
from relay.core.plan import Listen, Plan
from relay.core.room import Room
from relay.core.types import BlockRef

__all__ = ["plan_report"]


def plan_report(node: Node, room: Room) -> Mapping[str, Json]:
    """Give a plan's short form, with the metrics at the newest block of its reference chain that was read."""
    plan = room.compiled.plan
    steps = room.schedule.steps
    tip = node.views[plan.clock.reference].tip
    newest = None if tip is None else room.evaluator.evaluate_at(tip)
    edges: dict[str, Json] = {
        rule: count for (owner, rule), count in node.edges.items() if owner == plan.hash
    }
    return {
        "protocol": plan.protocol,
        "version": plan.version,
        "mode": plan.mode.value,
        "hash": plan.hash.hex(),
        "plan": f"{plan.clock.reference}:{plan.chains[plan.clock.reference].gateway}",
        "edges": edges,
        "evaluated": _block(steps[-1].block) if steps else None,
        "metrics": _metrics(plan, newest),
        "links": [_link(plan, link, newest) for link in plan.listen],
    }


def _metrics(plan: Plan, newest: Evaluation | None) -> Mapping[str, Json]:
    """Each metric by name; None where it has no value there, or faulted."""
    found: dict[str, Json] = {}
    for name in plan.metrics:
        value = None if newest is None else newest.values.get(name)
        found[name] = dict(value) if isinstance(value, Mapping) else value
    return found


def _link(plan: Plan, link: Listen, newest: Evaluation | None) -> Mapping[str, Json]:
    exposure = None if link.exposure is None else plan.metrics[link.exposure]
    value = None if newest is None or exposure is None else newest.values.get(exposure.name)
    return {
        "name": link.name,
        "plan": link.plan,
        "shares": link.shares,
        "when": link.when,
        "acts": list(link.ladder[0].acts),
        "max_hops": link.max_hops,
        "exposure": link.exposure,
        "at_stake": value if isinstance(value, int) else None,
        "unit": "" if exposure is None else exposure.unit,
    }


def _block(block: BlockRef) -> Mapping[str, Json]:
    return {
        "chain": block.chain,
        "number": block.number,
        "hash": block.hash.hex(),
        "timestamp": block.timestamp,
    }
