"""Points and scalars are decoded in their one spelling or not at all (threshold SPEC 1)."""

from __future__ import annotations

import nacl.bindings as sodium
import pytest
from coincurve import PublicKey
from hypothesis import given
from hypothesis import strategies as st

from relay.threshold.errors import ThresholdError
from relay.threshold.groups import ED25519, GROUPS, SECP256K1, Group

BOTH = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
EITHER = st.sampled_from(list(GROUPS.values()))
FACTORS = st.integers(-(2**260), 2**260)

SECP_FIELD = 2**256 - 2**32 - 977
ED_FIELD = 2**255 - 19
SECP_BASE = SECP256K1.base(1)
UNCOMPRESSED = PublicKey(SECP_BASE).format(compressed=False)

BAD_SECP256K1 = {
    "nothing": b"",
    "x alone": SECP_BASE[1:],
    "one byte more": SECP_BASE + b"\0",
    "the identity of SEC 1": b"\0",
    "zeros": bytes(33),
    "uncompressed": UNCOMPRESSED,
    "hybrid": bytes([6 + (UNCOMPRESSED[64] & 1)]) + UNCOMPRESSED[1:],
    **{f"prefix {prefix:02x}": bytes([prefix]) + SECP_BASE[1:] for prefix in (0, 1, 4, 5, 6, 7, 255)},
    "x of no point": b"\2" + (5).to_bytes(32, "big"),
    "x is the field's order": b"\2" + SECP_FIELD.to_bytes(32, "big"),
    "x of a point, above the field's order": b"\2" + (SECP_FIELD + 1).to_bytes(32, "big"),
}

# A generator of the eight points of small order; libsodium's addition makes the others from it.
OF_ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
OF_ORDER_4 = sodium.crypto_core_ed25519_add(OF_ORDER_8, OF_ORDER_8)
OF_ORDER_2 = sodium.crypto_core_ed25519_add(OF_ORDER_4, OF_ORDER_4)
MIXED = sodium.crypto_core_ed25519_add(ED25519.base(7), OF_ORDER_8)
ED_IDENTITY = (1).to_bytes(32, "little")
NEGATIVE = 1 << 255

BAD_ED25519 = {
    "nothing": b"",
    "one byte less": ED25519.base(1)[:-1],
    "one byte more": ED25519.base(1) + b"\0",
    "the identity with a sign": (1 | NEGATIVE).to_bytes(32, "little"),
    "the identity, not reduced": (ED_FIELD + 1).to_bytes(32, "little"),
    "order 2": OF_ORDER_2,
    "order 4": OF_ORDER_4,
    "order 8": OF_ORDER_8,
    "a point of the group plus one of order 8": MIXED,
    "y of no point": (2).to_bytes(32, "little"),
    "y of a point, not reduced": (ED_FIELD + 3).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
}
BAD_POINTS = [
    pytest.param(group, encoded, id=f"{group.name}-{name}")
    for group, found in ((SECP256K1, BAD_SECP256K1), (ED25519, BAD_ED25519))
    for name, encoded in found.items()
]


@BOTH
def test_scalars_end_below_the_order(group: Group) -> None:
    for scalar in (0, 1, group.order - 1):
        assert group.read_scalar(group.scalar_to_bytes(scalar)) == scalar

    order = "little" if group is ED25519 else "big"
    for encoded in (group.order.to_bytes(32, order), b"\xff" * 32, b"", bytes(31), bytes(33)):
        with pytest.raises(ThresholdError) as caught:
            group.read_scalar(encoded)
        assert caught.value.check == "scalar"
    for scalar in (-1, group.order, 2**256):
        with pytest.raises(ThresholdError) as caught:
            group.scalar_to_bytes(scalar)
        assert caught.value.check == "scalar"


def test_the_suites_write_scalars_from_their_own_end() -> None:
    assert SECP256K1.scalar_to_bytes(1) == bytes(31) + b"\1"
    assert ED25519.scalar_to_bytes(1) == b"\1" + bytes(31)


@given(EITHER, FACTORS, FACTORS)
def test_points_add_and_multiply_as_their_scalars_do(group: Group, one: int, other: int) -> None:
    for scalars in ((one,), (one, other), (one, other, one * other)):
        if any(scalar % group.order == 0 for scalar in scalars) or sum(scalars) % group.order == 0:
            return
        points = [group.base(scalar) for scalar in scalars]
        assert group.add(points) == group.base(sum(scalars))

    assert group.multiply(group.base(one), other) == group.base(one * other)
    assert group.read_point(group.base(one)) == group.base(one)


