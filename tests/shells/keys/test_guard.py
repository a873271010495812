"""What was once let out is known for ever; a second digest never leaves, whatever happened to the machine."""

import asyncio
import random
import shutil
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from proofs.hashes import keccak256
from proofs.kinds import DecisionId
from relay.core.errors import ConfigError, GuardRefusal, JournalError
from relay.core.types import MandateDigest, Seconds
from relay.disk import CommitPoint, Probe, no_probe
from relay.keys import Guard, Statement


def statement(
    number: int, digest: bytes = b"digest", *, key_epoch: int = 1, not_before: int = 100
) -> Statement:
    return Statement(
        DecisionId(keccak256(b"decision %d" % number)),
        key_epoch,
        MandateDigest(keccak256(digest)),
        Seconds(not_before),
    )


def open_guard(tmp_path: Path, probe: Probe = no_probe) -> AbstractAsyncContextManager[Guard]:
    return Guard.open(tmp_path / "guard" / "guard.sqlite", probe=probe)


async def holds(guard: Guard, wanted: Statement) -> bool:
    return await guard.holds(wanted.decision_id, wanted.key_epoch) == wanted.digest


@pytest.mark.asyncio
async def test_a_second_digest_is_refused_for_ever(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_guard(tmp_path) as guard:
            await guard.release()
            await guard.permit(statement(1))
            await guard.permit(statement(1))
            with pytest.raises(
                GuardRefusal, match=r"conflicting digest: decision [0-9a-f]{64} epoch 1: expected"
            ):
                await guard.permit(statement(1, b"other"))

            assert await holds(guard, statement(1))


@pytest.mark.asyncio
async def test_a_decision_may_be_signed_once_per_key_epoch(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(1, b"one", key_epoch=1))
        await guard.permit(statement(1, b"two", key_epoch=2))

        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await guard.permit(statement(1, b"one", key_epoch=2))


@pytest.mark.asyncio
async def test_of_concurrent_digests_for_one_decision_one_is_let_out(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(guard.permit(statement(1, b"digest %d" % n)) for n in range(50)), return_exceptions=True
        )

    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, GuardRefusal) for outcome in outcomes if outcome is not None)


@pytest.mark.asyncio
async def test_a_refusal_does_not_disturb_those_who_share_its_commit(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(0))
        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(guard.permit(statement(n, b"other")) for n in range(20)), return_exceptions=True
        )

        assert [type(outcome) for outcome in outcomes] == [GuardRefusal] + [type(None)] * 19
        assert await holds(guard, statement(19, b"other"))


@pytest.mark.asyncio
async def test_nothing_is_let_out_before_the_release(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        with pytest.raises(GuardRefusal, match="not yet released"):
            await guard.permit(statement(1))
        await guard.release()
        await guard.permit(statement(1))

    async with open_guard(tmp_path) as guard:  # each start asks the peers anew
        with pytest.raises(GuardRefusal, match="not yet released"):
            await guard.permit(statement(1))


@pytest.mark.parametrize(("point", "is_stored"), [(CommitPoint.BEFORE, False), (CommitPoint.AFTER, True)])
@pytest.mark.asyncio
async def test_a_failed_write_lets_nothing_out_and_is_stored_or_not(
    tmp_path: Path, point: CommitPoint, is_stored: bool
) -> None:
    def fail(step: str) -> None:
        if step == point:
            raise OSError("injected")

    async with open_guard(tmp_path, fail) as guard:
        await guard.release()
        with pytest.raises(JournalError, match="injected"):
            await guard.permit(statement(1))
        with pytest.raises(JournalError):
            await guard.permit(statement(2))

    async with open_guard(tmp_path) as guard:
        await guard.release()
        assert await holds(guard, statement(1)) is is_stored
        if is_stored:
            with pytest.raises(GuardRefusal, match="conflicting digest"):
                await guard.permit(statement(1, b"other"))
        else:
            await guard.permit(statement(1, b"other"))


@pytest.mark.asyncio
async def test_below_the_watermark_nothing_new_is_let_out(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(1, not_before=100))
        await guard.set_watermark(Seconds(200))
        await guard.set_watermark(Seconds(150))  # only ever rises

        assert await guard.watermark() == 200
        with pytest.raises(GuardRefusal, match="older than the watermark: expected at least 200, got 199"):
            await guard.permit(statement(2, not_before=199))
        await guard.permit(statement(3, not_before=200))
        await guard.permit(statement(1, not_before=100))  # said before; saying it again adds nothing

    async with open_guard(tmp_path) as guard:
        assert await guard.watermark() == 200


@pytest.mark.asyncio
async def test_an_older_copy_put_back_signs_nothing_that_the_lost_part_may_have_signed(
    tmp_path: Path,
) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(1))
    shutil.copytree(tmp_path / "guard", tmp_path / "copy")
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(2, not_before=1_000))
    shutil.rmtree(tmp_path / "guard")
    (tmp_path / "copy").rename(tmp_path / "guard")

    async with open_guard(tmp_path) as guard:
        await guard.restored_from_backup(Seconds(1_000), mandate_lifetime_s=Seconds(1_800))
        await guard.release()

        with pytest.raises(GuardRefusal, match="older than the watermark: expected at least 2800, got 1000"):
            await guard.permit(statement(2, b"other", not_before=1_000))
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await guard.permit(statement(1, b"other", not_before=9_000))
        await guard.permit(statement(3, not_before=2_800))


