"""Omissions and contradictions: who is convicted, and that no f liars can convict an honest member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.canonical import Value
from proofs.envelope import open_envelope
from relay.audit import back
from relay.audit.compare import CLOCKS_S, HEADS_S, MAX_ALIKE, MERGE_DELAY_S
from relay.audit.story import Answer, Finding, Story
from tests.audit.scene import LATER_S, Scene, names
from tests.audit.village import Alarm, Village, log_files, put, served
from tests.proofs.conftest import attestation_body
from tests.proofs.incident import NOW_S

PATIENCE_S = MERGE_DELAY_S + CLOCKS_S
BUNDLED_S = NOW_S - 1_000 + 10 + 1
"""By when the alarm's ten records stood in the log of a bundle, by f + 1 of its cosigners."""


def told(scene: Scene, now_s: int = LATER_S, **logs: Sequence[bytes]) -> Story:
    """Tell the story out of these logs, the first of them with its bundle."""
    nodes = [
        scene.log_only(name, entries) if place else scene.node(name, entries)
        for place, (name, entries) in enumerate(logs.items())
    ]
    with served(*nodes) as urls:
        return scene.story(*urls, now_s=now_s)


def accused(story: Story) -> list[tuple[str, object]]:
    return [(each.name, each.facts.get("keeper")) for each in story.findings if each.answer is Answer.NO]


def about(story: Story, name: str) -> list[Finding]:
    return [each for each in story.findings if each.name == name]


def test_a_member_that_omits_its_own_dissent_is_named_before_one_that_omits_anothers(scene: Scene) -> None:
    outcome = scene.alarm.said[4]
    nodes = (
        scene.node("alice"),
        scene.node("bob"),
        scene.log_only("carol", scene.without(outcome)),
        scene.log_only("dave", scene.without(scene.alarm.dissent)),
    )
    with served(*nodes) as urls:
        story = scene.story(*urls)

    assert story.answer is Answer.NO
    own, others = story.findings[:2]
    assert (own.name, own.facts["keeper"], own.facts["what"]) == ("omitted-own", "dave", "dissent")
    assert own.facts["stands_in"] == ("alice", "bob", "carol")
    assert (others.name, others.facts["keeper"], others.facts["author"]) == ("omitted", "carol", "alice")
    assert "dave has not its own dissent" in own.words


def test_what_one_member_wrote_into_its_own_log_alone_accuses_nobody(scene: Scene) -> None:
    """Dave told nobody else: f members can say that they said anything."""
    said, village = scene.alarm.said, scene.village
    outcome = {**open_envelope(scene.alarm.said[4]).body, "gas_used": 1}
    secret = village.envelope("dave", "outcome", outcome, 1_659_390_000_700)
    story = told(scene, alice=said, bob=said, carol=said, dave=[*said, secret])

    assert accused(story) == []
    assert [each.facts["keeper"] for each in about(story, "missing")] == ["alice", "bob", "carol"]
    assert "may never have been told" in about(story, "missing")[0].words
    assert story.answer is Answer.UNKNOWN


def test_a_word_that_f_plus_1_logs_hold_convicts_who_left_it_out(scene: Scene) -> None:
    said = scene.alarm.said
    without = scene.without(said[4])

    assert accused(told(scene, alice=said, bob=said, dave=without)) == [("omitted", "dave")]
    assert accused(told(scene, alice=said, dave=without)) == []


def test_what_a_liar_had_long_before_the_honest_is_not_overdue(scene: Scene) -> None:
    """Alice is a liar: her log has had bob's outcome for 16 minutes, and carol's for no time at all."""
    said = scene.alarm.said
    without = scene.without(said[5])
    with served(
        scene.node("alice"), scene.log_only("carol", said, NOW_S), scene.log_only("dave", without, NOW_S)
    ) as urls:
        soon, late = (scene.story(*urls, now_s=NOW_S + 1 + s) for s in (PATIENCE_S, PATIENCE_S + 1))

    (missing,) = soon.findings
    assert (missing.name, missing.facts["due_at_s"]) == ("missing", NOW_S + 1 + PATIENCE_S + 1)
    assert "left to publish" in missing.words
    assert accused(late) == [("omitted", "dave")]


