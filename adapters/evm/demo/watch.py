"""Following the incident through the members' own interfaces, as an operator would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.network import Member, Network
from adapters.evm.demo.report import ActReport
from adapters.evm.demo.show import Show

__all__ = ["Sighting", "Watcher", "edges_of"]

POLL_S: Final = 0.1
PROTECTED: Final = frozenset({"started", "extended", "noop"})


@dataclass(frozen=True, slots=True)
class Sighting:
    """A decision as one member tells of it."""

    id: str
    subject: str
    tier: str
    parent: str | None
    certified: bool
    anchor_number: int
    verdicts: Mapping[str, str]
    acts: tuple[ActReport, ...]
    judged_us: int
    certified_us: int
    threshold_signed_us: int
    """When one signature by the group key was complete; 0 where there was none."""
    act_times: Mapping[str, int] = field(default_factory=dict)
    """Chain time of each act's effect, by transaction."""


class Watcher:
    """Tells the story while it happens, from one member's view, and collects all views at the end."""

    def __init__(self, network: Network, show: Show) -> None:
        self._network = network
        self._show = show
        self._told: set[tuple[str, str]] = set()

    async def follow(self) -> None:
        """Tell what is new, until cancelled."""
        while True:
            for sighting in await self.sightings(self._network.members[0]):
                self._tell(sighting)
            await asyncio.sleep(POLL_S)

    async def sightings(self, member: Member) -> list[Sighting]:
        """Give every decision that a member knows of, oldest incident first."""
        listing = await self._network.ask(member, "/v1/incidents")
        found: dict[str, Sighting] = {}
        for incident in reversed(list(_objects(listing, "incidents"))):
            whole = await self._network.ask(member, f"/v1/incidents/{incident['id']}")
            if not isinstance(whole, dict):
                continue
            for decision in _objects(whole.get("incident"), "decisions"):
                sighting = _sighting(decision)
                found.setdefault(sighting.id, sighting)
        return list(found.values())

    def _tell(self, sighting: Sighting) -> None:
        name = f"{sighting.subject} ({sighting.tier})"
        if self._is_new(sighting.id, "opened"):
            self._show.say(f"  ● {name}: edge at block {sighting.anchor_number}", "bold yellow")
        for member, verdict in sorted(sighting.verdicts.items()):
            if self._is_new(sighting.id, f"{member} {verdict}"):
                self._show.say(f"      {member}: {verdict}s")
        timed = sighting.judged_us and sighting.certified_us
        if sighting.certified and timed and self._is_new(sighting.id, "certified"):
            wait_ms = (sighting.certified_us - sighting.judged_us) / 1_000
            self._show.say(f"  ✔ {name}: list of signatures after {wait_ms:,.1f} ms", "bold green")
        signed = sighting.judged_us and sighting.threshold_signed_us
        if signed and self._is_new(sighting.id, "threshold signed"):
            wait_ms = (sighting.threshold_signed_us - sighting.judged_us) / 1_000
            self._show.say(f"  ✔ {name}: one signature (FROST) after {wait_ms:,.1f} ms", "bold green")
        for act in sighting.acts:
            if self._is_new(sighting.id, act.tx):
                text = f"  ⛔ {act.act} on {act.chain}: {act.effect} in block {act.block}, {act.gas:,} gas"
                self._show.say(text, "bold cyan")

    def _is_new(self, *told: str) -> bool:
        key = (told[0], told[1])
        if key in self._told:
            return False
        self._told.add(key)
        return True


def edges_of(status: object) -> int:
    """Count the rule edges that a member has seen, from its status."""
    return sum(
        count
        for plan in _objects(status, "plans")
        for count in _mapping(plan.get("edges")).values()
        if isinstance(count, int)
    )


def _sighting(decision: Mapping[str, object]) -> Sighting:
    acts = [act for act in _objects(decision, "acts") if act.get("effect") in PROTECTED]
    times = _mapping(decision["timeline_us"])
    return Sighting(
        id=str(decision["id"]),
        subject=str(decision["subject"]),
        tier=str(decision["tier"]),
        parent=None if decision["parent"] is None else str(decision["parent"]),
        certified=decision["certified"] is True,
        anchor_number=_number(_mapping(decision["anchor"])["number"]),
        verdicts={name: str(verdict) for name, verdict in _mapping(decision["verdicts"]).items()},
        acts=tuple(_act(act) for act in acts),
        judged_us=_number(times.get("judged", 0)),
        certified_us=_number(times.get("certified", 0)),
        threshold_signed_us=_number(times.get("threshold_signed", 0)),
        act_times={str(act["tx"]): _number(_mapping(act["block"])["timestamp"]) for act in acts},
    )


def _act(act: Mapping[str, object]) -> ActReport:
    return ActReport(
        chain=str(act["chain"]),
        act=str(act["act"]),
        tx=str(act["tx"]),
        block=_number(_mapping(act["block"])["number"]),
        gas=_number(act["gas_used"]),
        effect=str(act["effect"]),
    )


def _objects(value: object, key: str) -> Iterator[Mapping[str, object]]:
    items = value.get(key) if isinstance(value, dict) else None
    for item in items if isinstance(items, list) else []:
        yield shapes.mapping(item)


def _mapping(value: object) -> Mapping[str, object]:
    return shapes.mapping(value)


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"expected a number, got {value!r}")  # noqa: TRY004 one error for all shapes
    return value
