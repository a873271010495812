"""Every kind of reading is its definition, at every retained block, in any order of questions (SPEC 5.2)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relay.core.view as view_module
from proofs.hashes import keccak256
from relay.core.events import BlockObserved
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.metrics import Reading
from relay.core.observations import (
    CallQuery,
    CallValue,
    ChainQueries,
    EventQuery,
    Field,
    GatewayEvent,
    GatewayEventKind,
    ReadKind,
    StateRead,
)
from relay.core.plan import (
    EventMetric,
    Key,
    Measure,
    Minus,
    Over,
    PlanMetric,
    Reduce,
    StateMetric,
    Take,
    Weight,
    Window,
)
from relay.core.series import LocalMetric, Query, Series
from relay.core.types import ActId, Caip2, Gateway
from relay.core.view import ChainView
from tests.core.plan import definition
from tests.core.plan.conftest import SyntheticChain

CHAIN = Caip2("test:1")
IN = EventQuery(CHAIN, "0xaa", "In(uint256 kind,string token,int256 amount,uint256 per)")
OUT = EventQuery(CHAIN, "0xaa", "Out(uint256 kind,string token,int256 taken)")
PRICE, TIME = CallQuery(CHAIN, "0xbb", "price()"), CallQuery(CHAIN, "0xbb", "time()")
GATEWAY, OTHER = Gateway(b"\x01" * 32), Gateway(b"\x02" * 32)
QUERIES = ChainQueries(CHAIN, (IN, OUT), (PRICE, TIME), (GATEWAY, OTHER))
SINCE = 5
ACTS = ("pause", "cap", "lock")

BASE = EventMetric("m", CHAIN, "0xaa", IN.event, "amount")
BLOCKS, SECONDS = Window(blocks=7), Window(seconds=60)
KEYS = {"a": Key("A", Weight(2, 3)), "b": Key("B", Weight(0, 1)), "never": Key("N", Weight())}
MINUS = Minus(OUT.event, "taken")
STATE = StateMetric("s", StateRead(CHAIN, ReadKind.CALL, "0xbb", "price()"), Weight(1, 3))
ORACLE = StateMetric("o", StateRead(CHAIN, ReadKind.ORACLE, "0xbb"), Weight(1))

EVENT_METRICS = [
    replace(BASE, window=BLOCKS),
    replace(BASE, window=Window(blocks=1), by=("token",)),
    replace(BASE, minus=MINUS),
    replace(BASE, minus=MINUS, window=SECONDS, by=("token",), keys=KEYS, at_least=2),
    replace(BASE, value=None, minus=Minus(OUT.event, None), window=BLOCKS, measure=Measure.COUNT),
    replace(BASE, minus=Minus(OUT.event, None), value=None, measure=Measure.COUNT, where={"kind": "1"}),
    replace(BASE, minus=Minus(IN.event, "per"), window=SECONDS),
    replace(BASE, measure=Measure.MAX),
    replace(BASE, measure=Measure.MAX, window=BLOCKS, weight=Weight(1, 7)),
    replace(BASE, measure=Measure.MAX, window=SECONDS, by=("token",)),
    replace(BASE, measure=Measure.MAX, window=SECONDS, by=("token", "kind"), reduce=Reduce.MAX, at_least=2),
    replace(BASE, measure=Measure.MAX, per="per", ratio_scale=4, window=BLOCKS),
    replace(BASE, measure=Measure.MAX, per="per", ratio_scale=4, by=("token",), keys=KEYS),
    replace(BASE, measure=Measure.DISTINCT, value="token"),
    replace(BASE, measure=Measure.DISTINCT, value="kind", window=SECONDS, by=("token",)),
    replace(BASE, measure=Measure.DISTINCT, value="amount", window=BLOCKS, by=("token",), reduce=Reduce.SUM),
    replace(BASE, measure=Measure.DISTINCT, value="amount", by=("token",), reduce=Reduce.MAX, at_least=3),
]
STATE_METRICS = [
    STATE,
    replace(STATE, equals=7),
    ORACLE,
    *(replace(STATE, over=Over(take, window)) for take in Take for window in (BLOCKS, SECONDS)),
    replace(STATE, over=Over(Take.MEAN, Window(blocks=1))),
    replace(STATE, equals=7, over=Over(Take.MIN, BLOCKS)),
    replace(STATE, equals=7, over=Over(Take.MEAN, SECONDS)),
    *(replace(ORACLE, over=Over(take, SECONDS)) for take in Take),
]
PLAN_METRICS = [PlanMetric("p", CHAIN, "g"), PlanMetric("p", CHAIN, "g", ("pause", "lock"))]


def sources_of(metric: LocalMetric) -> tuple[Query, ...]:
    match metric:
        case EventMetric(minus=Minus(event=event)):
            return (IN, OUT if event == OUT.event else IN)
        case EventMetric():
            return (IN,)
        case StateMetric():
            return (PRICE, TIME) if metric.is_map else (PRICE,)
        case PlanMetric():
            return ()


@dataclass
class Script:
    """A chain that grows, goes back and is forgotten by chance, and the view that follows it."""

    chance: random.Random
    metrics: list[LocalMetric]
    failures: float = 0.03
    chain: SyntheticChain = field(default_factory=lambda: SyntheticChain(CHAIN))
    blocks: list[BlockObserved] = field(default_factory=list)
    history: list[bytes] = field(default_factory=list)
    """The journal's form of the blocks that stand."""

    def __post_init__(self) -> None:
        self.view, self.series = self.follower(keep_s=150)

    def follower(self, keep_s: int) -> tuple[ChainView, list[Series]]:
        """A new view that has seen nothing."""
        view = ChainView(QUERIES, keep_s=keep_s)
        gateways = [GATEWAY if isinstance(metric, PlanMetric) else None for metric in self.metrics]
        return view, [
            view.series(metric, sources_of(metric), SINCE, gateway)
            for metric, gateway in zip(self.metrics, gateways, strict=True)
        ]

    def grow(self) -> None:
        """One block later: at the same time, a little later, or after a silence."""
        chance, now = self.chance, self.blocks[-1].reads.header.block.timestamp if self.blocks else 1_000
        rows = [self.row() for _ in range(chance.choice([0, 0, 1, 2]))]
        price = (
            None if chance.random() < self.failures else chance.choice([7, 8, 100, chance.randrange(10**6)])
        )
        if self.blocks and chance.random() < 0.5:
            price = self.blocks[-1].reads.calls[0].value
        calls = [CallValue(0, price, None if price is not None else "reverted"), CallValue(1, now - 9, None)]
        later = now + chance.choice([0, 0, 1, 3, 12, 12, 40, 200])
        event = self.chain.block(later, rows, calls=calls, gateway_events=self.gateway_events())
        self.blocks.append(event)
        self.history.append(event_to_bytes(event))
        self.view.observe(event)

    def row(self) -> tuple[int, Mapping[str, Field]]:
        chance = self.chance
        fields = {"kind": chance.randrange(3), "token": chance.choice("abc")}
        amount = chance.choice([0, 1, 5, 1234, -77, chance.randrange(10**12)])
        if chance.random() < 0.3:
            return 1, {**fields, "taken": amount}
        return 0, {**fields, "amount": amount, "per": chance.choice([3, 10, 10, -4, chance.randrange(9)])}

    def gateway_events(self) -> list[GatewayEvent]:
        chance = self.chance
        kinds = [GatewayEventKind.STARTED, GatewayEventKind.ENDED, GatewayEventKind.EXTENDED]
        return [
            GatewayEvent(
                gateway=chance.choice([GATEWAY, GATEWAY, OTHER]),
                kind=chance.choice(kinds),
                act_id=ActId(keccak256(chance.choice(ACTS).encode())),
                tx=bytes(32),
                log_index=index,
                gas_used=1,
            )
            for index in range(chance.choice([0, 0, 0, 1, 2]))
        ]

    def go_back(self, turn: int) -> None:
        """A re-org of some of the blocks that may still go."""
        depth = min(self.chance.randrange(1, 9), len(self.view.after(-1)) - 1)
        if depth < 1:
            return
        ancestor = self.blocks[-1 - depth].reads.header.block
        self.view.rollback(ancestor)
        self.chain.back_to(ancestor.number, str(turn))
        del self.blocks[-depth:], self.history[-depth:]

    def settle(self) -> None:
        """Blocks far enough back are final, and may be forgotten."""
        if len(self.blocks) > 15:
            self.view.finalize(self.blocks[-15].reads.header.block)

    def defined(self, metric: LocalMetric, at: BlockObserved) -> Reading:
        block = at.reads.header.block
        match metric:
            case EventMetric():
                queries = [QUERIES.events.index(each) for each in sources_of(metric)]  # type: ignore[arg-type]
                return definition.of_events(metric, queries, self.blocks, block, SINCE)
            case StateMetric(over=None):
                return definition.of_state(metric, (0, 1), self.blocks, block, 0)
            case StateMetric():
                return definition.of_state(metric, (0, 1), self.blocks, block, SINCE)
            case PlanMetric():
                return definition.of_acts(metric, GATEWAY, self.blocks, block, SINCE)


