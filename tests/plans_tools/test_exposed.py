"""Whom an incident reaches, told by a running node from what it has read itself."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from relay.api import Api, ApiOptions
from relay.app.reports import Reports
from relay.core.node import Node
from tests.cli.calls import tocsin
from tests.shells.api.quiet import quiet_ports
from tests.sim.plans import BRIDGE, MARKET, compile_text
from tests.sim.town import Town


class NobodyConnected:
    """A lane without peers."""

    def connected(self) -> frozenset[bytes]:
        return frozenset()


@dataclass
class Serving:
    """A node's interface, open until the test ends."""

    node: Node
    url: str = ""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    is_open: threading.Event = field(default_factory=threading.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, directory: Path) -> None:
        reports = Reports(self.node, NobodyConnected(), {}, list)  # type: ignore[arg-type]  # asked who is there
        ports = replace(
            quiet_ports(), status=reports.status, incidents=reports.incidents, incident=reports.incident
        )
        async with Api(ApiOptions(directory), ports) as api:
            self.url = api.url
            self.is_open.set()
            await self.closing.wait()


@pytest.fixture(scope="module")
def node() -> Node:
    """A node of a town whose bridge was robbed; the market has something at stake."""
    market = MARKET.replace('shares = "collateral"', 'shares = "collateral"\nexposure = "collateral"')
    market = market.replace('call = "collateral()"', 'call = "collateral()"\nunit = "USD"')
    town = Town(random.Random(31), plans=(compile_text(BRIDGE), compile_text(market)))
    town.burn(100)
    town.run(40)
    town.release(500)
    town.run(100)
    found = town.up()[0].node
    assert found is not None
    return found


@pytest.fixture
def serving(node: Node, tmp_path: Path) -> Iterator[Serving]:
    running = Serving(node)
    thread = threading.Thread(target=lambda: running.loop.run_until_complete(running.serve(tmp_path)))
    thread.start()
    assert running.is_open.wait(10)
    yield running
    running.loop.call_soon_threadsafe(running.closing.set)
    thread.join(10)
    running.loop.close()


def _incident(serving: Serving) -> str:
    (incident,) = tocsin("incident", "list", "--url", serving.url, "--json").document["incidents"]  # type: ignore[misc]
    return str(incident["id"])


def test_the_market_that_listens_is_told_with_what_it_has_at_stake(serving: Serving, tmp_path: Path) -> None:
    identity = _incident(serving)

    said = tocsin(
        *("plan", "graph", "--incident", identity[:8], "--url", serving.url, "--json"),
        *("--svg", tmp_path / "exposed.svg"),
    )

    assert said.code == 0, said.err
    assert said.document["incident"] == identity
    assert said.document["root"] == "sim:home:gateway-home"
    (exposed,) = said.document["exposed"]  # type: ignore[misc]
    assert (exposed["plan"], exposed["hops"], exposed["link"]) == ("sim:away:gateway-market", 1, "bridge")
    assert (exposed["at_stake"], exposed["unit"], exposed["acts"]) == (
        _collateral(serving.node),
        "USD",
        ["freeze"],
    )
    assert "who is exposed" in (tmp_path / "exposed.svg").read_text()


def _collateral(node: Node) -> int:
    """What the market's own evaluator reads at the newest block of its reference chain."""
    (room,) = (room for room in node.rooms.values() if room.compiled.plan.protocol == "market")
    tip = node.views[room.compiled.plan.clock.reference].tip
    assert tip is not None
    evaluation = room.evaluator.evaluate_at(tip)
    assert evaluation is not None
    value = evaluation.values["collateral"]
    assert isinstance(value, int)
    return value


def test_people_read_a_table(serving: Serving) -> None:
    said = tocsin("plan", "graph", "--incident", _incident(serving)[:6], "--url", serving.url)

    assert said.out.splitlines()[-1].split()[:4] == ["market", "1", f"{_collateral(serving.node):,}", "USD"]


def test_an_incident_that_nobody_knows_is_said(serving: Serving) -> None:
    said = tocsin("plan", "graph", "--incident", "ff" * 32, "--url", serving.url)

    assert said.code == 1


def test_the_status_tells_every_plan_with_its_newest_values(serving: Serving) -> None:
    plans = tocsin("status", "--url", serving.url, "--json").document["plans"]
    assert isinstance(plans, list)

    by_name = {plan["protocol"]: plan for plan in plans}

    assert by_name["bridge"]["metrics"]["released"] == 500
    assert by_name["bridge"]["metrics"]["burned"] == 100
    assert by_name["market"]["links"][0]["exposure"] == "collateral"
