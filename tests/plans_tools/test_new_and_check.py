"""`tocsin plan new` and `plan check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.core.errors import ConfigError
from relay.plans.templates import read_template, ready_plan
from tests.cli.calls import tocsin

TEMPLATE = """# A thing that can be paused.
#
# $target       the contract [0x33]
# $hold = 3     samples
#
# Mind the gap.
address = "$target"
hold = $hold
"""
EVERY = [
    word
    for place in ready_plan("pausable").placeholders
    for word in ("--set", f"{place.name}={place.example or place.default}")
]


def test_a_missing_value_is_named_with_what_it_means() -> None:
    said = tocsin("plan", "new", "--from", "pausable", "--set", "protocol=acme")

    assert said.code == 2
    assert "--set token=…: the token that it holds" in said.err


@pytest.mark.parametrize(("condition", "is_refused"), [("true", True), ("1 < 2 + 3", True), ("1 > 2", False)])
def test_a_rule_that_no_chain_decides_is_refused(condition: str, is_refused: bool, bridge: Path) -> None:
    text = bridge.read_text()
    before = re.search(r'\[rules\.unbacked\]\nwhen = ".*"', text)
    assert before
    bridge.write_text(text.replace(before[0], f'[rules.unbacked]\nwhen = "{condition}"'))
    line = text[: before.end()].count("\n") + 1

    said = tocsin("plan", "check", bridge)

    assert said.code == int(is_refused)
    assert (
        f"{line}: rules.unbacked.when  expected a condition that reads a metric" in said.out
    ) is is_refused


def test_a_file_that_cannot_be_written_yet_is_no_success(tmp_path: Path) -> None:
    file = tmp_path / "acme.plan.toml"

    said = tocsin("plan", "new", "--from", "pausable", "-o", str(file))

    assert said.code == 2
    assert "--set token=…: the token that it holds" in said.err
    assert not file.exists()


def test_an_unknown_place_is_refused_with_those_that_there_are() -> None:
    said = tocsin("plan", "new", "--from", "pausable", "--set", "tokens=0x1")

    assert said.code == 2
    assert "token: the token that it holds" in said.err


@pytest.mark.parametrize("value", ['x"\nmode = "armed', "a\\b", "", "it's", "x" * 300])
def test_a_value_cannot_leave_its_place(value: str) -> None:
    ready = read_template("t", TEMPLATE)

    with pytest.raises(ConfigError, match="printable characters without quotes"):
        ready.fill({"target": value})


@pytest.mark.parametrize("value", ["18 # x", "18, price = 99", "18 }", "eighteen", "18.0"])
def test_a_place_outside_quotes_takes_a_whole_number(value: str) -> None:
    bridge = ready_plan("bridge")
    given = {place.name: place.example or "1" for place in bridge.placeholders if place.default is None}

    assert "scale = 1_2 }" in bridge.fill({**given, "scale": "1_2"})
    with pytest.raises(ConfigError, match="--set scale: expected a whole number"):
        bridge.fill({**given, "scale": value})


def test_a_template_tells_what_it_is_for_and_what_stands_where_nothing_is_given() -> None:
    ready = read_template("t", TEMPLATE)

    assert (ready.about, ready.notes) == ("A thing that can be paused.", "Mind the gap.")
    assert 'address = "0x44"\nhold = 3\n' in ready.fill({"target": "0x44"})
    assert "$" not in ready.fill({"target": "0x44"})


def test_a_template_whose_table_misses_a_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="a difference: gas"):
        read_template("t", TEMPLATE + "gas = $gas\n")


def test_a_file_that_is_there_is_not_written_over(bridge: Path) -> None:
    before = bridge.read_text()

    said = tocsin("plan", "new", "--from", "pausable", *EVERY, "-o", bridge)

    assert said.code == 2
    assert bridge.read_text() == before


def test_all_that_is_wrong_is_told_at_once_with_lines(bridge: Path) -> None:
    text = bridge.read_text().replace('address recipient)"\nwindow', 'address recipient"\nwindow')
    text = text.replace("repeated > 10000000", "repeatet > 10000000").replace("repeated == 0", "repeated = 0")
    bridge.write_text(text)

    said = tocsin("plan", "check", bridge, "--json")

    assert said.code == 1
    findings = said.document["findings"]
    assert isinstance(findings, list)
    where = [finding["name"].rpartition(" ")[2] for finding in findings]
    assert where == ["metrics.releases", "rules.repeated-withdrawals.when", "release.when"]
    lines = [int(finding["name"].split(":")[-2]) for finding in findings]
    keys = [text.splitlines()[line - 1].partition(" =")[0] for line in lines]
    assert keys == ["[metrics.releases]", "when", "when"]


def test_a_rule_over_a_refused_metric_is_not_refused_a_second_time(bridge: Path) -> None:
    bridge.write_text(bridge.read_text().replace('event = "Burn(', 'event = "Bur n('))

    said = tocsin("plan", "check", bridge, "--json")

    findings = said.document["findings"]
    assert isinstance(findings, list)
    assert len(findings) == 1
    assert "metrics.burned" in findings[0]["name"]


def test_what_stands_on_a_refused_chain_is_not_refused_a_second_time(bridge: Path) -> None:
    bridge.write_text(bridge.read_text().replace('"eip155:1"', '"nowhere:1"'))

    said = tocsin("plan", "check", bridge, "--json")

    findings = said.document["findings"]
    assert isinstance(findings, list)
    assert [finding["name"].partition(": ")[2] for finding in findings] == ['chains."nowhere:1"']


def test_what_a_pause_costs_is_said(bridge: Path) -> None:
    said = tocsin("plan", "check", bridge)

    assert said.code == 0
    assert "a pause also stops repayments and liquidations" in said.out
    assert "armed without a rehearsal" in said.out


def test_an_act_without_undo_is_said(bridge: Path) -> None:
    bridge.write_text(bridge.read_text().replace('undo = "unpause()"\n', ""))

    assert "no undo" in tocsin("plan", "check", bridge).out
