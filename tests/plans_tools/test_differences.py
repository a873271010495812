"""`tocsin plan diff`: nothing that changes is left out, and people are told which way it works."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.canonical import Value, decode, encode
from relay.core.plan import Plan
from relay.core.plan_file import MAX_CANONICAL_BYTES, parse_plan
from relay.plans.differences import Group, differences
from relay.plans.directions import name_direction
from tests.cli.calls import tocsin

TEXT = Path("tests/plans/bridge.plan.toml").read_text()
MARKET = Path("tests/plans/market.plan.toml").read_text()


@cache
def plan_of(text: str) -> Plan:
    return parse_plan(text, where="plan")


def changed(before: str, after: str, text: str = TEXT) -> list[tuple[str, Group]]:
    assert before in text
    found = differences(plan_of(text), plan_of(text.replace(before, after, 1)))
    return [(change.key, change.group) for change in found]


@pytest.mark.parametrize(
    ("before", "after", "key", "group"),
    [
        ('mode = "armed"', 'mode = "shadow"', "mode", Group.WEAKER),
        ("repeated > 10000000", "repeated > 20000000", "rules.repeated-withdrawals.when", Group.WEAKER),
        ("repeated > 10000000", "repeated > 5000000", "rules.repeated-withdrawals.when", Group.STRICTER),
        ("repeated > 10000000", "releases > 10000000", "rules.repeated-withdrawals.when", Group.NEUTRAL),
        ('tier = "fast"', 'tier = "full"', "acts.halt-replica.tier", Group.WEAKER),
        ('lasts = "6h"', 'lasts = "9h"', "acts.halt-replica.lasts", Group.STRICTER),
        ('undo = "unpause()"\n', "", "acts.halt-replica.undo", Group.STRICTER),
        ('undo = "unpause()"', 'undo = "sweep()"', "acts.halt-replica.undo", Group.STRICTER),
        ('verb = "pause"', 'verb = "cap"', "acts.halt-replica.verb", Group.WEAKER),
        ("hold = 300", "hold = 600", "release.hold", Group.STRICTER),
        ('on_fault = "trigger"', 'on_fault = "false"', "metrics.burned.on_fault", Group.WEAKER),
        ('gateway = "0x11', 'gateway = "0x12', 'chains."eip155:1".gateway', Group.STRICTER),
        (
            'targets = ["0x33',
            'targets = ["0x4444444444444444444444444444444444444444", "0x33',
            'chains."eip155:1".targets',
            Group.STRICTER,
        ),
        ("lag_s = 120", "lag_s = 60", 'chains."eip155:1284".lag_s', Group.STRICTER),
        ("security@bridge", "safety@bridge", "contacts", Group.NEUTRAL),
        ("scale = 12 }", "scale = 11 }", None, Group.NEUTRAL),
    ],
)
def test_a_change_is_told_with_what_it_means(before: str, after: str, key: str | None, group: Group) -> None:
    ((found, judged),) = changed(before, after)

    assert key in (None, found)
    assert judged is group


def test_a_rule_that_goes_is_less_protection_and_one_that_comes_is_more_power() -> None:
    without = TEXT[: TEXT.index("[rules.repeated")] + TEXT[TEXT.index("[acts.") :]

    gone, come = (
        differences(plan_of(*pair[:1]), plan_of(*pair[1:])) for pair in ((TEXT, without), (without, TEXT))
    )

    assert [(change.key, change.group) for change in gone] == [("rules.repeated-withdrawals", Group.WEAKER)]
    assert [(change.key, change.group) for change in come] == [("rules.repeated-withdrawals", Group.STRICTER)]


def test_a_metric_that_reads_something_else_is_neutral_because_the_text_does_not_tell() -> None:
    (change,) = differences(plan_of(TEXT), plan_of(TEXT.replace("scale = 12 }", "scale = 11 }", 1)))

    assert change.group is Group.NEUTRAL
    assert change.words.endswith("(rules read something else: which way it works is not told)")


def test_an_act_that_moves_to_an_earlier_rung_is_more_power() -> None:
    act = TEXT[TEXT.index("[acts.halt-replica]") : TEXT.index("[release]")]
    text = TEXT.replace(act, act + act.replace("halt-replica", "slow-replica"))
    late = text.replace('[["halt-replica"]]', '[["slow-replica"], ["halt-replica"]]', 1)
    soon = text.replace('[["halt-replica"]]', '[["slow-replica", "halt-replica"]]', 1)

    earlier, later = (
        differences(plan_of(*pair[:1]), plan_of(*pair[1:])) for pair in ((late, soon), (soon, late))
    )

    assert [(change.key, change.group) for change in earlier] == [("rules.unbacked.ladder", Group.STRICTER)]
    assert [(change.key, change.group) for change in later] == [("rules.unbacked.ladder", Group.WEAKER)]


def words(before: str, after: str, text: str = TEXT) -> list[str]:
    """Give what is said of each change, and in which group, without the values."""
    assert before in text
    found = differences(plan_of(text), plan_of(text.replace(before, after, 1)))
    return [f"{change.group}: {change.words.rpartition('(')[2]}" for change in found]


def test_what_came_for_something_else_is_not_told_as_more() -> None:
    act = TEXT[TEXT.index("[acts.halt-replica]") : TEXT.index("[release]")]
    text = TEXT.replace(act, act + act.replace("halt-replica", "slow-replica"))
    other = 'targets = ["0x4444444444444444444444444444444444444444", "0x33'

    assert words('[["halt-replica"]]', '[["slow-replica"]]', text) == [
        "stricter for users: other acts: read them)"
    ]
    late = text.replace('[["halt-replica"]]', '[["slow-replica"], ["halt-replica"]]', 1)
    assert words('[["slow-replica"], ["halt-replica"]]', '[["halt-replica"]]', late) == [
        "stricter for users: an act comes earlier, another is gone)"
    ]
    assert words('targets = ["0x33', other) == ["stricter for users: more contracts may be acted on)"]


def test_an_act_that_is_taken_back_by_another_call_keeps_a_way_back() -> None:
    found = words('undo = "unpause()"', 'restore = "setPaused(bool _)"')

    assert found == ["stricter for users: taken back by another call: read it)"] * 2
    assert words('undo = "unpause()"\n', "") == ["stricter for users: nothing takes it back)"]


def test_waiting_longer_for_the_one_signature_is_later() -> None:
    assert words("[clock]\n", "[clock]\nfrost_patience_ms = 5_000\n") == ["weaker protection: later)"]


@pytest.mark.parametrize(("rearm", "group"), [("10m", Group.STRICTER), ("2h", Group.WEAKER)])
def test_a_rule_that_decides_anew_sooner_is_more_power(rearm: str, group: Group) -> None:
    found = changed('ladder = [["halt-replica"]]', f'ladder = [["halt-replica"]]\nrearm = "{rearm}"')

    assert found == [("rules.unbacked.rearm", group)]


def test_a_release_that_comes_earlier_is_weaker_protection() -> None:
    text = TEXT.replace("repeated == 0", "repeated < 5")

    assert changed("repeated < 5", "repeated < 9", text) == [("release.when", Group.WEAKER)]
    assert changed("repeated < 5", "repeated < 3", text) == [("release.when", Group.STRICTER)]


def test_what_comes_or_goes_within_a_table_is_named() -> None:
    line = '0x853d955acef822db058eb8505911ed77f175b99e = { name = "FRAX", scale = 12 }\n'

    ((key, group),) = changed(line, "")

    assert (key, group) == ("metrics.burned.keys.0x853d955acef822db058eb8505911ed77f175b99e", Group.NEUTRAL)


def test_links_are_told_by_name_wherever_they_stand() -> None:
    second = MARKET[MARKET.index("[[listen]]") :].replace('name = "bridge"', 'name = "other"')
    second = second.replace("eip155:1:", "eip155:10:")
    both = MARKET + second
    turned = MARKET[: MARKET.index("[[listen]]")] + second + MARKET[MARKET.index("[[listen]]") :]

    (come,) = differences(plan_of(MARKET), plan_of(both))

    assert (come.key, come.group) == ("listen.other", Group.STRICTER)
    assert not differences(plan_of(both), plan_of(turned))


@pytest.mark.parametrize(
    ("condition", "way"),
    [
        ("a > most", -1),
        ("most < a", -1),
        ("a < most", 1),
        ("a <= b * most && c > 3", 1),
        ("(a * 100 >= most * b) || d", -1),
        ("a.exists(t, a[t] > most)", -1),
        ("a > 3 && (b < most)", 1),
        ("!(a > most)", 0),
        ("a > b - most", 0),
        ("a > b / most", 0),
        ("a == most", 0),
        ("(a > most) == false", 0),
        ("false == (a > most)", 0),
        ("a > most == false", 0),
        ("(b > 2) != (a > most)", 0),
        ("(a > most) in [false]", 0),
        ("a.exists_one(t, a[t] > most)", 0),
        ("a[b + most] > 3", 0),
        ("a in [3] && b > most", -1),
        ("a > most && b < most", 0),
        ("a > most ? b > 1 : b > 2", 0),
        ("a > (b + most) * 2", -1),
    ],
)
def test_the_way_in_which_a_limit_works_is_told_only_where_it_is_plain(condition: str, way: int) -> None:
    assert name_direction(condition, "most") == way


def test_the_same_plan_changes_nothing(bridge: Path) -> None:
    said = tocsin("plan", "diff", bridge, bridge)

    assert said.code == 0
    assert "the same plan" in said.out


def test_a_version_that_does_not_go_up_is_remarked(bridge: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.plan.toml"
    other.write_text(TEXT.replace('lasts = "6h"', 'lasts = "9h"'))

    said = tocsin("plan", "diff", bridge, other)

    assert said.code == 1
    assert "expected a later version" in said.out
    assert "act halt-replica: lasts: 6 h → 9 h (longer)" in said.out


# ---- no key is left out


def _leaves(value: Value, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, tuple):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))] or [
            path
        ]
    return [path]


def _other(value: Value) -> Value:
    """Another value of whatever kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "x"
        case None:
            return "x"
        case _:
            return ("x",)


