"""Nonces that have signed are known for ever, and a guard file of an older release goes on."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.hashes import keccak256
from proofs.kinds import DecisionId, Digest
from relay.core.errors import ConfigError, GuardRefusal, JournalError
from relay.core.types import MandateDigest, Seconds
from relay.disk import CommitPoint
from relay.keys import Guard, Statement
from relay.keys.spent import Spending

SAID = (DecisionId(keccak256(b"decision")), 1)
DIGEST = Digest(keccak256(b"digest"))
VERSION_1 = (
    "CREATE TABLE statement (decision_id BLOB NOT NULL, key_epoch INTEGER NOT NULL, digest BLOB NOT NULL,"
    " not_before INTEGER NOT NULL, PRIMARY KEY (decision_id, key_epoch)) STRICT, WITHOUT ROWID",
    "CREATE TABLE guard (one INTEGER PRIMARY KEY CHECK (one = 1), watermark INTEGER NOT NULL,"
    " is_restored INTEGER NOT NULL) STRICT",
    "INSERT INTO guard VALUES (1, 250, 0)",
    f"INSERT INTO statement VALUES (x'{SAID[0].hex()}', 1, x'{DIGEST.hex()}', 300)",
    f"PRAGMA application_id={0x74636731}",
    "PRAGMA user_version=1",
)


def spending(boot: int, nonce: bytes = b"one") -> Spending:
    return Spending(hiding=b"D" + nonce, binding=b"E" + nonce, digest=DIGEST, boot=boot)


async def unlock(guard: Guard) -> None:
    await guard.release()
    await guard.permit(Statement(*SAID, MandateDigest(DIGEST), Seconds(300)))


@pytest.mark.asyncio
async def test_a_nonce_is_spent_once_for_ever(tmp_path: Path) -> None:
    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        await unlock(guard)
        boot = await guard.begin_boot()
        await guard.spend(spending(boot), SAID)
        with pytest.raises(GuardRefusal, match="nonce spent"):
            await guard.spend(spending(boot), SAID)
        await guard.spend(spending(boot, b"two"), SAID)

    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        await unlock(guard)
        boot = await guard.begin_boot()
        with pytest.raises(GuardRefusal, match="nonce spent"):
            await guard.spend(spending(boot), None)


@pytest.mark.asyncio
async def test_of_two_that_race_for_a_nonce_one_spends_it(tmp_path: Path) -> None:
    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        await unlock(guard)
        boot = await guard.begin_boot()
        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(guard.spend(spending(boot), SAID) for _ in range(20)), return_exceptions=True
        )

    assert outcomes.count(None) == 1
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, GuardRefusal)} == {"nonce spent"}


@pytest.mark.asyncio
async def test_a_nonce_of_an_earlier_start_is_dead(tmp_path: Path) -> None:
    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        await unlock(guard)
        first, second = await guard.begin_boot(), await guard.begin_boot()

        assert (first, second) == (1, 2)
        with pytest.raises(GuardRefusal, match="nonce dead: expected boot 2, got 1"):
            await guard.spend(spending(first), SAID)


@pytest.mark.asyncio
async def test_a_copy_that_is_put_back_counts_its_starts_on_from_a_number_that_no_peer_has_seen(
    tmp_path: Path,
) -> None:
    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        before = await guard.begin_boot()
        await guard.restored_from_backup(Seconds(1_700_000_000), mandate_lifetime_s=Seconds(100))
        assert await guard.begin_boot() == 1_700_000_001
        await guard.restored_from_backup(Seconds(5), mandate_lifetime_s=Seconds(100))
        assert await guard.begin_boot() == 1_700_000_002
        await guard.release()
        with pytest.raises(GuardRefusal, match="nonce dead"):
            await guard.spend(spending(before), None)


@pytest.mark.asyncio
async def test_nothing_is_spent_for_a_digest_that_the_guard_did_not_let_out(tmp_path: Path) -> None:
    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        boot = await guard.begin_boot()
        with pytest.raises(GuardRefusal, match="not yet released"):
            await guard.spend(spending(boot), SAID)
        await unlock(guard)
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await guard.spend(spending(boot), (SAID[0], 2))
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await guard.spend(replace(spending(boot), digest=Digest(bytes(32))), SAID)

        await guard.spend(spending(boot), SAID)


@pytest.mark.parametrize(("point", "is_stored"), [(CommitPoint.BEFORE, False), (CommitPoint.AFTER, True)])
@pytest.mark.asyncio
async def test_a_failed_write_spends_or_not_and_tells_nobody_that_it_did(
    tmp_path: Path, point: CommitPoint, is_stored: bool
) -> None:
    left = [3]

    def fail(step: str) -> None:
        left[0] -= step == point
        if left[0] == 0:
            raise OSError("injected")

    async with Guard.open(tmp_path / "guard.sqlite", probe=fail) as guard:
        boot = await guard.begin_boot()
        await unlock(guard)
        with pytest.raises(JournalError, match="injected"):
            await guard.spend(spending(boot), SAID)

    with closing(sqlite3.connect(tmp_path / "guard.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM spent").fetchone() == (int(is_stored),)


def write_version_1(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in VERSION_1:
            connection.execute(statement)


@pytest.mark.asyncio
async def test_a_guard_of_the_release_before_opens_with_all_it_said(tmp_path: Path) -> None:
    write_version_1(tmp_path / "guard.sqlite")

    for boot in (1, 2):
        async with Guard.open(tmp_path / "guard.sqlite") as guard:
            assert await guard.holds(*SAID) == DIGEST
            assert await guard.watermark() == 250
            assert await guard.begin_boot() == boot
            await guard.release()
            await guard.spend(spending(boot, b"%d" % boot), SAID)


@pytest.mark.asyncio
async def test_an_export_of_the_release_before_is_imported(tmp_path: Path) -> None:
    write_version_1(tmp_path / "export")

    async with Guard.open(tmp_path / "guard.sqlite") as guard:
        assert await guard.import_statements(tmp_path / "export") == 1
        assert await guard.holds(*SAID) == DIGEST


@pytest.mark.asyncio
async def test_a_guard_of_a_later_release_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    write_version_1(tmp_path / "guard.sqlite")
    with closing(sqlite3.connect(tmp_path / "guard.sqlite")) as connection:
        connection.execute("PRAGMA user_version=3")

    with pytest.raises(ConfigError, match="version 2, got 0x74636731 version 3"):
        async with Guard.open(tmp_path / "guard.sqlite"):
            pass
