"""The committee documents in a node's directory, and who its peers are by them (core SPEC 2.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.committee import CommitteeDocument, SignedCommittee
from relay.config import KnownCommittees, NodeConfig, load_known_committees
from relay.core.committee_check import committee_refusals
from relay.core.committees import Committees
from relay.core.errors import ConfigError
from relay.core.events import CommitteeLearned, Event
from relay.core.node import Node
from relay.core.types import Identity, Millis
from relay.gossip import LanePeer
from relay.telemetry import Telemetry

__all__ = ["CommitteeFiles", "CommitteeWatch", "check_in_force", "lane_peers"]


class CommitteeFiles:
    """Reads `committee/` again when it has changed; says once why a document there is not in force."""

    def __init__(self, directory: Path, telemetry: Telemetry) -> None:
        """Read the directory.

        Raises:
            ConfigError: the first document is missing, wrong or unsigned.
        """
        self._directory = directory
        self._telemetry = telemetry
        self._seen = self._fingerprint()
        self._told = ""
        self.signed: tuple[SignedCommittee, ...] = self._fit(load_known_committees(directory))
        """The documents in force by their signatures, from the first on."""

    @property
    def genesis(self) -> CommitteeDocument:
        """The first document."""
        return self.signed[0].document

    def look(self) -> None:
        """Read again what has changed; what is not in order leaves all as it was."""
        fingerprint = self._fingerprint()
        if fingerprint == self._seen:
            return
        self._seen = fingerprint
        try:
            chain = self._fit(load_known_committees(self._directory))
        except ConfigError as error:
            self._tell(error)
            return
        known = [each.document.raw for each in self.signed]
        if [each.document.raw for each in chain[: len(known)]] == known:
            self.signed = chain
        else:
            problem = "expected the documents that were there at the start, got another or fewer"
            self._tell(ConfigError(str(self._directory), problem, remedy="put them back"))

    def unknown_to(self, committees: Committees) -> list[CommitteeLearned]:
        """Give what a node that knows `committees` has to learn, in order."""
        newest = committees.newest.committee_epoch
        return [
            CommitteeLearned(each.document)
            for each in self.signed
            if each.document.committee_epoch > newest and each.document.network == committees.network
        ]

    def _fit(self, known: KnownCommittees) -> tuple[SignedCommittee, ...]:
        """Give the chain up to the first later document that is unfit (core SPEC 2.3)."""
        if known.problem is not None:
            self._tell(known.problem)
        for place, signed in enumerate(known.chain[1:], start=1):
            refusals = [] if signed.document.demo else committee_refusals(signed.document)
            if refusals:
                where = f"committee epoch {signed.document.committee_epoch}"
                self._tell(ConfigError(where, f"{refusals[0].kind.value}: {refusals[0]}"))
                return known.chain[:place]
        return known.chain

    def _tell(self, problem: ConfigError) -> None:
        if str(problem) != self._told:
            self._told = str(problem)
            self._telemetry.warning("committee document not in force", detail=self._told)

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Give what shows a change of the files without reading them."""
        found = [(path.name, path.stat()) for path in sorted(self._directory.glob("epoch-*"))]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


@dataclass(slots=True)
class CommitteeWatch:
    """Teaches a running node the documents that are put into its directory; tells the lane the members."""

    node: Node
    files: CommitteeFiles
    put: Callable[[Event], Awaitable[None]]
    set_peers: Callable[[Sequence[LanePeer]], None]
    clock: Callable[[], Millis]
    _given: int = 0
    """The newest epoch that was handed to the node; it may still wait in its queue."""

    async def run(self, every_s: float) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(every_s)

    async def look(self) -> None:
        """Look once."""
        self.files.look()
        known = self.node.committees
        for event in self.files.unknown_to(known):
            if event.document.committee_epoch > self._given:
                self._given = event.document.committee_epoch
                await self.put(event)
        # Who joins by a document that still waits in the queue would be hung up on, and back at once.
        if known.newest.committee_epoch >= self.files.signed[-1].document.committee_epoch:
            self.set_peers(lane_peers(known, self.node.settings.me, self.clock() // 1_000))


def check_in_force(config: NodeConfig, committee: CommitteeDocument, telemetry: Telemetry) -> None:
    """Check that a node may run in a committee (core SPEC 2.3).

    Raises:
        ConfigError: it is unfit and the network is no demonstration, or the node takes it for another kind.
    """
    if config.demo != committee.demo:
        where = f"{config.directory.node_file}: network.demo"
        raise ConfigError(
            where, f"expected {committee.demo}, as in the committee document, got {config.demo}"
        )
    for refusal in committee_refusals(committee):
        if not committee.demo:
            raise ConfigError(str(config.directory.committee), f"{refusal.kind.value}: {refusal}")
        telemetry.warning("unfit committee", reason=refusal.kind.value, detail=str(refusal))


def lane_peers(committees: Committees, me: Identity, at_s: int) -> tuple[LanePeer, ...]:
    """Give the members of all documents that are not over, but us, at the newest addresses."""
    peers: dict[Identity, LanePeer] = {}
    for document in committees.standing(at_s):
        for member in document.members:
            if member.identity != me:
                peers[member.identity] = LanePeer(member.identity, member.addresses)
    return tuple(peers[identity] for identity in sorted(peers))
