"""When a node looks at its chains, and what it makes of answers that are old or missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from relay.app.readiness import Listener, Lookout, Questions, StandingsTeller
from relay.core.effects import SignStatement
from relay.core.events import BlockObserved, Event, ReadinessChanged
from relay.core.messages import ReadinessChange
from relay.core.observations import BlockReads, PlanRegistered
from relay.core.readiness import ChainQuestion, Fact, GatewayQuestion, Standing
from relay.core.standings import FACT_REST_MS
from relay.core.types import BlockRef, Caip2, Digest, Gateway, Header, Millis, NetworkId, PlanHash
from tests.core.stage import BEGIN_S, Stage

CHAIN = Caip2("sim:1")
GATEWAY = Gateway(b"\x01" * 32)
LONG_MS = 600_000
QUESTION = GatewayQuestion(CHAIN, "acme", GATEWAY, PlanHash(b"\x02" * 32), NetworkId(b"\x03" * 32), 1, ())
ASKED = Questions(ChainQuestion(CHAIN, None, 0, 0), (QUESTION,))


@dataclass
class Stub:
    """A chain on which everything stands as it is told; counts the looks."""

    standing: Standing = Standing.HELD
    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look_at_chain(self, question: ChainQuestion) -> tuple[Fact, ...]:
        self.looks += 1
        return (Fact(f"endpoints {question.chain}", Standing.HELD),)

    async def look_at_gateway(self, question: GatewayQuestion) -> tuple[Fact, ...]:
        self.looked.set()
        return tuple(Fact(name, self.standing, "as told") for name in question.names)

    async def seen(self) -> None:
        """Wait for the next look."""
        self.looked.clear()
        async with asyncio.timeout(20):
            await self.looked.wait()
        await asyncio.sleep(0)


@dataclass
class Clock:
    """Seconds as a test sets them."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def spoken(*, by_gateway: bool) -> BlockObserved:
    """A block in which the gateway said something, or did not."""
    block = BlockRef(CHAIN, 7, Digest(b"\x07" * 32), 70)
    plan = PlanRegistered(GATEWAY, 0, QUESTION.plan_hash, PlanHash(bytes(32)), 0)
    reads = BlockReads(Header(block, bytes(32)), plans=(plan,) if by_gateway else ())
    return BlockObserved(reads, 2, 3, block)


def lookout_of(
    stub: Stub, asked: dict[Caip2, Questions], *, every_ms: int, clock: Clock, listener: Listener
) -> Lookout:
    return Lookout(lambda: asked, {CHAIN: stub}, every_ms, clock_s=clock, listener=listener, soon_s=0.01)


async def to_nobody(_facts: Iterable[Fact]) -> None:
    """Tell nobody."""


