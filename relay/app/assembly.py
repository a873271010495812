"""Putting a node together from its files: committee, plans, and the node itself with its journal replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from proofs.committee import CommitteeDocument
from relay.config import NodeConfig, load_committee_chain
from relay.core.committee_check import committee_refusals
from relay.core.compiled import CompiledPlan, PlanCompiler, compile_plan, first_blocks
from relay.core.effects import Effect, LogEntry, Releasable
from relay.core.errors import ConfigError
from relay.core.events import Event
from relay.core.history import event_from_bytes
from relay.core.node import Node, NodeSettings
from relay.core.plan_file import parse_plan
from relay.core.types import Caip2, Digest, Header, Identity
from relay.detectors import DetectorSettings
from relay.gossip import LaneConfig, LanePeer
from relay.journal import Journal
from relay.telemetry import Telemetry

__all__ = [
    "Replayed",
    "detector_settings",
    "lane_config",
    "load_committee",
    "load_plans",
    "make_node",
    "replay_journal",
]

PLAN_FILES: Final = "*.plan.toml"
RECENT_HEADERS: Final = 256


def load_committee(config: NodeConfig, telemetry: Telemetry, now_s: int) -> CommitteeDocument:
    """Read the committee in force: the newest epoch of the signed chain whose time has come.

    Raises:
        ConfigError: a file is wrong or unsigned, or the committee is unfit and the network is no demo.
    """
    chain = [signed.document for signed in load_committee_chain(config.directory.committee)]
    begun = [document for document in chain if document.activates_at <= now_s]
    if not begun:
        where = str(config.directory.committee)
        raise ConfigError(where, f"expected an epoch in force, got one from {chain[0].activates_at} on")
    committee = begun[-1]
    if config.demo != committee.demo:
        where = f"{config.directory.node_file}: network.demo"
        raise ConfigError(
            where, f"expected {committee.demo}, as in the committee document, got {config.demo}"
        )
    for refusal in committee_refusals(committee):
        if not committee.demo:
            raise ConfigError(str(config.directory.committee), f"{refusal.kind.value}: {refusal}")
        telemetry.warning("unfit committee", reason=refusal.kind.value, detail=str(refusal))
    return committee


def load_plans(config: NodeConfig, compilers: Mapping[str, PlanCompiler]) -> tuple[CompiledPlan, ...]:
    """Read every plan under `plans/<protocol>/`, and compile it.

    All versions are loaded: the registered one is in force, the others are evaluated and signed for nothing.

    Raises:
        ConfigError: there is none, or one is wrong; names file and key.
    """
    files = sorted(config.plans.glob(f"*/{PLAN_FILES}"))
    if not files:
        where = str(config.plans / "<protocol>" / PLAN_FILES)
        raise ConfigError(
            where, "expected at least one plan, got none", remedy="copy the protocols' plans there"
        )
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
    config: NodeConfig, committee: CommitteeDocument, plans: tuple[CompiledPlan, ...], me: Identity
) -> Node:
    """Make a node that has seen nothing yet.

    Raises:
        ConfigError: our identity is not in the committee.
    """
    if committee.member(me) is None:
        where = str(config.directory.keys)
        raise ConfigError(
            where, f"expected the keys of a member of {committee.name}, got identity {me.hex()}"
        )
    block_time_ms = {settings.chain: settings.block_time_ms for settings in config.chains}
    return Node(NodeSettings(me, committee, plans, block_time_ms, anchors=config.anchor))


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay says must be on disk: the log entries named, and those that may be published."""

    events: int
    entries: tuple[Effect, ...]
    releasable: tuple[Digest, ...]


async def replay_journal(node: Node, journal: Journal, heard: Callable[[Event], None]) -> Replayed:
    """Feed a new node its journal; nothing is done again (core SPEC 6.7 INV-E, 7.1)."""
    count = 0
    entries: list[Effect] = []
    releasable: list[Digest] = []
    async for _, data in journal.replay():
        event = event_from_bytes(data)
        heard(event)
        for effect in node.advance(event):
            if isinstance(effect, LogEntry):
                entries.append(effect)
            elif isinstance(effect, Releasable):
                releasable += effect.digests
        count += 1
    return Replayed(count, tuple(entries), tuple(releasable))


def lane_config(config: NodeConfig, committee: CommitteeDocument, me: Identity) -> LaneConfig:
    """Say who the peers are and where they listen."""
    peers = tuple(
        LanePeer(member.identity, member.addresses) for member in committee.members if member.identity != me
    )
    return LaneConfig(listen=config.listen, peers=peers)


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
