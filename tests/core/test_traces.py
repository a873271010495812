"""A trace as it was logged: what has not its form is refused, whoever wrote it (SPEC 3, 5.8)."""

from __future__ import annotations

import pytest

from proofs.canonical import Value
from relay.core.traces import TraceError, read_trace
from tests.sim.keys import EMPTY_TRACE


def with_agreement(value: Value) -> dict[str, Value]:
    return {**EMPTY_TRACE, "agreement": {"sim:home": value}}


@pytest.mark.parametrize("counts", [[2, 3], [1, 1]])
def test_the_agreement_is_how_many_agreed_of_those_asked(counts: list[Value]) -> None:
    assert read_trace(with_agreement(counts)).agreement == {"sim:home": counts}


@pytest.mark.parametrize("counts", ["all of them", None, [3], [0, 3], [4, 3], [2, 3, 3], [True, 3], ["2", 3]])
def test_an_agreement_of_another_form_or_of_nobody_is_refused(counts: Value) -> None:
    with pytest.raises(TraceError, match=r"agreement\.sim:home"):
        read_trace(with_agreement(counts))
