"""What a ceremony costs one member: CPU of all that it does and checks itself, and what it sends (SPEC 3).

Beside the CPU stands that of one raw multiplication by libsecp256k1 for each commitment that was dealt: it
grows as the work does, and the ratio holds on other machines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from coincurve import PrivateKey

from proofs.envelope import open_envelope
from proofs.kinds import Identity
from relay.threshold.bodies import read_ceremony_body
from relay.threshold.ceremony import Stage, begin, take
from relay.threshold.messages import Deal, Proposal, Transcript
from relay.threshold.secrets import Shares, deal_of, join_of, open_deals, transcript_of
from tests.bench.figure import Figure
from tests.threshold.troupe import Performance, Troupe

__all__ = ["measure"]

SIZES = (4, 7, 13, 25)
GOAL_N, GOAL_S = 25, 5.0
_ROUNDS = 400


async def measure(seed: int) -> Sequence[Figure]:
    """Figures of a DKG and of a reshare of both tiers, for each size; chance has no part in it."""
    del seed
    raw_s = _raw_multiplication_s()
    figures: list[Figure] = []
    for n in SIZES:
        troupe = Troupe.of(n)
        made = troupe.perform(troupe.proposal())
        again = troupe.perform(troupe.reshare(made.document), base=made.document, old=made.shares)
        figures += _figures("DKG", troupe, made, None, raw_s)
        figures += _figures("reshare", troupe, again, made.shares, raw_s)
    return figures


def _figures(
    name: str,
    troupe: Troupe,
    performance: Performance,
    old: Mapping[Identity, Shares] | None,
    raw_s: float,
) -> list[Figure]:
    n = len(troupe.identities)
    dealt = sum(
        len(group.commitments)
        for _, message in performance.envelopes
        if isinstance(message, Deal)
        for group in message.groups
    )
    cpu_ms = 1_000 * min(_of_one_member(troupe, performance, old) for _ in range(3))
    total = sum(len(envelope.raw) for envelope, _ in performance.envelopes)
    largest = max(len(envelope.raw) for envelope, _ in performance.envelopes)
    return [
        Figure(
            f"{name}, n = {n}: CPU of a member",
            cpu_ms,
            "ms",
            floor=1_000 * raw_s * dealt,
            floor_name=f"ms: {dealt} raw multiplications",
            goal=1_000 * GOAL_S if n == GOAL_N else None,
        ),
        Figure(f"{name}, n = {n}: envelopes of all", total / 1_000, "kB"),
        Figure(f"{name}, n = {n}: envelopes of a member", total / n / 1_000, "kB"),
        Figure(f"{name}, n = {n}: the largest envelope", largest / 1_000, "kB"),
    ]


def _of_one_member(troupe: Troupe, performance: Performance, old: Mapping[Identity, Shares] | None) -> float:
    """Give the CPU seconds of the first member: opening all envelopes, and saying its own words."""
    me = troupe.identities[0]
    player, base = troupe.players[me], performance.ceremony.terms.base
    mine = None if old is None else old[me].secrets
    raws = [envelope.raw for envelope, _ in performance.envelopes]
    began_s = time.process_time()
    proposed = open_envelope(raws[0])
    proposal = read_ceremony_body(proposed.kind, proposed.body)
    assert isinstance(proposal, Proposal)
    ceremony = begin(proposed, proposal, troupe.committee, base)
    join_of(player.seed, ceremony.terms, me)
    dealt = signed = False
    for raw in raws[1:]:
        envelope = open_envelope(raw)
        message = read_ceremony_body(envelope.kind, envelope.body)
        if isinstance(message, Deal) and not dealt:
            deal_of(player.seed, ceremony, me, mine)
            dealt = True
        if isinstance(message, Transcript) and not signed:
            shares = open_deals(player.seed, ceremony, me, mine)
            assert isinstance(shares, Shares)
            transcript_of(player.seed, ceremony, me, shares, player.sign)
            signed = True
        ceremony, _ = take(ceremony, envelope, message)
    spent_s = time.process_time() - began_s
    assert ceremony.stage(0) is Stage.DONE
    return spent_s


def _raw_multiplication_s() -> float:
    """Give the CPU seconds of one multiplication of a parsed point, encoded again."""
    secret = bytes(range(1, 33))
    point = PrivateKey(secret).public_key
    began_s = time.process_time()
    for _ in range(_ROUNDS):
        point.multiply(secret).format()
    return (time.process_time() - began_s) / _ROUNDS
