"""The executable model of decisions and gateways together: one reference chain, two gateways, honest
members, others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proofs.mandate import Op, Tier
from tests.sim.gateway import Order, Rule
from tests.sim.model.target import Target
from tests.sim.model.terms import (
    CAP,
    DRAIN,
    DURATION,
    FAST_LIFE,
    FINALITY,
    FULL_LIFE,
    HORIZON,
    MAX_DELAY,
    PAUSE,
    RELEASE_HOLD,
    RUNG_STEP,
    SKEW,
    SLOT,
    WITHIN,
    AnyRule,
    Bring,
    DecisionRule,
    Forge,
    Happening,
    Meddle,
    Outage,
    Poke,
    Property,
    RuleTurns,
    Schedule,
    random_schedule,
)

FAR_FUTURE = 10**6
NO_GAP_AFTER = SLOT + FINALITY + MAX_DELAY + 1


@dataclass
class Decision:
    """A decision on its way: when it may be signed, and since when its certificate exists."""

    order: Order
    act: str
    ready: int
    certified: int | None = None


@dataclass
class Sight:
    """What final blocks show of one tick: each act's ends on both chains."""

    ends: dict[str, list[tuple[int, Tier]]]
    is_spent: bool


@dataclass
class World:
    """The state of one run."""

    schedule: Schedule
    rules: frozenset[AnyRule]
    decisions: list[Decision] = field(default_factory=list)
    """Those whose mandates are not over."""
    protected: dict[str, int] = field(default_factory=dict)
    """When each act's newest protection was decided."""
    released: dict[str, list[int]] = field(default_factory=lambda: {PAUSE: [], CAP: []})
    capped: list[int] = field(default_factory=list)
    edges: dict[int, int] = field(default_factory=dict)
    rungs: list[int] = field(default_factory=list)
    history: list[bool] = field(default_factory=list)
    ups: list[bool] = field(default_factory=list)
    stalls: list[bool] = field(default_factory=list)
    affordable: tuple[list[bool], list[bool]] = field(default_factory=lambda: ([], []))
    sights: list[Sight] = field(default_factory=list)
    rule: bool = False
    down_until: int = -1
    stall_until: int = -1

    def __post_init__(self) -> None:
        self.targets = [Target(number, self.schedule.conditions, self.rules) for number in (0, 1)]
        self._by_tick: dict[int, list[Happening]] = {}
        for each in self.schedule.happenings:
            self._by_tick.setdefault(each.tick, []).append(each)

    @property
    def found(self) -> dict[Property, str]:
        """Give the broken properties, and how each was."""
        return self.targets[0].found | self.targets[1].found

    def run(self) -> dict[Property, str]:
        """Run the schedule until something breaks or everything is over."""
        for tick in range(HORIZON + DRAIN):
            self._tick(tick, [] if tick >= HORIZON else self._by_tick.get(tick, []))
            if self.found:
                return self.found
        for target in self.targets:
            for act, record in target.gateway.records.items():
                target.blame(Property.ENDS, f"{act} never ended: {record}")
        if self.schedule.conditions.stolen is None:
            self._judge_rungs()
        return self.found

    def _tick(self, tick: int, happenings: Sequence[Happening]) -> None:
        for target in self.targets:
            target.tick, target.ends_now, target.released_now = tick, [], []
        self._turn(tick, happenings)
        self.decisions = [each for each in self.decisions if tick <= each.order.not_after + SKEW]
        self._decide(tick)
        for decision in self.decisions:
            may_sign = decision.order.tier is Tier.FAST or self.schedule.conditions.full_lives
            if (
                decision.certified is None
                and self.ups[tick]
                and may_sign
                and self._is_signable(decision, tick)
            ):
                decision.certified = tick
        self._others(happenings, is_late=False)
        self._submit(tick)
        self._others(happenings, is_late=True)
        self._look(tick)
        for target in self.targets:
            self._judge(target, tick)

    def _turn(self, tick: int, happenings: Sequence[Happening]) -> None:
        for each in happenings:
            if isinstance(each, RuleTurns):
                self.rule = each.value
            elif isinstance(each, Outage) and each.chain is None:
                self.down_until = tick + each.length
            elif isinstance(each, Outage):
                self.stall_until = tick + each.length
        self.rule = self.rule and tick < HORIZON
        self.history.append(self.rule)
        self.ups.append(tick >= self.down_until)
        self.stalls.append(tick < self.stall_until)

    def _is_signable(self, decision: Decision, tick: int) -> bool:
        return decision.ready <= tick <= decision.order.not_after

    # ---- deciding: a function of the reference chain alone

    def _decide(self, tick: int) -> None:
        slot = tick // SLOT
        if self.rule and slot not in self.edges:
            self.edges[slot] = tick
            self.rungs.append(tick)
            self._decide_pause(tick)
        for edge in [edge for edge in self.rungs if tick >= edge + RUNG_STEP]:
            is_over = DecisionRule.DODGED_RUNG not in self.rules or tick >= edge + SLOT
            if self.rule:
                self._open(tick, Op.PROTECT, Tier.FULL, CAP)
            if self.rule or is_over:
                self.rungs.remove(edge)
        if tick % SLOT == 0 and tick < HORIZON and self.sights:
            self._decide_ends(tick, self.sights[max(0, tick - FINALITY)])

    def _decide_pause(self, tick: int) -> None:
        if DecisionRule.BOTH_TIERS in self.rules:
            self._open(tick, Op.PROTECT, Tier.FAST, PAUSE)
            self._open(tick, Op.PROTECT, Tier.FULL, PAUSE)
            return
        seen = self.sights[max(0, tick - FINALITY)] if self.sights else None
        tier = Tier.FULL if seen is not None and seen.is_spent else Tier.FAST
        self._open(tick, Op.PROTECT, tier, PAUSE)

    def _decide_ends(self, tick: int, seen: Sight) -> None:
        quiet = next((i for i, value in enumerate(reversed(self.history)) if value), len(self.history))
        for act, ends in seen.ends.items():
            if ends and quiet >= RELEASE_HOLD:
                self._open(tick, Op.RELEASE, Tier.FULL, act)
            elif any((until - tick) * 2 < DURATION[tier] for until, tier in ends):
                self._open(tick, Op.EXTEND, Tier.FULL, act)

    def _open(self, tick: int, op: Op, tier: Tier, act: str) -> None:
        life = FAST_LIFE if tier is Tier.FAST or op is Op.RELEASE else FULL_LIFE
        order = Order(op, tier, tick, tick + life, DURATION[tier], tick)
        self.decisions.append(Decision(order, act, tick + (1 if tier is Tier.FAST else FINALITY)))
        if op is Op.RELEASE:
            self.released[act].append(tick)
        elif op is Op.PROTECT:
            self.protected[act] = tick
            if act == CAP:
                self.capped.append(tick)

    # ---- transactions

    def _others(self, happenings: Sequence[Happening], *, is_late: bool) -> None:
        for each in happenings:
            if isinstance(each, RuleTurns | Outage) or each.is_late is not is_late:
                continue
            if each.chain == 1 and self.stalls[-1]:
                continue
            self._other(each, self.targets[each.chain])

    def _other(self, happening: Bring | Poke | Meddle | Forge, target: Target) -> None:
        match happening:
            case Bring(op=op, newest_first=newest_first):
                held = [each for each in self._live() if each.order.op is op]
                for decision in reversed(held) if newest_first else held:
                    target.execute(decision.order, decision.act)
            case Poke():
                for act in (PAUSE, CAP):
                    target.expire(act)
            case Meddle(act=act, how=how, value=value):
                target.meddle(act, how, value)
            case Forge(op=op, act=act):
                self._forge(op, act, target)

    def _forge(self, op: Op, act: str, target: Target) -> None:
        tier = self.schedule.conditions.stolen
        if tier is None:
            return
        tick = target.tick
        order = Order(op, tier, tick, tick + FULL_LIFE, DURATION[tier], decided_at=FAR_FUTURE)
        target.execute(order, PAUSE if tier is Tier.FAST else act)

    def _live(self) -> list[Decision]:
        return [each for each in self.decisions if each.certified is not None]

    def _submit(self, tick: int) -> None:
        if not self.ups[tick]:
            return
        for target in self.targets:
            if self.stalls[tick] and target.number == 1:
                continue
            for decision in sorted(self._live(), key=lambda each: each.order.op is not Op.PROTECT):
                self._submit_one(decision, target)
            for act in (PAUSE, CAP):
                target.expire(act)

    def _submit_one(self, decision: Decision, target: Target) -> None:
        order, delays = decision.order, self.schedule.conditions.delays
        assert decision.certified is not None
        is_due = target.tick >= decision.certified + delays[order.decided_at % len(delays)]
        if is_due and not self._is_needless(decision, target):
            target.execute(order, decision.act)

    def _is_needless(self, decision: Decision, target: Target) -> bool:
        """SPEC 6.6: what honest members do not send."""
        order, act = decision.order, decision.act
        if order.op is Op.RELEASE:
            since = self.protected.get(act, -1) >= order.not_before
            return self.rule or (since and Rule.RELEASE_OVER_LAST in self.rules)
        record = target.gateway.records.get(act)
        if record is None or target.gateway.states[act] != target.gateway.acts[act].value:
            return False
        after_release = DecisionRule.AFTER_RELEASE in self.rules and any(
            record.last < each <= order.not_before for each in self.released[act]
        )
        return (record.until - target.now) * 2 > order.duration and not after_release

    # ---- judging

    def _look(self, tick: int) -> None:
        ends = {
            act: [
                (record.until, record.tier)
                for target in self.targets
                if (record := target.gateway.records.get(act)) is not None
            ]
            for act in (PAUSE, CAP)
        }
        is_spent = any(
            not target.gateway.can_pay(Tier.FAST, target.now, starts=PAUSE not in target.gateway.records)
            for target in self.targets
        )
        self.sights.append(Sight(ends, is_spent))

    def _judge(self, target: Target, tick: int) -> None:
        conditions, gateway = self.schedule.conditions, target.gateway
        held = [
            act
            for act, record in gateway.records.items()
            if record.until > target.now and gateway.states[act] == gateway.acts[act].value
        ]
        target.frozen.append(len(held))
        can_fast = gateway.can_pay(Tier.FAST, target.now, starts=PAUSE not in gateway.records)
        can_full = conditions.full_lives and gateway.can_pay(Tier.FULL, target.now, starts=False)
        self.affordable[target.number].append(can_fast or can_full)
        if conditions.stolen is not None:
            total = sum(target.frozen[-conditions.budget.window :])
            cap = conditions.budget.fast if conditions.stolen is Tier.FAST else conditions.budget.all
            if total > cap:
                target.blame(Property.POWER, f"{total} ticks frozen in {conditions.budget.window}, cap {cap}")
            return
        self._judge_releases(target, tick)
        if self._ruled(target, tick, WITHIN) and not gateway.acts[PAUSE].protects(gateway.states[PAUSE]):
            target.blame(Property.PROTECTED, f"rule true for {WITHIN} ticks, {gateway.records}")
        if PAUSE in target.ends_now and self._ruled(target, tick, NO_GAP_AFTER):
            how = gateway.ends[-1].how
            if how in ("expire", "release"):
                target.blame(Property.NO_GAP, f"{how} while the rule is true for {NO_GAP_AFTER} ticks")

    def _judge_releases(self, target: Target, tick: int) -> None:
        """A release must not undo what members had time to protect after it was decided."""
        for act, decided_at in target.released_now:
            for decision in self.decisions:
                is_newer = decision.act == act and decision.order.op is Op.PROTECT
                is_newer = is_newer and decision.order.decided_at > decided_at
                if not is_newer or decision.certified is None:
                    continue
                since = decision.certified + MAX_DELAY + SKEW
                had_time = all(self.ups[decision.certified :]) and not any(self.stalls[decision.certified :])
                could_pay = all(self.affordable[target.number][decision.certified :])
                if tick > since and had_time and could_pay:
                    why = f"a release of {decided_at} undoes {act}, protected at {decision.order.decided_at}"
                    target.blame(Property.NO_GAP, why)

    def _ruled(self, target: Target, tick: int, ticks: int) -> bool:
        """Tell whether the rule was true, members up, the chain alive and the budget unspent for so long."""
        return (
            ticks <= tick < HORIZON
            and all(self.history[-ticks:])
            and all(self.ups[-ticks:])
            and (target.number == 0 or not any(self.stalls[-ticks - 2 :]))
            and all(self.affordable[target.number][-ticks:])
            and target.meddled[PAUSE] < tick - ticks
        )

    def _judge_rungs(self) -> None:
        for edge in self.edges.values():
            following = self.history[edge : edge + 2 * SLOT]
            is_dodged_only = len(following) == 2 * SLOT and sum(following) >= 2 * SLOT - 2
            is_decided = any(edge <= each <= edge + 2 * SLOT for each in self.capped)
            if is_dodged_only and not is_decided:
                self.targets[0].blame(Property.RUNG, f"edge {edge}: the second rung was never decided")


def broken_by(schedule: Schedule, rules: frozenset[AnyRule]) -> dict[Property, str]:
    """Run a schedule under a set of rules."""
    return World(schedule, rules).run()


def shrunk(schedule: Schedule, rules: frozenset[AnyRule], wanted: Property) -> Schedule:
    """Delete happenings as long as the property stays broken."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for index in reversed(range(len(schedule.happenings))):
            fewer = (*schedule.happenings[:index], *schedule.happenings[index + 1 :])
            smaller = replace(schedule, happenings=fewer)
            if wanted in broken_by(smaller, rules):
                schedule, is_smaller = smaller, True
    return schedule


def first_broken(
    rules: frozenset[AnyRule], *, seed: int, schedules: int
) -> tuple[int, Property, str, Schedule] | None:
    """Search seeded schedules; give the number of the first that breaks something, and how."""
    for number in range(schedules):
        schedule = random_schedule(random.Random(seed * 10_000_000 + number))
        found = broken_by(schedule, rules)
        for wanted, why in found.items():
            return number, wanted, why, shrunk(schedule, rules, wanted)
    return None
