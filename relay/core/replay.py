"""The verdicts of a log once more, from what was written down: plan, values, faults and pins (SPEC 5.3).

What a member read is its word: `proofs.verify` checks that it said so, nothing here that it is true. What
follows from it under the plan is derived anew, and must give the very bytes that it signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Self

from proofs.canonical import Value, encode
from proofs.decision import Decision, block_value, decision_id
from proofs.mandate import Op, Tier
from proofs.remarks import Shadow
from relay.core.compiled import CompiledPlan
from relay.core.decisions import Prepared, link_of, prepare, report_of, rung_of
from relay.core.errors import WireError
from relay.core.evaluate import RELEASE, PeerFacts
from relay.core.expressions import PEER, Condition, Input, Result
from relay.core.ladder import LANDING_PATIENCE_S
from relay.core.links import peer_facts
from relay.core.messages import Attestation, Verdict
from relay.core.plan import Mode, OnFault
from relay.core.stated import StatedDecisions, Way
from relay.core.traces import LoggedTrace, TraceError, problem_of, read_trace
from relay.core.types import Caip2, DecisionId, Identity, NetworkId, PlanHash

__all__ = ["NOT_REDERIVED", "Refusal", "Replayed", "Replayer", "Stated"]

NOT_REDERIVED: Final = (
    "the reads themselves: values, faults and blocks are what members signed to have seen; read the chains at"
    " the pinned blocks to see it again",
    "that a pin was the newest block that its lag allows, and how many endpoints agreed",
    "that plan and key epoch were in force at the anchor, and that no other anchor of its slot came first",
    "that a decision which a link follows was certified, and that reporters signed (audit verify tells it)",
)
_RESULTS: Final[Mapping[Result, Value]] = {Result.TRUE: True, Result.FALSE: False, Result.FAULT: "fault"}


@dataclass(frozen=True, slots=True)
class Stated:
    """An attestation and who signed it; `in_shadow`, what its author would have attested."""

    author: Identity
    attestation: Attestation
    in_shadow: bool = False

    @classmethod
    def shadow(cls, author: Identity, shadow: Shadow) -> Self:
        """Take what a plan in shadow mode would have decided: it is borne out as an attestation is."""
        return cls(author, Attestation(shadow.decision, Verdict.ATTEST, shadow.trace), in_shadow=True)

    @property
    def word(self) -> str:
        """Give the verdict, or that it is a shadow's."""
        return "shadow" if self.in_shadow else self.attestation.verdict.value


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first check that failed, by its name, and what was expected and came."""

    check: str
    problem: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one attestation.

    `refusal` is None where all of it follows. `untold` says what could not be derived from what is here;
    `is_rebuilt` is false where not even the trace could be.
    """

    stated: Stated
    decision_id: DecisionId
    refusal: Refusal | None
    untold: tuple[str, ...]
    is_rebuilt: bool = True


class _RefusedError(Exception):
    """A named check failed; caught in `Replayer`."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(problem)
        self.refusal = Refusal(check, problem)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the trace of a decision rests on: its name there, and the conditions that may tell.

    A link has one set of facts for each act of its parent, and the way to it.
    """

    name: str
    condition: Condition | None
    facts: tuple[PeerFacts | None, ...] = (None,)
    needs_none: bool = False
    """Reports without a condition hold at any block."""
    way: Way | None = None


