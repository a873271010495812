"""The two groups, behind one small interface: libsecp256k1 and libsodium do all point work (SPEC 1).

A point is its encoding (bytes), a scalar an integer below the order. Python integers are not constant-time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import nacl.bindings as sodium
from coincurve import PublicKey
from nacl.exceptions import CryptoError

from proofs.points import Suite
from relay.threshold.errors import ThresholdError

__all__ = ["ED25519", "GROUPS", "SCALAR_BYTES", "SECP256K1", "Group"]

SCALAR_BYTES = 32
"""Length of a scalar of either group."""


class Group(Protocol):
    """A group of prime order with a base point; every error is a `ThresholdError`.

    `base`, `multiply` and `add` take points that `read_point` or one of them gave, and scalars modulo the
    order. A result that is the identity is `identity-point`: it has no encoding here.
    """

    @property
    def name(self) -> str:
        """`secp256k1` or `ed25519`."""

    @property
    def order(self) -> int:
        """The number of points."""

    @property
    def point_bytes(self) -> int:
        """The length of an encoded point."""

    def scalar_to_bytes(self, scalar: int) -> bytes:
        """Encode a scalar; `scalar` unless it is in 0 … order−1."""

    def read_scalar(self, encoded: bytes) -> int:
        """Decode a scalar; `scalar` unless it has 32 bytes and is below the order. Zero is one."""

    def read_point(self, encoded: bytes) -> bytes:
        """Give the encoding back if it is the canonical one of a point of the group and not the identity.

        Raises:
            ThresholdError: `point`, `identity-point`.
        """

    def base(self, scalar: int) -> bytes:
        """Give `scalar` times the base point."""

    def multiply(self, point: bytes, scalar: int) -> bytes:
        """Give `scalar` times `point`, which is checked as by `read_point`."""

    def add(self, points: Sequence[bytes]) -> bytes:
        """Give the sum; the sum of nothing is the identity."""


@dataclass(frozen=True, slots=True)
class _Secp256k1:
    """SEC 1 compressed points (33 bytes), scalars big-endian (RFC 9591, 6.5)."""

    name: str = Suite.SECP256K1.value
    order: int = Suite.SECP256K1.order
    point_bytes: int = Suite.SECP256K1.point_bytes

    def scalar_to_bytes(self, scalar: int) -> bytes:
        return _in_range(scalar, self.order).to_bytes(SCALAR_BYTES, "big")

    def read_scalar(self, encoded: bytes) -> int:
        return _in_range(int.from_bytes(_of_length(encoded), "big"), self.order)

    def read_point(self, encoded: bytes) -> bytes:
        self._parse(encoded)
        return bytes(encoded)

    def base(self, scalar: int) -> bytes:
        return PublicKey.from_valid_secret(self._factor(scalar)).format()

    def multiply(self, point: bytes, scalar: int) -> bytes:
        return self._parse(point).multiply(self._factor(scalar)).format()

    def add(self, points: Sequence[bytes]) -> bytes:
        parsed = [self._parse(point) for point in points]
        if not parsed:
            raise _identity()
        try:
            return PublicKey.combine_keys(parsed).format()
        except ValueError as error:
            raise _identity() from error

    def _factor(self, scalar: int) -> bytes:
        reduced = scalar % self.order
        # libsecp256k1 refuses zero: the product would be the identity.
        if not reduced:
            raise _identity()
        return reduced.to_bytes(SCALAR_BYTES, "big")

    def _parse(self, encoded: bytes) -> PublicKey:
        # SECURITY: libsecp256k1 also takes 65 bytes, and coincurve takes what is not bytes for a parsed key.
        if len(encoded) != self.point_bytes:
            raise _no_point(self.name, encoded)
        try:
            return PublicKey(bytes(encoded))
        except ValueError as error:
            raise _no_point(self.name, encoded) from error


@dataclass(frozen=True, slots=True)
class _Ed25519:
    """RFC 8032 points (32 bytes) of the prime-order subgroup, scalars little-endian (RFC 9591, 6.1)."""

    name: str = Suite.ED25519.value
    order: int = Suite.ED25519.order
    point_bytes: int = Suite.ED25519.point_bytes

    def scalar_to_bytes(self, scalar: int) -> bytes:
        return _in_range(scalar, self.order).to_bytes(SCALAR_BYTES, "little")

    def read_scalar(self, encoded: bytes) -> int:
        return _in_range(int.from_bytes(_of_length(encoded), "little"), self.order)

    def read_point(self, encoded: bytes) -> bytes:
        if len(encoded) != self.point_bytes:
            raise _no_point(self.name, encoded)
        found = bytes(encoded)
        if found == _ED25519_IDENTITY:
            raise _identity()
        # SECURITY: on the curve is not enough: points with a part in the torsion subgroup are none.
        if not sodium.crypto_core_ed25519_is_valid_point(found):
            raise _no_point(self.name, encoded)
        return found

    def base(self, scalar: int) -> bytes:
        return sodium.crypto_scalarmult_ed25519_base_noclamp(self._factor(scalar))

    def multiply(self, point: bytes, scalar: int) -> bytes:
        factor = self._factor(scalar)
        try:
            # libsodium refuses what is not in the prime-order subgroup itself, without saying why.
            return sodium.crypto_scalarmult_ed25519_noclamp(factor, bytes(point))
        except (CryptoError, TypeError) as error:
            self.read_point(point)
            raise AssertionError(f"expected a product of {point.hex()}, got none") from error

    def add(self, points: Sequence[bytes]) -> bytes:
        total = _ED25519_IDENTITY
        for point in points:
            try:
                total = sodium.crypto_core_ed25519_add(total, bytes(point))
            except (CryptoError, TypeError) as error:
                raise _no_point(self.name, point) from error
        # SECURITY: libsodium adds whatever lies on the curve; what leaves here is in the subgroup.
        return self.read_point(total)

    def _factor(self, scalar: int) -> bytes:
        reduced = scalar % self.order
        if not reduced:
            raise _identity()
        return reduced.to_bytes(SCALAR_BYTES, "little")


_ED25519_IDENTITY = b"\x01" + bytes(31)

SECP256K1: Final[Group] = _Secp256k1()
ED25519: Final[Group] = _Ed25519()
GROUPS: Final[Mapping[str, Group]] = {group.name: group for group in (SECP256K1, ED25519)}
"""By the name that the keys document calls a suite."""


def _in_range(scalar: int, order: int) -> int:
    if not 0 <= scalar < order:
        raise ThresholdError("scalar", "expected a scalar below the order, got another number")
    return scalar


def _of_length(encoded: bytes) -> bytes:
    if len(encoded) != SCALAR_BYTES:
        raise ThresholdError("scalar", f"expected a scalar of {SCALAR_BYTES} bytes, got {len(encoded)}")
    return encoded


def _no_point(name: str, encoded: bytes) -> ThresholdError:
    # A peer may have sent megabytes: what is shown is no longer than a point.
    return ThresholdError(
        "point", f"expected a point of {name}, got {bytes(encoded[:33]).hex() or 'nothing'}"
    )


def _identity() -> ThresholdError:
    return ThresholdError("identity-point", "expected a point other than the identity, got the identity")
