"""Tables of events and series, CSV and Parquet, read into rows (plans SPEC 4).

What a table says is checked where it is read: an error names the file, the row (counted from 1 below the
heads) and the column. Amounts are read as text and become exact integers of any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from relay.core.errors import ConfigError
from relay.core.observations import Field
from relay.core.plan import Plan
from relay.core.types import Caip2
from relay.plans.collector import no_cycles
from relay.plans.needs import EventNeed, needs_of, series_names
from relay.plans.rows import ATTACK, NOTHING, DataError, EventSeen, Observations, Sample

try:
    import polars as pl
except ModuleNotFoundError as error:
    raise ConfigError(
        "tables", "expected the package polars, got none", remedy="pip install 'tocsin[plans]'"
    ) from error

__all__ = ["load_tables"]

_INTEGER: Final = r"^-?[0-9]{1,78}$"
"""As long as a word of 256 bits can be."""
_DECIMAL: Final = re.compile(r"-?[0-9]{1,78}\Z")
_HEX: Final = re.compile(r"0x[0-9a-f]{1,64}\Z")
_TIME: Final = r"^[0-9]{1,10}$"
"""Seconds until the year 2286: milliseconds have more digits, and would make an hour of 3.6 seconds."""
_BEFORE_CHAINS_S: Final = 10**9
"""September 2001. A table may count from a beginning of its own, but not some of its rows."""
_MOST_USD: Final = Decimal(10) ** 15
_REPEATED: Final = re.compile(r"(.*)_duplicated_[0-9]+\Z")
"""What polars makes of a column's name that it has read before."""
_FAULT: Final = "fault"
"""What a series says where a reading failed."""
_MOST_SHOWN: Final = 400
"""Letters of a file's own words in an error: a file that is no table may be one long line."""
_COMMON: Final = ("timestamp", "label", "value_usd")


def load_tables(paths: Sequence[Path], plan: Plan, mapping: Mapping[str, str] | None = None) -> Observations:
    """Read tables into what a back-test of `plan` is fed; `mapping` gives columns the names that are meant.

    A table with a column `event` holds events; one with `metric` and `value`, or with a column for each
    metric, holds series.

    Raises:
        DataError: a file cannot be read, or does not hold what the plan's metrics need.
    """
    mapping = mapping or {}
    events: list[EventSeen] = []
    series: list[Sample] = []
    unused = set(mapping)
    with no_cycles():
        for path in paths:
            table = _open(path, mapping)
            unused -= table.renamed
            if "event" in table.columns:
                events += _events(table, plan)
            else:
                series += _series(table, plan)
    if unused:
        column = min(unused)
        files = ", ".join(str(path) for path in paths) or "no file"
        raise DataError(f"--map {column}={mapping[column]}", f"expected a column of {files}, got {column}")
    return Observations.of(events=events, series=series)


# ---- files


@dataclass(frozen=True, slots=True)
class _Table:
    """A file that was not read yet: its columns by the names that are meant."""

    path: Path
    frame: pl.LazyFrame
    columns: tuple[str, ...]
    renamed: frozenset[str]

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        """Read the columns that the table has of these, as text; surrounding blanks go, hex is lower-case.

        Raises:
            DataError: the file is no table, or its bytes are no UTF-8.
        """
        kept = [name for name in self.columns if name in set(columns)]
        schema = self.frame.collect_schema()
        try:
            return self.frame.select(_as_text(pl.col(name), schema[name]) for name in kept).collect()
        except pl.exceptions.PolarsError as error:
            raise DataError(str(self.path), f"expected a table, got: {_first_line(error)}") from error

    def column(self, name: str) -> str:
        """Say where a column stands, as the file calls it."""
        return f"{self.path}, column {name}"

    def cell(self, row: int, name: str) -> str:
        return f"{self.path}, row {row + 1}, column {name}"


