"""`tocsin plan backtest`: what it prints, exits with, draws and refuses."""

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path

import pytest

from tests.cli.calls import tocsin
from tests.plans.worlds import plan_text

REPOSITORY = Path(__file__).parents[2]
BRIDGE = REPOSITORY / "tests" / "plans" / "bridge.plan.toml"
NOMAD = Path(
    os.environ.get("TOCSIN_NOMAD_EVENTS", REPOSITORY / ".." / "shared" / "data" / "nomad" / "events.csv")
)
METRICS = """[metrics.gone]
read = "event_sum"
chain = "eip155:1"
OUT
value = "amount"
window = "10m"
[limits]
max_out = 20
unused = 1
"""
RULES = """[rules.drain]
when = "gone > max_out"
hold = 2
ladder = [["halt"]]
[rules.flood]
when = "gone > 1000"
hold = 1
ladder = [["halt"]]
"""
HEAD = "timestamp,chain,event,id,kind,amount,label,value_usd\n"


def rows(*given: tuple[int, int, str]) -> str:
    """Give the text of a table of events: time, amount, label."""
    return HEAD + "".join(
        f"{1_699_999_200 + time},eip155:1,out,1,a,{amount},{label},{amount * 100}\n"
        for time, amount, label in given
    )


QUIET = [(0, 5, "benign"), (39_996, 15, "benign"), (79_992, 35, "benign"), (360_000, 1, "benign")]
ATTACK = [(399_996 + 12 * step, 8, "attack") for step in range(6)]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "tested.plan.toml"
    path.write_text(plan_text(METRICS, RULES))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(rows(*QUIET, *ATTACK))
    return path


def test_delay_value_and_price_are_told_for_each_rule_and_all(plan: Path, data: Path) -> None:
    said = tocsin("plan", "backtest", plan, "--data", data)

    lines = {line.split()[0]: " ".join(line.split()) for line in said.out.splitlines() if line.strip()}
    print(said.out)
    assert said.code == 0
    assert "10 rows, 2023-11-14 22:00:00 UTC to 2023-11-19 13:07:48 UTC; 111.1 quiet hours" in said.out
    assert "attack from 2023-11-19 13:06:36 UTC, $4,800 in all" in said.out
    assert lines["drain"] == "drain 36 s 3 $3,200, 66.7% 1 9.00 (0.23–50.1) 473 (12.0–2,636)"
    assert lines["flood"] == "flood never – all 0 ≤ 27.0 ≤ 1,417"
    assert lines["any"] == "any rule 36 s 3 $3,200, 66.7% 1 9.00 (0.23–50.1) 473 (12.0–2,636)"
    assert "each false trigger for the longest act of its rule's first rung, 6 h at most" in said.out


def test_json_has_its_schema_and_the_same_bytes_each_time(plan: Path, data: Path) -> None:
    first = tocsin("plan", "backtest", plan, "--data", data, "--json")
    second = tocsin("plan", "backtest", plan, "--data", data, "--every-block", "--json")

    document = first.document
    assert document["schema"] == "tocsin/plan-backtest/1"
    assert document["rules"]["drain"] == {  # type: ignore[index]
        "detection": {
            "timestamp": 1_700_399_232,
            "delay_blocks": 3,
            "delay_s": 36,
            "value_out_usd": 3_200.0,
            "value_out_share": 0.666667,
        },
        "quiet_triggers": 1,
        "quiet_trigger_times": [1_700_079_204],
        "per_1000_quiet_hours": {
            "counted": 9.00009,
            "low": 0.227863,
            "high": 50.145292,
            "at_most": 42.695208,
        },
        "frozen_hours_a_year": {
            "act_hours": 6.0,
            "expected": 473.04473,
            "low": 11.976456,
            "high": 2_635.636546,
            "at_most": 2_244.060112,
            "cap": 6_132.0,
        },
        "holds_throughout": False,
    }
    assert first.out == tocsin("plan", "backtest", plan, "--data", data, "--json").out
    work = {"evaluations": document["data"]["evaluations"]}  # type: ignore[index]
    assert {**second.document["data"], **work} == document["data"]  # type: ignore[dict-item]
    assert second.document["rules"] == document["rules"]