def test_who_signs_two_verdicts_for_two_halves_accuses_neither_half(scene: Scene) -> None:
    second = scene.village.envelope(
        "dave", "attestation", attestation_body(scene.alarm.decision, "attest", bytes(32), bytes(65)), 9
    )
    one, other = scene.alarm.said, [*scene.without(scene.alarm.dissent), second]
    story = told(scene, alice=one, bob=one, carol=other, dave=other)

    assert {keeper for name, keeper in accused(story) if name.startswith("omitted")} == {"dave"}
    assert len(about(story, "contradiction")) == 1
    assert all("in its place" in each.words for each in about(story, "missing"))


def test_a_verdict_on_another_block_under_the_same_id_accuses_nobody(scene: Scene) -> None:
    anchor = replace(scene.alarm.decision.anchor, timestamp=5)
    body = attestation_body(replace(scene.alarm.decision, anchor=anchor), "abstain", None, None)
    astray = scene.village.envelope("dave", "attestation", body, 1_659_390_000_025)
    said = scene.alarm.said
    story = told(scene, alice=[*said, astray], bob=[*said, astray], carol=said)

    assert accused(story) == []


def test_who_says_more_than_a_node_takes_accuses_nobody(scene: Scene) -> None:
    base, village = open_envelope(scene.alarm.said[4]).body, scene.village
    many = [
        village.envelope("dave", "outcome", {**base, "gas_used": 100 + number}, 1_659_390_001_000 + number)
        for number in range(65)
    ]
    said = scene.alarm.said
    full = told(scene, alice=[*said, *many[1:]], bob=[*said, *many[1:]], carol=[*said, *many[:64]], dave=said)
    short = told(scene, alice=[*said, *many[1:]], bob=[*said, *many[1:]], carol=[*said, *many[:63]])

    assert {keeper for _, keeper in accused(full)} == {"dave"}
    assert {keeper for _, keeper in accused(short)} == {"carol"}


def test_a_log_full_of_its_keepers_words_on_the_incident_is_read_and_told_within_bounds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back, "MAX_WORDS", 40)
    base, village = open_envelope(scene.alarm.said[4]).body, scene.village
    many = [
        village.envelope("dave", "outcome", {**base, "gas_used": 100 + number}, 1_659_390_001_000 + number)
        for number in range(60)
    ]
    story = told(scene, alice=scene.alarm.said, dave=[*scene.alarm.said, *many])

    dave = next(log for log in story.logs if log.member == "dave")
    assert (dave.statements, dave.strange_entries) == (10 + 40, 20)
    assert len(story.findings) == MAX_ALIKE + 1
    assert "has not 24 more statements of dave" in story.findings[-1].words
    assert {each.answer for each in story.findings} == {Answer.UNKNOWN}


def test_of_signals_a_node_takes_so_many_an_hour_and_leaving_one_out_convicts_its_author_alone(
    scene: Scene,
) -> None:
    said, signal = scene.alarm.said, scene.alarm.said[9]
    without = scene.without(signal)

    assert accused(told(scene, alice=said, bob=said, carol=without)) == []
    assert accused(told(scene, alice=said, bob=said, dave=without)) == [("omitted-own", "dave")]


@pytest.fixture
def lasting() -> Scene:
    """An alarm whose mandate is still good when the logs are read."""
    village = Village()
    scene = Scene(village, Alarm(village, 465))
    assert scene.alarm.entry.mandate.not_after - PATIENCE_S > NOW_S
    return scene


def test_a_liar_who_releases_verdicts_early_accuses_nobody_who_still_holds_them(lasting: Scene) -> None:
    """Alice shows all; carol and dave hold verdicts back until the mandate has ended, as they must."""
    said = lasting.alarm.said
    held = [each for each in said if open_envelope(each).kind != "attestation"]
    younger = [*held, *lasting.alarm.noise(4, 1_000 * (NOW_S + 900))]
    due_s = lasting.alarm.entry.mandate.not_after + HEADS_S + PATIENCE_S

    early = told(lasting, NOW_S + 900, alice=said, bob=said, carol=younger, dave=younger)
    assert accused(early) == []
    assert {each.facts["due_at_s"] for each in about(early, "missing")} == {due_s + 1}
    assert accused(told(lasting, due_s, alice=said, bob=said, dave=younger)) == []
    late = told(lasting, due_s + 1, alice=said, dave=younger)
    assert accused(late) == [("omitted-own", "dave")], "of the others' verdicts alice may be the maker"


