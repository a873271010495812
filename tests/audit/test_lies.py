"""What one liar writes into its log is told as its word, and moves no stamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proofs.canonical import Value
from proofs.envelope import open_envelope
from relay.audit.stamps import Given, stamps_of
from relay.audit.story import Story
from relay.audit.texts import plain
from tests.audit.scene import Scene
from tests.audit.village import Alarm, Village, served
from tests.proofs.conftest import HOME, NAMES, TRACE, block

HALT = 4
"""Alice's outcome of `halt`, of which the bundle has a receipt."""


def told(scene: Scene, said_by_dave: Sequence[bytes]) -> Story:
    """Tell the story with what stands in dave's log alone."""
    nodes = (scene.node("alice"), scene.log_only("dave", [*scene.alarm.said, *said_by_dave]))
    with served(*nodes) as urls:
        return scene.story(*urls)


def outcome(scene: Scene, later_s: int, **changes: Value) -> bytes:
    """Give dave's word of an outcome of `halt`, in a block so many seconds after the real one."""
    body = dict(open_envelope(scene.alarm.said[HALT]).body)
    where = body["block"]
    assert isinstance(where, dict)
    moved: dict[str, Value] = {
        **where,
        "number": where["number"] + 1,
        "timestamp": where["timestamp"] + later_s,
    }
    return scene.village.envelope("dave", "outcome", {**body, "block": moved, **changes}, 1_659_390_002_000)


def lead(story: Story) -> str:
    return plain(" ".join(story.lead))


def test_an_end_that_nobody_proved_is_the_word_of_who_says_so(scene: Scene) -> None:
    story = told(scene, [outcome(scene, 600, effect="release", until=0)])

    assert "It was taken back on 1 August 2022 at 21:53:32 UTC, by the word of dave." in lead(story)
    assert "That was checked" not in lead(story)
    assert "What no name stands behind was checked against the blockchains' own records." in lead(story)


def test_a_longer_end_is_not_hidden_behind_the_first(scene: Scene) -> None:
    until = open_envelope(scene.alarm.said[HALT]).body["until"]
    assert isinstance(until, int)
    story = told(scene, [outcome(scene, 600, effect="extended", until=until + 3_600)])

    assert "It was prolonged until 2 August 2022, 04:43:20 UTC, by the word of dave." in lead(story)
    assert "eip155:31337, until 2 August 2022, 03:43:20 UTC at first." in lead(story)


def test_an_earlier_effect_by_one_word_moves_neither_story_nor_stamp(scene: Scene) -> None:
    honest, lying = told(scene, []), told(scene, [outcome(scene, -10)])

    assert lying.stamps == honest.stamps
    assert "by the word of dave" not in lead(lying)


@pytest.mark.parametrize("liars", [("dave",), ("carol", "dave")])
def test_f_liars_do_not_tell_when_value_left(liars: tuple[str, ...]) -> None:
    metric: dict[str, Value] = {
        "read": "event_unmatched",
        "chain": HOME,
        "from": "0x00",
        "event": "Release()",
    }
    pin: dict[str, Value] = {"chain": HOME, "hash": bytes(32), "number": 99, "timestamp": block(99).timestamp}
    quiet: dict[str, Value] = {**TRACE, "pins": {HOME: pin}, "values": {"unbacked": 0}}
    false: dict[str, Value] = {**quiet, "pins": {HOME: {**pin, "timestamp": 5}}, "values": {"unbacked": 9}}
    traces = {name: false if name in liars else quiet for name in NAMES}
    village = Village(metrics={"unbacked": metric})
    exfiltration = told(Scene(village, Alarm(village, traces=traces)), []).stamps[2]

    assert (exfiltration.moment is None) is (len(liars) == 1)


def test_what_people_reported_is_not_said_to_be_a_rule_that_was_true(scene: Scene) -> None:
    (decision,) = told(scene, []).decisions
    by_rule, by_people = (
        stamps_of([each], Given())[1].how for each in (decision, replace(decision, reporters=("ed25519:ab",)))
    )

    assert "the rule was true" in by_rule
    assert by_people.startswith("people whom the plan names reported it")


def test_one_liars_word_hides_no_end_that_an_honest_member_saw(scene: Scene) -> None:
    seen = outcome(scene, 600, effect="release", until=0)
    body = open_envelope(seen).body
    also = scene.village.envelope("alice", "outcome", dict(body), 1_659_390_002_001)
    longer = outcome(scene, 300, effect="extended", until=1_759_390_000)

    assert "It was taken back on 1 August 2022 at 21:53:32 UTC, by the word of alice and dave." in lead(
        told(scene, [seen, also, outcome(scene, 900, effect="expire", until=0)])
    )
    sure = outcome(scene, 300, effect="extended", until=1_659_490_000)
    body = open_envelope(sure).body
    second = scene.village.envelope("alice", "outcome", dict(body), 1_659_390_002_002)
    assert "by the word of alice and dave" in lead(told(scene, [sure, second, longer]))