@dataclass(slots=True)
class Replayer:
    """Replays attestations under their plans; `stated` are all of a bundle: links look for their parents."""

    network: NetworkId
    plans: Mapping[PlanHash, CompiledPlan]
    stated: Sequence[Stated]
    _decisions: StatedDecisions = field(init=False)

    def __post_init__(self) -> None:
        decisions = (each.attestation.decision for each in self.stated)
        self._decisions = StatedDecisions(self.network, self.plans, decisions)

    def run(self) -> Iterator[Replayed]:
        """Replay every attestation, in the order given."""
        for each in self.stated:
            yield self._replay(each)

    def _replay(self, stated: Stated) -> Replayed:
        decision = stated.attestation.decision
        identity = decision_id(self.network, decision)
        compiled = self.plans.get(decision.plan_hash)
        if compiled is None:
            missing = f"the plan {decision.plan_hash.hex()}, which is not here"
            return Replayed(stated, identity, None, (missing,), is_rebuilt=False)
        try:
            prepared = self._prepared(compiled, decision)
            trace = read_trace(stated.attestation.trace)
            name = decision.subject if decision.op is Op.PROTECT else RELEASE
            if stated.attestation.verdict is not Verdict.ATTEST and trace.is_blind(name):
                # The member could not evaluate this block, and says nothing about it.
                return Replayed(stated, identity, None, ())
            ground = self._ground(compiled, decision)
            if ground is None:
                return Replayed(stated, identity, None, (_without_parent(decision),), is_rebuilt=False)
            effective = _check_trace(compiled, ground, decision, trace, stated.attestation)
            untold = tuple(_untold(compiled, stated.attestation, is_effective=effective))
            # Who dissents from what somebody else anchored, or links, wrongly is right to.
            if stated.attestation.verdict is Verdict.ATTEST:
                _check_anchor(compiled, decision)
                _check_link(compiled, ground, decision)
                _check_verdict(compiled, stated, prepared, is_effective=effective)
                untold = (*self._check_rung(compiled, decision), *untold)
        except TraceError as error:
            return Replayed(stated, identity, Refusal("trace-form", str(error)), ())
        except _RefusedError as error:
            return Replayed(stated, identity, error.refusal, ())
        return Replayed(stated, identity, None, untold)

    def _prepared(self, compiled: CompiledPlan, decision: Decision) -> Prepared:
        try:
            return prepare(self.network, compiled, decision)
        except WireError as error:
            raise _RefusedError("decision", str(error)) from error

    def _ground(self, compiled: CompiledPlan, decision: Decision) -> _Ground | None:
        if decision.op is not Op.PROTECT:
            return _Ground(RELEASE, compiled.release)
        if decision.parent is None:
            return _Ground(decision.subject, compiled.rules[decision.subject])
        if (reports := report_of(compiled, decision.subject)) is not None:
            condition = compiled.reports.get(reports.name)
            return _Ground(decision.subject, condition, needs_none=condition is None)
        link = link_of(compiled, decision.subject)
        way = self._decisions.way_to(decision.parent)
        if link is None or way is None:
            return None
        theirs, parent = way.steps[0]
        facts = peer_facts(theirs.plan, self._prepared(theirs, parent), hops=way.hops)
        return _Ground(decision.subject, compiled.links[link.name].when, facts, way=way)

    def _check_rung(self, compiled: CompiledPlan, decision: Decision) -> tuple[str, ...]:
        """Hold a rung's anchor against the slot of the run that opened it (SPEC 5.4, 5.4.1).

        The edge is in no trace; it is in the slot of a first rung of that run, at or before its anchor.
        """
        rule = compiled.plan.rules.get(decision.subject)
        if decision.op is not Op.PROTECT or rule is None or decision.rung == 0:
            return ()
        at_s = decision.anchor.timestamp
        begun_s = self._decisions.first_rung_s(decision, rule.rearm_s)
        if begun_s is None:
            return (f"the time of rung {decision.rung} since its edge: no first rung of its slot is here",)
        slot_s = begun_s // rule.rearm_s * rule.rearm_s
        least_s = decision.rung * min(rule.step_s, LANDING_PATIENCE_S)
        if at_s < slot_s + least_s:
            raise _RefusedError(
                "rung-time",
                f"expected rung {decision.rung} at {slot_s + least_s} or later, in the slot from {slot_s}"
                f" on, got {at_s}",
            )
        return ()


def _check_trace(
    compiled: CompiledPlan,
    ground: _Ground,
    decision: Decision,
    trace: LoggedTrace,
    attestation: Attestation,
) -> bool:
    """Rebuild the trace, compare it byte by byte, and tell whether its condition counts as true."""
    chains = compiled.chains_of(ground.condition) if ground.condition else ()
    reads = ground.condition.reads if ground.condition else ()
    _check_names(ground.name, reads, trace)
    _check_pins(compiled, chains, decision, trace)
    _check_kinds(compiled, trace)
    result, effective = _outcome(compiled, ground, trace)
    rebuilt: dict[str, Value] = {
        "agreement": trace.agreement,
        "faulted": [name for name in reads if name in trace.faulted],
        "pins": {chain: block_value(pin) for chain, pin in trace.pins.items()},
        "result": result,
        "rule": ground.name,
        "values": trace.values,
    }
    if result != trace.result:
        raise _RefusedError("trace-result", f"expected {_word(result)}, got {_word(trace.result)}")
    if encode(rebuilt) != encode(attestation.trace):
        raise _RefusedError("trace-bytes", "expected the bytes of the rebuilt trace, got others")
    return effective


