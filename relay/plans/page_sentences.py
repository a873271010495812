"""Sentences that a plan's page says in every form. Pure."""

from __future__ import annotations

from relay.core.words import count_words, joined, span
from relay.plans.page_facts import MetricFacts, PageFacts, ReleaseFacts, RuleFacts
from relay.plans.prices import Price

__all__ = [
    "HEARS",
    "TAKEN_BACK",
    "decides_words",
    "hold_words",
    "price_figure",
    "price_words",
    "read_words",
    "release_words",
    "run_words",
    "rung_words",
    "stages_words",
    "units_words",
]

TAKEN_BACK = (
    "The gateways themselves keep these bounds, also against stolen keys of every validator. Not counted is"
    " the time between an act's end and the call that takes it back, which anyone may send; and what an act"
    " without an undo leaves behind."
)
HEARS = "A certified decision of another plan is heard; the hearer decides for itself, and fast acts at most."


def hold_words(rule: RuleFacts) -> str:
    """How long a rule must hold, and how often it may be decided anew."""
    every = "at each block" if rule.every == 1 else f"every {rule.every:,} blocks"
    held = "once" if rule.hold == 1 else f"{rule.hold:,} times in a row"
    anew = f"Decided anew at most every {span(rule.rearm_s)}."
    return f"Evaluated {every} of the reference chain; must hold {held}. {anew}"


def units_words(facts: PageFacts, rule: RuleFacts) -> str:
    """What a rule reads, with units."""
    read = [metric for metric in facts.metrics if metric.name in rule.reads]
    told = [f"{metric.name} in {metric.unit}" if metric.unit else metric.name for metric in read]
    return f"It reads {joined(told)}. " if told else ""


def read_words(metric: MetricFacts) -> str:
    """Where a metric is read, its unit, and what follows where it cannot be."""
    unit = f"in {metric.unit}; " if metric.unit else ""
    fault = "counts as an alarm" if metric.fault_is_alarm else "is no alarm"
    return f"On {metric.chain}; {unit}what cannot be read {fault}."


def rung_words(rule: RuleFacts) -> list[str]:
    """The ladder, one sentence a rung."""
    found: list[str] = []
    for rung in rule.rungs:
        when = "at once" if rung.after_s == 0 else f"if it still holds after {span(rung.after_s)}"
        found.append(f"{joined(rung.acts)}, {when}, by a {rung.tier} quorum")
    return found


def run_words(run_s: int | None) -> str:
    """How long one act can stand without a break."""
    return (
        "no end: the budget is twice its window or more"
        if run_s is None
        else f"{span(run_s)}, if it is renewed"
    )


def decides_words(facts: PageFacts) -> list[str]:
    """Who decides: tiers, and how many of how many."""
    quorums = facts.quorums
    fast = (
        f"{quorums.fast} of {quorums.members} validators"
        if quorums
        else "one more than could be liars, at least two"
    )
    full = (
        f"{quorums.full} of {quorums.members} validators"
        if quorums
        else "more than two thirds of the validators"
    )
    return [
        f"A fast quorum, {fast}, for short acts that can be taken back.",
        f"A full quorum, {full}, for everything else: acts of the full tier, extending and early release.",
        "Each validator reads the chains itself, through several providers, and signs only what it found.",
        "The protocol's guardian and owner may end or take over any act; the owner may leave at any time.",
    ]


def release_words(facts: PageFacts) -> list[str]:
    """How an act ends and who can end it."""
    release = facts.release
    first = (
        "There is no early release: acts end when their time is over."
        if release is None
        else f"Early, by a full quorum, once {release.words}, {_times(release.hold)}."
    )
    return [
        first,
        "By time: when an act's time is over, anyone may send the call that takes it back.",
        "By the guardian: adopt (it stays, and is the protocol's own from then on) or dismiss (it ends now).",
        "By the owner: all acts are switched off in one transaction.",
    ]


def _times(hold: int) -> str:
    return "at one evaluation" if hold == 1 else f"at {hold:,} evaluations in a row"


def stages_words(release: ReleaseFacts | None) -> list[str]:
    """The order in which acts end."""
    if release is None or not release.stages:
        return []
    order = "; then ".join(joined(stage) for stage in release.stages)
    return [f"In stages: {order}. A later stage ends only after every act of the earlier ones has ended."]


def price_figure(price: Price | None) -> tuple[str, str]:
    """The price as a number and what it is."""
    if price is None:
        return "not measured", "expected hours a year frozen for nothing"
    if not price.triggers:
        return f"≤ {price.frozen_at_most:,.1f} h", "a year, frozen for nothing: none was seen, 95 % bound"
    interval = f"95 %: {price.frozen_low:,.1f} to {price.frozen_high:,.1f}"
    return f"{price.frozen_hours:,.1f} h", f"expected a year, frozen for nothing ({interval})"


def price_words(facts: PageFacts) -> list[str]:
    """The price in sentences."""
    price = facts.price
    if price is None:
        return ["Not measured: no back-test was given. Ask for one before you rely on this plan."]
    bound = f"at most {price.rate_at_most:,.2f} per 1,000 h, at 95 %"
    frozen = f"at most {price.frozen_at_most:,.1f} h a year frozen for nothing, at 95 %"
    if price.triggers:
        bounds = f"{price.rate_low:,.2f} and {price.rate_high:,.2f}"
        bound = f"{price.rate:,.2f} per 1,000 h, with 95 % between {bounds}"
        bounds = f"{price.frozen_low:,.1f} and {price.frozen_high:,.1f} h"
        frozen = f"{price.frozen_hours:,.1f} h a year frozen for nothing, with 95 % between {bounds}"
    found = [
        f"Over {price.quiet_hours:,.0f} quiet hours it would have acted {count_words(price.triggers, 'time')}"
        f" for nothing: {bound}.",
        f"That is {frozen}.",
    ]
    if any(len(rule.rungs) > 1 for rule in facts.rules):
        found.append("Counted are the first rungs: a false alarm that lasts until a later one freezes more.")
    if facts.listens or facts.reports:
        found.append("That is of the plan's own rules: what links and reports call for is not in it.")
    if price.unmeasured:
        found.append(
            f"The data told nothing of {joined(price.unmeasured)}: rules that read it were not measured."
        )
    if price.is_missed:
        found.append("In the incident of the data it did not act.")
    if price.delay_s is not None:
        share = "" if price.out_share is None else f", when {price.out_share:.1%} of the loss was out"
        found.append(
            f"In the incident of the data it acted {span(price.delay_s)} after the first loss{share}."
        )
    return found
