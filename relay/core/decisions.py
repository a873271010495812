"""From a decision and its plan to the mandate that members sign (SPEC 4)."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.decision import Decision, decision_id
from proofs.mandate import ActLeaf, Mandate, Op, Tier, acts_root, mandate_digest
from proofs.reports import REPORT_PREFIX
from relay.core.compiled import CompiledPlan
from relay.core.errors import WireError
from relay.core.plan import Listen, Reports, Rung
from relay.core.types import ActHash, DecisionId, MandateDigest, NetworkId

__all__ = ["LINK_PREFIX", "Prepared", "is_linked", "link_of", "prepare", "report_of", "rung_of"]

LINK_PREFIX = "link:"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decision with everything that follows from it and the plan; equal on every node."""

    decision: Decision
    id: DecisionId
    mandate: Mandate
    digest: MandateDigest
    leaves: tuple[ActLeaf, ...]
    act_names: tuple[str, ...]


def prepare(network: NetworkId, compiled: CompiledPlan, decision: Decision) -> Prepared:
    """Derive id, mandate, digest and leaves of `decision` under its plan (SPEC 4.1 to 4.3).

    Raises:
        WireError: `unfit decision`: the plan has no such rule, link, act or rung, or not at this tier.
    """
    names = _acts_of(compiled, decision)
    leaves = tuple(_leaf(compiled, name) for name in names)
    identity = decision_id(network, decision)
    not_before = decision.anchor.timestamp
    mandate = Mandate(
        network=network,
        key_epoch=decision.key_epoch,
        tier=decision.tier,
        plan_hash=decision.plan_hash,
        op=decision.op,
        decision_id=identity,
        acts_root=acts_root(leaves),
        not_before=not_before,
        not_after=not_before + _lifetime_s(compiled, decision),
    )
    return Prepared(
        decision=decision,
        id=identity,
        mandate=mandate,
        digest=mandate_digest(mandate),
        leaves=leaves,
        act_names=names,
    )


def link_of(compiled: CompiledPlan, subject: str) -> Listen | None:
    """Give the link that `subject` names, if it names one of this plan."""
    if not subject.startswith(LINK_PREFIX):
        return None
    name = subject.removeprefix(LINK_PREFIX)
    return next((link for link in compiled.plan.listen if link.name == name), None)


def is_linked(decision: Decision) -> bool:
    """Tell whether a decision follows another plan's: then its parent is a decision's id."""
    return decision.subject.startswith(LINK_PREFIX)


def report_of(compiled: CompiledPlan, subject: str) -> Reports | None:
    """Give the reports that `subject` names, if it names some of this plan."""
    if not subject.startswith(REPORT_PREFIX):
        return None
    return compiled.plan.reports.get(subject.removeprefix(REPORT_PREFIX))


def rung_of(compiled: CompiledPlan, decision: Decision) -> Rung | None:
    """Give the rung that a protect decision stands for, if the plan has it."""
    caller = (
        link_of(compiled, decision.subject)
        or report_of(compiled, decision.subject)
        or compiled.plan.rules.get(decision.subject)
    )
    ladder = () if caller is None else caller.ladder
    return ladder[decision.rung] if decision.rung < len(ladder) else None


def _acts_of(compiled: CompiledPlan, decision: Decision) -> tuple[str, ...]:
    if decision.anchor.chain != compiled.plan.clock.reference:
        raise WireError(
            "unfit decision",
            f"expected an anchor on {compiled.plan.clock.reference}, got {decision.anchor.chain}",
        )
    if decision.op is not Op.PROTECT:
        if decision.subject not in compiled.acts:
            raise WireError("unfit decision", f"expected an act of the plan, got {decision.subject!r}")
        if decision.op is Op.RELEASE and compiled.plan.release is None:
            raise WireError("unfit decision", "expected a plan with a release, got one without")
        return (decision.subject,)
    rung = rung_of(compiled, decision)
    if rung is None:
        raise WireError(
            "unfit decision", f"expected a rung of the plan, got {decision.subject!r} {decision.rung}"
        )
    called = decision.subject not in compiled.plan.rules
    if called == (decision.parent is None):
        raise WireError("unfit decision", "expected a parent exactly for a link or reports")
    fits = decision.tier is Tier.FAST if called else rung.tier is Tier.FAST or decision.tier is Tier.FULL
    if not fits:
        raise WireError("unfit decision", f"expected another tier than {decision.tier.name.lower()}")
    return rung.acts


def _leaf(compiled: CompiledPlan, name: str) -> ActLeaf:
    act, encoded = compiled.plan.acts[name], compiled.acts[name]
    return ActLeaf(
        chain=act.text.chain,
        gateway=encoded.gateway,
        act_id=encoded.act_id,
        act_hash=ActHash(encoded.act_hash),
        duration_s=act.lasts_s,
    )


def _lifetime_s(compiled: CompiledPlan, decision: Decision) -> int:
    clock = compiled.plan.clock
    if decision.op is Op.RELEASE:
        return clock.rearm_s
    return clock.mandate_fast_s if decision.tier is Tier.FAST else clock.mandate_full_s
