"""What is not refused and should be known (plans SPEC 2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.chains import load_adapters
from relay.cli.rehearsal_record import write_record
from relay.core.compiled import compile_plan
from relay.core.plan_file import parse_plan
from relay.plans.warnings import warnings
from tests.cli.calls import tocsin
from tests.plans_tools.conftest import BRIDGE


def without(text: str, header: str) -> str:
    """Give a plan's text without a table."""
    begin = text.index(f"[{header}]")
    return text[:begin] + text[text.index("\n[", begin) + 1 :]


TEXT = without(BRIDGE.read_text(), "metrics.releases")
"""What no rule reads is left out."""
DAY_S = 86_400
YEAR_2100 = 4_102_444_800
"""A record of the future is of now."""
FEED = """
[metrics.feed]
read = "oracle"
chain = "eip155:1"
from = "0x6666666666666666666666666666666666666666"
scale = 8
[metrics.second]
read = "oracle"
chain = "eip155:1"
from = "0x7777777777777777777777777777777777777777"
scale = 8
[rules.depeg]
when = "WHEN"
ladder = [["halt-replica"]]
"""


def warned(text: str, rehearsed_ago_s: int | None = 0) -> list[tuple[str, str]]:
    compiled = compile_plan(parse_plan(text, where="plan"), load_adapters())
    return [(where, problem) for where, problem, _ in warnings(compiled, rehearsed_ago_s)]


def keys(text: str, rehearsed_ago_s: int | None = 0) -> list[str]:
    return [where for where, _ in warned(text, rehearsed_ago_s)]


def test_a_pause_and_an_armed_mode_are_always_worth_a_word() -> None:
    assert keys(TEXT) == ["acts.halt-replica.verb", "mode"]
    assert keys(TEXT.replace('"armed"', '"shadow"')) == ["acts.halt-replica.verb"]


@pytest.mark.parametrize(("ago_s", "more"), [(7 * DAY_S, 0), (7 * DAY_S + 1, 1), (None, 1)])
def test_a_plan_is_armed_on_a_fresh_rehearsal(ago_s: int | None, more: int) -> None:
    assert keys(TEXT, ago_s).count("mode") == 1 + more


def test_a_target_that_no_act_uses_is_named() -> None:
    other = "0x9999999999999999999999999999999999999999"
    text = TEXT.replace('targets = ["', f'targets = ["{other}", "', 1)

    ((where, problem), *_) = warned(text)

    assert where == 'chains."eip155:1".targets'
    assert other in problem


def test_what_nothing_uses_is_named() -> None:
    act = TEXT[TEXT.index("[acts.halt-replica]") : TEXT.index("[release]")]
    second = act.replace("halt-replica", "slow-replica").replace("paused()", "capped()")
    text = BRIDGE.read_text().replace(act, f"[limits]\nmost = 7\n{act}{second}")

    assert keys(text)[:3] == ["limits.most", "metrics.releases", "acts.slow-replica"]
    bare = without(without(TEXT, "rules.unbacked"), "rules.repeated-withdrawals")
    assert keys(bare)[-4:] == ["acts.halt-replica", "rules", "acts.halt-replica.verb", "mode"]


def test_a_release_that_reads_nothing_is_named() -> None:
    text = re.sub(r'(\[release\]\nwhen = )".*"', r'\1"true"', TEXT)

    assert "release.when" in keys(text)


@pytest.mark.parametrize(
    ("window", "frozen", "told"),
    [("60d", "30d", None), ("60d", "31d", "may stand 31 d without a break")],
)
def test_a_budget_for_longer_than_a_month_is_named(window: str, frozen: str, told: str | None) -> None:
    text = f'{TEXT}\n[budget]\nwindow = "{window}"\nfrozen_time = "{frozen}"\n'

    said = [problem for where, problem in warned(text) if where == "budget.frozen_time"]

    assert said == ([] if told is None else [f"an act {told}, if it is renewed"])


def test_an_act_without_undo_is_named() -> None:
    assert "acts.halt-replica.undo" in keys(TEXT.replace('undo = "unpause()"\n', ""))


@pytest.mark.parametrize(
    ("condition", "is_named"),
    [
        ("feed.price < 99000000", True),
        ("feed.price < 99000000 && feed.age_s < 60", True),
        ("feed.price < 99000000 && second.price < 99000000", False),
    ],
)
def test_a_rule_that_hangs_on_one_oracle_is_named(condition: str, is_named: bool) -> None:
    assert ("rules.depeg.when" in keys(TEXT + FEED.replace("WHEN", condition))) is is_named


def test_the_record_of_a_rehearsal_counts_for_the_very_version_it_was_of(bridge: Path) -> None:
    digest = str(tocsin("plan", "hash", bridge, "--json").document["hash"])
    write_record(bridge, {"hash": digest, "rehearsed_at": YEAR_2100, "held": True, "acts": []})

    this = tocsin("plan", "check", bridge)
    bridge.write_text(TEXT.replace("version = 1", "version = 2"))
    other = tocsin("plan", "check", bridge)

    assert "without a rehearsal" not in this.out
    assert "without a rehearsal" in other.out
