"""Followers: every way in which a log can fail them has a name."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path
from time import monotonic

import pytest

from proofs.checkpoint import Checkpoint
from proofs.forks import decode_fork
from proofs.hashes import sha256
from proofs.tree import EMPTY_ROOT
from relay.audit.evidence import MAX_EVIDENCE_FILES, log_name
from relay.audit.follow import Alarm, FollowTerms, look
from relay.audit.web import WebSource
from tests.shells.audit.followed_house import House, alarms
from tests.shells.audit.logs import NOW_S, Keeper, entries_of, policy_of
from tests.shells.audit.servers import answering, head


def test_the_first_visit_is_the_first_and_the_next_one_tells_growth(house: House) -> None:
    first = house.look()
    house.alice.publish(entries_of(700))
    house.now_s += 60
    second = house.look()
    third = house.look()

    assert [first.answer, second.answer, third.answer] == [True, True, True]
    assert [(log.before, log.grown) for log in first.logs] == [(None, None)] * 3
    assert [(log.before, log.grown) for log in second.logs] == [(300, 400), (300, 0), (300, 0)]
    assert [log.grown for log in third.logs] == [0, 0, 0]
    assert [log.seen_at_s for log in second.logs] == [NOW_S] * 3
    assert [log.missing for log in second.logs] == [()] * 3
    assert [log.cosigned_at_s for log in second.logs] == [NOW_S - 10] * 3


def test_every_source_is_asked_once_and_for_few_tiles(house: House) -> None:
    house.look()
    house.alice.publish(entries_of(700))
    for each in house.served:
        each.asked.clear()
    house.look()

    assert house.served[0].asked == ["/checkpoint", "/tile/0/002.p/188", "/tile/1/000.p/2", "/tile/0/001"]
    assert house.served[1].asked == ["/checkpoint", "/tile/0/001.p/44", "/tile/1/000.p/1"]


def test_an_empty_log_can_be_followed(house: House) -> None:
    shutil.rmtree(house.alice.folder)
    house.alice.say(Checkpoint("net/alice", 0, EMPTY_ROOT))
    first = house.look(house.urls[0])
    house.alice.publish(entries_of(1))

    assert first.answer
    assert house.look(house.urls[0]).logs[0].grown == 1


def test_a_fork_at_one_size_is_evidence_and_never_forgotten(house: House) -> None:
    house.look()
    house.bob.publish(entries_of(300, "other"))
    found = house.look()

    assert (found.answer, alarms(found)) == (False, [("fork", "net/bob")])
    (alarm,) = found.alarms
    (fork,) = [decode_fork(path.read_bytes()) for path in alarm.evidence if path.suffix == ".json"]
    assert (fork.key, fork.size) == (house.bob.key, 300)
    assert alarm.source == house.urls[1]

    house.bob.publish(entries_of(301))  # back to the first story
    again = house.look()
    assert alarms(again) == [("fork", "net/bob")]
    assert again.alarms[0].evidence == tuple(path for path in alarm.evidence if path.suffix == ".json")


def test_a_log_that_became_smaller_is_rolled_back_until_it_is_not(house: House) -> None:
    house.look()
    house.bob.publish(entries_of(299))

    assert alarms(house.look()) == [("rollback", "net/bob")]
    assert alarms(house.look()) == [("rollback", "net/bob")]
    remembered = house.remembered(house.bob)
    assert remembered is not None
    assert remembered.size == 300
    house.bob.publish(entries_of(301))
    assert house.look().answer is True


def test_a_log_that_grew_out_of_another_history_is_inconsistent(house: House) -> None:
    house.look()
    house.bob.publish(entries_of(301, "other"))
    found = house.look()

    assert alarms(found) == [("inconsistent", "net/bob")]
    assert {path.suffix for path in found.alarms[0].evidence} == {".checkpoint"}
    assert len(found.alarms[0].evidence) == 2
    assert alarms(house.look()) == [("inconsistent", "net/bob")]


@pytest.mark.parametrize(("size", "alarm"), [(300, "fork"), (200, "inconsistent"), (310, "inconsistent")])
def test_two_sources_that_show_two_stories_of_one_log_are_caught_at_the_first_visit(
    house: House, tmp_path: Path, size: int, alarm: str
) -> None:
    liar = Keeper(tmp_path / "liar", "net/alice")
    liar.publish(entries_of(size, "other"))

    found = house.look(house.urls[0], str(liar.folder))

    assert ("net/alice" in {each.log for each in found.alarms}) is True
    assert (alarm, "net/alice") in alarms(found)
    assert house.remembered(house.alice) is None


def test_two_signed_notes_are_a_fork_whether_or_not_there_are_tiles(house: House) -> None:
    house.look()
    shutil.rmtree(house.bob.folder / "tile")
    house.bob.say(Checkpoint("net/bob", 300, sha256(b"other")))
    found = house.look()

    assert (found.answer, found.alarms[0].alarm, found.alarms[0].log) == (False, Alarm.FORK, "net/bob")
    assert ".json" in {path.suffix for path in found.alarms[0].evidence}


def test_a_log_that_became_smaller_is_rolled_back_whether_or_not_there_are_tiles(house: House) -> None:
    house.look()
    shutil.rmtree(house.bob.folder / "tile")
    house.bob.say(Checkpoint("net/bob", 299, sha256(b"other")))
    found = house.look()

    assert (found.answer, found.alarms[0].alarm, found.alarms[0].log) == (False, Alarm.ROLLBACK, "net/bob")


def test_a_fork_between_two_sources_is_named_beside_a_newer_third(house: House, tmp_path: Path) -> None:
    shutil.copytree(house.alice.folder, tmp_path / "old")
    liar = Keeper(tmp_path / "liar", "net/alice")
    liar.publish(entries_of(300, "other"))
    house.alice.publish(entries_of(301))

    found = house.look(house.urls[0], str(tmp_path / "old"), str(liar.folder))

    assert ("fork", "net/alice") in alarms(found)


def test_a_source_that_lags_behind_another_is_no_alarm(house: House, tmp_path: Path) -> None:
    shutil.copytree(house.alice.folder, tmp_path / "old")
    house.alice.publish(entries_of(400))
    house.look()

    found = house.look(str(tmp_path / "old"), *house.urls)

    assert found.answer
    assert found.logs[0].sources == (str(tmp_path / "old"), house.urls[0])


def test_tiles_that_are_gone_are_missing_and_what_is_remembered_stays(house: House) -> None:
    house.look()
    house.alice.publish(entries_of(700))
    (house.alice.folder / "tile/0/001").unlink()
    found = house.look()

    assert (found.answer, alarms(found)) == (None, [("missing", "net/alice")])
    remembered = house.remembered(house.alice)
    assert remembered is not None
    assert remembered.size == 300


def test_tiles_of_another_tree_are_inconsistent_at_the_first_visit_too(house: House) -> None:
    house.alice.say(Checkpoint("net/alice", 300, sha256(b"nothing")))
    found = house.look()

    assert (found.answer, alarms(found)) == (False, [("inconsistent", "net/alice")])
    assert house.remembered(house.alice) is None


def test_a_size_that_nobody_can_have_costs_nothing(house: House) -> None:
    house.look()
    house.alice.say(Checkpoint("net/alice", (1 << 62) + 1, sha256(b"nothing")))
    for each in house.served:
        each.asked.clear()

    assert alarms(house.look()) == [("missing", "net/alice")]
    assert len(house.served[0].asked) < 20


def test_a_checkpoint_that_is_gone_is_missing(house: House) -> None:
    (house.alice.folder / "checkpoint").unlink()
    found = house.look()

    assert (found.answer, alarms(found)) == (None, [("missing", None), ("unserved", "net/alice")])


def test_fewer_witnesses_than_asked_for_are_named_and_the_log_is_still_followed(house: House) -> None:
    house.alice.cosigned_s = {"w0": NOW_S, "w2": NOW_S}
    house.alice.publish(entries_of(301))
    found = house.look()

    assert (found.answer, alarms(found)) == (False, [("unwitnessed", "net/alice")])
    assert "missing: w1, w3" in found.alarms[0].problem
    assert found.logs[0].cosigned == ("w0", "w2")
    assert house.remembered(house.alice) is not None
    house.quorum = 0
    assert house.look().answer is True


def test_a_time_ahead_of_ours_counts_for_nothing_and_is_named(house: House) -> None:
    house.alice.cosigned_s = {"w0": NOW_S, "w1": NOW_S + 300, "w2": NOW_S + 5, "w3": NOW_S + 301}
    house.alice.publish(entries_of(301))
    one = house.look()
    house.alice.cosigned_s = {"w0": NOW_S, "w1": NOW_S, "w2": 1 << 62, "w3": NOW_S + 301}
    house.alice.publish(entries_of(302))
    two = house.look()

    assert alarms(one) == [("future", "net/alice")]
    assert "w3" in one.alarms[0].problem
    assert one.logs[0].cosigned_at_s == NOW_S + 300
    assert alarms(two) == [("future", "net/alice")] * 2 + [("unwitnessed", "net/alice")]


@pytest.mark.parametrize("harm", ["other key", "flipped", "cosignature", "no note", "no text"])
def test_a_checkpoint_that_nobody_signed_is_a_wrong_signature(house: House, harm: str) -> None:
    house.look()
    path = house.alice.folder / "checkpoint"
    note = path.read_bytes()
    lines = note.split(b"\n")
    if harm == "other key":
        stranger = Keeper(house.alice.folder, "net/mallory")
        stranger.say(Checkpoint("net/mallory", 300, sha256(b"x")))
    elif harm == "flipped":
        path.write_bytes(note.replace(b"\n300\n", b"\n301\n"))
    elif harm == "cosignature":
        path.write_bytes(b"\n".join([*lines[:-2], lines[-2][:-8] + b"AAAAAAA=", b""]))
    else:
        path.write_bytes(b"<html>" if harm == "no note" else b"\xff\xfe")
    found = house.look()

    assert alarms(found) == [("unserved", "net/alice"), ("signature", None)][::-1]
    assert found.answer is False
    assert found.alarms[0].source == house.urls[0]


def test_silence_and_what_is_not_read_are_told_apart(house: House) -> None:
    house.served[0].answers_left = 0
    with answering(
        lambda connection, _over: connection.sendall(head("302 There", "Location: /x", "Content-Length: 0"))
    ) as (elsewhere, _):
        found = house.look(house.urls[0], elsewhere, house.urls[2])

    assert found.answer is None
    assert alarms(found) == [
        ("silent", None),
        ("refused", None),
        ("unserved", "net/alice"),
        ("unserved", "net/bob"),
    ]


def test_a_source_that_falls_silent_in_the_middle_is_silent(house: House) -> None:
    house.look()
    house.alice.publish(entries_of(700))
    house.served[0].answers_left = 2
    found = house.look()

    assert (found.answer, alarms(found)) == (None, [("silent", "net/alice")])


def test_what_ends_a_visit_waits_for_no_server(house: House) -> None:
    asked = threading.Event()

    def hangs(_connection: socket.socket, over: threading.Event) -> None:
        asked.set()
        over.wait(30)

    class Ended(WebSource):
        def read(self, path: str, limit_bytes: int) -> bytes:
            assert asked.wait(5)
            raise KeyboardInterrupt

    began = monotonic()
    with answering(hangs) as (url, _), pytest.raises(KeyboardInterrupt):
        look([Ended(url), WebSource(url)], FollowTerms(policy_of(*house.keepers), house.state, NOW_S))

    assert monotonic() - began < 5


def test_an_alarm_outweighs_what_could_not_be_told(house: House) -> None:
    house.look()
    house.served[0].answers_left = 0
    house.bob.publish(entries_of(200))

    assert house.look().answer is False


def test_a_log_that_stands_still_while_another_grows_is_stale_after_a_while(house: House) -> None:
    looks = []
    for minute in (0, 30, 60, 90, 91):
        house.now_s = NOW_S + minute * 60
        house.alice.publish(entries_of(300 + minute))
        house.carol.publish(entries_of(300 + min(minute, 60)))
        looks.append(alarms(house.look()))
    house.bob.publish(entries_of(305))
    house.now_s += 60

    assert looks == [[], [], [], [], [("stale", "net/bob")]]
    assert house.look().answer is True


def test_logs_that_all_stand_still_are_not_stale(house: House) -> None:
    for hour in range(3):
        house.now_s = NOW_S + hour * 7_200
        assert house.look().answer is True


def test_one_source_answers_for_its_own_log_alone(house: House) -> None:
    found = house.look(house.urls[1])

    assert found.answer is True
    assert [log.name for log in found.logs] == ["net/bob"]


def test_one_source_that_now_shows_another_log_than_at_the_last_visit_proves_nothing(house: House) -> None:
    house.look(house.urls[0])
    for path in (house.alice.folder / "checkpoint", house.alice.folder / "tile"):
        path.rename(path.with_name("hidden-" + path.name))
    shutil.copytree(house.bob.folder, house.alice.folder, dirs_exist_ok=True)
    found = house.look(house.urls[0])

    assert (found.answer, alarms(found)) == (None, [("unserved", "net/alice")])
    assert house.look(house.urls[0]).answer is None, "at the visit after, too"


def test_two_followers_of_one_source_each_may_remember_in_one_folder(house: House) -> None:
    assert [house.look(url).answer for url in (*house.urls, *house.urls)] == [True] * 6


def test_a_log_that_lies_at_every_visit_leaves_room_for_the_evidence_of_another(house: House) -> None:
    house.look()
    evidence = house.state / "evidence"
    evidence.mkdir()
    for number in range(MAX_EVIDENCE_FILES):
        (evidence / f"{log_name(house.alice.key)}-{number}-00.checkpoint").touch()
    house.bob.publish(entries_of(300, "other"))

    (alarm,) = house.look().alarms

    assert alarm.alarm is Alarm.FORK
    assert len(alarm.evidence) == 3
    house.bob.publish(entries_of(301))
    assert alarms(house.look()) == [("fork", "net/bob")]


def test_a_log_that_lies_at_every_visit_does_not_fill_the_disk(house: House) -> None:
    house.look()
    evidence = house.state / "evidence"
    evidence.mkdir()
    for number in range(MAX_EVIDENCE_FILES - 1):
        (evidence / f"{log_name(house.alice.key)}-{number}-00.checkpoint").touch()
    house.alice.publish(entries_of(301, "other"))

    (alarm,) = house.look().alarms

    assert alarm.alarm is Alarm.INCONSISTENT
    assert len(alarm.evidence) == 1
    assert len(list(evidence.iterdir())) == MAX_EVIDENCE_FILES


def test_names_of_logs_are_no_paths(house: House, tmp_path: Path) -> None:
    odd = Keeper(tmp_path / "odd", "../../..//etc/pässwd")
    odd.publish(entries_of(3))
    house.keepers = [odd]

    assert house.look(str(odd.folder)).answer is True
    assert [path.name[:4] for path in house.state.iterdir()] == ["etc."]
