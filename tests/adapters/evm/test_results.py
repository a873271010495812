"""Paths into nested results: each leads to the number that an encoder put there, or is refused."""

import pytest
from eth_abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.evm.functions import parse_function
from adapters.evm.results import (
    LENGTH,
    Array,
    Scalar,
    Struct,
    parse_path,
    parse_results,
    route_of,
    text_of,
    type_of_word,
    word_at,
)
from adapters.evm.words import decode_word
from relay.core.errors import PlanError

RESERVES = "(uint128 liquidityIndex, (uint256 debt) totals)[] reserves"
MARKET = f"uint256 version, (string name, {RESERVES}, int32[2] bounds, address[] owners) market, bytes"


def results(text):
    return parse_results(text, "call")


def test_a_path_of_names_and_indices_is_read_as_steps():
    for path, steps in {
        "version": (0,),
        "[0]": (0,),
        "market.reserves[2].totals.debt": (1, 1, 2, 1, 0),
        "[1][1][2][1][0]": (1, 1, 2, 1, 0),
        "market.bounds[1]": (1, 2, 1),
        "market.owners.length": (1, 3, LENGTH),
    }.items():
        assert parse_path(results(MARKET), path, "path") == steps


WRONG = {
    "market.reserves[2].totals.dept": "`market.reserves[0].totals.debt`",
    "market.reserve[2].totals.debt": "`market.reserves[0].totals.debt`",
    "market.reserves[2].totals": "`market.reserves[0].totals.debt`",
    "market.reserves": "`market.reserves[0].liquidityIndex`",
    "market.bounds[2]": "`market.bounds[0]`",
    "market.bounds.length": "`market.bounds[0]`",
    "market.owners": "`market.owners[0]`, `market.owners.length`",
    "version.x": "`version`",
    "owners[0]": "`market.owners[0]`",
    "[3]": "`version`",
    "length": "`market.owners.length`",
}


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_path_is_refused_with_what_could_be_meant(path):
    with pytest.raises(PlanError) as caught:
        parse_path(results(MARKET), path, "path")

    assert caught.value.where == "path"
    assert WRONG[path] in caught.value.remedy


@pytest.mark.parametrize(
    "path", ["", ".version", "version.", "market..owners", "[x]", "[-1]", "[123456]", "a b"]
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(PlanError):
        parse_path(results(MARKET), path, "path")


def test_a_text_is_no_number_whatever_its_name():
    for path in ("market.name", "[2]"):
        with pytest.raises(PlanError, match="expected the path of a number"):
            parse_path(results(MARKET), path, "path")


@pytest.mark.parametrize(
    "text",
    [
        "f() returns ((uint256)",
        "f() returns ((uint256 a, uint256 a))",
        "f() returns (())",
        "f() returns (uint256[0])",
        f"f() returns (uint256{'[]' * 9})",
        "f() returns ((uint256)) x",
        "f() returns (tuple)",
        "f() returns (uint256 a b)",
        f"f() returns ({'(' * 9}uint256{')' * 9})",
        f"f() returns ({','.join(['uint256'] * 97)})",
        "f((uint256)) returns (uint256)",
    ],
)
def test_results_that_are_none_are_refused(text):
    with pytest.raises(PlanError):
        parse_function(text)


def test_names_are_no_part_of_a_functions_spelling():
    named = parse_function(f"getReserve(address asset) returns ({RESERVES})")

    assert named.text == "getReserve(address) returns ((uint128,(uint256))[])"
    assert parse_function("getReserve(address) returns((uint128, (uint) x)[])").text == named.text


def test_a_word_is_counted_through_static_tuples_and_refused_where_something_begins():
    static = results("(uint8 a, (bool b, address c)[2] d) e, bytes4")
    assert [type_of_word(static, word, "w") for word in range(6)] == [
        "uint8", "bool", "address", "bool", "address", "bytes4",
    ]  # fmt: skip

    with pytest.raises(PlanError, match="is no number") as caught:
        type_of_word(results(RESERVES), 0, "word")
    assert "`reserves[0].liquidityIndex`" in caught.value.remedy


def test_a_type_of_any_size_is_counted_and_not_built():
    vast = results("((uint256[999])[999])[999], bool")

    assert type_of_word(vast, 999**3, "w") == "bool"


# ---- against an encoder


numbers = st.sampled_from(["uint8", "int64", "uint256", "bool", "address", "bytes4", "bytes32"])
shapes = st.recursive(
    st.one_of(numbers, st.sampled_from(["bytes", "string"])).map(Scalar),
    lambda inner: st.one_of(
        st.builds(Array, inner, st.one_of(st.none(), st.integers(1, 3))),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: Struct(tuple(("", one) for one in each))),
    ),
    max_leaves=6,
)


