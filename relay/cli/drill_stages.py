"""What a drill has shown: the stages of its decision on every member that was asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

STAGES = ("judged", "certified", "submitted", "landed", "seen")
"""In the order of the way: the rule's edge, the certificate, a call handed over, in a block, read back."""


@dataclass(frozen=True, slots=True)
class DrillAct:
    """An act of the drill as one member reads it from the chain; `effect` is None while it is not there."""

    name: str
    chain: str
    effect: str | None
    block: int | None
    timestamp: int | None
    gas_used: int | None


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member's word on the drill; times are of its own clock, in microseconds since 1970."""

    member: str
    decision: str
    attesters: int
    stages_us: Mapping[str, int]
    acts: tuple[DrillAct, ...]

    @property
    def is_started(self) -> bool:
        """Whether an act of it has taken effect."""
        return any(act.effect is not None for act in self.acts)

    @property
    def is_complete(self) -> bool:
        """Whether every act has taken effect."""
        return bool(self.acts) and all(act.effect is not None for act in self.acts)


@dataclass(frozen=True, slots=True)
class DrillReport:
    """A drill from the request to the effect on every chain.

    `requested_us` is None where the request was somebody else's.
    """

    rule: str
    decision: str
    anchor_chain: str
    anchor_block: int
    anchor_timestamp: int
    requested_us: int | None
    views: tuple[MemberView, ...] = field(default=())

    @property
    def began_us(self) -> int:
        """The request, or the first member's edge."""
        edges = [view.stages_us["judged"] for view in self.views if "judged" in view.stages_us]
        return min(edges, default=0) if self.requested_us is None else self.requested_us

    @property
    def is_complete(self) -> bool:
        """Whether every member that was asked reads every act in effect."""
        return bool(self.views) and all(view.is_complete for view in self.views)

    def stage_ms(self, stage: str) -> tuple[float, float] | None:
        """First and last member's time of a stage since the beginning; None where nobody tells it."""
        times = [view.stages_us[stage] for view in self.views if stage in view.stages_us]
        if not times:
            return None
        return (min(times) - self.began_us) / 1_000, (max(times) - self.began_us) / 1_000

    def document(self) -> dict[str, object]:
        """The JSON form; times are milliseconds since the request."""
        stages = {stage: self.stage_ms(stage) for stage in STAGES}
        return {
            "rule": self.rule,
            "decision": self.decision,
            "complete": self.is_complete,
            "since": "request" if self.requested_us is not None else "first edge",
            "began_us": self.began_us,
            "anchor": {
                "chain": self.anchor_chain,
                "number": self.anchor_block,
                "timestamp": self.anchor_timestamp,
            },
            "stages_ms": {
                stage: {"first": round(times[0], 3), "last": round(times[1], 3)}
                for stage, times in stages.items()
                if times is not None
            },
            "members": [
                {
                    "member": view.member,
                    "attesters": view.attesters,
                    "stages_us": dict(view.stages_us),
                    "acts": [_act_document(act, self.anchor_timestamp) for act in view.acts],
                }
                for view in self.views
            ],
        }


def drill_decisions(incidents: Sequence[Mapping[str, object]], rule: str) -> Iterator[Mapping[str, object]]:
    """Give the protect decisions of a rule in these incident documents, as they come."""
    for incident in incidents:
        for decision in _objects(incident.get("decisions")):
            if decision.get("op") == "protect" and decision.get("subject") == rule:
                yield decision


def member_view(member: str, decision: Mapping[str, object]) -> MemberView:
    """Read one member's document of a decision; what it does not say is left out."""
    times = decision.get("timeline_us")
    stages = times if isinstance(times, dict) else {}
    attesters = decision.get("attesters")
    return MemberView(
        member=member,
        decision=str(decision.get("id", "")),
        attesters=attesters if isinstance(attesters, int) else 0,
        stages_us={name: at for name in STAGES if isinstance(at := stages.get(name), int)},
        acts=tuple(_act(act) for act in _objects(decision.get("acts"))),
    )


def make_report(
    rule: str, decision: Mapping[str, object], views: Sequence[MemberView], requested_us: int | None
) -> DrillReport:
    """Put the members' words on one decision together."""
    anchor = decision.get("anchor")
    block = anchor if isinstance(anchor, dict) else {}
    return DrillReport(
        rule=rule,
        decision=str(decision.get("id", "")),
        anchor_chain=str(block.get("chain", "")),
        anchor_block=_whole(block.get("number")) or 0,
        anchor_timestamp=_whole(block.get("timestamp")) or 0,
        requested_us=requested_us,
        views=tuple(views),
    )


def _act(act: Mapping[str, object]) -> DrillAct:
    block = act.get("block")
    place = block if isinstance(block, dict) else {}
    effect = act.get("effect")
    return DrillAct(
        name=str(act.get("act", "")),
        chain=str(act.get("chain", "")),
        effect=effect if isinstance(effect, str) else None,
        block=_whole(place.get("number")),
        timestamp=_whole(place.get("timestamp")),
        gas_used=_whole(act.get("gas_used")),
    )


def _act_document(act: DrillAct, since: int) -> dict[str, object]:
    return {
        "act": act.name,
        "chain": act.chain,
        "effect": act.effect,
        "block": act.block,
        "chain_seconds_after_anchor": None if act.timestamp is None else act.timestamp - since,
        "gas_used": act.gas_used,
    }


def _objects(value: object) -> list[Mapping[str, object]]:
    items = value if isinstance(value, list) else []
    return [{str(key): what for key, what in item.items()} for item in items if isinstance(item, dict)]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


__all__ = [
    "STAGES",
    "DrillAct",
    "DrillReport",
    "MemberView",
    "drill_decisions",
    "make_report",
    "member_view",
]
