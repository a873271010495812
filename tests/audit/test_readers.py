"""What a reader who knows nothing of it needs: which clock, which unit, which entry, which decision."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from proofs.canonical import Value
from proofs.limits import LEFT_OUT, ONE_HISTORY
from proofs.policy import parse_policy
from relay.audit.case import Case, case_of
from relay.audit.gather import places_of
from relay.audit.incident import investigate
from relay.audit.layout import layout
from relay.audit.limits import compared, not_shown, notices
from relay.audit.opening import Trust
from relay.audit.related import done_before, parent_words
from relay.audit.rule_words import true_parts, value_words
from relay.audit.sheet import Stamps
from relay.audit.stamps import Given, stamps_of
from relay.audit.story import Answer, Clock, DecisionStory, EffectStory, Finding, Mark, Moment, Story
from relay.audit.story_html import story_html
from relay.audit.story_markdown import story_markdown
from relay.audit.story_scale import scale
from relay.audit.story_text import show_story
from relay.audit.tell import Told, tell
from relay.audit.texts import plain
from tests.audit.village import Alarm, Village, log_files, put
from tests.proofs.conftest import HOME, NAMES, TRACE
from tests.proofs.incident import NOW_S

DAY_MS = 86_400_000
UNIT = "10^-6 tokens"
SIX = 10**6


def case_told(tmp_path: Path, alarm: Alarm, logs: tuple[str, ...] = NAMES) -> Case:
    """Give what the folders of a bundle and of some members' logs tell."""
    sources = [str(put(tmp_path / "bundle", {"a.bundle": alarm.bundle("alice")}))]
    for name in logs:
        sources.append(str(put(tmp_path / name, log_files(alarm.village, name, alarm.said))))
    raw = alarm.village.cosigned_policy()
    trust = Trust(raw, parse_policy(raw), NOW_S)
    return investigate(list(places_of(sources, None)), alarm.id, trust, lambda: NOW_S).case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return case_told(tmp_path, Alarm(Village()))


@pytest.fixture
def story(case: Case) -> Story:
    return tell(case, Told())


def forms(story: Story) -> tuple[str, ...]:
    out = io.StringIO()
    show_story(Console(file=out, width=200), layout(story))
    return out.getvalue(), story_html(layout(story)), story_markdown(layout(story))


def earlier(decision: DecisionStory, gap_ms: int) -> DecisionStory:
    return replace(decision, anchor=replace(decision.anchor, at_ms=decision.anchor.at_ms - gap_ms))


# ---- clocks


def test_a_demonstration_says_so_before_anything_else(case: Case) -> None:
    demo = replace(case, documents=tuple(replace(each, demo=True) for each in case.documents))
    story = tell(demo, Told())

    assert len(story.notices) == 1
    for form in forms(story):
        assert 0 < form.index("calls itself a demonstration") < form.index(plain(story.lead[0])[:20])
    assert tell(case, Told()).notices == ()


@pytest.mark.parametrize(
    ("gap_ms", "words"),
    [
        (3 * DAY_MS + 600_000, "3 days ahead of"),
        (-2 * DAY_MS - 300_000, "2 days behind"),
        (DAY_MS // 2, None),
        (-DAY_MS // 2, None),
    ],
)
def test_clocks_more_than_a_day_apart_are_told_first_and_beside_the_discovery(
    case: Case, story: Story, gap_ms: int, words: str | None
) -> None:
    moved = tuple(earlier(each, gap_ms) for each in story.decisions)
    discovery = stamps_of(moved, Given())[3]

    assert any(words in notice for notice in notices(case, moved)) if words else not notices(case, moved)
    assert (words in discovery.how) if words else ("clocks are" not in discovery.how)


def test_a_stamp_by_two_clocks_has_a_line_for_each_with_its_source(story: Story) -> None:
    blocks = [block for section in layout(story).sections for block in section.blocks]
    rows = next(block for block in blocks if isinstance(block, Stamps)).stamps

    times = [(plain(when.text), plain(whose.text)) for when, whose in rows[3].times]
    assert [whose for _, whose in times] == ["bob, self-asserted", "3 cosigners, witnessed"]
    assert all(when.count("UTC") == 1 for when, _ in times)


@pytest.mark.parametrize(
    ("length_ms", "ticks"),
    [
        (36_000, ["0 s", "9 s", "18 s", "27 s", "36 s"]),
        (6_418, ["0 s", "1.6 s", "3.2 s", "4.8 s", "6.4 s"]),
        (900, ["0 ms", "225 ms", "450 ms", "675 ms", "900 ms"]),
        (6 * 3_600_000, ["0 h", "1.5 h", "3 h", "4.5 h", "6 h"]),
    ],
)
def test_an_axis_has_one_unit(length_ms: int, ticks: list[str]) -> None:
    marks = [Mark(Moment(at, Clock.BLOCK, ""), "", "", "said", "") for at in (0, length_ms)]

    assert re.findall(r">\+([^<]+)<", scale(marks)) == ticks


# ---- values


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        ("10519859", UNIT, "10.519859 tokens"),
        ("147042289990", UNIT, "147,042.28999 tokens"),
        ("-1", UNIT, "-0.000001 tokens"),
        ("0", UNIT, "0 tokens"),
        ("5000000", "10^-6", "5"),
        ("50", "base units", "50 base units"),
        ("1234", "", "1,234"),
        ("none", UNIT, "none"),
        ("True", UNIT, "True"),
    ],
)
def test_a_value_is_scaled_by_its_unit(value: str, unit: str, words: str) -> None:
    assert value_words(value, unit) == words