@asynccontextmanager
async def watching(
    stub: Stub,
    *,
    every_ms: int = LONG_MS,
    clock: Clock | None = None,
    changed: Callable[[Fact], None] = lambda _: None,
    looked: Callable[[Iterable[Fact]], Awaitable[None]] = to_nobody,
    asked: dict[Caip2, Questions] | None = None,
) -> AsyncIterator[Lookout]:
    listener = Listener(changed, looked)
    lookout = lookout_of(
        stub, asked or {CHAIN: ASKED}, every_ms=every_ms, clock=clock or Clock(), listener=listener
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(lookout.run(CHAIN))
        yield lookout
        task.cancel()


def standings(lookout: Lookout) -> set[Standing]:
    return {fact.standing for fact in lookout.facts()}


@pytest.mark.asyncio
async def test_nothing_is_ready_before_the_first_look() -> None:
    lookout = lookout_of(Stub(), {CHAIN: ASKED}, every_ms=LONG_MS, clock=Clock(), listener=Listener(print))

    assert {fact.name for fact in lookout.facts()} == set(ASKED.names)
    assert standings(lookout) == {Standing.UNTOLD}
    assert not any(fact.is_ready for fact in lookout.facts())


@pytest.mark.asyncio
async def test_the_first_look_comes_at_once_and_a_gateways_word_brings_the_next() -> None:
    stub = Stub()

    async with watching(stub) as lookout:
        await stub.seen()
        assert standings(lookout) == {Standing.HELD}
        stub.standing = Standing.FAILED
        lookout.heard(spoken(by_gateway=True))
        await stub.seen()

        assert Standing.FAILED in standings(lookout)
    assert stub.looks == 2


@pytest.mark.asyncio
async def test_blocks_without_a_gateways_word_bring_no_look() -> None:
    stub = Stub()

    async with watching(stub) as lookout:
        await stub.seen()
        for _ in range(100):
            lookout.heard(spoken(by_gateway=False))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await stub.seen()


@pytest.mark.asyncio
async def test_a_chain_is_looked_at_again_after_the_interval() -> None:
    stub = Stub()

    async with watching(stub, every_ms=50):
        await stub.seen()
        await stub.seen()

    assert stub.looks >= 2


@pytest.mark.asyncio
async def test_an_answer_that_is_too_old_counts_for_nothing() -> None:
    stub, clock = Stub(), Clock()

    async with watching(stub, clock=clock) as lookout:
        await stub.seen()
        clock.now_s += 3 * LONG_MS / 1_000
        fresh = standings(lookout)
        clock.now_s += 10

        assert (fresh, standings(lookout)) == ({Standing.HELD}, {Standing.UNTOLD})


@pytest.mark.asyncio
async def test_what_falls_and_what_comes_back_is_told_once() -> None:
    stub = Stub()
    told: list[tuple[str, bool]] = []

    async with watching(stub, changed=lambda fact: told.append((fact.name, fact.is_ready))) as lookout:
        for standing in (Standing.HELD, Standing.FAILED, Standing.FAILED, Standing.HELD):
            stub.standing = standing
            lookout.heard(spoken(by_gateway=True))
            await stub.seen()

    names = QUESTION.names
    assert told == [*((name, False) for name in names), *((name, True) for name in names)]


@pytest.mark.asyncio
async def test_a_plan_that_comes_into_force_is_not_ready_by_the_old_ones_answers() -> None:
    stub, asked = Stub(), {CHAIN: ASKED}

    async with watching(stub, asked=asked) as lookout:
        await stub.seen()
        other = replace(QUESTION, protocol="other")
        asked[CHAIN] = replace(ASKED, gateways=(QUESTION, other))
        found = {fact.name: fact.standing for fact in lookout.facts()}

    assert {found[name] for name in QUESTION.names} == {Standing.HELD}
    assert {found[name] for name in other.names} == {Standing.UNTOLD}


# ---- for the log


@dataclass
class Told:
    """A node's own word on its readiness, and what it was told."""

    stage: Stage = field(default_factory=Stage)
    events: list[Event] = field(default_factory=list)
    said: list[ReadinessChange] = field(default_factory=list)
    now_ms: int = BEGIN_S * 1_000

    async def put(self, event: Event) -> None:
        self.events.append(event)
        for effect in self.stage.run(event):
            if isinstance(effect, SignStatement) and isinstance(effect.message, ReadinessChange):
                self.said.append(effect.message)

    async def tell(self, *facts: Fact) -> None:
        standings = self.stage.node.hearing.standings
        clock = Millis(self.now_ms)
        await StandingsTeller(standings, self.put, lambda: clock, lambda size: b"s" * size).tell(facts)


@pytest.mark.asyncio
async def test_of_a_first_look_only_what_is_not_held_is_told_and_later_what_stands_otherwise() -> None:
    told = Told()
    held, failed = Fact("nonce sim:1", Standing.HELD), Fact("funds sim:1", Standing.FAILED, "too little")

    await told.tell(held, failed)
    await told.tell(held, failed)
    told.now_ms += FACT_REST_MS
    await told.tell(held, replace(failed, standing=Standing.HELD))

    assert [(each.fact, each.standing) for each in told.said] == [
        ("funds sim:1", "failed"),
        ("funds sim:1", "held"),
    ]
    assert len(told.events) == 2, "what is known is not journalled again"


@pytest.mark.asyncio
async def test_a_long_reason_is_cut_before_it_is_sealed() -> None:
    told = Told()

    await told.tell(Fact("funds sim:1", Standing.FAILED, "x" * 100_000, "y" * 100_000))

    (event,) = told.events
    assert isinstance(event, ReadinessChanged)
    assert (len(event.reason), len(event.remedy)) == (1_000, 1_000)


@pytest.mark.asyncio
async def test_every_fact_of_every_look_is_shown_to_who_keeps_the_log() -> None:
    stub, shown = Stub(), list[Fact]()

    async def looked(facts: Iterable[Fact]) -> None:
        shown.extend(facts)

    async with watching(stub, looked=looked):
        await stub.seen()

    assert {fact.name for fact in shown} == {f"endpoints {CHAIN}", *QUESTION.names}
