"""Sealing to one receiver: X25519 boxes between two keys that are used this once (SPEC 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from relay.threshold.errors import ThresholdError

__all__ = ["Opening", "box_bytes", "is_pair_key", "open_box", "pair_key", "public_key", "seal_box"]

_KEY_BYTES: Final = sodium.crypto_box_PUBLICKEYBYTES
_NONCE: Final = bytes(sodium.crypto_box_NONCEBYTES)
"""Both keys are fresh, so that one box is made with their shared secret."""
_OVERHEAD: Final = sodium.crypto_box_ZEROBYTES - sodium.crypto_box_BOXZEROBYTES
_FIELD: Final = (1 << 255) - 19
_SMALL_ORDER: Final = frozenset(
    number.to_bytes(_KEY_BYTES, "little")
    for number in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _FIELD - 1,
    )
)
"""The points of order 1, 2, 4 and 8 of the curve and its twist: every secret makes the same of them."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What was in a box; None where it did not open."""

    content: bytes | None


def box_bytes(content_bytes: int) -> int:
    """Give the length of a sealed content: the sealing key, the box's tag, the content."""
    return _KEY_BYTES + _OVERHEAD + content_bytes


def public_key(sealed: bytes) -> bytes:
    """Give the dealer's key at the head of a sealed content."""
    return sealed[:_KEY_BYTES]


def pair_key(secret: bytes) -> bytes:
    """Give the public key of an X25519 secret (32 bytes)."""
    return sodium.crypto_scalarmult_base(secret)


def is_pair_key(key: bytes) -> bool:
    """Tell whether `key` may be used: canonical, and not of small order."""
    return len(key) == _KEY_BYTES and int.from_bytes(key, "little") < _FIELD and key not in _SMALL_ORDER


def seal_box(content: bytes, receiver: bytes, secret: bytes) -> bytes:
    """Seal `content` for the receiver's pair key with the dealer's sealing secret, which is used this once.

    Raises:
        ThresholdError: `deal` unless the pair key passes `is_pair_key`.
    """
    if not is_pair_key(receiver):
        raise ThresholdError("deal", "expected a pair key of large order, got another")
    shared = sodium.crypto_box_beforenm(receiver, secret)
    return pair_key(secret) + sodium.crypto_box_afternm(content, _NONCE, shared)


def open_box(sealed: bytes, receiver: bytes, secret: bytes) -> Opening | None:
    """Open what was sealed for the pair key `receiver` with its secret; None if that is not its secret."""
    if pair_key(secret) != receiver:
        return None
    try:
        shared = sodium.crypto_box_beforenm(public_key(sealed), secret)
        return Opening(sodium.crypto_box_open_afternm(sealed[_KEY_BYTES:], _NONCE, shared))
    except CryptoError:
        return Opening(None)
