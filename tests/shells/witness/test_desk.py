"""What a witness answers, remembers, sees and refuses: requests from outside, on a real disk."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.forks import check_fork
from proofs.hashes import sha256
from proofs.note import Note, format_note, note_signature, parse_note, parse_signatures, verify_note
from proofs.witness import MAX_REQUEST_BYTES, SIZE_CONTENT, AddCheckpoint, Answer, format_add_checkpoint
from relay.core.errors import ConfigError
from relay.witness.desk import ASK_AFTER_MS, ASK_EVERY_MS, OWES_AFTER_MS, WitnessDesk
from relay.witness.store import MAX_DEBTS, MAX_SEEN
from tests.shells.witness.circle import (
    BEGAN,
    Clock,
    Heard,
    Secrets,
    Story,
    committee_of,
    key_of_cosigner,
    key_of_log,
    open_desk,
    story_of,
)

COMMITTEE = committee_of()
BOB = key_of_cosigner(COMMITTEE, "bob")
pytestmark = pytest.mark.asyncio


def cosigned_at(answer: Answer, checkpoint: Checkpoint) -> int:
    """Give the time of bob's cosignature in an answer, which must be right."""
    assert answer.status == 200, answer
    lines = parse_signatures(answer.body.decode())
    (found,) = verify_note(Note(checkpoint_text(checkpoint), lines), [BOB])
    assert found.at_s is not None
    return found.at_s


async def test_a_log_that_grows_is_cosigned_step_by_step(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 20)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        for old, size in [(0, 0), (0, 1), (1, 7), (7, 7), (7, 20)]:
            answer = await desk.add_checkpoint(story.request(old, size))
            assert cosigned_at(answer, story.checkpoint(size)) == BEGAN // 1_000

    assert desk.held()[story.key].held.size == 20


async def test_every_wrong_request_has_its_own_status(tmp_path: Path) -> None:
    story, stranger = story_of(COMMITTEE, "alice", 20), story_of(committee_of(network="other"), "alice", 3)
    other = story_of(COMMITTEE, "alice", 20, "another history")
    forged = Story(story.key, Secrets("mallory").log, story.entries)
    proof = story.proof(5, 12)
    bad_proof = format_add_checkpoint(AddCheckpoint(5, (*proof[:-1], sha256(b"x")), story.note(12)))
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        await desk.add_checkpoint(story.request(0, 5))

        for raw, status in [
            (b"", 400),
            (b"old 5\n\nnonsense\n", 400),
            (b"old 05\n\n" + story.note(12).encode(), 400),
            (story.request(5, 12) + b"x" * MAX_REQUEST_BYTES, 400),
            (format_add_checkpoint(AddCheckpoint(13, (), story.note(12))), 400),
            (forged.request(5, 12), 403),
            (stranger.request(), 404),
            (story.request(0, 12), 409),
            (story.request(4, 12), 409),
            (bad_proof, 422),
            (format_add_checkpoint(AddCheckpoint(5, (), story.note(12))), 422),
        ]:
            answer = await desk.add_checkpoint(raw)
            assert answer.status == status, (raw[:80], answer)
            if status == 409:
                assert (answer.body, answer.content_type) == (b"5\n", SIZE_CONTENT)
        assert (await desk.add_checkpoint(other.request(5, 5))).status == 409  # one size, another root

    assert desk.held()[story.key].held.size == 5


async def test_the_time_of_a_cosignature_never_goes_back(tmp_path: Path) -> None:
    story, clock = story_of(COMMITTEE, "alice", 3), Clock()
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        first = cosigned_at(await desk.add_checkpoint(story.request(0, 1)), story.checkpoint(1))
        clock.forward(-3_600_000)
        second = cosigned_at(await desk.add_checkpoint(story.request(1, 2)), story.checkpoint(2))
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        third = cosigned_at(await desk.add_checkpoint(story.request(2, 3)), story.checkpoint(3))

    assert first == second == third == BEGAN // 1_000


