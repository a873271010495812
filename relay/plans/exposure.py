"""Who is exposed to whom: plans are nodes, links are edges from the listened to the listening (plans SPEC 5).

Pure but for networkx, which this module needs (`pip install 'tocsin[plans]'`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from relay.core.plan import Plan

__all__ = ["Exposed", "Graph", "LinkEdge", "PlanNode", "exposed_by", "graph_of", "layers_of", "node_of"]


@dataclass(frozen=True, slots=True)
class LinkEdge:
    """One link. `at_stake` is the newest known value of its exposure, None where nobody says."""

    source: str
    target: str
    name: str
    shares: str
    when: str
    acts: tuple[str, ...]
    max_hops: int
    exposure: str | None = None
    at_stake: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One plan as `CAIP-2:gateway`; of a plan that is only listened to, nothing more is known."""

    key: str
    protocol: str | None = None
    version: int | None = None
    mode: str | None = None
    hash: str | None = None
    links: tuple[LinkEdge, ...] = ()

    @property
    def label(self) -> str:
        """The protocol, or the gateway in short."""
        return self.protocol or shortened(self.key)


@dataclass(frozen=True, slots=True)
class Exposed:
    """A plan that an incident reaches, by the link that is first to hear of it."""

    node: PlanNode
    hops: int
    by: LinkEdge


@dataclass(frozen=True, slots=True)
class Graph:
    """Plans by key in ascending order, and every link."""

    nodes: Mapping[str, PlanNode]
    edges: tuple[LinkEdge, ...]


def key_of(text: str) -> str:
    """Give a plan's key: gateways' addresses are one whatever the case of their letters."""
    return text.lower() if "0x" in text.lower() else text


def shortened(key: str) -> str:
    """Give `eip155:1:0x1111…1111`."""
    chain, _, gateway = key.rpartition(":")
    return key if len(gateway) <= 16 else f"{chain}:{gateway[:6]}…{gateway[-4:]}"


def node_of(plan: Plan) -> PlanNode:
    """Give a plan's node; what is at stake is not told by a file."""
    reference = plan.clock.reference
    key = key_of(f"{reference}:{plan.chains[reference].gateway}")
    links = tuple(
        LinkEdge(
            source=key_of(link.plan),
            target=key,
            name=link.name,
            shares=link.shares,
            when=link.when,
            acts=link.ladder[0].acts,
            max_hops=link.max_hops,
            exposure=link.exposure,
            unit="" if link.exposure is None else plan.metrics[link.exposure].unit,
        )
        for link in plan.listen
    )
    return PlanNode(key, plan.protocol, plan.version, plan.mode.value, plan.hash.hex(), links)


def graph_of(nodes: Iterable[PlanNode]) -> Graph:
    """Put plans together; of two versions with one gateway the later one counts."""
    known: dict[str, PlanNode] = {}
    for node in nodes:
        if node.key not in known or (node.version or 0) > (known[node.key].version or 0):
            known[node.key] = node
    edges = tuple(edge for node in known.values() for edge in node.links)
    heard = {edge.source: PlanNode(edge.source) for edge in edges}
    every = {**heard, **known}
    return Graph({key: every[key] for key in sorted(every)}, edges)


def exposed_by(graph: Graph, root: str) -> tuple[Exposed, ...]:
    """Give every plan that an incident of `root` can reach, the nearest first.

    A link follows a decision that is `hops` away while this is at most its `max_hops` (core SPEC 5.4). A plan
    is visited once: cycles end.
    """
    found: dict[str, Exposed] = {}
    outgoing: dict[str, list[LinkEdge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge)
    front = deque([(root, 1)])
    while front:
        key, hops = front.popleft()
        for edge in sorted(outgoing.get(key, ()), key=lambda edge: (edge.target, edge.name)):
            if hops <= edge.max_hops and edge.target not in found and edge.target != root:
                found[edge.target] = Exposed(graph.nodes[edge.target], hops, edge)
                front.append((edge.target, hops + 1))
    return tuple(found.values())


def layers_of(graph: Graph, root: str | None) -> Sequence[Sequence[str]]:
    """Give the plans in layers from left to right: by hops from `root`, or so that most links point right.

    What an incident does not reach stands behind the others.
    """
    place = _ranks(graph) if root is None else _hops(graph, root)
    layers: dict[int, list[str]] = {}
    for key in graph.nodes:
        layers.setdefault(place[key], []).append(key)
    return [layers[rank] for rank in sorted(layers)]


def _hops(graph: Graph, root: str) -> Mapping[str, int]:
    hops = {root: 0} | {each.node.key: each.hops for each in exposed_by(graph, root)}
    behind = max(hops.values()) + 1
    rest = {key: rank for key, rank in _ranks(graph).items() if key not in hops}
    order = {rank: behind + index for index, rank in enumerate(sorted(set(rest.values())))}
    return hops | {key: order[rank] for key, rank in rest.items()}


def _ranks(graph: Graph) -> Mapping[str, int]:
    """The longest way to each plan, with plans that hear each other in a circle taken as one."""
    drawn: nx.DiGraph[str] = nx.DiGraph()
    drawn.add_nodes_from(graph.nodes)
    drawn.add_edges_from((edge.source, edge.target) for edge in graph.edges)
    whole = nx.condensation(drawn)
    ranks: dict[int, int] = {}
    for part in nx.topological_sort(whole):
        ranks[part] = max((ranks[before] + 1 for before in whole.predecessors(part)), default=0)
    placed: dict[str, int] = {}
    for part, members in whole.nodes(data="members"):
        for index, key in enumerate(sorted(members)):
            placed[key] = ranks[part] * 100 + index
    # Numbers without gaps: a circle takes as many layers as it has plans.
    order = {rank: index for index, rank in enumerate(sorted(set(placed.values())))}
    return {key: order[rank] for key, rank in placed.items()}
