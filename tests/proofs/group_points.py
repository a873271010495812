"""Group keys and verification shares for tests: values of a polynomial that the test knows."""

import coincurve
from nacl import bindings

from proofs.groupkeys import KeyGroup, group_suite
from proofs.hashes import sha256
from proofs.points import Suite

__all__ = ["group_of", "point_of", "polynomial", "value_at"]


def point_of(suite: Suite, scalar: int) -> bytes:
    """Give `scalar` times the base point, encoded."""
    if suite is Suite.ED25519:
        return bindings.crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    return coincurve.PrivateKey(scalar.to_bytes(32, "big")).public_key.format()


def polynomial(suite: Suite, threshold: int, seed: bytes) -> list[int]:
    """Give `threshold` coefficients that come from `seed`; the first is the group's secret."""
    return [
        int.from_bytes(sha256(seed + index.to_bytes(2, "big")), "big") % suite.order
        for index in range(threshold)
    ]


def value_at(suite: Suite, coefficients: list[int], place: int) -> int:
    """Give the value of the polynomial at `place`: the share of that identifier."""
    return (
        sum(factor * pow(place, power, suite.order) for power, factor in enumerate(coefficients))
        % suite.order
    )


def group_of(name: str, threshold: int, holders: int) -> KeyGroup:
    """Give a group whose secret is known to nobody who has not read this file."""
    suite = group_suite(name)
    coefficients = polynomial(suite, threshold, b"group of " + name.encode())
    points = [point_of(suite, value_at(suite, coefficients, place)) for place in range(holders + 1)]
    return KeyGroup(name, suite, threshold, points[0], tuple(points[1:]))
