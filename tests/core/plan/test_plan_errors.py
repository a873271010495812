"""All that is wrong with a plan is told at once, each with its line, and nothing else is (plans SPEC 2)."""

from __future__ import annotations

import pytest

from relay.core.errors import PlanError
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan, survey_plan
from relay.core.plan_source import MAX_ERRORS
from tests.core.plan.conftest import PLANS

EVERY_KEY = (PLANS / "every-key.plan.toml").read_text()


def errors_of(text: str) -> tuple[PlanError, ...]:
    """Give the errors of a text that is no plan."""
    found = survey_plan(text, where="x")
    assert isinstance(found, tuple)
    return found


def changed(*changes: tuple[str, str]) -> str:
    """Give the plan with every key with some texts replaced, each where it first stands."""
    text = EVERY_KEY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def line_of(text: str, part: str) -> int:
    """Give the line on which `part` first stands."""
    return text[: text.index(part)].count("\n") + 1


def keys_of(text: str) -> list[str]:
    """Give the keys at fault, in the order in which they are told."""
    return [error.where.partition(": ")[2] for error in errors_of(text)]


REFUSALS = [
    # metrics
    ('read = "oracle"', 'read = "orakel"', "metrics.feed.read", "expected one of event_sum, event_count"),
    (
        "window_blocks = 10\n",
        'window_blocks = 10\nwindow = "1m"\n',
        "metrics.worst_fill.window_blocks",
        "got both",
    ),
    (
        "window_blocks = 10\n",
        "window_blocks = 0\n",
        "metrics.worst_fill.window_blocks",
        "from 1 to 100000, got 0",
    ),
    (
        'take = "first"',
        'take = "last"',
        "metrics.supply.take",
        "expected one of first, min, max, mean, variance",
    ),
    ('take = "first"\n', "", "metrics.supply.take", "expected one of first, min, max, mean, variance beside"),
    (
        'window_blocks = 300\ntake = "first"',
        'take = "first"',
        "metrics.supply.take",
        "beside it, got neither",
    ),
    ("scale = 8", "scale = 8\nequals = 1", "metrics.feed.equals", "unknown key"),
    ('equals = "0xabab', '# equals = "0xabab', "metrics.code.equals", "expected this key, got nothing"),
    ('equals = "0x5555', 'equals = "5555', "metrics.owner.equals", "expected true, false, an integer"),
    (f'equals = "0x{"55" * 20}"', f"equals = {1 << 256}", "metrics.owner.equals", "expected true, false"),
    (
        f'equals = "0x{"55" * 20}"',
        'equals = 1\nwindow = "1h"\ntake = "variance"',
        "metrics.owner.take",
        "variance of",
    ),
    ("00AB", "0AB", "metrics.owner.slot", "expected a storage slot of 32 bytes"),
    ("size = 20", "size = 32", "metrics.owner.size", "expected at most 31 bytes from offset 1, got 32"),
    ("offset = 1", "offset = 32", "metrics.owner.offset", "expected an integer from 0 to 31, got 32"),
    ('path = "state.debt"', 'path = "state..debt"', "metrics.debt.path", "expected a path like"),
    (
        'path = "state.debt"',
        'path = "state.debt"\nword = 1',
        "metrics.debt.path",
        "expected `word` or `path`, got both",
    ),
    ("ratio_scale = 4", "ratio_scale = 78", "metrics.worst_fill.ratio_scale", "from 0 to 77, got 78"),
    ('per = "due"\n', "", "metrics.worst_fill.ratio_scale", "expected it beside `per`, got 4 alone"),
    (
        'per = "due"',
        'per = "due"\nscale = 2',
        "metrics.worst_fill.per",
        "expected no `scale` or `price` beside it",
    ),
    (
        'read = "event_max"',
        'read = "event_max"\nreduce = "sum"\nby = ["id"]',
        "metrics.worst_fill.reduce",
        "one of max",
    ),
    ('read = "event_max"', 'read = "event_max"\nat_least = 2', "metrics.worst_fill.at_least", "unknown key"),
    (
        'read = "event_distinct"',
        'read = "event_distinct"\nscale = 2',
        "metrics.receivers.scale",
        "unknown key",
    ),
    ('value = "id"\n', "", "metrics.receivers.value", "expected this key, got nothing"),
    (', value = "sum" }', " }", "metrics.flow.minus.value", "expected this key, got nothing"),
    (
        "where = {",
        'minus = { event = "Undo(uint256 id)", value = "id" }\nwhere = {',
        "metrics.repeats.minus.value",
        "unknown key",
    ),
    (
        'key = ["number", "amount"]',
        'key = ["number"]',
        "metrics.unbacked.against.key",
        "as many fields as the other side's key, 2, got 1",
    ),
    ('key = ["id", "amount"]', "key = []", "metrics.unbacked.key", "expected at least 1, got 0"),
    (
        'key = ["number", "amount"]',
        'key = ["number", "amount"]\nprice = 2',
        "metrics.unbacked.against.price",
        "unknown key",
    ),
    (
        'key = ["id", "amount"]\nvalue = "amount"\n',
        'key = ["id", "amount"]\n',
        "metrics.unbacked.value",
        "beside `scale` or `price`",
    ),
    (
        '[metrics.unbacked.against]\nchain = "eip155:8453"',
        '[metrics.unbacked.against]\nchain = "eip155:9"',
        "metrics.unbacked.against.chain",
        "expected a chain of the plan",
    ),
    (
        'plan = "eip155:8453:0x8',
        'plan = "eip155:10:0x8',
        "metrics.bridge_acts.plan",
        "expected a gateway on a chain of this plan",
    ),
    (
        'plan = "eip155:8453:0x8',
        'chain = "eip155:1"\nplan = "eip155:8453:0x8',
        "metrics.bridge_acts.chain",
        "unknown key",
    ),
    (
        'read = "silence"\nchain = "eip155:8453"',
        'read = "silence"\nchain = "eip155:1"',
        "metrics.quiet_s.chain",
        "expected another chain than the reference",
    ),
    # clock, chains, limits
    ("every = 2", "every = 0", "clock.every", "expected an integer from 1 to 10000, got 0"),
    ("slack = 0", "slack = 1.5", "limits.slack", "expected an integer from -9223372036854775808"),
    ("slack = 0", "slack = 9223372036854775808", "limits.slack", "to 9223372036854775807"),
    ("slack = 0", "Slack = 0", "limits.Slack", "lower-case"),
    ("slack = 0", "in = 0", "limits.in", "no word of CEL"),
    ("slack = 0", "held = 0\nslack = 0", "limits.held", "expected a name that no metric has"),
    (
        'targets = ["0x7777777777777777777777777777777777777777"]\n',
        "",
        'chains."eip155:8453".targets',
        'write targets = ["0x7777777777777777777777777777777777777777"]',
    ),
    (
        'targets = ["0x7777',
        'targets = ["0x8888',
        "acts.halt-far.target",
        "expected one of the chain's targets (0x8888",
    ),
    (
        'state_target = "0x33',
        'state_target = "0x44',
        "acts.adopt-safe.state_target",
        "expected one of the chain's targets",
    ),
    # acts, release, budget
    ('verb = "failover"', 'verb = "migrate"', "acts.adopt-safe.verb", "expected one of drill, rate-limit"),
    ('value = "0x99', 'value = "0xzz', "acts.adopt-safe.value", "expected true, false"),
    (
        'stages = [["halt-far"]',
        'stages = [["halt"]',
        "release.stages",
        "expected each act in one stage only, got halt twice",
    ),
    ('stages = [["halt-far"]', 'stages = [["halt-near"]', "release.stages", "expected acts of the plan"),
    ('stages = [["halt-far"]', "stages = [[]", "release.stages", "expected arrays of 1 to 32 acts"),
    ('frozen_time = "21d"', 'frozen_time = "30d"', "budget.frozen_time", "such a plan could act for ever"),
    ('lasts = "1d"', 'lasts = "121h"', "acts.adopt-safe.lasts", "expected 1 to 432000 seconds, got 435600"),
    (
        'undo = "rollBack()"\ntier = "full"\nlasts = "1d"',
        'tier = "full"\nlasts = "25h"',
        "acts.adopt-safe.lasts",
        "without undo or restore",
    ),
    # links, reports
    (
        'exposure = "held"',
        'exposure = "flow"',
        "listen.0.exposure",
        "expected a metric of one value of this plan",
    ),
    ('exposure = "held"', 'exposure = "hold"', "listen.0.exposure", "got hold"),
    ("records = 2", "records = 0", "listen.0.records", "expected an integer from 1 to 1000, got 0"),
    ('name = "auditors"', 'name = "Auditors"', "reports.0.name", "lower-case"),
    ("need = 2", "need = 3", "reports.0.need", "expected at most the number of reporters, 2, got 3"),
    ("need = 2", "need = 0", "reports.0.need", "expected an integer from 1 to 32, got 0"),
    ("ed25519:22", "ed25519:g2", "reports.0.reporters", "expected a key as ed25519:"),
    ("ed25519:" + "22" * 32, "ed25519:" + "11" * 32, "reports.0.reporters", "expected each only once"),
    (
        'need = 2\nladder = [["halt"]]',
        'need = 2\nladder = [["halt-far"]]',
        "reports.0.ladder",
        "expected fast acts: what outsiders say",
    ),
    (
        'need = 2\nladder = [["halt"]]',
        'need = 2\nladder = [["halt"], ["halt"]]',
        "reports.0.ladder",
        "expected an array of at most 1",
    ),
    (
        "[[reports]]",
        '[[listen]]\nname = "bridge"\nplan = "eip155:10:0x77"\nshares = "a"\nwhen = "held > 0"\n'
        'ladder = [["halt"]]\n[[reports]]',
        "listen.1.name",
        "expected a name of its own, got bridge twice",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "problem"), REFUSALS)