def _open(path: Path, mapping: Mapping[str, str]) -> _Table:
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(str(path), f"expected a .csv or .parquet file, got {path.suffix or 'no ending'}")
    try:
        # Polars would tell a directory, or a name with `*`, as many files.
        with path.open("rb"):
            pass
        frame = (
            pl.scan_csv(path, infer_schema=False, glob=False)
            if path.suffix == ".csv"
            else pl.scan_parquet(path, glob=False)
        )
        names = frame.collect_schema().names()
    except OSError as error:
        raise DataError(str(path), f"expected a readable file, got: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise DataError(str(path), f"expected a table, got: {_first_line(error)}") from error
    repeated = [match[1] for name in names if (match := _REPEATED.match(name)) and match[1] in names]
    meant = [mapping.get(name, name).strip() for name in (*names, *repeated)]
    for name in meant:
        if meant.count(name) > 1:
            raise DataError(str(path), f"expected one column {name}, got {meant.count(name)}")
    if "timestamp" not in meant:
        raise DataError(
            str(path),
            f"expected a column timestamp, got {_names(meant)}",
            remedy="rename one by --map COLUMN=timestamp",
        )
    renamed = frame.rename(dict(zip(names, meant, strict=True)))
    return _Table(path, renamed, tuple(meant), frozenset(mapping) & frozenset(names))


def _as_text(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    name = column.meta.output_name()
    if isinstance(kind, pl.Datetime):
        return column.dt.epoch("s").cast(pl.String)
    if isinstance(kind, pl.Binary):
        return pl.format("0x{}", column.bin.encode("hex")).alias(name)
    text = column.cast(pl.String).str.strip_chars()
    is_hex = text.str.contains("^0[xX]")
    return pl.when(is_hex).then(text.str.to_lowercase()).otherwise(text).alias(name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _times(table: _Table, frame: pl.DataFrame) -> list[int]:
    column = frame["timestamp"]
    wrong = _first_unlike(column, _TIME)
    if wrong is not None:
        raise DataError(
            table.cell(wrong, "timestamp"),
            f"expected seconds since 1970, got {_shown(column[wrong])}",
            remedy="whole seconds of at most 10 digits: milliseconds have more",
        )
    times = [int(each) for each in column.cast(pl.Int64)]
    early = [place for place, time_s in enumerate(times) if time_s < _BEFORE_CHAINS_S]
    if early and len(early) < len(times):
        raise DataError(
            table.cell(early[0], "timestamp"),
            f"expected a time like those of the other rows, got {times[early[0]]}",
            remedy="one row of long ago would make years of quiet time: leave it out, or set it right",
        )
    return times


def _integers(
    table: _Table, frame: pl.DataFrame, name: str, expected: str, places: Sequence[int]
) -> list[int]:
    """Give a column as exact integers; `places` are the rows of the file that the frame holds."""
    column = frame[name]
    wrong = _first_unlike(column, _INTEGER)
    if wrong is not None:
        raise DataError(
            table.cell(places[wrong], name),
            f"expected {expected}, got {_shown(column[wrong])}",
            remedy="amounts are whole base units of at most 78 digits: text or integers, no floats",
        )
    return [int(each) for each in column]


def _first_unlike(column: pl.Series, pattern: str) -> int | None:
    """Give the place of the first cell that is not of a form, if there is one."""
    wrong = (~column.str.contains(pattern)).fill_null(value=True).arg_true()
    return int(wrong[0]) if len(wrong) else None


def _names(columns: Sequence[str]) -> str:
    """Give the columns of a file for an error, cut where they are many or long."""
    text = ", ".join(columns)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _shown(value: object) -> str:
    return "nothing" if value is None or value == "" else str(value)[:80]


# ---- events


def _events(table: _Table, plan: Plan) -> list[EventSeen]:
    needs = needs_of(plan)
    fields = {name for need in needs.values() for name in need.fields}
    frame = table.read([*_COMMON, "event", "chain", "contract", "block", *fields])
    times = _times(table, frame)
    chains = _chains(table, frame, plan)
    names = [(name or "").lower() for name in frame["event"]]
    found: dict[tuple[Caip2, str], list[int]] = {}
    for place, kind in enumerate(zip(chains, names, strict=True)):
        found.setdefault(kind, []).append(place)
    rows: list[Mapping[str, Field]] = [{}] * frame.height
    for kind, places in found.items():
        if kind in needs:
            for place, values in zip(places, _fields(table, frame, needs[kind], places), strict=True):
                rows[place] = values
    labels, values_usd = _labels(table, frame)
    height = frame.height
    blocks = _integers(table, frame, "block", "a number", range(height)) if "block" in frame else [0] * height
    contracts = [each or "" for each in frame["contract"]] if "contract" in frame else [""] * height
    columns = (times, chains, names, rows, labels, values_usd, blocks, contracts)
    return [EventSeen(*row) for row in zip(*columns, strict=True)]


def _chains(table: _Table, frame: pl.DataFrame, plan: Plan) -> list[Caip2]:
    if "chain" in frame:
        known = {name: Caip2(name) for name in frame["chain"].unique().to_list() if name}
        chains = [known.get(name) for name in frame["chain"]]
        if None in chains:
            raise DataError(table.cell(chains.index(None), "chain"), "expected a chain (CAIP-2), got nothing")
        return [chain for chain in chains if chain is not None]
    if len(plan.chains) > 1:
        raise DataError(
            str(table.path),
            f"expected a column chain, for {', '.join(plan.chains)}; got {_names(table.columns)}",
            remedy="rename one by --map COLUMN=chain",
        )
    return [next(iter(plan.chains))] * frame.height


def _fields(
    table: _Table, frame: pl.DataFrame, need: EventNeed, places: Sequence[int]
) -> list[dict[str, Field]]:
    """Give the fields of the events of one kind."""
    own = frame[places]
    columns: list[Sequence[Field]] = []
    for name in need.fields:
        if name not in own:
            raise DataError(
                str(table.path),
                f"expected a column {name} for the event {need.event}, got {_names(table.columns)}",
                remedy=f"rename one by --map COLUMN={name}",
            )
        if name in need.integers:
            columns.append(_integers(table, own, name, "an integer", places))
        else:
            columns.append(_texts(table, own, name, places))
    return [dict(zip(need.fields, values, strict=True)) for values in zip(*columns, strict=True)]


def _texts(table: _Table, frame: pl.DataFrame, name: str, places: Sequence[int]) -> list[str]:
    column = frame[name]
    empty = column.is_null().arg_true()
    if len(empty):
        raise DataError(table.cell(places[int(empty[0])], name), "expected a value, got nothing")
    # One text object for each value: a million rows of a dozen tokens then weigh little.
    known: dict[str, str] = {}
    return [known.setdefault(text, text) for text in column]


def _labels(table: _Table, frame: pl.DataFrame) -> tuple[list[str], list[Decimal]]:
    """Give the labels, and the worth of the rows of the attack."""
    labels = [(each or "").lower() for each in frame["label"]] if "label" in frame else [""] * frame.height
    values = [NOTHING] * frame.height
    if "value_usd" in frame:
        column = frame["value_usd"]
        for place, label in enumerate(labels):
            if label == ATTACK:
                values[place] = _usd(table, place, column[place])
    return labels, values


def _usd(table: _Table, place: int, text: str | None) -> Decimal:
    if not text:
        return NOTHING
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or not 0 <= value <= _MOST_USD:
        raise DataError(
            table.cell(place, "value_usd"),
            f"expected an amount of US dollars, got {_shown(text)}",
            remedy="what left, from 0 to 10^15",
        )
    return value


# ---- series


def _series(table: _Table, plan: Plan) -> list[Sample]:
    names = series_names(plan)
    if "metric" in table.columns and "value" in table.columns:
        return _long_series(table, names)
    given = [name for name in names if name in table.columns]
    if not given:
        raise DataError(
            str(table.path),
            "expected a column event, columns metric and value, or a column for a metric "
            f"({', '.join(names) or 'the plan has none of state'}); got {_names(table.columns)}",
            remedy="rename one by --map COLUMN=NAME",
        )
    return _wide_series(table, given)


def _long_series(table: _Table, names: Iterable[str]) -> list[Sample]:
    frame = table.read([*_COMMON, "metric", "value"])
    labels, values_usd = _labels(table, frame)
    known = set(names)
    rows = zip(_times(table, frame), frame["metric"], frame["value"], labels, values_usd, strict=True)
    return [
        Sample(time, metric, _state(table, place, "value", text), label, usd)
        for place, (time, metric, text, label, usd) in enumerate(rows)
        if metric in known
    ]


def _wide_series(table: _Table, given: Sequence[str]) -> list[Sample]:
    """Read a column for each metric; an empty cell says nothing new."""
    frame = table.read([*_COMMON, *given])
    times = _times(table, frame)
    labels, values_usd = _labels(table, frame)
    samples: list[Sample] = []
    told: set[int] = set()
    for name in given:
        for place, text in enumerate(frame[name]):
            if text is None or text == "":
                continue
            # What left counts once for a row, however many metrics it has.
            label, usd = ("", NOTHING) if place in told else (labels[place], values_usd[place])
            told.add(place)
            samples.append(Sample(times[place], name, _state(table, place, name, text), label, usd))
    return samples


def _state(table: _Table, place: int, column: str, text: str | None) -> int | None:
    """Give a state's unscaled number; a truth value is 1 or 0, None a reading that failed."""
    if text == _FAULT:
        return None
    if text in ("true", "false"):
        return int(text == "true")
    if text is not None and _DECIMAL.match(text):
        return int(text)
    if text is not None and _HEX.match(text):
        return int(text, 16)
    raise DataError(
        table.cell(place, column),
        f"expected an integer as the chain gives it, 0x…, true, false or {_FAULT}, got {_shown(text)}",
        remedy="write it unscaled: the plan's `scale` divides it",
    )
