"""Proving what members say of effects by receipts, as far as the chains give them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.effects import check_effect
from proofs.mandate import Mandate
from proofs.receipts import ReceiptProof
from proofs.statements import OutcomeStatement
from relay.core.errors import ChainError
from relay.core.ports import ReceiptSource
from relay.core.types import Caip2

__all__ = ["Claim", "Receipts"]

MAX_CLAIMS: Final = 64
"""Asked for one bundle; a liar may claim as many as there are slots for his words."""
MAX_BYTES: Final = 4 << 20
"""Of all proofs in one bundle, a quarter of what it may be."""
MAX_KEPT: Final = 256
PATIENCE_S: Final = 10.0
"""How long a bundle waits for its receipts."""
REST_S: Final = 30.0
"""How long a claim that could not be proved is not asked about again."""
PARALLEL: Final = 4


@dataclass(frozen=True, slots=True)
class Claim:
    """An outcome that members signed, and the mandate that it is of."""

    outcome: OutcomeStatement
    mandate: Mandate


class Receipts:
    """Asks chains for receipts, holds each against what it must show, and keeps those that do."""

    def __init__(
        self, sources: Mapping[Caip2, ReceiptSource], not_shown: Callable[[OutcomeStatement, str], None]
    ) -> None:
        self._sources = sources
        self._not_shown = not_shown
        self._proofs: dict[OutcomeStatement, ReceiptProof] = {}
        self._rests_until: dict[OutcomeStatement, float] = {}
        self._busy = asyncio.Lock()
        self._slots = asyncio.Semaphore(PARALLEL)

    async def prove(self, claims: Sequence[Claim]) -> dict[OutcomeStatement, ReceiptProof]:
        """Give proofs for those of the first claims that can be shown in time."""
        wanted = claims[:MAX_CLAIMS]
        # One bundle at a time: the next finds here what this one asked for.
        async with self._busy:
            try:
                async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                    for claim in wanted:
                        if self._is_due(claim.outcome):
                            group.create_task(self._ask(claim))
            except TimeoutError:
                for claim in wanted:
                    if claim.outcome not in self._proofs:
                        self._not_shown(claim.outcome, f"no receipt within {PATIENCE_S:.0f} s")
        return self._fitting(wanted)

    def _is_due(self, outcome: OutcomeStatement) -> bool:
        is_rested = asyncio.get_running_loop().time() >= self._rests_until.get(outcome, 0.0)
        return outcome not in self._proofs and is_rested

    async def _ask(self, claim: Claim) -> None:
        outcome = claim.outcome
        source = self._sources.get(outcome.chain)
        self._rests_until.pop(outcome, None)
        self._rests_until[outcome] = asyncio.get_running_loop().time() + REST_S
        _bound(self._rests_until)
        if source is None:
            self._not_shown(outcome, "no endpoint of this chain")
            return
        try:
            async with self._slots:
                proof = await source.receipt_proof(
                    outcome.block, outcome.tx, lambda proof: check_effect(proof, outcome, claim.mandate)
                )
        except ChainError as error:
            self._not_shown(outcome, error.problem)
            return
        self._rests_until.pop(outcome, None)
        self._proofs[outcome] = proof
        _bound(self._proofs)

    def _fitting(self, claims: Sequence[Claim]) -> dict[OutcomeStatement, ReceiptProof]:
        found: dict[OutcomeStatement, ReceiptProof] = {}
        room = MAX_BYTES
        for claim in claims:
            proof = self._proofs.get(claim.outcome)
            if proof is None:
                continue
            room -= len(proof.header) + sum(map(len, proof.nodes))
            if room < 0:
                self._not_shown(claim.outcome, f"receipts above {MAX_BYTES} bytes")
                break
            found[claim.outcome] = proof
        return found


def _bound(kept: dict[OutcomeStatement, float] | dict[OutcomeStatement, ReceiptProof]) -> None:
    if len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]
