"""Where plans and links stand in a picture of the exposure graph: layers, rows, ways and ports. Pure.

Links that pass a layer get a row of their own there, so that no link runs behind a box (Sugiyama, Tagawa,
Toda, "Methods for visual understanding of hierarchical system structures", 1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.plans.exposure import Graph, LinkEdge, layers_of

__all__ = ["BOX_H", "BOX_W", "GAP_X", "Layout", "Point", "Route", "layout"]

BOX_W, BOX_H = 236, 74
GAP_X, GAP_Y = 240, 40
MARGIN, HEAD = 32, 62
_PASS_H = 26
"""The height of a row in which a link passes a layer."""
_ROUNDS = 4

Point = tuple[float, float]
_Layers = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """A link's way: points from left to right, pairs of them a curve each. `is_back` points to the left,
    `is_arc` to the same layer.
    """

    edge: LinkEdge
    points: tuple[Point, ...]
    is_back: bool = False
    is_arc: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The upper left corner of each plan's box, and each link's way."""

    width: float
    height: float
    corners: Mapping[str, Point]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """A link by the keys that it goes through, from left to right; its own passes between its two ends."""

    edge: LinkEdge
    keys: tuple[str, ...]


def layout(graph: Graph, root: str | None) -> Layout:
    """Give every plan and link its place."""
    layers = layers_of(graph, root)
    rank = {key: number for number, layer in enumerate(layers) for key in layer}
    ways = [_way(index, edge, rank) for index, edge in enumerate(graph.edges)]
    rows = _ordered(_with_passes(layers, ways, rank), ways)
    middle = _middles(rows)
    height = max((sum(_height(key) + GAP_Y for key in row) for row in rows), default=0) + HEAD + MARGIN
    width = 2 * MARGIN + len(rows) * BOX_W + max(0, len(rows) - 1) * GAP_X
    ports = _ports(ways, rank, middle)
    routes = tuple(_route(number, way, rank, middle, ports) for number, way in enumerate(ways))
    corners = {key: (middle[key][0] - BOX_W / 2, middle[key][1] - BOX_H / 2) for key in graph.nodes}
    return Layout(width, height, corners, routes)


def _way(index: int, edge: LinkEdge, rank: Mapping[str, int]) -> _Way:
    left, right = sorted((edge.source, edge.target), key=lambda key: rank[key])
    between = range(rank[left] + 1, rank[right])
    return _Way(edge, (left, *(f"\n{index}@{layer}" for layer in between), right))


def _is_pass(key: str) -> bool:
    return key.startswith("\n")


def _height(key: str) -> int:
    return _PASS_H if _is_pass(key) else BOX_H


def _with_passes(layers: _Layers, ways: Sequence[_Way], rank: Mapping[str, int]) -> list[list[str]]:
    rows = [list(layer) for layer in layers]
    for way in ways:
        for step, key in enumerate(way.keys[1:-1], start=1):
            rows[rank[way.keys[0]] + step].append(key)
    return rows


def _ordered(rows: list[list[str]], ways: Sequence[_Way]) -> list[list[str]]:
    """Put each plan near those that it is linked with, left and right in turn: fewer links cross."""
    pairs = [pair for way in ways for pair in zip(way.keys, way.keys[1:], strict=False)]
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for left, right in pairs:
        before.setdefault(right, []).append(left)
        after.setdefault(left, []).append(right)
    for number in range(_ROUNDS):
        near, order = (before, rows) if number % 2 == 0 else (after, rows[::-1])
        place = {key: _share(index, row) for row in rows for index, key in enumerate(row)}
        for row in order:
            row.sort(key=lambda key: (_mean(near.get(key, ()), place, place[key]), key))
            place |= {key: _share(index, row) for index, key in enumerate(row)}
    return rows


def _share(index: int, row: Sequence[str]) -> float:
    return (index + 0.5) / len(row)


def _mean(keys: Sequence[str], place: Mapping[str, float], otherwise: float) -> float:
    return sum(place[key] for key in keys) / len(keys) if keys else otherwise


def _middles(rows: _Layers) -> dict[str, Point]:
    """Give the middle of every box and pass; rows stand in the middle of the height."""
    heights = [sum(_height(key) + GAP_Y for key in row) for row in rows]
    tallest = max(heights, default=0)
    middles: dict[str, Point] = {}
    for number, row in enumerate(rows):
        x = MARGIN + number * (BOX_W + GAP_X) + BOX_W / 2
        y = HEAD + (tallest - heights[number]) / 2
        for key in row:
            middles[key] = (x, y + _height(key) / 2)
            y += _height(key) + GAP_Y
    return middles


def _ports(
    ways: Sequence[_Way], rank: Mapping[str, int], middle: Mapping[str, Point]
) -> Mapping[tuple[int, str], float]:
    """Give the height at which each way (by number) touches a plan, so that two links of one side part."""
    sides: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for number, way in enumerate(ways):
        first, last = way.keys[0], way.keys[-1]
        is_arc = rank[first] == rank[last]
        sides.setdefault((first, "right"), []).append((middle[way.keys[1]][1], number))
        sides.setdefault((last, "right" if is_arc else "left"), []).append((middle[way.keys[-2]][1], number))
    ports: dict[tuple[int, str], float] = {}
    for (key, _side), touching in sides.items():
        for index, (_, number) in enumerate(sorted(touching)):
            share = (index + 1) / (len(touching) + 1)
            ports[number, key] = middle[key][1] + (share - 0.5) * BOX_H
    return ports


def _route(
    number: int,
    way: _Way,
    rank: Mapping[str, int],
    middle: Mapping[str, Point],
    ports: Mapping[tuple[int, str], float],
) -> Route:
    first, last = way.keys[0], way.keys[-1]
    begin = (middle[first][0] + BOX_W / 2, ports[number, first])
    if rank[first] == rank[last]:
        end = (middle[last][0] + BOX_W / 2, ports[number, last])
        ends = (begin, end) if way.edge.source == first else (end, begin)
        return Route(way.edge, ends, is_arc=True)
    points: tuple[Point, ...] = (begin,)
    for key in way.keys[1:-1]:
        x, y = middle[key]
        points += ((x - BOX_W / 2, y), (x + BOX_W / 2, y))
    points += ((middle[last][0] - BOX_W / 2, ports[number, last]),)
    return Route(way.edge, points, is_back=way.edge.source == last)
