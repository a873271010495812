"""What a back-test tells: delays, value out, false triggers and their price (plans SPEC 4)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from relay.plans.backtest import GridSettings, backtest, holds_throughout
from relay.plans.results import PlanResult
from relay.plans.rows import DataError, EventSeen, Observations, Sample
from tests.plans.worlds import compiled_of, event, plan_text, sample

START_S = 1_699_999_200
"""The beginning of a slot of 30 minutes, of an hour besides."""
OUT = '[metrics.gone]\nread = "event_sum"\nchain = "eip155:1"\nOUT\nvalue = "amount"\n'
RECENT = OUT + 'window = "2m"\n'
BOTH = OUT + '[metrics.came]\nread = "event_sum"\nchain = "eip155:10"\nIN\nvalue = "amount"\n'
LEVEL = """[metrics.level]
read = "call"
chain = "eip155:1"
from = "0x3333333333333333333333333333333333333333"
call = "level() returns (uint256)"
"""
ORACLE = """[metrics.feed]
read = "oracle"
chain = "eip155:1"
from = "0x3333333333333333333333333333333333333333"
"""


def rule(when: str, *, hold: int = 1, name: str = "drain") -> str:
    """Give the text of a rule that halts."""
    return f'[rules.{name}]\nwhen = "{when}"\nhold = {hold}\nladder = [["halt"]]\n'


def run(text: str, *rows: EventSeen | Sample, settings: GridSettings | None = None) -> PlanResult:
    """Give the result of a plan over rows."""
    return backtest(compiled_of(text), data_of(*rows), settings)


def data_of(*rows: EventSeen | Sample) -> Observations:
    """Give rows as observations; times count from `START_S`."""
    return Observations.of(
        events=[moved(row) for row in rows if isinstance(row, EventSeen)],
        series=[
            Sample(START_S + row.timestamp, row.metric, row.value, row.label)
            for row in rows
            if isinstance(row, Sample)
        ],
    )


def moved(row: EventSeen) -> EventSeen:
    """Give an event with its time counted from `START_S`."""
    return EventSeen(
        START_S + row.timestamp,
        row.chain,
        row.event,
        row.fields,
        row.label,
        row.value_usd,
        row.block,
        row.contract,
    )


def attack(timestamp: int, amount: int, value_usd: int = 0) -> EventSeen:
    return event(timestamp, "out", amount, label="attack", value_usd=value_usd)


def test_detection_is_the_first_held_block_of_the_attack() -> None:
    result = run(
        plan_text(OUT, rule("gone > 100", hold=3)),
        event(0, "out", 5),
        attack(60, 50, 1_000),
        attack(66, 60, 2_000),
        attack(72, 0, 3_000),
        attack(84, 0, 4_000),
        attack(120, 0, 10_000),
    )

    detection = result.rules["drain"].detection
    assert detection is not None
    assert detection.block.timestamp == START_S + 84, "true at 66, 72 and 84: a row's own block counts"
    assert (detection.delay_s, detection.delay_blocks) == (24, 3)
    assert (detection.out_usd, detection.share) == (Decimal(10_000), 0.5)
    assert result.attack_usd == Decimal(20_000)


def test_a_hold_is_reached_between_rows_and_after_the_last() -> None:
    result = run(plan_text(OUT, rule("gone > 100", hold=4)), event(0, "out"), attack(120, 500))

    detection = result.rules["drain"].detection
    assert detection is not None
    assert (detection.delay_s, detection.delay_blocks) == (36, 3)


def test_an_attack_that_no_rule_sees_is_not_detected() -> None:
    result = run(plan_text(OUT, rule("gone > 1000")), event(0, "out"), attack(60, 5))

    assert result.has_attack
    assert result.plan.detection is None


def test_the_earliest_rule_detects_for_the_plan() -> None:
    rules = rule("gone > 100", name="late") + rule("gone > 10", name="early")

    result = run(plan_text(OUT, rules), event(0, "out"), attack(60, 50), attack(120, 100))

    delays = {name: each.detection and each.detection.delay_s for name, each in result.rules.items()}
    assert delays == {"early": 0, "late": 60}
    assert result.plan.detection == result.rules["early"].detection


def test_a_rule_that_stays_true_triggers_once_a_slot() -> None:
    result = run(plan_text(OUT, rule("gone > 10")), event(0, "out", 50), event(2 * 3_600 - 12, "out", 1))

    triggers = result.rules["drain"].triggers
    assert [block.timestamp - START_S for block in triggers] == [0, 1_800, 3_600, 5_400]


def test_quiet_time_ends_with_the_first_attack_row() -> None:
    result = run(
        plan_text(RECENT, rule("gone > 10")),
        event(0, "out", 1),
        event(3_600, "out", 50),
        attack(9 * 3_600, 50),
    )

    only = result.rules["drain"]
    assert result.quiet_hours == 9.0
    assert [block.timestamp - START_S for block in only.triggers] == [3_600]
    assert only.rate is not None
    assert (only.rate.counted, only.rate.low) == pytest.approx((1_000 / 9, 25.318 / 9), rel=1e-4)
    assert only.rate.high == pytest.approx(5_571.6 / 9, rel=1e-4)


def test_no_trigger_still_has_bounds() -> None:
    result = run(plan_text(OUT, rule("gone > 100")), event(0, "out", 1), event(1_000 * 3_600, "out", 1))

    rate = result.plan.rate
    assert rate is not None
    assert (rate.counted, rate.low) == (0.0, 0.0)
    assert (rate.high, rate.at_most) == pytest.approx((3.689, 2.996), abs=5e-4)


def test_frozen_hours_are_triggers_a_year_for_as_long_as_the_act_lasts() -> None:
    result = run(
        plan_text(RECENT, rule("gone > 10")),
        event(0, "out", 1),
        event(3_600, "out", 50),
        event(8_760 * 3_600, "out"),
    )

    frozen = result.plan.frozen
    assert frozen is not None
    assert (frozen.act_hours, frozen.expected) == pytest.approx((6.0, 6.0))
    assert [frozen.low, frozen.high, frozen.at_most] == pytest.approx([0.15192, 33.43, 28.463], rel=1e-3)


def test_frozen_hours_end_where_the_budget_does() -> None:
    budget = '[budget]\nwindow = "30d"\nfast_time = "1h"\nfrozen_time = "30h"\n'

    result = run(plan_text(OUT, rule("gone > 10") + budget), event(0, "out", 50), event(48 * 3_600, "out", 1))

    frozen = result.plan.frozen
    assert frozen is not None
    assert frozen.cap == frozen.expected == frozen.low == 8_760 * 30 / 720


def test_a_drill_freezes_nothing() -> None:
    text = plan_text(OUT, rule("gone > 10")).replace('verb = "pause"', 'verb = "drill"')

    result = run(text, event(0, "out", 50), event(3_600, "out", 1))

    assert result.plan.frozen is not None
    assert (result.plan.frozen.expected, result.plan.frozen.at_most) == (0.0, 0.0)


def test_edges_of_two_rules_at_one_block_are_one_trigger_of_the_plan() -> None:
    rules = rule("gone > 10", name="one") + rule("gone > 20", name="two")

    result = run(plan_text(OUT, rules), event(0, "out", 15), event(600, "out", 15), event(1_900, "out", 1))

    assert {name: len(each.triggers) for name, each in result.rules.items()} == {"one": 2, "two": 2}
    times = [block.timestamp - START_S for block in result.plan.triggers]
    assert times == [0, 600, 1_800]


def test_another_chain_is_seen_with_its_lag() -> None:
    text = plan_text(BOTH, rule("came > 10"), lag_s=60)

    result = run(text, event(0, "out"), event(120, "in", 50))

    assert [block.timestamp - START_S for block in result.plan.triggers] == [180]


def test_the_last_row_of_another_chain_is_seen_too() -> None:
    result = run(
        plan_text(BOTH, rule("came > gone", hold=2), lag_s=60), event(0, "out"), event(600, "in", 50)
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [672]


def test_blocks_stand_at_the_time_that_is_given_for_a_chain() -> None:
    text, rows = plan_text(OUT, rule("gone > 10", hold=3)), (event(0, "out"), event(60, "out", 50))

    times = {
        step: [block.timestamp - START_S for block in run(text, *rows, settings=settings).plan.triggers]
        for step, settings in {
            12: GridSettings(),
            2: GridSettings(block_time_s=2),
            5: GridSettings(chain_block_times_s={compiled_of(text).plan.clock.reference: 5}),
        }.items()
    }

    assert times == {12: [84], 2: [64], 5: [70]}


@pytest.mark.parametrize(
    ("window", "left_s"), [('window = "2m"', 720), ('window = "125s"', 732), ("window_blocks = 4", 648)]
)
def test_a_rule_may_turn_true_because_an_event_leaves_its_window(window: str, left_s: int) -> None:
    text = plan_text(OUT + window + "\n", rule("gone < 10"))

    result = run(text, event(600, "out", 50), event(1_200, "out", 50))

    assert result.plan.triggers[0].timestamp - START_S == left_s


@pytest.mark.parametrize(
    ("window", "left_s"), [('window = "2m"', 120), ('window = "125s"', 132), ("window_blocks = 4", 48)]
)
def test_an_event_of_another_chain_leaves_its_window_with_the_lag(window: str, left_s: int) -> None:
    text = plan_text(BOTH + window + "\n", rule("came < 10 && gone > 0"), lag_s=60)

    result = run(text, event(0, "out"), event(1_740, "in", 50), event(3_000, "out"))

    assert [block.timestamp - START_S for block in result.plan.triggers] == [0, 1_800 + left_s]


def test_a_series_holds_until_its_next_row_and_before_its_first() -> None:
    result = run(
        plan_text(LEVEL, rule("level > 10")),
        sample(1_800, "level", 5),
        sample(3_600, "level", 50),
        sample(3_660, "level", 5),
        sample(3_720, "level", None),
        sample(9_000, "level", 5),
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [3_600]


def test_metrics_of_one_reading_share_a_series_by_any_of_their_names() -> None:
    highest = LEVEL.replace("metrics.level", "metrics.highest") + 'window = "10m"\ntake = "max"\n'
    release = '[release]\nwhen = "level < 5"\nhold = 1\n'

    result = run(
        plan_text(LEVEL + highest, rule("highest > 10") + release),
        sample(0, "level", 5),
        sample(3_600, "level", 50),
        sample(3_612, "level", 5),
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [3_600]


def test_a_mean_over_time_moves_between_rows() -> None:
    text = plan_text(LEVEL + 'take = "mean"\nwindow = "2m"\n', rule("level > 50"))

    result = run(text, sample(0, "level", 0), sample(600, "level", 100), sample(900, "level", 100))

    assert [block.timestamp - START_S for block in result.plan.triggers] == [672]


def test_a_reading_that_failed_triggers_where_the_metric_says_so() -> None:
    metrics = LEVEL + 'on_fault = "trigger"\n'

    result = run(
        plan_text(metrics, rule("level > 10")),
        sample(0, "level", 5),
        sample(600, "level", None),
        sample(612, "level", 5),
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [600]


def test_an_oracle_ages_between_its_rows() -> None:
    result = run(
        plan_text(ORACLE, rule("feed.age_s > 3600")),
        sample(0, "feed", 7),
        sample(4_800, "feed", 7),
        sample(5_400, "feed", 7),
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [3_612]


def test_an_oracle_may_say_itself_when_it_was_set() -> None:
    result = run(
        plan_text(ORACLE, rule("feed.age_s > 3600")),
        sample(0, "feed", 7),
        sample(0, "feed.updated_at", START_S),
        sample(1_200, "feed", 8),
        sample(1_200, "feed.updated_at", START_S - 3_000),
        sample(1_800, "feed.updated_at", START_S + 1_799),
    )

    assert [block.timestamp - START_S for block in result.plan.triggers] == [1_200]


def test_events_of_one_name_are_told_apart_by_their_contract() -> None:
    other = OUT.replace("gone", "other") + 'unit = "x"\n'
    text = plan_text(OUT + other, rule("gone > 10") + rule("other > 10", name="second"))
    at = text.rindex("0x" + "33" * 20, 0, text.rindex("[rules.drain]"))
    text = text[:at] + "0x" + "44" * 20 + text[at + 42 :]
    row = event(0, "out", 50)
    compiled = compiled_of(text)

    with pytest.raises(
        DataError, match=r"expected the contract of out, which the plan reads of 0x3333.*0x4444"
    ):
        backtest(compiled, Observations.of(events=[row]))
    told = EventSeen(0, row.chain, "out", row.fields, contract="0x" + "44" * 20)
    result = backtest(compiled, Observations.of(events=[told]), GridSettings(allows_missing=True))
    assert {name: len(each.triggers) for name, each in result.rules.items()} == {"drain": 0, "second": 1}


def test_a_metric_without_data_is_refused_by_name_unless_that_is_allowed() -> None:
    text = plan_text(BOTH + LEVEL, rule("gone > came || level > 3"))

    with pytest.raises(
        DataError, match=r"got none of came \(events in of 0x3{40} on eip155:10\); level \(a series level\)"
    ):
        run(text, event(0, "out"))
    result = run(text, event(0, "out", 5), settings=GridSettings(allows_missing=True))
    assert len(result.plan.triggers) == 1


def test_rows_that_do_not_fit_are_refused() -> None:
    text = plan_text(OUT + LEVEL, rule("gone > 10"))
    bare = EventSeen(START_S, event(0, "out").chain, "out", {"id": "1"})

    with pytest.raises(DataError, match="expected at least one row, got none"):
        run(text)
    with pytest.raises(DataError, match=r"event 1 \(out, 1699999200\): expected amount, got none"):
        backtest(compiled_of(text), Observations.of(events=[bare], series=[sample(START_S, "level", 1)]))
    with pytest.raises(DataError, match=r"expected a metric of state \(level\), got gone"):
        run(text, event(0, "out"), sample(0, "level", 1), sample(0, "gone", 1))
    with pytest.raises(DataError, match="expected 1 s or more, got 0"):
        run(text, event(0, "out"), settings=GridSettings(block_time_s=0))


def test_a_rule_that_is_true_at_every_block_holds_throughout() -> None:
    rules = rule("gone >= 0", name="always") + rule("gone > 10", name="later")
    data = data_of(event(0, "out", 5), event(600, "out", 50))

    assert holds_throughout(compiled_of(plan_text(OUT, rules)), data) == ("always",)


def test_progress_goes_from_beginning_to_end() -> None:
    told: list[float] = []

    backtest(
        compiled_of(plan_text(OUT, rule("gone < 0"))),
        data_of(*(event(each * 12, "out") for each in range(9_000))),
        told=told.append,
    )

    assert told == sorted(told)
    assert (len(told), told[-1]) == (3, 1.0)


def test_events_of_another_contract_are_no_data() -> None:
    elsewhere = replace(event(0, "out", 5), contract="0x4444444444444444444444444444444444444444")
    here = replace(elsewhere, contract="0x3333333333333333333333333333333333333333")

    with pytest.raises(DataError, match="got none of gone"):
        run(plan_text(OUT, rule("gone > 100")), elsewhere)
    assert run(plan_text(OUT, rule("gone > 100")), elsewhere, here).missing == ()


def test_no_chain_is_silent_and_a_rule_that_asks_for_it_is_judged() -> None:
    silent = '[metrics.silent]\nread = "silence"\nchain = "eip155:10"\n'

    result = run(
        plan_text(OUT + silent, rule("silent == 0 && gone > 100") + rule("silent > 0", name="stalled")),
        event(0, "out", 5),
        attack(120, 200),
    )

    detection = result.rules["drain"].detection
    assert detection is not None
    assert detection.delay_s == 0
    assert result.rules["stalled"].detection is None
