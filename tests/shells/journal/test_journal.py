"""What enters together is stored together; what comes out is what went in, in order."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.hashes import sha256
from relay.core.errors import ConfigError, JournalError
from relay.core.types import Millis
from relay.disk import CommitPoint
from relay.journal import DiskLimits, Journal, LogEntry, StoredEnvelope, count_boot

OpenJournal = Callable[..., AbstractAsyncContextManager[Journal]]
MakeEnvelope = Callable[..., StoredEnvelope]


async def events_of(journal: Journal, after: int = 0) -> list[tuple[int, bytes]]:
    return [pair async for pair in journal.replay(after)]


async def offered(journal: Journal, limit: int = 100) -> list[bytes]:
    return [digest for _, digest in await journal.recent_digests(limit)]


@pytest.mark.asyncio
async def test_events_replay_in_order_from_any_point(open_journal: OpenJournal) -> None:
    async with open_journal() as journal:
        assert await journal.append([b"one", b"two"]) == 1
        assert await journal.append([b"three"]) == 3

    async with open_journal() as journal:
        assert await events_of(journal) == [(1, b"one"), (2, b"two"), (3, b"three")]
        assert await events_of(journal, after=2) == [(3, b"three")]
        assert await journal.append([b"four"]) == 4


@pytest.mark.asyncio
async def test_a_long_journal_replays_without_gap_or_repetition(open_journal: OpenJournal) -> None:
    events = [b"%d" % number for number in range(1_500)]  # more than two reads

    async with open_journal() as journal:
        await journal.append(events)

        assert await events_of(journal) == list(enumerate(events, 1))


@pytest.mark.asyncio
async def test_concurrent_callers_get_numbers_of_their_own(open_journal: OpenJournal) -> None:
    async with open_journal() as journal:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(journal.append([b"%d" % n, b"%d'" % n])) for n in range(100)]
        stored = dict(await events_of(journal))

    assert sorted(task.result() for task in tasks) == list(range(1, 201, 2))
    for number, task in enumerate(tasks):
        assert stored[task.result()] == b"%d" % number
        assert stored[task.result() + 1] == b"%d'" % number


@pytest.mark.asyncio
async def test_a_missing_event_is_noticed(open_journal: OpenJournal) -> None:
    async with open_journal() as journal:
        await journal.append([b"one", b"two", b"three"])
        await journal.durable.write(
            lambda connection: connection.execute("DELETE FROM event WHERE seq = 2").rowcount
        )

        with pytest.raises(JournalError, match="expected event 2, got 3"):
            await events_of(journal)


@pytest.mark.asyncio
async def test_an_envelope_comes_back_byte_for_byte(
    open_journal: OpenJournal, envelope: MakeEnvelope
) -> None:
    async with open_journal() as journal:
        await journal.append([b"event"], [envelope(1)])

        assert await journal.get(envelope(1).digest) == envelope(1).raw
        assert await journal.has(envelope(1).digest)
        assert await journal.get(envelope(2).digest) is None
        assert not await journal.has(envelope(2).digest)


@pytest.mark.asyncio
async def test_bytes_that_event_and_envelope_share_are_stored_once_and_replay_whole(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    raw = [bytes([n]) * 50_000 for n in range(4)]
    new = [StoredEnvelope(r, sha256(r), Millis(1), LogEntry.HELD, in_event=0) for r in raw]
    events = [b"head" + raw[0] + b"tail", raw[1], b"head" + raw[2], b"another", b"again" + raw[0], b"last"]
    async with open_journal() as journal:
        await journal.append(events[:1], new[:1])
        await journal.append(events[1:2], new[1:2])
        await journal.append([events[3], events[2]], [replace(new[2], in_event=1)])
        await journal.append([events[4]], new[:1])  # known already: the event stands whole
        await journal.append([events[5]], new[3:])  # does not hold it

    assert (tmp_path / "state" / "journal.sqlite").stat().st_size < 6 * 50_000
    async with open_journal() as journal:
        assert [event for _, event in await events_of(journal)] == [
            *events[:2],
            events[3],
            events[2],
            *events[4:],
        ]
        assert [await journal.get(e.digest) for e in new] == raw


@pytest.mark.parametrize(
    "altering",
    [
        "DELETE FROM envelope",
        "UPDATE envelope SET bytes = zeroblob(8)",
        "UPDATE envelope SET digest = x'00'",
    ],
)
@pytest.mark.asyncio
async def test_an_event_whose_envelope_is_gone_or_altered_is_noticed(
    open_journal: OpenJournal, envelope: MakeEnvelope, altering: str
) -> None:
    async with open_journal() as journal:
        await journal.append([envelope(1).raw], [replace(envelope(1), in_event=0)])
        await journal.durable.write(lambda connection: connection.execute(altering).rowcount)

        with pytest.raises(JournalError, match="expected event 1, got it without its envelope"):
            await events_of(journal)


@pytest.mark.asyncio
async def test_callers_that_bring_the_same_envelope_together_store_it_once(
    open_journal: OpenJournal, envelope: MakeEnvelope
) -> None:
    """In one commit: as kept only, then as an entry; and beside one that was there before."""
    async with open_journal() as journal:
        await journal.append([b"0"], [envelope(9, LogEntry.NONE)])
        brought = [
            [envelope(1, LogEntry.NONE)],
            [envelope(1), envelope(1, LogEntry.RELEASED)],
            [envelope(9), envelope(2)],
            [envelope(9, LogEntry.NONE)],
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(journal.append([b"%d" % n], [replace(e, in_event=0) for e in envelopes]))
                for n, envelopes in enumerate(brought, 1)
            ]

        assert [task.result() for task in tasks] == [2, 3, 4, 5]
        assert await events_of(journal) == [(n + 1, b"%d" % n) for n in range(5)]
        assert journal.log_size == 3
        assert await offered(journal) == [envelope(n).digest for n in (2, 1, 9)]

    async with open_journal() as journal:
        entries = await journal.durable.read(
            lambda connection: connection.execute(
                "SELECT digest, log_entry.log_index, held_entry.log_index FROM log_entry"
                " JOIN envelope USING (number, log_index) LEFT JOIN held_entry USING (log_index)"
                " ORDER BY log_entry.log_index"
            ).fetchall()
        )
        assert entries == [(envelope(n).digest, place, place) for place, n in enumerate((1, 9, 2))]


@pytest.mark.asyncio
async def test_digests_are_offered_newest_first_until_they_expire(
    open_journal: OpenJournal, envelope: MakeEnvelope
) -> None:
    now = [1_000]
    async with open_journal(clock=lambda: Millis(now[0])) as journal:
        envelopes = [envelope(1, expires_at_ms=3_000), envelope(2, expires_at_ms=2_000), envelope(3)]
        await journal.append([], envelopes)

        assert await offered(journal) == [e.digest for e in reversed(envelopes)]
        assert await offered(journal, 1) == [envelopes[2].digest]
        now[0] = 2_000
        assert await offered(journal) == [envelopes[0].digest]
        assert await journal.get(envelopes[1].digest) == envelopes[1].raw


@pytest.mark.asyncio
async def test_a_restart_offers_the_same_digests(open_journal: OpenJournal, envelope: MakeEnvelope) -> None:
    async with open_journal() as journal:
        await journal.append([], [envelope(n) for n in range(20)])
        await journal.append([], [envelope(3), envelope(20)])
        before = await offered(journal)

    async with open_journal() as journal:
        assert await offered(journal) == before == [envelope(n).digest for n in range(20, -1, -1)]


@pytest.mark.asyncio
async def test_an_envelope_that_was_kept_only_may_enter_the_log_later(
    open_journal: OpenJournal, envelope: MakeEnvelope
) -> None:
    async with open_journal() as journal:
        await journal.append([b"received"], [envelope(1, LogEntry.NONE)])
        assert journal.log_size == 0
        await journal.append([b"logged"], [envelope(1)])
        await journal.append([b"again"], [envelope(1, LogEntry.RELEASED), envelope(1, LogEntry.NONE)])

        assert journal.log_size == 1
        assert await offered(journal) == [envelope(1).digest]


@pytest.mark.asyncio
async def test_an_envelope_enters_the_log_once(open_journal: OpenJournal, envelope: MakeEnvelope) -> None:
    async with open_journal() as journal:
        await journal.append([b"a"], [envelope(1), envelope(2, LogEntry.NONE)])
        await journal.append([b"b"], [envelope(1), envelope(3, LogEntry.RELEASED)])

        assert journal.log_size == 2

    async with open_journal() as journal:
        assert journal.log_size == 2
        await journal.append([b"c"], [envelope(4)])
        assert journal.log_size == 3


@pytest.mark.parametrize(("point", "is_stored"), [(CommitPoint.BEFORE, False), (CommitPoint.AFTER, True)])
@pytest.mark.asyncio
async def test_a_failing_disk_stores_event_envelope_and_entry_together_or_not_at_all(
    open_journal: OpenJournal, envelope: MakeEnvelope, point: CommitPoint, is_stored: bool
) -> None:
    def fail(step: str) -> None:
        if step == point:
            raise OSError("injected")

    async with open_journal(probe=fail) as journal:
        with pytest.raises(JournalError, match="injected"):
            await journal.append([b"event"], [envelope(1)])
        assert journal.log_size == 0
        with pytest.raises(JournalError):  # the node stops
            await journal.append([b"later"])

    async with open_journal() as journal:
        assert await events_of(journal) == ([(1, b"event")] if is_stored else [])
        assert await journal.has(envelope(1).digest) is is_stored
        assert journal.log_size == int(is_stored)


@pytest.mark.asyncio
async def test_whatever_fails_and_whenever_all_that_was_acknowledged_replays(
    open_journal: OpenJournal, envelope: MakeEnvelope, chance: random.Random
) -> None:
    """Runs that end at a random commit, before or after it is stored, with several callers at a time."""
    acknowledged: dict[int, bytes] = {}
    number = 0

    for _ in range(25):
        left, point = chance.randint(1, 5), chance.choice([CommitPoint.BEFORE, CommitPoint.AFTER])
        reached: list[str] = []

        def fail(step: str, left: int = left, point: str = point, reached: list[str] = reached) -> None:
            reached.append(step)
            if reached.count(point) >= left:
                raise OSError("injected")

        async with open_journal(probe=fail) as journal:
            for _ in range(4):
                numbers = range(number, number + chance.randint(1, 5))
                number = numbers.stop
                outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
                    *(journal.append([b"%d" % n], [envelope(n)]) for n in numbers), return_exceptions=True
                )
                for n, outcome in zip(numbers, outcomes, strict=True):
                    assert isinstance(outcome, int | JournalError), outcome
                    if isinstance(outcome, int):
                        acknowledged[outcome] = b"%d" % n

    async with open_journal() as journal:
        stored = dict(await events_of(journal))
        assert journal.log_size == len(stored)
        for event in stored.values():
            assert await journal.has(envelope(int(event)).digest)
    assert acknowledged.items() <= stored.items()


@pytest.mark.asyncio
async def test_meta_values_survive(open_journal: OpenJournal) -> None:
    async with open_journal() as journal:
        assert await journal.get_meta("key") is None
        await journal.set_meta("key", b"old")
        await journal.set_meta("key", b"new")

    async with open_journal() as journal:
        assert await journal.get_meta("key") == b"new"


@pytest.mark.asyncio
async def test_every_start_counts_and_has_an_instance_of_its_own(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    boots = []
    for _ in range(3):
        async with open_journal() as journal:
            boots.append(await count_boot(journal, tmp_path / "state" / "instance"))
            assert (tmp_path / "state" / "instance").read_bytes() == boots[-1].instance

    assert [boot.number for boot in boots] == [1, 2, 3]
    assert len({boot.instance for boot in boots}) == 3
    assert all(len(boot.instance) == 16 for boot in boots)


@pytest.mark.asyncio
async def test_too_little_room_is_refused_and_the_ballast_named(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    async with open_journal():
        ballast = tmp_path / "state" / "ballast"
        assert ballast.stat().st_size == 4_096

    with pytest.raises(ConfigError, match=rf"expected at least \d+ free bytes, got \d+ .*deleting {ballast}"):
        async with open_journal(limits=DiskLimits(min_free_bytes=1 << 62)):
            pass


@pytest.mark.asyncio
async def test_a_disk_that_fills_up_is_reported(open_journal: OpenJournal, tmp_path: Path) -> None:
    async with open_journal(
        limits=DiskLimits(min_free_bytes=0, warn_free_percent=0, ballast_bytes=4_096)
    ) as journal:
        roomy = journal.disk_state()
        (tmp_path / "state" / "ballast").unlink()
        spent = journal.disk_state()
    async with open_journal(
        limits=DiskLimits(min_free_bytes=0, warn_free_percent=100, ballast_bytes=0)
    ) as journal:
        full = journal.disk_state()

    assert (roomy.is_low, roomy.has_ballast) == (False, True)
    assert not spent.has_ballast
    assert full.is_low
    assert 0 < full.free_bytes <= full.total_bytes


@pytest.mark.asyncio
async def test_a_home_that_cannot_be_written_is_a_failing_disk(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")

    with pytest.raises(JournalError, match="expected a directory to write to"):
        async with Journal.open(tmp_path / "state" / "journal.sqlite", clock=lambda: Millis(0)):
            pass
