"""What becomes of the effects of signing sessions: said at once and heard again, or a notice."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from proofs.decision import Decision, decision_id
from proofs.hashes import keccak256
from proofs.kinds import Digest, PlanHash
from proofs.mandate import Mandate, Op, Tier, mandate_digest
from relay.app.deeds import Deeds, Foreseen, Tools
from relay.core.committees import Committees
from relay.core.decisions import Prepared
from relay.core.effects import Commit, Effect, KeepCertificate, SignShare, SignStatement, UnlockSigner
from relay.core.errors import JournalError
from relay.core.events import Event, Signed, ThresholdSigned
from relay.core.types import BlockRef, Caip2, Millis
from relay.core.wire import open_message
from relay.disk import CommitPoint, Probe, no_probe
from relay.keys import LocalSigner
from relay.telemetry import Log, Telemetry
from relay.threshold.messages import Commitments, SignatureShare, SigningRequest
from tests.shells.keys.circle import PASSPHRASE, Circle
from tests.shells.keys.sharing import Others, Sharing, files_of, line, share_out


@dataclass
class Desk:
    """One member's deeds: what it sent, what its node hears, what was told."""

    deeds: Deeds
    signer: LocalSigner
    sharing: Sharing
    circle: Circle
    said: io.StringIO
    sent: list[bytes] = field(default_factory=list)
    heard: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    async def next_said(self) -> Commitments | SignatureShare | SigningRequest:
        """What is heard of what was said; the same has been sent."""
        async with asyncio.timeout(20):
            event = await self.heard.get()
        assert isinstance(event, Signed)
        assert self.sent[-1] == event.envelope.raw
        committees = Committees((self.circle.committee,))
        assert open_message(event.envelope.raw, committees, at_s=0)[1] == event.message
        assert isinstance(event.message, Commitments | SignatureShare | SigningRequest)
        return event.message

    def turn(self, effects: Sequence[Effect]) -> Foreseen:
        """Begin a turn of the pump; its events never reach the disk."""
        return self.deeds.foresee(effects)


@asynccontextmanager
async def desk_of(home: Path, *, probe: Probe = no_probe) -> AsyncIterator[Desk]:
    circle = Circle(home)
    me = circle.identities[0]
    sharing = share_out(circle.identities, circle.committee.network, thresholds={"fast": 2, "full": 3})
    files = files_of(circle.directory(me) / "keys", PASSPHRASE)
    files.keep_shares(sharing.document, sharing.of(me))
    files.put_in_force(sharing.document)
    said = io.StringIO()
    telemetry = Telemetry(Log(said, clock=lambda: Millis(5)))
    async with (
        circle.open((sharing.document,), probes={me: probe}, released=False) as signers,
        asyncio.TaskGroup() as group,
    ):
        desk = Desk(None, signers[me], sharing, circle, said)  # type: ignore[arg-type]  # set below
        touched = {
            "committees": lambda: Committees((circle.committee,)),
            "signer": signers[me],
            "lane": SimpleNamespace(broadcast=_sender(desk)),
            "telemetry": telemetry,
            "clock": lambda: Millis(5),
        }
        tools = Tools(**{**dict.fromkeys(Tools.__slots__, _nothing), **touched})  # type: ignore[arg-type]
        desk.deeds = Deeds(tools, group, desk.heard.put)
        yield desk


def _nothing(*_arguments: object) -> None:
    """A shell that these effects do not touch."""


def _sender(desk: Desk) -> Callable[[bytes], Awaitable[None]]:
    async def broadcast(raw: bytes) -> None:
        desk.sent.append(raw)

    return broadcast


def prepared_in(circle: Circle) -> Prepared:
    anchor = BlockRef(chain=Caip2("eip155:1"), hash=keccak256(b"anchor"), number=7, timestamp=1_000_000)
    decision = Decision(anchor, 1, Op.PROTECT, None, PlanHash(keccak256(b"plan")), 0, "rule", Tier.FAST)
    network = circle.committee.network
    named = decision_id(network, decision)
    mandate = Mandate(
        network, 1, Tier.FAST, decision.plan_hash, Op.PROTECT, named, keccak256(b"acts"), 1_000_000, 1_001_800
    )
    return Prepared(decision, named, mandate, mandate_digest(mandate), (), ())


async def attested(desk: Desk) -> tuple[Prepared, Commit]:
    """A mandate that the guard let out, and the wish to commit to it."""
    prepared = prepared_in(desk.circle)
    await desk.signer.sign_mandate(prepared.id, 1, prepared.mandate)
    key_id = desk.sharing.key().key_id
    return prepared, Commit(prepared, key_id, desk.circle.identities[1:3], 1)


