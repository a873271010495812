"""`tocsin drill`: which plan, which call, and how the members' words become latencies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay.cli.drill import find_drill_plan, request_call
from relay.cli.drill_stages import drill_decisions, make_report, member_view
from relay.cli.plan import read_plan
from relay.core.errors import ConfigError

CHAIN = "eip155:1"
BELL = "0x00000000000000000000000000000000000000Be"
PLAN = f"""
format = "tocsin/plan/1"
protocol = "PROTOCOL"
version = 1
mode = "armed"
reason = "A drill"
contacts = ["mailto:security@acme.example"]
[clock]
reference = "{CHAIN}"
rearm_s = 60
[chains."{CHAIN}"]
gateway = "0x0000000000000000000000000000000000000001"
targets = ["{BELL.lower()}"]
since = 1
[metrics.requests]
read = "event_count"
chain = "{CHAIN}"
from = "{BELL.lower()}"
event = "DrillRequested(uint256 indexed number)"
window = "1m"
[rules.RULE]
when = "requests >= 1"
ladder = [["ring"]]
[acts.ring]
verb = "drill"
chain = "{CHAIN}"
target = "{BELL.lower()}"
call = "ring()"
state = "ringing()"
value = true
undo = "hush()"
tier = "fast"
lasts = "5m"
gas = 60_000
"""


def plan_file(folder: Path, protocol: str = "acme-drill", rule: str = "drill") -> Path:
    file = folder / protocol / "1.plan.toml"
    file.parent.mkdir(parents=True)
    file.write_text(PLAN.replace("PROTOCOL", protocol).replace("RULE", rule))
    return file


class Node:
    """The part of a node's configuration that says where its plans are."""

    def __init__(self, plans: Path) -> None:
        self.plans = plans


def decision(name: str = "ab" * 32, **changes: object) -> dict[str, object]:
    act = {
        "act": "ring",
        "chain": CHAIN,
        "effect": "started",
        "gas_used": 90_000,
        "block": {"chain": CHAIN, "number": 12, "hash": "00" * 32, "timestamp": 1_012},
    }
    return {
        "id": name,
        "op": "protect",
        "subject": "drill",
        "anchor": {"chain": CHAIN, "number": 11, "hash": "11" * 32, "timestamp": 1_000},
        "attesters": 4,
        "acts": [act],
        "timeline_us": {"judged": 2_000_000, "certified": 2_040_000, "odd": "text"},
        **changes,
    }


def test_the_one_plan_with_a_rule_drill_is_the_drills(tmp_path: Path) -> None:
    plan_file(tmp_path)
    plan_file(tmp_path, "acme", rule="unbacked")

    assert find_drill_plan(Node(tmp_path), None).protocol == "acme-drill"


@pytest.mark.parametrize("protocols", [(), ("one", "two")])
def test_none_or_two_plans_with_a_rule_drill_are_named(tmp_path: Path, protocols: tuple[str, ...]) -> None:
    for protocol in protocols:
        plan_file(tmp_path, protocol)

    with pytest.raises(ConfigError, match=", ".join(protocols) or "none"):
        find_drill_plan(Node(tmp_path), None)


def test_the_request_goes_to_the_contract_whose_events_the_rule_counts(tmp_path: Path) -> None:
    call = request_call(read_plan(plan_file(tmp_path)))

    assert (call.chain, call.to, call.data.hex()) == (CHAIN, BELL, "338cdca1")


def test_a_plan_without_the_rule_has_no_request(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a rule drill"):
        request_call(read_plan(plan_file(tmp_path, rule="unbacked")))


def test_only_protect_decisions_of_the_rule_are_drills() -> None:
    incidents = [
        {"decisions": [decision("01"), decision("02", op="extend"), decision("03", subject="unbacked")]},
        {"decisions": "nonsense"},
        {},
    ]

    assert [each["id"] for each in drill_decisions(incidents, "drill")] == ["01"]


def test_stages_count_from_the_request_and_name_first_and_last_member() -> None:
    late = decision(timeline_us={"judged": 2_100_000, "certified": 2_200_000})
    views = [member_view("alice", decision()), member_view("bob", late)]

    report = make_report("drill", decision(), views, 1_900_000)

    assert report.is_complete
    assert report.stage_ms("judged") == (100.0, 200.0)
    assert report.stage_ms("certified") == (140.0, 300.0)
    assert report.stage_ms("landed") is None
    document = json.loads(json.dumps(report.document()))
    assert document["stages_ms"]["certified"] == {"first": 140.0, "last": 300.0}
    assert document["members"][0]["acts"][0]["chain_seconds_after_anchor"] == 12


def test_without_a_request_of_ours_the_first_edge_is_the_beginning() -> None:
    report = make_report("drill", decision(), [member_view("alice", decision())], None)

    assert report.stage_ms("certified") == (40.0, 40.0)
    assert report.document()["since"] == "first edge"


def test_a_member_that_reads_no_effect_makes_the_drill_incomplete() -> None:
    waiting = decision(acts=[{"act": "ring", "chain": CHAIN, "effect": None, "block": None}])
    views = [member_view("alice", decision()), member_view("bob", waiting), member_view("carol", {})]

    report = make_report("drill", decision(), views, 1)

    assert [view.is_complete for view in report.views] == [True, False, False]
    assert not report.is_complete