async def test_two_stories_of_one_size_are_evidence_and_end_cosigning(tmp_path: Path) -> None:
    heard = Heard()
    story = story_of(COMMITTEE, "alice", 4)
    other = story_of(COMMITTEE, "alice", 4, "for somebody else")
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", heard=heard) as desk:
        await desk.add_checkpoint(story.request())
        assert await desk.see(other.note()) == story.key

        (fork,) = heard.forks
        found = check_fork(fork.first, fork.second, [story.key])
        assert (found.origin, found.size) == ("net/alice", 4)
        assert (await desk.add_checkpoint(story.grown(b"more").request(4))).status == 403
        await desk.see(story_of(COMMITTEE, "alice", 4, "third").note())
    assert len(heard.forks) == 1

    async with open_desk(tmp_path / "w", COMMITTEE, "bob", heard=heard) as desk:  # it is not forgotten
        await desk.tell_forks()
        assert (await desk.add_checkpoint(story.grown(b"more").request(4))).status == 403
    assert heard.forks[0] == heard.forks[1]


async def test_a_request_that_is_refused_is_evidence_too(tmp_path: Path) -> None:
    heard = Heard()
    story, other = story_of(COMMITTEE, "alice", 6), story_of(COMMITTEE, "alice", 6, "other")
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", heard=heard) as desk:
        await desk.add_checkpoint(story.request(0, 3))
        await desk.add_checkpoint(story.request(3, 6))

        assert (await desk.add_checkpoint(other.request(0, 3))).status == 409

    assert len(heard.forks) == 1


async def test_a_right_request_that_contradicts_what_was_seen_elsewhere_is_not_cosigned(
    tmp_path: Path,
) -> None:
    heard, story = Heard(), story_of(COMMITTEE, "alice", 6)
    other = Story(story.key, story.secret, (*story.entries[:5], b"another sixth"))
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", heard=heard) as desk:
        await desk.add_checkpoint(story.request(0, 3))
        await desk.see(other.note())

        assert (await desk.add_checkpoint(story.request(3, 6))).status == 403

        assert desk.held()[story.key].held.size == 3
    assert len(heard.forks) == 1


async def test_a_fork_that_others_have_shown_ends_cosigning_here(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 4)
    shown = set[str]()
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", convicted=lambda key: key.name in shown) as desk:
        assert (await desk.add_checkpoint(story.request(0, 2))).status == 200
        shown.add("net/alice")
        assert (await desk.add_checkpoint(story.request(2, 4))).status == 403


async def test_another_size_is_a_debt_until_the_log_proves_it(tmp_path: Path) -> None:
    heard, clock = Heard(), Clock()
    story = story_of(COMMITTEE, "alice", 30)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock, heard=heard) as desk:
        await desk.add_checkpoint(story.request(0, 10))
        await desk.see(story.note(20))
        assert desk.ask_now(lambda _: True) == []  # its own next request may prove it
        clock.forward(ASK_AFTER_MS)
        assert desk.ask_now(lambda _: False) == []
        assert desk.ask_now(lambda _: True) == [(story.key, 10, 20)]
        assert desk.ask_now(lambda _: True) == []
        assert (await desk.add_checkpoint(story.request(10, 12))).status == 200  # it still has time

        clock.forward(ASK_EVERY_MS)
        assert desk.ask_now(lambda _: True) == [(story.key, 12, 20)]
        assert [debt.owes for debt in desk.debts()] == [True]
        assert (await desk.add_checkpoint(story.request(12, 15))).status == 403
        assert heard.notices == [("log owes a proof", {"log": "net/alice", "size": 20})]

        await desk.proved(story.key, (12, 20), story.proof(12, 20))
        assert desk.debts() == []
        assert (await desk.add_checkpoint(story.request(12, 15))).status == 200
    assert heard.notices[-1] == ("log has proved what it owed", {"log": "net/alice", "size": 20})
    assert heard.forks == []


