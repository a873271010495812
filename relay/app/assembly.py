"""Putting a node together from its files: committee, plans, and the node itself with its journal replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from relay.app.committees import CommitteeFiles, lane_peers
from relay.chains.loading import adapter_of
from relay.config import NodeConfig
from relay.core.committees import Committees
from relay.core.compiled import CompiledPlan, PlanCompiler, compile_plan, first_blocks
from relay.core.effects import Effect, LogEntry, Releasable
from relay.core.errors import ConfigError
from relay.core.events import Event
from relay.core.history import event_from_bytes
from relay.core.node import Node, NodeSettings
from relay.core.plan_file import parse_plan
from relay.core.ports import Adapter
from relay.core.rotations import Rotation
from relay.core.types import Caip2, Digest, Header, Identity
from relay.detectors import DetectorSettings
from relay.gossip import LaneConfig
from relay.journal import Journal

__all__ = [
    "Replayed",
    "detector_settings",
    "lane_config",
    "load_plans",
    "make_node",
    "replay_journal",
]

PLAN_FILES: Final = "*.plan.toml"
RECENT_HEADERS: Final = 256


def load_plans(config: NodeConfig, compilers: Mapping[str, PlanCompiler]) -> tuple[CompiledPlan, ...]:
    """Read every plan under `plans/<protocol>/`, and compile it.

    All versions are loaded: the registered one is in force, the others are evaluated and signed for nothing.

    A network without plans runs too: it holds its first ceremony before there is a gateway.

    Raises:
        ConfigError: one is wrong; names file and key.
    """
    files = sorted(config.plans.glob(f"*/{PLAN_FILES}"))
    plans = tuple(compile_plan(parse_plan(_text(file), where=str(file)), compilers) for file in files)
    declared = {chain.chain for chain in config.chains}
    for plan in plans:
        missing = sorted(set(plan.queries) - declared)
        if missing:
            where = f"{config.directory.node_file}: chains"
            raise ConfigError(
                where, f"expected {missing[0]}, which plan {plan.plan.protocol} needs, got none"
            )
    return plans


def make_node(
    config: NodeConfig,
    files: CommitteeFiles,
    plans: tuple[CompiledPlan, ...],
    me: Identity,
    adapters: Mapping[str, Adapter],
) -> Node:
    """Make a node that has seen nothing yet, and knows the first committee document.

    Raises:
        ConfigError: our identity is in no committee document.
    """
    if all(signed.document.member(me) is None for signed in files.signed):
        where = str(config.directory.keys)
        raise ConfigError(
            where, f"expected the keys of a member of {files.genesis.name}, got identity {me.hex()}"
        )
    block_time_ms = {settings.chain: settings.block_time_ms for settings in config.chains}

    def form(rotation: Rotation) -> bytes:
        return adapter_of(rotation.chain, adapters).office().rotation_bytes(rotation)

    return Node(
        NodeSettings(me, files.genesis, plans, block_time_ms, anchors=config.anchor, rotation_form=form)
    )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay says must be on disk: the log entries named, and those that may be published."""

    events: int
    entries: tuple[Effect, ...]
    releasable: tuple[Digest, ...]


async def replay_journal(
    node: Node, journal: Journal, listeners: Sequence[Callable[[Event], object]]
) -> Replayed:
    """Feed a new node its journal, and listeners too; nothing is done again (core SPEC 6.7 INV-E, 7.1)."""
    count = 0
    entries: list[Effect] = []
    releasable: list[Digest] = []
    async for _, data in journal.replay():
        event = event_from_bytes(data)
        for listen in listeners:
            listen(event)
        for effect in node.advance(event):
            if isinstance(effect, LogEntry):
                entries.append(effect)
            elif isinstance(effect, Releasable):
                releasable += effect.digests
        count += 1
    return Replayed(count, tuple(entries), tuple(releasable))


def lane_config(config: NodeConfig, committees: Committees, me: Identity, now_s: int) -> LaneConfig:
    """Say who the peers are and where they listen."""
    return LaneConfig(listen=config.listen, peers=lane_peers(committees, me, now_s))


def detector_settings(chain: Caip2, node: Node) -> DetectorSettings:
    """Say where to go on reading a chain: behind what the journal holds, or at the plans' first block."""
    view, queries = node.views[chain], node.queries[chain]
    tip = view.tip
    if tip is None:
        return DetectorSettings(start=first_blocks(node.settings.plans)[chain], queries=lambda: queries)
    blocks = view.after(tip.number - RECENT_HEADERS)
    recent = [
        Header(block, before.hash) for before, block in pairwise(blocks) if block.number == before.number + 1
    ]
    return DetectorSettings(start=tip, queries=lambda: queries, recent=recent)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"expected a plan in UTF-8, got: {error}") from error
