"""What must hold before a node is of use on a chain, as facts with a reason and a remedy (SPEC 8).

Pure: an adapter looks, the relay asks again and again, and tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from proofs.mandate import Tier
from relay.core.compiled import CompiledPlan
from relay.core.plan import Mode
from relay.core.ports import EncodedAct
from relay.core.rotations import VerifierState
from relay.core.types import Address, Caip2, Gateway, NetworkId, PlanHash

__all__ = [
    "ActToKeep",
    "ChainQuestion",
    "Fact",
    "GatewayQuestion",
    "Inspector",
    "Standing",
    "agreed_facts",
    "chain_question",
    "gateway_questions",
    "plans_to_watch",
    "untold",
]


class Standing(StrEnum):
    """What is known of a fact. Held and untried do not stand in the way of readiness."""

    HELD = "held"
    FAILED = "failed"
    UNTOLD = "could not tell"
    """Too few endpoints answered, or they disagree."""
    UNTRIED = "could not be tried"
    """The endpoints answer, but offer no way to try it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. `name` is made of constant phrases and configured names only: it labels a metric."""

    name: str
    standing: Standing
    reason: str = ""
    remedy: str = ""

    @property
    def is_ready(self) -> bool:
        """Tell whether a node may call itself ready with it."""
        return self.standing in (Standing.HELD, Standing.UNTRIED)

    @property
    def held(self) -> bool | None:
        """Give yes, no, or None where nobody could tell."""
        return {Standing.HELD: True, Standing.FAILED: False}.get(self.standing)


@dataclass(frozen=True, slots=True)
class ActToKeep:
    """An act of a plan as its gateway must have it."""

    name: str
    encoded: EncodedAct
    tier: Tier
    lasts_s: int


@dataclass(frozen=True, slots=True)
class ChainQuestion:
    """What to look at on a chain whatever the plan; without `submitter` nothing of funds and nonce.

    `calls` is how many calls to gateways the account must be able to pay for, `gas` what one of them may take
    at most beyond the gateway's own work.
    """

    chain: Caip2
    submitter: Address | None
    calls: int
    gas: int
    fee: str = "current"
    """`current`, or `cap`: the highest fee that a submitter would pay."""


@dataclass(frozen=True, slots=True)
class GatewayQuestion:
    """What to look at of one plan at one gateway."""

    chain: Caip2
    protocol: str
    gateway: Gateway
    plan_hash: PlanHash
    network: NetworkId
    key_epoch: int
    acts: tuple[ActToKeep, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names of the facts that an answer has, in its order."""
        where = f"{self.protocol} {self.chain}"
        acts = [f"{kind} {self.protocol}/{act.name}" for act in self.acts for kind in _ACT_FACTS]
        return (f"gateway {where}", f"plan {where}", f"budget {where}", *acts)


_ACT_FACTS = ("registration", "act", "undo")


class Inspector(Protocol):
    """Looks at one chain through its endpoints; every fact is agreed on by as many as the chain needs.

    The methods never raise for what endpoints do: that is a fact too.
    """

    async def look_at_chain(self, question: ChainQuestion) -> tuple[Fact, ...]:
        """Give `endpoints CHAIN`, and with a submitter `funds CHAIN` and `nonce CHAIN`."""
        ...

    async def look_at_gateway(self, question: GatewayQuestion) -> tuple[Fact, ...]:
        """Give the facts that `question.names` names."""
        ...

    async def look_at_verifier(self, gateway: Gateway) -> VerifierState | None:
        """Give the verifier behind a gateway; None where too few endpoints say the same."""
        ...


def gateway_questions(
    compiled: CompiledPlan, network: NetworkId, key_epoch: int
) -> tuple[GatewayQuestion, ...]:
    """Give what to look at for a plan, one question for each chain on which it has a gateway.

    A plan in shadow mode sends nothing: of its gateways it only matters that they register it.
    """
    is_armed = compiled.plan.mode is Mode.ARMED
    return tuple(
        GatewayQuestion(
            chain=chain,
            protocol=compiled.plan.protocol,
            gateway=gateway,
            plan_hash=compiled.plan.hash,
            network=network,
            key_epoch=key_epoch,
            acts=tuple(_acts_on(compiled, chain)) if is_armed else (),
        )
        for chain, gateway in compiled.gateways.items()
    )


def chain_question(
    chain: Caip2, plans: Sequence[CompiledPlan], submitter: Address | None, *, rounds: int, fee: str
) -> ChainQuestion:
    """Give what to look at on a chain: funds for `rounds` times every act that the plans have there."""
    gas = [compiled.plan.acts[act.name].text.gas for compiled in plans for act in _acts_on(compiled, chain)]
    return ChainQuestion(chain, submitter, rounds * len(gas), max(gas, default=0), fee)


def _acts_on(compiled: CompiledPlan, chain: Caip2) -> Iterable[ActToKeep]:
    for name, encoded in compiled.acts.items():
        act = compiled.plan.acts[name]
        if act.text.chain == chain:
            yield ActToKeep(name, encoded, act.tier, act.lasts_s)


def plans_to_watch(
    plans: Sequence[CompiledPlan], in_force: Callable[[CompiledPlan], bool]
) -> tuple[CompiledPlan, ...]:
    """Give of each protocol the versions in force, or its newest where none is."""
    watched: list[CompiledPlan] = []
    for protocol in sorted({compiled.plan.protocol for compiled in plans}):
        versions = [compiled for compiled in plans if compiled.plan.protocol == protocol]
        live = [compiled for compiled in versions if in_force(compiled)]
        watched += live or [max(versions, key=lambda compiled: compiled.plan.version)]
    return tuple(watched)


def untold(names: Iterable[str], reason: str, remedy: str = "") -> tuple[Fact, ...]:
    """Give facts of which nothing is known yet."""
    return tuple(Fact(name, Standing.UNTOLD, reason, remedy) for name in names)


def agreed_facts(
    names: Sequence[str], answers: Sequence[tuple[str, Sequence[Fact]]], need: int, problems: str = ""
) -> tuple[Fact, ...]:
    """Give for each name what `need` of the answers (by operator) say alike; a reason may differ in figures.

    `problems` says why others gave no answer.
    """
    return tuple(_agreed(name, answers, need, problems) for name in names)


def _agreed(name: str, answers: Sequence[tuple[str, Sequence[Fact]]], need: int, problems: str) -> Fact:
    said = [(operator, fact) for operator, facts in answers for fact in facts if fact.name == name]
    for standing in (Standing.HELD, Standing.FAILED, Standing.UNTRIED):
        alike = [fact for _, fact in said if fact.standing is standing]
        if len(alike) >= need:
            return max(alike, key=alike.count)
    tried = [(operator, fact) for operator, fact in said if fact.standing in (Standing.HELD, Standing.FAILED)]
    if len(said) >= need and len(tried) < need and all(fact.is_ready for _, fact in said):
        return next(fact for _, fact in said if fact.standing is Standing.UNTRIED)
    if len(said) < need:
        reason = f"{len(said)} of {need} needed endpoints answered" + (f" ({problems})" if problems else "")
        return Fact(name, Standing.UNTOLD, reason, "see the chain's endpoints")
    words = "; ".join(f"{operator}: {fact.standing}" for operator, fact in sorted(said, key=lambda s: s[0]))
    return Fact(name, Standing.UNTOLD, f"endpoints disagree ({words})", "see the chain's endpoints")
