"""Nonces live once, in one process: restarts, copies put back and failing disks bring none of them back."""

import asyncio
import copy
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from proofs.mandate import Mandate, mandate_digest
from relay.core.errors import GuardRefusal, JournalError
from relay.disk import CommitPoint
from relay.keys import LocalSigner
from tests.shells.keys.sharing import BOB, Others, Sharing, attest, commit, line

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]
REPOSITORY = Path(__file__).parents[3]


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


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from relay.keys import Secret, open_signer
from relay.keys.spent import Spending
from tests.shells.keys.sharing import BOB, CAROL, DAVE, Others, line, share_out

home, point, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
me, network = map(bytes.fromhex, sys.argv[4:])
sharing = share_out((me, BOB, CAROL, DAVE), network, thresholds={"fast": 2, "full": 3})

def kill(step):
    global left
    left -= step == point
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    guard, passphrase = home / "guard" / "guard.sqlite", Secret(b"correct horse")
    documents = (sharing.document,)
    async with open_signer(
        home / "keys", guard_path=guard, passphrase=passphrase, documents=documents, probe=kill
    ) as signer:
        await signer.release_guard()
        others = Others(sharing, signer.identity)
        said = await signer.commit_possession(others.key.key_id, (BOB,))
        while said is not None:
            mine = line(signer, said)
            share = await signer.sign_share(others.request(said.digest, mine), BOB)
            spent = Spending(mine.open.hiding, mine.open.binding, said.digest, said.boot)
            print(spent.nonce.hex(), flush=True)
            said = share if share.next is not None else None

asyncio.run(main())
"""


@pytest.mark.parametrize(("point", "unsaid"), [(CommitPoint.BEFORE, 0), (CommitPoint.AFTER, 1)])
@pytest.mark.asyncio
async def test_a_killed_signer_has_a_row_for_every_share_that_left(
    tmp_path: Path, sharing: Sharing, others: Others, point: CommitPoint, unsaid: int
) -> None:
    """The first commit is of the start, the next ones are of a share each."""
    network = sharing.document.network
    arguments = [str(tmp_path), point, "4", others.me.hex(), network.hex()]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == -signal.SIGKILL, result.stderr
    left = result.stdout.split()
    assert len(left) == 2
    with closing(sqlite3.connect(tmp_path / "guard" / "guard.sqlite")) as connection:
        rows = {bytes(nonce).hex() for (nonce,) in connection.execute("SELECT nonce FROM spent")}
    assert rows > set(left) if unsaid else rows == set(left)
    assert len(rows) == len(left) + unsaid
