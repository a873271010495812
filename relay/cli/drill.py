"""`tocsin drill`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from relay.cli import shown
from relay.cli.client import NodeClient, NodeRefusal
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.drill_stages import (
    STAGES,
    DrillAct,
    DrillReport,
    MemberView,
    drill_decisions,
    make_report,
    member_view,
)
from relay.cli.gateway_options import FILE
from relay.cli.gateway_reading import adapter_for
from relay.cli.gateway_sending import Wish, check_allowed, open_account, send_calls
from relay.cli.node_client import client_for
from relay.cli.node_files import this_node
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.config import NodeConfig
from relay.core.errors import ConfigError
from relay.core.office import OwnerCall
from relay.core.plan import EventMetric, Plan

RULE = "drill"
REQUEST = "request()"
POLL_S = 0.2
MAX_INCIDENTS = 32
"""Of a node's newest incidents, looked at for a drill."""

_RUN_EPILOG = """\b
Examples:
  tocsin drill run                               print the request, and wait for somebody to make it
  tocsin drill run --send --key-env BELL_KEY --yes
                                                 make it from a development key
  tocsin drill run --url http://10.0.0.2:9330 --url http://10.0.0.3:9330
                                                 follow it on other members too

A drill goes the whole way of an incident: an event on the reference chain, the rule on every member, the
quorum, the certificate, the call on every chain, the effect read back. Its act is a bell that does nothing
(contract DrillBell), behind gateways of its own. Exit code 0 when every member that was asked reads every
act in effect, 1 when it does not within --wait.
"""
_REPORT_EPILOG = """\b
Examples:
  tocsin drill report                            the drills that were run from this home
  tocsin drill report --json | jq '.drills[0].stages_ms'
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whom a drill is followed on: a name for each, and its interface."""

    name: str
    client: NodeClient


