"""RLP: one spelling, bounded before it is built; the library of the clients' own authors is the judge."""

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from rlp.exceptions import RLPException

from proofs.rlp import MAX_RLP_DEPTH, MAX_RLP_ITEMS, RlpError, decode_rlp, encode_rlp, integer_bytes

LIMIT = 1 << 20
STRINGS = st.binary(max_size=70) | st.binary(min_size=250, max_size=300)
ITEMS = st.recursive(STRINGS, lambda inner: st.lists(inner, max_size=6), max_leaves=20)


def depth_of(item):
    return 0 if isinstance(item, bytes) else 1 + max(map(depth_of, item), default=0)


def frozen(item):
    return item if isinstance(item, bytes) else tuple(map(frozen, item))


@given(ITEMS)
def test_we_write_and_read_what_the_library_does(item):
    data = rlp.encode(item)

    assert encode_rlp(item) == data
    if depth_of(item) <= MAX_RLP_DEPTH:
        assert decode_rlp(data, limit_bytes=LIMIT) == frozen(item)


@given(st.binary(max_size=40) | ITEMS.map(rlp.encode).flatmap(lambda data: st.permutations(data).map(bytes)))
def test_we_refuse_exactly_what_the_library_refuses(data):
    try:
        judged = frozen(rlp.decode(data, strict=True))
    except RLPException:
        judged = None
    try:
        ours, check = decode_rlp(data, limit_bytes=LIMIT), None
    except RlpError as error:
        ours, check = None, error.check

    assert ours == judged or check == "rlp-depth"
    if ours is not None:
        assert encode_rlp(ours) == data


@given(st.integers(min_value=0, max_value=1 << 256))
def test_integers_have_no_leading_zero(number):
    assert rlp.encode(number) == encode_rlp(integer_bytes(number))


@pytest.mark.parametrize(
    ("data", "check"),
    [
        ("", "rlp-truncated"),
        ("81", "rlp-truncated"),
        ("83abcd", "rlp-truncated"),
        ("b8", "rlp-truncated"),
        ("b838" + "00" * 55, "rlp-truncated"),
        ("c2820102", "rlp-truncated"),  # the string ends after the list that it is in
        ("c283abcd", "rlp-truncated"),
        ("f8", "rlp-truncated"),
        ("bfffffffffffffffff", "rlp-truncated"),
        ("0000", "rlp-trailing"),
        ("c000", "rlp-trailing"),
        ("8100", "rlp-form"),
        ("817f", "rlp-form"),
        ("b837" + "00" * 55, "rlp-form"),
        ("b90038" + "00" * 56, "rlp-form"),
        ("f801" + "00", "rlp-form"),
        ("c9c8c7c6c5c4c3c2c1c0", "rlp-depth"),
    ],
)
def test_another_form_is_refused_by_name(data, check):
    with pytest.raises(RlpError) as caught:
        decode_rlp(bytes.fromhex(data), limit_bytes=LIMIT)
    assert caught.value.check == check


def test_bounds_hold_at_their_edges():
    assert decode_rlp(bytes.fromhex("c7c6c5c4c3c2c1c0"), limit_bytes=LIMIT) == (((((((((),),),),),),),))
    most = encode_rlp([b""] * (MAX_RLP_ITEMS - 1))
    assert len(decode_rlp(most, limit_bytes=LIMIT)) == MAX_RLP_ITEMS - 1

    for data, limit, check in (
        (encode_rlp([b""] * MAX_RLP_ITEMS), LIMIT, "rlp-items"),
        (most, len(most) - 1, "rlp-size"),
        (b"\xf9" + b"\xff" * (1 << 18), LIMIT, "rlp-truncated"),
        (b"\xc1" * 300_000, LIMIT, "rlp-truncated"),
    ):
        with pytest.raises(RlpError) as caught:
            decode_rlp(data, limit_bytes=limit)
        assert caught.value.check == check