@pytest.mark.asyncio
async def test_an_import_only_adds_and_asks_for_the_watermark(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(1))
        await guard.set_watermark(Seconds(50))
        await guard.export(tmp_path / "export")
    async with open_guard(tmp_path / "new") as guard:
        await guard.release()
        await guard.permit(statement(2))

        assert await guard.import_statements(tmp_path / "export") == 1
        with pytest.raises(GuardRefusal, match="watermark required"):
            await guard.release()
    async with open_guard(tmp_path / "new") as guard:  # a restart does not forget it
        with pytest.raises(GuardRefusal, match="watermark required"):
            await guard.release()
        with pytest.raises(GuardRefusal, match="not yet released"):
            await guard.permit(statement(3))
        await guard.restored_from_backup(Seconds(500), mandate_lifetime_s=Seconds(100))
        await guard.release()

        assert await holds(guard, statement(1))
        assert await holds(guard, statement(2))
        assert await guard.watermark() == 600


@pytest.mark.asyncio
async def test_an_import_that_contradicts_adds_nothing(tmp_path: Path) -> None:
    async with open_guard(tmp_path) as guard:
        await guard.release()
        for number in range(5):
            await guard.permit(statement(number))
        await guard.export(tmp_path / "export")
    async with open_guard(tmp_path / "new") as guard:
        await guard.release()
        await guard.permit(statement(4, b"other"))

        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await guard.import_statements(tmp_path / "export")
        assert not await holds(guard, statement(0))
        assert await holds(guard, statement(4, b"other"))


@pytest.mark.asyncio
async def test_an_export_is_private_whole_and_never_overwrites(tmp_path: Path) -> None:
    export = tmp_path / "export"
    async with open_guard(tmp_path) as guard:
        await guard.release()
        await guard.permit(statement(1))
        await guard.export(export)
        with pytest.raises(ConfigError, match="export: expected no file, got one"):
            await guard.export(export)

    assert export.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(export)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM statement").fetchone() == (1,)


@pytest.mark.parametrize("content", [b"", b"no database", None])
@pytest.mark.asyncio
async def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "export").write_bytes(content)

    async with open_guard(tmp_path) as guard:
        with pytest.raises(ConfigError, match="export: expected an exported guard, got"):
            await guard.import_statements(tmp_path / "export")


@pytest.mark.asyncio
async def test_whatever_fails_and_whenever_no_decision_gets_two_digests(
    tmp_path: Path, chance: random.Random
) -> None:
    """Runs that end at a random commit, before or after it is stored; every permit that came back is kept."""
    let_out: dict[DecisionId, set[MandateDigest]] = {}

    for _ in range(25):
        left, point = chance.randint(1, 6), chance.choice([CommitPoint.BEFORE, CommitPoint.AFTER])
        reached: list[str] = []

        def fail(step: str, left: int = left, point: str = point, reached: list[str] = reached) -> None:
            reached.append(step)
            if reached.count(point) >= left:
                raise OSError("injected")

        async with open_guard(tmp_path, fail) as guard:
            await guard.release()
            wanted = [statement(chance.randrange(8), b"%d" % chance.randrange(3)) for _ in range(12)]
            for batch in (wanted[:4], wanted[4:8], wanted[8:]):
                outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
                    *map(guard.permit, batch), return_exceptions=True
                )
                for said, outcome in zip(batch, outcomes, strict=True):
                    assert outcome is None or isinstance(outcome, GuardRefusal | JournalError), outcome
                    if outcome is None:
                        let_out.setdefault(said.decision_id, set()).add(said.digest)

    assert let_out
    assert all(len(digests) == 1 for digests in let_out.values())


@pytest.mark.asyncio
async def test_only_one_process_opens_the_guard(tmp_path: Path) -> None:
    async with open_guard(tmp_path):
        with pytest.raises(
            ConfigError, match=r"guard\.sqlite\.lock: expected no other process here, got pid \d+"
        ):
            async with open_guard(tmp_path):
                pass
