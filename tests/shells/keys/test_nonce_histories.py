"""Whatever happens to a signer, in whatever order: no pair of nonces is behind two shares that left."""

import asyncio
import copy
import random
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from proofs.hashes import keccak256
from proofs.kinds import Identity
from proofs.mandate import Mandate, mandate_digest
from relay.core.errors import GuardRefusal, JournalError
from relay.disk import CommitPoint
from relay.keys import LocalSigner
from relay.keys.nonces import NonceVault
from relay.threshold.messages import Commitments, SignatureShare, SignerCommitment
from tests.shells.keys.sharing import COORDINATORS, Others, Sharing, commit, line

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]


@dataclass
class History:
    """One signer's life; `released` has our commitment behind each share that left."""

    directory: Path
    sharing: Sharing
    others: Others
    mandates: list[Mandate]
    chance: random.Random
    released: list[tuple[bytes, bytes]] = field(default_factory=list)
    lines: list[tuple[Mandate, Identity, SignerCommitment]] = field(default_factory=list)
    """Every commitment of ours that was ever said."""
    image: NonceVault | None = None
    has_copy: bool = False
    fails: list[CommitPoint] = field(default_factory=list)

    def probe(self, step: str) -> None:
        if self.fails and step == self.fails[0]:
            raise OSError("injected")

    async def live(self, signer: LocalSigner) -> None:
        """One run of the process: it ends by chance, or with its disk."""
        await signer.release_guard()
        while True:
            step = self.chance.choices(
                (self.commit, self.ask, self.race, self.put_image_back, self.keep_image, None),
                (4, 16, 4, 3, 3, 1),
            )[0]
            if step is None:
                return
            try:
                await step(signer)
            except JournalError:
                return
            except GuardRefusal:
                continue

    async def commit(self, signer: LocalSigner) -> None:
        mandate = self.chance.choice(self.mandates)
        await signer.sign_mandate(mandate.decision_id, mandate.key_epoch, mandate)
        said = await commit(signer, mandate, self.sharing)
        for coordinator in COORDINATORS:
            self.note(signer, mandate, coordinator, said)

    def note(
        self,
        signer: LocalSigner,
        mandate: Mandate,
        coordinator: Identity,
        said: Commitments | SignatureShare,
    ) -> None:
        self.lines.append((mandate, coordinator, line(signer, said, coordinator)))

    async def ask(self, signer: LocalSigner) -> None:
        """Ask with any commitment of ours, old or new, as its coordinator."""
        if not self.lines:
            return
        recent = self.chance.random() < 0.7
        mandate, coordinator, mine = self.chance.choice(self.lines[-4:] if recent else self.lines)
        if self.chance.random() < 0.1:
            self.fails.append(self.chance.choice(list(CommitPoint)))
        request = self.others.request(mandate_digest(mandate), mine)
        share = await signer.sign_share(request, coordinator)
        self.released.append((mine.open.hiding, mine.open.binding))
        if share.next is not None:
            self.note(signer, mandate, coordinator, share)

    async def race(self, signer: LocalSigner) -> None:
        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(self.ask(signer) for _ in range(3)), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, GuardRefusal):
                raise outcome

    async def keep_image(self, signer: LocalSigner) -> None:
        self.image = copy.deepcopy(signer._sessions._vault)

    async def put_image_back(self, signer: LocalSigner) -> None:
        if self.image is not None:
            signer._sessions._vault = copy.deepcopy(self.image)

    def between(self) -> None:
        """What happens to the disk while no process runs."""
        self.fails.clear()
        chosen, kept = self.chance.random(), self.directory / "copy"
        if chosen < 0.3:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.directory / "guard", kept)
            self.has_copy = True
        elif chosen < 0.5 and self.has_copy:
            shutil.rmtree(self.directory / "guard")
            shutil.copytree(kept, self.directory / "guard")
            # Disk and memory of one time, put back together, is what nobody may do (SPEC 4).
            self.image = None


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.asyncio
async def test_no_pair_of_nonces_is_behind_two_shares(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate, seed: int
) -> None:
    mandates = [replace(mandate(), decision_id=keccak256(b"decision %d" % number)) for number in range(3)]
    history = History(tmp_path, sharing, others, mandates, random.Random(seed))

    for _ in range(8):
        async with open_holder(probe=history.probe) as signer:
            await history.live(signer)
        history.between()

    print(f"seed {seed}: {len(history.released)} shares, {len(history.lines)} commitments")
    assert history.lines
    for part in (0, 1):
        seen = [pair[part] for pair in history.released]
        assert len(set(seen)) == len(seen)
