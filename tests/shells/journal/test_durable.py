"""One file, one writer, group commit: what is promised to callers, and what a failing disk does."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from relay.core.errors import ConfigError, JournalError, TocsinError
from relay.disk import CommitPoint, Durable, Schema, create_file, lock_file, replace_file
from relay.disk.durable import MAX_PENDING

SCHEMA = Schema(0x74637431, 1, ("CREATE TABLE item (value INTEGER PRIMARY KEY) STRICT",))


def insert(value: int) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO item VALUES (?)", (value,))
        return value

    return work


def values(connection: sqlite3.Connection) -> list[int]:
    return [value for (value,) in connection.execute("SELECT value FROM item ORDER BY value")]


class Steps:
    """Records every step; raises at the chosen one."""

    def __init__(self, fail_at: str = "") -> None:
        self.seen: list[str] = []
        self.fail_at = fail_at

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if step == self.fail_at:
            raise OSError(f"injected {step}")


async def stored(path: Path) -> list[int]:
    async with Durable.open(path, SCHEMA) as durable:
        return await durable.read(values)


@pytest.mark.asyncio
async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"

    async with Durable.open(path, SCHEMA) as durable:
        assert await durable.write(insert(7)) == 7

    assert await stored(path) == [7]


@pytest.mark.asyncio
async def test_callers_that_wait_together_share_commits(tmp_path: Path) -> None:
    commits: list[str] = []
    all_wait = threading.Event()

    def probe(step: str) -> None:
        assert all_wait.wait(timeout=30)
        commits.extend([step] * (step == CommitPoint.AFTER))

    async with (
        Durable.open(tmp_path / "items.sqlite", SCHEMA, probe=probe) as durable,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(durable.write(insert(n))) for n in range(200)]
        await asyncio.sleep(0)  # each has come to its write
        all_wait.set()

    assert [task.result() for task in tasks] == list(range(200))
    assert len(commits) == 1


@pytest.mark.asyncio
async def test_items_for_one_work_come_together_and_each_caller_gets_its_own_outcome(tmp_path: Path) -> None:
    calls: list[list[int]] = []

    def insert_each(connection: sqlite3.Connection, items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        connection.executemany("INSERT INTO item VALUES (?)", [(item,) for item in items])
        return [-item for item in items]

    path = tmp_path / "items.sqlite"
    async with Durable.open(path, SCHEMA) as durable, asyncio.TaskGroup() as group:
        first = [group.create_task(durable.write_each(insert_each, n)) for n in range(3)]
        between = group.create_task(durable.write(insert(99)))
        then = [group.create_task(durable.write_each(insert_each, n)) for n in range(3, 5)]
        await asyncio.sleep(0)  # all have begun
        then[0].cancel()

    assert [task.result() for task in (*first, between, then[1])] == [0, -1, -2, 99, -4]
    assert calls == [[0, 1, 2], [3, 4]]
    assert await stored(path) == [0, 1, 2, 3, 4, 99]


@pytest.mark.asyncio
async def test_a_work_for_many_that_fails_fails_them_all(tmp_path: Path) -> None:
    def bug(_: sqlite3.Connection, items: Sequence[int]) -> list[int]:
        raise AssertionError(f"bug {items}")

    async with asyncio.timeout(10), Durable.open(tmp_path / "items.sqlite", SCHEMA) as durable:
        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(durable.write_each(bug, n) for n in range(2)), return_exceptions=True
        )

    assert [type(outcome) for outcome in outcomes] == [JournalError] * 2


@pytest.mark.asyncio
async def test_works_run_in_the_order_of_the_calls(tmp_path: Path) -> None:
    order: list[int] = []

    def note(number: int, _: sqlite3.Connection) -> None:
        order.append(number)

    async with Durable.open(tmp_path / "items.sqlite", SCHEMA) as durable, asyncio.TaskGroup() as group:
        for n in range(300):
            group.create_task(durable.write(partial(note, n)))

    assert order == list(range(300))


@pytest.mark.asyncio
async def test_callers_beyond_the_bound_wait_until_there_is_room(tmp_path: Path) -> None:
    commits: list[str] = []
    may_go = threading.Event()

    def probe(step: str) -> None:
        assert may_go.wait(timeout=30)
        commits.extend([step] * (step == CommitPoint.AFTER))

    path = tmp_path / "items.sqlite"
    async with (
        asyncio.timeout(60),
        Durable.open(path, SCHEMA, probe=probe) as durable,
        asyncio.TaskGroup() as group,
    ):
        for n in range(MAX_PENDING + 2):
            group.create_task(durable.write(insert(n)))
        await asyncio.sleep(0)  # each has come to its write, but for the last two
        may_go.set()

    assert len(commits) == 2
    assert len(await stored(path)) == MAX_PENDING + 2


@pytest.mark.asyncio
async def test_a_refusal_reaches_its_caller_only(tmp_path: Path) -> None:
    class Refusal(TocsinError):
        pass

    def refuse(_: sqlite3.Connection) -> int:
        raise Refusal("no")

    path = tmp_path / "items.sqlite"
    async with Durable.open(path, SCHEMA) as durable:
        good, bad = await asyncio.gather(  # noqa: TID251 - to see both outcomes
            durable.write(insert(1)), durable.write(refuse), return_exceptions=True
        )
        await durable.write(insert(2))

    assert good == 1
    assert isinstance(bad, Refusal)
    assert await stored(path) == [1, 2]


@pytest.mark.parametrize(("point", "after"), [(CommitPoint.BEFORE, []), (CommitPoint.AFTER, [1])])
@pytest.mark.asyncio
async def test_a_failed_commit_is_stored_or_not_and_ends_all_writing(
    tmp_path: Path, point: CommitPoint, after: list[int]
) -> None:
    path = tmp_path / "items.sqlite"

    async with Durable.open(path, SCHEMA, probe=Steps(fail_at=point)) as durable:
        with pytest.raises(JournalError, match=f"injected {point}"):
            await durable.write(insert(1))
        with pytest.raises(JournalError, match="expected the disk to take a write"):
            await durable.write(insert(2))

    assert await stored(path) == after


@pytest.mark.asyncio
async def test_a_bug_in_one_work_fails_the_batch_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"

    def bug(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO item VALUES (5)")
        raise AssertionError("bug")

    async with asyncio.timeout(10), Durable.open(path, SCHEMA) as durable:
        with pytest.raises(JournalError, match="bug"):
            await durable.write(bug)

    assert await stored(path) == []


@pytest.mark.asyncio
async def test_the_work_of_a_cancelled_caller_does_not_disturb_the_others(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"

    async with Durable.open(path, SCHEMA) as durable, asyncio.TaskGroup() as group:
        cancelled = group.create_task(durable.write(insert(1)))
        kept = group.create_task(durable.write(insert(2)))
        await asyncio.sleep(0)  # both have begun
        cancelled.cancel()

    assert kept.result() == 2
    assert 2 in await stored(path)


@pytest.mark.asyncio
async def test_closing_waits_for_what_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"

    async with asyncio.TaskGroup() as group:
        async with Durable.open(path, SCHEMA) as durable:
            task = group.create_task(durable.write(insert(1)))
            await asyncio.sleep(0)  # it has begun
        with pytest.raises(JournalError, match="closing"):
            await durable.write(insert(2))

    assert task.result() == 1
    assert await stored(path) == [1]


@pytest.mark.asyncio
async def test_each_commit_is_fsynced_before_its_callers_learn_of_it(tmp_path: Path) -> None:
    full = 2

    async with Durable.open(tmp_path / "items.sqlite", SCHEMA) as durable:
        assert await durable.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (full,)
        assert await durable.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


@pytest.mark.asyncio
async def test_a_second_opener_is_told_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"

    async with Durable.open(path, SCHEMA):
        with pytest.raises(
            ConfigError, match=r"items\.sqlite\.lock: expected no other process here, got pid \d+"
        ):
            await stored(path)

    assert await stored(path) == []


@pytest.mark.asyncio
async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    async with Durable.open(path, Schema(0x1234, 1, SCHEMA.statements)):
        pass

    with pytest.raises(ConfigError, match=r"expected kind 0x74637431 version 1, got 0x1234 version 1"):
        await stored(path)


@pytest.mark.asyncio
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    path.write_bytes(b"not a database, but long enough to have a header of one " * 20)

    with pytest.raises(JournalError, match="expected a database to write to"):
        await stored(path)


@pytest.mark.asyncio
async def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "items.sqlite"

    async with Durable.open(path, SCHEMA) as durable:
        await durable.write(insert(1))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert set(modes.values()) == {0o600}, modes


def test_a_created_file_is_never_overwritten(tmp_path: Path) -> None:
    create_file(tmp_path / "key", b"first")

    with pytest.raises(FileExistsError):
        create_file(tmp_path / "key", b"second")

    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(("step", "after"), [("before rename file", b"old"), ("after rename file", b"new")])
def test_a_replaced_file_is_old_or_new_whatever_fails(tmp_path: Path, step: str, after: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    with pytest.raises(OSError, match="injected"):
        replace_file(path, b"new", probe=Steps(fail_at=step))

    assert path.read_bytes() == after
    replace_file(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with (
        lock_file(tmp_path / "lock"),
        pytest.raises(ConfigError, match="got pid"),
        lock_file(tmp_path / "lock"),
    ):
        pass

    with lock_file(tmp_path / "lock"):
        pass
