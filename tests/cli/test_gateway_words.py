"""Spans, instants and acts in words."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest

from relay.cli.gateway_options import read_span
from relay.cli.gateway_reading import PlannedGateway, parse_place
from relay.cli.gateway_show import act_facts, code_words, scheduled_words, tone
from relay.cli.gateway_words import instant, span, tier_words, undo_words
from relay.core.errors import ConfigError
from relay.core.gateway_report import (
    BudgetReport,
    CodeReport,
    RecordReport,
    ScheduledAct,
    ScheduledReport,
    StateReport,
    UndoKind,
)
from relay.core.types import Gateway
from tests.cli.gateways import CHAIN, DAY, HOUR, NOW, TERMS, act_report, gateway_report

PLACE = PlannedGateway(CHAIN, Gateway(bytes(12) + b"\x11" * 20))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (HOUR, "1 h"), (6 * HOUR + 61, "6 h 1 min 1 s"),
        (30 * DAY, "30 d"), (-90, "-1 min 30 s"), ((1 << 64) - 1, "213,503,982,334,601 d 7 h 15 s"),
    ],
)  # fmt: skip
def test_spans_are_exact(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_an_instant_beyond_the_calendar_is_a_number() -> None:
    assert instant(NOW) == "2023-11-14 22:13:20 UTC"
    assert instant((1 << 64) - 1) == "second 18446744073709551615"
    assert instant(-1) == "second -1"


def test_a_tier_that_nobody_knows_is_said_so() -> None:
    assert tier_words(7) == "unknown tier 7"


def test_how_an_act_is_undone() -> None:
    assert undo_words(replace(TERMS, undo=UndoKind.NONE)) == (
        "not undone by the gateway: it stays until the protocol takes it back"
    )
    assert undo_words(TERMS) == "undone by unpause()"


def test_an_act_in_force_is_told_with_its_record() -> None:
    act = act_report(
        "halt",
        state=StateReport(1, is_protected=True, is_ours=True),
        record=RecordReport(NOW + HOUR, NOW, 0, NOW + 12, 0),
    )

    facts = act_facts(PLACE, act)

    assert facts["now"] == "1: protected, exactly what our call leaves"
    assert facts["record"] == (
        "OPEN until 2023-11-14 23:13:20 UTC, since 2023-11-14 22:13:32 UTC, newest mandate of"
        " 2023-11-14 22:13:20 UTC; read before the call: 0"
    )  # fmt: skip
    assert facts["allowed to"] == "a fast or a full quorum, at most 6 h at a time"


def test_states_and_records_that_say_less() -> None:
    other = act_report("halt", state=StateReport(2, is_protected=True, is_ours=False))
    ended = act_report("halt", state=None, record=RecordReport(0, 0, NOW, 0, 0))
    unreadable = act_report("halt", terms=None, record=None)

    assert act_facts(PLACE, other)["now"] == "2: protected, by somebody else's doing"
    assert act_facts(PLACE, ended)["now"] == "unknown: the getter fails"
    assert act_facts(PLACE, ended)["record"] == "none open; mandates up to 2023-11-14 22:13:20 UTC are dead"
    assert act_facts(PLACE, unreadable)["record"] == "unreadable"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CodeReport(1, b"\x01" * 32, is_ours=True, is_rebuilt=True), "this version's build"),
        (CodeReport(1, b"\x01" * 32, is_ours=True, is_rebuilt=False), "NOT this version's build: other"),
        (CodeReport(1, b"\x01" * 32, is_ours=True, is_rebuilt=None), "this version's build, but for"),
        (CodeReport(1_234, b"\x01" * 32, is_ours=False, is_rebuilt=None), "NOT this version's build (1,234"),
    ],
)  # fmt: skip
def test_code_is_ours_only_where_all_of_it_is(code: CodeReport, words: str) -> None:
    assert code_words(code).startswith(words)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("NOT this version's build: other fixed values", "red"),
        ("OPEN until 2023", "yellow"),
        ("sealed, paused: nothing starts or is lengthened", "yellow"),
        ("sealed, not paused", "default"),
        ("mandates of key epoch 2 and later are refused", "yellow"),
        ("this version's build", "green"),
    ],
)
def test_what_is_wrong_is_red_and_what_is_under_way_is_yellow(text: str, colour: str) -> None:
    assert tone(text) == colour


def test_announced_changes_are_told_in_words() -> None:
    report = gateway_report()
    act = ScheduledAct(act_report("halt").act_id, b"\x09" * 32, TERMS, 1, HOUR)
    changes = {
        "permit 0x": ScheduledReport(bytes(32), 0, 1, act),
        "permit 0x8": ScheduledReport(bytes(32), 0, 1, replace(act, act_id=b"\x88" * 32, terms=None)),
        "set the budget: in any 30 d: at most 1 s": ScheduledReport(bytes(32), 0, 1, BudgetReport(1, 2, 3)),
        "a call that this version does not know": ScheduledReport(bytes(32), 0, 1, None),
    }

    for start, change in changes.items():
        assert scheduled_words(PLACE, report, change).startswith(start)


@pytest.mark.parametrize(
    "text", ["eip155:1", "0x11", "eip155:1:0x12", "eip155:1:", "", "EIP:1:0x" + "11" * 20]
)
def test_a_place_is_a_chain_and_an_address(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_place(text)


def test_spans_of_options_are_those_of_plans() -> None:
    assert (read_span("90s"), read_span("10m"), read_span("2d")) == (90, 600, 2 * DAY)
    with pytest.raises(click.BadParameter, match="expected a span like 90s, 10m, 6h or 30d, got '2 weeks'"):
        read_span("2 weeks")
