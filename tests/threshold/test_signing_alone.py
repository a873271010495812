"""A group of one, and what any signature must be to count (threshold SPEC 1 and 3)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.threshold.frost import sign_alone, signature_bytes, verify
from relay.threshold.groups import ED25519, GROUPS, SECP256K1, Group
from tests.threshold.shares import refused

BOTH = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
EITHER = st.sampled_from(list(GROUPS.values()))
CHANCE = st.randoms(use_true_random=False)
MESSAGE = b"\x5a" * 32


@given(EITHER, CHANCE, st.binary(max_size=70), st.binary(max_size=70), st.binary(max_size=40))
def test_one_who_signs_alone_uses_no_nonce_twice(
    group: Group, chance: random.Random, message: bytes, other: bytes, seed: bytes
) -> None:
    secret = chance.randrange(1, group.order)
    signature = sign_alone(group, secret, message, seed)
    commitment = signature[: group.point_bytes]

    verify(group, group.base(secret), message, signature)
    assert sign_alone(group, secret, message, seed) == signature
    for changed in (
        sign_alone(group, secret, message + b"\0", seed),
        sign_alone(group, secret, message, seed + b"\0"),
        sign_alone(group, secret % (group.order - 1) + 1, message, seed),
        sign_alone(group, secret, seed + message, b"") if seed else b"",
        sign_alone(group, secret, other, seed) if other != message else b"",
    ):
        assert changed[: group.point_bytes] != commitment


@BOTH
def test_where_the_seed_ends_is_part_of_the_nonce(group: Group) -> None:
    """Seed, secret and message one behind the other are the same bytes here; the nonces are two."""
    secret = group.scalar_to_bytes(7)
    one = sign_alone(group, 7, secret + MESSAGE, b"seed")
    other = sign_alone(group, 7, MESSAGE, b"seed" + secret)

    assert one[: group.point_bytes] != other[: group.point_bytes]


@BOTH
def test_nobody_signs_alone_with_no_secret(group: Group) -> None:
    for secret in (0, -1, group.order):
        with refused("share"):
            sign_alone(group, secret, MESSAGE, b"seed")


@BOTH
def test_a_signature_alone_is_that_of_another_key_for_nobody(group: Group) -> None:
    signature = sign_alone(group, 7, MESSAGE, b"seed")

    with refused("signature"):
        verify(group, group.base(8), MESSAGE, signature)
    with refused("signature"):
        verify(group, group.base(7), MESSAGE + b"\0", signature)


@BOTH
def test_a_signature_has_one_spelling(group: Group) -> None:
    signature = sign_alone(group, 7, MESSAGE, b"seed")
    commitment, response = signature[: group.point_bytes], signature[group.point_bytes :]
    end = "little" if group is ED25519 else "big"
    reduced = int.from_bytes(response, end)

    assert len(signature) == signature_bytes(group)
    for wrong in (
        b"",
        signature[:-1],
        signature + b"\0",
        commitment + bytes(32),
        commitment + group.order.to_bytes(32, end),
        commitment + ((reduced + group.order) % 2**256).to_bytes(32, end),
        commitment + (group.order - reduced).to_bytes(32, end),
        bytes(group.point_bytes) + response,
    ):
        with refused("signature"):
            verify(group, group.base(7), MESSAGE, wrong)


@BOTH
def test_no_byte_goes_from_the_signature_to_the_message(group: Group) -> None:
    """libsodium takes both as one string."""
    key = group.base(7)
    longer, plain = sign_alone(group, 7, b"\5" + MESSAGE, b"seed"), sign_alone(group, 7, MESSAGE, b"seed")

    for signature, message in ((longer + b"\5", MESSAGE), (plain[:-1], plain[-1:] + MESSAGE)):
        with refused("signature"):
            verify(group, key, message, signature)


@BOTH
def test_a_key_that_is_no_point_verifies_nothing(group: Group) -> None:
    signature = sign_alone(group, 7, MESSAGE, b"seed")

    for key in (b"", bytes(group.point_bytes), group.base(7) + b"\0"):
        with refused("point"):
            verify(group, key, MESSAGE, signature)


def test_a_key_of_small_order_does_not_verify_what_nobody_signed() -> None:
    """Plain Ed25519 with the identity as key accepts R = z·B over any message."""
    forged = ED25519.base(5) + ED25519.scalar_to_bytes(5)

    with refused("identity-point"):
        verify(ED25519, b"\1" + bytes(31), MESSAGE, forged)


@BOTH
def test_one_group_s_signature_is_none_in_the_other(group: Group) -> None:
    other = SECP256K1 if group is ED25519 else ED25519
    signature = sign_alone(group, 7, MESSAGE, b"seed")

    with refused("signature"):
        verify(other, other.base(7), MESSAGE, signature)
    with refused("point"):
        verify(other, group.base(7), MESSAGE, signature)
