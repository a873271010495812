"""Looking again and again at what must hold on the chains (core SPEC 8), and keeping the newest answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.disclosure import SEED_BYTES
from relay.config import ReadinessSettings
from relay.core.compiled import CompiledPlan
from relay.core.events import BlockObserved, Event, ReadinessChanged
from relay.core.node import Node
from relay.core.readiness import (
    ChainQuestion,
    Fact,
    GatewayQuestion,
    Inspector,
    chain_question,
    gateway_questions,
    plans_to_watch,
    untold,
)
from relay.core.standings import Standings
from relay.core.types import Address, Caip2, Millis

__all__ = ["Listener", "Lookout", "Questions", "StandingsTeller", "is_in_force", "questions"]

SOON_S: Final = 2.0
"""At least so long between two looks at a chain, whatever happens there."""
FORGOTTEN: Final = 3
"""After so many intervals without an answer a fact counts as untold."""
MAX_REASON_CHARS: Final = 1_000
"""Of a reason or remedy that is sealed into the log."""


@dataclass(frozen=True, slots=True)
class StandingsTeller:
    """Tells the node of facts that stand otherwise than it last said of them, also before this run."""

    standings: Standings
    put: Callable[[Event], Awaitable[None]]
    clock: Callable[[], Millis]
    entropy: Callable[[int], bytes]

    async def tell(self, facts: Iterable[Fact]) -> None:
        """Take the facts of a look, all of them."""
        for fact in facts:
            if self.standings.newest(fact.name) != fact.standing.value:
                reason, remedy = fact.reason[:MAX_REASON_CHARS], fact.remedy[:MAX_REASON_CHARS]
                seed = self.entropy(SEED_BYTES)
                await self.put(
                    ReadinessChanged(fact.name, fact.standing.value, reason, remedy, seed, self.clock())
                )


async def _to_nobody(_facts: Iterable[Fact]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`changed` is told of a fact that falls or comes back, `looked` of all facts of each look."""

    changed: Callable[[Fact], None]
    looked: Callable[[Iterable[Fact]], Awaitable[None]] = _to_nobody


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything to look at on one chain."""

    chain: ChainQuestion
    gateways: tuple[GatewayQuestion, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names of all facts that the answers hold."""
        where = self.chain.chain
        own = ("endpoints", "funds", "nonce") if self.chain.submitter is not None else ("endpoints",)
        return (*(f"{name} {where}" for name in own), *(n for each in self.gateways for n in each.names))


def questions(node: Node, submitter: Address, settings: ReadinessSettings) -> Mapping[Caip2, Questions]:
    """Give what to look at now, by chain: the plans in force, and the newest of protocols that have none."""
    plans = plans_to_watch(
        [room.compiled for room in node.rooms.values()], lambda compiled: is_in_force(node, compiled)
    )
    committee = node.committee
    asked = [
        question
        for compiled in plans
        for question in gateway_questions(compiled, committee.network, committee.key_epoch)
    ]
    return {
        chain: Questions(
            chain_question(chain, plans, submitter, rounds=settings.funded_rounds, fee=settings.fee),
            tuple(question for question in asked if question.chain == chain),
        )
        for chain in node.views
    }


def is_in_force(node: Node, compiled: CompiledPlan) -> bool:
    """Tell whether the reference gateway names the plan, as far as this node has read."""
    reference = compiled.plan.clock.reference
    view = node.views[reference]
    return view.tip is not None and compiled.plan.hash in view.plan_in_force(
        compiled.gateways[reference], view.tip
    )


@dataclass(slots=True)
class _Watched:
    """One chain: what was found, when, and whether something happened there since."""

    facts: tuple[Fact, ...] = ()
    at_s: float = 0.0
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


class Lookout:
    """Looks at every chain each `every_ms`, and soon after an event of one of its gateways."""

    def __init__(
        self,
        ask: Callable[[], Mapping[Caip2, Questions]],
        inspectors: Mapping[Caip2, Inspector],
        every_ms: int,
        *,
        clock_s: Callable[[], float],
        listener: Listener,
        soon_s: float = SOON_S,
    ) -> None:
        self._ask = ask
        self._inspectors = inspectors
        self._every_s = every_ms / 1_000
        self._clock_s = clock_s
        self._listener = listener
        self._soon_s = min(soon_s, self._every_s)
        self._watched = {chain: _Watched() for chain in inspectors}

    def heard(self, event: Event) -> None:
        """Bring the next look at a chain forward when a gateway said something there."""
        if isinstance(event, BlockObserved) and (event.reads.gateway_events or event.reads.plans):
            watched = self._watched.get(event.reads.header.block.chain)
            if watched is not None:
                watched.stirred.set()

    def facts(self) -> tuple[Fact, ...]:
        """Give the newest answer to each question that stands now; one too old counts for nothing."""
        given: list[Fact] = []
        for chain, asked in self._ask().items():
            watched = self._watched.get(chain, _Watched())
            is_old = self._clock_s() - watched.at_s > FORGOTTEN * self._every_s + self._soon_s
            known = {} if is_old else {fact.name: fact for fact in watched.facts}
            for name in asked.names:
                given += [known[name]] if name in known else untold([name], "not looked at yet")
        return tuple(given)

    async def run(self, chain: Caip2) -> None:
        """Look at one chain for ever."""
        watched, inspector = self._watched[chain], self._inspectors[chain]
        while True:
            watched.stirred.clear()
            asked = self._ask()[chain]
            facts = list(await inspector.look_at_chain(asked.chain))
            for question in asked.gateways:
                facts += await inspector.look_at_gateway(question)
            self._keep(watched, facts)
            await self._listener.looked(facts)
            await asyncio.sleep(self._soon_s)
            await _until_stirred(watched.stirred, self._every_s - self._soon_s)

    def _keep(self, watched: _Watched, facts: list[Fact]) -> None:
        """Take an answer, and tell what is otherwise than before; at first only what does not hold."""
        before = {fact.name: fact.is_ready for fact in watched.facts}
        watched.facts, watched.at_s = tuple(facts), self._clock_s()
        for fact in facts:
            if fact.is_ready != before.get(fact.name, True):
                self._listener.changed(fact)


async def _until_stirred(stirred: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, within_s)):
            await stirred.wait()
    except TimeoutError:
        return
