"""What an owner must call, in order and in words; the rules of notice are the gateway's (GATEWAY.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters.evm import adapter
from adapters.evm.office import EvmOffice
from proofs.mandate import Tier
from relay.cli.gateway_changes import Stage, Task, remarks, steps
from relay.cli.gateway_reading import gateways_of
from relay.core.gateway_report import (
    ActReport,
    BudgetReport,
    CodeReport,
    GatewayReport,
    PlansReport,
    RecordReport,
    ScheduledReport,
)
from relay.core.office import Announce, Change, RegisterAct, SetBudget
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan
from relay.core.types import PlanHash
from tests.adapters.evm.office.bench import PLAN
from tests.cli.gateways import CHAIN, DAY, HOUR, NOW, act_report, gateway_report

OFFICE = EvmOffice()
NONE = PlanHash(bytes(32))
OLD = PlanHash(b"\x0a" * 32)
GATEWAY, REPLICA = "0x" + "11" * 20, "0x" + "22" * 20
CAP = f"""
[acts.cap]
verb = "cap"
chain = "{CHAIN}"
target = "{REPLICA}"
call = "setCap(uint256 0)"
state = "cap()"
value = 0
restore = "setCap(uint256 _)"
compare = "<="
tier = "full"
lasts = "72h"
"""


def a_plan(version: int = 2, *, lasts: str = "6h", fast_time: str = "24h", more: str = "") -> Plan:
    text = PLAN.format(
        version=version, chain=CHAIN, gateway=GATEWAY, replica=REPLICA, lasts=lasts, fast_time=fast_time,
        more=more,
    )  # fmt: skip
    return parse_plan(text, where="acme.plan.toml")


def task_of(plan: Plan, report: GatewayReport | None) -> Task:
    (place,) = gateways_of([plan])
    return Task(OFFICE, place, plan, report, 7 * DAY)


def deployed(plan: Plan, name: str = "halt-replica", **changes: object) -> ActReport:
    """The plan's act as it stands registered, or with other limits."""
    act = plan.acts[name]
    encoded = adapter().encode_act(act.text)
    as_planned = act_report(
        name,
        tier=int(act.tier),
        duration_s=act.lasts_s,
        act_hash=encoded.act_hash,
        terms=OFFICE.terms(encoded),
    )
    return replace(as_planned, **changes)


def told(task: Task) -> list[tuple[str, str]]:
    """Stage and method of every step."""
    return [(step.stage.value, step.proposal.call.method.partition("(")[0]) for step in steps(task)]


def announced(task: Task, change: Change, ready_at: int) -> ScheduledReport:
    return ScheduledReport(task.call(change).id, ready_at, ready_at + 14 * DAY, None)


def in_force(plan: Plan) -> PlansReport:
    return PlansReport(plan.hash, NONE, 0)


def test_nobody_asked_means_everything_a_new_gateway_needs() -> None:
    task = task_of(a_plan(), None)

    assert told(task) == [("now", "registerAct"), ("now", "setBudget"), ("now", "setPlan")]
    assert remarks(task) == (
        "no endpoint was asked: written as for a new gateway, with nothing registered and no plan",
    )


def test_nothing_is_to_be_done_where_the_gateway_is_as_the_plan_says() -> None:
    plan = a_plan()

    assert steps(task_of(plan, gateway_report(acts=(deployed(plan),), plans=in_force(plan)))) == ()


def test_before_the_first_plan_nothing_needs_notice_and_the_plan_seals() -> None:
    task = task_of(a_plan(fast_time="48h"), gateway_report(is_sealed=False))

    assert told(task) == [("now", "registerAct"), ("now", "setBudget"), ("now", "setPlan")]
    assert "seals the gateway for ever: from then on more power takes 2 d of notice" in words(task)[-1]


def words(task: Task) -> Sequence[str]:
    return [step.proposal.words for step in steps(task)]


