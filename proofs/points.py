"""Points of the two groups that threshold keys live in, and whether points lie on one polynomial.

All point work is done by libsecp256k1 (coincurve) and libsodium (PyNaCl). Not constant-time: everything here
is public.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import coincurve
from nacl import bindings

from proofs.errors import ProofError

__all__ = ["PointError", "Suite", "check_point", "coefficient", "evaluate"]

_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ED25519_ORDER = (1 << 252) + 27742317777372353535851937790883648493
_SCALAR_BYTES = 32
_COMPRESSED = (2, 3)


class PointError(ProofError):
    """The bytes are no point that may stand in a document; `check` is `point`."""


class Suite(StrEnum):
    """The group of a ciphersuite of RFC 9591."""

    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"

    @property
    def point_bytes(self) -> int:
        """Length of an encoded point."""
        return 33 if self is Suite.SECP256K1 else 32

    @property
    def order(self) -> int:
        """Number of elements of the group."""
        return _SECP256K1_ORDER if self is Suite.SECP256K1 else _ED25519_ORDER


def check_point(suite: Suite, point: bytes) -> None:
    """Check that `point` is canonical, on the curve, in the prime-order subgroup and not the identity.

    Raises:
        PointError: it is something else.
    """
    if len(point) != suite.point_bytes:
        raise PointError("point", f"expected {suite.point_bytes} bytes of {suite}, got {len(point)}")
    if not (_on_secp256k1(point) if suite is Suite.SECP256K1 else _on_ed25519(point)):
        raise PointError("point", f"expected a point of {suite}, got {point.hex()}", point=point)


def evaluate(suite: Suite, values: Sequence[bytes], at: int) -> bytes | None:
    """Give the value at `at` of the polynomial of least degree that has `values` at 1, 2, 3, …

    `values` are checked points, `at` is none of their places. None: the value is the identity. Costs as many
    multiplications as there are values (34 values: about 2 ms on secp256k1).
    """
    terms = [
        _multiply(suite, value, coefficient(suite.order, place, range(1, len(values) + 1), at))
        for place, value in enumerate(values, start=1)
    ]
    return _sum(suite, terms)


def coefficient(order: int, place: int, places: Iterable[int], at: int) -> int:
    """Give the Lagrange coefficient of `place` among `places` for the value at `at`, modulo `order`.

    Zero only where `at` is another of the places.
    """
    numerator = denominator = 1
    for other in places:
        if other != place:
            numerator = numerator * (at - other) % order
            denominator = denominator * (place - other) % order
    return numerator * pow(denominator, -1, order) % order


def _multiply(suite: Suite, point: bytes, factor: int) -> bytes:
    if suite is Suite.ED25519:
        scalar = factor.to_bytes(_SCALAR_BYTES, "little")
        return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
    return coincurve.PublicKey(point).multiply(factor.to_bytes(_SCALAR_BYTES, "big")).format()


def _sum(suite: Suite, points: Sequence[bytes]) -> bytes | None:
    if suite is Suite.ED25519:
        total = points[0]
        for point in points[1:]:
            total = bindings.crypto_core_ed25519_add(total, point)
        return total if _on_ed25519(total) else None
    try:
        return coincurve.PublicKey.combine_keys([coincurve.PublicKey(point) for point in points]).format()
    except ValueError:
        return None


def _on_secp256k1(point: bytes) -> bool:
    if point[0] not in _COMPRESSED:
        return False
    try:
        coincurve.PublicKey(point)
    except ValueError:
        return False
    return True


def _on_ed25519(point: bytes) -> bool:
    # SECURITY: libsodium's arithmetic takes points of small order and those that are not canonical.
    return bool(bindings.crypto_core_ed25519_is_valid_point(point))
