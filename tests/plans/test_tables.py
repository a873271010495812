"""Tables for back-tests: read exactly, refused by file, row and column (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from relay.core.plan import Plan
from relay.plans.rows import DataError, EventSeen, Observations, Sample
from relay.plans.tables import load_tables
from tests.plans.worlds import FOREIGN, HOME, compiled_of, plan_text

METRICS = """[metrics.gone]
read = "event_sum"
chain = "eip155:1"
OUT
value = "amount"
by = ["kind"]
[metrics.came]
read = "event_count"
chain = "eip155:10"
IN
where = { id = "1" }
[metrics.level]
read = "call"
chain = "eip155:1"
from = "0x3333333333333333333333333333333333333333"
call = "level() returns (uint256)"
[metrics.feed]
read = "oracle"
chain = "eip155:1"
from = "0x3333333333333333333333333333333333333333"
"""
RULE = '[rules.drain]\nwhen = "came > level"\nhold = 1\nladder = [["halt"]]\n'
HUGE = 2**256 - 1


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compiled_of(plan_text(METRICS, RULE)).plan


@pytest.fixture
def load(plan: Plan, tmp_path: Path) -> Callable[..., Observations]:
    """Write texts as CSV files and load them."""

    def load_texts(*texts: str, mapping: Mapping[str, str] | None = None) -> Observations:
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / f"t{number}.csv"
            path.write_text(text)
            paths.append(path)
        return load_tables(paths, plan, mapping)

    return load_texts


EVENTS = "timestamp,chain,event,kind,amount,id,label,value_usd\n"


def test_events_keep_what_metrics_read_and_amounts_of_any_size(load: Callable[..., Observations]) -> None:
    data = load(
        EVENTS
        + f"20,eip155:1,OUT,0xABcd,{HUGE},9,attack,12.50\n"
        + "10,eip155:10,in,,,1,benign,99\n15,eip155:1,other,,,,,\n"
    )

    assert list(data.events) == [
        EventSeen(10, FOREIGN, "in", {"id": "1"}, "benign"),
        EventSeen(15, HOME, "other", {}),
        EventSeen(20, HOME, "out", {"kind": "0xabcd", "amount": HUGE}, "attack", Decimal("12.50")),
    ]


def test_a_label_is_one_whatever_its_case(load: Callable[..., Observations]) -> None:
    assert load(EVENTS + "1,eip155:1,out,a,1,1,Attack,5\n").attack() is not None


def test_rows_of_one_time_are_in_the_order_of_their_blocks(load: Callable[..., Observations]) -> None:
    data = load(
        "timestamp,chain,event,id,block\n5,eip155:10,in,b,8\n5,eip155:10,in,a,7\n4,eip155:10,in,c,9\n"
    )

    assert [row.fields["id"] for row in data.events] == ["c", "a", "b"]


def test_columns_are_read_by_the_names_that_are_meant(load: Callable[..., Observations]) -> None:
    text = "at,where,what,num,who\n5,eip155:10,in,1,attack\n"
    mapping = {"at": "timestamp", "where": "chain", "what": "event", "num": "id", "who": "label"}

    assert list(load(text, mapping=mapping).events) == [EventSeen(5, FOREIGN, "in", {"id": "1"}, "attack")]


def test_a_series_comes_in_rows_or_in_columns(load: Callable[..., Observations]) -> None:
    rows = load(
        "timestamp,metric,value\n1,level,7\n2,feed,-3\n2,feed.updated_at,1\n3,nobody,x\n4,level,fault\n"
    )
    columns = load("timestamp,feed,level,feed.updated_at\n1,,7,\n2,-3,,1\n4,,fault,\n")

    expected = [
        Sample(1, "level", 7),
        Sample(2, "feed", -3),
        Sample(2, "feed.updated_at", 1),
        Sample(4, "level", None),
    ]
    assert sorted(rows.series, key=lambda row: (row.timestamp, row.metric)) == expected
    assert sorted(columns.series, key=lambda row: (row.timestamp, row.metric)) == expected


def test_states_are_integers_hex_or_truth_values(load: Callable[..., Observations]) -> None:
    data = load(f"timestamp,level\n1,true\n2,false\n3,0xFF\n4,{HUGE}\n")

    assert [row.value for row in data.series] == [1, 0, 255, HUGE]


def test_what_left_counts_once_for_a_row_of_many_columns(load: Callable[..., Observations]) -> None:
    data = load("timestamp,feed,level,label,value_usd\n1,1,1,,5\n2,2,2,attack,7\n")

    attack = data.attack()
    assert attack is not None
    assert (attack.start_s, attack.total_usd) == (2, Decimal(7))


def test_parquet_is_read_with_its_types(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    pl.DataFrame(
        {
            "timestamp": [datetime(2024, 1, 1, tzinfo=UTC)],
            "chain": pl.Series(["eip155:1"], dtype=pl.Categorical),
            "event": ["Out"],
            "kind": [b"\xab\x01"],
            "amount": pl.Series([10**30], dtype=pl.Decimal(38, 0)),
            "value_usd": [1.5],
            "label": ["attack"],
        }
    ).write_parquet(path)

    assert list(load_tables([path], plan).events) == [
        EventSeen(1_704_067_200, HOME, "out", {"kind": "0xab01", "amount": 10**30}, "attack", Decimal("1.5"))
    ]


def test_the_chain_may_be_left_out_where_there_is_one(tmp_path: Path) -> None:
    text = plan_text(
        METRICS.partition("[metrics.came]")[0], RULE.replace("came > level", "gone.all(k, gone[k] > 1)")
    )
    plan = compiled_of(text.replace('[chains."eip155:10"]\nlag_s = 20\nsince = 7\n', "")).plan
    path = tmp_path / "t.csv"
    path.write_text("timestamp,event,kind,amount\n1,out,a,2\n")

    assert [row.chain for row in load_tables([path], plan).events] == [HOME]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            EVENTS + "x,eip155:1,out,a,1,1,,\n",
            "t0.csv, row 1, column timestamp: expected seconds since 1970, got x",
        ),
        (
            EVENTS + ",eip155:1,out,a,1,1,,\n",
            "t0.csv, row 1, column timestamp: expected seconds since 1970, got noth",
        ),
        (EVENTS + "1,,out,a,1,1,,\n", "t0.csv, row 1, column chain: expected a chain (CAIP-2), got nothing"),
        (
            EVENTS + "1,eip155:10,in,,,1,,\n2,eip155:1,out,a,1.5,1,,\n",
            "t0.csv, row 2, column amount: expected an integer, got 1.5",
        ),
        (
            EVENTS + "1,eip155:1,out,a,,1,,\n",
            "t0.csv, row 1, column amount: expected an integer, got nothing",
        ),
        (EVENTS + "1,eip155:1,out,,5,1,,\n", "t0.csv, row 1, column kind: expected a value, got nothing"),
        (
            EVENTS + "1,eip155:1,out,a,1,1,attack,much\n",
            "t0.csv, row 1, column value_usd: expected an amount of US dollars, got much",
        ),
        (
            EVENTS + "1,eip155:1,out,a,1,1,attack,NaN\n",
            "t0.csv, row 1, column value_usd: expected an amount of US dollars, got NaN",
        ),
        (
            "timestamp,chain,event,kind\n1,eip155:1,out,a\n",
            "t0.csv: expected a column amount for the event out, got timestamp, chain, event, kind",
        ),
        (
            "timestamp,event\n1,out\n",
            "t0.csv: expected a column chain, for eip155:1, eip155:10; got timestamp, event",
        ),
        ("time,event\n1,out\n", "t0.csv: expected a column timestamp, got time, event"),
        (
            "timestamp,price\n1,2\n",
            "t0.csv: expected a column event, columns metric and value, or a column for a metri",
        ),
        (
            "timestamp,metric,value\n1,level,1e18\n",
            "t0.csv, row 1, column value: expected an integer as the chain giv",
        ),
        ("timestamp,metric,value\n1,level,\n", "got nothing"),
        (EVENTS + "-1,eip155:1,out,a,1,1,,\n", "column timestamp: expected seconds since 1970, got -1"),
        (
            EVENTS + "1700000000000,eip155:1,out,a,1,1,,\n",
            "t0.csv, row 1, column timestamp: expected seconds since 1970, got 1700000000000",
        ),
        (EVENTS + "9" * 23 + ",eip155:1,out,a,1,1,,\n", "column timestamp: expected seconds since 1970"),
        (EVENTS + "1,eip155:1,out,a," + "9" * 5_000 + ",1,,\n", "column amount: expected an integer, got 9"),
        (f"timestamp,level\n1,{'9' * 5_000}\n", "column level: expected an integer as the chain gives it"),
        (f"timestamp,level\n1,0x{'f' * 65}\n", "column level: expected an integer as the chain gives it"),
        (
            EVENTS + "1,eip155:1,out,a,1,1,attack,1e30\n",
            "t0.csv, row 1, column value_usd: expected an amount of US dollars, got 1e30",
        ),
        (
            EVENTS + "1,eip155:1,out,a,1,1,attack,-5\n",
            "t0.csv, row 1, column value_usd: expected an amount of US dollars, got -5",
        ),
        ("timestamp,level,level\n1,2,3\n", "t0.csv: expected one column level, got 2"),
        ("timestamp,level\n1,2\n2,2,3\n", "t0.csv: expected a table, got: "),
        ("", "t0.csv: expected a table, got: "),
    ],
)
def test_what_does_not_fit_is_named_by_file_row_and_column(
    load: Callable[..., Observations], text: str, problem: str
) -> None:
    with pytest.raises(DataError) as caught:
        load(text)

    assert problem in str(caught.value)


def test_files_and_mappings_that_do_not_exist_are_named(
    plan: Plan, load: Callable[..., Observations], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="expected a readable file, got: No such file or directory"):
        load_tables([tmp_path / "none.csv"], plan)
    with pytest.raises(DataError, match=r"expected a .csv or .parquet file, got .xlsx"):
        load_tables([tmp_path / "none.xlsx"], plan)
    with pytest.raises(DataError, match=r"--map at=timestamp: expected a column of .*t0.csv, got at"):
        load("timestamp,level\n1,1\n", mapping={"at": "timestamp"})
    with pytest.raises(DataError, match="expected one column timestamp, got 2"):
        load("timestamp,at\n1,1\n", mapping={"at": "timestamp"})


def test_a_file_that_is_no_table_is_not_told_at_length(load: Callable[..., Observations]) -> None:
    with pytest.raises(DataError, match=r"expected a column timestamp, got a+…") as caught:
        load("a" * 100_000 + "\n1\n")

    assert len(str(caught.value)) < 1_000


def test_a_row_of_long_ago_makes_no_quiet_years(load: Callable[..., Observations]) -> None:
    assert len(load("timestamp,level\n0,1\n60,2\n"))
    with pytest.raises(DataError) as caught:
        load("timestamp,level\n1700000000,1\n0,1\n1700000060,2\n")

    assert "t0.csv, row 2, column timestamp: expected a time like those of the other rows" in str(
        caught.value
    )
