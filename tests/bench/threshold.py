"""What a threshold signature costs each of its signers, beside the library's own scalar multiplications.

Processor time of one core. The floor of a step is the multiplications that it cannot do without, made by the
library alone in the same run: no decoding, no sums, no hashes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import nacl.bindings as sodium
from coincurve import PublicKey

from relay.threshold.frost import Package, aggregate, commit, sign_share, verify, verify_share
from relay.threshold.groups import GROUPS, SECP256K1, Group
from tests.bench.figure import Figure
from tests.threshold.shares import share_out, sign

__all__ = ["THRESHOLDS", "measure"]

THRESHOLDS = (2, 9, 17)
"""Of committees of 4, 13 and 25: their fast, full and full quorums."""
REPEATS = 30
MESSAGE = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Floor:
    """Milliseconds of one multiplication of the base point, and of any other point, by the library."""

    base_ms: float
    point_ms: float

    def of(self, base: int, point: int) -> tuple[float, str]:
        """Give what so many of each cost, and how to call it."""
        return base * self.base_ms + point * self.point_ms, f"{base + point} multiplications"


async def measure(seed: int = 1) -> list[Figure]:
    """Each step of a signing, on both suites."""
    chance = random.Random(seed)
    return [figure for group in GROUPS.values() for figure in _suite(group, chance)]


def _suite(group: Group, chance: random.Random) -> list[Figure]:
    floor = _floor(group, chance)
    secret = chance.randrange(1, group.order)
    committing = _cpu_ms(lambda: commit(group, secret, chance.randbytes(64)))
    figures = [_figure(group, "commit", committing, floor.of(2, 0))]
    for threshold in THRESHOLDS:
        figures += _signing(group, threshold, floor, chance)
    return figures


def _signing(group: Group, threshold: int, floor: Floor, chance: random.Random) -> list[Figure]:
    shared = share_out(group, threshold, threshold, chance)
    signing = sign(shared, shared.shares, MESSAGE, chance)
    key, commitments = shared.key, signing.package.commitments
    known = {signer: shared.verification_share(signer) for signer in shared.shares}

    def answer() -> None:
        package = Package(group, key, commitments, MESSAGE)
        sign_share(package, 1, shared.shares[1], signing.nonces[1])

    def check() -> None:
        for signer, share in signing.shares.items():
            verify_share(signing.package, signer, known[signer], share)

    def finish() -> None:
        verify(group, key, MESSAGE, aggregate(signing.package, signing.shares))

    return [
        _figure(group, f"sign a share, t = {threshold}", _cpu_ms(answer), floor.of(0, threshold)),
        _figure(
            group, f"verify {threshold} shares one by one", _cpu_ms(check), floor.of(threshold, threshold)
        ),
        _figure(group, f"aggregate and verify, t = {threshold}", _cpu_ms(finish), floor.of(1, 1)),
    ]


def _figure(group: Group, name: str, took_ms: float, floor: tuple[float, str]) -> Figure:
    return Figure(f"FROST on {group.name}: {name}", took_ms, "ms", floor=floor[0], floor_name=floor[1])


def _floor(group: Group, chance: random.Random) -> Floor:
    """Time the two multiplications as the library gives them."""
    scalar = group.scalar_to_bytes(chance.randrange(1, group.order))
    encoded = group.base(chance.randrange(1, group.order))
    if group is SECP256K1:
        point = PublicKey(encoded)
        return Floor(
            _cpu_ms(lambda: PublicKey.from_valid_secret(scalar)), _cpu_ms(lambda: point.multiply(scalar))
        )
    return Floor(
        _cpu_ms(lambda: sodium.crypto_scalarmult_ed25519_base_noclamp(scalar)),
        _cpu_ms(lambda: sodium.crypto_scalarmult_ed25519_noclamp(scalar, encoded)),
    )


def _cpu_ms(work: Callable[[], object]) -> float:
    """Give the least disturbed of `REPEATS` runs, each of as many calls as take a millisecond."""
    began = time.process_time_ns()
    work()
    calls = max(1, 1_000_000 // max(1, time.process_time_ns() - began))
    taken = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for _ in range(calls):
            work()
        taken.append((time.process_time_ns() - began) / calls)
    return min(taken) / 1e6
