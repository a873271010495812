"""What an owner must call to bring a gateway to a plan, in order. Pure.

What takes power away, or needs no notice, works now. What gives the network more power is announced first,
and works after the gateway's delay. Acts come before the plan that uses them; acts that the plan no longer
has go last, once the plan before is out of force, unless one stands in the way of a new act's getter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.cli.gateway_reading import PlannedAct, PlannedGateway
from relay.cli.gateway_words import budget_words, instant, is_sound, keys_of, permit_words, span
from relay.core.gateway_report import ActReport, BudgetReport, GatewayReport, PlansReport
from relay.core.office import (
    Announce,
    Change,
    GatewayOffice,
    OwnerCall,
    Proposal,
    RegisterAct,
    RevokeAct,
    SetBudget,
    SetPlan,
)
from relay.core.plan import Mode, Plan
from relay.core.types import ActId, PlanHash

NO_PLAN = PlanHash(bytes(32))


class Stage(StrEnum):
    """When a step works; in the order of time."""

    NOW = "now"
    NOTICE = "notice"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the owner, and when it works."""

    stage: Stage
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Task:
    """A plan and the gateway that shall carry it; `report` None where nobody was asked.

    `place` has this plan alone. `overlap_s` is how long both plans stay in force.
    """

    office: GatewayOffice
    place: PlannedGateway
    plan: Plan
    report: GatewayReport | None
    overlap_s: int

    @property
    def needs_notice(self) -> bool:
        """Whether more power must be announced."""
        return self.report is not None and self.report.is_sealed

    @property
    def now(self) -> int:
        """The chain's time, 0 where nobody was asked."""
        return 0 if self.report is None else self.report.block.timestamp

    @property
    def deployed(self) -> Mapping[ActId, ActReport]:
        """The acts that are on."""
        acts = () if self.report is None else self.report.acts
        return {act.act_id: act for act in acts if act.is_on}

    def call(self, change: Change) -> OwnerCall:
        """A change as the owner's call."""
        return self.office.owner_call(self.place.chain, self.place.gateway, change)


def steps(task: Task) -> tuple[Step, ...]:
    """Everything that is still to be called; nothing where the gateway is as the plan says."""
    moved = tuple(_in_the_way(task))
    made = [*(step for act in task.place.acts for step in _act(task, act, moved)), *_budget(task)]
    waits = any(step.stage is Stage.NOTICE for step in made)
    plan = tuple(_plan(task, waits=waits))
    stages = list(Stage)
    found = (*made, *plan, *_revocations(task, moved, plan))
    return tuple(sorted(found, key=lambda step: stages.index(step.stage)))


def _step(
    task: Task, change: Change, words: str, stage: Stage = Stage.NOW, *, more: bool = False, at: int = 0
) -> Step:
    return Step(stage, Proposal(task.call(change), words, more, at or None))


def _noticed(task: Task, change: RegisterAct | SetBudget, words: str) -> Iterator[Step]:
    """A change that gives power: at once while nothing is sealed, else announced, else when it is due."""
    if not task.needs_notice or task.report is None:
        yield _step(task, change, words, more=True)
        return
    id_ = task.call(change).id
    known = next((each for each in task.report.scheduled if each.id == id_), None)
    if known is None:
        delay_s = task.report.weakening_delay_s
        announcement = f"announce, {span(delay_s)} ahead: {words}"
        yield _step(task, Announce(change), announcement)
        yield _step(task, change, words, Stage.NOTICE, more=True, at=task.now + delay_s)
    elif known.ready_at > task.now:
        yield _step(task, change, words, Stage.NOTICE, more=True, at=known.ready_at)
    else:
        yield _step(task, change, f"{words} (announced; lapses {instant(known.lapses_at)})", more=True)


# ---- acts


