"""The first paragraph: what happened, for somebody who never heard of any of this (SPEC 4).

Each sentence says only what was verified, or whose word it is. Names that strangers chose are marked
(`quoted`, `named`), so that whoever shows the text keeps them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relay.audit.clock_words import day_words, time_words
from relay.audit.stamps import STARTING, Protection, first_of, is_sure, protections_of
from relay.audit.story import Answer, DecisionStory, EffectStory, Finding
from relay.audit.texts import named, quoted
from relay.core.words import count_words, joined, span

__all__ = ["lead_of"]

_DONE: Final = {
    "drill": "a harmless practice call was made at {}",
    "rate-limit": "what could leave {} was limited",
    "cap": "a ceiling was lowered at {}",
    "margin": "more collateral was asked for at {}",
    "disable-collateral": "an asset no longer counted as new collateral at {}",
    "disconnect-oracle": "a source of prices was disconnected at {}",
    "lock": "funds were locked at {}",
    "halt-liquidations": "liquidations were halted at {}",
    "pause": "{} was paused",
    "failover": "a stand-in took over at {}",
}
"""What an act of a verb did, for people (plans SPEC 1.3)."""
_ENDED: Final = {
    "release": "It was taken back",
    "expire": "It ran out",
    "adopt": "The owner took it over",
    "dismiss": "The owner dismissed it",
    "close": "It was found ended",
    "forced": "The owner ended it by force",
}
_MAX_SENTENCES: Final = 12
"""Of effects: a long ladder is told in the timeline."""


def lead_of(
    decisions: Sequence[DecisionStory], findings: Sequence[Finding], answer: Answer
) -> tuple[str, ...]:
    """Give the sentences of the first paragraph."""
    first = first_of(decisions)
    if first is None:
        return ("No certified protection is here, so there is nothing to tell.",)
    return (
        *_alarm(first),
        *_agreed(first),
        *_done(first, protections_of(decisions), decisions),
        *_judged(findings, answer),
    )


def _alarm(first: DecisionStory) -> list[str]:
    day, at = day_words(first.anchor.at_ms), time_words(first.anchor.at_ms)
    name = named(first.protocol)
    if first.reporters:
        people = count_words(len(first.reporters), "person", "people")
        told = [f"On {day} at {at}, {people} whom {name} had named for it reported an emergency."]
    else:
        told = [f"On {day} at {at}, by the clock of its blockchain, an alarm of {name} went off."]
    if first.reason:
        told.append(f"Its plan said beforehand what should then be done, and why: “{quoted(first.reason)}”.")
    else:
        told.append("Its plan said beforehand what should then be done.")
    return told


def _agreed(first: DecisionStory) -> list[str]:
    by_stance = {
        stance: [voice.member for voice in first.voices if voice.stance == stance]
        for stance in ("attest", "dissent", "abstain", "astray", "absent")
    }
    yes = len(by_stance["attest"])
    if yes == first.members:
        return [
            f"All {yes} members of the network that watches it confirmed the alarm, of whom"
            f" {first.threshold} are enough."
        ]
    told = [
        f"Of the {first.members} members of the network that watches it, {yes} confirmed the alarm;"
        f" it takes {first.threshold}."
    ]
    if by_stance["dissent"]:
        told.append(f"{_names(by_stance['dissent'])} disagreed.")
    quiet = [*by_stance["abstain"], *by_stance["absent"]]
    if quiet:
        told.append(f"{_names(quiet)} could not tell, or said nothing that is here.")
    if by_stance["astray"]:
        told.append(f"{_names(by_stance['astray'])} signed something else.")
    return told if len(told) > 1 else [*told, "Nobody disagreed."]


def _done(
    first: DecisionStory, protections: Sequence[Protection], decisions: Sequence[DecisionStory]
) -> list[str]:
    told: list[str] = []
    shown: list[EffectStory] = []
    ordered = sorted(protections, key=lambda each: _order(first, each))
    for each in ordered[:_MAX_SENTENCES]:
        name = named(each.decision.protocol)
        if each.effect is None:
            told.append(f"Nobody signed to have seen that “{named(each.call.act)}” took effect at {name}.")
            continue
        later = _prolonged(each.effect, _effects_of(each, decisions))
        end = _end_of(_effects_of(each, decisions))
        before = next((effect for effect in reversed(shown) if effect.effect in STARTING), None)
        told.append(_stood(first, each, each.effect, (before, later)))
        if later is not None and later.until is not None:
            told.append(f"It was prolonged until {_end(first, later.until.at_ms)}{_word(later)}.")
        if end is not None:
            how = _ENDED.get(end.effect, "It ended")
            told.append(f"{how} on {day_words(end.at.at_ms)} at {time_words(end.at.at_ms)}{_word(end)}.")
        shown += [effect for effect in (later, end, each.effect) if effect is not None]
    if len(protections) > _MAX_SENTENCES:
        told.append(f"{len(protections) - _MAX_SENTENCES} more acts are told below.")
    return [*told, *_shown_by(shown)]


def _shown_by(effects: Sequence[EffectStory]) -> list[str]:
    """Say what proves the effects that were told."""
    proved = sum(effect.receipt is not None for effect in effects)
    if not effects:
        return []
    if proved == len(effects):
        return ["That was checked against the blockchains' own records."]
    if proved:
        return ["What no name stands behind was checked against the blockchains' own records."]
    return ["The blockchains' own records of it are not here to check."]


def _order(first: DecisionStory, each: Protection) -> tuple[bool, int]:
    """Tell the alarm's own plan first, then what followed from it, in order of time."""
    at_ms = each.decision.anchor.at_ms if each.effect is None else each.effect.at.at_ms
    return each.decision.plan_hash != first.plan_hash, at_ms


