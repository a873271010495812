"""When shares of an earlier key epoch go: once no verifier takes its certificates (threshold SPEC 3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from relay.core.ceremony_effects import RetireShares
from relay.core.committees import Committees
from relay.core.handovers import Handovers
from relay.core.types import Caip2, Gateway

__all__ = ["Retiring"]


@dataclass(slots=True)
class Retiring:
    """Tells each epoch once in a process; `places` are the gateways of all plans."""

    places: frozenset[tuple[Caip2, Gateway]]
    _told: set[int] = field(default_factory=set)

    def started(self) -> None:
        """Begin a process: what a crash kept from being erased is told again."""
        self._told.clear()

    def due(
        self,
        epochs: Collection[int],
        committees: Committees,
        handovers: Handovers,
        heads: Mapping[str, int],
    ) -> list[RetireShares]:
        """Give what may be erased; `heads` is each chain's newest time.

        Nothing while a gateway's verifier or a chain was not seen: it may be the one that still accepts.
        """
        chains = {chain for chain, _ in self.places}
        if not self.places or not self.places <= handovers.states.keys() or not chains <= heads.keys():
            return []
        at_s = min(heads[chain] for chain in chains)
        in_force = committees.in_force(at_s).key_epoch
        over = [
            epoch
            for epoch in sorted(epochs)
            if epoch < in_force and epoch not in self._told and not handovers.is_accepted(epoch, at_s)
        ]
        self._told.update(over)
        return [RetireShares(epoch) for epoch in over]