@pytest.mark.asyncio
async def test_commitments_and_shares_are_said_before_the_journal_has_committed(tmp_path: Path) -> None:
    async with desk_of(tmp_path) as desk:
        await desk.deeds.perform([UnlockSigner()], desk.turn([]))
        prepared, commit = await attested(desk)
        coordinator = commit.coordinators[0]

        assert desk.turn([commit]).begun == {0}
        said = await desk.next_said()
        assert isinstance(said, Commitments)
        assert tuple(said.batch) == commit.coordinators
        others = Others(desk.sharing, desk.signer.identity)
        request = others.request(prepared.digest, line(desk.signer, said, coordinator))
        assert desk.turn([SignShare(request, coordinator, 1)]).begun == {0}
        share = await desk.next_said()

    assert isinstance(share, SignatureShare)
    assert len(others.finish(request, share)) == 65


@pytest.mark.asyncio
async def test_a_request_that_we_coordinate_waits_for_no_journal_either(tmp_path: Path) -> None:
    async with desk_of(tmp_path) as desk:
        await desk.deeds.perform([UnlockSigner()], desk.turn([]))
        prepared, commit = await attested(desk)
        desk.turn([commit])
        said = await desk.next_said()
        assert isinstance(said, Commitments)
        others = Others(desk.sharing, desk.signer.identity)
        request = others.request(prepared.digest, line(desk.signer, said, commit.coordinators[0]))

        assert desk.turn([SignStatement(request, committee_epoch=1)]).begun == {0}
        assert await desk.next_said() == request


@pytest.mark.asyncio
async def test_before_the_release_a_session_waits_for_it_in_its_own_turn(tmp_path: Path) -> None:
    async with desk_of(tmp_path) as desk:
        prepared = prepared_in(desk.circle)
        key_id = desk.sharing.key().key_id
        await desk.signer.release_guard()
        await desk.signer.sign_mandate(prepared.id, 1, prepared.mandate)
        effects: list[Effect] = [UnlockSigner(), Commit(prepared, key_id, desk.circle.identities[1:3], 1)]

        foreseen = desk.turn(effects)
        assert foreseen.begun == frozenset()
        await desk.deeds.perform(effects, foreseen)

        assert isinstance(await desk.next_said(), Commitments)


@pytest.mark.asyncio
async def test_what_was_wanted_before_the_release_is_committed_to_once_after_it(tmp_path: Path) -> None:
    """A node that starts again hears of what it attested before its peers have said what they remember."""
    async with desk_of(tmp_path) as desk:
        prepared = prepared_in(desk.circle)
        await desk.signer.release_guard()
        await desk.signer.sign_mandate(prepared.id, 1, prepared.mandate)
        commit = Commit(prepared, desk.sharing.key().key_id, desk.circle.identities[1:3], 1)
        await desk.deeds.perform([commit], desk.turn([commit]))
        assert desk.sent == []
        for _ in range(2):
            await desk.deeds.perform([UnlockSigner()], desk.turn([UnlockSigner()]))

        assert isinstance(await desk.next_said(), Commitments)

    assert len(desk.sent) == 1
    assert "session refused" not in desk.said.getvalue()


@pytest.mark.asyncio
async def test_what_the_signer_refuses_is_a_notice_and_nothing_is_said(tmp_path: Path) -> None:
    async with desk_of(tmp_path) as desk:
        await desk.deeds.perform([UnlockSigner()], desk.turn([]))
        _, commit = await attested(desk)
        stranger = Commit(commit.prepared, Digest(bytes(32)), commit.coordinators, 1)
        desk.turn([stranger, commit])
        await desk.next_said()

    assert len(desk.sent) == 1
    assert "session refused" in desk.said.getvalue()
    assert "unknown key" in desk.said.getvalue()


@pytest.mark.asyncio
async def test_a_finished_certificate_comes_back_as_an_event_also_before_the_release(tmp_path: Path) -> None:
    async with desk_of(tmp_path) as desk:
        kept = KeepCertificate(Digest(b"d" * 32), Digest(b"k" * 32), b"\x02" * 97)
        await desk.deeds.perform([kept], desk.turn([kept]))
        async with asyncio.timeout(20):
            event = await desk.heard.get()

    assert event == ThresholdSigned(kept.digest, kept.key_id, kept.certificate, Millis(5))


@pytest.mark.asyncio
async def test_a_disk_that_does_not_take_a_spent_nonce_ends_the_process(tmp_path: Path) -> None:
    armed: list[str] = []
    sent: list[list[bytes]] = []

    def fail(step: str) -> None:
        if armed and step == CommitPoint.BEFORE:
            raise OSError("injected")

    async def ask() -> None:
        async with desk_of(tmp_path, probe=fail) as desk:
            sent.append(desk.sent)
            await desk.deeds.perform([UnlockSigner()], desk.turn([]))
            prepared, commit = await attested(desk)
            desk.turn([commit])
            said = await desk.next_said()
            assert isinstance(said, Commitments)
            coordinator = commit.coordinators[0]
            others = Others(desk.sharing, desk.signer.identity)
            request = others.request(prepared.digest, line(desk.signer, said, coordinator))
            armed.append("now")
            desk.turn([SignShare(request, coordinator, 1)])

    with pytest.raises(ExceptionGroup) as failure:
        await ask()

    assert failure.group_contains(JournalError, match="injected")
    assert len(sent[0]) == 1
