"""Canonical msgpack: one encoding for each value, limits before anything is built (core SPEC 1.1)."""

import struct

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofs.canonical import MAX_DEPTH, MAX_ITEMS, CanonicalError, Value, decode, encode

LIMIT_BYTES = 1 << 20
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
INTEGERS = st.one_of(
    st.integers(),
    st.integers(-(1 << 70), 1 << 70),
    st.integers(-(1 << 200), 1 << 200),
    st.sampled_from([1 << 64]),
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, st.binary(max_size=300), TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5).map(tuple) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)


def refused(data: bytes, limit_bytes: int = LIMIT_BYTES) -> str:
    with pytest.raises(CanonicalError) as caught:
        decode(data, limit_bytes=limit_bytes)
    return caught.value.check


@given(VALUES)
def test_what_is_encoded_comes_back(value: Value) -> None:
    assert decode(encode(value), limit_bytes=LIMIT_BYTES) == value


@given(st.dictionaries(TEXT, SCALARS, max_size=8), st.randoms())
def test_the_order_of_filling_a_map_does_not_matter(value: dict[str, Value], random) -> None:
    keys = list(value)
    random.shuffle(keys)

    assert encode({key: value[key] for key in keys}) == encode(value)


@given(st.binary(max_size=60))
@example(b"\x81\xa1a\x01")
@example(b"\xc7\x0a\x01\x00\x01" + bytes(8))
def test_whatever_is_accepted_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        value = decode(data, limit_bytes=LIMIT_BYTES)
    except CanonicalError:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_every_proper_part_of_a_document_is_refused(value: Value, draw) -> None:
    data = encode(value)
    cut = draw.draw(st.integers(0, len(data) - 1))

    assert refused(data[:cut]) == "canonical-truncated"
    assert refused(data + b"\xc0") == "canonical-trailing"


@pytest.mark.parametrize("value", [1.5, float("nan"), object(), {1: 2}, {b"k": 1}, {1}])
def test_a_value_of_another_type_has_no_bytes(value: object) -> None:
    with pytest.raises(CanonicalError) as caught:
        encode(value)  # type: ignore[arg-type]  # what a caller without types would do
    assert caught.value.check == "canonical-type"


@pytest.mark.parametrize(
    ("data", "check"),
    [
        (msgpack.packb(1.0), "canonical-type"),
        (struct.pack(">Bf", 0xCA, 1.0), "canonical-type"),
        (b"\xc1", "canonical-type"),
        (msgpack.packb(msgpack.Timestamp(1, 0)), "canonical-type"),
        (msgpack.packb(msgpack.ExtType(2, b"\0\1")), "canonical-type"),
        (b"\x82\xa1b\x01\xa1a\x02", "canonical-order"),
        (b"\x82\xa1a\x01\xa1a\x02", "canonical-order"),
        (b"\x81\x01\x02", "canonical-key"),
        (b"\x81\xc4\x01a\x02", "canonical-key"),
        (b"\x81\xc0\x02", "canonical-key"),
        (b"\xcc\x01", "canonical-form"),
        (b"\xcd\x00\xff", "canonical-form"),
        (b"\xd0\x05", "canonical-form"),
        (b"\xd3" + bytes(8), "canonical-form"),
        (b"\xd9\x01a", "canonical-form"),
        (b"\xc5\x00\x01a", "canonical-form"),
        (b"\xdc\x00\x01\xc0", "canonical-form"),
        (b"\xde\x00\x01\xa1a\xc0", "canonical-form"),
        (b"\xa1\xff", "canonical-text"),
        (b"\xa3\xed\xa0\x80", "canonical-text"),
        (b"", "canonical-truncated"),
        (b"\xdd\x00\x00\x00", "canonical-truncated"),
        (b"\xc6\x00\x00\x01\x00", "canonical-truncated"),
    ],
)
def test_another_form_is_refused_by_name(data: bytes, check: str) -> None:
    assert refused(data) == check


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0" + b"\1" * 9,
        b"\2" + b"\1" * 9,
        b"\0" + b"\1" * 7,
        b"\0" + (1 << 64).to_bytes(9, "big")[1:],
        b"\1" + (1 << 63).to_bytes(8, "big"),
        b"\0" + b"\1" * 1_025,
    ],
)
def test_a_big_integer_has_one_form(data: bytes) -> None:
    assert refused(msgpack.packb(msgpack.ExtType(1, data))) == "canonical-integer"


@pytest.mark.parametrize("value", [(1 << 64) - 1, 1 << 64, -(1 << 63), -(1 << 63) - 1, (1 << 8_192) - 1])
def test_integers_on_both_sides_of_64_bits_come_back(value: int) -> None:
    assert decode(encode(value), limit_bytes=LIMIT_BYTES) == value


def test_an_integer_beyond_the_bound_has_no_bytes() -> None:
    with pytest.raises(CanonicalError) as caught:
        encode(1 << 8_192)
    assert caught.value.check == "canonical-integer"


def test_depth_is_bounded_on_both_ways() -> None:
    deepest: Value = 1
    for _ in range(MAX_DEPTH):
        deepest = (deepest,)

    assert decode(encode(deepest), limit_bytes=LIMIT_BYTES) == deepest
    assert refused(b"\x91" * (MAX_DEPTH + 1) + b"\x01") == "canonical-depth"
    assert refused(b"\x81\xa1a" * (MAX_DEPTH + 1) + b"\x01") == "canonical-depth"
    with pytest.raises(CanonicalError):
        encode((deepest,))


def test_items_are_bounded_on_both_ways() -> None:
    most = tuple([None] * (MAX_ITEMS - 1))

    assert decode(encode(most), limit_bytes=LIMIT_BYTES) == most
    assert refused(b"\xdd" + MAX_ITEMS.to_bytes(4, "big") + b"\xc0" * MAX_ITEMS) == "canonical-items"
    assert refused(b"\x92" + (b"\xdc\x80\x00" + b"\xc0" * 0x8000) * 2) == "canonical-items"
    with pytest.raises(CanonicalError):
        encode((None, *most))


def test_claimed_sizes_are_refused_before_anything_is_built() -> None:
    assert refused(b"\xdd\xff\xff\xff\xff") == "canonical-items"
    assert refused(b"\xdf\xff\xff\xff\xff") == "canonical-items"
    assert refused(b"\xdc\xff\xff" * 4_000) in ("canonical-depth", "canonical-items")
    assert refused(b"\xc6\xff\xff\xff\xff") == "canonical-truncated"


def test_the_byte_limit_comes_first() -> None:
    assert refused(b"\xc1" * 11, limit_bytes=10) == "canonical-size"