VALUES = {
    ("out", "a"): 7,
    ("out", "b"): 5,
    ("out", "only"): 9,
    ("in", "a"): 5,
    ("in", "b"): 5,
    ("share", ""): 2,
}


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("out.exists(t, out[t] > in[t])", ["a"]),
        ("out.exists(t, out[t] >= in[t] + slack)", ["a"]),
        ("out.exists(t, out[t] > in[t] + share + 0)", []),
        ("paused == 1 && out.exists(k, out[k] > 6)", ["a", "only"]),
        ("out.all(t, out[t] > in[t])", []),
        ("out.exists(t, out[t] * 2 > in[t])", []),
        ("out.exists(t, out[t] > in[t] && share > 1)", []),
        ("out.exists(t, out[u] > in[u])", []),
    ],
)
def test_only_entries_at_which_a_plain_comparison_is_true_are_told(condition: str, keys: list[str]) -> None:
    assert [part.key for part in true_parts(condition, VALUES, {"slack": 2})] == keys


def bridge(released: Mapping[str, Value], burned: Mapping[str, Value]) -> dict[str, Value]:
    return {**TRACE, "values": {"released": dict(released), "burned": dict(burned)}}


def bridge_village() -> Village:
    metric: dict[str, Value] = {"read": "event_sum", "unit": UNIT, "chain": HOME, "from": "0x00"}
    when = "released.exists(t, released[t] > burned[t])"
    return Village(
        metrics={"released": {**metric, "event": "Release()"}, "burned": {**metric, "event": "Burn()"}},
        rules={"unbacked": {"ladder": [["halt", "disable"]], "when": when}},
    )


def test_the_entry_that_makes_the_rule_true_is_marked_also_against_nothing(tmp_path: Path) -> None:
    trace = bridge({"DAI": 3 * SIX, "WBTC": 110 * SIX, "X": 0}, {"DAI": 3 * SIX, "WBTC": 0, "X": 0})
    story = tell(case_told(tmp_path, Alarm(bridge_village(), traces=dict.fromkeys(NAMES, trace))), Told())

    marked = [metric.name for metric in story.decisions[0].metrics if metric.makes_true]
    assert marked == ["burned[WBTC]", "released[WBTC]"]
    assert "X" not in " ".join(metric.name for metric in story.decisions[0].metrics)
    shown = forms(story)[0]
    assert "“released[t] > burned[t]” is true for WBTC: burned 0 tokens and released 110 tokens." in shown
    assert shown.count("110 tokens ◄") == 1
    assert "3 tokens ◄" not in shown


def test_values_on_which_who_attested_differ_mark_nothing(tmp_path: Path) -> None:
    traces = dict.fromkeys(NAMES, bridge({"DAI": 5}, {"DAI": 1}))
    traces["bob"] = bridge({"DAI": 6}, {"DAI": 1})
    story = tell(case_told(tmp_path, Alarm(bridge_village(), traces=traces)), Told())

    assert not any(metric.makes_true for metric in story.decisions[0].metrics)


def test_who_dissented_takes_no_mark_away(tmp_path: Path) -> None:
    traces = dict.fromkeys(NAMES, bridge({"DAI": 5}, {"DAI": 1}))
    traces["dave"] = bridge({"DAI": 1}, {"DAI": 1})
    story = tell(case_told(tmp_path, Alarm(bridge_village(), traces=traces)), Told())

    assert [metric.name for metric in story.decisions[0].metrics if metric.makes_true] == [
        "burned[DAI]",
        "released[DAI]",
    ]


# ---- decisions


def full_copy(first: DecisionStory) -> DecisionStory:
    """Give the copy of a fast decision that finds everything done."""
    calls = tuple(replace(call, effects=()) for call in first.calls)
    return replace(first, id="ff" * 32, tier="full", calls=calls)


