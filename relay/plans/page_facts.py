"""What users and risk engines read of a plan before they trust it, as values (`plan page`). Pure.

The JSON form of a page is these values, `schema` in front. Keys are added to it, never renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proofs.committee import fast_quorum, full_quorum
from relay.core.plan import Act, Metric, Plan, Rule, Rung
from relay.core.words import WHILE_IT_STANDS, condition_words, number_words
from relay.plans.bounds import longest_run, within
from relay.plans.directions import tokens_of
from relay.plans.page_words import act_undo, metric_words, summary
from relay.plans.prices import Price

__all__ = ["Audience", "PageFacts", "page_facts"]

MONTH_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Audience:
    """Known beside the plan: the committee's size, owners who signed, its price, who listens to it."""

    members: int | None = None
    signers: tuple[str, ...] = ()
    price: Price | None = None
    listeners: tuple[Plan, ...] = ()


@dataclass(frozen=True, slots=True)
class RungFacts:
    """Acts decided together, `after_s` after the rule's edge at the latest."""

    acts: tuple[str, ...]
    tier: str
    after_s: int


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """When the plan acts. `hold` counts evaluations, one every `every` blocks of the reference chain."""

    name: str
    formula: str
    words: str
    hold: int
    every: int
    rearm_s: int
    rungs: tuple[RungFacts, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What a rule reads: in words, its unit, and whether what cannot be read counts as an alarm."""

    name: str
    words: str
    chain: str
    unit: str
    fault_is_alarm: bool


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What it does, for how long. `meanwhile` is what people cannot do; `undo` how it is taken back."""

    name: str
    verb: str
    meanwhile: str
    chain: str
    gateway: str
    target: str
    call: str
    protected_when: str
    tier: str
    lasts_s: int
    undo: str
    is_taken_back: bool


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """When acts end early, and in which order."""

    formula: str
    words: str
    hold: int
    stages: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """Another plan whose decisions this one may follow; or, of `heard_by`, one that follows this plan's."""

    name: str
    plan: str
    shares: str
    formula: str
    acts: tuple[str, ...]
    max_hops: int
    records: int
    exposure: str | None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Outsiders who may call for fast acts: `need` of the `reporters` (Ed25519, hex)."""

    name: str
    reporters: tuple[str, ...]
    need: int
    formula: str | None
    acts: tuple[str, ...]
    records: int


@dataclass(frozen=True, slots=True)
class BoundFacts:
    """How long at most. `longest_run_s` is one act without a break, None where it has no end; `in_30_days_s`
    what all acts together can be frozen on one chain in any 30 days.
    """

    window_s: int
    fast_time_s: int
    fast_records: int
    frozen_time_s: int
    longest_run_s: int | None
    in_30_days_s: int


@dataclass(frozen=True, slots=True)
class Quorums:
    """How many of the committee's members must agree."""

    members: int
    fast: int
    full: int


@dataclass(frozen=True, slots=True)
class PageFacts:
    """All of a page, in its order; spans in seconds."""

    protocol: str
    version: int
    mode: str
    hash: str
    summary: str
    reason: str
    reference: str
    rules: tuple[RuleFacts, ...]
    limits: tuple[tuple[str, int], ...]
    metrics: tuple[MetricFacts, ...]
    acts: tuple[ActFacts, ...]
    bounds: BoundFacts
    quorums: Quorums | None
    release: ReleaseFacts | None
    listens: tuple[LinkFacts, ...]
    heard_by: tuple[LinkFacts, ...]
    reports: tuple[ReportFacts, ...]
    price: Price | None
    signers: tuple[str, ...]
    contacts: tuple[str, ...]


def page_facts(plan: Plan, audience: Audience) -> PageFacts:
    """Give a plan's page."""
    members = audience.members
    quorums = None if members is None else Quorums(members, fast_quorum(members), full_quorum(members))
    return PageFacts(
        protocol=plan.protocol,
        version=plan.version,
        mode=plan.mode.value,
        hash=plan.hash.hex(),
        summary=summary(plan),
        reason=plan.reason,
        reference=plan.clock.reference,
        rules=tuple(_rule(plan, rule) for rule in plan.rules.values()),
        limits=tuple(plan.limits.items()),
        metrics=tuple(_metric(metric) for metric in plan.metrics.values()),
        acts=tuple(_act(act) for act in plan.acts.values()),
        bounds=_bounds(plan),
        quorums=quorums,
        release=_release(plan),
        listens=_links(plan),
        heard_by=_heard_by(plan, audience.listeners),
        reports=_reports(plan),
        price=audience.price,
        signers=audience.signers,
        contacts=plan.contacts,
    )


def _rule(plan: Plan, rule: Rule) -> RuleFacts:
    named = set(tokens_of(rule.when))
    return RuleFacts(
        name=rule.name,
        formula=rule.when,
        words=condition_words(rule.when, plan.limits),
        hold=rule.hold,
        every=plan.clock.every,
        rearm_s=rule.rearm_s,
        rungs=tuple(_rung(rung, index * rule.step_s) for index, rung in enumerate(rule.ladder)),
        reads=tuple(name for name in plan.metrics if name in named),
    )


def _rung(rung: Rung, after_s: int) -> RungFacts:
    return RungFacts(rung.acts, rung.tier.name.lower(), after_s)


def _metric(metric: Metric) -> MetricFacts:
    is_alarm = metric.on_fault.value == "trigger"
    return MetricFacts(metric.name, metric_words(metric), metric.chain, metric.unit, is_alarm)


def _act(act: Act) -> ActFacts:
    text = act.text
    return ActFacts(
        name=text.name,
        verb=act.verb.value,
        meanwhile=WHILE_IT_STANDS[act.verb],
        chain=text.chain,
        gateway=text.gateway,
        target=text.target,
        call=text.call,
        protected_when=f"{text.state} {text.compare} {number_words(text.value)}",
        tier=act.tier.name.lower(),
        lasts_s=act.lasts_s,
        undo=act_undo(act),
        is_taken_back=text.undo is not None or text.restore is not None,
    )


def _bounds(plan: Plan) -> BoundFacts:
    budget = plan.budget
    return BoundFacts(
        window_s=budget.window_s,
        fast_time_s=budget.fast_time_s,
        fast_records=budget.fast_records,
        frozen_time_s=budget.frozen_time_s,
        longest_run_s=longest_run(budget.frozen_time_s, budget.window_s),
        in_30_days_s=within(budget.frozen_time_s, budget.window_s, MONTH_S),
    )


def _release(plan: Plan) -> ReleaseFacts | None:
    release = plan.release
    if release is None:
        return None
    return ReleaseFacts(
        release.when, condition_words(release.when, plan.limits), release.hold, release.stages
    )


def _links(plan: Plan) -> tuple[LinkFacts, ...]:
    return tuple(
        LinkFacts(
            name=link.name,
            plan=link.plan,
            shares=link.shares,
            formula=link.when,
            acts=link.ladder[0].acts,
            max_hops=link.max_hops,
            records=link.records,
            exposure=link.exposure,
        )
        for link in plan.listen
    )


def _heard_by(plan: Plan, others: Sequence[Plan]) -> tuple[LinkFacts, ...]:
    """The links of other plans that hear of this one, under the names of those plans' protocols."""
    reference = plan.clock.reference
    own = (reference, (plan.chains[reference].gateway or "").lower())
    return tuple(
        LinkFacts(
            name=other.protocol,
            plan=f"{other.clock.reference}:{other.chains[other.clock.reference].gateway}",
            shares=link.shares,
            formula=link.when,
            acts=link.ladder[0].acts,
            max_hops=link.max_hops,
            records=link.records,
            exposure=link.exposure,
        )
        for other in others
        for link in other.listen
        if (link.chain, link.gateway.lower()) == own
    )


def _reports(plan: Plan) -> tuple[ReportFacts, ...]:
    return tuple(
        ReportFacts(
            name=report.name,
            reporters=tuple(key.hex() for key in report.reporters),
            need=report.need,
            formula=report.when,
            acts=report.ladder[0].acts,
            records=report.records,
        )
        for report in plan.reports.values()
    )
