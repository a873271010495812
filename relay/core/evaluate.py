"""A plan's rules at every block of its reference chain: the same bytes on every node (SPEC 5.3, INV-B)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proofs.canonical import Value
from relay.core.compiled import CompiledPlan
from relay.core.expressions import PEER, Condition, Input, Result
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
    asked: tuple[Input | None, ...] | None = None
    given: Result = Result.FAULT
    """The newest answer, and what it was for: in most blocks nothing has happened."""

    def chains_are_none_of(self, chains: Collection[Caip2]) -> bool:
        """Tell whether the condition reads none of `chains`."""
        return not any(chain in chains for chain in self.chains)

    def evaluate(self, inputs: Mapping[str, Input]) -> Result:
        """Evaluate the condition, once for the same inputs in a row."""
        asked = tuple(inputs.get(name) for name in self.condition.reads)
        if asked != self.asked:
            self.asked, self.given = asked, self.condition.evaluate(inputs)
        return self.given


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
        self._lags = {chain: each.lag_s for chain, each in plan.chains.items() if chain != self._reference}
        watched = [*self._rules.values(), *([self._release] if self._release else [])]
        self._awaited = sorted({chain for each in watched for chain in each.chains} & self._lags.keys())
        """The foreign chains for whose pins an evaluation waits."""
        self._silences = self._silences_of(watched)
        """The foreign chains whose silence rules read: nobody waits for their next block."""
        self._since = plan.chains[self._reference].since
        self._evaluated = self._since - 1
        """Number of the last evaluated block."""
        self._progress: dict[Caip2, tuple[int, int]] = {}
        """Of each awaited chain: the number of its newest block, and the reference time when it came."""

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
        self._note_progress()
        made: list[Evaluation] = []
        for block in self._views[self._reference].after(self._evaluated):
            if block.number % self._compiled.plan.clock.every:
                continue
            if not self._is_ripe(block):
                break
            made.append(self._evaluate(block))
            self._evaluated = block.number
        return tuple(made)

    def rollback(self, ancestor: BlockRef) -> None:
        """Take note that its chain went back to `ancestor`: what followed is evaluated anew.

        Call it after the view's own `rollback`. For a foreign chain the reference blocks are evaluated anew
        whose pins may have left the chain: those at or after `ancestor.timestamp` + lag.
        """
        if ancestor.chain == self._reference:
            self._evaluated = min(self._evaluated, ancestor.number)
        elif ancestor.chain in self._lags:
            shaken_from_s = ancestor.timestamp + self._lags[ancestor.chain]
            sound = self._views[self._reference].at_or_before(shaken_from_s - 1)
            self._evaluated = min(self._evaluated, self._since - 1 if sound is None else sound.number)

    def evaluate_at(self, block: BlockRef) -> Evaluation | None:
        """Evaluate one retained block by what is known now; None if it is not on the chain any more."""
        return self._evaluate(block) if self._counts(block) else None

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
        reads = self._read(self._pins(at))
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
        return self._outcome(watched, self._read(self._pins(at)))

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

    def _unsettled(self, block: BlockRef) -> tuple[Caip2, ...]:
        """Give the awaited chains whose pin for `block` a block to come might still move."""
        return tuple(
            chain
            for chain in self._awaited
            if not self._views[chain].has_later_than(block.timestamp - self._lags[chain])
        )

    def _hidden(self, block: BlockRef) -> tuple[Caip2, ...]:
        """Give the chains whose silence cannot be told before more of them is read."""
        return tuple(
            chain
            for chain, silence in self._silences.items()
            if silence.seconds(block) is None and not silence.is_settled(block)
        )

    def _note_progress(self) -> None:
        """Note where the reference chain stood when a foreign chain was last read further."""
        reference = self._views[self._reference].tip
        now_s = 0 if reference is None else reference.timestamp
        for chain in (*self._awaited, *self._silences):
            tip = self._views[chain].tip
            if tip is not None and self._progress.get(chain, (-1, 0))[0] != tip.number:
                self._progress[chain] = (tip.number, now_s)

    def _is_catching_up(self, chain: Caip2) -> bool:
        """Tell whether a foreign chain is only being read later than it could be: then it is worth waiting.

        Not for ever: once the reference chain is read to its head and goes on for `patience_s` while the
        other stays where it is, nobody waits for it any more.
        """
        view, reference = self._views[chain], self._views[self._reference]
        if view.tip is None or view.head is None or view.tip.number >= view.head.number:
            return False
        if reference.tip is None or reference.head is None or reference.tip.number < reference.head.number:
            return True
        read_at_s = self._progress.get(chain, (0, 0))[1]
        return reference.tip.timestamp < read_at_s + self._compiled.plan.clock.patience_s

    def _is_ripe(self, block: BlockRef) -> bool:
        unsettled = self._unsettled(block)
        if any(self._is_catching_up(chain) for chain in (*unsettled, *self._hidden(block))):
            return False
        if not unsettled or any(rule.chains_are_none_of(unsettled) for rule in self._rules.values()):
            return True
        return all(self._is_out_of_patience(chain, block) for chain in unsettled)

    def _is_out_of_patience(self, chain: Caip2, block: BlockRef) -> bool:
        """Tell whether the reference chain has gone on for `patience_s` since the chain's newest block."""
        now, silent = self._views[self._reference].tip, self._views[chain].tip
        silent_since_s = block.timestamp if silent is None else silent.timestamp + self._lags[chain]
        return now is not None and now.timestamp >= silent_since_s + self._compiled.plan.clock.patience_s

    def _pins(self, block: BlockRef) -> dict[Caip2, BlockRef]:
        pins = {self._reference: block}
        for chain, lag_s in self._lags.items():
            view, target = self._views[chain], block.timestamp - lag_s
            pin = view.at_or_before(target) if view.has_later_than(target) else None
            if pin is not None and pin.number >= self._compiled.plan.chains[chain].since:
                pins[chain] = pin
        return pins

    def _read(self, pins: Mapping[Caip2, BlockRef]) -> _Reads:
        values: dict[str, MetricValue] = {}
        inputs: dict[str, Input] = {}
        faulted: list[str] = []
        untold: list[str] = []
        places = {chain: place for chain, pin in pins.items() if (place := self._views[chain].place(pin))}
        at = At(pins[self._reference], pins, places)
        for name, read in self._readers.items():
            reading = read(at)
            if reading is None:
                untold.append(name)
                continue
            if reading.value is not None:
                values[name] = reading.value
            if reading.fault is not None:
                faulted.append(name)
            elif reading.value is not None:
                inputs[name] = reading.value
        return _Reads(pins, values, inputs, faulted, untold)

    def _outcome(
        self, watched: _Watched, reads: _Reads, peer: Mapping[str, str | int] | None = None
    ) -> RuleOutcome:
        condition = watched.condition
        faulted = tuple(name for name in condition.reads if name in reads.faulted)
        if reads.untold and any(name in reads.untold for name in condition.reads):
            return RuleOutcome(Outcome.ABSTAIN, False, faulted, condition.reads, watched.chains)
        result = (
            watched.evaluate(reads.inputs)
            if peer is None
            else condition.evaluate({**reads.inputs, PEER: peer})
        )
        outcome = _OUTCOMES[result]
        effective = outcome is Outcome.TRUE
        if outcome is Outcome.FAULT:
            # Where no metric faulted, the expression itself did (say, a sum of two out of range): then every
            # metric that it reads stands for the fault.
            blamed = faulted or condition.reads
            effective = bool(blamed) and watched.triggers.issuperset(blamed)
        return RuleOutcome(outcome, effective, faulted, condition.reads, watched.chains)

    def _evaluate(self, block: BlockRef) -> Evaluation:
        reads = self._read(self._pins(block))
        plan, view = self._compiled.plan, self._views[self._reference]
        release = self._release
        return Evaluation(
            block=block,
            waiting=tuple(sorted({*self._unsettled(block), *self._hidden(block)})),
            pins=reads.pins,
            values=reads.values,
            rules={name: self._outcome(each, reads) for name, each in self._rules.items()},
            release=None if release is None else self._released(release, reads),
            agreement={chain: self._views[chain].agreement(pin) for chain, pin in reads.pins.items()},
            plan_in_force=plan.hash in view.plan_in_force(self._compiled.gateways[self._reference], block),
        )

    def _released(self, release: _Watched, reads: _Reads) -> RuleOutcome:
        """A fault makes a release predicate false, whatever its metrics declare (SPEC 5.3)."""
        found = self._outcome(release, reads)
        is_true = found.outcome is Outcome.TRUE
        return RuleOutcome(found.outcome, is_true, found.faulted, found.reads, found.chains)


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