def _word(result: Value) -> str:
    return "none" if result is None else str(result).lower()


def _check_names(name: str, reads: Sequence[str], trace: LoggedTrace) -> None:
    if trace.rule != name:
        raise _RefusedError("trace-rule", f"expected {name}, got {trace.rule!r}")
    if extra := sorted(trace.values.keys() - set(reads)):
        raise _RefusedError("trace-values", f"expected the metrics {_names(reads)}, got {extra[0]} too")
    if list(trace.faulted) != [each for each in reads if each in trace.faulted]:
        raise _RefusedError(
            "trace-faulted", f"expected some of {_names(reads)}, in this order, got {_names(trace.faulted)}"
        )


def _check_pins(
    compiled: CompiledPlan, chains: Iterable[Caip2], decision: Decision, trace: LoggedTrace
) -> None:
    """Every pin is of a chain of the condition, the reference chain's the anchor, others behind their lag."""
    reference = compiled.plan.clock.reference
    wanted = {reference, *chains}
    if trace.pins.get(reference) != decision.anchor:
        raise _RefusedError("trace-pins", f"expected the anchor as the pin of {reference}, got another")
    for chain, pin in trace.pins.items():
        latest_s = decision.anchor.timestamp - compiled.plan.chains[chain].lag_s if chain in wanted else 0
        if chain not in wanted or pin.chain != chain:
            raise _RefusedError("trace-pins", f"expected pins of {_names(sorted(wanted))}, got {chain}")
        if pin.timestamp > latest_s:
            raise _RefusedError(
                "pin-lag", f"expected a pin of {chain} at {latest_s} or before, got {pin.timestamp}"
            )
    told = {*trace.values, *trace.faulted}
    needed = {chain for name in told for chain in compiled.plan.metrics[name].chains}
    if missing := sorted(needed - trace.pins.keys()):
        raise _RefusedError("trace-pins", f"expected a pin of {missing[0]}, of which something was read")
    if trace.agreement.keys() != trace.pins.keys():
        raise _RefusedError("trace-agreement", "expected the agreement on every pinned chain, got others")


def _check_kinds(compiled: CompiledPlan, trace: LoggedTrace) -> None:
    for name, value in trace.values.items():
        problem = problem_of(compiled.plan.metrics[name], value)
        if problem is not None:
            raise _RefusedError("trace-values", problem)


def _outcome(compiled: CompiledPlan, ground: _Ground, trace: LoggedTrace) -> tuple[Value, bool]:
    """Give the result, and whether it counts as true; of a link the first of its acts that does."""
    if ground.condition is None:
        return (True, True) if ground.needs_none else (None, False)
    if any(name not in trace.values and name not in trace.faulted for name in ground.condition.reads):
        return None, False  # What could not be told yet: its author abstains.
    inputs: dict[str, Input] = {
        name: value for name, value in trace.values.items() if name not in trace.faulted
    }
    found = [_judged(compiled, ground, inputs, trace, facts) for facts in ground.facts]
    return next((each for each in found if each[1]), found[0])


def _judged(
    compiled: CompiledPlan,
    ground: _Ground,
    inputs: Mapping[str, Input],
    trace: LoggedTrace,
    facts: PeerFacts | None,
) -> tuple[Value, bool]:
    assert ground.condition is not None
    result = ground.condition.evaluate(inputs if facts is None else {**inputs, PEER: asdict(facts)})
    if result is not Result.FAULT or ground.name == RELEASE:
        return _RESULTS[result], result is Result.TRUE
    blamed = trace.faulted or ground.condition.reads
    metrics = compiled.plan.metrics
    effective = bool(blamed) and all(metrics[name].on_fault is OnFault.TRIGGER for name in blamed)
    return _RESULTS[result], effective


