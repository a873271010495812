"""The timeline: what happened on chains, and what members said, each by its own clock (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from relay.audit.plan_words import LINK_PREFIX
from relay.audit.related import parent_words
from relay.audit.stamps import STARTING
from relay.audit.story import CallStory, Clock, DecisionStory, EffectStory, Mark, Remark
from relay.audit.texts import named
from relay.core.words import joined

__all__ = ["MAX_MARKS", "by_clock", "timeline_of"]

MAX_MARKS: Final = 400
"""A long incident has thousands of moments; its beginning and its end are told."""
_EFFECTS: Final = {
    "started": "took effect",
    "extended": "was extended",
    "noop": "changed nothing: it stood already",
    "release": "was taken back",
    "expire": "ran out",
    "adopt": "was taken over by the owner",
    "dismiss": "was dismissed by the owner",
    "close": "was found ended",
    "forced": "was ended by the owner, by force",
}
_OPS: Final = {"protect": "Protection", "extend": "Extension", "release": "Release"}


def timeline_of(decisions: Sequence[DecisionStory], remarks: Sequence[Remark]) -> tuple[Mark, ...]:
    """Give every moment: those by blocks first, then those by members' clocks, each in order of time.

    The two clocks are not put into one order: nothing makes them agree.
    """
    marks = [mark for decision in decisions for mark in (*_said(decision, decisions), *_done(decision))]
    marks += [_remarked(remark) for remark in remarks]
    marks.sort(key=lambda mark: (mark.moment.clock is not Clock.BLOCK, mark.moment.at_ms, mark.title))
    if len(marks) <= MAX_MARKS:
        return tuple(marks)
    half = MAX_MARKS // 2
    return (*marks[:half], *marks[-half:])


def by_clock(marks: Sequence[Mark]) -> Iterator[tuple[str, list[Mark]]]:
    """Give the rows of a timeline that have moments, with their titles."""
    for title, is_of_chains in (("By the clocks of the chains", True), ("By the members' own clocks", False)):
        own = [mark for mark in marks if (mark.moment.clock is Clock.BLOCK) is is_of_chains]
        if own:
            yield title, own


def _said(decision: DecisionStory, decisions: Sequence[DecisionStory]) -> Iterator[Mark]:
    """Give when the ground of a decision was laid, when enough had attested, and who refused."""
    what = f"{_OPS[decision.op]} “{named(decision.subject)}” of {named(decision.protocol)}, {decision.tier}"
    follows = parent_words(decision, decisions)
    what += f", after {follows}" if follows else ""
    is_alarm = decision.op == "protect" and not decision.subject.startswith(LINK_PREFIX)
    # A link is judged at a block of its own chain that lags behind what it follows.
    how = (
        "due"
        if decision.op != "protect"
        else "its rule was true"
        if is_alarm
        else "judged as of this block of its own chain"
    )
    yield Mark(
        moment=decision.anchor,
        title=f"{what}: {how}",
        detail=decision.condition_words,
        tone="alarm" if is_alarm else "plain",
        proof=f"certified; attested by {_names(decision.certified_by)}",
    )
    heard = [voice for voice in decision.voices if voice.stance == "attest" and voice.said is not None]
    heard.sort(key=lambda voice: (0 if voice.said is None else voice.said.at_ms, voice.member))
    for number, voice in enumerate(heard, start=1):
        if voice.said is not None and number in {1, decision.threshold}:
            enough = f", of whom {decision.threshold} are enough" if number == decision.threshold else ""
            title = f"{named(voice.member)} attests: number {number}{enough}"
            yield Mark(voice.said, title, what, "said", "signed")
    for voice in decision.voices:
        if voice.stance in {"dissent", "astray"} and voice.said is not None:
            how = "dissents" if voice.stance == "dissent" else "attests to another mandate"
            yield Mark(voice.said, f"{named(voice.member)} {how}", what, "refused", "signed")


def _done(decision: DecisionStory) -> Iterator[Mark]:
    for call in decision.calls:
        for effect in call.effects:
            yield _effect(decision, call, effect)


def _effect(decision: DecisionStory, call: CallStory, effect: EffectStory) -> Mark:
    how = _EFFECTS.get(effect.effect, effect.effect)
    proof = "receipt proved" if effect.receipt is not None else f"by the word of {_names(effect.seen_by)}"
    return Mark(
        moment=effect.at,
        title=f"“{named(call.act)}” ({named(call.verb or 'act')}) at {named(decision.protocol)} {how}",
        detail=f"{call.call} on {call.chain}" if call.call else call.chain,
        tone="acted" if effect.effect in STARTING else "ended",
        proof=proof,
    )


def _remarked(remark: Remark) -> Mark:
    return Mark(remark.said, f"{named(remark.member)}: {remark.kind}", remark.words, "said", "signed")


def _names(names: Sequence[str]) -> str:
    return joined([named(name) for name in names])
