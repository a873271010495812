"""The composition root: one relay node, from its configuration to its end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from relay.api import Api, ApiOptions, ApiPorts, SignalRefused, SignalRequest
from relay.app.assembly import (
    detector_settings,
    lane_config,
    load_committee,
    load_plans,
    make_node,
    replay_journal,
)
from relay.app.bundles import Bundles
from relay.app.deeds import Deeds, NodeStopped, Tools
from relay.app.inbox import Inbox
from relay.app.pump import Pump
from relay.app.reports import Reports
from relay.chains import load_adapters, open_chain
from relay.config import NodeConfig, load_committee_chain
from relay.core.errors import TocsinError
from relay.core.events import PeersSeen, SignalTold, Started
from relay.core.node import Node
from relay.core.types import DecisionId, Identity, Millis, PlanHash
from relay.detectors import Detector
from relay.gossip import Lane
from relay.journal import AuditLog, DiskLimits, Journal, count_boot
from relay.keys import LocalSigner, Secret, open_identity, open_signer
from relay.telemetry import Log, Telemetry, style_for

__all__ = ["NodeStopped", "run"]

PEERS_EVERY_S: Final = 1.0


async def run(config: NodeConfig, *, passphrase: Secret, ready: Callable[[str], None] | None = None) -> None:
    """Run a node until it is cancelled. `ready` is told the address of its interface once it serves.

    Raises:
        TocsinError: by who is at fault; the process is to end, and may be started again unless it is `NodeStopped`.
    """
    async with AsyncExitStack() as stack:
        try:
            await _run(config, passphrase, stack, ready)
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures


def wall_clock_ms() -> Millis:
    """Give the wall clock in milliseconds: what members say of themselves, never what they decide by."""
    return Millis(_wall_clock_us() // 1_000)


def _wall_clock_us() -> int:
    return time.time_ns() // 1_000  # noqa: TID251 - the one clock of the process, handed to everybody else


@dataclass(slots=True)
class Timeline:
    """When a decision was first judged and when its certificate was complete, in microseconds of our clock."""

    at_us: dict[bytes, dict[str, int]] = field(default_factory=dict)

    def note(self, decision_id: bytes, step: str) -> None:
        """Keep the first time of a step."""
        if len(self.at_us) < _MAX_TIMELINE or decision_id in self.at_us:
            self.at_us.setdefault(decision_id, {}).setdefault(step, _wall_clock_us())


_MAX_TIMELINE: Final = 4_096


async def _run(
    config: NodeConfig, passphrase: Secret, stack: AsyncExitStack, ready: Callable[[str], None] | None
) -> None:
    clock = wall_clock_ms
    telemetry = Telemetry(Log(sys.stderr, clock=clock, style=style_for(sys.stderr, os.environ)))
    committee = load_committee(config, telemetry)
    adapters = load_adapters()
    plans = load_plans(config, adapters)
    limits = DiskLimits(
        min_free_bytes=config.journal.min_free_bytes, ballast_bytes=config.journal.ballast_bytes
    )
    directory = config.directory
    journal = await stack.enter_async_context(
        Journal.open(directory.journal_file, clock=clock, limits=limits)
    )
    signer = await stack.enter_async_context(
        open_signer(directory.keys, guard_path=directory.guard_file, passphrase=passphrase)
    )
    node = make_node(config, committee, plans, signer.identity)
    member = committee.member(signer.identity)
    assert member is not None, "make_node has checked it"
    bundles = Bundles(node, load_committee_chain(directory.committee))
    events, entries, releasable = await replay_journal(node, journal, bundles.heard)
    audit = await AuditLog.open(
        journal, directory.log, origin=f"{committee.name}/{member.name}", log_key=signer.log_key
    )
    boot = await count_boot(journal, directory.instance_file)
    telemetry.notice("journal replayed", events=events, boot=boot.number)
    timeline = Timeline()
    seed = open_identity(directory.keys, passphrase)
    lane = await stack.enter_async_context(
        Lane.open(
            identity_seed=seed.reveal(), config=lane_config(config, committee, signer.identity), store=journal
        )
    )
    chains = {
        settings.chain: await stack.enter_async_context(open_chain(settings, adapters))
        for settings in config.chains
        if settings.chain in node.views
    }
    submitters = {
        settings.chain: await stack.enter_async_context(
            chains[settings.chain].adapter.submitter(settings, signer)
        )
        for settings in config.chains
        if settings.chain in chains
    }
    group = await stack.enter_async_context(asyncio.TaskGroup())
    watch = Watch(node, timeline)
    tools = Tools(committee, signer, lane, audit, submitters, telemetry, clock, watch.judged, watch.changed)
    deeds = Deeds(tools, group, put=_unset)
    pump = Pump(node, journal, deeds.perform, bundles.heard, clock)
    deeds.put = pump.put
    await pump.restore(entries)
    await audit.release(releasable)
    reports = Reports(node, lane, timeline.at_us)

    async def tell(request: SignalRequest) -> str:
        return await _tell(node, pump, request, clock())

    ports = ApiPorts(
        status=reports.status,
        incidents=reports.incidents,
        incident=reports.incident,
        bundle=partial(bundles.make, audit),
        readiness=reports.readiness,
        health=lambda: "",
        tell_signal=tell,
        metrics=telemetry.metrics.text,
    )
    options = ApiOptions(
        log_directory=directory.log, host=config.api.host, port=config.api.port, token=config.api.token()
    )
    api = await stack.enter_async_context(Api(options, ports))
    watch.publish = lambda name: api.publish("incident", reports.incident(name) or {})
    for chain, opened in chains.items():
        detector = Detector(opened.quorum, detector_settings(chain, node), pump.put)
        group.create_task(detector.run(), name=f"detector {chain}")
    inbox = Inbox(committee, journal, signer, telemetry, clock)
    group.create_task(inbox.run(lane, pump.put), name="inbox")
    group.create_task(_watch_peers(lane, node, pump, clock), name="peers")
    group.create_task(_publish(config, audit, signer, node, journal, clock), name="publish")
    telemetry.notice("serving", api=api.url, lane=lane.address)
    if ready is not None:
        ready(api.url)
    await pump.run(Started(clock(), boot.number, boot.instance))


class Watch:
    """Turns the node's `Changed` into updates for watchers, and notes the times of a decision's steps."""

    def __init__(self, node: Node, timeline: Timeline) -> None:
        self._node = node
        self._timeline = timeline
        self.publish: Callable[[str], None] = lambda name: None

    def judged(self, decision_id: bytes) -> None:
        """Take note that our own verdict on a decision is known: the edge was seen."""
        self._timeline.note(decision_id, "judged")

    def changed(self, decision_id: bytes) -> None:
        """Take note that a decision's state has changed."""
        entry = self._node.book.entry_of(DecisionId(decision_id))
        if entry is not None:
            if entry.tally.certificate is not None:
                self._timeline.note(decision_id, "certified")
        self.publish(decision_id.hex())


