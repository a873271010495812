"""The model's units, and what may happen in it: a schedule is a list of happenings, so that it shrinks by
deletion.

One tick stands for a few minutes. The spans keep the proportions of the real defaults.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from proofs.mandate import Op, Tier
from tests.sim.gateway import Budget, ModelAct, Rule

SLOT, FAST_LIFE, FULL_LIFE, FINALITY, RUNG_STEP, RELEASE_HOLD = 6, 6, 24, 3, 3, 8
DURATION = {Tier.FAST: 18, Tier.FULL: 36}
SKEW, MAX_DELAY = 2, 2
HORIZON, DRAIN = 130, 160
WITHIN = SLOT + FINALITY + MAX_DELAY + 2 * SKEW + 3
"""One slot and the way to the chain: within that, a true rule has its protection."""
PAUSE, CAP = "pause", "cap"
ACTS = {
    PAUSE: ModelAct(PAUSE, Tier.FAST, value=1, weakest=0),
    CAP: ModelAct(CAP, Tier.FULL, value=10, weakest=100, at_most=True, restores=True),
}


class DecisionRule(StrEnum):
    """The rules of deciding and submitting that the model can do without, at a price."""

    BOTH_TIERS = "each fast decision is signed in full too"
    DODGED_RUNG = "a rung waits for the next block at which the rule is true"
    AFTER_RELEASE = "the first protect after a release decision is always submitted"


AnyRule = Rule | DecisionRule
ALL_RULES: frozenset[AnyRule] = frozenset((*Rule, *DecisionRule))


class Property(StrEnum):
    """What must hold in every schedule."""

    POWER = "the power bound holds with all keys stolen"
    OTHERS = "another's protection is never undone"
    NO_GAP = "no act is undone while its rule stays true"
    ENDS = "everything ends"
    DEAD = "what was decided before an end changes nothing after it"
    REPLAY = "a replay changes nothing"
    PROTECTED = "protection within one slot while the rule is true"
    RUNG = "a dodged rung is decided"


@dataclass(frozen=True)
class RuleTurns:
    """The rule becomes true or false."""

    tick: int
    value: bool


@dataclass(frozen=True)
class Outage:
    """All honest nodes are down, or one chain takes no transaction."""

    tick: int
    length: int
    chain: int | None = None


@dataclass(frozen=True)
class Bring:
    """The adversary brings a withheld certificate, before or after the honest transactions of the tick."""

    tick: int
    chain: int
    op: Op
    is_late: bool
    newest_first: bool


@dataclass(frozen=True)
class Poke:
    """The adversary calls expire on everything."""

    tick: int
    chain: int
    is_late: bool


@dataclass(frozen=True)
class Meddle:
    """The guardian acts: `how` is adopt, dismiss, or set with a value."""

    tick: int
    chain: int
    act: str
    how: str
    is_late: bool
    value: int = 0


@dataclass(frozen=True)
class Forge:
    """With all keys of a tier stolen: a certificate for whatever the thief likes."""

    tick: int
    chain: int
    op: Op
    act: str
    is_late: bool


Happening = RuleTurns | Outage | Bring | Poke | Meddle | Forge


@dataclass(frozen=True)
class Conditions:
    """What stays the same in a schedule."""

    skews: tuple[int, int]
    delays: tuple[int, ...]
    budget: Budget
    full_lives: bool = True
    stolen: Tier | None = None


@dataclass(frozen=True)
class Schedule:
    """Everything that happens, by tick."""

    happenings: tuple[Happening, ...]
    conditions: Conditions


def random_schedule(chance: random.Random) -> Schedule:
    """Draw a schedule: a rule that comes and goes, an adversary, a meddling guardian, outages, perhaps a
    thief.
    """
    stolen = chance.choice((None, None, None, Tier.FAST, Tier.FULL))
    window = 60 if stolen is not None else chance.choice((60, 400))
    conditions = Conditions(
        skews=(0, chance.randint(-SKEW, SKEW)),
        delays=tuple(chance.randint(0, MAX_DELAY) for _ in range(5)),
        budget=Budget(
            window,
            fast=chance.choice((24, 50, 70)),
            all=chance.choice((80, 150)),
            fast_records=chance.choice((2, 3)),
        ),
        full_lives=chance.random() < 0.6 if stolen is None else stolen is Tier.FULL,
        stolen=stolen,
    )
    happenings: list[Happening] = []
    tick, value = 0, False
    while tick < HORIZON:
        tick, value = tick + chance.choice((1, 1, 3, 5, 12, 20, 40, 60)), not value
        happenings.append(RuleTurns(tick, value))
    happenings += [_meddling(chance) for _ in range(chance.randint(0, 14))]
    if stolen is not None:
        happenings += [_forgery(chance) for _ in range(chance.randint(4, 30))]
        if chance.random() < 0.5:
            happenings += [Forge(each, 0, Op.PROTECT, PAUSE, True) for each in range(HORIZON)]
    return Schedule(tuple(sorted(happenings, key=lambda each: each.tick)), conditions)


def _meddling(chance: random.Random) -> Happening:
    tick, chain, is_late = chance.randrange(HORIZON), chance.randint(0, 1), chance.random() < 0.5
    kind = chance.random()
    if kind < 0.35:
        return Bring(tick, chain, chance.choice(tuple(Op)), is_late, chance.random() < 0.5)
    if kind < 0.5:
        return Poke(tick, chain, is_late)
    if kind < 0.85:
        act = chance.choice((PAUSE, CAP))
        how = chance.choice(("adopt", "dismiss", "set", "set"))
        value = chance.choice((0, 1) if act == PAUSE else (5, 50, 100))
        return Meddle(tick, chain, act, how, is_late, value)
    return Outage(tick, chance.choice((4, 10, 30)), None if kind < 0.93 else 1)


def _forgery(chance: random.Random) -> Happening:
    return Forge(
        chance.randrange(HORIZON),
        chance.randint(0, 1),
        chance.choice((Op.PROTECT, Op.PROTECT, Op.EXTEND)),
        chance.choice((PAUSE, CAP)),
        chance.random() < 0.5,
    )
