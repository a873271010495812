"""A trace as it was logged: what has not its form is refused, whoever wrote it (SPEC 3, 5.8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proofs.canonical import Value
from relay.core.observations import ReadKind, StateRead
from relay.core.plan import EventMetric, StateMetric
from relay.core.plan_file import parse_plan
from relay.core.traces import TraceError, problem_of, read_trace
from relay.core.types import Caip2
from tests.sim.keys import EMPTY_TRACE

PLAN = Path(__file__).parents[1] / "plans/bridge.plan.toml"


def with_agreement(value: Value) -> dict[str, Value]:
    return {**EMPTY_TRACE, "agreement": {"sim:home": value}}


@pytest.mark.parametrize("counts", [[2, 3], [1, 1]])
def test_the_agreement_is_how_many_agreed_of_those_asked(counts: list[Value]) -> None:
    assert read_trace(with_agreement(counts)).agreement == {"sim:home": counts}


@pytest.mark.parametrize("counts", ["all of them", None, [3], [0, 3], [4, 3], [2, 3, 3], [True, 3], ["2", 3]])
def test_an_agreement_of_another_form_or_of_nobody_is_refused(counts: Value) -> None:
    with pytest.raises(TraceError, match=r"agreement\.sim:home"):
        read_trace(with_agreement(counts))


def burned() -> EventMetric:
    """Give a metric that is a map by token, some of which its plan names."""
    metric = parse_plan(PLAN.read_text(), where=PLAN.name).metrics["burned"]
    assert isinstance(metric, EventMetric)
    assert metric.by == ("token",)
    return metric


def test_a_map_by_keys_has_their_entries_no_fewer_and_no_others() -> None:
    metric = burned()
    named = {key.name: 0 for key in metric.keys.values()}
    first = next(iter(named))

    assert problem_of(metric, named) is None
    assert "'another'" in (problem_of(metric, {**named, "another": 5}) or "")
    assert repr(first) in (problem_of(metric, {name: 0 for name in named if name != first}) or "")
    assert problem_of(metric, 7) == "expected burned to be a map, got another kind"
    assert problem_of(replace(metric, keys={}), {"any": 1}) is None


def test_groups_of_several_fields_are_of_the_keys_that_are_named() -> None:
    metric = replace(burned(), by=("token", "to"))
    first = next(iter(metric.keys.values())).name

    assert problem_of(metric, {f"{first}/alice": 5}) is None
    assert problem_of(metric, {}) is None
    assert "'another/alice'" in (problem_of(metric, {f"{first}/alice": 5, "another/alice": 5}) or "")


def test_an_oracle_has_a_price_and_an_age() -> None:
    metric = StateMetric("price", StateRead(Caip2("sim:home"), ReadKind.ORACLE, "oracle"))

    assert problem_of(metric, {"age_s": 5, "price": 7}) is None
    assert "'age_s'" in (problem_of(metric, {"price": 7}) or "")
    assert problem_of(metric, 7) is not None
