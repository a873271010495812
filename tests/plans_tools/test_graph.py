"""The exposure graph: who hears whom, whom an incident reaches, and its picture."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.plans.exposure import Graph, LinkEdge, PlanNode, exposed_by, graph_of, layers_of
from relay.plans.exposure_layout import BOX_H, BOX_W, layout
from relay.plans.exposure_svg import svg_graph
from tests.cli.calls import tocsin
from tests.plans_tools.conftest import BRIDGE, MARKET

SVG = "{http://www.w3.org/2000/svg}"


def key(name: str) -> str:
    return f"sim:1:{name}"


def node(name: str, *heard: str, max_hops: int = 2, at_stake: int | None = None) -> PlanNode:
    links = tuple(
        LinkEdge(
            key(other), key(name), other, "collateral", "true", ("stop",), max_hops, "held", at_stake, "USD"
        )
        for other in heard
    )
    return PlanNode(key(name), name, 1, "armed", "00", links)


def reached(graph: Graph, root: str) -> list[tuple[str, int]]:
    return [(each.node.label, each.hops) for each in exposed_by(graph, key(root))]


def test_a_chain_of_links_is_followed_as_far_as_each_link_goes() -> None:
    graph = graph_of([node("a"), node("b", "a"), node("c", "b"), node("d", "c"), node("e", "c", max_hops=3)])

    assert reached(graph, "a") == [("b", 1), ("c", 2), ("e", 3)]
    assert reached(graph, "c") == [("d", 1), ("e", 1)]


def test_a_circle_ends() -> None:
    graph = graph_of([node("a", "c", max_hops=8), node("b", "a", max_hops=8), node("c", "b", max_hops=8)])

    assert reached(graph, "a") == [("b", 1), ("c", 2)]


def test_the_shortest_way_counts() -> None:
    graph = graph_of([node("a"), node("b", "a"), node("c", "a", "b")])

    assert reached(graph, "a") == [("b", 1), ("c", 1)]


def test_of_two_versions_at_one_gateway_the_later_one_counts() -> None:
    old = PlanNode(key("a"), "a", 1, "armed", "01")
    new = PlanNode(key("a"), "a", 2, "armed", "02")

    assert graph_of([new, old]).nodes[key("a")] == new


def test_a_plan_that_is_only_heard_is_shown_as_not_known() -> None:
    graph = graph_of([node("b", "a")])

    assert graph.nodes[key("a")].protocol is None
    assert "its plan is not known here" in svg_graph(graph, "t")


GRAPHS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sets(st.sampled_from("abcdefgh")), st.integers(1, 4)),
    min_size=1,
).map(lambda plans: graph_of(node(n, *sorted(heard), max_hops=m) for n, (heard, m) in plans.items()))


@given(GRAPHS)
def test_an_incident_reaches_a_plan_once_over_links_that_go_so_far(graph: Graph) -> None:
    root = min(graph.nodes)
    hops = {root: 0}
    for each in exposed_by(graph, root):
        assert each.node.key not in hops
        assert each.hops == hops[each.by.source] + 1
        assert each.hops <= each.by.max_hops
        hops[each.node.key] = each.hops
    for edge in graph.edges:
        assert edge.target in hops or edge.source not in hops or hops[edge.source] + 1 > edge.max_hops


@given(GRAPHS, st.booleans())
def test_no_two_boxes_touch_and_every_link_leads_to_its_plans(graph: Graph, is_incident: bool) -> None:
    root = min(graph.nodes) if is_incident else None
    places = layout(graph, root)

    assert sorted(key for layer in layers_of(graph, root) for key in layer) == sorted(graph.nodes)
    corners = sorted(places.corners.values())
    for x, y in corners:
        assert 0 <= x <= places.width - BOX_W
        assert 0 <= y <= places.height - BOX_H
    for (x1, y1), (x2, y2) in pairwise(corners):
        assert x1 != x2 or y2 - y1 >= BOX_H
    for route in places.routes:
        ends = route.points if not route.is_back else route.points[::-1]
        for (x, y), name in ((ends[0], route.edge.source), (ends[-1], route.edge.target)):
            left, top = places.corners[name]
            assert x in (left, left + BOX_W)
            assert top < y < top + BOX_H


def test_the_picture_says_who_is_exposed_and_how_much() -> None:
    graph = graph_of([node("a"), node("b", "a", at_stake=1_234_567), node("c", "b"), node("x")])
    picture = ET.fromstring(svg_graph(graph, "Incident 7f", key("a"), exposed_by(graph, key("a"))))

    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert "1 hop away, 1,234,567 USD at …" in texts or "1 hop away, 1,234,567 USD at stake" in texts
    classes = [element.get("class") for element in picture.iter(f"{SVG}rect")]
    assert sorted(str(name).strip() for name in classes) == [
        "box hit",
        "box hit",
        "box root",
        "box spared",
        "paper",
    ]


def test_no_name_of_a_plan_becomes_a_tag_of_the_picture() -> None:
    evil = '"><script>alert(1)</script>'
    graph = graph_of([PlanNode(key("a"), evil, 1, "armed", "00"), node("b", "a")])

    picture = svg_graph(graph, evil)

    assert "<script" not in picture
    ET.fromstring(picture)


def test_the_tree_hangs_listeners_below_whom_they_hear() -> None:
    said = tocsin("plan", "graph", BRIDGE, MARKET)

    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["Who", "example-bridge", "└──"]
    assert "collateral → no-new-collateral; at most 2 hops" in lines[2]


def test_the_graph_is_told_as_json_and_drawn(tmp_path: Path) -> None:
    said = tocsin("plan", "graph", BRIDGE, MARKET, "--svg", tmp_path / "g.svg", "--json")

    (link,) = said.document["links"]  # type: ignore[misc]
    assert link["heard"] == "eip155:1:0x1111111111111111111111111111111111111111"
    ET.fromstring((tmp_path / "g.svg").read_text())


def test_without_any_plan_it_says_what_to_give() -> None:
    said = tocsin("plan", "graph")

    assert said.code == 2
    assert "give one, or --home" in said.err


@pytest.mark.parametrize("option", ["--url"])
def test_a_node_is_asked_only_about_an_incident(option: str) -> None:
    said = tocsin("plan", "graph", BRIDGE, option, "http://127.0.0.1:1")

    assert said.code == 2


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("networkx", "polars", "matplotlib"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
from relay.cli.entry import call
commands = ("graph", "check", "cost", "page", "hash")
print([int(call(["plan", command, PLAN, "--quiet"])) for command in commands])
"""


def test_without_the_packages_for_plans_the_graph_says_what_to_install_and_the_rest_works() -> None:
    script = BLOCKED.replace("PLAN", repr(str(BRIDGE)))

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stdout.strip() == "[2, 0, 0, 0, 0]", done.stderr
    assert "pip install 'tocsin[plans]'" in done.stderr