def value_of(draw, shape):
    match shape:
        case Scalar(type_):
            return draw(scalars(type_))
        case Array(of, size):
            count = draw(st.integers(0, 3)) if size is None else size
            return [value_of(draw, of) for _ in range(count)]
        case Struct(members):
            return tuple(value_of(draw, member) for _, member in members)


def scalars(type_):
    match type_:
        case "bool":
            return st.booleans()
        case "address":
            return st.binary(min_size=20, max_size=20).map(lambda each: "0x" + each.hex())
        case "string":
            return st.text(max_size=40)
        case "bytes":
            return st.binary(max_size=40)
        case _ if type_.startswith("bytes"):
            return st.binary(min_size=int(type_[5:]), max_size=int(type_[5:]))
        case _:
            bits = int(type_.lstrip("uint"))
            low = -(1 << (bits - 1)) if type_.startswith("int") else 0
            return st.integers(low, low + (1 << bits) - 1)


def leaves(shape, value, steps=()):
    """Every number of a value with the steps to it, and the length of every open list."""
    match shape:
        case Scalar(type_):
            if type_ not in ("bytes", "string"):
                yield steps, type_, value
        case Array(of, size):
            if size is None:
                yield (*steps, LENGTH), "uint256", len(value)
            for index, each in enumerate(value):
                yield from leaves(of, each, (*steps, index))
        case Struct(members):
            for index, (_, member) in enumerate(members):
                yield from leaves(member, value[index], (*steps, index))


def as_integer(value):
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    return int(value, 16) if isinstance(value, str) else int(value)


@st.composite
def answers(draw):
    shape = Struct(tuple(("", each) for each in draw(st.lists(shapes, min_size=1, max_size=3))))
    value = value_of(draw, shape)
    return shape, value, encode([text_of(member) for _, member in shape.members], list(value))


@settings(max_examples=60)
@given(answers())
def test_every_number_is_found_where_an_encoder_put_it(made):
    shape, value, answer = made

    assert parse_results(text_of(shape)[1:-1], "call") == shape
    for steps, type_, expected in leaves(shape, value):
        route = route_of(shape, steps)
        assert route.type == type_
        assert decode_word(type_, word_at(route, answer)) == (as_integer(expected), None)


@settings(max_examples=60)
@given(answers(), st.data())
def test_a_short_or_spoilt_answer_is_a_number_or_a_fault_and_never_an_error(made, data):
    shape, value, answer = made
    spoilt = bytearray(answer[: data.draw(st.integers(0, len(answer)))])
    for _ in range(3):
        if len(spoilt) >= 32:
            place = 32 * data.draw(st.integers(0, len(spoilt) // 32 - 1))
            spoilt[place : place + 32] = data.draw(st.binary(min_size=32, max_size=32))

    for steps, type_, _ in leaves(shape, value):
        found = word_at(route_of(shape, steps), bytes(spoilt))
        number, fault = (None, found) if isinstance(found, str) else decode_word(type_, found)
        assert (number is None) != (fault is None)


def test_an_index_beyond_a_list_is_a_fault_of_its_own():
    shape = results("uint256[]")
    answer = encode(["uint256[]"], [[5, 6]])

    assert word_at(route_of(shape, (0, 2)), answer) == "index out of range"
    assert word_at(route_of(shape, (0, 2)), answer[:-64]) == "index out of range"
    assert word_at(route_of(shape, (0, 1)), answer[:-32]) == "answer not decodable"
