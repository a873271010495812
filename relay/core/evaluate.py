"""A plan's rules at every block of its reference chain: the same bytes on every node (SPEC 5.3, INV-B)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from proofs.canonical import Value
from relay.core.compiled import CompiledPlan
from relay.core.expressions import PEER, Condition, Input, Result
from relay.core.pins import Pins
from relay.core.plan import Listen, OnFault
from relay.core.readings import At, Reader, Silence, readers_of
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView

RELEASE = "release"
"""The name under which traces carry the release predicate; no rule has it."""
MetricValue = int | Mapping[str, int]


class Outcome(StrEnum):
    """The result of a rule at a block (SPEC 5.3)."""

    TRUE = "true"
    FALSE = "false"
    FAULT = "fault"
    ABSTAIN = "abstain"


_OUTCOMES = {Result.TRUE: Outcome.TRUE, Result.FALSE: Outcome.FALSE, Result.FAULT: Outcome.FAULT}


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a condition gave at a block.

    `effective`: it counts as true; a fault does so only where all metrics at fault declare it. `reads` names
    the metrics of the condition, `faulted` those that faulted, `chains` their chains; all in ascending order.
    """

    outcome: Outcome
    effective: bool
    faulted: tuple[str, ...]
    reads: tuple[str, ...]
    chains: tuple[Caip2, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All rules of a plan at one block of the reference chain.

    `pins` and `agreement` have the reference chain and every chain whose pin was settled; `values` the
    metrics of those chains, except the ones without any value; `plan_in_force` tells whether the gateway
    names the plan.
    """

    block: BlockRef
    pins: Mapping[Caip2, BlockRef]
    values: Mapping[str, MetricValue]
    rules: Mapping[str, RuleOutcome]
    release: RuleOutcome | None
    agreement: Mapping[Caip2, tuple[int, int]]
    plan_in_force: bool

    waiting: tuple[Caip2, ...] = ()
    """The chains that rules read and whose pin was not settled yet."""

    @property
    def abstains(self) -> bool:
        """Tell whether some rule abstained that may be evaluated later."""
        return bool(self.waiting)


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What the condition of a link sees of the decision it hears of, as `peer`: texts, and `hops` from 1."""

    verb: str
    tier: str
    chain: str
    hops: int
    protocol: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class _Reads:
    """The metrics at one block and its pins: `inputs` are those that conditions see, by name.

    `untold` cannot be told there: a rule that reads one abstains.
    """

    pins: Mapping[Caip2, BlockRef]
    values: Mapping[str, MetricValue]
    inputs: Mapping[str, Input]
    faulted: Collection[str]
    untold: Collection[str]


@dataclass(slots=True)
class _Watched:
    """A condition with what its evaluation needs at every block."""

    condition: Condition
    chains: tuple[Caip2, ...]
    triggers: frozenset[str]
    """The metrics of the condition that declare `on_fault = "trigger"`."""
    asked: Mapping[str, Input] | None = None
    given: RuleOutcome | None = None
    """The newest answer without faults, and what it was for: in most blocks nothing has happened."""

    def chains_are_none_of(self, chains: Collection[Caip2]) -> bool:
        """Tell whether the condition reads none of `chains`."""
        return not any(chain in chains for chain in self.chains)

    def sound(self, inputs: Mapping[str, Input]) -> RuleOutcome:
        """Evaluate the condition where nothing has faulted, once for the same inputs in a row."""
        # What it does not read need not be brought into CEL.
        asked = {name: inputs[name] for name in self.condition.reads if name in inputs}
        if self.given is None or asked != self.asked:
            self.asked, self.given = asked, self.outcome(self.condition.evaluate(asked), ())
        return self.given

    def outcome(self, result: Result, faulted: tuple[str, ...]) -> RuleOutcome:
        """Give what a result makes of the rule, some of whose metrics may have faulted."""
        outcome, reads = _OUTCOMES[result], self.condition.reads
        effective = outcome is Outcome.TRUE
        if outcome is Outcome.FAULT:
            # Where no metric faulted, the expression itself did (say, a sum of two out of range): then every
            # metric that it reads stands for the fault.
            blamed = faulted or reads
            effective = bool(blamed) and self.triggers.issuperset(blamed)
        return RuleOutcome(outcome, effective, faulted, reads, self.chains)


class PlanEvaluator:
    """Evaluates one plan over the views of its chains, which other plans may share.

    Make it before the views get their first block: sums need every block since `since`.
    """

    def __init__(self, compiled: CompiledPlan, views: Mapping[Caip2, ChainView]) -> None:
        plan = compiled.plan
        self._compiled = compiled
        self._views = views
        self._reference = plan.clock.reference
        self._readers: dict[str, Reader] = readers_of(compiled, views)
        self._rules = {name: self._watch(condition) for name, condition in compiled.rules.items()}
        self._release = self._watch(compiled.release) if compiled.release else None
        self._links = {name: self._watch(link.when) for name, link in compiled.links.items()}
        self._reports = {name: self._watch(condition) for name, condition in compiled.reports.items()}
        watched = [*self._rules.values(), *([self._release] if self._release else [])]
        read = {chain for each in watched for chain in each.chains}
        self._pins = Pins(compiled, views, read, self._silences_of(watched))
        self._since = plan.chains[self._reference].since
        self._evaluated = self._since - 1
        """Number of the last evaluated block."""

    @property
    def evaluated_to(self) -> int:
        """Number of the last reference block that was evaluated and still stands."""
        return self._evaluated

    def advance(self) -> tuple[Evaluation, ...]:
        """Evaluate every block of the reference chain whose turn it is, in order.

        A block waits until the pins of the chains that rules read are settled, or the reference chain has
        gone on for `patience_s` without them; then the rules that read an unsettled chain abstain. It does
        not wait where some rule reads no unsettled chain: what that rule sees must not wait for others.
        `evaluate_at` gives the rest once `waiting` is settled.
        """
        self._pins.note_progress()
        made: list[Evaluation] = []
        for block in self._views[self._reference].after(self._evaluated):
            if block.number % self._compiled.plan.clock.every:
                continue
            waiting = self._pins.waiting(block)
            if waiting and not self._is_ripe(block, waiting):
                break
            made.append(self._evaluate(block, waiting))
            self._evaluated = block.number
        return tuple(made)

    def rollback(self, ancestor: BlockRef) -> None:
        """Take note that its chain went back to `ancestor`: what followed is evaluated anew.

        Call it after the view's own `rollback`. For a foreign chain the reference blocks are evaluated anew
        whose pins may have left the chain: those at or after `ancestor.timestamp` + lag.
        """
        if ancestor.chain == self._reference:
            self._evaluated = min(self._evaluated, ancestor.number)
        elif ancestor.chain in self._pins.lags:
            shaken_from_s = ancestor.timestamp + self._pins.lags[ancestor.chain]
            sound = self._views[self._reference].at_or_before(shaken_from_s - 1)
            self._evaluated = min(self._evaluated, self._since - 1 if sound is None else sound.number)

    def evaluate_at(self, block: BlockRef) -> Evaluation | None:
        """Evaluate one retained block by what is known now; None if it is not on the chain any more."""
        return self._evaluate(block, self._pins.waiting(block)) if self._counts(block) else None

    def rules_at(self, block: BlockRef) -> Mapping[str, RuleOutcome] | None:
        """Give what `evaluate_at` says of the rules, and nothing else; None if the block left the chain."""
        return self._outcomes(self._read(self._pins.at(block))) if self._counts(block) else None

    def condition(self, listen: Listen, at: BlockRef, peer: PeerFacts) -> RuleOutcome | None:
        """Evaluate the condition of a link at block `at`; None if `at` is not on the chain any more."""
        if not self._counts(at):
            return None
        facts: dict[str, str | int] = {
            "verb": peer.verb,
            "tier": peer.tier,
            "chain": peer.chain,
            "hops": peer.hops,
            "protocol": peer.protocol,
            "rule": peer.rule,
        }
        reads = self._read(self._pins.at(at))
        return self._outcome(self._links[listen.name], reads, facts)

    def reported(self, name: str, at: BlockRef) -> RuleOutcome | None:
        """Evaluate the condition of reports at block `at`: true where they have none; None if `at` is not on
        the chain any more.
        """
        if not self._counts(at):
            return None
        watched = self._reports.get(name)
        if watched is None:
            return RuleOutcome(Outcome.TRUE, True, (), (), ())
        return self._outcome(watched, self._read(self._pins.at(at)))

    def _counts(self, block: BlockRef) -> bool:
        """Tell whether a block of the reference chain is retained on it, and not before the plan's first."""
        return block.number >= self._since and self._views[self._reference].contains(block.hash)

    def _silences_of(self, watched: Sequence[_Watched]) -> dict[Caip2, Silence]:
        found: dict[Caip2, Silence] = {}
        for name in {name for each in watched for name in each.condition.reads}:
            metric, reader = self._compiled.plan.metrics[name], self._readers[name]
            if isinstance(reader, Silence):
                found[metric.chain] = reader
        return {chain: found[chain] for chain in sorted(found)}

    def _watch(self, condition: Condition) -> _Watched:
        metrics = self._compiled.plan.metrics
        triggers = frozenset(name for name in condition.reads if metrics[name].on_fault is OnFault.TRIGGER)
        return _Watched(condition, self._compiled.chains_of(condition), triggers)

    def _is_ripe(self, block: BlockRef, waiting: Collection[Caip2]) -> bool:
        if self._pins.is_behind(waiting):
            return False
        unsettled = self._pins.unsettled(waiting)
        if not unsettled or any(rule.chains_are_none_of(unsettled) for rule in self._rules.values()):
            return True
        return all(self._pins.is_out_of_patience(chain, block) for chain in unsettled)

    def _read(self, at: At) -> _Reads:
        values: dict[str, MetricValue] = {}
        inputs: dict[str, Input] = {}
        faulted: list[str] = []
        untold: list[str] = []
        for name, read in self._readers.items():
            reading = read(at)
            if reading is None:
                untold.append(name)
                continue
            value = reading.value
            if value is not None:
                values[name] = value
            if reading.fault is not None:
                faulted.append(name)
            elif value is not None:
                inputs[name] = value
        return _Reads(at.pins, values, inputs, faulted, untold)

    def _outcomes(self, reads: _Reads) -> dict[str, RuleOutcome]:
        return {name: self._outcome(each, reads) for name, each in self._rules.items()}

    def _outcome(
        self, watched: _Watched, reads: _Reads, peer: Mapping[str, str | int] | None = None
    ) -> RuleOutcome:
        condition, inputs = watched.condition, reads.inputs
        if peer is None and not reads.faulted and not reads.untold:
            return watched.sound(inputs)
        faulted = tuple(name for name in condition.reads if name in reads.faulted)
        if any(name in reads.untold for name in condition.reads):
            return RuleOutcome(Outcome.ABSTAIN, False, faulted, condition.reads, watched.chains)
        return watched.outcome(
            condition.evaluate(inputs if peer is None else {**inputs, PEER: peer}), faulted
        )

    def _evaluate(self, block: BlockRef, waiting: tuple[Caip2, ...]) -> Evaluation:
        reads = self._read(self._pins.at(block))
        plan, view = self._compiled.plan, self._views[self._reference]
        release = self._release
        return Evaluation(
            block=block,
            waiting=waiting,
            pins=reads.pins,
            values=reads.values,
            rules=self._outcomes(reads),
            release=None if release is None else self._released(release, reads),
            agreement={chain: self._views[chain].agreement(pin) for chain, pin in reads.pins.items()},
            plan_in_force=plan.hash in view.plan_in_force(self._compiled.gateways[self._reference], block),
        )

    def _released(self, release: _Watched, reads: _Reads) -> RuleOutcome:
        """A fault makes a release predicate false, whatever its metrics declare (SPEC 5.3)."""
        found = self._outcome(release, reads)
        return replace(found, effective=False) if found.outcome is Outcome.FAULT else found


def trace_of(evaluation: Evaluation, rule: str, outcome: RuleOutcome | None = None) -> dict[str, Value]:
    """Give the trace that an attestation carries (SPEC 3): what `rule` read, and what came of it.

    `outcome` is for what the evaluation does not hold: the condition of a link at the same block.
    """
    found = outcome or (evaluation.release if rule == RELEASE else evaluation.rules.get(rule))
    chains = {evaluation.block.chain, *(found.chains if found else ())}
    pins = {chain: pin for chain, pin in evaluation.pins.items() if chain in chains}
    names = found.reads if found else ()
    return {
        "agreement": {chain: list(evaluation.agreement[chain]) for chain in pins},
        "faulted": list(found.faulted if found else ()),
        "pins": {chain: _block_value(pin) for chain, pin in pins.items()},
        "result": None if found is None else _result_value(found.outcome),
        "rule": rule,
        "values": {name: evaluation.values[name] for name in names if name in evaluation.values},
    }


def _result_value(outcome: Outcome) -> Value:
    match outcome:
        case Outcome.TRUE:
            return True
        case Outcome.FALSE:
            return False
        case Outcome.FAULT:
            return "fault"
        case Outcome.ABSTAIN:
            return None


def _block_value(block: BlockRef) -> Value:
    return {"chain": block.chain, "hash": block.hash, "number": block.number, "timestamp": block.timestamp}


__all__ = [
    "RELEASE",
    "Evaluation",
    "MetricValue",
    "Outcome",
    "PeerFacts",
    "PlanEvaluator",
    "RuleOutcome",
    "trace_of",
]