def test_the_words_of_a_permission_are_these() -> None:
    first = words(task_of(a_plan(more=CAP), gateway_report(is_sealed=False)))

    assert first[0] == (
        "permit cap: a full (3 of 4) quorum only may call setCap(uint256 0) on"
        " 0x2222222222222222222222222222222222222222, for at most 3 d at a time, with 200,000 gas; protected"
        " when cap() <= 0; undone by setCap(uint256 _), with what was read before the call"
    )  # fmt: skip
    assert first[1] == (
        "permit halt-replica: a fast (2 of 4) or a full (3 of 4) quorum may call pause() on"
        " 0x2222222222222222222222222222222222222222, for at most 6 h at a time, with 150,000 gas; protected"
        " when paused() = 1; undone by unpause()"
    )


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"duration_s": 5 * HOUR}, "notice"),
        ({"tier": 2}, "notice"),
        ({"act_hash": b"\x09" * 32}, "notice"),
        ({"is_on": False}, "notice"),
        ({"duration_s": 7 * HOUR}, "now"),
        ({"duration_s": 7 * HOUR, "tier": 2}, "notice"),
    ],
)
def test_more_power_is_announced_and_less_works_at_once(changes: dict[str, object], stage: str) -> None:
    plan = a_plan()
    task = task_of(plan, gateway_report(acts=(deployed(plan, **changes),), plans=in_force(plan)))

    if stage == "now":
        assert told(task) == [("now", "registerAct")]
        assert words(task)[0].startswith("restrict halt-replica")
        assert not steps(task)[0].proposal.gives_power
        return
    assert told(task) == [("now", "schedule"), ("notice", "registerAct")]
    announcement, registration = steps(task)
    assert registration.proposal.ready_at == NOW + 2 * DAY
    assert registration.proposal.gives_power
    # The announcement is of exactly the later call.
    assert registration.proposal.call.data in announcement.proposal.call.data


def test_an_announced_change_is_not_announced_again_and_works_when_it_is_due() -> None:
    plan = a_plan(lasts="8h")
    report = gateway_report(acts=(deployed(plan, duration_s=6 * HOUR),), plans=in_force(plan))
    task = task_of(plan, report)
    change = RegisterAct(adapter().encode_act(plan.acts["halt-replica"].text), Tier.FAST, 8 * HOUR)

    early = replace(task, report=replace(report, scheduled=(announced(task, change, NOW + 60),)))
    due = replace(task, report=replace(report, scheduled=(announced(task, change, NOW),)))

    assert told(early) == [("notice", "registerAct")]
    assert steps(early)[0].proposal.ready_at == NOW + 60
    assert told(due) == [("now", "registerAct")]
    assert remarks(due) == ()


def test_a_budget_that_grows_in_one_part_is_announced_and_one_that_shrinks_is_not() -> None:
    plan = a_plan(fast_time="30h")
    grows = task_of(plan, gateway_report(acts=(deployed(plan),), plans=in_force(plan)))
    shrinks = task_of(
        plan,
        gateway_report(
            acts=(deployed(plan),), plans=in_force(plan), budget=BudgetReport(31 * HOUR, 22 * DAY, 3)
        ),
    )

    assert told(grows) == [("now", "schedule"), ("notice", "setBudget")]
    assert words(grows)[1] == (
        "set the budget: in any 30 d: at most 1 d 6 h frozen by fast mandates, 21 d in all, 3 new records by"
        " fast mandates (now: 1 d, 21 d, 3)"
    )  # fmt: skip
    assert told(shrinks) == [("now", "setBudget")]


def test_a_plan_goes_in_force_beside_the_old_one_after_the_acts_that_it_uses() -> None:
    plan = a_plan(more=CAP)
    task = task_of(plan, gateway_report(acts=(deployed(plan),), plans=PlansReport(OLD, NONE, 0)))

    assert told(task) == [("now", "schedule"), ("notice", "registerAct"), ("notice", "setPlan")]
    last = steps(task)[-1].proposal
    assert last.ready_at == NOW + 2 * DAY
    arguments = {each.name: each.text for each in last.call.arguments or ()}
    assert arguments == {
        "current": f"0x{OLD.hex()}",
        "next": f"0x{plan.hash.hex()}",
        "overlapUntil": str(NOW + 9 * DAY),
    }


