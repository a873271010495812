"""The gateway contract as a Python value: what it does with mandates, acts, budgets and meddling owners.

Follows `adapters/evm/contracts/TocsinGateway.sol`. Each rule of it that the tests switch off has a name in
`Rule`.
Times are integers of one unit, whatever the caller's clock counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from proofs.mandate import Op, Tier


class Rule(StrEnum):
    """The rules that keep a gateway's promises; a gateway without one of them breaks a property."""

    EXACT_UNDO = "undo only while the state is exactly ours"
    CLOSE_FOREIGN = "any touch closes a record whose state is not ours"
    VETO_AHEAD = "an end by the owner outdates mandates up to now + skew"
    RELEASE_OVER_LAST = "a release is newer than the newest protect"
    EXTEND_DIES = "an extension older than the last end is dead"
    UNCAPPED_RECORD = "no cap per record"
    CLIP = "a charge is clipped to what is left"
    TWO_WINDOWS = "two adjacent windows stay within the cap"


class Refused(Exception):
    """A revert: nothing has changed."""


class Result(StrEnum):
    STARTED = "started"
    EXTENDED = "extended"
    NOOP = "noop"
    ENDED = "ended"


@dataclass(frozen=True)
class ModelAct:
    """One registered act: `value` is what its call leaves, `at_most` its comparator; `restores` its kind of
    undo.
    """

    name: str
    tier: Tier
    value: int
    weakest: int
    at_most: bool = False
    restores: bool = False

    def protects(self, state: int) -> bool:
        """Tell whether a state is at least as strict as ours."""
        return state <= self.value if self.at_most else state == self.value


@dataclass(frozen=True)
class Order:
    """What a mandate asks of one act. `decided_at` is when it was really decided; the gateway cannot see
    that.
    """

    op: Op
    tier: Tier
    not_before: int
    not_after: int
    duration: int
    decided_at: int


@dataclass
class Record:
    since: int
    until: int
    restore: int
    last: int
    tier: Tier


@dataclass(frozen=True)
class Budget:
    """What may be booked in any window of that length."""

    window: int
    fast: int
    all: int
    fast_records: int


@dataclass(frozen=True)
class Ended:
    """A record's end, for those who judge it: `how`, whether our undo ran, and the state it left."""

    act: str
    how: str
    undone: bool
    ended_at: int