def _check_anchor(compiled: CompiledPlan, decision: Decision) -> None:
    """Rules and releases are judged at the blocks that the plan's clock names, nothing before its first."""
    clock, number = compiled.plan.clock, decision.anchor.number
    every = clock.every if decision.parent is None else 1
    since = compiled.plan.chains[clock.reference].since
    if number < since or number % every:
        raise _RefusedError("anchor", f"expected block {since} or a later {every}th, got {number}")


def _check_link(compiled: CompiledPlan, ground: _Ground, decision: Decision) -> None:
    """A link follows the protection of the plan that it listens to, as of that one's time, in no circle."""
    link = link_of(compiled, decision.subject)
    if link is None or ground.way is None:
        return
    (theirs, parent), visited = ground.way.steps[0], [each.plan_hash for _, each in ground.way.steps]
    reference, listened = theirs.plan.clock.reference, compiled.links[link.name].gateway
    if (link.chain, listened) != (reference, theirs.gateways[reference]) or parent.op is not Op.PROTECT:
        raise _RefusedError("link-parent", f"expected a protection of the plan that {link.name} listens to")
    if ground.way.hops > link.max_hops or len({*visited, decision.plan_hash}) != len(visited) + 1:
        raise _RefusedError(
            "link-hops",
            f"expected at most {link.max_hops} plans on the way, each once, got {ground.way.hops}",
        )
    latest_s = parent.anchor.timestamp - compiled.plan.clock.lag_s
    if decision.anchor.timestamp > latest_s:
        raise _RefusedError(
            "link-anchor", f"expected an anchor at {latest_s} or before, got {decision.anchor.timestamp}"
        )


def _check_verdict(compiled: CompiledPlan, stated: Stated, prepared: Prepared, *, is_effective: bool) -> None:
    """An attestation signs the mandate that plan and decision give, and its condition bears it out."""
    attestation, mode = stated.attestation, compiled.plan.mode
    if stated.in_shadow and mode is not Mode.SHADOW:
        raise _RefusedError("mandate", "expected a plan in shadow mode, got one that is armed")
    if not stated.in_shadow and mode is Mode.SHADOW:
        raise _RefusedError("mandate", "expected no mandate of a plan in shadow mode, got one")
    if not stated.in_shadow and attestation.digest != prepared.digest:
        raise _RefusedError("mandate", f"expected {prepared.digest.hex()}, got {_hex(attestation.digest)}")
    release, op = compiled.plan.release, attestation.decision.op
    if op is Op.EXTEND:
        if release is None or (release.hold == 1 and is_effective):
            raise _RefusedError("verdict", "expected to attest no extension: the release predicate held")
    elif not is_effective:
        raise _RefusedError("verdict", f"expected to attest no {op.name.lower()}: its condition is not true")
    rung = rung_of(compiled, attestation.decision) if op is Op.PROTECT else None
    if rung is not None and rung.tier is Tier.FULL and attestation.trace["result"] == "fault":
        raise _RefusedError("verdict", "expected to attest no full rung: a fault bears out fast ones alone")


def _untold(compiled: CompiledPlan, attestation: Attestation, *, is_effective: bool) -> Iterator[str]:
    """Say what a bundle does not hold of a decision's ground, or of a verdict's."""
    plan, decision = compiled.plan, attestation.decision
    rule = plan.rules.get(decision.subject)
    if decision.op is not Op.PROTECT:
        if plan.release is not None and plan.release.hold > 1:
            held = f"whether the release predicate held {plan.release.hold} evaluations"
            yield f"{held}: the trace has the last"
        yield f"the record of {decision.subject} at the pins, and the rules that name it"
        return
    if rule is not None and rule.hold > 1:
        yield f"that {rule.name} held {rule.hold} evaluations: the trace has the last of them"
    if is_effective and attestation.verdict is not Verdict.ATTEST:
        yield (
            f"why {decision.subject} got {attestation.verdict.value} from a member that saw it true: budgets,"
            " other anchors and certificates are in no trace"
        )


def _without_parent(decision: Decision) -> str:
    parent = "none" if decision.parent is None else decision.parent.hex()
    return (
        f"{decision.subject}: the decision {parent} that it follows, or the plan of one on that way, is not"
        " here; a log shows a verdict once its mandate can be used no more"
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _hex(value: bytes | None) -> str:
    return "none" if value is None else value.hex()
