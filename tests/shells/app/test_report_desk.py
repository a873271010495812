"""Monitors at several nodes: their findings become one subject, over the real interface (plans SPEC 1.6)."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from proofs.hashes import sha256
from relay.api import Api, ApiOptions, SignalRefused
from relay.app.report_desk import MonitorKeys, ReportDesk, check_monitors, open_monitors
from relay.config import MonitorSettings
from relay.core.errors import ConfigError
from relay.core.events import Event, ReportTold
from relay.core.node import Node, NodeSettings
from relay.core.types import Digest, Millis
from relay.keys import ReporterKey, Secret, create_reporter_key
from tests.core.stage import SOLO, Stage, solo_plan
from tests.shells.api.quiet import quiet_ports
from tests.sim.host import Host
from tests.sim.invariants import Witness
from tests.sim.plans import HOME, compile_text, sim_plans
from tests.sim.reporters import OSCAR, PEGGY, STRANGER, Reporter, with_reports
from tests.sim.town import Town

TX = "0x" + "5e" * 32
SECRETS = {"one": b"a secret of monitor one", "two": b"a secret of monitor two"}


def town_of(seed: int) -> Town:
    """Give a town whose bridge listens to reporters, after its first blocks."""
    bridge, market = sim_plans()
    town = Town(random.Random(seed), plans=(with_reports(bridge, "halt"), market))
    town.checks.append(Witness())
    town.run(40)
    return town


def monitor(name: str, reporter: Reporter, plan: str = "bridge", report: str = "attack") -> MonitorKeys:
    """Give a monitor whose reporter's key a node keeps."""
    settings = MonitorSettings(name, Path("secret"), plan, report, Path("key"))
    return MonitorKeys(settings, SECRETS[name], ReporterKey(Secret(bytes(reporter.key))))


def desk_of(town: Town, host: Host, *monitors: MonitorKeys) -> ReportDesk:
    """Give a host's desk."""
    assert host.node is not None

    async def put(event: Event) -> None:
        host.take(event)

    by_name = {each.settings.name: each for each in monitors}
    return ReportDesk(host.node, by_name, put, lambda: Millis(town.now_ms))


def posted(name: str, at_ms: int) -> tuple[bytes, dict[str, str]]:
    """Give what OpenZeppelin Monitor posts."""
    body = json.dumps({"title": "drain", "body": f"{name} saw {TX}"}, separators=(",", ":")).encode()
    digest = hmac.new(SECRETS[name], body + str(at_ms).encode(), hashlib.sha256).hexdigest()
    return body, {"X-Signature": digest, "X-Timestamp": str(at_ms)}


@pytest.mark.asyncio
async def test_two_monitors_at_two_nodes_halt_the_bridge_over_their_webhooks(tmp_path: Path) -> None:
    town = town_of(1)
    keys = {"one": monitor("one", OSCAR), "two": monitor("two", PEGGY)}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession())
        answers: list[dict[str, object]] = []
        for name, host in zip(keys, town.hosts.values(), strict=False):
            ports = desk_of(town, host, keys[name]).ports()
            api = await stack.enter_async_context(Api(ApiOptions(tmp_path), quiet_ports(), None, ports))
            body, headers = posted(name, town.now_ms)
            url = f"{api.url}/v1/webhooks/{name}"
            async with client.post(url, data=body, headers=headers) as answer:
                answers.append(await answer.json())
            town.run(2)

    assert answers[0] == answers[1], "one subject"
    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")


@pytest.mark.asyncio
async def test_a_monitor_that_sees_it_later_signs_the_subject_that_is_open() -> None:
    town = town_of(2)
    alice, bob = town.hosts["alice"], town.hosts["bob"]
    first = await desk_of(town, alice, monitor("one", OSCAR)).found("one", sha256(TX.encode()))
    block = town.chains[HOME].head
    town.run_until(
        lambda: town.chains[HOME].head.timestamp // 20 > block.timestamp // 20,
        within_s=40,
        what="the next part",
    )

    assert await desk_of(town, bob, monitor("two", PEGGY)).found("two", sha256(TX.encode())) == first
    assert await desk_of(town, bob, monitor("two", PEGGY)).found("two", sha256(b"another")) != first


