"""Our log from its entries to its readers: signed, cosigned, published; and the policy that readers pin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proofs.note import VerifierKey
from proofs.policy import committee_policy, format_policy
from relay.api import Json, LogPorts
from relay.app.log_view import log_view
from relay.app.shells import Shells
from relay.app.witnessing import LaneWitness, OwnWitness, Witnessing, WitnessingTools
from relay.config import NodeConfig
from relay.core.committees import Committees
from relay.core.effects import PageKind
from relay.core.errors import ConfigError, JournalError
from relay.core.events import Event, ForkFound
from relay.core.types import Millis
from relay.disk import replace_file
from relay.telemetry import Telemetry
from relay.witness.desk import DeskParts, WitnessDesk
from relay.witness.logs import Quorum, names_of_cosigner, quorum_of, remembered, witnessed_logs
from relay.witness.outside import OutsideWitness
from relay.witness.pushing import Publisher, PublisherParts, Witness
from relay.witness.store import ForkRow

__all__ = ["Books", "Clocks", "KeyedLog", "PolicyFile", "open_books", "stop_if_overtaken"]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The wall clock, and one that never goes back."""

    wall_ms: Callable[[], Millis]
    monotonic_s: Callable[[], float]


@dataclass(slots=True)
class PolicyFile:
    """`policy.txt`: what an auditor of the network would pin, by the committee in force (`proofs` 12.2)."""

    path: Path
    _epoch: int = 0

    def is_stale(self, committees: Committees, at_s: int) -> bool:
        """Tell whether another committee is in force than when it was written."""
        return committees.in_force(at_s).committee_epoch != self._epoch

    def keep(self, committees: Committees, at_s: int) -> None:
        """Write it, unless it stands there.

        Raises:
            JournalError: the disk refuses.
        """
        epoch = committees.in_force(at_s).committee_epoch
        known = [each for each in committees.documents if each.committee_epoch <= epoch]
        content = format_policy(committee_policy(known))
        try:
            if not self.path.is_file() or self.path.read_bytes() != content:
                replace_file(self.path, content)
        except OSError as error:
            raise JournalError(f"expected to write {self.path}, got: {error.strerror}") from error
        self._epoch = epoch


class KeyedLog(Protocol):
    """Our own log, as far as it is asked here."""

    @property
    def key(self) -> VerifierKey: ...

    @property
    def signed_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Books:
    """Witness and log of a running node."""

    shells: Shells
    telemetry: Telemetry
    clock: Callable[[], Millis]
    desk: WitnessDesk
    publisher: Publisher
    witnessing: Witnessing
    policy: PolicyFile

    def ports(self) -> LogPorts:
        """What the interface asks of them."""
        return LogPorts(log=self.view, add_checkpoint=self.witnessing.add_checkpoint)

    def view(self) -> Mapping[str, Json]:
        """What is known of logs here."""
        quorum = quorum_of(self.shells.node.committees.in_force(self.clock() // 1_000))
        return log_view(self.shells.node, self.shells.audit, self.publisher, self.desk, quorum)

    async def turn(self) -> None:
        """Publish what can be, and keep policy and gauges.

        Raises:
            ConfigError, JournalError: the log or the disk is not as it must be.
        """
        node, audit, at_s = self.shells.node, self.shells.audit, self.clock() // 1_000
        await stop_if_overtaken(self.publisher, self.desk, audit, node.forks)
        await self.publisher.turn()
        if self.policy.is_stale(node.committees, at_s):
            await asyncio.to_thread(self.policy.keep, node.committees, at_s)
        metrics = self.telemetry.metrics
        published = audit.published
        metrics.set("log_signed_size", audit.signed_size)
        metrics.set("log_published_size", 0 if published is None else published.checkpoint.size)
        metrics.set("log_cosignatures", len(self.publisher.cosigned_by()))
        metrics.set("log_stopped", int(bool(self.publisher.stopped)))
        metrics.set("witness_debts", len(self.desk.debts()))
        metrics.set("witness_forks", len(node.forks))


async def stop_if_overtaken(
    publisher: Publisher, desk: WitnessDesk, log: KeyedLog, forks: Container[VerifierKey]
) -> None:
    """Stop our log where a fork of it is shown, or our own witness remembers more than the log does.

    Raises:
        JournalError: as the log's methods.
    """
    if log.key in forks:
        publisher.stop("two roots of it are shown for one size")
    own = desk.held().get(log.key)
    if own is not None and own.held.size > log.signed_size:
        await publisher.heard(own.note)


async def open_books(
    config: NodeConfig,
    shells: Shells,
    telemetry: Telemetry,
    clocks: Clocks,
    group: asyncio.TaskGroup,
    put: Callable[[Event], Awaitable[None]],
) -> Books:
    """Join witness, log and lane; nothing is signed or asked before the first turn."""
    node, signer = shells.node, shells.signer
    desk = await _open_desk(shells, telemetry, clocks.wall_ms, put)
    tools = WitnessingTools(
        me=signer.identity,
        committees=lambda: node.committees,
        sign=signer.sign_envelope,
        connected=shells.lane.connected,
        send=shells.lane.send,
        broadcast=shells.lane.broadcast,
        log=shells.audit.key,
        prove=shells.audit.consistency_proof,
        telemetry=telemetry,
        clock=clocks.wall_ms,
        clock_s=clocks.monotonic_s,
    )
    witnessing = Witnessing(tools, desk, group)
    outside = [OutsideWitness(each.key, each.url) for each in config.witnesses]

    def quorum() -> Quorum:
        return quorum_of(node.committees.in_force(clocks.wall_ms() // 1_000))

    def witnesses() -> list[Witness]:
        asked: list[Witness] = []
        for key, identity in quorum().cosigners.items():
            own = identity == signer.identity
            asked.append(OwnWitness(key, desk) if own else LaneWitness(key, identity, witnessing.exchange))
        # Our own word costs no way and comes first.
        return [*sorted(asked, key=lambda each: not isinstance(each, OwnWitness)), *outside]

    parts = PublisherParts(
        sign=signer.sign_checkpoint,
        quorum=quorum,
        witnesses=witnesses,
        page=lambda text: telemetry.page(PageKind.CANNOT_SIGN, text),
        notice=lambda name, facts: telemetry.notice(name, **facts),
        clock=clocks.wall_ms,
    )
    publisher = witnessing.publisher = Publisher(shells.audit, parts, group)
    policy = PolicyFile(config.directory.policy_file)
    return Books(shells, telemetry, clocks.wall_ms, desk, publisher, witnessing, policy)


async def _open_desk(
    shells: Shells,
    telemetry: Telemetry,
    clock: Callable[[], Millis],
    put: Callable[[Event], Awaitable[None]],
) -> WitnessDesk:
    node, signer = shells.node, shells.signer

    async def found(fork: ForkRow) -> None:
        await put(ForkFound(fork.first, fork.second, clock()))

    def names() -> tuple[VerifierKey, ...]:
        return names_of_cosigner(node.committees.documents, signer.identity, signer.cosigner_key)

    logs = remembered(witnessed_logs)
    parts = DeskParts(
        logs=lambda: logs(node.committees.documents),
        names=names,
        cosign=signer.cosign,
        is_convicted=lambda key: key in node.forks,
        found=found,
        page=lambda text: telemetry.page(PageKind.CANNOT_SIGN, text),
        notice=lambda name, facts: telemetry.notice(name, **facts),
        clock=clock,
    )
    desk = WitnessDesk(shells.witness, parts)
    if shells.witness is not None:
        try:
            await desk.load()
        except (ConfigError, JournalError) as error:
            desk.fail(error)
    return desk
