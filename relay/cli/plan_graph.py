"""`tocsin plan graph`: who listens to whom, and whom an incident reaches (plans SPEC 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import click
from rich.console import Console
from rich.tree import Tree

from relay.cli import shown
from relay.cli.client import NodeClient
from relay.cli.commands import Command
from relay.cli.node_client import client_for, token_option, url_option
from relay.cli.plan import read_plan
from relay.cli.plan_files import OUT_FILE, PLAN_FILE, plan_files, write_text
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError
from relay.plans.exposure import Exposed, Graph, LinkEdge, PlanNode, exposed_by, graph_of, key_of, node_of
from relay.plans.exposure_svg import svg_graph

_EPILOG = """\b
Examples:
  tocsin plan graph bridge.plan.toml market.plan.toml
  tocsin plan graph --svg graph.svg                        this node's plans
  tocsin plan graph --incident 7f31 --svg exposed.svg      whom it reaches, by this node's reads
  tocsin plan graph --incident 7f31 --url http://127.0.0.1:8080 --token-file token

An arrow goes from the plan that is heard to the one that hears. With --incident a running node is asked: what
is at stake is the link's `exposure`, at the newest block that the node has read.
Exit code 0 when it could be told.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("plans", nargs=-1, type=PLAN_FILE, metavar="[PLAN]…")
@click.option("--incident", "incident_id", metavar="ID", help="Who is exposed to this incident.")
@click.option("--svg", type=OUT_FILE, help="Draw it into this file.")
@url_option
@token_option
@click.pass_obj
def graph(
    settings: Settings,
    plans: tuple[Path, ...],
    incident_id: str | None,
    svg: Path | None,
    url: str | None,
    token_file: Path | None,
) -> Answer:
    """Show who listens to whom; with --incident who is exposed, how much, after how many hops."""
    if incident_id is None:
        if url is not None:
            raise ConfigError("--url", "expected --incident beside it, got none")
        drawn = graph_of(node_of(read_plan(file)) for file in plan_files(settings, plans))
        title, root, document = "Who listens to whom", None, _document(drawn)
        exposed: tuple[Exposed, ...] = ()
    else:
        drawn, root, incident = _asked(client_for(settings, url, token_file), incident_id, plans)
        exposed = exposed_by(drawn, root)
        title = f"Incident {incident[:8]} of {drawn.nodes[root].label}: who is exposed"
        document = {**_document(drawn), "incident": incident, "root": root, "exposed": _exposed(exposed)}
    if svg is not None:
        write_text(svg, svg_graph(drawn, title, root, exposed))
        document["svg"] = str(svg)
    settings.give("plan-graph", document, lambda console: _show(console, drawn, title, root, exposed))
    return Answer.YES


def _asked(client: NodeClient, incident_id: str, plans: Sequence[Path]) -> tuple[Graph, str, str]:
    """What a running node says: its plans with what is at stake, and the incident's plan and whole id.

    Plan files that the node does not have are put beside it.
    """
    _, listed = client.get("/v1/incidents")
    ids = [str(each.get("id")) for each in _tables(listed.get("incidents"))]
    matching = [each for each in ids if each.startswith(incident_id)]
    if len(matching) > 1:
        raise click.UsageError(f"{incident_id} begins the ids of {len(matching)} incidents")
    _, answer = client.get(f"/v1/incidents/{quote(matching[0] if matching else incident_id, safe='')}")
    incident = _table(answer.get("incident"))
    # A decision that followed a link has a parent; what began the incident has none.
    began = next((each for each in _tables(incident.get("decisions")) if each.get("parent") is None), {})
    _, status = client.get("/v1/status")
    told = _tables(status.get("plans"))
    drawn = graph_of([*(node_of(read_plan(file)) for file in plans), *(_node(plan) for plan in told)])
    root = next((_key(plan) for plan in told if plan.get("hash") == began.get("plan_hash")), None)
    if root is None:
        problem = "expected a node that has the incident's plan, got one without"
        raise ConfigError("--incident", problem, remedy="ask a node of the same network")
    return drawn, root, str(incident.get("id"))


def _key(plan: Mapping[str, object]) -> str:
    return key_of(str(plan.get("plan", "")))