@dataclass
class Gateway:
    """One gateway and the states that its acts write."""

    acts: dict[str, ModelAct]
    budget: Budget
    skew: int
    rules: frozenset[Rule] = frozenset(Rule)
    states: dict[str, int] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    ended_at: dict[str, int] = field(default_factory=dict)
    booked: dict[str, dict[int, int]] = field(default_factory=lambda: {"fast": {}, "all": {}, "records": {}})
    ends: list[Ended] = field(default_factory=list)
    """Every end, oldest first."""
    revoked: set[str] = field(default_factory=set)
    """Acts that the owner has taken back: nothing starts or lengthens them."""

    def __post_init__(self) -> None:
        for name, act in self.acts.items():
            self.states.setdefault(name, act.weakest)
            self.ended_at.setdefault(name, -1)

    # ---- what anybody may bring

    def execute(self, order: Order, name: str, now: int) -> Result:  # noqa: C901  the contract's checks in order
        """Carry out a certified order.

        Raises:
            Refused: with the contract's error by name.
        """
        act, record = self.acts[name], self.records.get(name)
        if order.not_before > now + self.skew:
            raise Refused("MandateEarly")
        if now > order.not_after:
            raise Refused("MandateLate")
        may_be_old = order.op is Op.EXTEND and Rule.EXTEND_DIES not in self.rules
        if order.not_before <= self.ended_at[name] and not may_be_old:
            raise Refused("MandateDead")
        if order.op is not Op.PROTECT and order.tier is not Tier.FULL:
            raise Refused("TierTooLow")
        if order.op is Op.PROTECT and order.tier < act.tier:
            raise Refused("TierTooLow")
        if order.op is Op.RELEASE:
            return self._release(order, act, now)
        if name in self.revoked:
            raise Refused("ActNotRegistered")
        if record is None:
            return self._start(order, act, now)
        if self._is_foreign(act):
            return self._end(act, "close", now + self.skew, undo=False)
        return self._lengthen(order, act, record, now)

    def expire(self, name: str, now: int) -> Result:
        """End a record whose time is over, or close one whose state is not ours."""
        act, record = self.acts[name], self.records.get(name)
        if record is None:
            raise Refused("NoRecord")
        if self._is_foreign(act):
            return self._end(act, "close", now + self.skew, undo=False)
        if now < record.until:
            raise Refused("RecordInForce")
        return self._end(act, "expire", max(record.until, record.last), undo=True)

    # ---- what the protocol's own people may do

    def adopt(self, name: str, now: int) -> Result:
        """Make the protection the protocol's own."""
        if name not in self.records:
            raise Refused("NoRecord")
        return self._end(self.acts[name], "adopt", now + self.skew, undo=False)

    def dismiss(self, name: str, now: int) -> Result:
        """Undo an act now."""
        if name not in self.records:
            raise Refused("NoRecord")
        act = self.acts[name]
        foreign = self._is_foreign(act)
        return self._end(act, "close" if foreign else "dismiss", now + self.skew, undo=not foreign)

    # ---- operations

    def _start(self, order: Order, act: ModelAct, now: int) -> Result:
        state = self.states[act.name]
        if order.op is Op.EXTEND:
            raise Refused("NoRecord")
        if act.protects(state):
            return Result.NOOP
        wanted = order.not_before + order.duration
        if wanted <= now:
            raise Refused("MandateOver")
        is_fast = order.tier is Tier.FAST
        if is_fast and self._records_booked(now) >= self.budget.fast_records:
            raise Refused("FastRecordsSpent")
        until = self._pay(is_fast, now, self._capped(wanted, now, order.tier), now)
        if is_fast:
            window = now // self.budget.window
            self.booked["records"][window] = self.booked["records"].get(window, 0) + 1
        self.records[act.name] = Record(now, until, state, order.not_before, order.tier)
        self.states[act.name] = act.value
        return Result.STARTED

    def _lengthen(self, order: Order, act: ModelAct, record: Record, now: int) -> Result:
        wanted = self._capped(order.not_before + order.duration, record.since, order.tier)
        if wanted <= record.until and order.not_before <= record.last:
            return Result.NOOP
        if wanted > record.until:
            if wanted <= now:
                raise Refused("MandateOver")
            record.until = self._pay(order.tier is Tier.FAST, max(record.until, now), wanted, now)
        record.last = max(record.last, order.not_before)
        return Result.EXTENDED

    def _release(self, order: Order, act: ModelAct, now: int) -> Result:
        record = self.records.get(act.name)
        if record is None:
            raise Refused("NoRecord")
        if order.not_before <= record.last and Rule.RELEASE_OVER_LAST in self.rules:
            raise Refused("MandateOlderThanProtect")
        if self._is_foreign(act):
            return self._end(act, "close", now + self.skew, undo=False)
        return self._end(act, "release", order.not_before, undo=True)

    def _end(self, act: ModelAct, how: str, ended_at: int, *, undo: bool) -> Result:
        record = self.records[act.name]
        if undo:
            self.states[act.name] = record.restore if act.restores else act.weakest
        if Rule.VETO_AHEAD not in self.rules and how in ("adopt", "dismiss", "close"):
            ended_at -= self.skew
        self.ended_at[act.name] = max(self.ended_at[act.name], ended_at)
        del self.records[act.name]
        self.ends.append(Ended(act.name, how, undo, ended_at))
        return Result.ENDED

    # ---- state

    def _is_foreign(self, act: ModelAct) -> bool:
        """Tell whether somebody else has taken over the state of a record."""
        state = self.states[act.name]
        if Rule.CLOSE_FOREIGN not in self.rules:
            return False
        return state != act.value if Rule.EXACT_UNDO in self.rules else not act.protects(state)

    def _capped(self, wanted: int, since: int, tier: Tier) -> int:
        if Rule.UNCAPPED_RECORD in self.rules:
            return wanted
        return min(wanted, since + (40 if tier is Tier.FAST else 90))

    # ---- budget

    def room_at(self, kind: str, moment: int, now: int) -> int:
        """Give how much may still be booked in the window of `moment`."""
        used, cap = self.booked[kind], self.budget.fast if kind == "fast" else self.budget.all
        if Rule.TWO_WINDOWS not in self.rules:
            return cap - used.get(now // self.budget.window, 0)
        window = moment // self.budget.window
        return cap - used.get(window, 0) - max(used.get(window - 1, 0), used.get(window + 1, 0))

    def can_pay(self, tier: Tier, now: int, *, starts: bool) -> bool:
        """Tell whether a mandate of `tier` would find room for a moment."""
        if self.room_at("all", now, now) <= 0:
            return False
        if tier is Tier.FULL:
            return True
        return self.room_at("fast", now, now) > 0 and not (
            starts and self._records_booked(now) >= self.budget.fast_records
        )

    def _records_booked(self, now: int) -> int:
        window, used = now // self.budget.window, self.booked["records"]
        return used.get(window, 0) + used.get(window - 1, 0)

    def _pay(self, is_fast: bool, start: int, end: int, now: int) -> int:
        """Book the moments from `start` on, as far as there is room; give the end that was paid for."""
        kinds = ("fast", "all") if is_fast else ("all",)
        before = {kind: dict(self.booked[kind]) for kind in kinds}
        paid = start
        while paid < end:
            booked_in = now // self.budget.window
            step = end - paid
            if Rule.TWO_WINDOWS in self.rules:
                booked_in = paid // self.budget.window
                step = min(step, (booked_in + 1) * self.budget.window - paid)
            taken = min(step, *(max(self.room_at(kind, paid, now), 0) for kind in kinds))
            for kind in kinds:
                self.booked[kind][booked_in] = self.booked[kind].get(booked_in, 0) + taken
            paid += taken
            if taken < step:
                break
        if paid == start or (paid < end and Rule.CLIP not in self.rules):
            self.booked.update(before)
            raise Refused("BudgetSpent")
        return paid


Verify = Callable[[bytes, Tier, int, bytes], bool]
"""(mandate digest, tier, key epoch, certificate): what the verifier contract answers."""