def _act(task: Task, planned: PlannedAct, moved: tuple[ActReport, ...]) -> Iterator[Step]:
    encoded, tier, duration_s = planned.encoded, planned.act.tier, planned.act.lasts_s
    old = task.deployed.get(encoded.act_id)
    change = RegisterAct(encoded, tier, duration_s)
    terms = task.office.terms(encoded)
    text = planned.act.text
    plain = ActReport(encoded.act_id, encoded.act_hash, terms, int(tier), duration_s, True, None, None)
    told = task.place.terms_of(plain) or terms
    words = permit_words(text.name, told, int(tier), duration_s, keys_of(task.report))
    if old is None or old.act_hash != encoded.act_hash:
        *before, made = _noticed(task, change, words + _open_words(old))
        yield from before
        for each in moved:
            if each.terms is not None and each.terms.getter == terms.getter:
                why = f"{text.name} reads the same state, and no two acts may{_open_words(each)}"
                yield _revocation(task, each, why, made.stage, made.proposal.ready_at or 0)
        yield made
    elif tier < old.tier or duration_s > old.duration_s:
        yield from _noticed(task, change, f"{words} (now: {_limits(old)})")
    elif tier > old.tier or duration_s < old.duration_s:
        yield _step(task, change, f"restrict {text.name}: {words} (now: {_limits(old)})")


def _limits(act: ActReport) -> str:
    return f"tier {act.tier}, {span(act.duration_s)}"


def _open_words(old: ActReport | None) -> str:
    if old is None or old.record is None or not old.record.is_open:
        return ""
    until = instant(old.record.until)
    return f"; refused while the record of before is open (until {until}, or its release or dismissal)"


def _in_the_way(task: Task) -> Iterator[ActReport]:
    """Acts that the plan no longer has, whose getter one of its new acts needs."""
    getters = {task.office.terms(each.encoded).getter for each in task.place.acts}
    kept = {each.encoded.act_id for each in task.place.acts}
    for act in task.deployed.values():
        if act.act_id not in kept and act.terms is not None and act.terms.getter in getters:
            yield act


def _revocation(task: Task, act: ActReport, why: str, stage: Stage = Stage.NOW, at: int = 0) -> Step:
    terms = act.terms
    what = "unreadable" if terms is None else f"{terms.call} on {terms.target}"
    words = f"revoke {task.place.name_of(act.act_id)} ({what}): {why}; an open record can still be undone"
    return _step(task, RevokeAct(act.act_id), words, stage, at=at)


def _revocations(task: Task, moved: tuple[ActReport, ...], plan: tuple[Step, ...]) -> Iterator[Step]:
    kept = {each.encoded.act_id for each in task.place.acts} | {each.act_id for each in moved}
    until = _overlap_end(task, plan)
    for act in task.deployed.values():
        if act.act_id in kept:
            continue
        stage = Stage.OVERLAP if until else Stage.NOW
        yield _revocation(task, act, "the plan does not have it", stage, until)


def _overlap_end(task: Task, plan: tuple[Step, ...]) -> int:
    """When the plan before is out of force; 0 where none is."""
    report = task.report
    if report is None or report.plans.current in (NO_PLAN, task.plan.hash):
        return 0
    if report.plans.following == task.plan.hash:
        return report.plans.overlap_until
    return _overlap_until(task, plan[0].proposal.ready_at) if plan else 0


# ---- budget and plan


def wanted_budget(plan: Plan) -> BudgetReport:
    """The plan's budget as a gateway has it."""
    asked = plan.budget
    return BudgetReport(asked.fast_time_s, asked.frozen_time_s, asked.fast_records)


def _budget(task: Task) -> Iterator[Step]:
    wanted, report = wanted_budget(task.plan), task.report
    window_s = task.plan.budget.window_s if report is None else report.window_s
    words = f"set the budget: {budget_words(wanted, window_s)}"
    if report is None:
        yield _step(task, SetBudget(wanted), words, more=True)
        return
    old = report.budget
    if wanted == old:
        return
    words += f" (now: {span(old.fast_s)}, {span(old.all_s)}, {old.fast_records})"
    grows = wanted.fast_s > old.fast_s or wanted.all_s > old.all_s or wanted.fast_records > old.fast_records
    if grows:
        yield from _noticed(task, SetBudget(wanted), words)
    else:
        yield _step(task, SetBudget(wanted), words)


def _overlap_until(task: Task, ready_at: int | None) -> int:
    return max(task.now, ready_at or 0) + task.overlap_s


