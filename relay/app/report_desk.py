"""What outsiders and monitors tell this node to report, and what may be reported (plans SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from proofs.reports import Report, Subject, subject_digest
from relay.api import Json, Monitor, ReportPorts, ReportRequest, SignalRefused
from relay.config import MonitorSettings
from relay.core.errors import ConfigError
from relay.core.events import Event, ReportTold
from relay.core.node import Node
from relay.core.reports import ReportDrop
from relay.core.room import Room
from relay.core.types import Digest, Millis, PlanHash
from relay.keys import ReporterKey, open_reporter_key

__all__ = ["MonitorKeys", "ReportDesk", "check_monitors", "open_monitors"]

_REMEDIES: Mapping[ReportDrop, str] = {
    ReportDrop.OTHER_NETWORK: "sign for this node's network",
    ReportDrop.UNKNOWN_PLAN: "ask the node for its plans: GET /v1/reports",
    ReportDrop.NOT_IN_FORCE: "sign for the plan that is registered now",
    ReportDrop.UNKNOWN_NAME: "ask the node for the names: GET /v1/reports",
    ReportDrop.UNKNOWN_REPORTER: "the plan must name this key among its reporters",
    ReportDrop.OLD: "sign for a block of the present slot: GET /v1/reports",
    ReportDrop.REPEATED: "",
    ReportDrop.MANY_OPEN: "wait for the next slot",
    ReportDrop.MANY_UNSEEN: "name a block that this node has read",
    ReportDrop.BAD_SIGNATURE: "sign the subject's canonical bytes with the key that is named",
}


@dataclass(frozen=True, slots=True)
class MonitorKeys:
    """A configured monitor with its secrets."""

    settings: MonitorSettings
    secret: bytes
    key: ReporterKey

    def __repr__(self) -> str:
        return f"MonitorKeys({self.settings.name})"


def open_monitors(monitors: Sequence[MonitorSettings]) -> tuple[MonitorKeys, ...]:
    """Read the secrets of the monitors.

    Raises:
        ConfigError: a file is missing, open to others or of another form.
    """
    return tuple(
        MonitorKeys(each, each.secret(), open_reporter_key(each.reporter_key_file)) for each in monitors
    )


def check_monitors(node: Node, monitors: Sequence[MonitorKeys]) -> None:
    """Refuse a monitor whose findings no plan of this node would take.

    Raises:
        ConfigError: no plan has this protocol and report, or none names the key.
    """
    for monitor in monitors:
        settings = monitor.settings
        named = [room for room in node.rooms.values() if room.compiled.plan.protocol == settings.plan]
        reports = [room.compiled.plan.reports.get(settings.report) for room in named]
        where = f"monitors.{settings.name}"
        if not any(reports):
            raise ConfigError(
                where,
                f"expected a plan of {settings.plan} with reports named {settings.report}, got none",
                remedy="add [[reports]] to the plan, or correct plan and report",
            )
        if not any(each is not None and monitor.key.public in each.reporters for each in reports):
            raise ConfigError(
                where,
                f"expected a plan that names {monitor.key.name} as reporter of {settings.report}, got none",
            )


@dataclass(frozen=True, slots=True)
class ReportDesk:
    """Turns what is told into reports; `put` gives events to the node, `clock` is ours in milliseconds."""

    node: Node
    monitors: Mapping[str, MonitorKeys]
    put: Callable[[Event], Awaitable[None]]
    clock: Callable[[], Millis]

    def ports(self) -> ReportPorts:
        """Give what the HTTP interface asks."""
        return ReportPorts(
            overview=self.overview,
            tell=self.tell,
            monitors={
                name: Monitor(each.secret, each.settings.id_path) for name, each in self.monitors.items()
            },
            found=self.found,
            clock_ms=self.clock,
        )

    async def tell(self, request: ReportRequest) -> str:
        """Take what a reporter signed himself; gives the subject's id.

        Raises:
            SignalRefused: no member would take it; says why.
        """
        network = self.node.committees.network
        subject = Subject(
            network,
            PlanHash(request.plan_hash),
            request.name,
            Digest(request.block),
            Digest(request.report_id),
        )
        return await self._say(Report(subject, request.reporter, request.signature))

    async def found(self, name: str, report_id: bytes) -> str:
        """Sign, with the key that is kept for a monitor, the subject of what it found; gives its id.

        Where another subject of this occasion is open, that one is signed.

        Raises:
            SignalRefused: no plan of the monitor is in force, or no member would take it.
        """
        monitor = self.monitors[name]
        settings = monitor.settings
        for plan_hash, room in self.node.rooms.items():
            plan = room.compiled.plan
            if plan.protocol == settings.plan and settings.report in plan.reports and room.is_in_force():
                subject = self.node.book.reports.subject_for(
                    plan_hash, settings.report, Digest(report_id), monitor.key.public
                )
                if subject is not None:
                    return await self._say(monitor.key.sign(subject))
        raise SignalRefused(f"expected a plan of {settings.plan} in force with {settings.report}, got none")

    async def _say(self, report: Report) -> str:
        reason = self.node.book.reports.refusal(report, self.node.settings.me)
        if reason is ReportDrop.REPEATED:
            return subject_digest(report.subject).hex()
        if reason is not None:
            remedy = _REMEDIES[reason]
            raise SignalRefused(f"{reason.value}: {remedy}" if remedy else reason.value)
        await self.put(ReportTold(report, self.clock()))
        return subject_digest(report.subject).hex()

    def overview(self) -> Sequence[Mapping[str, Json]]:
        """Tell what may be reported now, by plan and name."""
        return [
            shown
            for plan_hash, room in self.node.rooms.items()
            for name in room.compiled.plan.reports
            if (shown := self._shown(plan_hash, room, name))
        ]

    def _shown(self, plan_hash: PlanHash, room: Room, name: str) -> Mapping[str, Json]:
        plan, block = room.compiled.plan, room.block_to_name()
        reports = plan.reports[name]
        opened = [each for each in self.node.book.reports.open(plan_hash) if each.subject.name == name]
        return {
            "network": self.node.committees.network.hex(),
            "plan_hash": plan_hash.hex(),
            "protocol": plan.protocol,
            "in_force": room.is_in_force(),
            "report": name,
            "need": reports.need,
            "reporters": [f"ed25519:{each.hex()}" for each in reports.reporters],
            "block": None if block is None else {"hash": block.hash.hex(), "number": block.number},
            "open": [
                {
                    "id": subject_digest(each.subject).hex(),
                    "report_id": each.subject.report_id.hex(),
                    "block": each.subject.block.hex(),
                    "reporters": [f"ed25519:{reporter.hex()}" for reporter in each.reporters],
                }
                for each in opened
            ],
        }
