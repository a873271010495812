"""A whole incident's bundle, seven attesters on two chains: how long it is, and how long an auditor waits.

Five decisions with both kinds of certificate, effects with receipts and headers, one statement of each kind:
what a real one has. Times are of one thread, the least of several rounds: others on the machine only add.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import process_time

from nacl.signing import SigningKey

from proofs.bundle import decode_bundle, encode_bundle
from proofs.verify import verify_bundle
from tests.bench.figure import Figure
from tests.proofs.incident import NOW_S, City, Incident

__all__ = ["measure"]

ROUNDS = 30
GOAL_MS = 50.0


async def measure(_seed: int) -> Sequence[Figure]:
    """Measure size, reading and verification of the same bundle."""
    case = Incident.of(City()).case()
    data = encode_bundle(case.bundle)
    records = len(case.bundle.records)
    signature = _signature_ms() * records
    verify = _least_ms(lambda: verify_bundle(data, policy=case.policy, now_s=NOW_S))
    read = _least_ms(lambda: decode_bundle(data))
    beside = f"{records} Ed25519 signatures alone"
    return [
        Figure("bundle, 7 attesters, 2 chains: size", len(data) / 1_024, "KiB"),
        Figure("… of it for each record", len(data) / 1_024 / records, "KiB"),
        Figure("… verified, under a policy", verify, "ms", signature, beside, GOAL_MS),
        Figure("… read and held to its spelling", read, "ms"),
    ]


def _signature_ms() -> float:
    """Give what it costs to check one signature over as many bytes as an envelope has."""
    key = SigningKey(bytes(range(32)))
    message = bytes(900)
    signed = bytes(key.sign(message).signature)
    return _least_ms(lambda: key.verify_key.verify(message, signed))


def _least_ms(work: Callable[[], object]) -> float:
    least = float("inf")
    gc.collect()
    for _ in range(ROUNDS):
        began = process_time()
        work()
        least = min(least, process_time() - began)
    return least * 1_000
