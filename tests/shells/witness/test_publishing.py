"""From a log to a served checkpoint: who must stand behind it, who may be silent, and who cannot lie."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.checkpoint import checkpoint_text
from proofs.committee import CommitteeDocument, full_quorum, malicious_bound
from proofs.errors import ProofError
from proofs.note import cosignature, cosigned_bytes, parse_note
from proofs.policy import committee_policy, open_checkpoint_under
from proofs.witness import accepted_answer, add_cosignatures, parse_add_checkpoint
from relay.witness.pushing import PATIENCE_MS
from tests.shells.witness.circle import (
    BEGAN,
    Clock,
    Door,
    Heard,
    MemoryLog,
    Secrets,
    committee_of,
    open_desk,
    story_of,
    until,
)
from tests.shells.witness.ring import open_circle, publishing

pytestmark = pytest.mark.asyncio


def is_witnessed(note: str, document: CommitteeDocument) -> bool:
    try:
        open_checkpoint_under(note, committee_policy([document]))
    except ProofError:
        return False
    return True


@pytest.mark.parametrize("size", [4, 7])
async def test_with_f_silent_a_log_is_published_and_with_more_it_is_not(tmp_path: Path, size: int) -> None:
    async with open_circle(tmp_path, size) as circle:
        f = malicious_bound(size)
        log = MemoryLog(story_of(circle.document, "alice", 3))
        async with publishing(circle, log) as publisher:
            circle.shut(f)
            await publisher.turn()
            await until("the empty tree is published", lambda: bool(log.files))
            await publisher.turn()
            await until("three entries are published", lambda: len(log.files) == 2)
            circle.shut(f + 1)
            log.story = log.story.grown(b"more")
            await publisher.turn()
            await until("all others have cosigned", lambda: len(publisher.cosigned_by()) == size - f - 1)
            await publisher.turn()

            assert log.published is not None
            assert log.published.checkpoint.size == 3
            assert [each.reason for each in publisher.missing()] == ["shut"] * (f + 1)
            assert publisher.waiting_ms() == 0
            circle.clock.forward(70_000)
            assert publisher.waiting_ms() == 70_000

            circle.shut(f)  # one comes back
            publisher.wake(circle.doors[size - f - 1].key)
            await until("it is published", lambda: len(log.files) == 3)

    assert all(is_witnessed(note, circle.document) for note in log.files)
    assert full_quorum(size) == size - f


async def test_later_cosignatures_join_at_the_next_turn(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 3), recorded=3)
        circle.shut(1)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("it is published", lambda: bool(log.files))
            circle.shut(0)
            publisher.wake(circle.doors[3].key)
            await until("all have cosigned", lambda: len(publisher.cosigned_by()) == 4)
            assert len(log.files) == 1
            await publisher.turn()
            await publisher.turn()

            assert len(log.files) == 2  # and a turn without news writes nothing
            assert publisher.missing() == []
    assert [len(parse_note(note).signatures) for note in log.files] == [4, 5]


async def test_a_log_that_does_not_grow_asks_nobody(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 3), recorded=3)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("all have cosigned", lambda: len(publisher.cosigned_by()) == 4)
            asked = sum(len(door.asked) for door in circle.doors)
            for _ in range(20):
                circle.clock.forward(60_000)
                await publisher.turn()
                await asyncio.sleep(0)

            assert sum(len(door.asked) for door in circle.doors) == asked == 4


async def test_a_witness_names_its_size_and_is_asked_once_more_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.witness.pushing._FIRST_WAIT_S", 60.0)
    async with open_circle(tmp_path, 4) as circle:
        story = story_of(circle.document, "alice", 9)
        for desk in circle.desks:
            await desk.add_checkpoint(story.request(0, 5))
        log = MemoryLog(story, recorded=9)  # the process before this one had asked for five
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("all have cosigned", lambda: len(publisher.cosigned_by()) == 4)

        assert [len(door.asked) for door in circle.doors] == [2] * 4
        assert [parse_add_checkpoint(raw).old for raw in circle.doors[0].asked] == [0, 5]


async def test_a_checkpoint_without_its_quorum_gives_way_to_a_newer_one_in_time(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 1), recorded=1)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("the first is published", lambda: bool(log.files))
            circle.shut(2)
            log.story = log.story.grown(b"second")
            await publisher.turn()
            log.story = log.story.grown(b"third")
            await publisher.turn()
            assert (await log.sign_recorded(lambda _: asyncio.sleep(0, b""))).checkpoint.size == 2
            circle.clock.forward(PATIENCE_MS)
            await publisher.turn()
            circle.shut(0)
            await until("the newest is published", lambda: bool(log.published and size_of(log) == 3))


def size_of(log: MemoryLog) -> int:
    assert log.published is not None
    return log.published.checkpoint.size


# ---- lies


async def test_of_two_stories_only_one_gets_a_quorum_with_f_lying_witnesses(tmp_path: Path) -> None:
    """Whichever members see which story: k and k share an honest one, and it cosigns one history."""
    for size in (4, 7):
        async with open_circle(tmp_path / str(size), size) as circle:
            f, k = malicious_bound(size), full_quorum(size)
            story = story_of(circle.document, "alice", 5)
            other = story_of(circle.document, "alice", 6, "for others")
            liars, honest = circle.desks[:f], circle.desks[f:]
            half = len(honest) // 2
            told = [await desk.add_checkpoint(story.request()) for desk in honest[:half]]
            told += [await desk.add_checkpoint(other.request()) for desk in honest[half:]]
            assert [answer.status for answer in told] == [200] * len(honest)
            again = [await desk.add_checkpoint(other.request()) for desk in honest[:half]]
            again += [await desk.add_checkpoint(story.request()) for desk in honest[half:]]
            assert [answer.status for answer in again] == [409] * len(honest)

            one, two = half + len(liars), len(honest) - half + len(liars)
            assert not (one >= k and two >= k)


async def test_two_stories_of_one_size_are_found_where_two_witnesses_talk(tmp_path: Path) -> None:
    heard = Heard()
    document = committee_of()
    story = story_of(document, "alice", 5)
    other = story_of(document, "alice", 5, "for others")
    async with (
        open_desk(tmp_path / "b", document, "bob", heard=heard) as bob,
        open_desk(tmp_path / "c", document, "carol") as carol,
    ):
        await bob.add_checkpoint(story.request())
        await carol.add_checkpoint(other.request())
        note = await carol.cosigned_note(story.key)
        assert note is not None
        await bob.see(note)

    assert len(heard.forks) == 1


class Sleeper(Door):
    """A witness that signs whatever it is shown."""

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        self.asked.append(raw)
        text = parse_note(parse_add_checkpoint(raw).checkpoint).text
        secret = Secrets("dave").cosigner
        line = cosignature(self.key, 5, secret.sign(cosigned_bytes(text, 5)).signature)
        return 200, accepted_answer([line]).body


async def test_a_witness_that_signs_without_looking_makes_no_second_history(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        circle.doors[3] = Sleeper(circle.doors[3].key, circle.doors[3].desk)
        story = story_of(circle.document, "alice", 5)
        other = MemoryLog(story_of(circle.document, "alice", 6, "another"), recorded=6)
        for desk in circle.desks[:3]:
            await desk.add_checkpoint(story.request())
        async with publishing(circle, other) as publisher:
            await publisher.turn()
            await until("all were asked", lambda: all(door.asked for door in circle.doors))
            await until("the sleeper has signed", lambda: len(publisher.cosigned_by()) == 1)

        assert other.files == []


class Boaster(Door):
    """A witness that names a size which it has never seen."""

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        self.asked.append(raw)
        return 409, b"1000000\n"


class Forger(Door):
    """A witness that answers with somebody else's signature."""

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        self.asked.append(raw)
        line = cosignature(self.key, 5, bytes(64))
        return 200, accepted_answer([line]).body


