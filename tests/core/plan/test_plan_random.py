"""Plans by chance: legal ones have one canonical form, damaged ones are refused and break no reader."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proofs.canonical import decode, encode
from relay.core.errors import PlanError
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan, plan_from_canonical, survey_plan
from tests.core.plan.conftest import PLANS
from tests.core.plan.random_plans import Tables, legal_plans, text_of

EVERY_KEY = (PLANS / "every-key.plan.toml").read_text()
TABLES = tomllib.loads(EVERY_KEY)
SCHEMA = Draft202012Validator(
    json.loads((PLANS.parents[1] / "relay" / "core" / "plan.schema.json").read_text())
)
NONSENSE = st.one_of(
    st.integers(-(1 << 300), 1 << 300), st.booleans(), st.floats(), st.text(max_size=5),
    st.sampled_from([[], {}, [[]], [{}], {"a": {}}, "1s", "true", "eip155:1", "sim:home:x"]),
)  # fmt: skip


def shuffled(value: object, chance: random.Random) -> object:
    """Give the same tables with their keys in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], chance) for key in chance.sample(list(value), len(value))}
    return [shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@settings(max_examples=20)
@given(legal_plans(), st.randoms(use_true_random=False))
def test_a_legal_plan_has_one_canonical_form(tables: Tables, chance: random.Random) -> None:
    plan = survey_plan(text_of(tables), where="x")
    other = shuffled(tables, chance)
    assert isinstance(other, dict)

    assert isinstance(plan, Plan), plan
    assert plan_from_canonical(plan.canonical) == plan
    assert parse_plan(text_of(other), where="y") == plan
    assert list(SCHEMA.iter_errors(tables)) == []


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the paths of all keys and items within a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


PLACES = sorted(places(TABLES), key=repr)


def damaged(path: tuple[str | int, ...], instead: object) -> object:
    """Give the plan with every key with another value at a place, or without it (`...`)."""

    def rebuilt(value: object, rest: tuple[str | int, ...]) -> object:
        items = (
            dict(value)
            if isinstance(value, dict)
            else dict(enumerate(value))
            if isinstance(value, list)
            else {}
        )
        if len(rest) > 1:
            items[rest[0]] = rebuilt(items[rest[0]], rest[1:])
        elif instead is ...:
            del items[rest[0]]
        else:
            items[rest[0]] = instead
        return items if isinstance(value, dict) else list(items.values())

    return rebuilt(TABLES, path)


def assert_is_told(text: str) -> None:
    """Check that a text is a plan, or refused with errors that name it."""
    found = survey_plan(text, where="x")
    if isinstance(found, Plan):
        assert plan_from_canonical(found.canonical) == found
        return
    assert found
    assert all(error.where.startswith("x") and error.problem for error in found)
    with pytest.raises(PlanError):
        parse_plan(text, where="x")


@settings(max_examples=60)
@given(st.sampled_from(PLACES), NONSENSE | st.just(...))
def test_a_plan_with_another_value_anywhere_is_a_plan_or_refused(
    path: tuple[str | int, ...], instead: object
) -> None:
    tables = damaged(path, instead)
    assert isinstance(tables, dict)

    assert_is_told(text_of(tables))


@settings(max_examples=60)
@given(st.integers(0, len(EVERY_KEY)), st.integers(0, 40), st.text(max_size=8))
def test_a_text_with_any_part_replaced_is_a_plan_or_refused(start: int, length: int, instead: str) -> None:
    assert_is_told(EVERY_KEY[:start] + instead + EVERY_KEY[start + length :])


def as_canonical(value: object) -> object:
    """Give what canonical msgpack can hold of a value."""
    return str(value) if isinstance(value, float) else value


@settings(max_examples=60)
@given(st.sampled_from(PLACES), NONSENSE.map(as_canonical) | st.just(...))
def test_canonical_bytes_of_anything_else_than_a_plan_are_refused(
    path: tuple[str | int, ...], instead: object
) -> None:
    canonical = decode(parse_plan(EVERY_KEY, where="x").canonical, limit_bytes=1 << 20)
    data = encode(_replaced(canonical, path, instead))

    try:
        plan = plan_from_canonical(data)
    except PlanError:
        return
    assert plan.canonical == data


def _replaced(value: object, path: tuple[str | int, ...], instead: object) -> object:
    if not path:
        return value if instead is ... else instead
    if isinstance(value, dict):
        return {
            key: _replaced(inner, path[1:], instead) if key == path[0] else inner
            for key, inner in value.items()
        }
    if isinstance(value, tuple):
        return tuple(
            _replaced(inner, path[1:], instead) if index == path[0] else inner
            for index, inner in enumerate(value)
        )
    return value


@settings(max_examples=60)
@given(st.integers(0), st.binary(min_size=1, max_size=4))
def test_canonical_bytes_with_any_bytes_replaced_are_refused_or_a_plan(start: int, instead: bytes) -> None:
    canonical = parse_plan(EVERY_KEY, where="x").canonical
    start %= len(canonical)

    try:
        plan = plan_from_canonical(canonical[:start] + instead + canonical[start + len(instead) :])
    except PlanError:
        return
    assert plan_from_canonical(plan.canonical) == plan