def test_an_act_that_another_decision_had_done_was_not_needed(story: Story) -> None:
    first = story.decisions[0]
    both = replace(story, decisions=(first, full_copy(first)))

    for form in forms(both):
        assert "Nobody signed to have seen" not in form
        assert form.count("Not needed") == 2
    assert "its act was done by the fast decision “unbacked”. It took effect on" in forms(both)[0]


def with_first_effect(first: DecisionStory, *effects: EffectStory) -> DecisionStory:
    return replace(first, calls=(replace(first.calls[0], effects=effects), *first.calls[1:]))


def test_an_act_that_had_ended_or_rests_on_possible_liars_excuses_no_missing_effect(story: Story) -> None:
    first = story.decisions[0]
    copy = full_copy(first)
    stood = first.calls[0].effects[0]
    ended = replace(stood, effect="release", until=None)
    over = replace(stood, until=replace(first.anchor, at_ms=first.anchor.at_ms))
    unsure = replace(stood, receipt=None, is_seen_by_an_honest_member=False)
    late = replace(stood, at=replace(stood.at, at_ms=copy.not_after.at_ms + 1))

    assert done_before(copy, copy.calls[0], (first, copy)) == (first, stood)
    for effects in ((stood, ended), (over,), (unsure,), (late,), ()):
        other = with_first_effect(first, *effects)
        assert done_before(copy, copy.calls[0], (other, copy)) is None
    assert done_before(copy, copy.calls[0], (replace(first, plan_hash="00"), copy)) is None


def test_two_decisions_of_one_name_are_told_apart_by_what_they_follow(story: Story) -> None:
    first = story.decisions[0]
    copy = full_copy(first)
    links = [replace(first, id=each[::-1], subject="link:x", parent=each) for each in (first.id, copy.id)]
    told = (first, copy, *links)

    assert [plain(parent_words(link, told)) for link in links] == [
        "the fast decision “unbacked” of 21:43:20 UTC",
        "the full decision “unbacked” of 21:43:20 UTC",
    ]
    assert "acme-bridge, 1 August 2022" in plain(parent_words(links[0], told, is_short=False))
    assert "which is not here" in parent_words(links[0], links)
    assert parent_words(first, told) == ""
    shown = forms(replace(story, decisions=told))[0]
    assert "protect “link:x”, after the full decision “unbacked” of 21:43:20 UTC" in shown


def test_members_stand_in_the_order_of_their_names(story: Story) -> None:
    decision = story.decisions[0]

    for names in (
        [voice.member for voice in decision.voices],
        list(decision.certified_by),
        list(story.ground.members),
        *[list(log.cosigned_by) for log in story.logs],
    ):
        assert names == sorted(names)


# ---- what was compared


def test_that_everything_holds_is_said_once(story: Story) -> None:
    assert story.answer is Answer.YES
    for form in forms(story):
        assert len(re.findall(r"\bholds\b(?! it| what|:)", form.partition("What this does not show")[0])) == 1


def test_what_comparing_logs_showed_is_said_and_what_remains(story: Story) -> None:
    assert story.compared == (
        "Every statement about this incident that stands in one of the 4 logs stands in all of them.",
        "Each log begins with every checkpoint of it that a bundle or a copy shows: one history.",
    )
    assert not {LEFT_OUT, ONE_HISTORY} & set(story.not_shown)
    assert any(each.startswith("what none of the 4 logs holds") for each in story.not_shown)


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("omitted", 0, "not all stand in"),
        ("missing", 0, "not all stand in"),
        ("fork", 1, "Not all checkpoints"),
    ],
)
def test_nothing_is_said_to_agree_that_a_finding_names(
    case: Case, name: str, number: int, words: str
) -> None:
    assert words in compared(case, [Finding(name, Answer.NO, "")])[number]


@pytest.mark.parametrize("logs", [(), ("bob",)])
def test_a_bundle_whose_log_was_not_read_keeps_its_limits(tmp_path: Path, logs: tuple[str, ...]) -> None:
    case = case_told(tmp_path, Alarm(Village()), logs)
    verdict = replace(case.bundles[0].verdict, not_proved=(LEFT_OUT, ONE_HISTORY))
    bare = replace(case, bundles=(replace(case.bundles[0], verdict=verdict),))
    open_still = not_shown(bare, [], (), has_anchors=False)

    assert compared(bare, []) == ()
    assert ONE_HISTORY in open_still
    assert (LEFT_OUT in open_still) is (not logs)
    assert case_of(case.bundles, ()).logs == ()