async def test_a_wrong_proof_is_a_debt_at_once_and_is_kept(tmp_path: Path) -> None:
    clock = Clock()
    story, other = story_of(COMMITTEE, "alice", 30), story_of(COMMITTEE, "alice", 30, "other")
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        await desk.add_checkpoint(story.request(0, 10))
        await desk.see(other.note(20))
        await desk.proved(story.key, (10, 20), other.proof(10, 20))
        assert [debt.owes for debt in desk.debts()] == [True]
        assert (await desk.add_checkpoint(story.request(10, 12))).status == 403

    clock.forward(OWES_AFTER_MS)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        assert [(debt.size, debt.owes) for debt in desk.debts()] == [(20, True)]
        assert (await desk.add_checkpoint(story.request(10, 12))).status == 403


async def test_a_proof_that_joins_no_debt_to_what_was_cosigned_changes_nothing(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 30)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        await desk.add_checkpoint(story.request(0, 5))
        await desk.add_checkpoint(story.request(5, 10))
        await desk.see(story.note(20))
        await desk.see(story.note(25))
        for sizes in ((5, 10), (20, 25), (7, 20)):
            await desk.proved(story.key, sizes, story.proof(*sizes))
            await desk.proved(story.key, sizes, ())

        assert [(debt.size, debt.owes) for debt in desk.debts()] == [(20, False), (25, False)]


async def test_a_log_that_was_cosigned_empty_owes_nothing_until_it_has_entries(tmp_path: Path) -> None:
    clock, story = Clock(), story_of(COMMITTEE, "alice", 9)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        await desk.add_checkpoint(story.request(0, 0))
        await desk.see(story.note(5))
        clock.forward(OWES_AFTER_MS)
        assert desk.ask_now(lambda _: True) == []  # no proof leads from nothing

        assert (await desk.add_checkpoint(story.request(0, 7))).status == 200
        assert desk.ask_now(lambda _: True) == [(story.key, 5, 7)]
        await desk.proved(story.key, (5, 7), story.proof(5, 7))
        assert (await desk.add_checkpoint(story.request(7, 9))).status == 200


async def test_what_was_cosigned_is_no_debt_though_a_stranger_left_no_room_to_keep_it(tmp_path: Path) -> None:
    clock, story = Clock(), story_of(COMMITTEE, "alice", 30)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", clock=clock) as desk:
        await desk.add_checkpoint(story.request(0, 10))
        for size in range(1, 1 + MAX_DEBTS):  # old notes, shown again
            await desk.add_checkpoint(story.request(0, size))
        assert (await desk.add_checkpoint(story.request(10, 12))).status == 200
        for size in range(1, 1 + MAX_DEBTS):
            await desk.proved(story.key, (size, 12), story.proof(size, 12))
        await desk.see(story.note(12))  # other witnesses show theirs
        clock.forward(OWES_AFTER_MS)

        assert desk.debts() == []
        assert (await desk.add_checkpoint(story.request(12, 15))).status == 200


async def test_a_fork_of_what_was_cosigned_is_found_though_there_was_no_room_to_keep_it(
    tmp_path: Path,
) -> None:
    heard, story = Heard(), story_of(COMMITTEE, "alice", 30)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob", heard=heard) as desk:
        for size in range(1, 1 + MAX_DEBTS):
            await desk.see(story.note(size))
        assert (await desk.add_checkpoint(story.request(0, 12))).status == 200
        await desk.see(story_of(COMMITTEE, "alice", 12, "other").note())

        assert len(heard.forks) == 1
        assert desk.debts() == []  # nothing is asked of a log that lies


async def test_what_the_log_asks_next_proves_what_was_seen_of_it(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 30)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        await desk.add_checkpoint(story.request(0, 10))
        await desk.see(story.note(20))
        await desk.add_checkpoint(story.request(10, 20))

        assert desk.debts() == []


