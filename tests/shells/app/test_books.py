"""The policy that readers pin, and what a node tells of logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from proofs.committee import CommitteeDocument, CommitteeStatement, build_committee
from proofs.kinds import NetworkId
from proofs.policy import parse_policy
from relay.app.books import PolicyFile, stop_if_overtaken
from relay.app.log_view import cosigners_of
from relay.core.committees import Committees
from relay.core.errors import JournalError
from relay.witness.logs import names_of_cosigner, quorum_of, remembered, witnessed_logs
from tests.shells.witness.circle import (
    NAMES,
    MemoryLog,
    Secrets,
    committee_of,
    key_of_cosigner,
    key_of_log,
    open_desk,
    publisher_of,
    story_of,
)

FIRST = committee_of()
SECOND = build_committee(
    CommitteeStatement(
        name="net",
        committee_epoch=2,
        key_epoch=2,
        activates_at=1_650_000_000,
        demo=True,
        genesis=NetworkId(FIRST.network),
        members=tuple(Secrets(name).member() for name in NAMES[1:6]),
    )
)
BOTH = Committees((FIRST, SECOND))


def test_the_policy_follows_the_committee_in_force(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path / "policy.txt")

    file.keep(BOTH, 1_649_999_999)
    before = parse_policy(file.path.read_bytes())
    file.keep(BOTH, 1_650_000_000)
    after = parse_policy(file.path.read_bytes())

    assert (before.quorum, before.groups["epoch-1"].threshold, len(before.witnesses)) == ("epoch-1", 3, 4)
    assert (after.quorum, after.groups["epoch-2"].threshold, len(after.witnesses)) == ("epoch-2", 4, 5)
    assert len(after.logs) == 6


def test_a_policy_that_stands_is_not_written_again(tmp_path: Path) -> None:
    PolicyFile(tmp_path / "policy.txt").keep(BOTH, 1_650_000_000)
    written = (tmp_path / "policy.txt").stat()

    PolicyFile(tmp_path / "policy.txt").keep(BOTH, 1_650_000_000)

    assert (tmp_path / "policy.txt").stat().st_ino == written.st_ino


def test_a_disk_that_takes_no_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="expected to write"):
        PolicyFile(tmp_path / "none" / "policy.txt").keep(BOTH, 1_650_000_000)


def test_all_logs_of_all_documents_are_witnessed() -> None:
    logs = witnessed_logs(BOTH.documents)

    assert set(logs) == {f"net/{name}" for name in NAMES[:6]}
    assert all(len(keys) == 1 for keys in logs.values())
    assert logs["net/frank"] == (key_of_log(SECOND, "frank"),)


def test_a_quorum_counts_the_cosigners_of_its_document_alone() -> None:
    quorum = quorum_of(FIRST)
    of_first = [key_of_cosigner(FIRST, name) for name in NAMES[:4]]
    of_second = [key_of_cosigner(SECOND, name) for name in ("erin", "frank")]

    assert quorum.threshold == 3
    assert quorum.is_reached(of_first[:3])
    assert not quorum.is_reached([*of_first[:2], *of_second, *of_first[:2]])
    bob = Secrets("bob").member()
    assert names_of_cosigner(BOTH.documents, bob.identity, bob.cosigner) == (key_of_cosigner(FIRST, "bob"),)


@pytest.mark.asyncio
async def test_who_has_cosigned_is_told_with_its_time(tmp_path: Path) -> None:
    story = story_of(FIRST, "alice", 3)
    async with open_desk(tmp_path / "w", FIRST, "bob") as desk:
        await desk.add_checkpoint(story.request())
        note = await desk.cosigned_note(story.key)
    assert note is not None
    witnesses = [key_of_cosigner(FIRST, name) for name in NAMES[:4]]

    assert cosigners_of(note, witnesses) == [{"name": "net/bob/cosigner", "at_s": 1_700_000_000}]
    assert cosigners_of(story.note(), witnesses) == []


def test_what_is_read_from_documents_is_made_once_until_there_are_others() -> None:
    asked: list[int] = []

    def count(documents: Sequence[CommitteeDocument]) -> int:
        asked.append(len(documents))
        return len(documents)

    given, one, two = remembered(count), (FIRST,), BOTH.documents
    assert [given(one), given(one), given(two), given(two), given(one)] == [1, 1, 2, 2, 1]
    assert asked == [1, 2, 1]


@pytest.mark.asyncio
@pytest.mark.parametrize("shown", ["nothing", "a fork", "its own witness"])
async def test_a_log_stops_where_it_was_overtaken(tmp_path: Path, shown: str) -> None:
    log = MemoryLog(story_of(FIRST, "alice", 5), recorded=5 if shown != "its own witness" else 3)
    async with open_desk(tmp_path / "w", FIRST, "alice") as desk, asyncio.TaskGroup() as group:
        await desk.add_checkpoint(log.story.request())
        publisher = publisher_of(log, FIRST, (), group)
        await stop_if_overtaken(publisher, desk, log, {log.key} if shown == "a fork" else frozenset())

    assert bool(publisher.stopped) == (shown != "nothing")