async def _watch_peers(lane: Lane, node: Node, pump: Pump, clock: Callable[[], Millis]) -> None:
    """Tell the node about connections while it still waits for its peers' memory."""
    seen: frozenset[bytes] = frozenset()
    while True:
        connected = lane.connected()
        if connected != seen or not node.is_released:
            seen = connected
            await pump.put(PeersSeen(frozenset(Identity(peer) for peer in connected), clock()))
        await asyncio.sleep(PEERS_EVERY_S)


async def _publish(
    config: NodeConfig,
    audit: AuditLog,
    signer: LocalSigner,
    node: Node,
    journal: Journal,
    clock: Callable[[], Millis],
) -> None:
    """Publish the audit log as far as it is releasable."""
    while True:
        await audit.publish(signer.sign_checkpoint, clock())
        node.log_size = journal.log_size
        await asyncio.sleep(config.intervals.checkpoint_ms / 1_000)


async def _tell(node: Node, pump: Pump, request: SignalRequest, at_ms: Millis) -> str:
    if PlanHash(request.plan_hash) not in node.rooms:
        raise SignalRefused(f"expected a plan of this network, got {request.plan_hash.hex()}")
    await pump.put(SignalTold(request.plan_hash, request.subject, request.reporter, request.note, at_ms))
    return f"{request.plan_hash.hex()[:16]}-{at_ms}"


async def _unset(event: object) -> None:
    raise AssertionError(f"{event}: the pump is not there yet")


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the failure that says most: one of ours before any other."""
    flat: list[BaseException] = []
    waiting: list[BaseException] = [failures]
    while waiting:
        failure = waiting.pop()
        if isinstance(failure, BaseExceptionGroup):
            waiting += failure.exceptions
        else:
            flat.append(failure)
    return next((failure for failure in flat if isinstance(failure, TocsinError)), flat[-1])