def test_who_released_verdicts_of_a_decision_has_released_all_of_them(lasting: Scene) -> None:
    kept = lasting.without(lasting.alarm.dissent)
    soon, late = (told(lasting, NOW_S + 1 + s, alice=lasting.alarm.said, dave=kept) for s in (120, 121))

    assert names(soon) == ["missing"]
    assert accused(late) == [("omitted-own", "dave")]


def test_a_copy_is_judged_by_when_its_cosigners_still_saw_it(scene: Scene, tmp_path: Path) -> None:
    found: list[list[str]] = []
    for at_s in (BUNDLED_S + PATIENCE_S - 1, BUNDLED_S + PATIENCE_S):
        # f + 1 of the copy's cosigners saw it missing at `at_s` + 1.
        files = log_files(scene.village, "dave", scene.without(scene.alarm.dissent), at_s)
        with served(scene.node("alice"), scene.node("bob")) as urls:
            found.append(names(scene.story(*urls, put(tmp_path / str(at_s), files))))

    assert found == [["missing"], ["omitted-own"]]


def test_attestations_of_two_key_epochs_contradict_nothing(scene: Scene) -> None:
    decision = replace(scene.alarm.decision, key_epoch=2)
    body = attestation_body(decision, "dissent", None, None)
    again = scene.village.envelope("bob", "attestation", body, 1_659_390_000_500)
    said = [*scene.alarm.said, again]

    assert accused(told(scene, alice=said, bob=said)) == []


def test_evidence_of_equivocation_that_somebody_made_up_is_none(scene: Scene) -> None:
    """Dave wrote the second half himself."""
    first = scene.alarm.said[1]
    forged = bytearray(first)
    forged[-1] ^= 1
    halves: dict[str, Value] = {"first": first, "second": bytes(forged)}
    evidence = scene.village.envelope("dave", "equivocation", halves, 1_659_390_000_600)
    story = told(scene, alice=scene.alarm.said, dave=[*scene.alarm.said, evidence])

    assert names(story) == []
    assert [log.strange_entries for log in story.logs if log.member == "dave"] == [1]


def test_what_may_stand_further_back_than_was_read_convicts_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back, "MAX_ENTRIES", 256)
    before = [scene.alarm.dissent, *scene.alarm.noise(600, at_ms=1_659_000_000_000)]
    dave = scene.log_only("dave", [*before, *scene.without(scene.alarm.dissent)])
    with served(scene.node("alice"), scene.node("bob"), dave) as urls:
        story = scene.story(*urls)

    (finding,) = story.findings
    assert (finding.name, finding.answer) == ("missing", Answer.UNKNOWN)
    assert "may stand before entry" in finding.words


def test_what_a_log_took_long_before_is_not_said_to_be_left_out(scene: Scene) -> None:
    """Dave took his own dissent early: it stands further back than the incident is sought at first."""
    old = scene.alarm.noise(1_200, at_ms=1_659_000_000_000)
    before = [scene.alarm.dissent, *old]
    dave = scene.log_only("dave", [*before, *scene.without(scene.alarm.dissent)])
    with served(scene.node("alice"), scene.node("bob"), dave) as urls:
        story = scene.story(*urls)

    assert (story.answer, names(story)) == (Answer.YES, [])


def test_one_verdict_that_was_said_again_after_a_crash_contradicts_nothing(scene: Scene) -> None:
    body = attestation_body(scene.alarm.decision, "dissent", None, None)
    again = scene.village.envelope("dave", "attestation", body, 1_659_390_000_500)

    story = told(scene, alice=scene.alarm.said, bob=scene.alarm.said, dave=[*scene.alarm.said, again])

    assert "contradiction" not in names(story)


def test_two_verdicts_of_one_member_in_two_logs_are_a_contradiction(scene: Scene) -> None:
    body = attestation_body(scene.alarm.decision, "dissent", None, None)
    second = scene.village.envelope("bob", "attestation", body, 1_659_390_000_500)
    nodes = (scene.node("alice"), scene.node("bob"), scene.log_only("dave", [*scene.alarm.said, second]))
    with served(*nodes) as urls:
        story = scene.story(*urls)

    assert "contradiction" in names(story)
    assert story.findings[0].answer is Answer.NO