@pytest.mark.parametrize("liar", [Boaster, Forger])
async def test_no_single_liar_can_stop_a_log(tmp_path: Path, liar: type[Door]) -> None:
    async with open_circle(tmp_path, 4) as circle:
        circle.doors[0] = liar(circle.doors[0].key, circle.doors[0].desk)
        log = MemoryLog(story_of(circle.document, "alice", 5), recorded=2)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("it is published", lambda: bool(log.files))
            await publisher.turn()
            await until("it goes on", lambda: len(log.files) == 2)

            assert publisher.stopped == ""
            assert circle.heard.pages == []
            assert [each.key for each in publisher.missing()] == [circle.doors[0].key]


async def test_an_old_cosignature_confirms_no_disk(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        story = story_of(circle.document, "alice", 5)
        old = []
        for desk in circle.desks:
            await desk.add_checkpoint(story.request(0, 2))
            old.append(await desk.cosigned_note(story.key))
            await desk.add_checkpoint(story.request(2, 5))
        log = MemoryLog(replace(story, entries=(*story.entries[:2], b"new")), recorded=2)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            for note in old:
                assert note is not None
                await publisher.heard(note)
            await publisher.turn()

            assert log.files == []
            assert log.recorded == 2


async def test_cosignatures_that_others_show_count(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 5), recorded=1)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("the first is published", lambda: bool(log.files))
            circle.shut(4)
            await publisher.turn()
            for place in (1, 2, 3):
                desk = circle.desks[place]
                await desk.add_checkpoint(log.story.request(1))
                note = await desk.cosigned_note(log.story.key)
                assert note is not None
                await publisher.heard(note)
            assert log.published is not None
            assert log.published.checkpoint.size == 5