def run(chance: random.Random, metrics: list[LocalMetric], turns: int) -> Script:
    """Let a chain live, and hold the answers against the definition all the while."""
    script = Script(chance, metrics)
    for turn in range(turns):
        script.grow()
        if chance.random() < 0.08:
            script.go_back(turn)
        script.settle()
        retained = {block.hash for block in script.view.after(-1)}
        asked = [each for each in script.blocks if each.reads.header.block.hash in retained]
        for at in (asked[-1], chance.choice(asked)):
            place = script.view.place(at.reads.header.block)
            assert place is not None
            index = chance.randrange(len(metrics))
            expected = script.defined(metrics[index], at)
            assert script.series[index].at(place) == expected, (turn, place, metrics[index])
    return script


@pytest.fixture(autouse=True, scope="module")
def _prune_often() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(view_module, "PRUNE_AT_ONCE", 8)
    yield
    patch.undo()


@pytest.mark.parametrize(
    "metrics", [EVENT_METRICS, STATE_METRICS, PLAN_METRICS], ids=["events", "state", "acts"]
)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=6)
def test_every_answer_is_the_definition_through_reorgs_and_forgetting(
    metrics: list[LocalMetric], seed: int
) -> None:
    run(random.Random(seed), metrics, turns=120)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=3)
def test_who_starts_again_from_the_journal_answers_as_who_followed_every_reorg(seed: int) -> None:
    metrics: list[LocalMetric] = [*EVENT_METRICS, *STATE_METRICS, *PLAN_METRICS]
    script = run(random.Random(seed), metrics, turns=90)

    late, series = script.follower(keep_s=10**6)
    for data in script.history:
        event = event_from_bytes(data)
        assert isinstance(event, BlockObserved)
        late.observe(event)

    for block in script.view.after(-1):
        here, there = script.view.place(block), late.place(block)
        assert here is not None
        assert there is not None
        assert [each.at(here) for each in script.series] == [each.at(there) for each in series]
