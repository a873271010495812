"""The five stamps of VERIS' timeline, as far as a log tells them (SPEC 4, verisframework.org, "Response")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from relay.audit.clock_words import gap_words
from relay.audit.plan_words import LINK_PREFIX
from relay.audit.story import CallStory, Clock, DecisionStory, EffectStory, Moment, Stamp

__all__ = [
    "STARTING",
    "Given",
    "Protection",
    "clock_gap_ms",
    "first_of",
    "is_sure",
    "protections_of",
    "stamps_of",
]

STARTING: Final = ("started", "extended", "noop")
"""The effects after which an act stands; the others end it."""
_DAY_MS: Final = 86_400_000
_UNMATCHED: Final = "event_unmatched"
"""The kind of metric that is above zero only while something has left that nothing came in for."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the auditor knows and no log tells: when it began, and the first compromise, in milliseconds."""

    began_ms: int | None = None
    compromise_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """An act that a first protection asked for, and the earliest effect by which it stood, if any."""

    decision: DecisionStory
    call: CallStory
    effect: EffectStory | None


def first_of(decisions: Sequence[DecisionStory]) -> DecisionStory | None:
    """Give the first certified protection that follows no other's (core SPEC 7.4)."""
    roots = [each for each in decisions if each.op == "protect" and not each.subject.startswith(LINK_PREFIX)]
    return min(roots, key=_rank, default=None)


def protections_of(decisions: Sequence[DecisionStory]) -> tuple[Protection, ...]:
    """Give each act of the first protection of each plan and subject, and how it came to stand."""
    firsts: dict[tuple[str, str], DecisionStory] = {}
    for decision in sorted(decisions, key=_rank):
        if decision.op == "protect":
            firsts.setdefault((decision.plan_hash, decision.subject), decision)
    return tuple(
        Protection(decision, call, _earliest(decisions, decision.plan_hash, call))
        for decision in firsts.values()
        for call in decision.calls
    )


def stamps_of(decisions: Sequence[DecisionStory], given: Given) -> tuple[Stamp, ...]:
    """Give the five stamps, in VERIS' order."""
    first = first_of(decisions)
    return (
        _incident(first, given),
        _compromise(first, given),
        _exfiltration(decisions),
        _apart(_discovery(first), clock_gap_ms(first)),
        _containment(protections_of(decisions)),
    )


def _rank(decision: DecisionStory) -> tuple[int, bool, str]:
    return decision.anchor.at_ms, decision.tier != "fast", decision.id


def _earliest(decisions: Iterable[DecisionStory], plan_hash: str, call: CallStory) -> EffectStory | None:
    """Give the first effect by which an act stood: of those that one honest member saw, if there are any."""
    found = chain.from_iterable(
        other.effects
        for decision in decisions
        if decision.plan_hash == plan_hash
        for other in decision.calls
        if (other.act, other.chain) == (call.act, call.chain)
    )
    standing = [effect for effect in found if effect.effect in STARTING]
    return min(standing, key=lambda each: (not is_sure(each), each.at.at_ms, not each.receipt), default=None)


def is_sure(effect: EffectStory) -> bool:
    """Tell whether more than the word of possible liars stands behind an effect."""
    return effect.receipt is not None or effect.is_seen_by_an_honest_member


def _incident(first: DecisionStory | None, given: Given) -> Stamp:
    if given.began_ms is not None:
        moment = Moment(given.began_ms, Clock.AUDITOR, "the auditor")
        return Stamp("incident", moment, is_bound=False, how="as the auditor says; no log tells it")
    how = "the first hostile act is told by no log; it was before the alarm"
    return Stamp("incident", None if first is None else first.anchor, is_bound=True, how=how)


def _compromise(first: DecisionStory | None, given: Given) -> Stamp:
    if given.compromise_ms is not None:
        moment = Moment(given.compromise_ms, Clock.AUDITOR, "the auditor")
        return Stamp("compromise", moment, is_bound=False, how="as the auditor says; no log tells it")
    how = "the rule was true at this block, the first that a certified protection names"
    if first is not None and first.reporters:
        how = "people whom the plan names reported it at this block, the first of a certified protection"
    return Stamp("compromise", None if first is None else first.anchor, is_bound=True, how=how)


def _exfiltration(decisions: Sequence[DecisionStory]) -> Stamp:
    """VERIS means data that was taken; of value, the nearest thing is an event that has no partner."""
    found: list[Moment] = []
    for decision in decisions:
        # f may lie about the value as about the block: one honest member stands behind both.
        pins = [pin for pin in decision.pins if len(pin.members) > decision.f]
        for metric in decision.metrics:
            told = {who for each in metric.readings if _is_positive(each.value) for who in each.members}
            if metric.read == _UNMATCHED and len(told) > decision.f:
                found += [pin.at for pin in pins if pin.chain == metric.chain]
    if not found:
        how = "VERIS means data; when value first left, no metric of the rule tells by itself"
        return Stamp("exfiltration", None, is_bound=True, how=how)
    how = "events without a partner were counted at this block; VERIS means data, here it is value"
    return Stamp("exfiltration", min(found, key=lambda each: each.at_ms), is_bound=True, how=how)


def _is_positive(value: str) -> bool:
    return value.isdigit() and int(value) > 0


def _discovery(first: DecisionStory | None) -> Stamp:
    if first is None:
        return Stamp("discovery", None, is_bound=False, how="there is no certified protection")
    heard = [voice for voice in first.voices if voice.stance == "attest" and voice.said is not None]
    ordered = sorted(heard, key=lambda voice: (0 if voice.said is None else voice.said.at_ms, voice.member))
    if len(ordered) <= first.f:
        return Stamp("discovery", None, is_bound=False, how="too few attestations are here to tell")
    voice = ordered[first.f]
    how = f"the attestation of {voice.member}, number {first.f + 1} of {len(ordered)}: an honest one by then"
    also = tuple(moment for moment in (voice.witnessed,) if moment is not None)
    return Stamp("discovery", voice.said, is_bound=True, how=how, also=also)


def _apart(stamp: Stamp, gap_ms: int) -> Stamp:
    """Say beside a stamp by members' clocks that they and the chain's are far apart, where they are."""
    if gap_ms == 0:
        return stamp
    how = f"Members' clocks are {gap_words(gap_ms)} the chain's here; nothing tells how long it took"
    return replace(stamp, how=f"{stamp.how}. {how}")


def clock_gap_ms(first: DecisionStory | None) -> int:
    """Give by how much the members' clocks are after the chain's (before it: negative); 0 within a day.

    No incident is noticed a day after the block that its rule was read at: one of the clocks is wrong, or a
    chain of a demonstration keeps a time of its own.
    """
    said = None if first is None else _discovery(first).moment
    gap_ms = 0 if first is None or said is None else said.at_ms - first.anchor.at_ms
    return gap_ms if abs(gap_ms) > _DAY_MS else 0


def _containment(protections: Sequence[Protection]) -> Stamp:
    missing = [each.call.act for each in protections if each.effect is None]
    effects = [each.effect for each in protections if each.effect is not None]
    if missing or not effects:
        without = ", ".join(missing) or "any act"
        return Stamp("containment", None, is_bound=False, how=f"nobody signed to have seen {without} stand")
    last = max(effects, key=lambda each: each.at.at_ms)
    is_shown = all(each.receipt is not None for each in effects)
    how = "every act of the first protections stood by then"
    words = (
        f"{how}, shown by receipts" if is_shown else f"{how}, by members' words: not every receipt is here"
    )
    return Stamp("containment", last.at, is_bound=False, how=words)