def test_acts_that_the_plan_no_longer_has_go_when_the_old_plan_is_out_of_force() -> None:
    plan = a_plan()
    gone = act_report("gone", terms=replace(deployed(plan).terms, getter="another"))
    replaced = gateway_report(acts=(deployed(plan), gone), plans=PlansReport(OLD, NONE, 0))
    overlapping = replace(replaced, plans=PlansReport(OLD, plan.hash, NOW + DAY))
    alone = replace(replaced, plans=in_force(plan))

    assert told(task_of(plan, replaced)) == [("now", "setPlan"), ("overlap", "revokeAct")]
    assert steps(task_of(plan, replaced))[1].proposal.ready_at == NOW + 7 * DAY
    assert told(task_of(plan, overlapping)) == [("overlap", "revokeAct")]
    assert steps(task_of(plan, overlapping))[0].proposal.ready_at == NOW + DAY
    assert told(task_of(plan, alone)) == [("now", "revokeAct")]


def test_a_renamed_act_is_revoked_right_before_the_one_that_reads_the_same_state() -> None:
    plan = a_plan()
    old_name = replace(deployed(plan), act_id=act_report("stop-replica").act_id)
    sealed = gateway_report(acts=(old_name,), plans=in_force(plan))

    assert told(task_of(plan, sealed)) == [
        ("now", "schedule"),
        ("notice", "revokeAct"),
        ("notice", "registerAct"),
    ]
    assert told(task_of(plan, replace(sealed, is_sealed=False))) == [
        ("now", "revokeAct"),
        ("now", "registerAct"),
    ]
    assert "halt-replica reads the same state, and no two acts may" in words(task_of(plan, sealed))[1]


def test_a_changed_act_with_an_open_record_says_that_it_must_end_first() -> None:
    plan = a_plan()
    open_record = RecordReport(NOW + HOUR, NOW, 0, NOW, 0)
    changed = deployed(plan, act_hash=b"\x09" * 32, record=open_record)

    said = words(task_of(plan, gateway_report(acts=(changed,), plans=in_force(plan))))

    assert "refused while the record of before is open (until 2023-11-14 23:13:20 UTC" in said[1]


def test_an_older_plan_that_would_follow_is_dropped() -> None:
    plan = a_plan()
    task = task_of(plan, gateway_report(acts=(deployed(plan),), plans=PlansReport(plan.hash, OLD, NOW + DAY)))

    assert told(task) == [("now", "setPlan")]
    assert [each.text for each in steps(task)[0].proposal.call.arguments or ()][1:] == [f"0x{'00' * 32}", "0"]


def test_what_stands_in_the_way_is_remarked() -> None:
    plan = a_plan(lasts="8h")
    foreign = ScheduledReport(b"\x0c" * 32, NOW + 5, NOW + 14 * DAY, None)
    report = gateway_report(
        code=CodeReport(1, bytes(32), is_ours=False, is_rebuilt=None),
        window_s=7 * HOUR,
        is_paused=True,
        pending_owner="0x" + "77" * 20,
        scheduled=(foreign,),
    )

    assert remarks(task_of(plan, report)) == (
        "the code at this address is not this version's build: run tocsin gateway verify first",
        "the plan's budget window is 30 d, the gateway's is 7 h for ever: change the plan, or deploy another"
        " gateway",
        "halt-replica lasts 8 h, the gateway takes at most 6 h 59 min",
        "the gateway is paused: nothing starts until its owner calls unpauseGateway()",
        "ownership is being handed to 0x7777777777777777777777777777777777777777",
        f"announced, and not of this plan: 0x{'0c' * 32}, from 2023-11-14 22:13:25 UTC; owner or guardian can"
        " cancel it",
    )


def test_an_announcement_holds_the_very_bytes_of_the_later_call() -> None:
    task = task_of(a_plan(), gateway_report())
    later = SetBudget(BudgetReport(1, 2, 3))

    data = task.call(Announce(later)).data

    assert task.call(later).data in data


def test_the_stages_stand_in_the_order_of_time() -> None:
    assert list(Stage) == [Stage.NOW, Stage.NOTICE, Stage.OVERLAP]
