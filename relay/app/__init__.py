"""The composition root: one relay node, from its configuration to its end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from proofs.disclosure import SEED_BYTES
from proofs.statements import OutcomeStatement
from relay.api import Api, ApiOptions, ApiPorts, SignalRefused, SignalRequest
from relay.app.assembly import detector_settings
from relay.app.books import Books, Clocks, open_books
from relay.app.ceremony_desk import CeremonyDesk
from relay.app.committees import CommitteeWatch
from relay.app.deeds import Deeds, NodeStopped, Tools
from relay.app.inbox import Inbox
from relay.app.pump import Pump
from relay.app.readiness import Listener, Lookout, StandingsTeller, questions
from relay.app.receipts import Receipts
from relay.app.report_desk import ReportDesk, check_monitors, open_monitors
from relay.app.reports import Reports
from relay.app.rotations import VerifierWatch
from relay.app.shells import Shells, open_shells
from relay.app.watch import (
    Meter,
    Timeline,
    Watch,
    expose_lane,
    expose_readiness,
    set_endpoint_gauges,
    set_gauges,
)
from relay.config import NodeConfig
from relay.core.errors import TocsinError
from relay.core.events import Event, KeysInForce, PeersSeen, SignalTold, Started
from relay.core.readiness import Fact
from relay.core.types import Identity, Millis, PlanHash
from relay.detectors import Detector
from relay.keys import Secret
from relay.telemetry import Log, Telemetry, style_for

__all__ = ["NodeStopped", "run"]

PEERS_EVERY_S: Final = 1.0


async def run(config: NodeConfig, *, passphrase: Secret, ready: Callable[[str], None] | None = None) -> None:
    """Run a node until it is cancelled. `ready` is told the address of its interface once it serves.

    Raises:
        TocsinError: by who is at fault; the process is to end, and may be started again unless it is
            `NodeStopped`.
    """
    telemetry = Telemetry(Log(sys.stderr, clock=_wall_clock_ms, style=style_for(sys.stderr, os.environ)))
    async with AsyncExitStack() as stack:
        try:
            shells = await open_shells(stack, config, passphrase, telemetry, _wall_clock_ms)
            await _serve(config, shells, telemetry, ready)
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures


def _wall_clock_ms() -> Millis:
    """Give the wall clock in milliseconds: what members say of themselves, never what they decide by."""
    return Millis(_wall_clock_us() // 1_000)


def _wall_clock_us() -> int:
    return time.time_ns() // 1_000  # noqa: TID251 - the one clock of the process, handed to everybody else


async def _serve(
    config: NodeConfig, shells: Shells, telemetry: Telemetry, ready: Callable[[str], None] | None
) -> None:
    """Connect the shells to the node, and feed it."""
    node = shells.node
    timeline = Timeline(_wall_clock_us)
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        meter = Meter(telemetry.metrics, _wall_clock_us)
        inputs = Pump(node, shells.journal, lambda event: _hear(shells, lookout, api, event), meter)
        lookout, verifiers = _watches(config, shells, telemetry, inputs)
        reports = Reports(node, shells.lane, timeline.at_us, lambda: [*lookout.facts(), *verifiers.facts()])
        expose_readiness(telemetry.metrics, lambda: [(fact.name, fact.ready) for fact in reports.readiness()])
        desk = _desk(config, shells, inputs)
        books = await open_books(
            config, shells, telemetry, Clocks(_wall_clock_ms, time.monotonic), group, inputs.put
        )
        api = await stack.enter_async_context(_api(config, shells, telemetry, (reports, desk, books), inputs))
        watch = Watch(node, timeline, telemetry.metrics, lambda name: api.publish("incident", {"id": name}))
        tools = Tools(
            committees=lambda: node.committees,
            signer=shells.signer,
            keys=shells.keys,
            evidence=config.directory.evidence,
            lane=shells.lane,
            audit=shells.audit,
            submitters=shells.submitters,
            telemetry=telemetry,
            clock=_wall_clock_ms,
            judged=watch.judged,
            counted=watch.counted,
            changed=watch.changed,
            reached=watch.reached,
            moved=lambda ceremony: api.publish("ceremony", {"id": ceremony.hex()}),
        )
        await inputs.restore(shells.replayed.entries)
        await shells.audit.release(shells.replayed.releasable)
        for chain, opened in shells.chains.items():
            detector = Detector(opened.quorum, detector_settings(chain, node), inputs.put)
            group.create_task(detector.run(), name=f"detector {chain}")
            group.create_task(lookout.run(chain), name=f"lookout {chain}")
        group.create_task(verifiers.run(), name="verifiers")
        inbox = Inbox(
            lambda: node.committees,
            shells.journal,
            shells.signer,
            telemetry,
            _wall_clock_ms,
            books.witnessing.take,
        )
        group.create_task(inbox.run(shells.lane, inputs.put), name="inbox")
        group.create_task(_watch_peers(shells, inputs), name="peers")
        committees = CommitteeWatch(
            node, shells.committees, inputs.put, shells.lane.set_peers, _wall_clock_ms
        )
        group.create_task(committees.run(PEERS_EVERY_S), name="committees")
        group.create_task(_watch_keys(shells, inputs), name="keys")
        group.create_task(_keep_books(config, shells, telemetry, books), name="books")
        group.create_task(books.witnessing.run(), name="witnessing")
        expose_lane(telemetry.metrics, shells.lane)
        telemetry.notice("serving", api=api.url, lane=shells.lane.address)
        if ready is not None:
            ready(api.url)
        deeds = Deeds(tools, group, inputs.put)
        started = Started(_wall_clock_ms(), shells.boot.number, shells.boot.instance)
        await inputs.run([*shells.learned, started], deeds)


def _hear(shells: Shells, lookout: Lookout, api: Api, event: Event) -> None:
    """Show an event that the node took to whoever keeps what it says."""
    shells.bundles.heard(event)
    lookout.heard(event)
    if (update := shells.board.heard(event)) is not None:
        api.publish(*update)


def _watches(
    config: NodeConfig, shells: Shells, telemetry: Telemetry, inputs: Pump
) -> tuple[Lookout, VerifierWatch]:
    """Watch what must hold on the chains; tell what falls and what comes back."""
    teller = StandingsTeller(shells.node.hearing.standings, inputs.put, _wall_clock_ms, os.urandom)
    every_ms = config.readiness.every_ms

    def changed(fact: Fact) -> None:
        telemetry.notice(
            "readiness changed", fact=fact.name, ready=fact.is_ready, reason=fact.reason, remedy=fact.remedy
        )

    lookout = Lookout(
        partial(questions, shells.node, shells.signer.submitter, config.readiness),
        shells.inspectors,
        every_ms,
        clock_s=time.monotonic,
        listener=Listener(changed, teller.tell),
    )
    verifiers = VerifierWatch(
        shells.node, shells.inspectors, every_ms / 1_000, _wall_clock_ms, inputs.put, teller.tell
    )
    return lookout, verifiers


def _desk(config: NodeConfig, shells: Shells, inputs: Pump) -> CeremonyDesk:
    """What operators see of ceremonies, and what they ask for."""
    return CeremonyDesk(
        node=shells.node,
        put=inputs.put,
        clock=_wall_clock_ms,
        holds=lambda: [document.digest for document in shells.signer.held_keys()],
        keys_file=shells.keys.path,
        evidence=config.directory.evidence,
        committee_directory=config.directory.committee,
    )


def _api(
    config: NodeConfig,
    shells: Shells,
    telemetry: Telemetry,
    views: tuple[Reports, CeremonyDesk, Books],
    inputs: Pump,
) -> Api:
    reports, desk, books = views
    ports = ApiPorts(
        status=reports.status,
        incidents=reports.incidents,
        incident=reports.incident,
        bundle=partial(shells.bundles.make, shells.audit, _receipts(shells, telemetry)),
        readiness=reports.readiness,
        health=lambda: "",  # a node that cannot journal ends, and then nobody answers here
        tell_signal=partial(_tell, shells, inputs),
        signals=shells.board.signals,
        remarks=lambda: {"shadows": shells.board.shadows(), "readiness": shells.board.facts()},
        metrics=telemetry.metrics.text,
    )
    options = ApiOptions(
        log_directory=config.directory.log,
        host=config.api.host,
        port=config.api.port,
        token=config.api.token(),
    )
    return Api(options, ports, desk.ports(), _report_desk(config, shells, inputs).ports(), books.ports())


def _report_desk(config: NodeConfig, shells: Shells, inputs: Pump) -> ReportDesk:
    """What outsiders and monitors report.

    Raises:
        ConfigError: a monitor's secret or key is not as it must be, or no plan takes what it finds.
    """
    monitors = open_monitors(config.monitors)
    check_monitors(shells.node, monitors)
    by_name = {each.settings.name: each for each in monitors}
    return ReportDesk(shells.node, by_name, inputs.put, _wall_clock_ms)


def _receipts(shells: Shells, telemetry: Telemetry) -> Receipts:
    """Receipts from the chains' endpoints; a notice for each that a bundle has to do without."""

    def not_shown(outcome: OutcomeStatement, reason: str) -> None:
        telemetry.notice("receipt not shown", chain=outcome.chain, tx=outcome.tx.hex(), reason=reason)

    return Receipts({chain: opened.quorum for chain, opened in shells.chains.items()}, not_shown)


