"""What a node does for its ceremonies: words by the signer, keys and evidence on disk, in that order."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proofs.groupkeys import SignedKeys
from relay.app.ceremonies import MAX_EVIDENCE, CeremonyDeeds
from relay.app.keys import KeysFiles
from relay.core.ceremony_effects import (
    CeremonyEffect,
    CeremonyEnded,
    CeremonyMoved,
    CeremonyStep,
    CeremonyStuck,
    KeepEvidence,
    PutInForce,
    RetireShares,
)
from relay.core.effects import SignStatement
from relay.core.errors import JournalError
from relay.core.events import Event, KeysInForce
from relay.core.types import Digest, Identity, Millis
from relay.keys import LocalSigner
from relay.telemetry import Log, Telemetry
from relay.threshold.ceremony import Ceremony
from relay.threshold.messages import Deal, Join, Transcript
from relay.threshold.record import Duty
from tests.shells.keys.circle import Circle

LIAR, OTHER_LIAR = Identity(b"\x01" * 32), Identity(b"\x02" * 32)

pytestmark = pytest.mark.asyncio


@dataclass
class Sexton:
    """One member's deeds: what it says, what its node hears, what is told to people."""

    deeds: CeremonyDeeds
    circle: Circle
    signers: dict[Identity, LocalSigner]
    home: Path
    said: list[SignStatement] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    moved: list[Digest] = field(default_factory=list)
    told: io.StringIO = field(default_factory=io.StringIO)

    @property
    def signer(self) -> LocalSigner:
        return self.deeds.signer

    async def do(self, effect: CeremonyEffect) -> None:
        await self.deeds.do(effect)

    async def ceremony(self, before: Duty | None = None) -> Ceremony:
        """A ceremony of all four, up to a duty that nobody has done, or done."""
        begun = await self.circle.begin(self.signer, self.circle.proposal())
        return await self.circle.perform(self.signers, begun, before=before)

    async def keys(self) -> SignedKeys:
        found = (await self.ceremony()).result()
        assert found is not None
        return found


def _note(desk: Sexton, ceremony: Digest) -> None:
    desk.moved.append(ceremony)


@asynccontextmanager
async def sexton(home: Path) -> AsyncIterator[Sexton]:
    circle = Circle(home)
    (home / "committee").mkdir()
    async with circle.open() as signers:
        found: Sexton
        told = io.StringIO()
        telemetry = Telemetry(Log(told, clock=lambda: Millis(5)))

        async def say(statement: SignStatement) -> None:
            found.said.append(statement)

        async def put(event: Event) -> None:
            found.heard.append(event)

        deeds = CeremonyDeeds(
            signer=signers[circle.identities[0]],
            keys=KeysFiles(home / "committee", lambda: [circle.committee], telemetry),
            evidence=home / "evidence",
            telemetry=telemetry,
            clock=lambda: Millis(5),
            say=say,
            put=put,
            moved=lambda ceremony: _note(found, ceremony),
        )
        found = Sexton(deeds, circle, signers, home, told=told)
        yield found


