"""A plan that reads two chains in every way there is, and chains with skewed clocks for it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.evm import adapter
from relay.core.compiled import CompiledPlan, compile_plan, merge_queries
from relay.core.evaluate import Evaluation
from relay.core.events import BlockObserved
from relay.core.observations import CallQuery, CallValue, EventQuery, Field
from relay.core.plan_file import parse_plan
from relay.core.room import Room
from relay.core.schedule import Edge
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView
from tests.core.plan.conftest import SyntheticChain

HOME, AWAY = Caip2("eip155:900001"), Caip2("eip155:900002")
LAG_S, PATIENCE_S, REARM_S = 30, 100, 240
TEXT = """
format = "tocsin/plan/1"
protocol = "crossing"
version = 1
reason = "a test"
[clock]
reference = "eip155:900001"
patience_s = 100
rearm_s = 240
every = EVERY
[chains."eip155:900001"]
gateway = "0x1111111111111111111111111111111111111111"
since = 3
targets = ["0x3333333333333333333333333333333333333333"]
[chains."eip155:900002"]
lag_s = 30
since = 2
[metrics.unbacked]
read = "event_unmatched"
chain = "eip155:900001"
from = "0x3333333333333333333333333333333333333333"
event = "Release(uint256 id,uint256 amount)"
key = ["id"]
against = { chain = "eip155:900002", from = "0x2222222222222222222222222222222222222222", \
event = "Burn(uint256 id,uint256 amount)", key = ["id"] }
[metrics.undelivered]
read = "event_unmatched"
chain = "eip155:900002"
from = "0x2222222222222222222222222222222222222222"
event = "Burn(uint256 id,uint256 amount)"
key = ["id", "amount"]
where = { amount = "5" }
value = "amount"
scale = 1
against = { chain = "eip155:900001", from = "0x3333333333333333333333333333333333333333", \
event = "Release(uint256 id,uint256 amount)", key = ["id", "amount"] }
[metrics.unordered]
read = "event_unmatched"
chain = "eip155:900001"
from = "0x3333333333333333333333333333333333333333"
event = "Release(uint256 id,uint256 amount)"
key = ["id"]
against = { chain = "eip155:900001", from = "0x3333333333333333333333333333333333333333", \
event = "Order(uint256 id)", key = ["id"] }
[metrics.flow]
read = "event_sum"
chain = "eip155:900001"
from = "0x3333333333333333333333333333333333333333"
event = "Release(uint256 id,uint256 amount)"
value = "amount"
window = "60s"
[metrics.silent]
read = "silence"
chain = "eip155:900002"
[metrics.quarrel]
read = "disagreement"
chain = "eip155:900002"
[metrics.rate]
read = "oracle"
chain = "eip155:900002"
from = "0x4444444444444444444444444444444444444444"
take = "mean"
window = "90s"
[rules.unbacked]
when = "unbacked > 2 && rate.price < 1000"
hold = 1
step = "60s"
ladder = [["halt"], ["lower"]]
[rules.outflow]
when = "flow > 40"
hold = 2
step = "60s"
ladder = [["halt"], ["lower"]]
[rules.stalled]
when = "silent > 150"
hold = 2
step = "60s"
ladder = [["halt"]]
[acts.halt]
verb = "pause"
chain = "eip155:900001"
target = "0x3333333333333333333333333333333333333333"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
[acts.lower]
verb = "cap"
chain = "eip155:900001"
target = "0x3333333333333333333333333333333333333333"
call = "lower()"
state = "low()"
value = true
undo = "raise_()"
tier = "fast"
lasts = "6h"
[release]
when = "undelivered == 0 && quarrel == 0"
"""


def crossing_plan(every: int = 1, *, is_deaf: bool = False) -> CompiledPlan:
    """The plan, compiled; `is_deaf`: of the other chain its rules hear the silence alone."""
    text = TEXT.replace("EVERY", str(every))
    if is_deaf:
        text = text.replace("unbacked > 2 && rate.price < 1000", "unordered > 2")
        text = text.replace("undelivered == 0 && quarrel == 0", "flow == 0")
    return compile_plan(parse_plan(text, where="crossing.plan.toml"), {"eip155": adapter()})


@dataclass
class Follower:
    """One node's share of the plan: views and a room, and all that came of it."""

    compiled: CompiledPlan
    keep_s: int = 2_000
    edges: set[Edge] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.queries = merge_queries([self.compiled])
        self.views = {chain: ChainView(each, keep_s=self.keep_s) for chain, each in self.queries.items()}
        self.room = Room(self.compiled, self.views)

    def see(self, events: Iterable[BlockObserved]) -> None:
        """Let blocks be observed, and evaluate what can be."""
        for event in events:
            self.views[event.reads.header.block.chain].observe(event)
        self.edges.update(self.room.advance())

    def go_back(self, ancestor: BlockRef) -> None:
        self.views[ancestor.chain].rollback(ancestor)
        self.room.rollback(ancestor)
        self.edges = {edge for edge in self.edges if self.room.schedule.step_at(edge.block.hash)}

    def evaluations(self) -> list[Evaluation]:
        return [step.evaluation for step in self.room.schedule.steps]


@dataclass
class Branch:
    """A chain of the plan that grows by chance: equal times, jumps, silences."""

    chance: random.Random
    queries: Sequence[EventQuery]
    calls: Sequence[CallQuery]
    chain: SyntheticChain
    blocks: list[BlockObserved] = field(default_factory=list)
    steps_s: Sequence[int] = (0, 0, 1, 7, 12, 12, 35)

    def grow(self, silence_s: int = 0) -> BlockObserved:
        now = self.blocks[-1].reads.header.block.timestamp if self.blocks else 1_000
        rows = [self._row() for _ in range(self.chance.choice([0, 0, 1, 1, 2]))]
        calls = [
            CallValue(index, self.chance.choice([900, 1_100, now]), None) for index in range(len(self.calls))
        ]
        event = self.chain.block(now + silence_s + self.chance.choice(self.steps_s), rows, calls=calls)
        agreeing = self.chance.choice([2, 3, 3, 3])
        event = BlockObserved(event.reads, agreeing, 3, event.head)
        self.blocks.append(event)
        return event

    def _row(self) -> tuple[int, Mapping[str, Field]]:
        index = self.chance.randrange(len(self.queries))
        fields = {"id": self.chance.randrange(12), "amount": self.chance.choice([5, 5, 30])}
        return index, fields if "amount" in self.queries[index].event else {"id": fields["id"]}

    def go_back(self, depth: int, fork: str) -> BlockRef:
        ancestor = self.blocks[-1 - depth].reads.header.block
        self.chain.back_to(ancestor.number, fork)
        del self.blocks[len(self.blocks) - depth :]
        return ancestor


def branches(chance: random.Random, follower: Follower) -> dict[Caip2, Branch]:
    """The chains of the plan, without a block."""
    return {
        chain: Branch(chance, each.events, each.calls, SyntheticChain(chain))
        for chain, each in follower.queries.items()
    }
