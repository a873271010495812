"""One chain of the model: a gateway, its owner's wishes, and a judge of what is done to them."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.gateway import Gateway, Order, Refused, Result, Rule
from tests.sim.model.terms import ACTS, PAUSE, SKEW, AnyRule, Conditions, Property


class Target:
    """A gateway with a clock that may be wrong; `found` are the broken properties."""

    def __init__(self, number: int, conditions: Conditions, rules: frozenset[AnyRule]) -> None:
        self.number = number
        self.gateway = Gateway(
            dict(ACTS),
            conditions.budget,
            SKEW,
            frozenset(rule for rule in rules if isinstance(rule, Rule)),
        )
        self.clock_error = conditions.skews[number]
        self.tick = 0
        self.wanted = {name: act.weakest for name, act in ACTS.items()}
        """What the protocol's own people set last."""
        self.ended = dict.fromkeys(ACTS, -99)
        """When an end outdates decisions, in true ticks."""
        self.meddled = dict.fromkeys(ACTS, -99)
        self.unseen = dict.fromkeys(ACTS, False)
        """The guardian went to another state and back to exactly ours, and no gateway can tell."""
        self.frozen: list[int] = []
        self.ends_now: list[str] = []
        self.released_now: list[tuple[str, int]] = []
        """Acts undone by a release in this tick, and when that was decided."""
        self.found: dict[Property, str] = {}

    @property
    def now(self) -> int:
        return self.tick + self.clock_error

    def blame(self, broken: Property, why: str) -> None:
        """Note a broken property."""
        self.found.setdefault(broken, f"tick {self.tick}, chain {self.number}: {why}")

    def execute(self, order: Order, act: str) -> None:
        """Bring an order, and judge what it does."""
        gateway = self.gateway
        record = gateway.records.get(act)
        had_until = record.until if record is not None else 0
        had_ended = self.ended[act]
        try:
            self._watch_ends(lambda: gateway.execute(order, act, self.now), act, order)
        except Refused:
            return
        after = gateway.records.get(act)
        lengthens = after is not None and after.until > had_until
        if lengthens and order.decided_at <= had_ended:
            self.blame(
                Property.DEAD, f"{order.op.name} of {order.decided_at} acts after the end of {had_ended}"
            )
        if record is None and after is not None:
            self.unseen[act] = False
        self._replay(order, act)

    def expire(self, act: str) -> None:
        """Call expire, as anybody may."""
        try:
            self._watch_ends(lambda: self.gateway.expire(act, self.now), act, None)
        except Refused:
            return

    def meddle(self, act: str, how: str, value: int) -> None:
        """Let the guardian act."""
        gateway = self.gateway
        if how == "set":
            self._set(act, value)
            return
        try:
            call = gateway.adopt if how == "adopt" else gateway.dismiss
            self._watch_ends(lambda: call(act, self.now), act, None)
        except Refused:
            return
        if how == "adopt":
            self.wanted[act] = gateway.states[act]

    def _set(self, act: str, value: int) -> None:
        gateway = self.gateway
        if act == PAUSE and value == gateway.states[act]:
            return  # a pausable contract reverts: he sees it, and must adopt
        is_ours_again = act in gateway.records and value == ACTS[act].value
        if is_ours_again and gateway.states[act] != value:
            self.unseen[act] = True
        gateway.states[act] = self.wanted[act] = value
        self.meddled[act] = self.tick

    def _watch_ends(self, call: Callable[[], Result], act: str, order: Order | None) -> None:
        gateway, count = self.gateway, len(self.gateway.ends)
        record = gateway.records.get(act)
        until = record.until if record is not None else 0
        call()
        for end in gateway.ends[count:]:
            self.ends_now.append(act)
            if end.undone:
                self._judge_undo(act, end.how)
            if end.how == "release" and order is not None:
                self.released_now.append((act, order.decided_at))
            true_end = {"expire": until - SKEW - 1, "release": order.not_before if order else 0}
            self.ended[act] = max(self.ended[act], true_end.get(end.how, self.tick))
            self.unseen[act] = False
            if end.how in ("adopt", "dismiss", "close"):
                self.meddled[act] = self.tick

    def _judge_undo(self, act: str, how: str) -> None:
        state, wanted = self.gateway.states[act], self.wanted[act]
        weaker = state > wanted if ACTS[act].at_most else state < wanted
        if weaker and not self.unseen[act]:
            self.blame(Property.OTHERS, f"{how} of {act} leaves {state}, the owner had set {wanted}")
        if weaker and self.unseen[act]:
            # Lost in the way that is documented (he must adopt): what follows undoes no wish of his any more.
            self.wanted[act] = state

    def _replay(self, order: Order, act: str) -> None:
        before = self._measure(act)
        try:
            self.gateway.execute(order, act, self.now)
        except Refused:
            return
        if before != self._measure(act):
            self.blame(Property.REPLAY, f"{order.op.name} again")

    def _measure(self, act: str) -> tuple[object, ...]:
        gateway = self.gateway
        record = gateway.records.get(act)
        booked = tuple(sum(used.values()) for used in gateway.booked.values())
        return gateway.states[act], booked, record and (record.until, record.last, record.restore)