async def _watch_peers(shells: Shells, inputs: Pump) -> None:
    """Tell the node about connections, and again while it still waits for its peers' memory."""
    seen: frozenset[bytes] = frozenset()
    while True:
        connected = shells.lane.connected()
        if connected != seen or not shells.node.is_released:
            seen = connected
            peers = frozenset(Identity(peer) for peer in connected)
            await inputs.put(PeersSeen(peers, _wall_clock_ms()))
        await asyncio.sleep(PEERS_EVERY_S)


async def _watch_keys(shells: Shells, inputs: Pump) -> None:
    """Learn keys that are put into the directory by hand; those of a ceremony of ours come by themselves."""
    known = shells.node.ceremonies
    while True:
        for kept in await asyncio.to_thread(shells.keys.look):
            document = kept.document
            if not known.knows(document) and known.get(document.ceremony) is None:
                await inputs.put(KeysInForce(document, _wall_clock_ms()))
        await asyncio.sleep(PEERS_EVERY_S)


async def _keep_books(config: NodeConfig, shells: Shells, telemetry: Telemetry, books: Books) -> None:
    """Publish the audit log as far as it is releasable and witnessed, and keep the gauges."""
    while True:
        await books.turn()
        shells.node.log_size = shells.journal.log_size
        set_gauges(telemetry.metrics, shells.node, shells.journal)
        set_endpoint_gauges(telemetry.metrics, shells.submitters)
        await asyncio.sleep(config.intervals.checkpoint_ms / 1_000)


async def _tell(shells: Shells, inputs: Pump, request: SignalRequest) -> str:
    if PlanHash(request.plan_hash) not in shells.node.rooms:
        raise SignalRefused(f"expected a plan of this network, got {request.plan_hash.hex()}")
    at_ms = _wall_clock_ms()
    told = (request.plan_hash, request.subject, request.reporter, request.note)
    await inputs.put(SignalTold(*told, os.urandom(SEED_BYTES), at_ms))
    return f"{request.plan_hash.hex()[:16]}-{at_ms}"


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