def _with(value: Value, path: tuple[str | int, ...]) -> Value:
    if not path:
        return _other(value)
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        assert isinstance(value, tuple)
        return tuple(_with(item, rest) if index == step else item for index, item in enumerate(value))
    assert isinstance(value, dict)
    return {**value, step: _with(value[step], rest)}


def _tree(text: str) -> Value:
    return decode(plan_of(text).canonical, limit_bytes=MAX_CANONICAL_BYTES)


LEAVES = [
    (text, path)
    for text in (TEXT, MARKET)
    for path in _leaves(_tree(text))
    # No links at all: what comes there is a table, which another test adds.
    if path not in (("listen",), ("reports",))
]


@given(st.sampled_from(LEAVES))
def test_whatever_key_changes_is_named(case: tuple[str, tuple[str | int, ...]]) -> None:
    text, path = case
    plan = plan_of(text)
    # The changed form need not be a plan: what is compared is the canonical form itself.
    other = replace(plan, canonical=encode(_with(_tree(text), path)))

    found = differences(plan, other)

    assert found, path
    named = [step for step in path if isinstance(step, str)]
    # A link's own name is how it is found: one that has another is another link.
    kept = named[:1] if named[0] in ("listen", "reports") else named
    assert any(all(step in change.key for step in kept) for change in found), (path, found)