def _stood(
    first: DecisionStory,
    each: Protection,
    effect: EffectStory,
    around: tuple[EffectStory | None, EffectStory | None],
) -> str:
    before, later = around
    name, chain = named(each.decision.protocol), named(each.call.chain)
    because = "" if each.decision.plan_hash == first.plan_hash else ", because of this,"
    done = _DONE.get(each.call.verb, "an act was carried out at {}").format(name)
    how = f"{_when(first, effect, before)}{because} {done} on the chain {chain}"
    if effect.effect == "noop":
        how = f"{_when(first, effect, before)}{because} a call on the chain {chain} had nothing left to do:"
        how = f"{how} {done} already"
    if effect.until is not None:
        how += f", until {_end(first, effect.until.at_ms)} at {'the longest' if later is None else 'first'}"
    return f"{how}{_word(effect)}."


def _word(effect: EffectStory) -> str:
    """Say whose word an effect is, where nothing shows it."""
    return "" if effect.receipt is not None else f", by the word of {_names(effect.seen_by)}"


def _when(first: DecisionStory, effect: EffectStory, before: EffectStory | None) -> str:
    if before is not None and before.at.at_ms == effect.at.at_ms:
        return "At the same time"
    later_s = (effect.at.at_ms - first.anchor.at_ms) // 1_000
    return f"{_span(later_s)} later" if later_s > 0 else f"At {time_words(effect.at.at_ms)}"


def _end(first: DecisionStory, at_ms: int) -> str:
    day = day_words(at_ms)
    return time_words(at_ms) if day == day_words(first.anchor.at_ms) else f"{day}, {time_words(at_ms)}"


def _effects_of(each: Protection, decisions: Sequence[DecisionStory]) -> list[EffectStory]:
    """Give what became of an act after it stood."""
    return [
        effect
        for decision in decisions
        if decision.plan_hash == each.decision.plan_hash
        for call in decision.calls
        if (call.act, call.chain) == (each.call.act, each.call.chain)
        for effect in call.effects
        if each.effect is not None and effect.at.at_ms >= each.effect.at.at_ms
    ]


def _prolonged(stood: EffectStory, effects: Sequence[EffectStory]) -> EffectStory | None:
    """Give what made an act stand longest, if that is longer than at first; one liar's word comes last."""
    first_ms = 0 if stood.until is None else stood.until.at_ms
    longer = [each for each in effects if each.effect in STARTING and _until_ms(each) > first_ms]
    return max(longer, key=lambda each: (is_sure(each), _until_ms(each)), default=None)


def _end_of(effects: Sequence[EffectStory]) -> EffectStory | None:
    """Give the last ending of an act's record, if somebody saw one; one liar's word comes last."""
    ends = [each for each in effects if each.effect not in STARTING]
    return max(ends, key=lambda each: (is_sure(each), each.at.at_ms), default=None)


def _until_ms(effect: EffectStory) -> int:
    return 0 if effect.until is None else effect.until.at_ms


def _judged(findings: Sequence[Finding], answer: Answer) -> list[str]:
    if answer is Answer.YES:
        return []
    wrong = sum(finding.answer is Answer.NO for finding in findings)
    unknown = sum(finding.answer is Answer.UNKNOWN for finding in findings)
    words = [f"{count_words(wrong, 'thing does', 'things do')} not hold"] if wrong else []
    words += [f"{count_words(unknown, 'thing')} could not be told"] if unknown else []
    text = joined(words)
    return [f"But {text}: see the findings below."]


def _names(names: Sequence[str]) -> str:
    return joined([named(name) for name in names])


def _span(seconds: int) -> str:
    """A span for people: seconds are spelled out where there is nothing else."""
    return count_words(seconds, "second") if seconds < 120 else span(seconds)
