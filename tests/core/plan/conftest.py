"""Plans and synthetic chains for the tests of plans: honest blocks, made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapters.evm import adapter
from relay.core.compiled import CompiledPlan, compile_plan, merge_queries
from relay.core.evaluate import PlanEvaluator
from relay.core.events import BlockObserved
from relay.core.observations import (
    BlockReads,
    CallValue,
    EventRow,
    Field,
    GatewayEvent,
    PlanRegistered,
)
from relay.core.plan_file import parse_plan
from relay.core.types import BlockRef, Caip2, Header
from relay.core.view import ChainView

PLANS = Path(__file__).parents[2] / "plans"


@dataclass
class SyntheticChain:
    """A chain that grows by a block per call; `fork` names the branch: its blocks have other hashes."""

    name: Caip2
    first: int = 1
    fork: str = ""
    blocks: list[BlockRef] = field(default_factory=list)

    def block(
        self,
        timestamp: int,
        rows: Sequence[tuple[int, Mapping[str, Field]]] = (),
        *,
        calls: Sequence[CallValue] = (),
        gateway_events: Sequence[GatewayEvent] = (),
        plans: Sequence[PlanRegistered] = (),
    ) -> BlockObserved:
        """Make the next block with events as (index of the query, fields)."""
        number = self.first + len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        digest = hashlib.sha256(f"{self.name}/{number}/{timestamp}/{self.fork}".encode() + parent).digest()
        block = BlockRef(chain=self.name, number=number, hash=digest, timestamp=timestamp)
        self.blocks.append(block)
        events = tuple(
            EventRow(query, index, bytes(32), fields) for index, (query, fields) in enumerate(rows)
        )
        reads = BlockReads(Header(block, parent), events, tuple(calls), tuple(gateway_events), tuple(plans))
        return BlockObserved(reads, 2, 3, block)

    def back_to(self, number: int, fork: str) -> BlockRef:
        """Drop the blocks above `number` and grow another branch from there."""
        del self.blocks[number - self.first + 1 :]
        self.fork = fork
        return self.blocks[-1]


@dataclass
class World:
    """One plan, evaluated over views of synthetic chains."""

    compiled: CompiledPlan
    views: dict[Caip2, ChainView]
    evaluator: PlanEvaluator
    chains: dict[Caip2, SyntheticChain]

    def see(self, chain: str, timestamp: int, *rows: Mapping[str, Field], **more: object) -> BlockRef:
        """Let the next block of a chain be observed; all rows are of its only event query."""
        event = self.chains[Caip2(chain)].block(timestamp, [(0, row) for row in rows], **more)
        self.views[Caip2(chain)].observe(event)
        return event.reads.header.block


def compiled_plan(text: str) -> CompiledPlan:
    """Parse and compile a plan of EVM chains."""
    return compile_plan(parse_plan(text, where="test.plan.toml"), {"eip155": adapter()})


def make_world(compiled: CompiledPlan, *, keep_s: int | None = None) -> World:
    """Make a world without blocks."""
    keep_s = compiled.retention_s if keep_s is None else keep_s
    views = {chain: ChainView(queries, keep_s=keep_s) for chain, queries in merge_queries([compiled]).items()}
    evaluator = PlanEvaluator(compiled, views)
    return World(compiled, views, evaluator, {chain: SyntheticChain(chain) for chain in views})


@pytest.fixture
def bridge_text() -> str:
    """The bridge's plan file."""
    return (PLANS / "bridge.plan.toml").read_text()


@pytest.fixture
def market_text() -> str:
    """The market's plan file, which listens to the bridge."""
    return (PLANS / "market.plan.toml").read_text()


@pytest.fixture
def compiled_from() -> Callable[[str], CompiledPlan]:
    """Parse and compile a plan's text."""
    return compiled_plan


@pytest.fixture(scope="session")
def world_of() -> Callable[..., World]:
    """Make a world of a plan's text."""

    def make(text: str, *, keep_s: int | None = None) -> World:
        return make_world(compiled_plan(text), keep_s=keep_s)

    return make


@pytest.fixture
def chain_of() -> Callable[[str], SyntheticChain]:
    """Make a synthetic chain."""
    return lambda name: SyntheticChain(Caip2(name))
