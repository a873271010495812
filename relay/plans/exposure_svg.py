"""The exposure graph as a picture: layers from left to right, light and dark (plans SPEC 5). Text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from relay.core.words import count_words
from relay.plans.exposure import Exposed, Graph, LinkEdge, PlanNode, shortened
from relay.plans.exposure_layout import BOX_H, BOX_W, GAP_X, MARGIN, Point, Route, layout

__all__ = ["svg_graph"]

_LINE_CHARS, _LABEL_CHARS = 34, 32
_STYLE = """
.paper { fill: #fbfbf9; } .box { fill: #ffffff; stroke: #b9c0cd; } text { fill: #1b2130;
font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
.name { font-size: 15px; font-weight: 600; } .small { font-size: 11.5px; } .soft { fill: #5a6478; }
.title { font-size: 17px; font-weight: 600; } .edge { fill: none; stroke: #8a93a5; stroke-width: 1.6; }
.tip { fill: #8a93a5; } .root { fill: #fde8e6; stroke: #c0392b; stroke-width: 2; }
.halo { paint-order: stroke; stroke: #fbfbf9; stroke-width: 5px; stroke-linejoin: round; }
.hit { fill: #fdf1e0; stroke: #c47a14; } .spared { fill: #f1f2f4; } .unknown { stroke-dasharray: 5 4; }
.live { stroke: #c47a14; stroke-width: 2.2; } .livetip { fill: #c47a14; }
@media (prefers-color-scheme: dark) { .paper { fill: #12151c; } .box { fill: #1a1f29; stroke: #465064; }
text { fill: #e7e9ee; } .soft { fill: #9aa4b8; } .edge { stroke: #6d7688; } .tip { fill: #6d7688; }
.halo { stroke: #12151c; } .root { fill: #43201d; stroke: #ff8a7a; } .hit { fill: #3a2a14; stroke: #ffc27a; }
.spared { fill: #171b23; } .live { stroke: #ffc27a; } .livetip { fill: #ffc27a; } }
"""
_MARKERS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="11" markerHeight="11"'
    f' markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
    for name in ("tip", "livetip")
)


def svg_graph(graph: Graph, title: str, root: str | None = None, exposed: Sequence[Exposed] = ()) -> str:
    """Draw a graph; with `root` the plan of an incident, and whom it reaches."""
    places = layout(graph, root)
    live = {(each.by.target, each.by.name) for each in exposed}
    reached = {each.node.key: each for each in exposed}
    ways = [_way(route, is_live=(route.edge.target, route.edge.name) in live) for route in places.routes]
    boxes = [_box(node, places.corners[key], root, reached.get(key)) for key, node in graph.nodes.items()]
    width = max(places.width, 2 * MARGIN + 10 * len(title))
    size = f'width="{width:g}" height="{places.height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {places.height:g}" {size}'
        f' role="img" aria-label="{_t(title)}">\n<style>{_STYLE}</style>\n<defs>{_MARKERS}</defs>\n'
        f'<rect class="paper" {size}/>\n'
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 6}">{_t(title)}</text>\n'
        + "\n".join([*(way for way, _ in ways), *boxes, *(label for _, label in ways)])
        + "\n</svg>\n"
    )


def _t(text: object) -> str:
    # SECURITY: names in a plan are a stranger's.
    return escape(str(text), quote=True)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _box(node: PlanNode, corner: Point, root: str | None, hit: Exposed | None) -> str:
    x, y = corner
    state = "" if root is None else "root" if node.key == root else "hit" if hit else "spared"
    known = "" if node.protocol else " unknown"
    if node.key == root:
        said = "incident"
    elif hit is not None:
        said = f"{count_words(hit.hops, 'hop')} away{_stake(hit.by)}"
    else:
        said = f"plan {node.version}, {node.mode}" if node.protocol else "its plan is not known here"
    name = node.protocol or "unknown plan"
    lines = ((name, "name", 27, 24), (shortened(node.key), "small soft", 45, 34), (said, "small", 62, 36))
    texts = "".join(
        f'<text class="{style}" x="{x + 14:g}" y="{y + dy:g}">{_t(_cut(text, most))}</text>'
        for text, style, dy, most in lines
    )
    rectangle = (
        f'<rect class="box {state}{known}" x="{x:g}" y="{y:g}" width="{BOX_W}" height="{BOX_H}" rx="9"/>'
    )
    return f"<g><title>{_t(f'{name}, {node.key}: {said}')}</title>{rectangle}{texts}</g>"


def _stake(edge: LinkEdge) -> str:
    if edge.at_stake is None:
        return ""
    return f", {edge.at_stake:,}{' ' + edge.unit if edge.unit else ''} at stake"


def _way(route: Route, *, is_live: bool) -> tuple[str, str]:
    """One link's line and its label."""
    style, tip = ("edge live", "livetip") if is_live else ("edge", "tip")
    path, (x, y) = _arc(route) if route.is_arc else _curves(route)
    edge = route.edge
    label = _cut(f"{edge.shares} → {', '.join(edge.acts)}", _LABEL_CHARS)
    line = f'<path class="{style}" d="{path}" marker-end="url(#{tip})"/>'
    return line, f'<text class="small halo" text-anchor="middle" x="{x:g}" y="{y - 6:g}">{_t(label)}</text>'


def _curves(route: Route) -> tuple[str, Point]:
    """A way through layers: a curve in each gap, a straight line past each layer; labelled at its end."""
    points = route.points[::-1] if route.is_back else route.points
    turn = -1 if route.is_back else 1
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for index in range(1, len(points)):
        (x1, y1), (x2, y2) = points[index - 1], points[index]
        if index % 2 == 0:
            parts.append(f"L{x2:g} {y2:g}")
        else:
            bend = turn * GAP_X / 2.2
            parts.append(f"C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}")
    (x1, y1), (x2, y2) = points[-2], points[-1]
    return " ".join(parts), ((x1 + x2) / 2, (y1 + y2) / 2)


def _arc(route: Route) -> tuple[str, Point]:
    """A way between two plans of one layer, out to the right and back."""
    (x1, y1), (x2, y2) = route.points
    out = 46
    return f"M{x1:g} {y1:g} C{x1 + out:g} {y1:g} {x2 + out:g} {y2:g} {x2:g} {y2:g}", (x1 + out, (y1 + y2) / 2)