@pytest.mark.parametrize("ahead_s", [-(BEGAN // 1_000), 301])
async def test_a_cosignature_of_another_time_that_is_shown_publishes_nothing(
    tmp_path: Path, ahead_s: int
) -> None:
    liar = Secrets("dave").cosigner
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 5), recorded=1)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("the first is published", lambda: bool(log.files))
            circle.shut(2)
            await publisher.turn()
            await until("two have cosigned", lambda: len(publisher.cosigned_by()) == 2)
            at_s = BEGAN // 1_000 + ahead_s
            text = checkpoint_text(log.story.checkpoint())
            line = cosignature(circle.doors[3].key, at_s, liar.sign(cosigned_bytes(text, at_s)).signature)
            await publisher.heard(add_cosignatures(log.story.note(), [line]))

            assert log.published is not None
            assert log.published.checkpoint.size == 1


async def test_a_log_that_was_stopped_signs_asks_and_publishes_nothing_more(tmp_path: Path) -> None:
    async with open_circle(tmp_path, 4) as circle:
        log = MemoryLog(story_of(circle.document, "alice", 5), recorded=1)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            await until("the first is published", lambda: bool(log.files))
            circle.shut(4)
            await publisher.turn()
            publisher.stop("two stories of it are shown")
            for desk in circle.desks:
                await desk.add_checkpoint(log.story.request(1))
                note = await desk.cosigned_note(log.story.key)
                assert note is not None
                await publisher.heard(note)
            log.story = log.story.grown(b"more")
            circle.clock.forward(PATIENCE_MS)
            await publisher.turn()

            assert (size_of(log), log.recorded) == (1, 5)
    assert len(circle.heard.pages) == 1


async def test_a_witness_whose_clock_is_ahead_is_told_from_the_others_and_does_not_count(
    tmp_path: Path,
) -> None:
    ahead = Clock()
    ahead.forward(301_000)
    async with (
        open_circle(tmp_path, 4) as circle,
        open_desk(tmp_path / "ahead", circle.document, "dave", clock=ahead) as desk,
    ):
        circle.shut(2)
        dave = circle.doors[3] = Door(circle.doors[3].key, desk)
        log = MemoryLog(story_of(circle.document, "alice", 5), recorded=5)
        async with publishing(circle, log) as publisher:
            await publisher.turn()
            reasons = lambda: {each.key: each.reason for each in publisher.missing()}  # noqa: E731
            await until("dave is refused", lambda: "of our time" in reasons().get(dave.key, ""))
            await until("two have cosigned", lambda: len(publisher.cosigned_by()) == 2)

            assert log.files == []
