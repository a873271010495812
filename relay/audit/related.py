"""What one decision of an incident is to another: which it follows, and which had done its act before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from relay.audit.clock_words import moment_words, time_words
from relay.audit.stamps import STARTING, is_sure
from relay.audit.story import CallStory, DecisionStory, EffectStory
from relay.audit.texts import named

__all__ = ["done_before", "parent_words"]

_SHORT: Final = 16


def parent_words(
    decision: DecisionStory, decisions: Sequence[DecisionStory], *, is_short: bool = True
) -> str:
    """Name the decision that one follows by tier, subject and time, or else by protocol and day besides;
    empty where it follows none.
    """
    if decision.parent is None:
        return ""
    parent = next((each for each in decisions if each.id == decision.parent), None)
    if parent is None:
        return f"the decision {decision.parent[:_SHORT]}…, which is not here"
    what = f"the {parent.tier} decision “{named(parent.subject)}”"
    if is_short:
        return f"{what} of {time_words(parent.anchor.at_ms)}"
    return f"{what} of {named(parent.protocol)}, {moment_words(parent.anchor)}"


def done_before(
    decision: DecisionStory, call: CallStory, decisions: Sequence[DecisionStory]
) -> tuple[DecisionStory, EffectStory] | None:
    """Give the decision by which an act stood already while this one asked for it too, and its effect.

    It stood if it took effect before this decision ended, for longer than until its anchor, by more than
    possible liars' word, and nobody saw it end before.
    """
    own = list(_effects(decision, call, decisions))
    ends = [each.at.at_ms for _, each in own if each.effect not in STARTING]
    standing = [
        (by, effect)
        for by, effect in own
        if effect.effect in STARTING
        and is_sure(effect)
        and effect.at.at_ms <= decision.not_after.at_ms
        and (effect.until is None or effect.until.at_ms > decision.anchor.at_ms)
        and not any(effect.at.at_ms <= end <= decision.not_after.at_ms for end in ends)
    ]
    return min(standing, key=lambda each: each[1].at.at_ms, default=None)


def _effects(
    decision: DecisionStory, call: CallStory, decisions: Sequence[DecisionStory]
) -> Iterator[tuple[DecisionStory, EffectStory]]:
    """Give every effect of an act of the same plan, with the decision that asked for it."""
    for by in decisions:
        if by.plan_hash == decision.plan_hash:
            for other in by.calls:
                if (other.act, other.chain) == (call.act, call.chain):
                    yield from ((by, effect) for effect in other.effects)