def _plan(task: Task, *, waits: bool) -> Iterator[Step]:
    """The plan goes in force after the acts that it uses."""
    digest, report = task.plan.hash, task.report
    name = f"plan {task.plan.protocol} {task.plan.version} ({digest.hex()})"
    alone = PlansReport(digest, NO_PLAN, 0)
    if report is None or (report.plans.current == NO_PLAN and report.plans.following == NO_PLAN):
        sealing = "" if report is not None and report.is_sealed else _sealing(report)
        yield _step(task, SetPlan(alone), f"put {name} in force{sealing}{_mode(task.plan)}", more=True)
        return
    plans = report.plans
    if digest == plans.following or (digest == plans.current and plans.following == NO_PLAN):
        return
    if digest == plans.current:
        words = f"keep {name}, and drop {task.place.plan_name(plans.following)} that would follow"
        yield _step(task, SetPlan(alone), words)
        return
    ready_at = _latest_notice(task) if waits else 0
    until = _overlap_until(task, ready_at)
    words = (
        f"put {name} in force, beside {task.place.plan_name(plans.current)} until {instant(until)} and alone"
        f" afterwards; must land before then{_mode(task.plan)}"
    )
    change = SetPlan(PlansReport(plans.current, digest, until))
    yield _step(task, change, words, Stage.NOTICE if waits else Stage.NOW, more=True, at=ready_at)


def _latest_notice(task: Task) -> int:
    report = task.report
    assert report is not None
    pending = [each.ready_at for each in report.scheduled]
    return max([*pending, task.now + report.weakening_delay_s])


def _sealing(report: GatewayReport | None) -> str:
    notice = "the gateway's notice" if report is None else f"{span(report.weakening_delay_s)} of notice"
    return f"; seals the gateway for ever: from then on more power takes {notice}"


def _mode(plan: Plan) -> str:
    return "" if plan.mode is Mode.ARMED else "; it is in shadow mode: nodes sign nothing for it"


# ---- what else is to be said


def remarks(task: Task) -> tuple[str, ...]:
    """What stands in the way of the plan, or will surprise somebody."""
    report = task.report
    if report is None:
        return ("no endpoint was asked: written as for a new gateway, with nothing registered and no plan",)
    return tuple(_remarks(task, report))


def _remarks(task: Task, report: GatewayReport) -> Iterator[str]:
    if not report.code.is_ours or report.code.is_rebuilt is False:
        yield "the code at this address is not this version's build: run tocsin gateway verify first"
    yield from _trusted(report)
    if task.plan.budget.window_s != report.window_s:
        yield (
            f"the plan's budget window is {span(task.plan.budget.window_s)}, the gateway's is"
            f" {span(report.window_s)} for ever: change the plan, or deploy another gateway"
        )
    for each in task.place.acts:
        longest_s = report.window_s - report.skew_s
        if each.act.lasts_s > longest_s:
            yield f"{each.name} lasts {span(each.act.lasts_s)}, the gateway takes at most {span(longest_s)}"
    if report.is_paused:
        yield "the gateway is paused: nothing starts until its owner calls unpauseGateway()"
    if report.pending_owner:
        yield f"ownership is being handed to {report.pending_owner}"
    yield from _strangers(task, report)


def _trusted(report: GatewayReport) -> Iterator[str]:
    """Who could use the power that is given, where it is not plainly the committee."""
    verifier = report.verifier
    if report.verifier_address is None:
        yield "no verifier is set: no mandate is accepted until the owner calls setVerifier"
    elif verifier is None or not is_sound(verifier):
        yield (
            f"the verifier {report.verifier_address} is not this version's build, or holds keys that it does"
            " not show: anybody might use what is permitted here; run tocsin gateway verify first"
        )
    if report.refused_from is not None:
        yield f"mandates of key epoch {report.refused_from} and later are refused"


def _strangers(task: Task, report: GatewayReport) -> Iterator[str]:
    """Announced changes that this plan does not ask for."""
    ours = {task.call(RegisterAct(a.encoded, a.act.tier, a.act.lasts_s)).id for a in task.place.acts}
    ours.add(task.call(SetBudget(wanted_budget(task.plan))).id)
    for scheduled in report.scheduled:
        if scheduled.id not in ours:
            when = instant(scheduled.ready_at)
            yield (
                f"announced, and not of this plan: 0x{scheduled.id.hex()}, from {when}; owner or guardian can"
                " cancel it"
            )
    if not report.is_all_scheduled:
        yield f"what was announced before block {report.scheduled_since} was not looked for"


__all__ = ["Stage", "Step", "Task", "remarks", "steps", "wanted_budget"]