async def test_a_log_that_floods_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", MAX_SEEN + 60)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        for size in range(1, MAX_SEEN + 50):
            assert (await desk.add_checkpoint(story.request(size - 1, size))).status == 200
        for size in range(MAX_SEEN + 50, MAX_SEEN + 60):
            await desk.see(story.note(size))
        assert len(desk.debts()) == MAX_DEBTS

    with closing(sqlite3.connect(tmp_path / "w")) as file:
        assert file.execute("SELECT count(*) FROM seen").fetchone()[0] <= MAX_SEEN
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        assert len(desk.debts()) == MAX_DEBTS
        assert (await desk.see(story.note(1))) == story.key  # long forgotten, and right


async def test_a_checkpoint_that_nobody_of_the_committee_signed_is_not_seen(tmp_path: Path) -> None:
    stranger = story_of(committee_of(network="other"), "alice", 3)
    forged = Story(key_of_log(COMMITTEE, "alice"), Secrets("mallory").log, (b"x",))
    text = checkpoint_text(story_of(COMMITTEE, "alice", 2).checkpoint())
    by_carol = note_signature(
        key_of_log(COMMITTEE, "carol"), Secrets("carol").log.sign(text.encode()).signature
    )
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        for note in ("", "no note", stranger.note(), forged.note(), format_note(Note(text, (by_carol,)))):
            assert await desk.see(note) is None


async def test_the_file_of_another_network_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path / "w", COMMITTEE, "bob"):
        pass

    with pytest.raises(ConfigError, match="expected a witness of network"):
        async with open_desk(tmp_path / "w", committee_of(network="other"), "bob"):
            raise AssertionError("opened")


async def test_what_is_shown_to_others_carries_our_cosignature(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 3)
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        assert await desk.cosigned_note(story.key) is None
        await desk.add_checkpoint(story.request())
        note = await desk.cosigned_note(story.key)
        assert (desk.has_changed, desk.take_changed(), desk.has_changed) == (True, [story.key], False)

    assert note is not None
    assert len(note.encode()) <= 1_024
    assert {each.key for each in verify_note(parse_note(note), [story.key, BOB])} == {story.key, BOB}


# ---- crashes


class FailAt:
    """Fails at the step of that number, counting from 0; counts them all."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.number + 1:
            raise OSError(f"injected at {step}")


async def requested(desk: WitnessDesk, story: Story) -> tuple[int, bytes]:
    answer = await desk.add_checkpoint(story.request(3, 6))
    return answer.status, answer.body


async def test_a_crash_at_any_write_is_seen_from_outside_as_stored_or_not_stored(tmp_path: Path) -> None:
    story, heard = story_of(COMMITTEE, "alice", 8), Heard()
    async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
        await desk.add_checkpoint(story.request(0, 3))
    shutil.copytree(tmp_path, tmp_path.with_name("kept"))
    seen = []

    for number in range(2):
        shutil.rmtree(tmp_path)
        shutil.copytree(tmp_path.with_name("kept"), tmp_path)
        probe = FailAt(number)
        async with open_desk(tmp_path / "w", COMMITTEE, "bob", probe=probe, heard=heard) as desk:
            status, body = await requested(desk, story)
            assert (status, b"net/bob" in body) == (503, False)  # no cosignature left
            assert (await requested(desk, story))[0] == 503  # nor does one, until the disk was read again
        async with open_desk(tmp_path / "w", COMMITTEE, "bob") as desk:
            status, body = await requested(desk, story)
            again = await desk.add_checkpoint(story.request(int(body) if status == 409 else 6, 6))
            seen.append((probe.steps, status))
            assert cosigned_at(again, story.checkpoint(6)) == BEGAN // 1_000

    not_stored, stored = seen
    assert not_stored == (["before commit"], 200)
    assert stored == (["before commit", "after commit"], 409)
    assert len(heard.pages) == 2