def test_one_mistake_is_one_error_at_its_key(old: str, new: str, key: str, problem: str) -> None:
    errors = errors_of(changed((old, new)))

    assert [error.where.partition(": ")[2] for error in errors] == [key], errors
    assert problem in str(errors[0])
    assert errors[0].line is not None
    assert errors[0].where == f"x:{errors[0].line}: {key}"


def test_all_errors_are_told_by_line_and_none_that_only_follows() -> None:
    text = changed(
        ("version = 7", "version = 0"),
        ('read = "event_sum"', 'read = "event_some"'),
        ("ratio_scale = 4", "ratio_scale = -1"),
        ('tier = "fast"\nlasts = "6h"', 'tier = "quick"\nlasts = "9d"'),
        ("hold = 300", "hold = 1"),
        ('fast_time = "24h"', 'fast_time = "40d"'),
        ("records = 1", "records = 9999"),
    )

    assert keys_of(text) == [
        "version",
        "metrics.flow.read",
        "metrics.worst_fill.ratio_scale",
        "acts.halt.tier",
        "acts.halt.lasts",
        "release.hold",
        "budget.frozen_time",
        "reports.0.records",
    ]
    lines = [error.line for error in errors_of(text)]
    assert lines[:3] == [line_of(text, part) for part in ("version = 0", "event_some", "ratio_scale = -1")]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        # An act that failed to parse is still known to the ladders.
        ((('tier = "fast"', 'tier = "fat"'),), "acts.halt.tier"),
        # A chain whose gateway is no text has one for its acts, and for the clock.
        ((('gateway = "0x1111', "gateway = 7 # "),), 'chains."eip155:1".gateway'),
        # Which chain has no lag is not known.
        ((('reference = "eip155:1"', 'reference = "eip155:7"'),), "clock.reference"),
        ((('reference = "eip155:1"', 'reference = "eip155-1"'),), "clock.reference"),
        ((("rearm_s = 1800", "rearm_s = 3"),), "clock.rearm_s"),
        ((("hold = 2\n", "hold = 0\n"), ("hold = 300", "hold = 1")), "rules.drained.hold"),
        # What is at stake may have one value; which keys the metric needs is not known.
        ((('read = "balance"', 'read = "balances"'),), "metrics.held.read"),
        ((('targets = ["0x3333', 'targets = [7, "0x4444'),), 'chains."eip155:1".targets'),
        ((("[limits]", "[[limits]]"),), "limits"),
    ],
)
def test_an_error_makes_no_others(changes: tuple[tuple[str, str], ...], key: str) -> None:
    assert keys_of(changed(*changes)) == [key]


