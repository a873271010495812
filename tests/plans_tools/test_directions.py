"""What `plan diff` tells of a limit's way is never contradicted by the condition itself."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from relay.core.errors import PlanError
from relay.core.expressions import Condition, Kind, Language, Result
from relay.plans.directions import name_direction

LIMITS = (1, 3, 7, 20)
"""The limit that conditions name, ascending."""
KINDS = {"a": Kind.INTEGER, "b": Kind.INTEGER, "m": Kind.MAP}

values = st.integers(1, 30)
plain = st.sampled_from(["a", "b", "most", "2", "5"])
numbers = st.one_of(
    plain,
    st.builds("({} {} {})".format, plain, st.sampled_from("+*-/%"), plain),
    st.builds("{} {} {}".format, plain, st.sampled_from("+*"), plain),
)
comparisons = st.builds(
    "{} {} {}".format, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers
)


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["==", "!="]), inner),
        st.builds("({}) in [{}]".format, inner, st.sampled_from(["true", "false"])),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("m.exists(t, m[t] * {} > {})".format, numbers, numbers),
        st.builds("m.all(t, {})".format, inner),
        st.builds("m.exists_one(t, m[t] > {})".format, numbers),
    )


conditions = st.recursive(comparisons, _wider, max_leaves=3).filter(lambda text: "most" in text)


def answer(condition: Condition, inputs: dict[str, int | dict[str, int]]) -> Result:
    return condition.evaluate({name: value for name, value in inputs.items() if name in condition.reads})


@settings(max_examples=400)
@given(text=conditions, a=values, b=values, x=values, y=values)
def test_more_of_a_limit_works_as_told(text: str, a: int, b: int, x: int, y: int) -> None:
    way = name_direction(text, "most")
    try:
        compiled = [Language(KINDS, {"most": most}).compile(text, "when") for most in LIMITS]
    except PlanError:
        return
    given_values: dict[str, int | dict[str, int]] = {"a": a, "b": b, "m": {"x": x, "y": y}}

    answers = [answer(each, given_values) for each in compiled]

    event(f"way {way}")
    if way and Result.FAULT not in answers:
        truths = [each is Result.TRUE for each in answers]
        assert truths == sorted(truths, reverse=way < 0)