async def test_each_step_is_done_by_the_signer_and_said_and_what_it_refuses_is_told(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        ceremony = await desk.circle.begin(desk.signer, desk.circle.proposal())
        await desk.do(CeremonyStep(Duty.DEAL, ceremony))
        (stuck,) = desk.heard
        assert isinstance(stuck, CeremonyStuck)
        assert (stuck.ceremony, stuck.reason.startswith("deal: not joined")) == (ceremony.id, True)
        assert desk.said == []

        for duty in (Duty.JOIN, Duty.DEAL, Duty.OPEN):
            ceremony = await desk.circle.perform(desk.signers, ceremony, before=duty)
            await desk.do(CeremonyStep(duty, ceremony))

        assert [type(said.message) for said in desk.said] == [Join, Deal, Transcript]


async def test_keys_come_into_force_behind_their_file_once_and_for_all(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        keys = await desk.keys()
        before = desk.circle.files(desk.signer.identity)

        # Failed and not stored: all is as it was.
        (tmp_path / "committee").rmdir()
        with pytest.raises(JournalError):
            await desk.do(PutInForce(keys))
        assert (desk.heard, desk.signer.held_keys()) == ([], ())
        assert desk.circle.files(desk.signer.identity) == before

        # Failed and stored: the next start goes on behind the file.
        (tmp_path / "committee").mkdir()
        desk.deeds.keys.keep(keys)
        for _ in range(2):
            await desk.do(PutInForce(keys))
            assert desk.signer.held_keys() == (keys.document,)
        assert desk.heard == 2 * [KeysInForce(keys.document, Millis(5))]
        assert [kept.signed for kept in desk.deeds.keys.in_force()] == [keys]

        await desk.do(RetireShares(1))
        assert (desk.circle.files(desk.signer.identity), desk.signer.held_keys()) == ([], ())


async def test_who_has_lost_its_shares_knows_the_keys_and_is_told(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        keys = await desk.keys()
        await desk.do(CeremonyEnded(keys.document.ceremony, superseded=True))

        await desk.do(PutInForce(keys))

        assert [type(event) for event in desk.heard] == [KeysInForce]
        assert desk.signer.held_keys() == ()
        assert "no share of the keys in force" in desk.told.getvalue()

        await desk.do(CeremonyMoved(keys.document.ceremony))
        assert desk.moved == [keys.document.ceremony]


async def test_evidence_is_kept_once_and_a_disk_that_refuses_it_ends_the_process(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        (tmp_path / "evidence").write_text("in the way")
        with pytest.raises(JournalError, match="evidence"):
            await desk.do(KeepEvidence(LIAR, "a.blame", b"first"))

        (tmp_path / "evidence").unlink()
        await desk.do(KeepEvidence(LIAR, "a.blame", b"first"))
        await desk.do(KeepEvidence(LIAR, "a.blame", b"second"))

        assert (tmp_path / "evidence" / "a.blame").read_bytes() == b"first"


async def test_one_member_fills_no_disk_with_evidence_of_its_own_faults(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        for number in range(MAX_EVIDENCE + 1):
            await desk.do(KeepEvidence(LIAR, f"{number}-{LIAR.hex()[:16]}.blame", b"evidence"))
        await desk.do(KeepEvidence(OTHER_LIAR, f"{OTHER_LIAR.hex()[:16]}.blame", b"evidence"))

        kept = {path.name for path in (tmp_path / "evidence").iterdir()}
        assert len(kept) == MAX_EVIDENCE + 1
        assert f"{OTHER_LIAR.hex()[:16]}.blame" in kept


async def test_a_ceremony_that_fails_while_we_sign_leaves_us_our_shares(tmp_path: Path) -> None:
    """Who deals last can contradict itself at once: our signature is on its way then, and may be the last."""
    async with sexton(tmp_path) as desk:
        dealt = await desk.ceremony(before=Duty.OPEN)
        keys = (await desk.circle.perform(desk.signers, dealt)).result()
        assert keys is not None

        async with asyncio.TaskGroup() as group:
            group.create_task(desk.do(CeremonyStep(Duty.OPEN, dealt)))
            group.create_task(desk.do(CeremonyEnded(dealt.id)))
        assert [type(said.message) for said in desk.said] == [Transcript]
        await desk.do(CeremonyEnded(dealt.id))
        await desk.do(PutInForce(keys))

        assert desk.signer.held_keys() == (keys.document,)


async def test_a_ceremony_that_fails_before_we_sign_gets_no_signature(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        dealt = await desk.ceremony(before=Duty.OPEN)

        async with asyncio.TaskGroup() as group:
            group.create_task(desk.do(CeremonyEnded(dealt.id)))
            group.create_task(desk.do(CeremonyStep(Duty.OPEN, dealt)))

        assert desk.said == []
        assert desk.circle.files(desk.signer.identity) == []


async def test_shares_of_a_ceremony_that_is_superseded_are_erased(tmp_path: Path) -> None:
    async with sexton(tmp_path) as desk:
        ceremony = await desk.ceremony()
        assert len(desk.circle.files(desk.signer.identity)) == 2

        await desk.do(CeremonyEnded(ceremony.id, superseded=True))

        assert desk.circle.files(desk.signer.identity) == []