@click.command(cls=Command, epilog=_RUN_EPILOG)
@click.option(
    "--plan", type=FILE, help="The drill's plan, when it is not the one plan here with a rule drill."
)
@click.option(
    "--url", multiple=True, help="A member's HTTP interface; repeat for several. Default: this node."
)
@click.option("--wait", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds.")
@click.option("--send", is_flag=True, help="Make the request from a key of this machine (development).")
@click.option("--key-file", type=FILE, help="With --send: a sealed key file of kind submitter.")
@click.option(
    "--key-env", metavar="NAME", help="With --send: the environment variable that holds a key in hex."
)
@click.option(
    "--i-know", is_flag=True, help="With --send and --yes: also on a chain that is not for development."
)
@click.pass_obj
def run(
    settings: Settings,
    plan: Path | None,
    url: tuple[str, ...],
    wait: float,
    send: bool,
    key_file: Path | None,
    key_env: str | None,
    i_know: bool,
) -> Answer:
    """Ask for a drill, follow it to its effect on every chain, and keep the latency of every stage."""
    config = this_node(settings)
    chosen = find_drill_plan(config, plan)
    call = request_call(chosen)
    asked = [_Asked(each, client_for(settings, each, None)) for each in url]
    asked = asked or [_Asked("this node", client_for(settings, None, None))]
    before = {str(each.get("id")) for each in _decisions(asked[0].client)}
    requested_us = None
    if send:
        requested_us = _request(settings, config, call, Wish(send, key_file, key_env, i_know))
    else:
        settings.say(f"to be called by the bell's operator on {call.chain}: {call.to} 0x{call.data.hex()}")
    report = _follow(settings, asked, before, wait, requested_us)
    if report is None:
        return settings.fail(
            f"expected a decision of rule {RULE} within {wait:g} s, got none",
            "see that the request was made, and that the drill's plan is in force: tocsin doctor",
            Answer.NO,
        )
    file = keep(config, report)
    settings.give("drill", {**report.document(), "file": str(file)}, lambda console: show(console, report))
    return Answer.YES if report.is_complete else Answer.NO


@click.command(cls=Command, epilog=_REPORT_EPILOG)
@click.pass_obj
def report(settings: Settings) -> Answer:
    """Show the drills that were run from this home, newest first."""
    folder = _folder(this_node(settings))
    files = sorted(folder.glob("*.json"), reverse=True) if folder.is_dir() else []
    drills = [_read(file) for file in files]

    def table(console: Console) -> None:
        if not drills:
            console.print("no drill was run from here (tocsin drill run)")
            return
        columns = ("drill", "complete", *STAGES)
        shown.table(console, columns, [_row(drill) for drill in drills])
        console.print("milliseconds since the request, until the last member that was asked", style="dim")

    settings.give("drills", {"drills": drills}, table)
    return Answer.YES


# ---- the request


def find_drill_plan(config: NodeConfig, file: Path | None) -> Plan:
    """Give the plan in `file`, or the one plan of this node that has a rule `drill`, in its newest version.

    Raises:
        ConfigError: there is none, or more than one protocol has such a rule.
    """
    if file is not None:
        return read_plan(file)
    plans = [read_plan(each) for each in sorted(config.plans.glob("*/*.plan.toml"))]
    found = [plan for plan in plans if RULE in plan.rules]
    protocols = sorted({plan.protocol for plan in found})
    if len(protocols) != 1:
        got = ", ".join(protocols) or "none"
        raise ConfigError(
            "--plan", f"expected one plan here with a rule {RULE}, got {got}", remedy="give --plan"
        )
    return max(found, key=lambda plan: plan.version)


def request_call(plan: Plan) -> OwnerCall:
    """Give the call that asks for a drill: `request()` of the contract whose events the rule counts.

    Raises:
        ConfigError: the rule is not one of a drill.
    """
    rule = plan.rules.get(RULE)
    metrics = [] if rule is None else [m for name, m in plan.metrics.items() if name in rule.when]
    bells = [metric for metric in metrics if isinstance(metric, EventMetric)]
    if len(bells) != 1:
        problem = f"expected a rule {RULE} over one metric that counts a bell's requests, got {len(bells)}"
        raise ConfigError(plan.protocol, problem, remedy="see the drill's plan in the documentation")
    return adapter_for(bells[0].chain).office().plain_call(bells[0].chain, bells[0].address, REQUEST)


def _request(settings: Settings, config: NodeConfig, call: OwnerCall, wish: Wish) -> int:
    """Send the request, and give the time just before, in microseconds."""
    office = adapter_for(call.chain).office()
    chain = next((each for each in config.chains if each.chain == call.chain), None)
    if chain is None:
        raise ConfigError(
            "node.toml", f"expected the chain {call.chain}, got none of it", remedy="tocsin chain add"
        )
    check_allowed(settings, office, chain, wish)
    account = open_account(wish)
    began_us = time.time_ns() // 1_000  # noqa: TID251 - the command is the outermost: nobody hands it a clock
    sent = send_calls(settings, office, chain, account, [call])
    if not sent[-1].succeeded:
        remedy = "the bell listens to its operator alone"
        raise ConfigError(
            f"{call.to} on {call.chain}", f"the request was refused: {sent[-1].reason}", remedy=remedy
        )
    return began_us


# ---- following


def _follow(
    settings: Settings, asked: Sequence[_Asked], before: set[str], wait_s: float, requested_us: int | None
) -> DrillReport | None:
    """Wait until every member that was asked reads every act in effect, or the time is over."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=settings.console(error=True), disable=settings.quiet or settings.json
    ) as bar:
        task = bar.add_task("waiting for the edge")

        def tell(text: str) -> None:
            bar.update(task, description=text)

        return asyncio.run(_watch(asked, before, wait_s, requested_us, tell))


async def _watch(
    asked: Sequence[_Asked],
    before: set[str],
    wait_s: float,
    requested_us: int | None,
    tell: Callable[[str], None],
) -> DrillReport | None:
    found: DrillReport | None = None
    try:
        async with asyncio.timeout(wait_s):
            while found is None or not found.is_complete:
                found = await asyncio.to_thread(_look, asked, before, requested_us) or found
                if found is not None:
                    done = sum(view.is_complete for view in found.views)
                    tell(f"in effect on {done} of {len(asked)} members asked")
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    return found


def _look(asked: Sequence[_Asked], before: set[str], requested_us: int | None) -> DrillReport | None:
    """Ask every member for the new decision that took effect, or else for the first new one."""
    new = [each for each in _decisions(asked[0].client) if str(each.get("id")) not in before]
    if not new:
        return None
    chosen = next((each for each in new if member_view("", each).is_started), new[0])
    name = str(chosen.get("id"))
    views: list[MemberView] = []
    for member in asked:
        same = (each for each in _decisions(member.client) if str(each.get("id")) == name)
        views.append(member_view(member.name, next(same, {})))
    return make_report(RULE, chosen, views, requested_us)


def _decisions(client: NodeClient) -> list[Mapping[str, object]]:
    """Give a node's decisions of drills, of its newest incidents."""
    _, listed = client.get("/v1/incidents")
    items = listed.get("incidents")
    drills = [each for each in (items if isinstance(items, list) else []) if _is_drill(each)]
    incidents: list[Mapping[str, object]] = []
    for each in drills[:MAX_INCIDENTS]:
        try:
            _, answer = client.get(f"/v1/incidents/{quote(str(each['id']), safe='')}")
        except NodeRefusal:
            continue  # it was forgotten between the two questions
        incident = answer.get("incident")
        incidents += [incident] if isinstance(incident, dict) else []
    return list(drill_decisions(incidents, RULE))


def _is_drill(incident: object) -> bool:
    return isinstance(incident, dict) and incident.get("rule") == RULE and "id" in incident


# ---- what is kept, and how it looks


def keep(config: NodeConfig, drill: DrillReport) -> Path:
    """Write a drill's report beside the node's state, and give the file."""
    folder = _folder(config)
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{drill.began_us}-{drill.decision[:16]}.json"
    file.write_text(json.dumps(drill.document(), indent=2) + "\n")
    return file


def show(console: Console, drill: DrillReport) -> None:
    """Print a drill for people."""
    mark = shown.YES_MARK if drill.is_complete else shown.NO_MARK
    words = "in effect on every member that was asked" if drill.is_complete else "not in effect everywhere"
    console.print(f"{mark} {words}")
    since = "the request" if drill.requested_us is not None else "the first member's edge"
    rows = [
        [stage, *(f"{at:,.0f} ms" for at in times)] for stage in STAGES if (times := drill.stage_ms(stage))
    ]
    shown.table(console, ("stage", "first member", "last member"), rows)
    console.print(f"since {since}, by each member's own clock", style="dim")
    console.print()
    acts = drill.views[0].acts if drill.views else ()
    columns = ("act", "chain", "effect", "block", "after the anchor", "gas")
    shown.table(console, columns, [_act_row(act, drill.anchor_timestamp) for act in acts])


def _act_row(act: DrillAct, since: int) -> list[object]:
    after = None if act.timestamp is None else f"{act.timestamp - since} s of chain time"
    return [act.name, act.chain, act.effect, act.block, after, act.gas_used]


def _row(drill: Mapping[str, object]) -> list[object]:
    stages = drill.get("stages_ms")
    times = stages if isinstance(stages, dict) else {}
    last = [value.get("last") if isinstance(value := times.get(stage), dict) else None for stage in STAGES]
    return [str(drill.get("decision"))[:16], drill.get("complete") is True, *last]


def _folder(config: NodeConfig) -> Path:
    return config.directory.path / "drills"


def _read(file: Path) -> Mapping[str, object]:
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(str(file), f"expected a drill's report, got: {error}", remedy="remove it") from None
    if not isinstance(document, dict):
        raise ConfigError(str(file), "expected a drill's report, got something else", remedy="remove it")
    return document


drill = LazyGroup(
    "drill",
    {
        "run": Lazy("relay.cli.drill:run", "Ask for a drill, and follow it to its effect on every chain."),
        "report": Lazy("relay.cli.drill:report", "Show the drills that were run from this home."),
    },
    help="Drills: a harmless call the whole way through the running network, and how long each stage took.",
)

__all__ = ["drill", "find_drill_plan", "keep", "report", "request_call", "run", "show"]