@BOTH
def test_a_result_that_is_the_identity_has_a_name(group: Group) -> None:
    point = group.base(5)

    for make in (
        lambda: group.base(0),
        lambda: group.base(group.order),
        lambda: group.multiply(point, 0),
        lambda: group.multiply(point, -2 * group.order),
        lambda: group.add([]),
        lambda: group.add([point, group.base(-5)]),
    ):
        with pytest.raises(ThresholdError) as caught:
            make()
        assert caught.value.check == "identity-point"


@BOTH
def test_a_sum_may_pass_through_the_identity(group: Group) -> None:
    assert group.add([group.base(2), group.base(-2), group.base(3)]) == group.base(3)


@pytest.mark.parametrize(("group", "encoded"), BAD_POINTS)
def test_an_encoding_that_is_not_the_one_of_a_point_falls_by_name(group: Group, encoded: bytes) -> None:
    for use in (group.read_point, lambda encoded: group.multiply(encoded, 3)):
        with pytest.raises(ThresholdError) as caught:
            use(encoded)
        assert caught.value.check == "point"


@pytest.mark.parametrize(("group", "encoded"), BAD_POINTS)
def test_no_sum_leaves_the_group(group: Group, encoded: bytes) -> None:
    """A sum's own check is of the sum: an identity in another spelling is still one there."""
    if encoded in (BAD_ED25519["the identity with a sign"], BAD_ED25519["the identity, not reduced"]):
        assert group.add([group.base(1), encoded]) == group.base(1)
        return
    for points in ([encoded], [group.base(1), encoded]):
        with pytest.raises(ThresholdError) as caught:
            group.add(points)
        assert caught.value.check == "point"


def test_the_encoded_identity_of_ed25519_is_named() -> None:
    for use in (ED25519.read_point, lambda encoded: ED25519.multiply(encoded, 3)):
        with pytest.raises(ThresholdError) as caught:
            use(ED_IDENTITY)
        assert caught.value.check == "identity-point"


def test_libsodium_s_addition_takes_what_it_should_not() -> None:
    """Why every sum is checked here: this is the library's own answer."""
    assert len(sodium.crypto_core_ed25519_add(ED25519.base(1), OF_ORDER_8)) == 32
    assert sodium.crypto_core_ed25519_add(OF_ORDER_2, OF_ORDER_2) == ED_IDENTITY


def point_of(group: Group, encoded: bytes) -> bytes | None:
    """Give what is decoded; None after a named error. Any other exception is the test's failure."""
    try:
        return group.read_point(encoded)
    except ThresholdError as error:
        return None if error.check in ("point", "identity-point") else pytest.fail(str(error))


@given(EITHER, st.binary(max_size=70))
def test_random_bytes_are_a_point_or_a_named_error(group: Group, encoded: bytes) -> None:
    if point_of(group, encoded) is None:
        with pytest.raises(ThresholdError):
            group.multiply(encoded, 2)
    else:
        assert group.add([encoded, encoded]) == group.multiply(encoded, 2)


@given(EITHER, st.binary(min_size=32, max_size=32), st.sampled_from([b"\2", b"\3"]))
def test_bytes_of_the_right_form_are_a_point_or_a_named_error(
    group: Group, encoded: bytes, prefix: bytes
) -> None:
    encoded = prefix + encoded if group is SECP256K1 else encoded

    found = point_of(group, encoded)

    if found is None:
        with pytest.raises(ThresholdError):
            group.multiply(encoded, 2)
    else:
        assert group.multiply(group.multiply(encoded, 2), pow(2, -1, group.order)) == encoded == found


@given(EITHER, st.binary(min_size=32, max_size=32))
def test_thirty_two_bytes_are_a_scalar_in_one_spelling(group: Group, encoded: bytes) -> None:
    if int.from_bytes(encoded, "little" if group is ED25519 else "big") < group.order:
        assert group.scalar_to_bytes(group.read_scalar(encoded)) == encoded
    else:
        with pytest.raises(ThresholdError):
            group.read_scalar(encoded)


@BOTH
def test_an_error_does_not_repeat_a_megabyte(group: Group) -> None:
    with pytest.raises(ThresholdError) as caught:
        group.read_point(bytes(2**20))
    assert len(str(caught.value)) < 200