def test_where_acts_is_no_table_ladders_are_not_blamed() -> None:
    start, end = EVERY_KEY.index("[acts.halt]"), EVERY_KEY.index("[release]")
    text = "acts = 3\n" + EVERY_KEY[:start] + EVERY_KEY[end:]

    assert keys_of(text) == ["acts"]


def test_errors_are_bounded() -> None:
    acts = "\n".join(f"[acts.a{index}]\nverb = 1\nlasts = 2" for index in range(30))

    many = "".join(f"x{index} = 1\n" for index in range(9_000))

    assert len(errors_of(EVERY_KEY + acts)) == MAX_ERRORS
    assert len(errors_of(many + EVERY_KEY)) == MAX_ERRORS


def test_what_is_no_toml_is_told_with_its_line() -> None:
    text = changed(("hold = 2", "hold = ="))

    (error,) = errors_of(text)

    assert error.line == line_of(text, "hold = =")
    assert error.where == f"x:{error.line}"
    assert error.problem.startswith("expected TOML, got Invalid value")


def test_an_unknown_key_is_answered_with_the_nearest_one() -> None:
    (error,) = errors_of(changed(("hold = 300", "holds = 300")))

    assert error.where.endswith(": release.holds")
    assert error.remedy == "did you mean hold?"


def test_parsing_raises_the_first_and_a_sound_plan_is_given() -> None:
    text = changed(("version = 7", "version = 0"), ("hold = 300", "hold = 0"))

    with pytest.raises(PlanError) as refused:
        parse_plan(text, where="x")

    assert str(refused.value) == str(errors_of(text)[0])
    assert isinstance(survey_plan(EVERY_KEY, where="x"), Plan)
