"""Nonces live once, in one process: restarts, copies put back and failing disks bring none of them back."""

import copy
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from proofs.mandate import Mandate, mandate_digest
from relay.core.errors import GuardRefusal, JournalError
from relay.disk import CommitPoint
from relay.keys import LocalSigner
from tests.shells.keys.sharing import BOB, Others, Sharing, attest, commit, line

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]


@pytest.mark.asyncio
async def test_a_restart_in_the_middle_kills_the_nonces_and_commits_anew(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        before = line(signer, await commit(signer, made, sharing))
        old = others.request(mandate_digest(made), before)

    async with open_holder() as signer:
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_share(old, BOB)
        after = line(signer, await commit(signer, made, sharing))
        with pytest.raises(GuardRefusal, match="commitment not open"):
            await signer.sign_share(old, BOB)
        request = others.request(mandate_digest(made), after)
        others.finish(request, await signer.sign_share(request, BOB))

    assert after.boot > before.boot
    assert after.open.hiding != before.open.hiding


@pytest.mark.asyncio
async def test_a_disk_that_is_put_back_holds_no_nonce(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        request = others.request(mandate_digest(made), line(signer, await commit(signer, made, sharing)))
        for name in ("guard", "keys"):
            shutil.copytree(tmp_path / name, tmp_path / "copy" / name)
        first = await signer.sign_share(request, BOB)
    for name in ("guard", "keys"):
        shutil.rmtree(tmp_path / name)
        (tmp_path / "copy" / name).rename(tmp_path / name)

    async with open_holder() as signer:  # a copy of before the share left: the row is not in it
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_share(request, BOB)
        again = await commit(signer, made, sharing)
        with pytest.raises(GuardRefusal, match="commitment not open"):
            await signer.sign_share(request, BOB)

    assert not {opened.hiding for opened in again.batch.values()} & {
        each.open.hiding for each in request.commitments
    }
    assert others.finish(request, first)


@pytest.mark.asyncio
async def test_a_process_image_that_is_put_back_finds_its_nonce_spent(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        mine = line(signer, await commit(signer, made, sharing))
        image = copy.deepcopy(signer._sessions._vault)
        await signer.sign_share(others.request(mandate_digest(made), mine), BOB)

        signer._sessions._vault = image
        with pytest.raises(GuardRefusal, match="nonce spent"):
            await signer.sign_share(others.request(mandate_digest(made), mine), BOB)


@pytest.mark.asyncio
async def test_a_process_image_that_is_put_back_after_a_restart_is_dead(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        mine = line(signer, await commit(signer, made, sharing))
        image = signer._sessions._vault

    async with open_holder() as signer:
        await signer.release_guard()
        signer._sessions._vault = image
        with pytest.raises(GuardRefusal, match="nonce dead: expected boot 2, got 1"):
            await signer.sign_share(others.request(mandate_digest(made), mine), BOB)


@pytest.mark.parametrize("point", list(CommitPoint))
@pytest.mark.asyncio
async def test_a_disk_that_fails_lets_no_share_out(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate, point: CommitPoint
) -> None:
    armed: list[str] = []

    def fail(step: str) -> None:
        if armed and step == point:
            raise OSError("injected")

    async with open_holder(probe=fail) as signer:
        made = await attest(signer, mandate())
        mine = line(signer, await commit(signer, made, sharing))
        armed.append("now")
        for _ in range(2):
            with pytest.raises((JournalError, GuardRefusal), match=r"injected|commitment not open"):
                await signer.sign_share(others.request(mandate_digest(made), mine), BOB)