def test_an_attack_that_no_rule_detects_is_a_no(plan: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text(rows((0, 1, ""), (600, 1, "attack")))

    assert tocsin("plan", "backtest", plan, "--data", path).code == 1


def test_what_no_data_were_of_is_named_beside_the_price(plan: Path, data: Path) -> None:
    own, limits = METRICS.partition("[limits]")[0], METRICS[METRICS.index("[limits]") :]
    other = own.replace("gone", "came").replace("eip155:1", "eip155:10").replace("OUT", "IN")
    plan.write_text(plan_text(own + other + limits, RULES.replace("gone > 1000", "came > 1000")))

    told = tocsin("plan", "backtest", plan, "--data", data, "--allow-missing")
    document = tocsin("plan", "backtest", plan, "--data", data, "--allow-missing", "--json").document

    assert isinstance(document["data"], dict)
    assert document["data"]["missing"] == ["came"]
    assert "no data of came: rules that read it were not measured" in " ".join(told.out.split())


def test_labels_of_which_none_is_attack_are_told_to_be_quiet(plan: Path, data: Path) -> None:
    right = tocsin("plan", "backtest", plan, "--data", data)
    data.write_text(data.read_text().replace("attack", "atack"))
    wrong = tocsin("plan", "backtest", plan, "--data", data)

    assert "no row has the label" not in right.err
    assert "no row has the label attack (there are atack" in wrong.err


def test_without_a_label_all_is_quiet(plan: Path, data: Path) -> None:
    said = tocsin("plan", "backtest", plan, "--data", data, "--label-column", "kind", "--map", "label=note")

    assert said.code == 0
    assert "delay" not in said.out
    assert "attack from" not in said.out


def test_a_sweep_tells_each_value_and_marks_the_plans_own(plan: Path, data: Path, tmp_path: Path) -> None:
    said = tocsin("plan", "backtest", plan, "--data", data, "--sweep", "max_out=10:40:4")

    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    print(said.out)
    assert "10 24 s 2 $2,400, 50.0% 2 18.0 (2.18–65.0) 946 (115–3,418)" in lines
    assert "20 = plan 36 s 3 $3,200, 66.7% 1 9.00 (0.23–50.1) 473 (12.0–2,636)" in lines
    assert "40 72 s 6 $4,800, 100.0% 0 ≤ 27.0 ≤ 1,417" in lines


def test_a_sweep_gives_what_each_value_alone_gives(plan: Path, data: Path, tmp_path: Path) -> None:
    swept = tocsin("plan", "backtest", plan, "--data", data, "--sweep", "max_out=10:40:4", "--json").document

    assert swept["schema"] == "tocsin/plan-sweep/1"
    for step in swept["steps"]:  # type: ignore[attr-defined]
        alone = tmp_path / "alone.plan.toml"
        alone.write_text(plan.read_text().replace("max_out = 20", f"max_out = {step['value']}"))
        document = tocsin("plan", "backtest", alone, "--data", data, "--json").document
        assert (step["rules"], step["all"]) == (document["rules"], document["all"])


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_drawn_sweep_is_the_same_file_each_time(plan: Path, data: Path, tmp_path: Path, kind: str) -> None:
    files = [tmp_path / f"{name}.{kind}" for name in ("one", "two")]
    for file in files:
        said = tocsin("plan", "backtest", plan, "--data", data, "--sweep", "max_out=10:40:4", "--plot", file)
        assert said.code == 0, said.err

    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert len(first) > 5_000
    if kind == "svg":
        assert b"<dc:date>" not in first


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--plot", "x.svg"], "--plot: expected --sweep beside it, got none"),
        (["--sweep", "max_out=1:2:3", "--plot", "x.pdf"], "expected a name that ends in .png or .svg"),
        (["--sweep", "max_out"], "--sweep max_out: expected LIMIT=FROM:TO:STEPS"),
        (["--sweep", "none=1:2:3"], "expected a limit of the plan (max_out, unused), got none"),
        (["--sweep", "unused=1:2:3"], "expected a limit that some rule names, got unused"),
        (["--sweep", "max_out=1:2:1"], "expected 2 to 200 steps, got 1"),
        (["--sweep", "max_out=1:99999999999999999999:3"], "expected limits of 64 bits, got larger ones"),
        (["--sweep", f"max_out=1:{'9' * 5_000}:3"], "expected LIMIT=FROM:TO:STEPS"),
        (["--chain-block-time", f"eip155:1={'9' * 5_000}"], "expected CHAIN=SECONDS, as eip155:10=2, got"),
        (["--map", "x"], "--map: expected COLUMN=NAME, got x"),
        (["--chain-block-time", "eip155:1=0"], "expected CHAIN=SECONDS, as eip155:10=2, got eip155:1=0"),
        (
            ["--chain-block-time", "eip155:5=2"],
            "expected a chain of the plan (eip155:1, eip155:10), got eip155:5",
        ),
        (["--map", "id=timestamp"], "expected one column timestamp, got 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(
    plan: Path, data: Path, options: list[str], problem: str
) -> None:
    said = tocsin("plan", "backtest", plan, "--data", data, *options)

    assert said.code == 2
    assert problem in said.err


def test_without_polars_the_remedy_is_named(plan: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_polars(name: str, *rest: object, **more: object) -> object:
        if name == "polars":
            raise ModuleNotFoundError("no polars here", name="polars")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "relay.plans.tables", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_polars)
    said = tocsin("plan", "backtest", plan, "--data", data)

    assert said.code == 2
    assert "expected the package polars, got none" in said.err
    assert "pip install 'tocsin[plans]'" in said.err


def test_the_bridge_plan_fires_at_the_first_attack_block_and_in_no_quiet_hour() -> None:
    if not NOMAD.is_file():
        pytest.skip(f"no Nomad events at {NOMAD}: set TOCSIN_NOMAD_EVENTS")

    said = tocsin("plan", "backtest", BRIDGE, "--data", NOMAD)

    print(said.out)
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "4,856.6 quiet hours" in said.out
    assert "attack from 2022-08-01 21:32:31 UTC, $159.58 M in all" in lines
    for rule in ("repeated-withdrawals", "unbacked", "any rule"):
        assert f"{rule} 0 s 0 $9.19 M, 5.8% 0 ≤ 0.62 ≤ 32.4" in lines


def test_a_file_that_cannot_be_read_moves_no_cursor(plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("time\x1b[2J\x9bstamp,event\n1,out\n")

    said = tocsin("plan", "backtest", plan, "--data", file)

    assert said.code == 2
    assert r"got time\x1b[2J\x9bstamp, event" in said.err