def _node(plan: Mapping[str, object]) -> PlanNode:
    """A plan as a node's status tells it."""
    key = _key(plan)
    version = plan.get("version")
    return PlanNode(
        key=key,
        protocol=str(plan.get("protocol")),
        version=version if isinstance(version, int) else None,
        mode=str(plan.get("mode")),
        hash=str(plan.get("hash")),
        links=tuple(_edge(key, link) for link in _tables(plan.get("links"))),
    )


def _edge(key: str, link: Mapping[str, object]) -> LinkEdge:
    acts, hops, stake, exposure = (link.get(name) for name in ("acts", "max_hops", "at_stake", "exposure"))
    return LinkEdge(
        source=key_of(str(link.get("plan"))),
        target=key,
        name=str(link.get("name")),
        shares=str(link.get("shares")),
        when=str(link.get("when")),
        acts=tuple(str(act) for act in acts) if isinstance(acts, list) else (),
        max_hops=hops if isinstance(hops, int) else 1,
        exposure=exposure if isinstance(exposure, str) else None,
        at_stake=stake if isinstance(stake, int) else None,
        unit=str(link.get("unit") or ""),
    )


def _table(value: object) -> dict[str, object]:
    return {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, object]]:
    return [_table(item) for item in value] if isinstance(value, list) else []


# ---- showing


def _document(drawn: Graph) -> dict[str, object]:
    nodes = [
        {"plan": node.key, "protocol": node.protocol, "version": node.version, "hash": node.hash}
        for node in drawn.nodes.values()
    ]
    return {"plans": nodes, "links": [_link_document(edge) for edge in drawn.edges]}


def _link_document(edge: LinkEdge) -> dict[str, object]:
    return {
        "heard": edge.source,
        "hears": edge.target,
        "name": edge.name,
        "shares": edge.shares,
        "when": edge.when,
        "acts": list(edge.acts),
        "max_hops": edge.max_hops,
        "exposure": edge.exposure,
        "at_stake": edge.at_stake,
        "unit": edge.unit,
    }


def _exposed(exposed: Sequence[Exposed]) -> list[dict[str, object]]:
    return [
        {
            "plan": each.node.key,
            "protocol": each.node.protocol,
            "hops": each.hops,
            "link": each.by.name,
            "at_stake": each.by.at_stake,
            "unit": each.by.unit,
            "acts": list(each.by.acts),
        }
        for each in exposed
    ]


def _show(console: Console, drawn: Graph, title: str, root: str | None, exposed: Sequence[Exposed]) -> None:
    console.print(f"[bold]{shown.cell(title)}[/]")
    if root is not None:
        rows = [
            (each.node.label, each.hops, _stake(each.by), ", ".join(each.by.acts), each.by.name)
            for each in exposed
        ]
        shown.table(console, ("exposed", "hops", "at stake", "acts that would stand", "link"), rows)
        if not rows:
            console.print("nobody listens to it")
        return
    heard = {edge.target for edge in drawn.edges}
    told: set[str] = set()
    # Those who hear nobody first; what is left then listens in a circle.
    for key in sorted(drawn.nodes, key=lambda key: (key in heard, key)):
        if key not in told:
            console.print(_tree(drawn, key, told))


def _tree(drawn: Graph, key: str, told: set[str]) -> Tree:
    tree = Tree(f"[bold]{shown.cell(drawn.nodes[key].label)}[/]  {shown.cell(key)}")
    _grow(tree, drawn, key, told)
    return tree


def _grow(tree: Tree, drawn: Graph, key: str, told: set[str]) -> None:
    """Hang the listeners of a plan below it, each with its own once."""
    told.add(key)
    for edge in drawn.edges:
        if edge.source != key:
            continue
        again = " (see above)" if edge.target in told else ""
        acts = ", ".join(edge.acts)
        words = f"{edge.shares} → {acts}; at most {edge.max_hops} hops{again}"
        label = shown.cell(drawn.nodes[edge.target].label)
        branch = tree.add(f"[bold]{label}[/]  {shown.cell(words)}")
        if not again:
            _grow(branch, drawn, edge.target, told)


def _stake(edge: LinkEdge) -> str:
    if edge.exposure is None:
        return "not declared"
    return "not known" if edge.at_stake is None else f"{edge.at_stake:,} {edge.unit}".strip()


__all__ = ["graph"]