@pytest.mark.asyncio
async def test_of_two_versions_of_a_plan_a_monitor_signs_for_the_one_in_force() -> None:
    current = with_reports(solo_plan(), "halt")
    coming = with_reports(
        compile_text(SOLO.replace("HOLD", "1").replace("version = 1", "version = 2")), "halt"
    )
    stage, told = Stage(compiled=current), list[Event]()
    node = Node(NodeSettings(stage.me, stage.committee, (coming, current), {HOME: 12_000}))
    node.advance(stage.started())
    node.advance(stage.block())

    async def put(event: Event) -> None:
        told.append(event)

    desk = ReportDesk(node, {"one": monitor("one", OSCAR, plan="vault")}, put, lambda: Millis(stage.now_ms))
    await desk.found("one", sha256(b"finding"))

    [event] = told
    assert isinstance(event, ReportTold)
    assert event.report.subject.plan_hash == current.plan.hash


@pytest.mark.asyncio
async def test_what_no_member_would_take_is_refused_with_the_reason() -> None:
    town = town_of(3)
    alice = town.hosts["alice"]

    with pytest.raises(SignalRefused, match="unknown reporter: the plan must name this key"):
        await desk_of(town, alice, monitor("one", STRANGER)).found("one", sha256(TX.encode()))
    with pytest.raises(SignalRefused, match="expected a plan of nobody in force"):
        await desk_of(town, alice, monitor("one", OSCAR, plan="nobody")).found("one", sha256(TX.encode()))


@pytest.mark.asyncio
async def test_a_finding_that_was_told_before_is_no_error_and_is_said_once() -> None:
    town = town_of(4)
    desk = desk_of(town, town.hosts["alice"], monitor("one", OSCAR))

    first = await desk.found("one", sha256(TX.encode()))
    size = len(town.hosts["alice"].disk.journal)

    assert await desk.found("one", sha256(TX.encode())) == first
    assert len(town.hosts["alice"].disk.journal) == size
    assert town.hosts["alice"].node is not None
    shown = next(iter(desk.overview()))
    assert (shown["report"], shown["need"], shown["in_force"]) == ("attack", 2, True)
    assert [each["id"] for each in shown["open"]] == [first]  # type: ignore[union-attr,index,call-overload]


def test_a_monitor_that_no_plan_listens_to_keeps_a_node_from_starting() -> None:
    town = town_of(5)
    node = town.hosts["alice"].node
    assert node is not None
    check_monitors(node, [monitor("one", OSCAR)])

    for wrong, said in (
        (monitor("one", OSCAR, plan="other"), "a plan of other with reports named attack"),
        (monitor("one", OSCAR, report="other"), "a plan of bridge with reports named other"),
        (monitor("one", STRANGER), f"ed25519:{STRANGER.public.hex()} as reporter"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_monitors(node, [wrong])


def test_secrets_and_keys_come_from_private_files_and_are_not_shown(tmp_path: Path) -> None:
    secret, key = tmp_path / "secret", tmp_path / "oscar.key"
    secret.write_text("0123456789abcdef\n")
    secret.chmod(0o600)
    made = create_reporter_key(key)
    settings = MonitorSettings("one", secret, "bridge", "attack", key)

    (opened,) = open_monitors([settings])

    assert (opened.secret, opened.key.public) == (b"0123456789abcdef", made.public)
    assert made.name == f"ed25519:{made.public.hex()}"
    assert "0123456789abcdef" not in repr(opened)
    assert Digest(made.public).hex() in repr(opened.key)
    secret.write_text("short\n")
    with pytest.raises(ConfigError, match="expected at least 16 bytes"):
        open_monitors([settings])
    secret.write_text("0123456789abcdef\n")
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        open_monitors([settings])
    key.chmod(0o600)
    key.write_text("tocsin-reporter-key/1:00\n")
    with pytest.raises(ConfigError, match="expected a reporter's key"):
        open_monitors([settings])
    with pytest.raises(ConfigError, match="expected no file yet"):
        create_reporter_key(key)
