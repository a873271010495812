"""A call that does not land is never silent: who is woken, what is stated, and what is not (SPEC 6.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.fields import FieldError
from proofs.kinds import Digest, Millis
from relay.core.bodies import body_of, read_body
from relay.core.calls import reason_of, unlanded_of
from relay.core.effects import Effect, Page, SignStatement
from relay.core.events import Signed, Ticked
from relay.core.messages import Unlanded
from relay.core.ports import EffectSeen, Submission, SubmissionStatus
from tests.core.landings import (
    NEEDLESS,
    PAGE,
    REFUSED,
    TIMED_OUT,
    UNFUNDED,
    certified,
    ends,
    fate,
    in_force,
    later,
    mine,
    sent,
)
from tests.core.stage import BLOCK_S, Stage


def test_what_failed_is_tried_again_and_what_never_works_wakes_somebody_and_is_stated() -> None:
    stage = Stage()
    sent(stage)
    words: list[str] = []
    for _ in range(12):
        words += ends(stage, TIMED_OUT)
        words += later(stage, BLOCK_S)

    assert words.count("submit execute") > 3
    assert words.count(PAGE) == 1
    assert words.count("say unlanded") == 1


def test_a_page_tells_the_reason_and_an_unlanded_the_tries() -> None:
    stage = Stage()
    sent(stage)
    ends(stage, TIMED_OUT)

    effects: list[Effect] = []
    for _ in range(130):
        ends(stage, TIMED_OUT)
        stage.now_ms += 1_000
        effects += stage.run(Ticked(Millis(stage.now_ms)))

    page = next(effect for effect in effects if isinstance(effect, Page) and "tries" in effect.text)
    assert page.text.endswith("timed out: not in a block in time")
    said = [effect.message for effect in effects if isinstance(effect, SignStatement)]
    (word,) = [message for message in said if isinstance(message, Unlanded)]
    assert (word.reason, word.tries >= 3) == ("timed out: not in a block in time", True)
    assert word.mandate_digest == stage.prepared(stage.decision(stage.blocks[1])).digest


@pytest.mark.parametrize("submission", [UNFUNDED, REFUSED])
def test_what_time_does_not_heal_wakes_somebody_at_once_and_is_tried_slowly(submission: Submission) -> None:
    stage = Stage()
    sent(stage)

    assert ends(stage, submission) == [PAGE]
    assert later(stage, 29).count("submit execute") == 0
    assert later(stage, 2).count("submit execute") == 1
    assert ends(stage, submission) == []


def test_an_effect_that_does_not_stand_wakes_somebody_at_once() -> None:
    stage = Stage()
    sent(stage)

    assert ends(stage, Submission(SubmissionStatus.LANDED, effect=EffectSeen.ABSENT)) == [PAGE]


def test_a_race_is_no_alarm() -> None:
    stage = Stage()
    sent(stage)

    assert ends(stage, Submission(SubmissionStatus.REFUSED, reason="MandateEarly")) == []


def test_what_is_protected_already_alarms_nobody_and_is_looked_at_again() -> None:
    stage = Stage()
    sent(stage)
    words: list[str] = []
    for _ in range(200 // BLOCK_S):
        words += ends(stage, NEEDLESS)
        words += later(stage, BLOCK_S)

    assert words.count("submit execute") > 4
    assert PAGE not in words
    assert "say unlanded" not in words


def test_the_time_in_which_a_call_rested_is_no_time_without_effect() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=152)
    certified(stage, stage.blocks[-1])
    assert mine(stage).rests or fate(stage) == ["rests: in force long enough"]
    later(stage, 130)
    stage.run(*(stage.block() for _ in range(10)))

    words = later(stage, 60)

    assert "submit execute" in words
    assert PAGE not in [*words, *ends(stage, TIMED_OUT)]


def test_who_waits_for_his_place_says_nothing() -> None:
    stage = Stage(size=19)
    certified(stage, stage.drained())
    for name in list(stage.keys)[4:8]:
        stage.run(stage.attests(name, stage.decision(stage.blocks[1])))
    pending = mine(stage)
    waiting_s = pending.place * BLOCK_S
    assert waiting_s > 0, "the test needs a member that is not the first"

    words = later(stage, waiting_s - 1)

    assert [word for word in words if word.startswith(("submit", "say unlanded", "page: incident"))] == []


def test_a_call_under_way_for_too_long_is_an_alarm_too() -> None:
    stage = Stage()
    sent(stage)

    words = later(stage, 125)

    assert words.count(PAGE) == 1
    assert reason_of(mine(stage)) == "under way"


def test_a_call_that_runs_out_of_time_without_effect_is_told() -> None:
    stage = Stage()
    sent(stage)
    ends(stage, TIMED_OUT)
    stage.run(stage.block(after_s=121))
    stage.now_ms += 30_000

    words = stage.words(stage.run(Ticked(Millis(stage.now_ms))))

    assert [word for word in words if "heartbeat" not in word and "members" not in word] == [
        PAGE,
        "say unlanded",
        "not sent: out of time",
    ]


def test_what_was_stated_before_a_restart_is_not_stated_again() -> None:
    stage = Stage()
    pending = sent(stage)
    ends(stage, TIMED_OUT)
    statement = unlanded_of(mine(stage))
    assert statement is not None
    envelope, message = stage.keys["alice"].say(statement, stage.committee, stage.now_ms)
    effects = stage.run(Signed(envelope, message, Millis(stage.now_ms)))
    assert "log unlanded" in stage.words(effects)
    stage.run(stage.started(boot=2))

    words = later(stage, 130)

    assert stage.node.landing.pending[pending.key].is_stated
    assert "say unlanded" not in words


def test_one_unlanded_of_a_member_is_taken_for_each_act_and_none_of_a_stranger_mandate() -> None:
    stage = Stage()
    prepared = sent(stage).prepared
    assert prepared is not None
    word = unlanded_of(mine(stage))
    assert word is not None
    taken = ["log unlanded", "publish 1"]

    assert stage.words(stage.run(stage.said("bob", word))) == taken
    assert stage.words(stage.run(stage.said("bob", word, at_ms=stage.now_ms + 1))) == []
    assert stage.words(stage.run(stage.said("carol", word))) == taken
    other = replace(word, mandate_digest=Digest(bytes(32)))
    assert stage.words(stage.run(stage.said("dave", other))) == []
    assert [author for author, _ in stage.node.hearing.complaints.about(prepared.id)] == sorted(
        stage.keys[name].identity for name in ("bob", "carol")
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("connect https://rpc.example/v2/KEY refused", "timed out: connect refused"),
        ("rpc.example.com: 503", "timed out: 503"),
        ("Error: it's off", "timed out: Error: it's off"),
        ("invalid key 0123456789abcdef0123456789abcdef.", "timed out: invalid key"),
        ("project id aBc-123_aBc-123_aBc-123", "timed out: project id"),
        ("MandateOlderThanProtect", "timed out: MandateOlderThanProtect"),
        ("expected 123456789012345678901234 wei", "timed out: expected 123456789012345678901234 wei"),
        ("x" * 200, "timed out"),
        ("déjà vu", "timed out: vu"),
        ("a b " * 100, ("timed out: " + "a b " * 100)[:160].strip()),
    ],
)
def test_a_reason_holds_no_address_and_is_short(words: str, expected: str) -> None:
    stage = Stage()
    pending = replace(sent(stage), last=Submission(SubmissionStatus.TIMED_OUT, reason=words))

    assert reason_of(pending) == expected
    statement = unlanded_of(pending)
    assert statement is not None
    assert read_body("unlanded", body_of(statement)) == statement


@pytest.mark.parametrize(
    "reason", ["", "because", "timed out: https://x", "timed out: é", "unfunded" + "x" * 200]
)
def test_an_unlanded_with_another_reason_is_refused(reason: str) -> None:
    stage = Stage()
    statement = unlanded_of(sent(stage))
    assert statement is not None

    with pytest.raises(FieldError):
        read_body("unlanded", body_of(replace(statement, reason=reason)))


def test_an_expiry_that_cannot_run_wakes_somebody() -> None:
    stage = Stage()
    stage.drained()
    in_force(stage, for_s=20)
    stage.run(stage.block(), stage.block())
    assert mine(stage).in_flight or "submit expire" in fate(stage)

    assert ends(stage, Submission(SubmissionStatus.REFUSED, reason="CallFailed")) == [PAGE]
