"""What comes before a practice: addresses that are known in advance, a history, and plans that do not fit."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from relay.cli.settings import Answer
from relay.core.plan_file import parse_plan
from tests.cli.calls import tocsin


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The ready plan of a pausable contract, filled in for the practice vault."""
    file = tmp_path / "vault.plan.toml"
    said = tocsin("plan", "new", "--from", "pausable", "--practice", "-o", file)
    assert said.code == Answer.YES, said.out + said.err
    return file


def test_a_ready_plan_is_filled_in_with_the_addresses_that_are_printed(plan: Path) -> None:
    said = tocsin("demo", "--addresses", "--json")

    assert said.code == Answer.YES
    values = said.document["values"]
    assert isinstance(values, dict)
    read = parse_plan(plan.read_text(), where="vault.plan.toml")
    [(chain, each)] = read.chains.items()
    assert (chain, each.gateway, str(each.since)) == (values["chain"], values["gateway"], values["since"])
    assert {act.text.target for act in read.acts.values()} == {values["target"]}


def test_a_value_given_by_hand_stands_before_that_of_the_practice(tmp_path: Path) -> None:
    file = tmp_path / "mine.plan.toml"

    said = tocsin("plan", "new", "--from", "pausable", "--practice", "--set", "protocol=mine", "-o", file)

    assert said.code == Answer.YES, said.out + said.err
    assert parse_plan(file.read_text(), where="mine").protocol == "mine"


def test_a_wrong_plan_is_told_all_its_errors_and_starts_nothing(plan: Path) -> None:
    text = plan.read_text().replace('when = "base', 'when = "bsae').replace('tier = "fast"', 'tier = "quick"')
    plan.write_text(text)

    said = tocsin("demo", "--practice", plan)

    assert said.code == Answer.NO
    assert "tier" in said.out
    assert f"{plan.name}:" in said.out, "with its line"


def test_a_plan_of_another_place_is_told_how_to_learn_the_addresses(plan: Path) -> None:
    plan.write_text(plan.read_text().replace("eip155:313373", "eip155:1"))

    said = tocsin("demo", "--practice", plan)

    assert said.code == Answer.USAGE
    assert "expected eip155:313373 alone, got eip155:1" in said.err
    assert "tocsin demo --addresses" in said.err


def test_the_history_is_quiet_weeks_and_a_theft_and_the_same_for_one_seed(plan: Path, tmp_path: Path) -> None:
    files = [tmp_path / "one.csv", tmp_path / "two.csv", tmp_path / "other.csv"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        said = tocsin("demo", "--practice", plan, "--history", file, "--seed", seed, "--json")
        assert said.code == Answer.YES, said.out + said.err

    one, two, other = (file.read_text() for file in files)

    assert one == two
    assert one != other
    rows = list(csv.DictReader(one.splitlines()))
    assert set(rows[0]) == {"timestamp", "label", "value_usd", "base", "held", "held_before"}
    labels = [row["label"] for row in rows]
    assert labels == sorted(labels), "the attack is at the end"
    assert labels.count("attack") == 6
    assert [int(row["timestamp"]) for row in rows] == sorted(int(row["timestamp"]) for row in rows)


def test_a_history_needs_a_plan() -> None:
    said = tocsin("demo", "--history", "vault.csv")

    assert said.code == Answer.USAGE
    assert "--practice PLAN" in said.err
