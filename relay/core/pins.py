"""Which block of each chain a block of the reference chain sees, and for which chains it waits (SPEC 5.2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from relay.core.compiled import CompiledPlan
from relay.core.readings import At, Silence
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView

__all__ = ["Pins"]


class Pins:
    """The foreign chains of a plan, as its reference chain sees them.

    `awaited` are those for whose pins an evaluation waits; `silences` those whose silence rules read: nobody
    waits for their next block.
    """

    def __init__(
        self,
        compiled: CompiledPlan,
        views: Mapping[Caip2, ChainView],
        read: Collection[Caip2],
        silences: Mapping[Caip2, Silence],
    ) -> None:
        clock, chains = compiled.plan.clock, compiled.plan.chains
        self._chain, self._patience_s = clock.reference, clock.patience_s
        self._views, self._reference = views, views[clock.reference]
        self.lags = {chain: each.lag_s for chain, each in chains.items() if chain != clock.reference}
        self._seen = [(chain, views[chain], lag_s, chains[chain].since) for chain, lag_s in self.lags.items()]
        self._silences = silences
        self._awaited = [(chain, views[chain], self.lags[chain]) for chain in sorted({*read} & {*self.lags})]
        followed = {*(chain for chain, _, _ in self._awaited), *silences}
        self._followed = [(chain, views[chain]) for chain in sorted(followed)]
        self._newest: dict[Caip2, BlockRef] = {}
        self._progressed_s: dict[Caip2, int] = {}
        """Of each chain that is followed: the reference time when its newest block came."""

    def at(self, block: BlockRef) -> At:
        """Give a block of the reference chain with its settled pins."""
        pins = {self._chain: block}
        place = self._reference.place(block)
        places = {} if place is None else {self._chain: place}
        for chain, view, lag_s, since in self._seen:
            pin = view.settled(block.timestamp - lag_s)
            # A block before the plan's first is seen only where another plan had it read.
            if pin is not None and pin[0].number >= since:
                pins[chain], places[chain] = pin
        return At(block, pins, places)

    def waiting(self, block: BlockRef) -> tuple[Caip2, ...]:
        """Give the chains of which a block to come might still change what is read at `block`."""
        found = [
            chain for chain, view, lag_s in self._awaited if not view.has_later_than(block.timestamp - lag_s)
        ]
        if self._silences:
            found += [chain for chain in self._hidden(block) if chain not in found]
            found.sort()
        return tuple(found)

    def unsettled(self, waiting: Collection[Caip2]) -> list[Caip2]:
        """Give those of `waiting` for whose pins rules wait."""
        return [chain for chain, _, _ in self._awaited if chain in waiting]

    def is_behind(self, waiting: Collection[Caip2]) -> bool:
        """Tell whether one of them is only being read later than it could be: then it is worth waiting."""
        return any(self._is_catching_up(chain) for chain in waiting)

    def is_out_of_patience(self, chain: Caip2, block: BlockRef) -> bool:
        """Tell whether the reference chain has gone on for `patience_s` since the chain's newest block."""
        now, silent = self._reference.tip, self._views[chain].tip
        silent_since_s = block.timestamp if silent is None else silent.timestamp + self.lags[chain]
        return now is not None and now.timestamp >= silent_since_s + self._patience_s

    def note_progress(self) -> None:
        """Note where the reference chain stood when a foreign chain was last read further."""
        for chain, view in self._followed:
            tip = view.tip
            if tip is not None and tip is not self._newest.get(chain):
                reference = self._reference.tip
                self._newest[chain] = tip
                self._progressed_s[chain] = 0 if reference is None else reference.timestamp

    def _hidden(self, block: BlockRef) -> list[Caip2]:
        """Give the chains whose silence cannot be told before more of them is read."""
        return [
            chain
            for chain, silence in self._silences.items()
            if not silence.is_settled(block) and silence.seconds(block) is None
        ]

    def _is_catching_up(self, chain: Caip2) -> bool:
        """Tell whether a chain is read to less than its head.

        Not for ever: once the reference chain is read to its head and goes on for `patience_s` while the
        other stays where it is, nobody waits for it any more.
        """
        view, reference = self._views[chain], self._reference
        if view.tip is None or view.head is None or view.tip.number >= view.head.number:
            return False
        if reference.tip is None or reference.head is None or reference.tip.number < reference.head.number:
            return True
        return reference.tip.timestamp < self._progressed_s.get(chain, 0) + self._patience_s
